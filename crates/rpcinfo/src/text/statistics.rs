//! The three blocks of statistics. Each column is as wide as its numbers want, in steps of eight.

use std::fmt::Write;

use super::padded;
use crate::found::{Lookups, RemoteCalls, VersionStatistics};

/// The columns of versions 3 and 4; version 2 has the first six with another name for the fourth.
const COLUMNS: [&str; 13] = [
    "NULL", "SET", "UNSET", "GETADDR", "DUMP", "CALLIT", "TIME", "U2T", "T2U", "VERADDR", "INDRECT",
    "GETLIST", "GETSTAT",
];
/// The procedures whose successes are shown too, and those that decide whether a list follows.
const SET: usize = 1;
const UNSET: usize = 2;
const GETADDR: usize = 3;
const CALLIT: usize = 5;
const INDIRECT: usize = 10;
const GETADDRLIST: usize = 11;

/// The blocks of all versions.
pub(super) fn render(versions: &[VersionStatistics]) -> String {
    let mut text = String::new();
    for statistics in versions {
        match statistics.version {
            2 => version2(&mut text, statistics),
            3 => version3(&mut text, statistics),
            _ => version4(&mut text, statistics),
        }
    }
    text
}

fn version2(text: &mut String, statistics: &VersionStatistics) {
    text.push_str("PORTMAP (version 2) statistics\n");
    counters(text, statistics, 0..6);
    text.push('\n');
    if calls(statistics, CALLIT) != 0 {
        text.push_str("PMAP_RMTCALL call statistics\n");
        remote_calls(text, statistics);
        text.push('\n');
    }
    if calls(statistics, GETADDR) != 0 {
        text.push_str("PMAP_GETPORT call statistics\n");
        lookups(text, &statistics.lookups);
        text.push('\n');
    }
}

fn version3(text: &mut String, statistics: &VersionStatistics) {
    text.push_str("RPCBIND (version 3) statistics\n");
    counters(text, statistics, 0..9);
    text.push('\n');
    if calls(statistics, CALLIT) != 0 {
        text.push_str("RPCB_RMTCALL (version 3) call statistics\n");
        remote_calls(text, statistics);
        text.push('\n');
    }
    if calls(statistics, GETADDR) != 0 {
        text.push_str("RPCB_GETADDR (version 3) call statistics\n");
        lookups(text, &statistics.lookups);
        text.push('\n');
    }
}

/// Here the empty lines come before the lists.
fn version4(text: &mut String, statistics: &VersionStatistics) {
    text.push_str("RPCBIND (version 4) statistics\n");
    counters(text, statistics, 0..9);
    counters(text, statistics, 9..13);
    if calls(statistics, CALLIT) != 0 || calls(statistics, INDIRECT) != 0 {
        text.push_str("\nRPCB_RMTCALL (version 4) call statistics\n");
        remote_calls(text, statistics);
    }
    if calls(statistics, GETADDR) != 0 {
        text.push_str("\nRPCB_GETADDR (version 4) call statistics\n");
        lookups(text, &statistics.lookups);
    }
}

fn calls(statistics: &VersionStatistics, procedure: usize) -> i32 {
    statistics.calls.get(procedure).copied().unwrap_or(0)
}

/// A line of names and a line of numbers.
fn counters(text: &mut String, statistics: &VersionStatistics, procedures: std::ops::Range<usize>) {
    let (mut names, mut numbers) = (String::new(), String::new());
    for procedure in procedures {
        let name = match COLUMNS.get(procedure) {
            Some(&"GETADDR") if statistics.version == 2 => "GETPORT",
            Some(name) => name,
            None => "",
        };
        let number = counter(statistics, procedure);
        let width = 8 * (1 + number.len() / 8);
        names.push_str(&padded(name, width));
        numbers.push_str(&padded(&number, width));
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "{names}\n{numbers}");
}

fn counter(statistics: &VersionStatistics, procedure: usize) -> String {
    let total = calls(statistics, procedure);
    match procedure {
        SET => format!("{}/{total}", statistics.set),
        UNSET => format!("{}/{total}", statistics.unset),
        GETADDR => {
            let found = statistics.lookups.iter().fold(0_i32, |sum, one| sum.wrapping_add(one.success));
            // The port mapper counts what GETADDRLIST finds among the look-ups of version 4.
            let lists = if statistics.version == 4 { calls(statistics, GETADDRLIST) } else { 0 };
            format!("{found}/{}", total.wrapping_add(lists))
        }
        CALLIT => {
            let made = statistics.remote_calls.iter().fold(0_i32, |sum, one| sum.wrapping_add(one.success));
            format!("{made}/{total}")
        }
        _ => total.to_string(),
    }
}

fn lookups(text: &mut String, lookups: &[Lookups]) {
    text.push_str("prog\t\tvers\tnetid\t  success\tfailure\n");
    for one in lookups {
        text.push_str(&padded(&name(one.service.as_ref(), one.program), 16));
        let (version, netid) = (one.version.cast_signed(), one.netid.shown());
        let _ = writeln!(text, "{version}\t{netid}\t  {:<12}\t{}", one.success, one.failure);
    }
}

fn remote_calls(text: &mut String, statistics: &VersionStatistics) {
    let indirect = statistics.version == 4;
    let counts = if indirect { "indirect success failure" } else { "success\tfailure" };
    let _ = writeln!(text, "prog\t\tvers\tproc\tnetid\t{counts}");
    for one in &statistics.remote_calls {
        text.push_str(&remote_call(one, indirect));
    }
}

fn remote_call(one: &RemoteCalls, indirect: bool) -> String {
    let mut line = padded(&name(one.service.as_ref(), one.program), 16);
    let (version, procedure) = (one.version.cast_signed(), one.procedure.cast_signed());
    let _ = write!(line, "{version}\t{procedure}\t{}\t", one.netid.shown());
    if indirect {
        let _ = write!(line, "{}\t ", one.indirect);
    }
    let _ = writeln!(line, "{}\t{}", one.success, one.failure);
    line
}

fn name(service: Option<&String>, program: u32) -> String {
    service.cloned().unwrap_or_else(|| program.cast_signed().to_string())
}
