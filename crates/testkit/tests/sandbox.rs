//! The private machine of a test keeps what it promises, shown with Debian's rpcbind.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use testkit::{Daemon, DaemonKind, Namespace, Ready, table, wait};

#[test]
fn loopback_answers_in_both_families_and_run_is_private() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let listeners = home.within(|| {
        let four = TcpListener::bind("127.0.0.1:111").unwrap();
        let six = TcpListener::bind("[::1]:111").unwrap();
        TcpStream::connect("127.0.0.1:111").unwrap();
        TcpStream::connect("[::1]:111").unwrap();
        (four, six)
    });
    assert!(listeners.is_ok());
    let run = home.expect("ls", &["/run"]).unwrap();
    assert_eq!(run.lines().collect::<Vec<_>>(), ["ganesha", "lock", "rpcbind", "sendsigs.omit.d"]);
}

#[test]
fn writes_to_etc_and_var_stay_inside() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    home.write("/etc/portmap-testkit", "inside").unwrap();
    home.write("/var/lib/portmap-testkit/state", "inside").unwrap();
    assert_eq!(
        home.expect("cat", &["/etc/portmap-testkit", "/var/lib/portmap-testkit/state"]).unwrap(),
        "insideinside"
    );
    assert!(!std::path::Path::new("/etc/portmap-testkit").exists());
    assert!(!std::path::Path::new("/var/lib/portmap-testkit").exists());
}

#[test]
fn hosts_on_a_cable_reach_each_other_at_once() {
    testkit::require!();
    let (home, away) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    home.connect(&away, &["10.9.8.7/24", "fd00::7/64"], &["10.9.8.1/24", "fd00::1/64"]).unwrap();
    for address in ["10.9.8.7:999", "[fd00::7]:999"] {
        let server = home.within(|| UdpSocket::bind(address).unwrap()).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        away.within(|| UdpSocket::bind(any).unwrap().send_to(b"hello", address).unwrap()).unwrap();
        let mut heard = [0; 8];
        assert_eq!(server.recv(&mut heard).unwrap(), 5);
    }
}

#[test]
fn everything_inside_dies_with_the_namespace() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    // A process that has left its parent, as daemons do.
    let orphan = "setsid sleep 1000 >/dev/null 2>&1 & echo started";
    assert_eq!(home.expect("/bin/sh", &["-c", orphan]).unwrap(), "started\n");
    let mut child = home.spawn(Command::new("sleep").arg("1000")).unwrap();
    drop(home);
    assert_eq!(wait::until("the child's end", || child.ended()).unwrap().code(), None);
}

#[test]
fn debians_rpcbind_starts_says_ready_and_stops() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    let rows: Vec<String> = table::dump(&home).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(rows.len(), 12, "{rows:#?}");
    assert_eq!(rows[0], "100000 4 tcp6 ::.0.111 superuser");
    assert_eq!(rows[11], "100000 3 local /run/rpcbind.sock superuser");
    let stopped = daemon.stop().unwrap();
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert!(home.expect("ls", &["/run/rpcbind"]).unwrap().contains("rpcbind.xdr"));
}

#[test]
fn readiness_is_found_by_asking_too() {
    testkit::require!(DaemonKind::DEBIAN);
    for ready in [Ready::AnswersUnix("/run/rpcbind.sock".into()), Ready::AnswersTcp(111)] {
        let home = Namespace::new().unwrap();
        let daemon = Daemon::start(&home, &DaemonKind::debian().ready(ready)).unwrap();
        daemon.signal(Signal::HUP).unwrap();
        let killed = daemon.kill().unwrap();
        assert_eq!(killed.status.code(), None);
    }
}

#[test]
fn a_daemon_that_ends_at_once_is_an_error_with_its_words() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().unwrap();
    let error = Daemon::start(&home, &DaemonKind::debian().arguments(["-q"])).unwrap_err().to_string();
    assert!(error.contains("usage: rpcbind"), "{error}");
}
