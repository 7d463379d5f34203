//! Whose the socket at a caller's end is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rpcbind::netlink::SockDiag;
use rpcbind::peer;
use rpcbind_core::caller::Transport::{Local, Tcp, Tcp6, Udp, Udp6};
use rpcbind_core::facts::BoundFact::Bound;
use rpcbind_core::facts::{OwnerFact, Socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Type};
use testkit::Namespace;

use crate::{NOBODY, USER, as_user, inside, one, raise_loopback, sockets, universal};

#[test]
fn a_connections_owner_is_the_user_at_its_other_end_and_not_at_ours() {
    inside(|diag| {
        for (server, client, transport) in [
            ("127.0.0.1:0", None, Tcp),
            ("[::1]:0", None, Tcp6),
            // A client that says IPv4 by way of IPv6, and a server that takes both.
            ("127.0.0.1:0", Some(Ipv4Addr::LOCALHOST.to_ipv6_mapped()), Tcp),
            ("[::]:0", None, Tcp),
        ] {
            let listener = as_user(NOBODY, || TcpListener::bind(server)).expect("listener");
            let port = listener.local_addr().expect("bound").port();
            let to = match (client, transport) {
                (Some(mapped), _) => SocketAddr::new(mapped.into(), port),
                (None, Tcp6) => SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
                (None, _) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            };
            let client = as_user(USER, || TcpStream::connect(to)).expect("connected");
            let (local, remote) = ends(&listener);
            assert_eq!(remote.is_ipv4(), transport == Tcp, "{remote}");
            let found = one(diag.owner(transport, local, remote));
            assert_eq!(
                (found.uid, found.established, found.port, found.ours),
                (USER, true, remote.port(), false)
            );
            assert_eq!(u64::from(found.inode), inode(client.as_fd()), "{server}");
        }
    });
}

#[test]
fn the_owner_of_a_process_of_another_user_is_that_user() {
    inside(|diag| {
        for (uid, transport, address) in
            [(USER, Tcp, "127.0.0.1"), (NOBODY, Tcp6, "::1"), (0, Tcp, "127.0.0.1")]
        {
            let listener = TcpListener::bind((address, 0)).expect("listener");
            let port = listener.local_addr().expect("bound").port();
            let _client = Shell::new(uid, &format!("exec 3<>/dev/tcp/{address}/{port}"));
            let (local, remote) = ends(&listener);
            let found = one(diag.owner(transport, local, remote));
            assert!(found.uid == uid && found.established && found.inode != 0, "{found:?}");
        }
        for (uid, transport, address) in
            [(USER, Udp, "127.0.0.1"), (NOBODY, Udp6, "::1"), (0, Udp, "127.0.0.1")]
        {
            let service = UdpSocket::bind((address, 0)).expect("service");
            let local = service.local_addr().expect("bound");
            let port = local.port();
            let _client = Shell::new(uid, &format!("exec 3<>/dev/udp/{address}/{port}; echo hello >&3"));
            let (_, remote) = service.recv_from(&mut [0; 16]).expect("a datagram");
            let found = one(diag.owner(transport, local, remote));
            assert!(found.uid == uid && found.inode != 0 && found.port == remote.port(), "{found:?}");
        }
    });
}

#[test]
fn a_connection_whose_other_end_has_closed_has_no_believable_owner() {
    inside(|diag| {
        for linger in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
            let to = listener.local_addr().expect("bound");
            let client = as_user(USER, || TcpStream::connect(to)).expect("connected");
            let (mut server, remote) = listener.accept().expect("accepted");
            client.shutdown(Shutdown::Write).expect("half closed");
            assert_eq!(server.read(&mut [0; 1]).expect("the end"), 0);
            let found = one(diag.owner(Tcp, to, remote));
            assert!(found.uid == USER && !found.established, "{found:?}");
            if linger {
                // Unread bytes: the other end resets, and nothing is left of it.
                server.write_all(b"unread").expect("written");
            }
            drop(client);
            if !linger {
                drop(server);
            }
            // Closed, or in TIME-WAIT: such a socket has no inode, and may report uid 0.
            nobody(|| diag.owner(Tcp, to, remote));
        }
    });
}

#[test]
fn where_there_is_no_such_connection_no_socket_is_found_even_if_somebody_listens_there() {
    inside(|diag| {
        let other = as_user(0, || TcpListener::bind("127.0.0.1:0")).expect("listener");
        let listens = other.local_addr().expect("bound");
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 111));
        assert_eq!(diag.owner(Tcp, here, listens), OwnerFact::Sockets(Vec::new()));
        assert_eq!(
            diag.owner(Tcp, here, SocketAddr::from((Ipv4Addr::LOCALHOST, 9))),
            OwnerFact::Sockets(vec![])
        );
        assert_eq!(
            diag.owner(Udp, here, SocketAddr::from((Ipv4Addr::LOCALHOST, 9))),
            OwnerFact::Sockets(vec![])
        );
        assert_eq!(diag.owner(Local, here, listens), OwnerFact::Unknown);
    });
}

#[test]
fn every_datagram_socket_on_the_port_is_found_whatever_its_family_address_and_user() {
    inside(|diag| {
        let first = udp(0, Domain::IPV4, "0.0.0.0:0");
        let port = first.local_addr().expect("bound").as_socket().expect("inet").port();
        let at = |host: &str| format!("{host}:{port}");
        let _shared = [
            udp(USER, Domain::IPV4, &at("127.0.0.1")),
            udp(NOBODY, Domain::IPV6, &at("[::1]")),
            udp(2000, Domain::IPV6, &at("[::]")),
            udp(3000, Domain::IPV6, &at("[::ffff:127.0.0.9]")),
        ];
        // Sockets that talk to that port are not on it.
        let talks = as_user(4000, || UdpSocket::bind("127.0.0.1:0")).expect("bound");
        talks.connect(("127.0.0.1", port)).expect("connected");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 111));
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for transport in [Udp, Udp6] {
            let mut found = sockets(diag.owner(transport, local, remote));
            found.sort_by_key(|socket| socket.uid);
            let uids: Vec<u32> = found.iter().map(|socket| socket.uid).collect();
            assert_eq!(uids, [0, USER, 2000, 3000, NOBODY]);
            assert!(found.iter().all(|socket| socket.inode != 0 && socket.port == port && !socket.ours));
        }
    });
}

#[test]
fn a_sender_that_has_closed_before_it_is_asked_for_is_nobody() {
    inside(|diag| {
        let service = UdpSocket::bind("127.0.0.1:0").expect("service");
        let local = service.local_addr().expect("bound");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let to = listener.local_addr().expect("bound");
        for _ in 0..2000 {
            let client = as_user(USER, || UdpSocket::bind("127.0.0.1:0")).expect("client");
            client.send_to(b"set", local).expect("sent");
            let (_, remote) = service.recv_from(&mut [0; 16]).expect("a datagram");
            drop(client);
            nobody(|| diag.owner(Udp, local, remote));

            let client = as_user(USER, || TcpStream::connect(to)).expect("connected");
            let (_server, remote) = listener.accept().expect("accepted");
            drop(client);
            nobody(|| diag.owner(Tcp, to, remote));
        }
    });
}

#[test]
fn our_own_sockets_are_marked() {
    testkit::require!();
    let home = Namespace::new().expect("a private namespace");
    let test = || {
        raise_loopback();
        let ours = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let mut diag = SockDiag::open(peer::namespace(ours.as_fd()), &[ours.as_fd()]).expect("netlink");
        let later = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 111));
        let marked = |diag: &mut SockDiag, socket: &UdpSocket| {
            one(diag.owner(Udp, local, socket.local_addr().expect("bound"))).ours
        };
        assert!(marked(&mut diag, &ours) && !marked(&mut diag, &later));
        diag.add_own(later.as_fd());
        assert!(marked(&mut diag, &ours) && marked(&mut diag, &later));
    };
    home.within(test).expect("entered");
}

#[test]
fn more_sockets_on_one_port_than_can_be_looked_through_are_unknown_and_the_next_question_is_answered() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more descriptors");
    inside(|diag| {
        let first = udp(USER, Domain::IPV4, "127.0.0.1:0");
        let crowded = first.local_addr().expect("bound").as_socket().expect("inet");
        let _crowd: Vec<_> = (0..1100).map(|_| udp(USER, Domain::IPV4, &crowded.to_string())).collect();
        let lone = as_user(NOBODY, || UdpSocket::bind("127.0.0.1:0")).expect("bound");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 111));
        for _ in 0..3 {
            assert_eq!(diag.owner(Udp, local, crowded), OwnerFact::Unknown);
            assert_eq!(one(diag.owner(Udp, local, lone.local_addr().expect("bound"))).uid, NOBODY);
            assert_eq!(diag.bound("udp", &universal(crowded)), Bound);
        }
    });
}

/// A process of another user that has done what it was told, and keeps it until dropped.
struct Shell(Child);

impl Shell {
    fn new(uid: u32, script: &str) -> Self {
        let mut child = Command::new("/bin/bash")
            .args(["-c", &format!("{script}; echo done; read")])
            .uid(uid)
            .gid(uid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash");
        let mut said = [0; 5];
        child.stdout.as_mut().expect("output").read_exact(&mut said).expect("it did");
        Self(child)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A datagram socket that shares its address with whoever shares it too.
fn udp(uid: u32, domain: Domain, address: &str) -> socket2::Socket {
    let socket =
        as_user(uid, || socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))).expect("socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&address.parse::<SocketAddr>().expect("an address").into()).expect("bound");
    socket
}

/// Our end and the caller's of the connection that waits, as the server names them.
fn ends(listener: &TcpListener) -> (SocketAddr, SocketAddr) {
    let (server, remote) = listener.accept().expect("accepted");
    let local = server.local_addr().expect("connected");
    // The connection lives on with the caller's end.
    std::mem::forget(OwnedFd::from(server));
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    (plain(local), plain(remote))
}

/// Nobody whom one could believe is left of a socket of [`USER`]. (A child of another test may hold a copy of the
/// descriptor until it runs its program: as long as the socket is there, it is that user's and nobody else's.)
fn nobody(mut ask: impl FnMut() -> OwnerFact) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let held: Vec<Socket> = sockets(ask()).into_iter().filter(|socket| socket.inode != 0).collect();
        assert!(held.iter().all(|socket| socket.uid == USER), "{held:?}");
        if held.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{held:?} is still there");
    }
}

fn inode(socket: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(socket).expect("a socket").st_ino
}
