//! From the start of a server to its first answer, and how large it is then.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oncrpc::bind;
use testkit::Namespace;

use super::{Bars, Column, NONE, Plan, Who};
use crate::account::{pin, resident_kb};
use crate::table::Line;
use crate::wire::{self, Question, Result};

/// How long a call waits for an answer or a refusal before the next one.
const ASK_AGAIN: Duration = Duration::from_millis(1);
/// How long a server may take at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may go on with what it has put off.
const REST: Duration = Duration::from_millis(100);

/// The time, and the resident memory.
pub(super) fn first_answer(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let (time, memory) = ("from start to first answer", "resident after the first answer");
    let (wants_time, wants_memory) = (plan.wants(time), plan.wants(memory));
    if !wants_time && !wants_memory {
        return Ok(());
    }
    let (mut times, mut memories) = ([const { Vec::new() }; 4], [const { Vec::new() }; 4]);
    let all = [(Column::Ours, Who::Ours), (Column::Debian, Who::Debian), (Column::Limit, Who::Limit(0))];
    for round in 0..plan.sizes.starts {
        for turn in 0..all.len() {
            let (column, who) = all[(round + turn) % all.len()];
            let (ms, kb) = start(plan, who).map_err(|error| format!("{who:?}: {error}"))?;
            times[column as usize].push(ms);
            memories[column as usize].push(kb);
        }
    }
    if wants_time {
        let bars = Bars { debian: Some(0.8), ..NONE };
        report(Line { name: time.to_owned(), unit: "ms", columns: times, bars });
    }
    if wants_memory {
        let bars = Bars { debian: Some(0.9), ..NONE };
        report(Line { name: memory.to_owned(), unit: "kB", columns: memories, bars });
    }
    Ok(())
}

/// Starts a server on a fresh host: milliseconds to its first answer, and kB.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn start(plan: &Plan, who: Who) -> Result<(f64, f64)> {
    let namespace = Namespace::new()?;
    let kind = who.kind(&plan.rpcbind)?;
    let mut command = Command::new(&kind.program);
    command.args(&kind.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let cores = plan.cores;
    let started = namespace.within(|| -> Result<_> {
        // The child is where its parent is.
        pin(0, cores.servers)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, bind::PORT))?;
        socket.set_read_timeout(Some(ASK_AGAIN))?;
        let call = Question::GetPort.call(bind::PROGRAM, Ipv4Addr::LOCALHOST)?;
        let began = Instant::now();
        let child = command.spawn()?;
        pin(0, cores.load)?;
        Ok((child, answered(&socket, &call, began)))
    })?;
    let (mut child, answered) = started?;
    std::thread::sleep(REST);
    let resident = resident_kb(child.id());
    child.kill()?;
    child.wait()?;
    Ok((answered?.as_secs_f64() * 1e3, resident? as f64))
}

/// Asks until there is an answer.
fn answered(socket: &UdpSocket, call: &[u8], began: Instant) -> Result<Duration> {
    let mut reply = [0; 512];
    while began.elapsed() < PATIENCE {
        // Refused while nobody is there; then the call that meets the server is the next one.
        let received = socket.send(call).and_then(|_| socket.recv(&mut reply));
        match received {
            Ok(len) => {
                let time = began.elapsed();
                return wire::check(&reply[..len], true).map(|_| time);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::WouldBlock | ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err("never answered".into())
}
