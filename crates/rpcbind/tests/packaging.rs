//! The units that are shipped: how much they leave to the daemon, and that the daemon can do with that.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use oncrpc::{Program, bind};
use testkit::strace::STRACE;
use testkit::{Namespace, Process, ask, programs, wait};

const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
const ANALYZE: &str = "/usr/bin/systemd-analyze";
/// The most that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: &str = "15";

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name)
}

fn unit() -> String {
    std::fs::read_to_string(shipped("rpcbind.service")).unwrap()
}

#[test]
fn the_unit_leaves_little_to_the_daemon() {
    testkit::require!(ANALYZE);
    let (threshold, unit) = (format!("--threshold={EXPOSURE_MAX}"), shipped("rpcbind.service"));
    let words = ["security", "--offline=true", "--no-pager", &threshold];
    let judged = Command::new(ANALYZE).args(words).arg(unit).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn the_unit_hides_no_uid_and_no_socket_from_the_daemon() {
    let unit = unit();
    let settings: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    for hides in ["PrivateUsers=", "PrivateNetwork=", "NetworkNamespacePath=", "DynamicUser=", "PrivateIPC="]
    {
        assert!(!settings.iter().any(|line| line.starts_with(hides)), "{hides}");
    }
    for needed in [
        "LimitNOFILE=20480",
        "MemoryMax=256M",
        "RuntimeDirectory=rpcbind",
        "RuntimeDirectoryPreserve=yes",
        "Type=notify",
        "Restart=on-failure",
    ] {
        assert!(settings.contains(&needed), "{needed}");
    }
}

#[test]
fn the_units_filter_allows_every_system_call_of_a_whole_run() {
    testkit::require!(ANALYZE, STRACE, "/usr/bin/setpriv");
    let home = Namespace::new().unwrap();
    let user = testkit::namespace::uid_of("_rpc").unwrap().to_string();
    let (directory, program) = (tempfile::tempdir().unwrap(), PathBuf::from("/var/lib/rpcbind-under-test"));
    // As the unit starts it: the user, no capability, no way to more, the state directory its own.
    programs::copy(&home, RPCBIND, &program).unwrap();
    home.expect("install", &["-d", "-o", &user, "/run/rpcbind"]).unwrap();
    let _manager = home.within(|| UnixDatagram::bind("/run/notify")).unwrap().unwrap();
    home.expect("chmod", &["777", "/run/notify"]).unwrap();
    let trace = directory.path().join("trace");
    let mut command = Command::new(STRACE);
    command.args(["-f", "-o"]).arg(&trace).args([
        "setpriv",
        "--reuid",
        &user,
        "--clear-groups",
        "--bounding-set=-all",
    ]);
    command
        .args(["--no-new-privs", "env", "FDSTORE=9", "NOTIFY_SOCKET=/run/notify"])
        .arg(&program)
        .args(["-f", "--port", "0"]);
    let daemon = Process::spawn(&home, &mut command).unwrap();
    wait::until("ready", || Ok(daemon.stderr().contains("; running as ").then_some(()))).unwrap();
    assert!(!daemon.stderr().contains("not confined"), "{}", daemon.stderr());
    assert!(!daemon.stderr().contains("in memory only"), "{}", daemon.stderr());
    // A look-up over each transport, and a change, for which the kernel is asked who the caller is.
    let said = daemon.stderr();
    let port = said.split("tcp 0.0.0.0:").nth(1).unwrap().split(',').next().unwrap();
    let address = format!("127.0.0.1:{port}");
    assert_eq!(ask::over(ask::tcp(&home, &address), &ask::getport()).unwrap().len(), 28);
    let client = ask::udp(&home, "127.0.0.1", address.parse().unwrap());
    assert_eq!(ask::over_udp(&client, &ask::getport()).unwrap().len(), 28);
    let set = ask::call(bind::V2, bind::SET, ask::mapping(Program(400_000), 7_777));
    assert_eq!(ask::results(&ask::over_udp(&client, &set).unwrap()), [0, 0, 0, 1]);
    home.expect("pkill", &["-x", "-HUP", "rpcbind-under-t"]).unwrap();
    let is_read = || Ok(daemon.stderr().contains("the rules were read again").then_some(()));
    wait::until("a reload", is_read).unwrap();
    home.expect("pkill", &["-x", "rpcbind-under-t"]).unwrap();
    assert!(daemon.finish().unwrap().status.success());
    let text = std::fs::read_to_string(&trace).unwrap();
    // From the last execve on it is the daemon.
    let after = text.rfind("execve(").unwrap();
    let made: BTreeSet<&str> = text[after..]
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('('))
        .map(|(name, _)| name)
        .collect();
    // Of the start, and of each thing that was done.
    for call in
        ["memfd_create", "seccomp", "accept4", "recvmmsg", "sendmmsg", "sendto", "fdatasync", "openat"]
    {
        assert!(made.contains(call), "{call} is not among {made:?}");
    }
    let allowed = allowed();
    let refused: Vec<_> = made.into_iter().filter(|name| !allowed.contains(*name)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// What the unit's SystemCallFilter= comes to.
fn allowed() -> BTreeSet<String> {
    let mut allowed = calls("@default");
    for line in unit().lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (line, is_taken_away) = line.strip_prefix('~').map_or((line, false), |line| (line, true));
        for name in line.split_whitespace() {
            let named = if name.starts_with('@') { calls(name) } else { BTreeSet::from([name.to_owned()]) };
            if is_taken_away {
                allowed.retain(|name| !named.contains(name));
            } else {
                allowed.extend(named);
            }
        }
    }
    allowed
}

/// The system calls of a group.
fn calls(group: &str) -> BTreeSet<String> {
    let listed = Command::new(ANALYZE).args(["syscall-filter", "--no-pager", group]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names =
        listed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names
        .flat_map(|name| if name.starts_with('@') { calls(name) } else { BTreeSet::from([name.to_owned()]) })
        .collect()
}
