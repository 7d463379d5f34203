//! The real daemon under a wall clock that is set by years while it runs: a library that is loaded before the system's
//! adds to the time of day what a file says.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use oncrpc::bind;
use testkit::programs::{self, COMPILER, TIRPC_HEADER};
use testkit::{Daemon, DaemonKind, Namespace, ask, table, wait};

const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
const TEN_YEARS: i64 = 10 * 365 * 86_400;
/// How far the daemon's answer may be from the test's own reckoning, on a machine that is busy.
const LATE: u64 = 60;

/// Adds the seconds in a mapped file to the wall clock. No system call is made for it while the daemon is confined.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *offset;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
    offset = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
}
int clock_gettime(clockid_t id, struct timespec *time) {
    int result = real(id, time);
    if (id == CLOCK_REALTIME && offset != MAP_FAILED) time->tv_sec += *offset;
    return result;
}
"#;

fn build(directory: &Path) -> String {
    let (source, library) = (directory.join("clock.c"), directory.join("clock.so"));
    std::fs::write(&source, LIBRARY).unwrap();
    let mut compiler = Command::new(COMPILER);
    let compiled = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").output();
    let compiled = compiled.unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library.to_str().unwrap().to_owned()
}

/// What the daemon's GETTIME of version 4 says.
fn time(home: &Namespace) -> u32 {
    let call = ask::message(bind::V4, bind::GETTIME, &[]);
    let reply = ask::over(ask::unix(home, testkit::daemon::SOCKET), &call).unwrap();
    u32::from_be_bytes(ask::results(&reply).try_into().unwrap())
}

#[test]
fn a_daemon_whose_wall_clock_jumps_ten_years_tells_the_new_time_and_forgets_nobody() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    let home = Namespace::new().unwrap();
    home.write("/etc/rpcbind.toml", "judge-every-seconds = 1\nexpire-dead-seconds = 3600\n").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let offset = directory.path().join("offset");
    let file = std::fs::File::create_new(&offset).unwrap();
    // In place: the daemon has it mapped.
    let set_clock = |by: i64| file.write_all_at(&by.to_ne_bytes(), 0).unwrap();
    set_clock(0);
    let kind = DaemonKind::ours(RPCBIND)
        .variable("LD_PRELOAD", build(directory.path()))
        .variable("CLOCK_OFFSET", &offset);
    let daemon = Daemon::start(&home, &kind).unwrap();
    programs::register(&home, 1_000, "tcp", (600_000_001, 1), "0.0.0.0.8.8").unwrap();
    let said = |line: &str| wait::until(line, || Ok(daemon.stderr().contains(line).then_some(())));
    said("nothing is bound there any more").unwrap();
    for by in [TEN_YEARS, -TEN_YEARS, 0] {
        set_clock(by);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let expected = now.checked_add_signed(by).unwrap();
        let told = u64::from(time(&home));
        assert!((expected..expected + LATE).contains(&told), "{told}, {expected} expected");
        // New services are seen to die: it goes on judging.
        let program = 600_000_003 + u32::try_from(by.signum() + 1).unwrap();
        programs::register(&home, 1_000, "udp", (program, 1), "0.0.0.0.8.8").unwrap();
        said(&format!("program {program} version 1 on udp at 0.0.0.0.8.8: nothing is bound")).unwrap();
    }
    assert!(!daemon.stderr().contains("removed"), "{}", daemon.stderr());
    let rows = table::dump(&home).unwrap();
    assert_eq!(rows.iter().filter(|row| row.program >= 600_000_001).count(), 4);
    let stopped = daemon.stop().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
}
