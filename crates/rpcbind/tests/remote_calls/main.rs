//! Remote calls for real: the port mapper, its services and those who look for them, on hosts of one network.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

mod finding;
mod group;
mod told;

use testkit::DaemonKind;

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");

/// Our daemon with remote calls on.
fn ours() -> DaemonKind {
    DaemonKind::ours(RPCBIND).arguments(["-f", "-r"])
}
