//! Measures two port mappers in one run: each in a namespace of its own, pinned to one core with the load on another,
//! rounds interleaved. The figure is CPU time per answered request, from the kernel's accounting; what is compared is
//! the median of the rounds' ratios, since the machine's mood is the same for both sides of a round.

mod load;
mod side;

use load::Workload;
use side::Side;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// What was asked for on the command line.
struct Plan {
    ours: PathBuf,
    rounds: usize,
    time: Duration,
}

impl Plan {
    fn from_arguments() -> Result<Self, String> {
        let mut arguments = std::env::args().skip(1);
        let ours = arguments.next().ok_or("usage: bench RPCBIND [--quick] [--rounds N]")?.into();
        let mut plan = Self { ours, rounds: 5, time: Duration::from_millis(700) };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => (plan.rounds, plan.time) = (1, Duration::from_millis(100)),
                "--rounds" => {
                    let rounds = arguments.next().unwrap_or_default();
                    plan.rounds = rounds.parse().map_err(|_| format!("--rounds {rounds}: not a number"))?;
                }
                other => {
                    return Err(format!("{other}: unknown; usage: bench RPCBIND [--quick] [--rounds N]"));
                }
            }
        }
        Ok(plan)
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let plan = Plan::from_arguments()?;
    let ours = Side::start(testkit::DaemonKind::ours(&plan.ours))?;
    let theirs = Side::start(testkit::DaemonKind::debian())?;
    let columns = ["cpu us: ours", "debian", "ratio", "p50 us: ours", "debian", "ratio"];
    print!("{:<28}", "workload");
    columns.iter().for_each(|column| print!(" {column:>12}"));
    println!();
    for workload in Workload::ALL {
        let mut rounds = Vec::new();
        for round in 0..plan.rounds {
            // Whoever goes first goes second in the next round.
            let (first, second) = if round % 2 == 0 { (&ours, &theirs) } else { (&theirs, &ours) };
            let figures = (first.measure(workload, plan.time)?, second.measure(workload, plan.time)?);
            rounds.push(if round % 2 == 0 { figures } else { (figures.1, figures.0) });
        }
        let column = |pick: &dyn Fn(&(side::Figures, side::Figures)) -> f64| median(rounds.iter().map(pick));
        println!(
            "{:<28} {:>12.2} {:>12.2} {:>12.3} {:>12.1} {:>12.1} {:>12.3}",
            workload.name(),
            column(&|(ours, _)| ours.cpu_us),
            column(&|(_, theirs)| theirs.cpu_us),
            column(&|(ours, theirs)| ours.cpu_us / theirs.cpu_us),
            column(&|(ours, _)| ours.p50_us),
            column(&|(_, theirs)| theirs.p50_us),
            column(&|(ours, theirs)| ours.p50_us / theirs.p50_us),
        );
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
