//! What takes longer than a check may: the daemon killed again and again under load, its starts timed, and the attacks
//! on it with their full counts.

use crate::command::{Failure, cargo, run};
use crate::packages;

/// Kills and timed starts without `--kills` and `--starts`.
const KILLS: u32 = 10_000;
const STARTS: u32 = 50;

/// `cargo xtask soak [--kills N] [--starts N]`
pub(crate) fn run_all(arguments: &[String]) -> Result<(), Failure> {
    let (kills, starts) = parse(arguments)?;
    packages::install()?;
    let mut tests =
        cargo(&["test", "--release", "--package", "rpcbind", "--test", "durable", "random_kills"]);
    tests.args(["--", "--nocapture", "--test-threads", "1"]);
    run(tests.env("PORTMAP_KILLS", kills.to_string()).env("PORTMAP_STARTS", starts.to_string()))?;
    let mut tests = cargo(&["test", "--release", "--package", "rpcbind", "--test", "attacks"]);
    run(tests.args(["--", "--nocapture", "--test-threads", "1"]).env("PORTMAP_FULL", "1"))
}

fn parse(arguments: &[String]) -> Result<(u32, u32), Failure> {
    let (mut kills, mut starts) = (KILLS, STARTS);
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let number = match option.as_str() {
            "--kills" => &mut kills,
            "--starts" => &mut starts,
            _ => return Err(Failure::Found(format!("unknown option {option}"))),
        };
        let text = arguments.next().map(String::as_str).unwrap_or_default();
        *number = text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Failure::Found(format!("{option} wants a number from 1 on, not {text:?}")))?;
    }
    Ok((kills, starts))
}
