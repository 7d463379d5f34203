//! The real daemon under a service manager that keeps it running: across restarts, upgrades, kills, and reloads nothing
//! is lost, refused or forgotten; when it stands still it is started again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

mod kept;
mod load;
mod still;
mod table;
mod upgrade;

use std::sync::Arc;

use testkit::activator::Supervised;
use testkit::{Activator, Namespace};

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
/// Where the unit finds it, so that it can be replaced by another while it runs.
const INSTALLED: &str = "/run/bin/rpcbind";
/// No sockets of the manager's: the daemon opens its own.
const NO_SOCKETS: &str = "[Socket]\n";
/// The sockets of Debian's unit.
const SOCKETS: &str = "[Socket]\nListenStream=/run/rpcbind.sock\nListenStream=0.0.0.0:111\n\
                       ListenDatagram=0.0.0.0:111\nBindIPv6Only=ipv6-only\nListenStream=[::]:111\n\
                       ListenDatagram=[::]:111\n";

/// Puts the binary where the unit finds it, in the place of the one before.
fn install(home: &Namespace) {
    testkit::programs::copy(home, RPCBIND, "/run/bin/new").unwrap();
    home.within(|| std::fs::rename("/run/bin/new", INSTALLED)).unwrap().unwrap();
}

/// A machine with the daemon under a manager, with these sockets and more settings of its unit.
fn supervised(sockets: &str, settings: &str) -> (Arc<Namespace>, Supervised) {
    let home = Arc::new(Namespace::new().unwrap());
    install(&home);
    let service = supervise(&home, sockets, settings);
    (home, service)
}

/// Starts whatever is installed in a machine, under a manager.
fn supervise(home: &Arc<Namespace>, sockets: &str, settings: &str) -> Supervised {
    let service = format!(
        "[Unit]\nStartLimitBurst=50\n[Service]\nType=notify-reload\nRestart=on-failure\nRestartSec=1ms\n\
         FileDescriptorStoreMax=80\nExecStart={INSTALLED} -f\n{settings}\n"
    );
    let activator = Activator::parse(&service, sockets).unwrap();
    let sockets = activator.open(home).unwrap();
    activator.supervise(home.clone(), sockets).unwrap()
}

/// The rows of services, without the port mapper's own.
fn registered(home: &Namespace) -> Vec<testkit::table::Row> {
    let mut rows = testkit::table::dump(home).unwrap();
    rows.retain(|row| row.program != 100_000);
    rows
}

/// Whether a connection is stored.
fn has_connection(service: &Supervised) -> bool {
    service.stored().iter().any(|name| name.starts_with("kept-connection-"))
}
