//! Attacks on the real daemon, from its own machine and from another one over a cable: what a stranger may not make it
//! send, change, open or hold. The long ones run with a small count; `PORTMAP_FULL=1` makes it the full one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

mod access;
mod amplification;
mod calls;
mod credentials;
mod crowds;
mod forged;
mod forwarding;
mod frames;
mod group;
mod interfaces;
mod lengths;
mod logs;
mod memory;
mod mixed;
mod remote_calls;
mod sockets;
mod truncated;
mod users;

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use testkit::{Daemon, DaemonKind, Namespace, ask, proc};

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
/// The daemon's machine, as the stranger sees it.
const HERE4: &str = "10.1.0.1";
const HERE6: &str = "fd01::1";
/// The stranger's.
const THERE4: &str = "10.1.0.9";
const THERE6: &str = "fd01::9";

/// So many in the full run, so many otherwise.
fn count(full: usize, small: usize) -> usize {
    if is_full() { full } else { small }
}

/// Whether this is the full run: then the figures for a quiet machine are asserted, too.
fn is_full() -> bool {
    std::env::var_os("PORTMAP_FULL").is_some_and(|value| !value.is_empty())
}

/// Whoever floods or measures waits for the others of these tests that do: a flood fills queues of the kernel that all
/// machines share.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replies to strangers that are not limited in their number: what is sent is counted, not what is held back.
const UNLIMITED: &str = "[limits]\nreplies-per-second = 1000000\nreplies-burst = 1000000\n\
                         errors-per-second = 1000000\nerrors-burst = 1000000\n";

/// The daemon's machine with the daemon running in it, and a stranger's joined by a cable.
struct Scene {
    home: Namespace,
    other: Namespace,
    /// The name of both ends of the cable.
    cable: String,
    daemon: Daemon,
}

impl Scene {
    fn new(configuration: &str) -> Self {
        Self::started(configuration, &DaemonKind::ours(RPCBIND))
    }

    fn started(configuration: &str, kind: &DaemonKind) -> Self {
        let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let (here4, here6) = (format!("{HERE4}/24"), format!("{HERE6}/64"));
        let (there4, there6) = (format!("{THERE4}/24"), format!("{THERE6}/64"));
        let there = [&there4, &there6, "10.2.0.9/24"];
        let cable = home.cable(&other, &[&here4, &here6], &there).unwrap();
        home.expect("ip", &["route", "add", "10.2.0.0/24", "dev", &cable]).unwrap();
        home.write("/etc/rpcbind.toml", configuration).unwrap();
        let daemon = Daemon::start(&home, kind).unwrap();
        Self { home, other, cable, daemon }
    }

    /// Registers so many services, as root.
    fn register(&self, services: u32) {
        let stream = ask::unix(&self.home, testkit::daemon::SOCKET);
        for program in 0..services {
            let set = calls::set(400_000 + program, 1, "udp", "0.0.0.0.19.136");
            assert_eq!(ask::results(&ask::over(&stream, &set).unwrap()), calls::TRUE);
        }
    }

    /// A number of kilobytes that the kernel tells about the daemon: `Rss`, `Anonymous`, `VmPeak`. The first two are
    /// counted page by page: the sums that the kernel keeps of them may be late.
    fn kilobytes(&self, what: &str) -> usize {
        let file = if what.starts_with("Vm") { "status" } else { "smaps_rollup" };
        let table = std::fs::read_to_string(format!("/proc/{}/{file}", self.daemon.pid())).unwrap();
        let value = table.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
        value.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// CPU time of the daemon so far, in hundredths of a second.
    fn cpu_ticks(&self) -> u64 {
        proc::cpu_ticks(self.daemon.pid()).unwrap()
    }

    /// How many descriptors the daemon has open.
    fn descriptors(&self) -> usize {
        proc::descriptors(self.daemon.pid()).unwrap()
    }

    /// The daemon answers everywhere.
    fn is_well(&self) {
        let null = calls::null(4);
        for (from, to) in [("127.0.0.1", "127.0.0.1:111"), ("::1", "[::1]:111")] {
            let client = ask::udp(&self.home, from, to.parse().unwrap());
            assert_eq!(ask::over_udp(&client, &null).unwrap().len(), 24, "{to}");
            assert_eq!(ask::over(ask::tcp(&self.home, to), &null).unwrap().len(), 24, "{to}");
        }
        let unix = ask::unix(&self.home, testkit::daemon::SOCKET);
        assert_eq!(ask::over(unix, &null).unwrap().len(), 24);
    }
}

/// Does something as this user, in a machine.
fn as_user<T: Send>(home: &Namespace, uid: u32, work: impl FnOnce() -> T + Send) -> T {
    home.within(|| {
        let uid = Uid::from_raw(uid);
        set_thread_res_uid(uid, uid, uid).unwrap();
        work()
    })
    .unwrap()
}

fn here4() -> SocketAddr {
    format!("{HERE4}:111").parse().unwrap()
}

fn here6() -> SocketAddr {
    format!("[{HERE6}]:111").parse().unwrap()
}
