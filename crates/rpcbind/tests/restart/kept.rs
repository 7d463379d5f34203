//! What the service manager keeps between two runs.

use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use testkit::kernel::{Door, Kernel};

use crate::{NO_SOCKETS, SOCKETS, has_connection, registered, supervised};

const LISTENERS: [&str; 6] = [
    "kept-listener-udp_0.0.0.0_111",
    "kept-listener-tcp_0.0.0.0_111",
    "kept-listener-udp_[__]_111",
    "kept-listener-tcp_[__]_111",
    "kept-listener-unix_/run/rpcbind.sock",
    "kept-listener-unix_@/run/rpcbind.sock",
];

/// The two memory files of the table.
const TABLE: [&str; 2] = ["kept-table"; 2];

#[test]
fn the_kernels_connection_outlives_a_restart_and_a_kill_and_unregisters_everything() {
    testkit::require!();
    for sockets in [NO_SOCKETS, SOCKETS] {
        for door in [Door::Abstract, Door::Path] {
            let (home, service) = supervised(sockets, "");
            let mut kernel = Kernel::connect(&home, door).unwrap();
            kernel.start_nfs_server().unwrap();
            service.wait("the connection is stored", has_connection).unwrap();
            assert_eq!(registered(&home).len(), 18);
            service.restart().unwrap();
            service.signal(Signal::KILL).unwrap();
            service.wait_ready(3).unwrap();
            assert_eq!(registered(&home).len(), 18);
            kernel.stop_nfs_server_of_6_12().unwrap();
            assert_eq!(registered(&home), []);
            kernel.start_nfs_server().unwrap();
            kernel.stop_nfs_server_of_6_1().unwrap();
            assert_eq!(registered(&home), []);
            drop(kernel);
            service.wait("the end of the connection", |service| !has_connection(service)).unwrap();
        }
    }
}

#[test]
fn a_connection_that_has_just_come_outlives_a_restart_in_order() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    let mut kernel = Kernel::connect(&home, Door::Abstract).unwrap();
    assert!(kernel.set(100_003, 3, "tcp", "0.0.0.0.8.1").unwrap());
    service.restart().unwrap();
    assert!(kernel.unset(100_003, 3, "", "").unwrap());
    assert_eq!(registered(&home), []);
}

#[test]
fn its_own_sockets_are_stored_and_those_of_a_unit_are_not() {
    testkit::require!();
    let (_home, service) = supervised(NO_SOCKETS, "");
    let mut stored = service.stored();
    stored.sort_unstable();
    let mut expected = [&LISTENERS[..], &TABLE].concat();
    expected.sort_unstable();
    assert_eq!(stored, expected);
    service.restart().unwrap();
    assert_eq!(service.stored().len(), expected.len());
    let (_home, service) = supervised(SOCKETS, "");
    assert_eq!(service.stored(), [&["kept-listener-unix_@/run/rpcbind.sock"][..], &TABLE].concat());
}

#[test]
fn a_socket_that_is_not_wanted_any_more_is_closed_and_taken_out() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    home.write("/etc/rpcbind.toml", "listen = [\"127.0.0.1\"]\n").unwrap();
    service.restart().unwrap();
    let opened = ["kept-listener-udp_127.0.0.1_111", "kept-listener-tcp_127.0.0.1_111"];
    service
        .wait("other sockets", |service| {
            let stored = service.stored();
            opened.iter().all(|name| stored.contains(&(*name).to_owned()))
                && !stored.contains(&LISTENERS[0].to_owned())
        })
        .unwrap();
    let tables = home.expect("ss", &["-Hlntu"]).unwrap();
    assert!(!tables.contains("0.0.0.0:111") && tables.contains("127.0.0.1:111"), "{tables}");
}

#[test]
fn a_path_socket_whose_file_was_removed_is_not_served_again_instead_of_the_one_that_followed_it() {
    testkit::require!();
    let inet = SOCKETS.replace("ListenStream=/run/rpcbind.sock\n", "");
    let (home, service) = supervised(&inet, "");
    home.within(|| std::fs::remove_file("/run/rpcbind.sock")).unwrap().unwrap();
    for _ in 0..2 {
        service.restart().unwrap();
        let mut kernel = Kernel::connect(&home, Door::Path).unwrap();
        assert!(kernel.unset(100_003, 3, "", "").unwrap());
        let is_one = |service: &testkit::activator::Supervised| {
            service.stored().iter().filter(|name| *name == LISTENERS[4]).count() == 1
        };
        service.wait("one is stored", is_one).unwrap();
    }
}

#[test]
fn more_of_roots_connections_than_there_is_room_for_are_served_and_not_stored() {
    testkit::require!();
    let (home, service) = supervised(NO_SOCKETS, "");
    let connected = home.within(|| {
        let clients = (0..100).map(|_| UnixStream::connect("/run/rpcbind.sock"));
        clients.collect::<Result<Vec<_>, _>>()
    });
    let clients = connected.unwrap().unwrap();
    let connections = |service: &testkit::activator::Supervised| {
        service.stored().iter().filter(|name| name.starts_with("kept-connection-")).count()
    };
    service.wait("64 are stored", |service| connections(service) == 64).unwrap();
    let mut kernel = Kernel::connect(&home, Door::Abstract).unwrap();
    assert!(kernel.unset(100_003, 3, "", "").unwrap());
    drop(clients);
    service.wait("they are let go", |service| connections(service) <= 1).unwrap();
    assert_eq!(service.refused(), 0);
}
