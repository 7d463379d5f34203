//! How many system calls one datagram costs, counted by strace.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use testkit::skip;

use super::{Bars, Clients, Column, GETADDR_V4, NONE, Plan, Side, Who};
use crate::load::ask_one_by_one;
use crate::table::Line;
use crate::wire::{Question, Result};

/// Requests while it counts.
const REQUESTS: u32 = 50;
/// Counts that are made; the least is the figure, since the daemon also looks around now and then on its own.
pub(crate) const COUNTS: usize = 3;

/// Lone requests.
pub(super) fn counted(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let all = [
        ("system calls of a lone UDP GETPORT", Question::GetPort),
        ("system calls of a lone UDP GETADDR v4", GETADDR_V4),
    ];
    let wanted: Vec<_> = all.into_iter().filter(|(name, _)| plan.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let start = |who| Side::start(who, &plan.rpcbind, plan.cores, plan.sizes.ordinary, Clients::Here);
    let sides = [start(Who::Ours)?, start(Who::Debian)?, start(Who::Limit(0))?];
    for (name, question) in wanted {
        let mut columns = [const { Vec::new() }; 4];
        for (side, column) in sides.iter().zip([Column::Ours, Column::Debian, Column::Limit]) {
            let counts = match (0..COUNTS).map(|_| count(side, question)).collect::<Result<Vec<f64>>>() {
                Ok(counts) => counts,
                Err(error) if plan.quick && !skip::is_forbidden() => {
                    println!("SKIPPED: {name}: {error}");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            columns[column as usize].push(counts.into_iter().fold(f64::INFINITY, f64::min));
        }
        let bars = Bars { absolute: Some(3.0), ..NONE };
        report(Line { name: name.to_owned(), unit: "", columns, bars });
    }
    Ok(())
}

/// The system calls of a server for each of some lone requests.
fn count(side: &Side, question: Question) -> Result<f64> {
    let mut strace = Command::new("strace")
        .args(["-f", "-p", &side.pid().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(strace.stderr.take().ok_or("no output")?).lines();
    let attached = lines.next().ok_or("strace ended")??;
    if !attached.contains("attached") {
        return Err(format!("strace: {attached}").into());
    }
    // Read as it comes: strace, and with it the server, would wait for a full pipe.
    let counting =
        std::thread::spawn(move || lines.map_while(std::io::Result::ok).filter(|line| is_call(line)).count());
    let asked = side.as_client(|| ask_one_by_one(question, &side.target, REQUESTS));
    let pid = Pid::from_raw(i32::try_from(strace.id())?).ok_or("no process")?;
    kill_process(pid, Signal::INT)?;
    strace.wait()?;
    let calls = u32::try_from(counting.join().map_err(|_| "the count failed")?)?;
    asked?;
    // The waits at the beginning and at the end are one call more or less: not as much as a tenth of one each.
    Ok((f64::from(calls) / f64::from(REQUESTS) * 10.0).round() / 10.0)
}

/// Whether a line begins a system call: no remark of strace's, and not the rest of one that was interrupted.
fn is_call(line: &str) -> bool {
    line.contains('(') && !line.starts_with("strace: ") && !line.contains(" resumed>")
}
