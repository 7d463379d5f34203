//! What a service manager reads on its socket, path and abstract.

#![expect(clippy::expect_used, reason = "a test's own functions are tests too")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rpcbind::notify::{Notifier, watchdog_interval};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

#[test]
fn each_message_has_the_words_that_the_manager_knows() {
    let (manager, notifier) = pair();
    let says = |expected: &str| assert_eq!(received(&manager), expected);
    notifier.ready("12 rows").expect("sent");
    says("READY=1\nSTATUS=12 rows");
    notifier.status("two\nlines\tand a bell\u{7}").expect("sent");
    says("STATUS=two lines and a bell ");
    notifier.watchdog().expect("sent");
    says("WATCHDOG=1");
    notifier.main_pid(4711).expect("sent");
    says("MAINPID=4711");
    notifier.stopping().expect("sent");
    says("STOPPING=1");
    let uptime = |text: &str| text.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
    let before = uptime(&std::fs::read_to_string("/proc/uptime").expect("uptime")).expect("seconds");
    notifier.reloading().expect("sent");
    let said = received(&manager);
    let time = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("the reload's words");
    let seconds = time.parse::<u64>().expect("microseconds") / 1_000_000;
    assert!((seconds as f64 - before).abs() < 3600.0, "{said} is no time since the start, {before}");
}

#[test]
fn a_path_is_connected_once_and_not_looked_up_again() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    let notifier = Notifier::open(Some(path.as_os_str())).expect("connected");
    std::fs::remove_file(&path).expect("removed");
    notifier.ready("").expect("sent");
    assert_eq!(received(&manager), "READY=1\nSTATUS=");
}

#[test]
fn descriptors_go_along() {
    let (manager, notifier) = pair();
    let files = [File::open("/dev/null").expect("null"), File::open("/dev/zero").expect("zero")];
    notifier.send("FDSTORE=1\nFDNAME=state", &[files[0].as_fd(), files[1].as_fd()]).expect("sent");
    let (mut bytes, mut space) = ([0; 64], [MaybeUninit::uninit(); 256]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(&manager, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
    assert_eq!(&bytes[..got.expect("received").bytes], b"FDSTORE=1\nFDNAME=state");
    let mut passed = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed.extend(descriptors.map(File::from));
        }
    }
    let numbers = |files: &[File]| -> Vec<u64> {
        files.iter().map(|file| file.metadata().expect("a device").rdev()).collect()
    };
    assert_eq!(numbers(&passed), numbers(&files));
    let many = vec![files[0].as_fd(); 254];
    assert_eq!(notifier.send("FDSTORE=1", &many).expect_err("too many").kind(), ErrorKind::InvalidInput);
}

#[test]
fn without_a_manager_every_message_succeeds() {
    let notifier = Notifier::open(None).expect("nobody");
    notifier.ready("status").expect("nothing to do");
    notifier.reloading().expect("nothing to do");
    notifier.send("FDSTORE=1", &[File::open("/dev/null").expect("null").as_fd()]).expect("nothing to do");
    notifier.watchdog().expect("nothing to do");
    notifier.stopping().expect("nothing to do");
}

#[test]
fn a_name_where_nobody_listens_is_an_error_that_says_which() {
    for (name, why) in [
        ("/nonexistent/notify", "NOTIFY_SOCKET \"/nonexistent/notify\": No such file"),
        ("@portmap-test-nobody", "NOTIFY_SOCKET \"@portmap-test-nobody\": Connection refused"),
        ("vsock:2:1234", "NOTIFY_SOCKET \"vsock:2:1234\": neither /path nor @name"),
        ("", "NOTIFY_SOCKET \"\": neither /path nor @name"),
    ] {
        let error = Notifier::open(Some(OsStr::new(name))).expect_err("nobody").to_string();
        assert!(error.starts_with(why), "{error}");
    }
}

#[test]
fn a_manager_that_does_not_read_delays_a_status_not_at_all_and_the_rest_a_second() {
    let (_manager, notifier) = pair();
    let begin = Instant::now();
    let full = (0..100_000).find_map(|_| notifier.status("filling").err()).expect("the queue has an end");
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(notifier.watchdog().expect_err("full").kind(), ErrorKind::WouldBlock);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(notifier.stopping().expect_err("still full").kind(), ErrorKind::WouldBlock);
    assert!(begin.elapsed() >= Duration::from_secs(1) && begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_sign_of_life_is_due_at_half_the_managers_patience() {
    let me = std::process::id().to_string();
    assert_eq!(watchdog_interval(Some("30000000"), Some(&me)), Some(Duration::from_secs(15)));
    assert_eq!(watchdog_interval(Some("30000000"), None), Some(Duration::from_secs(15)));
    assert_eq!(watchdog_interval(Some("30000000"), Some("1")), None);
    for absent in [None, Some("0"), Some(""), Some("soon"), Some("-5")] {
        assert_eq!(watchdog_interval(absent, Some(&me)), None, "{absent:?}");
    }
}

/// A manager on an abstract socket of its own, and a notifier connected to it.
fn pair() -> (UnixDatagram, Notifier) {
    let place = tempfile::tempdir().expect("a name that nobody else has");
    let name = format!("portmap-test{}", place.path().display());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("bound");
    let notifier = Notifier::open(Some(OsStr::new(&format!("@{name}")))).expect("connected");
    (manager, notifier)
}

fn received(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let len = manager.recv(&mut bytes).expect("a message");
    String::from_utf8(bytes[..len].to_vec()).expect("text")
}
