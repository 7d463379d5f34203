//! Everything at once, for long: look-ups over every transport, changes, services that die, calls made for others,
//! broken messages, connections that are dropped, reloads, interfaces that come and go. Memory stays what it is once it
//! has settled, and afterwards there are as many descriptors and rows as before. How much is done in a second is
//! bounded. `PORTMAP_MIXED_SECONDS` says for how long; `cargo xtask soak` makes it half an hour.

mod broken;
mod changes;
mod clients;
mod look_ups;

use std::io::Write;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use testkit::programs::{COMPILER, TIRPC_HEADER};
use testkit::{table, wait};

use crate::{Scene, ask, calls};
use clients::{CLIENTS, Running};

/// How long without being told.
const SECONDS: u64 = 60;
/// From when on memory may not grow: at the latest, and of less than twice that.
const SETTLED_AFTER: u64 = 300;
/// By how much it may.
const GROWTH_MAX_KB: usize = 1_024;
/// Services that are there all the time; a list of them fits into a datagram.
const SERVICES: u32 = 100;
/// Where they are.
const SERVICES_PORT: u16 = 5_000;
/// What every configuration here has.
const CONFIGURATION: &str =
    "judge-every-seconds = 1\nexpire-dead-seconds = 1\nremote-calls = true\nremote-call-seconds = 1\n";

/// What the daemon has at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    after: Duration,
    resident_kb: usize,
    anonymous_kb: usize,
    descriptors: usize,
}

impl Sample {
    fn of(scene: &Scene, began: Instant) -> Self {
        Self {
            after: began.elapsed(),
            resident_kb: scene.kilobytes("Rss"),
            anonymous_kb: scene.kilobytes("Anonymous"),
            descriptors: scene.descriptors(),
        }
    }
}

/// What is registered, in an order of its own.
fn rows(scene: &Scene) -> Vec<String> {
    let mut rows: Vec<String> = table::dump(&scene.home).unwrap().iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

/// A figure that is to be seen although the test succeeds.
fn say(figure: &str) {
    std::io::stderr().write_all(format!("{figure}\n").as_bytes()).unwrap();
}

/// One sample each second, until the time is over or somebody has failed.
fn watch(scene: &Scene, running: &Running, lasts: Duration) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < lasts && !running.is_over() {
        thread::sleep(Duration::from_secs(1));
        let sample = Sample::of(scene, began);
        if samples.len() % 60 == 0 {
            say(&format!("{sample:?}"));
        }
        samples.push(sample);
    }
    samples
}

/// All clients at once; answers what was seen of the daemon. What each has done is told.
fn load(scene: &Scene, called: &UdpSocket, seconds: u64) -> Vec<Sample> {
    let running = Running::new();
    let (samples, calls_for_others) = thread::scope(|scope| {
        let service = scope.spawn(|| changes::answer(called, &running));
        for (client, done) in CLIENTS.iter().zip(running.done()) {
            scope.spawn(|| client.live(scene, &running, done));
        }
        let samples = watch(scene, &running, Duration::from_secs(seconds));
        running.end();
        (samples, service.join().unwrap())
    });
    let done = running.done().iter().map(|done| done.load(Ordering::Relaxed));
    for (client, done) in CLIENTS.iter().zip(done.clone()) {
        say(&format!("{done:>9} {}", client.name));
        assert!(done > 0, "{}", client.name);
    }
    say(&format!("{calls_for_others:>9} calls made for others, half of them never answered"));
    assert!(calls_for_others > 0);
    say(&format!("{seconds} s of mixed load, {} calls and events", done.sum::<u64>()));
    samples
}

/// Compares with the first sample from `settled` seconds on.
fn memory_has_settled(samples: &[Sample], settled: u64) {
    let later = samples.iter().skip_while(|sample| sample.after < Duration::from_secs(settled));
    let base = later.clone().next().unwrap();
    let most = |of: fn(&Sample) -> usize| later.clone().map(of).max().unwrap();
    let (resident, anonymous) = (most(|sample| sample.resident_kb), most(|sample| sample.anonymous_kb));
    say(&format!(
        "resident after {settled} s {} kB and later at most {resident} kB, anonymous {} kB and {anonymous} kB; \
         up to {} descriptors",
        base.resident_kb,
        base.anonymous_kb,
        most(|sample| sample.descriptors)
    ));
    assert!(resident <= base.resident_kb + GROWTH_MAX_KB, "{samples:?}");
    assert!(anonymous <= base.anonymous_kb + GROWTH_MAX_KB, "{samples:?}");
}

#[test]
fn under_mixed_load_memory_stays_what_it_is_and_no_descriptor_or_row_is_left() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    let _alone = crate::alone();
    let seconds = std::env::var("PORTMAP_MIXED_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let scene = Scene::new(CONFIGURATION);
    // Before anybody has connected.
    let descriptors_before = scene.descriptors();
    let (_listener, called) = changes::services(&scene);
    scene.register(SERVICES);
    let rows_before = rows(&scene);

    let samples = load(&scene, &called, seconds);

    changes::take_back(&scene);
    let mut left = (0, 0);
    let same = wait::until("as many descriptors and the same rows as before", || {
        let (descriptors, rows) = (scene.descriptors(), rows(&scene));
        left = (descriptors, rows.len());
        Ok((descriptors <= descriptors_before && rows == rows_before).then_some(()))
    });
    let before = (descriptors_before, rows_before.len());
    assert!(same.is_ok(), "{left:?} descriptors and rows, and {before:?} before");
    say(&format!("{left:?} descriptors and rows afterwards, {before:?} before"));
    memory_has_settled(&samples, (seconds / 2).min(SETTLED_AFTER));
    scene.is_well();
}
