//! A daemon that stands still, or ends by itself.

use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::activator::{Restart, UnitFile};
use testkit::kernel::{Door, Kernel};
use testkit::{Activator, Namespace};

use crate::{NO_SOCKETS, RPCBIND, SOCKETS, registered, supervised};

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

/// The settings of the shipped unit that say when the service is started again, and what is kept until then.
fn shipped() -> String {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/rpcbind.service");
    let unit = UnitFile::parse(&std::fs::read_to_string(packaging).unwrap()).unwrap();
    let settings = |section, keys: &[&str]| {
        let all = unit.section(section).filter(|(key, _)| keys.contains(key));
        let lines: String = all.map(|(key, value)| format!("{key}={value}\n")).collect();
        format!("[{section}]\n{lines}")
    };
    let lifetime = ["Restart", "RestartSec", "WatchdogSec", "FileDescriptorStoreMax"];
    let start = ["Type", "Environment", "EnvironmentFile", "ExecStart"];
    settings("Unit", &["StartLimitIntervalSec", "StartLimitBurst"])
        + &settings("Service", &[&lifetime[..], &start].concat())
}

/// A panic ends the process by SIGABRT, as the release build is told to; here the signal comes from outside.
#[test]
fn aborts_in_a_row_under_the_shipped_units_settings_are_each_followed_by_a_start_with_all_rows() {
    testkit::require!();
    let home = Arc::new(Namespace::new().unwrap());
    let activator = Activator::parse(&shipped(), SOCKETS).unwrap().binary(RPCBIND);
    let lifetime = activator.service.lifetime.clone();
    assert_eq!(lifetime.restart, Restart::OnFailure);
    assert!(lifetime.restart_delay <= Duration::from_millis(100), "{lifetime:?}");
    // Starting takes some time, too: so often in a row is more often than it can end.
    assert!(lifetime.start_burst > 5 && lifetime.store_max >= 72, "{lifetime:?}");
    let sockets = activator.open(&home).unwrap();
    let service = activator.supervise(home.clone(), sockets).unwrap();
    Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
    let before = registered(&home);
    assert_eq!(before.len(), 18);
    let mut times = Vec::new();
    for starts in 2..=6 {
        let began = Instant::now();
        service.signal(Signal::ABORT).unwrap();
        service.wait_ready(starts).unwrap();
        times.push(began.elapsed());
        assert_eq!(registered(&home), before);
    }
    times.sort_unstable();
    println!(
        "from the abort to ready: {:?}, the median of {}; {:?} at most",
        times[2],
        times.len(),
        times[4]
    );
    assert!(times[4] < Duration::from_secs(5), "{times:?}");
    assert_eq!((service.starts(), service.is_over()), (6, false));
    assert!(service.ends().iter().all(|end| end.status.signal() == Some(6)), "{:?}", service.ends());
}
