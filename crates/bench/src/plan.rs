//! What is to be measured, how long and how often: the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::account::Cores;
use crate::wire::Result;

/// Measures what each request costs: our rpcbind beside Debian's and beside a server that does nothing but answer.
///
/// Each server runs in namespaces of its own, pinned to one core, with the load on another; rounds are interleaved.
/// The figures are medians of the rounds: CPU time of the server for each answered request, user and system, as the
/// kernel accounts it, unless the unit says otherwise. Ratios are medians of the rounds' own ratios, since the
/// machine's mood is the same for all servers of a round.
///
/// Needs root. The exit status is 1 when a bar was missed, except with --quick.
#[derive(Debug, Parser)]
#[command(name = "bench", override_usage = "cargo xtask bench [OPTIONS]")]
pub(crate) struct Options {
    /// Our rpcbind (`cargo xtask bench` builds and passes it)
    #[arg(long, value_name = "PATH", hide = true)]
    rpcbind: PathBuf,
    /// Run everything once, short and small: shows that it works, its figures say nothing
    #[arg(long)]
    quick: bool,
    /// Rounds of each server
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: usize,
    /// Length of a round in milliseconds, at least 20
    #[arg(long, value_name = "MS", default_value_t = 250)]
    time_ms: u64,
    /// Measure only the lines whose name contains NAME in any case; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the names of all lines and measure nothing
    #[arg(long)]
    list: bool,
    /// Draw the growth curves into docs/performance/, or DIR, instead
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "docs/performance")]
    #[arg(conflicts_with_all = ["quick", "only", "list"])]
    plots: Option<PathBuf>,
    /// Write the table into docs/performance/results.md, or FILE, too
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/performance/results.md")]
    #[arg(conflicts_with_all = ["quick", "only", "list", "plots"])]
    results: Option<PathBuf>,
}

/// The shortest round: the server gets to sleep at its beginning and at its end.
const TIME_MS_MIN: u64 = 20;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Registrations of an ordinary host.
    pub(crate) ordinary: u32,
    /// Registrations in a small table and in a large one.
    pub(crate) few: u32,
    pub(crate) many: u32,
    /// Programs asked about that nobody knows.
    pub(crate) unknown: u32,
    /// Idle connections.
    pub(crate) idle: u32,
    /// Starts of each server.
    pub(crate) starts: usize,
}

/// All of it, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rpcbind: PathBuf,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) sizes: Sizes,
    pub(crate) cores: Cores,
    pub(crate) plots: Option<PathBuf>,
    pub(crate) results: Option<PathBuf>,
    only: Vec<String>,
    list: bool,
}

impl Plan {
    /// What the command line says.
    ///
    /// # Errors
    /// The cores cannot be found out.
    pub(crate) fn from_arguments() -> Result<Self> {
        let Options { rpcbind, quick, rounds, time_ms, only, list, plots, results } = Options::parse();
        let sizes = if quick {
            Sizes { ordinary: 20, few: 20, many: 200, unknown: 1_000, idle: 100, starts: 2 }
        } else {
            Sizes { ordinary: 20, few: 100, many: 10_000, unknown: 60_000, idle: 10_000, starts: 20 }
        };
        Ok(Self {
            rpcbind,
            quick,
            rounds: if quick { 1 } else { rounds.max(1) },
            time: Duration::from_millis(if quick { 60 } else { time_ms.max(TIME_MS_MIN) }),
            sizes,
            cores: Cores::choose()?,
            plots,
            results,
            only: only.iter().map(|name| name.to_lowercase()).collect(),
            list,
        })
    }

    /// Whether a line is to be measured. Prints its name where only that is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let asked = self.only.is_empty() || self.only.iter().any(|only| name.to_lowercase().contains(only));
        if asked && self.list {
            println!("{name}");
        }
        asked && !self.list
    }
}
