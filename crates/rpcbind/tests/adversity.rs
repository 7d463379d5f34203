//! The real daemon on a host that does not play along: no descriptors or memory for others, interfaces that come, go
//! and change their names, addresses that somebody else has.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use testkit::strace::STRACE;
use testkit::{Daemon, DaemonKind, Finished, Namespace, ask, table, wait};

const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
const LOOPBACK: &str = "127.0.0.1:111";

fn client(home: &Namespace) -> UdpSocket {
    ask::udp(home, "127.0.0.1", LOOPBACK.parse().unwrap())
}

/// A look-up with an xid of its own: a late reply to another one is not taken for its.
fn look_up() -> Vec<u8> {
    static XID: AtomicU32 = AtomicU32::new(1);
    let xid = XID.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    [&xid[..], &ask::getport()[4..]].concat()
}

/// One call, one reply.
fn is_answered(client: &UdpSocket) {
    assert_eq!(ask::over_udp(client, &look_up()).unwrap().len(), 28);
}

/// As often as it takes: what was sent before may have been too early, or be lost.
fn is_answered_in_time(client: &UdpSocket) {
    assert_eq!(ask::until_answered(client, &look_up()).len(), 28);
}

/// The daemon, some of whose system calls fail.
fn with_faults(home: &Namespace, faults: &str) -> Daemon {
    let inject = format!("inject={faults}");
    let kind = DaemonKind::ours(RPCBIND).traced(["-o", "/dev/null", "-e", &inject]);
    Daemon::start(home, &kind).unwrap()
}

#[test]
fn while_the_host_has_nothing_for_newcomers_datagrams_are_answered_and_then_newcomers_are() {
    testkit::require!(STRACE);
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"] {
        let home = Namespace::new().unwrap();
        let _daemon = with_faults(&home, &format!("accept4:error={error}:when=1..10"));
        let began = Instant::now();
        let mut stream = ask::tcp(&home, LOOPBACK);
        stream.write_all(&ask::as_record(&ask::getport())).unwrap();
        let client = client(&home);
        (0..20).for_each(|_| is_answered(&client));
        assert_eq!(table::record(&mut stream).unwrap().len(), 28, "{error}");
        // Ten attempts are as many pauses: in between the daemon rests.
        let took = began.elapsed();
        eprintln!("{error}: accepted after {took:?}");
        assert!(took >= Duration::from_millis(10 * 50), "{error}: {took:?}");
        // From then on newcomers are accepted as ever.
        for _ in 0..3 {
            assert_eq!(ask::over(ask::tcp(&home, LOOPBACK), &ask::getport()).unwrap().len(), 28, "{error}");
        }
    }
}

#[test]
fn datagrams_that_could_not_be_received_or_answered_are_when_they_are_sent_again() {
    testkit::require!(STRACE);
    for call in ["recvmmsg", "sendmmsg"] {
        for error in ["ENOMEM", "ENOBUFS"] {
            let home = Namespace::new().unwrap();
            let _daemon = with_faults(&home, &format!("{call}:error={error}:when=1..3"));
            let client = client(&home);
            is_answered_in_time(&client);
            is_answered(&client);
        }
    }
}

#[test]
fn interfaces_that_are_renamed_go_and_come_back_need_no_restart() {
    testkit::require!("/usr/sbin/rpcinfo");
    let (home, away) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    for round in 0..3 {
        let (address, there) = (format!("10.9.{round}.7"), format!("10.9.{round}.1"));
        let name = home.cable(&away, &[&format!("{address}/24")], &[&format!("{there}/24")]).unwrap();
        let to = format!("{address}:111").parse().unwrap();
        is_answered_in_time(&ask::udp(&away, &there, to));
        for change in [[&name, "down", ""], [&name, "name", "renamed"], ["renamed", "up", ""]] {
            let words = ["link", "set"].into_iter().chain(change).filter(|word| !word.is_empty());
            home.expect("ip", &words.collect::<Vec<_>>()).unwrap();
        }
        is_answered_in_time(&ask::udp(&away, &there, to));
        let list = away.expect("rpcinfo", &["-T", "udp", &address, "100000", "4"]).unwrap();
        assert!(list.contains("ready and waiting"), "{list}");
        home.expect("ip", &["link", "del", "renamed"]).unwrap();
        is_answered(&client(&home));
    }
    assert!(daemon.stop().unwrap().status.success());
}

#[test]
fn ipv6_that_is_switched_off_and_on_again_while_it_runs_needs_no_restart() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    let bound = || home.within(|| UdpSocket::bind("[::1]:0")).unwrap();
    let over_ipv6 = || ask::udp(&home, "::1", "[::1]:111".parse().unwrap());
    let switch = |off: &str| home.write("/proc/sys/net/ipv6/conf/all/disable_ipv6", off).unwrap();
    for _ in 0..2 {
        is_answered_in_time(&over_ipv6());
        switch("1");
        assert!(bound().is_err(), "there is no such address any more");
        is_answered(&client(&home));
        assert_eq!(table::dump(&home).unwrap().len(), 12);
        switch("0");
        // The address comes back when the kernel has brought the link's up again.
        wait::until("::1", || Ok(bound().is_ok().then_some(()))).unwrap();
    }
    is_answered_in_time(&over_ipv6());
    assert!(daemon.stop().unwrap().status.success());
}

/// Runs the daemon to its end.
fn end(home: &Namespace, arguments: &[&str]) -> (Finished, Duration) {
    let began = Instant::now();
    let end = home.run(Command::new(RPCBIND).arg("-f").args(arguments)).unwrap();
    (end, began.elapsed())
}

#[test]
fn an_address_that_somebody_else_has_ends_the_start_at_once_and_is_named() {
    testkit::require!();
    let udp = |address: &'static str| UdpSocket::bind(address).unwrap();
    let home = Namespace::new().unwrap();
    let held = home.within(|| udp("127.0.0.1:111")).unwrap();
    let fault = |named: &str| {
        let (end, took) = end(&home, &[]);
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.stderr.contains(named), "{named}: {end:?}");
        eprintln!("{named}: after {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    };
    fault("udp 0.0.0.0:111 is taken");
    drop(held);
    // A child that another test is just starting may hold it a moment longer.
    let free = || wait::until("a free port", || Ok(UdpSocket::bind("0.0.0.0:111").ok()));
    drop(home.within(free).unwrap().unwrap());
    let held = home.within(|| udp("[::1]:111")).unwrap();
    fault("udp [::]:111 is taken");
    drop(held);
    let held = home.within(|| UnixListener::bind("/run/rpcbind.sock")).unwrap().unwrap();
    fault("unix /run/rpcbind.sock is taken");
    drop(held);
    // Nobody listens there any more, but a child that another test is just starting for a moment: it is replaced.
    let start = || Ok(Daemon::start(&home, &DaemonKind::ours(RPCBIND)).ok());
    let daemon = wait::until("it is replaced", start).unwrap();
    assert_eq!(table::dump(&home).unwrap().len(), 12);
    assert!(daemon.stop().unwrap().status.success());
    home.within(|| std::fs::remove_file("/run/rpcbind.sock")).unwrap().unwrap();
    home.write("/run/rpcbind.sock", "a file").unwrap();
    fault("/run/rpcbind.sock exists and is not a socket");
}

#[test]
fn half_a_service_is_served_only_when_that_was_asked_for() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let held = home.within(|| UdpSocket::bind("[::1]:111")).unwrap().unwrap();
    let ours = DaemonKind::ours(RPCBIND).argument("--allow-partial");
    let daemon = Daemon::start(&home, &ours).unwrap();
    wait::until("a warning", || {
        let said = daemon.stderr();
        Ok((said.contains("udp [::]:111 is taken") && said.contains("going on without it")).then_some(()))
    })
    .unwrap();
    is_answered(&client(&home));
    let rows = table::dump(&home).unwrap();
    assert!(!rows.iter().any(|row| row.netid == "udp6"), "{rows:?}");
    drop(held);
}
