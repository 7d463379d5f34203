//! Whether anything is bound where a row says.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use rpcbind_core::facts::BoundFact::{self, Bound, Free, Unknown};
use socket2::{Domain, Type};

use crate::{inside, universal};

/// `6` for an IPv6 row, its host, and what is known of it.
type RowAndFact = (&'static str, &'static str, BoundFact);

#[test]
fn a_row_is_bound_when_a_socket_on_its_port_covers_its_address() {
    // Where the socket is, whether it takes IPv6 only, and what that says of rows on its port.
    let table: [(&str, bool, [RowAndFact; 6]); 5] = [
        (
            "0.0.0.0",
            false,
            [
                ("", "0.0.0.0", Bound),
                ("", "127.0.0.1", Bound),
                ("", "192.0.2.1", Bound),
                ("6", "::", Free),
                ("6", "::1", Free),
                ("6", "::ffff:127.0.0.1", Bound),
            ],
        ),
        (
            "127.0.0.1",
            false,
            [
                ("", "0.0.0.0", Bound),
                ("", "127.0.0.1", Bound),
                ("", "127.0.0.2", Free),
                ("6", "::", Free),
                ("6", "::1", Free),
                ("6", "fd00::1", Free),
            ],
        ),
        (
            "::",
            true,
            [
                ("", "0.0.0.0", Free),
                ("", "127.0.0.1", Free),
                ("", "192.0.2.1", Free),
                ("6", "::", Bound),
                ("6", "::1", Bound),
                ("6", "fd00::1", Bound),
            ],
        ),
        (
            "::",
            false,
            [
                ("", "0.0.0.0", Bound),
                ("", "127.0.0.1", Bound),
                ("", "192.0.2.1", Bound),
                ("6", "::", Bound),
                ("6", "::1", Bound),
                ("6", "fd00::1", Bound),
            ],
        ),
        (
            "::1",
            false,
            [
                ("", "0.0.0.0", Free),
                ("", "127.0.0.1", Free),
                ("", "192.0.2.1", Free),
                ("6", "::", Bound),
                ("6", "::1", Bound),
                ("6", "fd00::1", Free),
            ],
        ),
    ];
    inside(|diag| {
        for (kind, netid) in [(Type::DGRAM, "udp"), (Type::STREAM, "tcp")] {
            for (host, v6_only, rows) in &table {
                let host: IpAddr = host.parse().expect("an address");
                let domain = Domain::for_address((host, 0).into());
                let socket = socket2::Socket::new(domain, kind, None).expect("socket");
                if host.is_ipv6() {
                    socket.set_only_v6(*v6_only).expect("IPV6_V6ONLY");
                }
                socket.bind(&SocketAddr::new(host, 0).into()).expect("bound");
                let port = socket.local_addr().expect("bound").as_socket().expect("inet").port();
                if kind == Type::STREAM {
                    let row = (format!("{netid}6"), universal(SocketAddr::new(host, port)));
                    assert_ne!(diag.bound(&row.0, &row.1), Bound, "bound, but nobody listens yet");
                    socket.listen(1).expect("listening");
                }
                for (six, row, expected) in rows {
                    let (netid, row) = (format!("{netid}{six}"), row.parse().expect("an address"));
                    let fact = diag.bound(&netid, &universal(SocketAddr::new(row, port)));
                    assert_eq!(fact, *expected, "{host} v6_only {v6_only}: {netid} {row}");
                    let other = if netid.starts_with("tcp") { "udp" } else { "tcp" };
                    assert_eq!(diag.bound(other, &universal(SocketAddr::from(([0; 4], port)))), Free);
                }
                drop(socket);
                freed(|| diag.bound(netid, &universal(SocketAddr::from(([0; 4], port)))));
                freed(|| diag.bound(&format!("{netid}6"), &universal((Ipv6Addr::UNSPECIFIED, port).into())));
            }
        }
    });
}

#[test]
fn a_closed_service_is_free_although_its_connections_live() {
    inside(|diag| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let to = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(to).expect("connected");
        let _server = listener.accept().expect("accepted");
        assert_eq!(diag.bound("tcp", &universal(to)), Bound);
        drop(listener);
        freed(|| diag.bound("tcp", &universal(to)));
    });
}

#[test]
fn what_cannot_be_judged_is_unknown() {
    inside(|diag| {
        for (netid, address) in [
            ("udp", "0.0.0.0.0.0"),
            ("udp", "::.8.1"),
            ("tcp6", "0.0.0.0.8.1"),
            ("tcp", ""),
            ("tcp", "garbage"),
            ("sctp", "0.0.0.0.8.1"),
            ("rdma", "0.0.0.0.8.1"),
            ("ticlts", "/run/x"),
            ("", "0.0.0.0.8.1"),
            ("local", ""),
            ("local", "relative"),
        ] {
            assert_eq!(diag.bound(netid, address), Unknown, "{netid:?} {address:?}");
        }
        assert_eq!(diag.bound("UDP", "0.0.0.0.8.1"), Free, "netids are compared without case");
    });
}

#[test]
fn unix_listeners_are_known_by_name() {
    inside(|diag| {
        assert_eq!(diag.bound("local", "/run/a.sock"), Free);
        assert_eq!(diag.bound("unix", "@/run/a.sock"), Free);
        let _path = UnixListener::bind("/run/a.sock").expect("path");
        assert_eq!(diag.bound("local", "/run/a.sock"), Bound);
        assert_eq!(diag.bound("local", "@/run/a.sock"), Free);
        assert_eq!(diag.bound("local", "/run/b.sock"), Free);
        // Perhaps the same file by another way.
        assert_eq!(diag.bound("local", "/var/run/a.sock"), Unknown);
        let name = UnixAddr::from_abstract_name("/run/c.sock").expect("a name");
        let _abstract = UnixListener::bind_addr(&name).expect("abstract");
        assert_eq!(diag.bound("local", "@/run/c.sock"), Bound);
        assert_eq!(diag.bound("local", "/run/c.sock"), Free);
        let _datagram = UnixDatagram::bind("/run/d.sock").expect("datagram");
        assert_eq!(diag.bound("local", "/run/d.sock"), Free, "nobody listens there");
    });
}

/// Nothing is bound there any more, as soon as no child of another test holds a copy of the descriptor.
fn freed(mut ask: impl FnMut() -> BoundFact) {
    let end = Instant::now() + Duration::from_secs(20);
    while ask() != Free {
        assert!(Instant::now() < end, "still bound");
    }
}
