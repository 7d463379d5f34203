//! What a request costs in system calls, as strace(1) sees the daemon. What the loop does by its own clock may come in
//! between, but not each time.

use std::io::{Read, Write};
use std::path::PathBuf;

use testkit::strace::STRACE;
use testkit::{Daemon, Namespace, wait};

use crate::{ask, ours};

const LOOPBACK: &str = "127.0.0.1:111";

/// A daemon with all its system calls in a file.
struct Traced {
    trace: PathBuf,
    _daemon: Daemon,
    _directory: tempfile::TempDir,
}

impl Traced {
    fn start(home: &Namespace) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let trace = directory.path().join("trace");
        let kind = ours().traced(["-o".as_ref(), trace.as_os_str()]);
        Self { _daemon: Daemon::start(home, &kind).unwrap(), _directory: directory, trace }
    }

    /// The names of the calls so far.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.trace).unwrap();
        let name = |line: &str| Some(line.split_once('(')?.0.to_owned());
        // Without optimisation the standard library looks at each descriptor before it closes it.
        let calls = text.lines().filter_map(name).filter(|call| call != "fcntl");
        // Which of these two it is is the C library's business.
        calls
            .map(|call| call.replace("epoll_pwait2", "epoll_wait").replace("epoll_pwait", "epoll_wait"))
            .collect()
    }

    /// The names of the calls so far, as soon as one was made so often.
    fn until(&self, call: &str, times: usize) -> Vec<String> {
        let count = |calls: &[String]| calls.iter().filter(|name| *name == call).count();
        wait::until("the trace", || Ok(Some(self.calls()).filter(|calls| count(calls) >= times))).unwrap()
    }

    fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|name| *name == call).count()
    }

    /// Asks once over a connection of its own, and again when the daemon has closed that, until these calls were made
    /// for it: the call has to be there when the connection is accepted, which is the client's luck.
    fn ask_until<S: Read + Write>(&self, wanted: &[&str], connect: impl Fn() -> S) {
        let mut calls = vec![];
        let found = wait::until("these calls", || {
            let closed = self.count("close");
            ask::over(connect(), &ask::getport())?;
            self.until("close", closed + 1);
            calls = self.calls();
            Ok(contain(&calls, wanted).then_some(()))
        });
        assert!(found.is_ok(), "{wanted:?} in {:?}", &calls[calls.len().saturating_sub(300)..]);
    }
}

fn contain(calls: &[String], wanted: &[&str]) -> bool {
    calls.windows(wanted.len()).any(|calls| *calls == *wanted)
}

#[test]
fn a_lone_datagram_costs_three_system_calls() {
    testkit::require!(STRACE);
    let home = Namespace::new().unwrap();
    let traced = Traced::start(&home);
    let client = ask::udp(&home, "127.0.0.1", LOOPBACK.parse().unwrap());
    for _ in 0..40 {
        ask::over_udp(&client, &ask::getport()).unwrap();
    }
    let calls = traced.until("sendmmsg", 40);
    assert!(contain(&calls, &["epoll_wait", "recvmmsg", "sendmmsg"].repeat(4)), "{calls:?}");
}

#[test]
fn a_connection_for_one_call_is_accepted_read_answered_and_watched_and_read_and_closed() {
    testkit::require!(STRACE);
    let home = Namespace::new().unwrap();
    let traced = Traced::start(&home);
    let begin = ["epoll_wait", "accept4", "getsockname", "recvfrom", "sendto", "epoll_ctl"];
    let wanted = [&begin[..], &["epoll_wait", "recvfrom", "close", "epoll_wait"]].concat();
    traced.ask_until(&wanted, || ask::tcp(&home, LOOPBACK));
}

#[test]
fn a_unix_connection_costs_two_questions_about_its_peer_more() {
    testkit::require!(STRACE);
    let home = Namespace::new().unwrap();
    let traced = Traced::start(&home);
    let begin = ["epoll_wait", "accept4", "getsockopt", "getsockopt", "recvfrom", "sendto", "epoll_ctl"];
    let wanted = [&begin[..], &["epoll_wait", "recvfrom", "close", "epoll_wait"]].concat();
    traced.ask_until(&wanted, || ask::unix(&home, oncrpc::bind::SOCKET_PATH));
}
