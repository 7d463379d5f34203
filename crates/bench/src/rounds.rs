//! Interleaved rounds: every server of a comparison once in each, another one first each time.

use crate::load::Workload;
use crate::plan::Plan;
use crate::side::{Figures, Side};
use crate::table::{Bars, Column, Line, Rounds, median};
use crate::wire::Result;

/// The servers of a comparison and their columns.
pub(crate) type Sides<'a> = [(Column, &'a Side)];

/// What a comparison showed.
pub(crate) struct Compared {
    /// By column.
    figures: [Vec<Figures>; 4],
}

impl Compared {
    /// Measures one workload at all sides.
    pub(crate) fn run(plan: &Plan, sides: &Sides<'_>, workload: Workload) -> Result<Self> {
        let mut figures = [const { Vec::new() }; 4];
        for round in 0..plan.rounds {
            for turn in 0..sides.len() {
                let (column, side) = sides[(round + turn) % sides.len()];
                let seen = side
                    .measure(workload, plan.time)
                    .map_err(|error| format!("{column:?}: {workload:?}: {error}"))?;
                figures[column as usize].push(seen);
            }
        }
        Ok(Self { figures })
    }

    /// One side's CPU time for each answer in microseconds.
    pub(crate) fn median_cpu(&self, column: Column) -> Option<f64> {
        median(self.figures[column as usize].iter().map(|figures| figures.cpu_us))
    }

    /// The line about CPU time.
    pub(crate) fn cpu(&self, name: &str, bars: Bars) -> Line {
        self.line(name, "us", bars, |figures| Some(figures.cpu_us))
    }

    /// The line about the time that a client waits.
    pub(crate) fn p50(&self, name: &str, bars: Bars) -> Line {
        self.line(name, "us", bars, |figures| figures.p50_us)
    }

    fn line(
        &self,
        name: &str,
        unit: &'static str,
        bars: Bars,
        pick: impl Fn(&Figures) -> Option<f64>,
    ) -> Line {
        let columns =
            self.figures.each_ref().map(|rounds| rounds.iter().filter_map(&pick).collect::<Rounds>());
        Line { name: name.to_owned(), unit, columns, bars }
    }
}
