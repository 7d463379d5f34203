//! Who does what, on which machine, and how often at most.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Scene, broken, changes, look_ups};

/// Does one thing; is told the how manyth it is, and answers how many calls were answered or things have happened.
pub(super) type Turn<'s> = Box<dyn FnMut(u32) -> u64 + 's>;

/// One thread of load.
pub(super) struct Client {
    pub(super) name: &'static str,
    machine: Machine,
    per_second: u32,
    begin: fn(&Scene) -> Turn<'_>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// The daemon's.
    Home,
    /// The stranger's.
    Other,
    /// None: it enters the daemon's by itself.
    Outside,
}

const fn home(name: &'static str, per_second: u32, begin: fn(&Scene) -> Turn<'_>) -> Client {
    Client { name, machine: Machine::Home, per_second, begin }
}

const fn other(name: &'static str, per_second: u32, begin: fn(&Scene) -> Turn<'_>) -> Client {
    Client { name, machine: Machine::Other, per_second, begin }
}

const fn outside(name: &'static str, per_second: u32, begin: fn(&Scene) -> Turn<'_>) -> Client {
    Client { name, machine: Machine::Outside, per_second, begin }
}

/// All of them.
pub(super) const CLIENTS: [Client; 18] = [
    home("look-ups by datagram over IPv4", 400, |_| look_ups::datagrams("127.0.0.1", "127.0.0.1:111")),
    home("look-ups by datagram over IPv6", 400, |_| look_ups::datagrams("::1", "[::1]:111")),
    other("a stranger's datagrams over IPv4", 300, |_| look_ups::stranger(crate::THERE4, crate::here4())),
    other("a stranger's datagrams over IPv6", 300, |_| look_ups::stranger(crate::THERE6, crate::here6())),
    home("connections of one call", 60, |_| look_ups::connections(&["127.0.0.1:111", "[::1]:111"])),
    other("a stranger's connections of one call", 60, |_| look_ups::connections(&["10.1.0.1:111"])),
    home("a connection that stays", 50, |_| look_ups::connection_that_stays("127.0.0.1:111")),
    other("a stranger's connection that stays", 50, |_| look_ups::connection_that_stays("10.1.0.1:111")),
    home("unix connections", 100, |_| look_ups::unix()),
    home("root's changes over a unix connection", 100, |_| changes::over_unix()),
    home("root's changes over TCP", 30, |_| changes::over_tcp()),
    home("root's changes by datagram", 30, |_| changes::by_datagram()),
    home("a user's changes", 30, |_| changes::of_a_user()),
    home("services that die", 10, |_| changes::services_that_die()),
    other("broken messages and connections dropped half way", 100, |_| broken::messages()),
    outside("processes that register something and end", 3, changes::processes_that_register),
    outside("reloads", 2, changes::reloads),
    outside("interfaces that come and go", 2, changes::interfaces),
];

/// Whether it is still going on, and what has been done.
pub(super) struct Running {
    over: AtomicBool,
    done: [AtomicU64; CLIENTS.len()],
}

impl Running {
    pub(super) fn new() -> Self {
        Self { over: AtomicBool::new(false), done: [const { AtomicU64::new(0) }; CLIENTS.len()] }
    }

    pub(super) fn done(&self) -> &[AtomicU64] {
        &self.done
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Ends the others when one has failed.
struct EndsAll<'r>(&'r Running);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

impl Client {
    /// Takes its turns until it is over. What is late is not made up for.
    pub(super) fn live(&self, scene: &Scene, running: &Running, done: &AtomicU64) {
        let period = Duration::from_secs(1) / self.per_second;
        let live = || {
            let _ends_all = EndsAll(running);
            let mut turn = (self.begin)(scene);
            for number in 0.. {
                if running.is_over() {
                    return;
                }
                let began = Instant::now();
                done.fetch_add(turn(number), Ordering::Relaxed);
                thread::sleep(period.saturating_sub(began.elapsed()));
            }
        };
        match self.machine {
            Machine::Home => scene.home.within(live).unwrap(),
            Machine::Other => scene.other.within(live).unwrap(),
            Machine::Outside => live(),
        }
    }
}
