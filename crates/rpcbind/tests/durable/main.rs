//! Nothing is lost: the real daemon killed at every step, with full and failing disks, with damaged and hostile files,
//! and handing over to and from Debian's. What was acknowledged is there afterwards; what was not is whole or absent.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

mod damage;
mod faults;
mod handover;
mod killed;
mod random_kills;
mod registrar;

use testkit::{Daemon, DaemonKind, Namespace, Process, strace};

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

/// Attaches strace to a daemon, with these arguments.
fn strace(home: &Namespace, daemon: &Daemon, arguments: &[&str]) -> Process {
    strace::attach(home, daemon.pid(), arguments).unwrap()
}
