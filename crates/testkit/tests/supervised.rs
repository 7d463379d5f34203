//! The Activator keeps a service running as a service manager does, shown with systemd's own library as the service's
//! side of the protocol: descriptor store, signs of life, reloads, restarts and their limit.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use rustix::process::Signal;
use testkit::activator::Supervised;
use testkit::{Activator, Namespace, wait};

const LIBRARY: &str = "/lib/x86_64-linux-gnu/libsystemd.so.0";
const PYTHON: &str = "/usr/bin/python3";

/// What the services begin with: systemd's library, what was passed by name, and a word to the manager.
const BEGIN: &str = r#"
import ctypes, os, signal, socket, sys, time
lib = ctypes.CDLL("libsystemd.so.0")
names = ctypes.POINTER(ctypes.c_char_p)()
count = lib.sd_listen_fds_with_names(0, ctypes.byref(names))
passed = [(names[at].decode(), 3 + at) for at in range(count)]
def tell(text, *descriptors):
    numbers = (ctypes.c_int * len(descriptors))(*descriptors)
    sent = lib.sd_pid_notify_with_fds(0, 0, text.encode(), numbers, len(descriptors))
    assert sent > 0, (text, sent)
def say(text):
    print(text, file=sys.stderr, flush=True)
"#;

fn supervised(settings: &str, sockets: &str, script: &str) -> Supervised {
    let home = Arc::new(Namespace::new().unwrap());
    home.write("/run/service.py", &format!("{BEGIN}\n{script}")).unwrap();
    let service = format!("{settings}\nExecStart={PYTHON} /run/service.py\n");
    let activator = Activator::parse(&service, sockets).unwrap();
    let sockets = activator.open(&home).unwrap();
    activator.supervise(home, sockets).unwrap()
}

#[test]
fn what_is_stored_comes_back_behind_the_sockets_after_a_kill_and_after_a_restart_and_not_after_a_stop() {
    testkit::require!(LIBRARY, PYTHON);
    let script = r#"
say("passed " + " ".join(name for name, _ in passed))
kept = dict(passed)
if "memory" in kept:
    say("memory " + os.pread(kept["memory"], 99, 0).decode())
else:
    memory = os.memfd_create("x")
    os.write(memory, b"remembered")
    tell("FDSTORE=1\nFDNAME=memory", memory)
    tell("FDSTORE=1\nFDNAME=gone", os.memfd_create("y"))
    tell("FDSTOREREMOVE=1\nFDNAME=gone")
    near, far = socket.socketpair()
    tell("FDSTORE=1\nFDNAME=closed", near.fileno())
    far.close()
    near, far = socket.socketpair()
    tell("FDSTORE=1\nFDNAME=open", near.fileno(), far.fileno())
    tell("FDSTORE=1", os.memfd_create("z"))
    tell("FDSTORE=1\nFDNAME=many", os.memfd_create("1"))
    tell("FDSTORE=1\nFDNAME=many", os.memfd_create("2"))
tell("READY=1")
signal.pause()
"#;
    let settings = "[Service]\nType=notify\nRestart=on-failure\nRestartSec=10ms\nFileDescriptorStoreMax=5";
    let sockets = "[Socket]\nListenStream=@a\nListenStream=@b\nFileDescriptorName=unit\n";
    let service = supervised(settings, sockets, script);
    service.wait("the closed one let go", |service| !service.stored().contains(&"closed".into())).unwrap();
    // Five at most at a time: `closed` may have had the place of the first of `many`, never of both.
    let stored = service.stored();
    assert_eq!(stored[..4], ["memory", "open", "open", "stored"], "{stored:?}");
    assert!(service.refused() >= 1 && stored.len() <= 5, "{stored:?}");
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(2).unwrap();
    service.restart().unwrap();
    assert_eq!(service.starts(), 3);
    let end = service.stop().unwrap();
    let names = format!("passed unit unit {}\nmemory remembered\n", stored.join(" "));
    assert_eq!(end.stderr, names);
    let ends = service.ends();
    assert_eq!(ends[0].stderr, "passed unit unit\n");
    assert_eq!(ends[0].status.signal(), Some(9));
    assert_eq!(ends[1].stderr, names);
    assert!(service.stored().is_empty() && service.is_over());
}

#[test]
fn a_service_that_gives_no_sign_of_life_is_aborted_and_started_again() {
    testkit::require!(LIBRARY, PYTHON);
    let script = r#"
patience = ctypes.c_uint64()
assert lib.sd_watchdog_enabled(0, ctypes.byref(patience)) > 0
say(str(patience.value))
tell("READY=1")
for _ in range(4):
    tell("WATCHDOG=1")
    time.sleep(patience.value / 2e6)
os.kill(os.getpid(), signal.SIGSTOP)
"#;
    let settings = "[Service]\nType=notify\nRestart=on-failure\nRestartSec=10ms\nWatchdogSec=500ms";
    let service = supervised(settings, "[Socket]\n", script);
    service.wait_ready(2).unwrap();
    let end = service.ends().remove(0);
    assert!(end.by_watchdog && end.status.signal() == Some(6), "{end:?}");
    assert_eq!(end.stderr, "500000\n");
    assert!(service.signs_of_life() >= 4);
}

#[test]
fn a_reload_is_over_when_the_service_has_said_both_that_it_began_and_that_it_is_ready() {
    testkit::require!(LIBRARY, PYTHON);
    let script = r#"
def reload(*_):
    tell("RELOADING=1\nMONOTONIC_USEC=%d" % (time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))
    say("reloaded")
    tell("READY=1")
signal.signal(signal.SIGHUP, reload)
tell("READY=1")
while True:
    signal.pause()
"#;
    let service = supervised("[Service]\nType=notify-reload", "[Socket]\n", script);
    service.reload().unwrap();
    service.reload().unwrap();
    assert_eq!(service.starts(), 1);
    assert_eq!(service.stop().unwrap().stderr, "reloaded\nreloaded\n");
}

#[test]
fn failures_are_followed_by_starts_up_to_a_limit_and_ordinary_ends_are_not() {
    testkit::require!(LIBRARY, PYTHON);
    let settings = |end: &str| {
        let unit = "[Unit]\nStartLimitBurst=3\n[Service]\nType=notify\nRestart=on-failure\nRestartSec=1ms";
        supervised(unit, "[Socket]\n", &format!("tell(\"READY=1\")\n{end}"))
    };
    for (end, starts) in [
        ("sys.exit(1)", 3),
        ("os.abort()", 3),
        ("sys.exit(0)", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", 1),
    ] {
        // It may have ended before it was seen to be ready.
        let service = settings(&format!("time.sleep(0.3)\n{end}"));
        wait::until("over", || Ok(service.is_over().then_some(()))).unwrap();
        assert_eq!(service.starts(), starts, "{end}");
    }
}
