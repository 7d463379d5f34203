//! Everybody who calls in these tests, and the host that they call: 192.0.2.2 and 192.0.2.130, which are 2001:db8::2
//! and 2001:db8:1::2, with the same link-local address on both interfaces.

use core::net::{IpAddr, SocketAddr};
use rpcbind_core::caller::{Caller, Datagram, Namespace, Transport};
use rpcbind_core::interfaces::Interfaces;

/// The namespace of our inet sockets.
pub(crate) const HOME: Namespace = Namespace(0x1111);
/// Another one.
pub(crate) const ELSEWHERE: Namespace = Namespace(0x2222);

/// The index of the loopback interface.
pub(crate) const LO: u32 = 1;
/// The index of the first interface.
pub(crate) const ETH0: u32 = 2;
/// The index of the second interface.
pub(crate) const ETH1: u32 = 3;

/// The uid of an ordinary user.
pub(crate) const USER: u32 = 1_000;

/// The host's interfaces.
pub(crate) fn interfaces() -> Interfaces {
    let addresses = [
        (LO, "127.0.0.1", 8),
        (ETH0, "192.0.2.2", 25),
        (ETH1, "192.0.2.130", 25),
        (LO, "::1", 128),
        (ETH0, "2001:db8::2", 64),
        (ETH0, "fe80::2", 64),
        (ETH1, "2001:db8:1::2", 64),
        (ETH1, "fe80::2", 64),
    ];
    let addresses = addresses.map(|(index, address, length)| (index, address.parse().unwrap(), length));
    let names = [("lo", LO), ("eth0", ETH0), ("eth1", ETH1)].map(|(name, index)| (name.into(), index));
    Interfaces { names: names.into(), ..Interfaces::of(addresses) }
}

/// A process of this host on a unix socket.
pub(crate) fn unix(uid: u32) -> Caller {
    Caller::Unix { uid: Some(uid), namespace: HOME }
}

/// A process of another network namespace on the unix socket.
pub(crate) fn unix_elsewhere(uid: u32) -> Caller {
    Caller::Unix { uid: Some(uid), namespace: ELSEWHERE }
}

/// A connection.
pub(crate) fn tcp(from: &str, local: &str) -> Caller {
    Caller::Connection { from: from.parse().unwrap(), local: local.parse().unwrap() }
}

/// A datagram that was sent to one address of ours.
pub(crate) fn udp(from: &str, local: &str, interface: u32) -> Datagram {
    let local: SocketAddr = local.parse().unwrap();
    Datagram { from: from.parse().unwrap(), destination: local.ip(), local, interface, mapped: false }
}

/// A process of this host over TCP from this port.
pub(crate) fn loopback_tcp(port: u16) -> Caller {
    tcp(&format!("127.0.0.1:{port}"), "127.0.0.1:111")
}

/// A process of this host over UDP from this port.
pub(crate) fn loopback_udp(port: u16) -> Caller {
    Caller::Datagram(udp(&format!("127.0.0.1:{port}"), "127.0.0.1:111", LO))
}

/// Another host's connection.
pub(crate) fn stranger_tcp() -> Caller {
    tcp("198.51.100.7:40000", "192.0.2.2:111")
}

/// Another host's datagram.
pub(crate) fn stranger_udp() -> Caller {
    Caller::Datagram(udp("198.51.100.7:40000", "192.0.2.2:111", ETH0))
}

/// A datagram of this host to one of its own addresses.
pub(crate) fn own_udp() -> Caller {
    Caller::Datagram(udp("192.0.2.2:40000", "192.0.2.2:111", LO))
}

/// One caller of this host on each transport, in the order udp, tcp, udp6, tcp6, local.
pub(crate) fn one_each() -> [(Transport, Caller); 5] {
    [
        (Transport::Udp, loopback_udp(40_000)),
        (Transport::Tcp, loopback_tcp(40_000)),
        (Transport::Udp6, Caller::Datagram(udp("[::1]:40000", "[::1]:111", LO))),
        (Transport::Tcp6, tcp("[::1]:40000", "[::1]:111")),
        (Transport::Local, unix(USER)),
    ]
}

/// The same datagram, with one thing about it changed.
pub(crate) fn changed(caller: Caller, change: impl FnOnce(&mut Datagram)) -> Caller {
    let Caller::Datagram(mut datagram) = caller else { panic!("not a datagram") };
    change(&mut datagram);
    Caller::Datagram(datagram)
}

/// An address.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
