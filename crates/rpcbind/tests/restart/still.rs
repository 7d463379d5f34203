//! A daemon that stands still, or ends by itself.

use std::io::{self, Seek, SeekFrom, Write};
#[cfg(target_arch = "x86_64")]
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
#[cfg(target_arch = "x86_64")]
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::activator::{Restart, UnitFile};
use testkit::kernel::{Door, Kernel};
use testkit::{Activator, Namespace};

use crate::{NO_SOCKETS, RPCBIND, SOCKETS, registered, supervised};

/// Tells where functions are.
const NM: &str = "/usr/bin/nm";
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

/// Where functions of the daemon are in its file: of each the one whose name has this in it.
#[cfg(target_arch = "x86_64")]
fn places(parts: [&str; 2]) -> [u64; 2] {
    let names = Command::new(NM).arg(RPCBIND).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    parts.map(|part| {
        let line = names.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part}"));
        u64::from_str_radix(line.split_whitespace().next().unwrap(), 16).unwrap()
    })
}

/// Lets the daemon panic in the handler of the next message: the handler's first instruction becomes a jump.
#[cfg(target_arch = "x86_64")]
fn panic_in_the_handler(pid: u32) {
    let [handler, panic] = places(["7Service6handle", "9panicking19panic_cannot_unwind"]);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let distance = i64::try_from(panic).unwrap() - i64::try_from(handler + 5).unwrap();
    let jump = [&[0xe9][..], &i32::try_from(distance).unwrap().to_le_bytes()].concat();
    let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    memory.write_all_at(&jump, base + handler).unwrap();
}

/// Elsewhere it ends as it does by a panic, by a signal from outside.
#[cfg(not(target_arch = "x86_64"))]
fn panic_in_the_handler(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::ABORT).unwrap();
}

/// The panic is one that ends the process in every build, as all do in the release build.
#[test]
fn panics_in_a_row_under_the_shipped_units_settings_are_each_followed_by_a_start_with_all_rows() {
    testkit::require!(NM);
    let home = Arc::new(Namespace::new().unwrap());
    let activator = Activator::parse(&shipped(), SOCKETS).unwrap().binary(RPCBIND);
    let lifetime = activator.service.lifetime.clone();
    assert_eq!(lifetime.restart, Restart::OnFailure);
    assert!(lifetime.restart_delay <= Duration::from_millis(100), "{lifetime:?}");
    assert!(lifetime.start_burst > 5 && lifetime.store_max >= 72, "{lifetime:?}");
    let sockets = activator.open(&home).unwrap();
    let service = activator.supervise(home.clone(), sockets).unwrap();
    Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
    let before = registered(&home);
    assert_eq!(before.len(), 18);
    let mut times = Vec::new();
    for starts in 2..=6 {
        panic_in_the_handler(service.pid().unwrap());
        let began = Instant::now();
        assert!(Kernel::connect(&home, Door::Abstract).is_err(), "it is not answered");
        service.wait_ready(starts).unwrap();
        times.push(began.elapsed());
        assert_eq!(registered(&home), before);
    }
    times.sort_unstable();
    println!(
        "from the panic to ready: {:?}, the median of {}; {:?} at most",
        times[2],
        times.len(),
        times[4]
    );
    assert!(times[4] < Duration::from_secs(5), "{times:?}");
    assert_eq!((service.starts(), service.is_over()), (6, false));
    for end in service.ends() {
        assert_eq!(end.status.signal(), Some(6), "{end:?}");
        #[cfg(target_arch = "x86_64")]
        assert!(end.stderr.contains("panic in a function that cannot unwind"), "{end:?}");
    }
}
