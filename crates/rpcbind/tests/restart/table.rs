//! The table with the service manager: where there is no state directory, where it is full or lost, and where what the
//! manager holds is not ours.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use rustix::process::Signal;
use testkit::activator::Supervised;
use testkit::kernel::{Door, Kernel};
use testkit::strace::{self, STRACE};
use testkit::{Namespace, journal};

use crate::{INSTALLED, NO_SOCKETS, install, registered, supervise, supervised};

const PYTHON: &str = "/usr/bin/python3";
/// A program that is nobody's.
const PROGRAM: u32 = 0x2000_0000;

fn shell(home: &Namespace, line: &str) {
    home.expect("/bin/sh", &["-c", line]).unwrap();
}

/// A machine where the state directory cannot be made.
fn without_directory() -> (Arc<Namespace>, Supervised) {
    let home = Arc::new(Namespace::new().unwrap());
    shell(&home, "rm -rf /run/rpcbind && touch /run/rpcbind");
    install(&home);
    let service = supervise(&home, NO_SOCKETS, "");
    (home, service)
}

fn kernel(home: &Namespace) -> Kernel {
    Kernel::connect(home, Door::Path).unwrap()
}

fn set(kernel: &mut Kernel, number: u32) -> io::Result<bool> {
    kernel.set(PROGRAM + number, 1, "tcp", "0.0.0.0.3.3")
}

/// The last line about its state that the manager was told.
fn status(service: &Supervised) -> String {
    service.told().iter().rev().find_map(|told| told.value("STATUS").map(str::to_owned)).unwrap_or_default()
}

#[test]
fn without_a_state_directory_the_table_outlives_kills_and_restarts_with_the_service_manager() {
    testkit::require!();
    let (home, service) = without_directory();
    let degraded = "serving; registrations are kept in memory only until they can be written: there is no state \
                    directory; the service manager was given that memory, too";
    assert_eq!(status(&service), degraded);
    kernel(&home).start_nfs_server().unwrap();
    let mut expected = registered(&home);
    assert_eq!(expected.len(), 18);
    for round in 0..3 {
        service.signal(Signal::KILL).unwrap();
        service.wait_ready(2 * round + 2).unwrap();
        assert_eq!(registered(&home), expected);
        assert!(set(&mut kernel(&home), u32::try_from(round).unwrap()).unwrap());
        expected = registered(&home);
        service.restart().unwrap();
        assert_eq!(registered(&home), expected);
        assert_eq!(status(&service), degraded);
    }
    assert_eq!(expected.len(), 21);
    kernel(&home).stop_nfs_server_of_6_12().unwrap();
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(8).unwrap();
    assert_eq!(registered(&home), expected[18..]);
    assert_eq!(service.stored().iter().filter(|name| *name == "kept-table").count(), 2);
}

#[test]
fn a_state_directory_that_is_lost_between_two_runs_costs_nothing() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    kernel(&home).start_nfs_server().unwrap();
    let before = registered(&home);
    // Not seen by the daemon that runs, which has it open.
    shell(&home, "rm -r /run/rpcbind");
    assert!(set(&mut kernel(&home), 1).unwrap());
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(2).unwrap();
    let after = registered(&home);
    assert_eq!(after[..18], before);
    assert_eq!(after.len(), 19);
    // It is in the state directory again, for a start without what the manager held.
    service.stop().unwrap();
    drop(service);
    let _service = supervise(&home, NO_SOCKETS, "");
    assert_eq!(registered(&home), after);
}

#[test]
fn files_that_a_run_without_the_state_directory_did_not_see_are_no_newer_than_its_table() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    assert!(set(&mut kernel(&home), 1).unwrap());
    // Its end writes the files of the C daemon, and they stay as they are.
    service.restart().unwrap();
    shell(&home, "mv /run/rpcbind /run/away && touch /run/rpcbind");
    service.restart().unwrap();
    assert!(set(&mut kernel(&home), 2).unwrap());
    let expected = registered(&home);
    assert_eq!(expected.len(), 2);
    service.restart().unwrap();
    shell(&home, "ls /run/away/rpcbind.xdr && rm /run/rpcbind && mv /run/away /run/rpcbind");
    service.restart().unwrap();
    assert_eq!(registered(&home), expected);
    assert_eq!(status(&service), "serving");
}

#[test]
fn what_a_full_disk_does_not_take_is_there_after_a_kill_and_the_newer_of_two_tables_counts() {
    testkit::require!();
    let home = Arc::new(Namespace::new().unwrap());
    shell(&home, "mkdir -p /run/rpcbind && mount -t tmpfs -o size=64k,mode=755 tmpfs /run/rpcbind");
    install(&home);
    let service = supervise(&home, NO_SOCKETS, "");
    assert!(set(&mut kernel(&home), 0).unwrap());
    assert_eq!(status(&service), "serving");
    shell(&home, "! cat /dev/zero > /run/rpcbind/filler 2>/dev/null");
    // A page of the journal's may have room for the first ones.
    let mut caller = kernel(&home);
    for number in 1..60 {
        assert!(set(&mut caller, number).unwrap());
    }
    service
        .wait("degraded", |service| {
            status(service).ends_with(
                "No space left on device (os error 28); the service manager was given that memory, too",
            )
        })
        .unwrap();
    assert!(caller.unset(PROGRAM + 7, 1, "", "").unwrap());
    let expected = registered(&home);
    assert_eq!(expected.len(), 59);
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(2).unwrap();
    assert_eq!(registered(&home), expected, "the journal is older, and is there");

    shell(&home, "rm /run/rpcbind/filler");
    service.wait("durable again", |service| status(service) == "serving").unwrap();
    // What has happened since then is in both.
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(3).unwrap();
    assert_eq!(registered(&home), expected);
}

/// The lengths of the two memory files.
fn lens(service: &Supervised) -> Vec<u64> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", service.pid().unwrap())).unwrap();
    let paths = open.map(|entry| entry.unwrap().path());
    let ours = paths.filter(|path| {
        std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:rpcbind-table"))
    });
    ours.map(|path| std::fs::metadata(path).unwrap().size()).collect()
}

/// Registers and unregisters until one more SET has the table written anew.
fn nearly_full(service: &Supervised, kernel: &mut Kernel) {
    let mut change = |is_set: bool| {
        let done = if is_set { set(kernel, 999) } else { kernel.unset(PROGRAM + 999, 1, "tcp", "") };
        assert!(done.unwrap());
    };
    let before = lens(service);
    change(true);
    let after = lens(service);
    change(false);
    // Of both files only the one that counts grows.
    let grows = (0..before.len()).find(|index| before[*index] != after[*index]).unwrap();
    journal::grow_to_the_brink(|| lens(service)[grows], change);
}

/// Kills the daemon before each of these system calls of a SET in turn. Answers how often.
fn killed_in_a_set(calls: &[&str], prepare: impl Fn(&Supervised, &mut Kernel)) -> usize {
    let (home, service) = without_directory();
    for number in 0..10 {
        assert!(set(&mut kernel(&home), number).unwrap());
    }
    let (mut kills, mut kept) = (0, 0);
    for call in calls {
        for ordinal in 1..20 {
            let starts = service.starts();
            let of = service.pid().unwrap();
            let pid = rustix::process::Pid::from_raw(i32::try_from(of).unwrap()).unwrap();
            prepare(&service, &mut kernel(&home));
            let mut expected = registered(&home);
            let inject = format!("inject={call}:signal=KILL:when={ordinal}");
            let tracer = strace::attach(&home, of, &["-o", "/dev/null", "-e", &inject]).unwrap();
            let answer = Kernel::connect(&home, Door::Path).and_then(|mut kernel| set(&mut kernel, 100));
            if answer.is_ok() {
                // Killed afterwards, or not at all: then now. This one, and not the one that comes after it.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            service.wait_ready(starts + 1).unwrap();
            tracer.finish().unwrap();
            let after = registered(&home);
            let is_kept = after.len() > expected.len();
            if is_kept {
                expected.push(after.last().unwrap().clone());
            }
            assert_eq!(after, expected, "killed before {call} {ordinal}");
            assert!(kernel(&home).unset(PROGRAM + 100, 1, "", "").unwrap());
            kept += usize::from(is_kept);
            if let Ok(answer) = answer {
                assert!(answer && is_kept, "acknowledged, and lost by a kill before {call} {ordinal}");
                break;
            }
            kills += 1;
        }
    }
    assert!(service.ends().iter().all(|end| end.status.signal() == Some(9)), "{:?}", service.ends());
    println!("killed at {kills} steps of a SET: {kept} rows kept");
    kills
}

#[test]
fn a_kill_before_any_system_call_of_a_set_loses_nothing_that_only_the_manager_holds() {
    testkit::require!(STRACE);
    let calls = ["accept4", "recvfrom", "write", "sendto", "epoll_ctl"];
    assert!(killed_in_a_set(&calls, |_, _| ()) >= calls.len());
}

#[test]
fn a_kill_while_the_next_table_is_written_loses_nothing_that_only_the_manager_holds() {
    testkit::require!(STRACE);
    let calls = ["write", "ftruncate", "lseek"];
    let kills = killed_in_a_set(&calls, nearly_full);
    assert!(kills > calls.len(), "there are two writes, {kills} kills");
}

/// A service that stores what is not ours under the name of our table.
const IMPOSTOR: &str = r#"#!/usr/bin/python3
import array, os, signal, socket
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.connect(os.environ["NOTIFY_SOCKET"])
def store(*descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    manager.sendmsg([b"FDSTORE=1\nFDNAME=kept-table\nFDPOLL=0"], rights)
huge = os.memfd_create("huge", 0)
os.truncate(huge, 10 << 40)
garbage = os.memfd_create("garbage", 0)
os.write(garbage, b"portmap journal\n" + bytes(range(255)) * 1000)
words = os.memfd_create("words", 0)
os.write(words, b"another format\n" * 1000)
unsealed = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
store(os.open("/etc/passwd", os.O_RDONLY), os.pipe()[0], huge, unsealed, garbage, words)
manager.send(b"READY=1")
signal.pause()
"#;

#[test]
fn what_the_manager_holds_under_the_tables_name_and_is_not_ours_is_said_and_let_go() {
    testkit::require!(PYTHON);
    let home = Arc::new(Namespace::new().unwrap());
    shell(&home, "rm -rf /run/rpcbind && touch /run/rpcbind");
    shell(&home, "mkdir /run/bin");
    home.write(INSTALLED, IMPOSTOR).unwrap();
    shell(&home, &format!("chmod 755 {INSTALLED}"));
    let service = supervise(&home, NO_SOCKETS, "Restart=always");
    service.wait("stored", |service| service.stored().len() == 6).unwrap();
    install(&home);
    service.restart().unwrap();
    assert_eq!(registered(&home), []);
    service
        .wait("two of our own", |service| {
            service.stored().iter().filter(|name| *name == "kept-table").count() == 2
        })
        .unwrap();
    kernel(&home).start_nfs_server().unwrap();
    let before = registered(&home);
    service.signal(Signal::KILL).unwrap();
    service.wait_ready(3).unwrap();
    assert_eq!(registered(&home), before);
    let said = service.ends().remove(1).stderr;
    let faults: BTreeSet<&str> = said
        .lines()
        .filter_map(|line| line.split_once("a table that the service manager holds is not read: "))
        .map(|(_, fault)| fault)
        .collect();
    let expected = [
        "10995116277760 bytes, over the limit of 16777216",
        "not a memory file",
        "sealed in another way than ours",
    ];
    assert_eq!(faults, expected.into());
    for fault in ["wrong checksum in the frame at byte 16", "not a journal of this version"] {
        assert!(said.contains(&format!("the table that the service manager holds: {fault}")), "{said}");
    }
}
