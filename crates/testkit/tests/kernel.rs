//! The kernel's calls against Debian's rpcbind, which they were seen with: so the replay is what a port mapper gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use testkit::kernel::{Door, Kernel, NFS_SERVER, Network, getaddr, getport};
use testkit::{Daemon, DaemonKind, Namespace, table};

#[test]
fn the_c_daemon_takes_what_the_kernel_registers_over_the_path_socket_and_tcp() {
    testkit::require!(DaemonKind::DEBIAN);
    for door in [Door::Path, Door::Tcp] {
        let home = Namespace::new().unwrap();
        let _daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
        let own = table::dump(&home).unwrap();
        let mut kernel = Kernel::connect(&home, door).unwrap();
        kernel.start_nfs_server().unwrap();
        let rows = table::dump(&home).unwrap().split_off(own.len());
        let expected: usize = NFS_SERVER.iter().map(|service| service.netids().count()).sum();
        assert_eq!((rows.len(), expected), (18, 18), "{rows:#?}");
        assert!(rows.iter().all(|row| row.owner == "superuser"), "{rows:#?}");
        for network in [Network::Udp, Network::Tcp] {
            let server = IpAddr::V4(Ipv4Addr::LOCALHOST);
            assert_eq!(getport(&home, network, server, 100_003, 3, 6).unwrap(), 2049);
            assert_eq!(getport(&home, network, server, 100_003, 3, 17).unwrap(), 0);
        }
        let port = |network| getaddr(&home, network, Ipv6Addr::LOCALHOST, 100_021, 4, "tcp6").unwrap();
        assert_eq!((port(Network::Tcp), port(Network::Udp)), (32_769, 32_769));
        kernel.stop_nfs_server_of_6_12().unwrap();
        assert_eq!(table::dump(&home).unwrap(), own);
        kernel.start_nfs_server().unwrap();
        kernel.stop_nfs_server_of_6_1().unwrap();
        assert_eq!(table::dump(&home).unwrap(), own);
    }
}
