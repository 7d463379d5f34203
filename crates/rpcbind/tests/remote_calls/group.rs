//! The IPv6 multicast group of port mappers: on which links the daemon is a member, as the kernel lists it.

use std::process::Command;

use rustix::process::Signal;
use testkit::activator::Activated;
use testkit::{Activator, Daemon, DaemonKind, Namespace, wait};

use crate::{RPCBIND, ours};

/// ff02::202 as the kernel writes it.
const GROUP: &str = "ff020000000000000000000000000202";

/// The links on which somebody is a member, sorted.
fn members(home: &Namespace) -> Vec<String> {
    let listed = home.expect("cat", &["/proc/net/igmp6"]).unwrap();
    let words = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut links: Vec<String> =
        words.filter(|words| words[2] == GROUP).map(|words| words[1].to_owned()).collect();
    links.sort();
    links
}

fn ip(home: &Namespace, lines: &[&str]) {
    for line in lines {
        home.expect("ip", &line.split(' ').collect::<Vec<_>>()).unwrap();
    }
}

/// Adds a link that is up and has an address.
fn add(home: &Namespace, link: &str, address: &str) {
    ip(home, &[&format!("link add {link} type bridge"), &format!("addr add {address}/64 nodad dev {link}")]);
    ip(home, &[&format!("link set {link} up")]);
}

/// Changes links, by lines for `ip`, and waits until these are the members.
fn change(home: &Namespace, lines: &[&str], expected: &[&str]) {
    ip(home, lines);
    let reached = wait::until("members", || Ok((members(home) == expected).then_some(())));
    assert!(reached.is_ok(), "{lines:?}: members on {:?}, not on {expected:?}", members(home));
}

#[test]
fn the_group_is_joined_on_every_link_for_as_long_as_it_is_there() {
    testkit::require!(RPCBIND);
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let cable = home.cable(&other, &["10.7.0.1/24", "fd07::1/64"], &[]).unwrap();
    let cable = cable.as_str();
    let daemon = Daemon::start(&home, &ours()).unwrap();
    let here = |lines: &[&str], expected: &[&str]| change(&home, lines, expected);
    here(&[], &[cable]);
    // A bridge is called what sorts before the cable.
    let up = ["addr add fd09::1/64 nodad dev red", "link set red up"];
    here(&["link add red type bridge"], &[cable]);
    here(&up, &["red", cable]);
    here(&["link set red down"], &[cable]);
    here(&up, &["red", cable]);
    // The kernel takes IPv6 from a link with packets too short for it, memberships included.
    here(&["link set red mtu 1000"], &[cable]);
    here(&["link set red mtu 1500", up[0]], &["red", cable]);
    here(&["link set red multicast off"], &[cable]);
    here(&["link set red multicast on"], &["red", cable]);
    here(
        &[
            "link add index 900 name blue type bridge",
            "addr add fd0a::1/64 nodad dev blue",
            "link set blue up",
        ],
        &["blue", "red", cable],
    );
    here(&["link del blue"], &["red", cable]);
    // Another one with the same index.
    here(
        &[
            "link add index 900 name green type bridge",
            "addr add fd0a::1/64 nodad dev green",
            "link set green up",
        ],
        &["green", "red", cable],
    );
    assert!(daemon.stop().unwrap().status.success());
    assert_eq!(members(&home), [""; 0]);
}

#[test]
fn without_remote_calls_nobody_is_called_by_multicast() {
    testkit::require!(RPCBIND);
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    home.connect(&other, &["fd07::1/64"], &[]).unwrap();
    let _daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND).arguments(["-f"])).unwrap();
    assert_eq!(members(&home), [""; 0]);
    add(&home, "red", "fd09::1");
    // The daemon has heard of the link when it answers for an address on it.
    wait::until("the address", || {
        let found = home.run(Command::new("/usr/sbin/rpcinfo").args(["-l", "fd09::1", "100000", "4"]))?;
        Ok(found.stdout.contains("fd09::1.0.111").then_some(()))
    })
    .unwrap();
    assert_eq!(members(&home), [""; 0]);
}

#[test]
fn members_are_as_many_as_the_kernel_allows_and_replies_are_sent_beside_them() {
    testkit::require!(RPCBIND, "/usr/sbin/rpcinfo");
    const LIMIT: &str = "/proc/sys/net/core/optmem_max";
    let home = Namespace::new().unwrap();
    if home.run(Command::new("test").args(["-w", LIMIT])).unwrap().status.code() != Some(0) {
        testkit::skip!("this kernel has one limit for all network namespaces");
    }
    let set_limit = |bytes: &str| home.within(|| std::fs::write(LIMIT, bytes)).unwrap().unwrap();
    for number in 0..40 {
        add(&home, &format!("d{number}"), &format!("fd09:{number}::1"));
    }
    set_limit("1024");
    let daemon = Daemon::start(&home, &ours()).unwrap();
    let some = members(&home).len();
    assert!((1..40).contains(&some), "{some}");
    // Twice: whoever sends has the same limit.
    for _ in 0..2 {
        home.expect("rpcinfo", &["-T", "udp6", "::1", "100000", "4"]).unwrap();
    }
    ip(&home, &["link set d0 down"]);
    let said = format!("are received from {some} links and not from {}", 40 - some);
    wait::until("the warning", || Ok(daemon.stderr().contains(&said).then_some(()))).unwrap();
    set_limit("20480");
    ip(&home, &["link set d1 down"]);
    wait::until("all", || Ok((members(&home).len() == 38).then_some(()))).unwrap();
    assert_eq!(daemon.stderr().matches("are received from").count(), 1, "{}", daemon.stderr());
}

#[test]
fn sockets_that_a_service_manager_keeps_hear_of_multicasts_only_while_remote_calls_are_made() {
    testkit::require!(RPCBIND, "/lib/systemd/system/rpcbind.service");
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let cable = home.cable(&other, &["fd07::1/64"], &[]).unwrap();
    let activator = |options| Activator::debian().unwrap().binary(RPCBIND).variable("OPTIONS", options);
    let sockets = activator("-w").open(&home).unwrap();
    let start = |options| -> Activated {
        let mut daemon = activator(options).start(&home, &sockets).unwrap();
        daemon.wait_ready().unwrap();
        daemon
    };
    let daemon = start("-w -r");
    assert_eq!(members(&home), [cable.as_str()]);
    daemon.signal(Signal::KILL).unwrap();
    daemon.finish().unwrap();
    let daemon = start("-w");
    assert_eq!(members(&home), [""; 0]);
    daemon.stop().unwrap();
    let _daemon = start("-w -r");
    assert_eq!(members(&home), [cable.as_str()]);
}
