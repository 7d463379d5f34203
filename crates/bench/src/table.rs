//! The results: one line for each figure, a column for each server, and the bars with what came of them. The table is
//! Markdown, so that it can be pasted where it is to be read.

use std::fmt;

/// Whose figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Our rpcbind.
    Ours,
    /// Debian's rpcbind.
    Debian,
    /// The limit server.
    Limit,
    /// Our rpcbind before what the line is about.
    Before,
}

/// What our figure may be at most, relative to another column or, `absolute`, itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bars {
    /// Times Debian's.
    pub(crate) debian: Option<f64>,
    /// Times the limit server's.
    pub(crate) limit: Option<f64>,
    /// Times ours before.
    pub(crate) before: Option<f64>,
    /// Itself, in the line's unit.
    pub(crate) absolute: Option<f64>,
}

/// The figures of one server, one for each round.
pub(crate) type Rounds = Vec<f64>;

/// One line: a figure of all servers.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What was measured.
    pub(crate) name: String,
    /// In what.
    pub(crate) unit: &'static str,
    /// By column; empty where it was not measured.
    pub(crate) columns: [Rounds; 4],
    /// What is wanted.
    pub(crate) bars: Bars,
}

/// The widths of the columns.
const WIDTHS: [usize; 8] = [47, 4, 7, 7, 7, 7, 47, 4];

/// The heading.
pub(crate) const HEADING: [&str; 8] =
    ["workload", "", "ours", "rpcbind", "limit", "before", "ours, and at most", ""];

impl Line {
    /// Whether every bar was met; `None` when there is none.
    pub(crate) fn passes(&self) -> Option<bool> {
        let met: Vec<bool> = self.seen().iter().map(|seen| seen.value <= seen.bar).collect();
        if met.is_empty() { None } else { Some(met.into_iter().all(|met| met)) }
    }

    /// What was seen where something is wanted.
    fn seen(&self) -> Vec<Seen> {
        let Bars { debian, limit, before, absolute } = self.bars;
        let ours = &self.columns[Column::Ours as usize];
        let of = |what, bar: Option<f64>, column: Column| {
            let theirs = &self.columns[column as usize];
            let value = median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))?;
            Some(Seen { what, bar: bar?, value })
        };
        let itself = || Some(Seen { what: "", bar: absolute?, value: median(ours.iter().copied())? });
        let all = [
            of("of rpcbind", debian, Column::Debian),
            of("of limit", limit, Column::Limit),
            of("of before", before, Column::Before),
            itself(),
        ];
        all.into_iter().flatten().collect()
    }

    /// The line's cells.
    fn cells(&self) -> [String; 8] {
        let figure = |column: Column| {
            let figure = median(self.columns[column as usize].iter().copied());
            figure.map_or_else(|| "-".to_owned(), number)
        };
        let verdict = match self.passes() {
            Some(true) => "pass",
            Some(false) => "MISS",
            None => "",
        };
        let seen: Vec<String> = self.seen().iter().map(ToString::to_string).collect();
        [
            self.name.clone(),
            self.unit.to_owned(),
            figure(Column::Ours),
            figure(Column::Debian),
            figure(Column::Limit),
            figure(Column::Before),
            seen.join("; "),
            verdict.to_owned(),
        ]
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&row(&self.cells()))
    }
}

/// A median ratio beside what it may be.
struct Seen {
    what: &'static str,
    bar: f64,
    value: f64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.what.is_empty() { "" } else { " " };
        write!(f, "{}{space}{} <= {}", number(self.value), self.what, self.bar)
    }
}

/// The heading with its rule.
pub(crate) fn heading() -> String {
    let rule = WIDTHS.map(|width| "-".repeat(width));
    format!("{}\n{}", row(&HEADING.map(str::to_owned)), row(&rule))
}

fn row(cells: &[String; 8]) -> String {
    let mut line = String::from("|");
    for (index, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        let is_figure = (2..6).contains(&index) && !cell.starts_with("--");
        line.push_str(&if is_figure { format!(" {cell:>width$} |") } else { format!(" {cell:<width$} |") });
    }
    line
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    if value < 0.1 { format!("{value:.3}") } else { format!("{value:.digits$}") }
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) && !values.is_empty() {
        return Some((values[middle - 1] + values[middle]) / 2.0);
    }
    values.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ours: &[f64], debian: &[f64], bars: Bars) -> Line {
        let columns = [ours.to_vec(), debian.to_vec(), Vec::new(), Vec::new()];
        Line { name: "x".to_owned(), unit: "us", columns, bars }
    }

    #[test]
    fn ratios_are_of_figures_of_the_same_round() {
        let bars = Bars { debian: Some(0.5), ..Bars::default() };
        // The machine was ten times slower in the second round; the ratio of the medians would be 0.52.
        let line = line(&[1.0, 10.0, 1.2], &[2.0, 20.0, 2.4], bars);
        assert_eq!(line.passes(), Some(true));
        assert!(line.to_string().contains("0.50 of rpcbind <= 0.5"), "{line}");
    }

    #[test]
    fn a_line_passes_when_each_of_its_bars_is_met_and_without_bars_says_nothing() {
        let bars = Bars { debian: Some(0.6), absolute: Some(3.0), ..Bars::default() };
        assert_eq!(line(&[3.0], &[6.0], bars).passes(), Some(true));
        assert_eq!(line(&[3.1], &[6.2], bars).passes(), Some(false));
        assert_eq!(line(&[3.0], &[4.0], bars).passes(), Some(false));
        assert_eq!(line(&[3.0], &[4.0], Bars::default()).passes(), None);
    }

    #[test]
    fn what_was_not_measured_meets_no_bar_and_misses_none() {
        let bars = Bars { debian: Some(0.6), ..Bars::default() };
        assert_eq!(line(&[1.0], &[], bars).passes(), None);
        assert!(line(&[1.0], &[], bars).to_string().contains("|       - |"));
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_two_in_the_middle() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
