//! Those who find hosts and servers by broadcast find them with our daemon as they do with the C one.

use std::path::PathBuf;
use std::process::Command;

use testkit::programs::{COMPILER, REMOTE_STEPS, TIRPC_HEADER};
use testkit::remote_calls::{
    LIBNFS, NIS, libnfs_finds_servers, libtirpc_calls_remotely, network, ypbind_finds_ypserv,
};

use crate::{RPCBIND, ours};

const DEBIANS: &str = "/usr/sbin/rpcinfo";

#[test]
fn ypbind_finds_ypserv_by_broadcast() {
    testkit::require!(RPCBIND, NIS[0], NIS[1], NIS[2], NIS[3], NIS[4]);
    ypbind_finds_ypserv(&ours()).unwrap();
}

#[test]
fn libnfs_finds_servers_by_broadcast() {
    testkit::require!(RPCBIND, LIBNFS[0], LIBNFS[1]);
    libnfs_finds_servers(&ours()).unwrap();
}

#[test]
fn libtirpc_calls_remotely_and_by_broadcast() {
    testkit::require!(RPCBIND, COMPILER, TIRPC_HEADER);
    assert_eq!(libtirpc_calls_remotely(&ours()).unwrap(), REMOTE_STEPS);
}

/// What a tool found, each address once, in order.
fn found(stdout: &str) -> Vec<&str> {
    let mut lines: Vec<_> = stdout.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[test]
fn debians_rpcinfo_and_ours_find_three_hosts_over_ipv4_and_ipv6() {
    // It is built beside the daemon.
    let our_tool = PathBuf::from(RPCBIND).with_file_name("rpcinfo");
    testkit::require!(&our_tool, DEBIANS);
    let (lan, _daemons) = network(&ours(), 4).unwrap();
    let client = &lan.hosts[0];
    let run = |tool: &PathBuf| client.run(Command::new(tool).args(["-b", "100000", "4"])).unwrap();
    let (ours, debians) = std::thread::scope(|scope| {
        let debians = scope.spawn(|| run(&DEBIANS.into()));
        (run(&our_tool), debians.join().unwrap())
    });
    let ipv6 = |host: &testkit::Namespace, interface: &str| {
        let shown =
            host.expect("ip", &["-o", "-6", "addr", "show", "dev", interface, "scope", "link"]).unwrap();
        let (address, _) = shown.split_once("inet6 ").unwrap().1.split_once('/').unwrap();
        format!("{address}.0.111\tunknown")
    };
    let servers = lan.hosts.iter().zip(&lan.interfaces).skip(1);
    let mut expected: Vec<String> = servers.map(|(host, interface)| ipv6(host, interface)).collect();
    expected.extend((2..=4).map(|host| format!("10.7.0.{host}.0.111\tunknown")));
    expected.sort();
    assert_eq!(found(&debians.stdout), expected, "{debians:?}");
    assert_eq!(found(&ours.stdout), expected, "{ours:?}");
    assert_eq!(ours.stdout.lines().count(), expected.len(), "each once");
    assert_eq!((ours.status.code(), debians.status.code()), (Some(0), Some(0)));
}
