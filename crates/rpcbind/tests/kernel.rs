//! The Linux kernel's calls get the answers that the kernel wants: over the abstract socket, the path socket and TCP
//! from a privileged port. Its one connection stays open whatever happens to others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use testkit::kernel::{Door, Kernel, NETIDS, NFS_SERVER, Network, getaddr, getport};
use testkit::{Daemon, DaemonKind, Namespace, table};

const OURS: &str = env!("CARGO_BIN_EXE_rpcbind");

fn started() -> io::Result<(Namespace, Daemon)> {
    let home = Namespace::new()?;
    let daemon = Daemon::start(&home, &DaemonKind::ours(OURS))?;
    Ok((home, daemon))
}

#[test]
fn an_nfs_server_registers_and_unregisters_through_every_door() {
    testkit::require!();
    for door in [Door::Abstract, Door::Path, Door::Tcp] {
        let (home, _daemon) = started().unwrap();
        let own = table::dump(&home).unwrap();
        let mut kernel = Kernel::connect(&home, door).unwrap();
        kernel.start_nfs_server().unwrap();
        let rows = table::dump(&home).unwrap().split_off(own.len());
        assert_eq!(rows.len(), 18, "{rows:#?}");
        assert!(rows.iter().all(|row| row.owner == "superuser"), "{door:?} {rows:#?}");
        kernel.stop_nfs_server_of_6_12().unwrap();
        assert_eq!(table::dump(&home).unwrap(), own, "{door:?}");
        kernel.start_nfs_server().unwrap();
        kernel.stop_nfs_server_of_6_1().unwrap();
        assert_eq!(table::dump(&home).unwrap(), own, "{door:?}");
    }
}

#[test]
fn what_is_absent_is_unset_and_what_is_there_is_set_again() {
    testkit::require!();
    let (home, _daemon) = started().unwrap();
    let mut kernel = Kernel::connect(&home, Door::Abstract).unwrap();
    assert!(kernel.unset(100_003, 3, "", "").unwrap());
    for (netid, wildcard) in NETIDS {
        assert!(kernel.unset(100_003, 3, netid, &format!("{wildcard}.0.0")).unwrap(), "{netid}");
        let address = format!("{wildcard}.8.1");
        assert!(kernel.set(100_003, 3, netid, &address).unwrap(), "{netid}");
        assert!(kernel.set(100_003, 3, netid, &address).unwrap(), "{netid} again");
    }
    assert_eq!(table::dump(&home).unwrap().iter().filter(|row| row.program == 100_003).count(), 4);
}

#[test]
fn the_same_table_is_left_by_the_c_daemon() {
    testkit::require!(DaemonKind::DEBIAN);
    let after = |kind: DaemonKind| {
        let home = Namespace::new().unwrap();
        let _daemon = Daemon::start(&home, &kind).unwrap();
        Kernel::connect(&home, Door::Path).unwrap().start_nfs_server().unwrap();
        table::dump(&home).unwrap()
    };
    assert_eq!(after(DaemonKind::ours(OURS)), after(DaemonKind::debian()));
}

#[test]
fn the_nfs_client_finds_the_server_over_both_families_and_networks() {
    testkit::require!();
    let (home, _daemon) = started().unwrap();
    let away = Namespace::new().unwrap();
    home.connect(&away, &["10.9.8.7/24", "fd00::7/64"], &["10.9.8.1/24", "fd00::1/64"]).unwrap();
    Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
    let own = (Ipv4Addr::new(10, 9, 8, 7), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7));
    let loopback = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    for (client, (four, six)) in [(&home, loopback), (&home, own), (&away, own)] {
        for network in [Network::Udp, Network::Tcp] {
            let port = |version, protocol| {
                getport(client, network, IpAddr::V4(four), 100_003, version, protocol).unwrap()
            };
            assert_eq!((port(3, 6), port(4, 6), port(3, 17)), (2049, 2049, 0), "{four} {network:?}");
            let port = |program, version| getaddr(client, network, six, program, version, "tcp6").unwrap();
            // Over UDP the answer is for UDP, which nlockmgr has and nfs has not.
            let nfs = if network == Network::Tcp { 2049 } else { 0 };
            assert_eq!((port(100_021, 4), port(100_003, 3)), (32_769, nfs), "{six} {network:?}");
            assert_eq!(port(100_005, 3), 0, "{six} {network:?}");
        }
    }
}

/// Idleness is nothing that the daemon looks at on a unix socket. What closes connections is want of descriptors, and
/// that takes TCP connections alone.
#[test]
fn the_kernels_connection_outlives_a_crowd_that_wants_its_descriptor() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    // 200 descriptors, of which 72 are for connections.
    let kind = DaemonKind { program: "/bin/sh".into(), ..DaemonKind::ours(OURS) };
    let kind = kind.arguments(["-c", "ulimit -n 200; exec \"$0\" -f -w", OURS]);
    let _daemon = Daemon::start(&home, &kind).unwrap();
    let mut kernel = Kernel::connect(&home, Door::Path).unwrap();
    kernel.start_nfs_server().unwrap();
    let crowd: Vec<TcpStream> = home
        .within(|| (0..300).map(|_| TcpStream::connect("127.0.0.1:111")).collect::<io::Result<_>>())
        .unwrap()
        .unwrap();
    // The last one is served, so room was made.
    let last = getport(&home, Network::Tcp, IpAddr::V4(Ipv4Addr::LOCALHOST), 100_003, 3, 6).unwrap();
    assert_eq!(last, 2049);
    kernel.stop_nfs_server_of_6_12().unwrap();
    assert!(table::dump(&home).unwrap().iter().all(|row| row.program != NFS_SERVER[0].program));
    drop(crowd);
}
