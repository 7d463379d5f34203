//! Killed at random times under load. `PORTMAP_KILLS` says how often, `PORTMAP_STARTS` how many starts are timed;
//! `cargo xtask soak` sets both.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::time::{Duration, Instant};

use testkit::{Daemon, Namespace};

use crate::registrar::{Registrar, Service, register, registered, service, services};
use crate::start;

/// Kills and timed starts of a run that is not told how many.
const KILLS: usize = 25;
const STARTS: usize = 5;
/// SETs and UNSETs a second.
const RATE: u32 = 1_000;
/// The latest moment of a kill after the load has begun.
const LATEST_MS: u64 = 60;
/// Services that come and go.
const SERVICES: u32 = 40;

/// A figure that is to be seen although the test succeeds: how much was tried, and what came out.
fn say(figure: &str) {
    std::io::stderr().write_all(format!("{figure}\n").as_bytes()).unwrap();
}

fn configured(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn random(below: u64, salt: usize) -> u64 {
    RandomState::new().hash_one(salt) % below
}

/// What is registered, and the change that nobody has acknowledged yet.
#[derive(Default)]
struct Known {
    rows: Vec<Service>,
    pending: Option<(bool, Service)>,
    acknowledged: usize,
}

impl Known {
    /// Registers or unregisters one service, until the daemon is gone.
    fn load(&mut self, seed: usize) {
        let Ok(mut registrar) = Registrar::connect(0) else { return };
        let began = Instant::now();
        for step in 0.. {
            let chosen =
                Service { uid: 0, ..service(u32::try_from(random(SERVICES.into(), seed + step)).unwrap()) };
            let come = !self.rows.contains(&chosen);
            self.pending = Some((come, chosen.clone()));
            let answer = if come { registrar.set(&chosen) } else { registrar.unset(&chosen) };
            match answer {
                Ok(answer) => assert!(answer, "root's changes are taken"),
                Err(_) => return,
            }
            self.commit();
            self.acknowledged += 1;
            let due = Duration::from_secs(1) / RATE * u32::try_from(step + 1).unwrap();
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }

    /// The pending change is there.
    fn commit(&mut self) {
        match self.pending.take() {
            Some((true, service)) => self.rows.push(service),
            Some((false, service)) => self.rows.retain(|row| *row != service),
            None => {}
        }
    }

    /// Compares with what a daemon has after a kill; the pending change is there whole or not at all.
    fn check(&mut self, after: Vec<Service>, kill: usize) {
        if after != self.rows {
            let before = self.rows.clone();
            let pending = self.pending.clone();
            self.commit();
            assert!(after == self.rows, "kill {kill}: {pending:?} on {before:?} is {after:?}");
        }
        self.pending = None;
    }
}

#[test]
fn a_kill_at_a_random_time_loses_nothing_that_was_acknowledged() {
    testkit::require!();
    let kills = configured("PORTMAP_KILLS", KILLS);
    let home = Namespace::new().unwrap();
    let mut known = Known::default();
    let mut daemon = start(&home);
    for kill in 0..kills {
        let wait = Duration::from_micros(random(LATEST_MS * 1_000, kill));
        let signal = || {
            std::thread::sleep(wait);
            daemon.signal(rustix::process::Signal::KILL).unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(signal);
            home.within(|| known.load(kill)).unwrap();
        });
        daemon.kill().unwrap();
        daemon = start(&home);
        known.check(registered(&home), kill);
    }
    say(&format!(
        "killed at {kills} random times under {RATE} changes a second: {} acknowledged, 0 lost",
        known.acknowledged
    ));
    assert!(known.acknowledged > kills, "{} changes are no load", known.acknowledged);
    drop(daemon);
}

#[test]
fn the_time_from_a_kill_to_ready_with_1000_rows_is_printed() {
    testkit::require!();
    let starts = configured("PORTMAP_STARTS", STARTS);
    let home = Namespace::new().unwrap();
    let mut daemon = start(&home);
    register(&home, &services(1_000));
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..starts {
        daemon.kill().unwrap();
        let from = Instant::now();
        daemon = start(&home);
        times.push(from.elapsed());
    }
    times.sort_unstable();
    assert_eq!(registered(&home).len(), 1_000);
    say(&format!("ready again with 1,000 rows after {:?}, the median of {starts} starts", times[starts / 2]));
    drop::<Daemon>(daemon);
}
