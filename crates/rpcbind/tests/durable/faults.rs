//! Disks that are full, read-only or failing: every SET is answered TRUE, the state is said to be degraded, and it
//! recovers by itself.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use testkit::daemon::SOCKET;
use testkit::{Daemon, DaemonKind, Namespace, Ready, wait};

use crate::registrar::{register, registered, services};
use crate::{ours, start, strace};

/// From the moment that there is room again, on a busy machine; the daemon tries twice a second.
const RECOVERED: Duration = Duration::from_secs(2);
const DEGRADED: &str = "registrations are kept in memory only until they can be written";

/// A machine with a small file system for the state, a daemon in it, and what it tells the service manager.
struct House {
    home: Namespace,
    daemon: Daemon,
    manager: UnixDatagram,
}

impl House {
    fn new(mount: &str) -> Self {
        let home = Namespace::new().unwrap();
        shell(&home, mount);
        let manager = home
            .within(|| {
                let manager = UnixDatagram::bind("/run/notify").unwrap();
                std::fs::set_permissions("/run/notify", PermissionsExt::from_mode(0o777)).unwrap();
                manager
            })
            .unwrap();
        manager.set_nonblocking(true).unwrap();
        let kind: DaemonKind = ours().ready(Ready::AnswersUnix(PathBuf::from(SOCKET)));
        let daemon = Daemon::start(&home, &kind.variable("NOTIFY_SOCKET", "/run/notify")).unwrap();
        Self { home, daemon, manager }
    }

    /// What the service manager was told since the last time.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut message = [0; 4096];
        while let Ok(len) = self.manager.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..len]).into_owned();
            told.extend(text.lines().filter_map(|line| line.strip_prefix("STATUS=")).map(ToOwned::to_owned));
        }
        told
    }

    fn is_degraded(&self, why: &str) {
        let said = format!("{DEGRADED}: {why}");
        wait::until("degraded", || Ok(self.daemon.stderr().contains(&said).then_some(()))).unwrap();
        // The log is written first.
        let mut told = Vec::new();
        wait::until("told so", || {
            told.extend(self.told());
            Ok(told.last().is_some_and(|last| last.contains(&said)).then_some(()))
        })
        .unwrap();
        assert_eq!(self.daemon.stderr().matches(DEGRADED).count(), 1, "said once");
    }

    fn recovers(&self) {
        let from = Instant::now();
        let again = || Ok(self.daemon.stderr().contains("registrations are durable again").then_some(()));
        wait::until("recovered", again).unwrap();
        let took = from.elapsed();
        println!("durable again {} ms after there was room", took.as_millis());
        assert!(took < RECOVERED, "{took:?}");
        let mut told = Vec::new();
        wait::until("told so", || {
            told.extend(self.told());
            Ok((!told.is_empty()).then_some(()))
        })
        .unwrap();
        assert_eq!(told, ["serving"]);
    }

    /// Killed, started again, with all rows there.
    fn has_kept(self, count: u32) {
        self.daemon.kill().unwrap();
        let daemon = start(&self.home);
        assert_eq!(registered(&self.home), services(count));
        drop(daemon);
    }
}

fn shell(home: &Namespace, line: &str) {
    home.expect("/bin/sh", &["-c", line]).unwrap();
}

const SMALL: &str =
    "mount -t tmpfs -o size=64k,mode=755,uid=$(id -u _rpc),gid=$(id -g _rpc) tmpfs /run/rpcbind";

#[test]
fn a_full_disk_degrades_the_state_until_there_is_room() {
    testkit::require!("/sbin/rpcbind");
    let house = House::new(SMALL);
    register(&house.home, &services(5));
    assert_eq!(house.told(), ["serving"]);
    shell(&house.home, "! cat /dev/zero > /run/rpcbind/filler 2>/dev/null");
    // A page of the journal's may have room for the first ones.
    register(&house.home, &services(60)[5..]);
    house.is_degraded("No space left on device");
    shell(&house.home, "rm /run/rpcbind/filler");
    house.recovers();
    house.has_kept(60);
}

#[test]
fn a_disk_that_is_full_at_the_end_keeps_what_the_journal_has() {
    testkit::require!("/sbin/rpcbind");
    let house = House::new(SMALL);
    register(&house.home, &services(20));
    shell(&house.home, "! cat /dev/zero > /run/rpcbind/filler 2>/dev/null");
    let stopped = house.daemon.stop().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(stopped.stderr.contains("rpcbind.xdr is not written for the next rpcbind"), "{stopped:?}");
    let daemon = start(&house.home);
    assert_eq!(registered(&house.home), services(20));
    drop(daemon);
}

#[test]
fn a_read_only_disk_degrades_the_state_until_it_is_writable() {
    testkit::require!("/sbin/rpcbind");
    let house = House::new(&format!("{SMALL} && mount -o remount,ro /run/rpcbind"));
    register(&house.home, &services(5));
    house.is_degraded("Read-only file system");
    shell(&house.home, "mount -o remount,rw /run/rpcbind");
    house.recovers();
    house.has_kept(5);
}

/// A system call that fails for as long as strace says so.
fn failing(inject: &[&str], why: &str) {
    let house = House::new("true");
    register(&house.home, &services(5));
    house.told();
    let mut arguments = vec!["-o", "/dev/null"];
    arguments.extend(inject);
    let tracer = strace(&house.home, &house.daemon, &arguments);
    register(&house.home, &services(10)[5..]);
    house.is_degraded(why);
    tracer.terminate().unwrap();
    house.recovers();
    register(&house.home, &services(12)[10..]);
    house.has_kept(12);
}

#[test]
fn a_failing_fsync_degrades_the_state_until_it_succeeds() {
    testkit::require!("/usr/bin/strace");
    failing(&["-e", "inject=fdatasync:error=EIO"], "Input/output error");
}

#[test]
fn a_quota_degrades_the_state_until_it_is_raised() {
    testkit::require!("/usr/bin/strace");
    let journals = ["-P", "/run/rpcbind/journal", "-P", "/run/rpcbind/journal.new"];
    let inject = [&journals[..], &["-e", "inject=write:error=EDQUOT"]].concat();
    failing(&inject, "Disk quota exceeded");
}

#[test]
fn a_rename_that_fails_degrades_the_state_until_it_succeeds() {
    testkit::require!("/usr/bin/strace");
    // The first fsync fails once, so that there is a rename.
    let inject = ["-e", "inject=fdatasync:error=EIO:when=1", "-e", "inject=renameat,renameat2:error=EIO"];
    failing(&inject, "Input/output error");
}
