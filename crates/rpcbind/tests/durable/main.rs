//! Nothing is lost: the real daemon killed at every step, with full and failing disks, with damaged and hostile files,
//! and handing over to and from Debian's. What was acknowledged is there afterwards; what was not is whole or absent.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

mod damage;
mod faults;
mod handover;
mod killed;
mod random_kills;
mod registrar;

use std::process::Command;
use testkit::{Daemon, DaemonKind, Namespace, Process, wait};

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
/// Where it keeps its state.
const DIRECTORY: &str = "/run/rpcbind";
/// Its journal.
const JOURNAL: &str = "/run/rpcbind/journal";

fn ours() -> DaemonKind {
    DaemonKind::ours(RPCBIND)
}

fn start(home: &Namespace) -> Daemon {
    Daemon::start(home, &ours()).unwrap()
}

/// Attaches strace to a daemon, with these arguments, and waits until the daemon is traced.
fn strace(home: &Namespace, daemon: &Daemon, arguments: &[&str]) -> Process {
    // Strace runs outside of the namespace's processes, where the daemon has the number that the test sees.
    let pid = home.process_named("rpcbind").unwrap().unwrap_or_else(|| panic!("{daemon:?} is gone"));
    let mut inside = Command::new("strace");
    inside.args(["-f", "-q"]).args(arguments).args(["-p", &inner_pid(pid)]);
    let tracer = home.spawn(&mut inside).unwrap();
    // Or killed already: attaching interrupts a call, which is made again.
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("0");
        Ok((tracer.trim() != "0" || is_gone(pid)).then_some(()))
    };
    wait::until("traced", traced).unwrap();
    tracer
}

/// Whether a process has ended, collected or not.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// A process's number as its own namespace has it.
fn inner_pid(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    numbers.split_whitespace().last().unwrap().to_owned()
}
