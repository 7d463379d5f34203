//! What the daemon has open, and what nobody can take from it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::Scene;

/// The sockets of the daemon that can be called, by `ss`.
fn served(scene: &Scene) -> Vec<String> {
    let listed = scene.home.expect("ss", &["-H", "-l", "-n", "-p", "-u", "-t", "-x"]).unwrap();
    let mut served: Vec<String> = listed
        .lines()
        .filter(|line| line.contains("\"rpcbind\""))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            Some(format!("{} {}", fields.first()?, fields.get(4)?))
        })
        .collect();
    served.sort();
    served
}

#[test]
fn only_the_configured_sockets_are_open() {
    testkit::require!("/bin/ss");
    let scene = Scene::new("");
    let unix = ["u_str /run/rpcbind.sock", "u_str @/run/rpcbind.sock"];
    let everywhere = ["tcp 0.0.0.0:111", "tcp [::]:111", "udp 0.0.0.0:111", "udp [::]:111"];
    let mut expected: Vec<&str> = everywhere.into_iter().chain(unix).collect();
    expected.sort_unstable();
    assert_eq!(served(&scene), expected);
    let scene = Scene::new("listen = ['10.1.0.1']\nabstract-socket = ''\n");
    let some = ["tcp 10.1.0.1:111", "tcp 127.0.0.1:111", "tcp [::1]:111", "udp 10.1.0.1:111"];
    let mut expected: Vec<&str> =
        some.into_iter().chain(["udp 127.0.0.1:111", "udp [::1]:111", unix[0]]).collect();
    expected.sort_unstable();
    assert_eq!(served(&scene), expected);
}

#[test]
fn nobody_takes_a_name_or_port_while_it_runs() {
    testkit::require!();
    let scene = Scene::new("");
    scene
        .home
        .within(|| {
            let name = SocketAddr::from_abstract_name("/run/rpcbind.sock").unwrap();
            let taken = UnixListener::bind_addr(&name).map(drop).unwrap_err();
            assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
            for (domain, address) in
                [(socket2::Domain::IPV4, "127.0.0.1:111"), (socket2::Domain::IPV6, "[::1]:111")]
            {
                for kind in [socket2::Type::DGRAM, socket2::Type::STREAM] {
                    let socket = socket2::Socket::new(domain, kind, None).unwrap();
                    socket.set_reuse_address(kind == socket2::Type::DGRAM).unwrap();
                    socket.set_reuse_port(true).unwrap();
                    let address: std::net::SocketAddr = address.parse().unwrap();
                    assert!(socket.bind(&address.into()).is_err(), "{address}");
                }
            }
        })
        .unwrap();
}
