//! What people of another machine see: the same as of the C daemon, over every transport.

use std::process::Command;

use testkit::{Daemon, DaemonKind, Namespace};

use crate::{HERE4, HERE6, RPCBIND, THERE4, THERE6, ask, calls};

const RPCINFO: &str = "/usr/sbin/rpcinfo";

/// Arguments, with the host's address in the place of `4` and `6`.
const FORMS: [&[&str]; 26] = [
    &["4"],
    &["6"],
    &["-s", "4"],
    &["-s", "6"],
    &["-p", "4"],
    &["-l", "4", "100000", "4"],
    &["-l", "4", "400000", "1"],
    &["-l", "6", "400000", "1"],
    &["-u", "4", "100000"],
    &["-u", "4", "100000", "2"],
    &["-u", "4", "100000", "3"],
    &["-u", "4", "100000", "4"],
    &["-t", "4", "100000"],
    &["-t", "4", "100000", "2"],
    &["-t", "4", "100000", "4"],
    &["-T", "udp", "4", "100000"],
    &["-T", "tcp", "4", "100000"],
    &["-T", "udp6", "6", "100000"],
    &["-T", "tcp6", "6", "100000"],
    &["-T", "udp6", "6", "100000", "4"],
    &["-T", "tcp6", "6", "400000"],
    &["-T", "udp", "4", "400000", "1"],
    &["-m", "4"],
    // Statistics of ours do not name programs that are not registered: these come after them.
    &["-l", "4", "399999", "1"],
    &["-u", "4", "399999"],
    &["-t", "4", "399999", "1"],
];

/// What each form prints, and how it ends.
fn seen(kind: &DaemonKind) -> Vec<(String, String, Option<i32>)> {
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let [here, there] =
        [[HERE4, HERE6], [THERE4, THERE6]].map(|[v4, v6]| [format!("{v4}/24"), format!("{v6}/64")]);
    home.connect(&other, &[&here[0], &here[1]], &[&there[0], &there[1]]).unwrap();
    let _daemon = Daemon::start(&home, kind).unwrap();
    let stream = ask::unix(&home, testkit::daemon::SOCKET);
    for (netid, address) in
        [("udp", "0.0.0.0.19.136"), ("tcp", "0.0.0.0.19.136"), ("udp6", "::.19.136"), ("tcp6", "::.19.136")]
    {
        let set = calls::set(400_000, 1, netid, address);
        assert_eq!(ask::results(&ask::over(&stream, &set).unwrap()), calls::TRUE);
    }
    let run = |form: &&[&str]| {
        let host = form.iter().position(|word| ["4", "6"].contains(word)).unwrap();
        let mut words = form.to_vec();
        words[host] = if words[host] == "4" { HERE4 } else { HERE6 };
        let end = other.run(Command::new(RPCINFO).args(&words)).unwrap();
        (end.stdout, end.stderr, end.status.code())
    };
    FORMS.iter().map(run).collect()
}

#[test]
fn people_elsewhere_see_what_they_see_of_debians_daemon() {
    testkit::require!(RPCINFO, DaemonKind::DEBIAN);
    let (theirs, ours) = (seen(&DaemonKind::debian()), seen(&DaemonKind::ours(RPCBIND)));
    for ((form, theirs), ours) in FORMS.iter().zip(theirs).zip(ours) {
        assert_eq!(ours, theirs, "{form:?}");
    }
}
