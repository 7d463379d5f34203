//! What strangers and users can make the daemon write: one escaped line for each event, and not many of them.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use testkit::wait;

use crate::{Scene, THERE4, as_user, ask, calls, count, here4};

/// Strings that would do something to whoever reads them.
const ODD: [&str; 4] = ["udp\nrpcbind: error: forged", "\x1b[2J", "\r\x07\u{9b}", "\"'\\%s%n\0"];

#[test]
fn every_refused_change_is_a_line_with_who_what_and_why() {
    testkit::require!();
    let scene = Scene::new("");
    let said = |line: &str| {
        wait::until(line, || Ok(scene.daemon.stderr().lines().any(|said| said == line).then_some(())))
            .unwrap();
    };
    let unix = as_user(&scene.home, 1_000, || UnixStream::connect(testkit::daemon::SOCKET).unwrap());
    ask::over(&unix, &calls::set(100_003, 3, "udp", "0.0.0.0.8.1")).unwrap();
    said("rpcbind: warning: set of 100003 (nfs) refused to uid 1000: reserved program");
    ask::over(&unix, &calls::unset(100_000, 4, "")).unwrap();
    said("rpcbind: warning: unset of 100000 (portmapper) refused to uid 1000: the port mapper's own program");
    let udp = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let port = udp.local_addr().unwrap().port();
    ask::over_udp(&udp, &calls::set(500_000, 1, ODD[0], "0.0.0.0.8.1")).unwrap();
    said(&format!(
        "rpcbind: warning: set of 500000 refused to uid 0 at 127.0.0.1 port {port}: unknown netid"
    ));
    ask::over(ask::tcp(&scene.other, &here4().to_string()), &calls::set(500_000, 1, "udp", "0.0.0.0.19.136"))
        .unwrap();
    said("rpcbind: connect from 10.1.0.9 to set(500000) declined (non-loopback sender)");
    scene.home.write("/etc/hosts.deny", "rpcbind: 10.1.0.9\n").unwrap();
    wait::until("a refusal", || {
        Ok((ask::over(ask::tcp(&scene.other, &here4().to_string()), &calls::null(4))?.len() == 20)
            .then_some(()))
    })
    .unwrap();
    said("rpcbind: connect from 10.1.0.9 to null(): request from unauthorized host");
}

#[test]
fn strings_of_strangers_stay_in_their_line_and_the_lines_are_few() {
    testkit::require!();
    let _alone = crate::alone();
    let scene = Scene::new("");
    let began = Instant::now();
    let far = ask::udp(&scene.other, THERE4, here4());
    let unix = ask::unix(&scene.home, testkit::daemon::SOCKET);
    let local = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    for number in 0..count(1_000_000, 5_000) {
        let odd = ODD[number % ODD.len()];
        let messages = [
            calls::set(500_000, 1, odd, "0.0.0.0.19.136"),
            calls::set(500_000, 1, "udp", odd),
            calls::mapper(4, 3, &calls::row(500_000, 1, odd, odd)),
            [&calls::null(4)[..36], odd.as_bytes()].concat(),
        ];
        let message = &messages[number / ODD.len() % messages.len()];
        far.send(message).unwrap();
        local.send(message).unwrap();
        if number % 16 == 0 {
            ask::over(&unix, &messages[0]).unwrap();
        }
    }
    scene.is_well();
    wait::until("a word about what was suppressed", || {
        Ok(scene.daemon.stderr().contains("more suppressed (refused)").then_some(()))
    })
    .unwrap();
    let (said, seconds) = (scene.daemon.stderr(), began.elapsed().as_secs() + 1);
    // Two categories, in each at most ten lines a second, the one that says how many were not written among them; and
    // what a start says.
    let most = usize::try_from(seconds).unwrap() * 2 * 10 + 10;
    assert!(said.lines().count() <= most, "{} lines in {seconds} s", said.lines().count());
    for line in said.lines() {
        assert!(line.starts_with("rpcbind: ") && !line.contains("forged"), "{line:?}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    }
}
