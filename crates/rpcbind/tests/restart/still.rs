//! A daemon that stands still, or ends by itself.

use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::kernel::{Door, Kernel};

use crate::{NO_SOCKETS, registered, supervised};

/// An instruction that jumps to itself.
#[cfg(target_arch = "x86_64")]
const FOR_EVER: &[u8] = &[0xeb, 0xfe];
#[cfg(target_arch = "aarch64")]
const FOR_EVER: &[u8] = &[0x00, 0x00, 0x00, 0x14];

/// Lets a process that waits in a system call run in circles as soon as it returns from it.
fn run_in_circles(pid: u32) -> io::Result<()> {
    // The number of the call, its arguments, the stack pointer, and where it goes on.
    let place = testkit::wait::until("it waits", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall"))?;
        Ok(call.split_whitespace().nth(8).map(str::to_owned))
    })?;
    let place = u64::from_str_radix(place.trim_start_matches("0x"), 16).map_err(io::Error::other)?;
    let mut memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"))?;
    memory.seek(SeekFrom::Start(place))?;
    memory.write_all(FOR_EVER)
}

#[test]
fn a_daemon_that_was_stopped_or_runs_in_circles_is_ended_by_the_watchdog_and_keeps_its_rows() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "WatchdogSec=2s");
    Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
    let before = registered(&home);
    assert_eq!(before.len(), 18);
    // It is given longer than the interval, and lives by its signs of life.
    service.wait("signs of life", |service| service.signs_of_life() >= 4).unwrap();
    assert_eq!(service.starts(), 1);
    service.signal(Signal::STOP).unwrap();
    service.wait_ready(2).unwrap();
    assert_eq!(registered(&home), before);
    run_in_circles(service.pid().unwrap()).unwrap();
    service.wait_ready(3).unwrap();
    assert_eq!(registered(&home), before);
    let ends = service.ends();
    assert!(ends.iter().all(|end| end.by_watchdog && end.status.signal() == Some(6)), "{ends:?}");
}

/// A panic ends the process by SIGABRT, as the release build is told to; here the signal comes from outside.
#[test]
fn aborts_in_a_row_are_each_followed_by_a_start_with_all_rows() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
    let before = registered(&home);
    let mut longest = Duration::ZERO;
    for starts in 2..=6 {
        let began = Instant::now();
        service.signal(Signal::ABORT).unwrap();
        service.wait_ready(starts).unwrap();
        longest = longest.max(began.elapsed());
        assert_eq!(registered(&home), before);
    }
    eprintln!("from the abort to ready: {longest:?} at most");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}
