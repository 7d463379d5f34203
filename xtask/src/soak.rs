//! What takes longer than a check may: the daemon killed again and again under load, its starts timed, the attacks on
//! it with their full counts, and mixed load for so long that whatever grows is seen to grow.

use crate::command::{Failure, cargo, run};
use crate::packages;

/// Kills and timed starts without `--kills` and `--starts`, and seconds of mixed load without `--mixed-seconds`.
const KILLS: u32 = 10_000;
const STARTS: u32 = 50;
const MIXED_SECONDS: u32 = 1_800;

/// What can be asked for by `--only`.
const PARTS: [&str; 3] = ["kills", "attacks", "mixed"];

/// What was asked for.
struct Asked<'a> {
    kills: u32,
    starts: u32,
    mixed_seconds: u32,
    only: Option<&'a str>,
}

/// `cargo xtask soak [--only PART] [--kills N] [--starts N] [--mixed-seconds N]`
pub(crate) fn run_all(arguments: &[String]) -> Result<(), Failure> {
    let asked = parse(arguments)?;
    packages::install()?;
    let is_asked = |part: &str| asked.only.is_none_or(|only| only == part);
    if is_asked("kills") {
        let (kills, starts) = (asked.kills.to_string(), asked.starts.to_string());
        soak("durable", &["random_kills"], &[("PORTMAP_KILLS", &kills), ("PORTMAP_STARTS", &starts)])?;
    }
    if is_asked("attacks") {
        soak("attacks", &["--skip", "mixed::"], &[("PORTMAP_FULL", "1")])?;
    }
    if is_asked("mixed") {
        soak("attacks", &["mixed::"], &[("PORTMAP_MIXED_SECONDS", &asked.mixed_seconds.to_string())])?;
    }
    Ok(())
}

/// Tests of the daemon, in a release build, one after the other, with what they print.
fn soak(binary: &str, tests: &[&str], variables: &[(&str, &str)]) -> Result<(), Failure> {
    let mut command = cargo(&["test", "--release", "--package", "rpcbind", "--test", binary, "--"]);
    command.args(tests).args(["--nocapture", "--test-threads", "1"]);
    run(command.envs(variables.iter().copied()))
}

fn parse(arguments: &[String]) -> Result<Asked<'_>, Failure> {
    let mut asked = Asked { kills: KILLS, starts: STARTS, mixed_seconds: MIXED_SECONDS, only: None };
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let text = arguments.next().map(String::as_str).unwrap_or_default();
        let number = match option.as_str() {
            "--kills" => &mut asked.kills,
            "--starts" => &mut asked.starts,
            "--mixed-seconds" => &mut asked.mixed_seconds,
            "--only" if PARTS.contains(&text) => {
                asked.only = Some(text);
                continue;
            }
            "--only" => return Err(Failure::Found(format!("--only wants one of {}", PARTS.join(", ")))),
            _ => return Err(Failure::Found(format!("unknown option {option}"))),
        };
        *number = text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Failure::Found(format!("{option} wants a number from 1 on, not {text:?}")))?;
    }
    Ok(asked)
}
