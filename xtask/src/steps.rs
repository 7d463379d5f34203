//! Steps that all run, whatever the ones before them did, with a line for each and a list at the end.

use crate::command::Failure;
use std::time::{Duration, Instant};

/// What ran so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, Result<(), Failure>)>,
}

impl Steps {
    /// Runs one step.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), Failure>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = step();
        let time = start.elapsed();
        println!("=== {name}: {}", verdict(&outcome, time));
        self.done.push((name, time, outcome));
    }

    /// Prints the list. Fails when a step did.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        println!("\n=== all steps");
        for (name, time, outcome) in &self.done {
            println!("{name:12} {}", verdict(outcome, *time));
        }
        let total: Duration = self.done.iter().map(|(_, time, _)| *time).sum();
        println!("{:12} {:.1} s", "total", total.as_secs_f64());
        let failed: Vec<&str> =
            self.done.iter().filter(|(.., outcome)| outcome.is_err()).map(|(name, ..)| *name).collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::Found(format!("failed: {}", failed.join(", ")))) }
    }
}

fn verdict(outcome: &Result<(), Failure>, time: Duration) -> String {
    let time = time.as_secs_f64();
    match outcome {
        Ok(()) => format!("ok in {time:.1} s"),
        Err(failure) => format!("FAILED after {time:.1} s: {failure}"),
    }
}
