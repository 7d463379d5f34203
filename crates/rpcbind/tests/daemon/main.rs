//! The real daemon in a machine of its own: how it starts, what it says when it cannot, what it holds out, how it ends.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

mod ending;
mod serving;
mod starting;
mod system_calls;

use testkit::{Daemon, DaemonKind, Namespace, ask};

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");

fn ours() -> DaemonKind {
    DaemonKind::ours(RPCBIND)
}

/// A machine of its own with the daemon running in it.
fn house() -> (Namespace, Daemon) {
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &ours()).unwrap();
    (home, daemon)
}

/// Runs a shell command line in a machine and collects status and output.
fn shell(home: &Namespace, line: &str) -> testkit::Finished {
    home.run(std::process::Command::new("/bin/sh").args(["-c", line]).env("RPCBIND", RPCBIND)).unwrap()
}
