//! Who sent a message, as the kernel says it: nothing here comes from the message itself.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The time as the shell measured it before it handed in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since a fixed moment of the shell's choosing. Never goes backwards.
    pub monotonic: Duration,
    /// Wall time, seconds since 1970: what GETTIME answers (RFC 1833 section 2.2.1).
    pub unix_seconds: u32,
}

/// A network namespace, by the kernel's cookie (SO_NETNS_COOKIE). Two namespaces never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(pub u64);

/// The transports on which program 100000 is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP over IPv4, netid `udp`.
    Udp,
    /// TCP over IPv4, netid `tcp`.
    Tcp,
    /// UDP over IPv6, netid `udp6`.
    Udp6,
    /// TCP over IPv6, netid `tcp6`.
    Tcp6,
    /// Stream sockets of the unix family, netid `local`.
    Local,
}

/// The sender of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A datagram.
    Datagram(Datagram),
    /// A TCP connection. Addresses of a dual-stack socket come in unmapped: such a connection is an IPv4 one.
    Connection {
        /// The other end.
        from: SocketAddr,
        /// Our end.
        local: SocketAddr,
    },
    /// A unix stream socket.
    Unix {
        /// The peer's effective uid when it connected (SO_PEERCRED); `None` when the kernel did not say.
        uid: Option<u32>,
        /// The network namespace that the accepted socket belongs to.
        namespace: Namespace,
    },
}

/// What the kernel said about one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The source address, unmapped when `mapped`.
    pub from: SocketAddr,
    /// The destination in the datagram's header (`ipi_addr`, `ipi6_addr`): ours, a broadcast or a multicast address.
    pub destination: IpAddr,
    /// The address of ours that the datagram was delivered for (`ipi_spec_dst`), and the port it was received on.
    /// It differs from `destination` when that one is a broadcast address.
    pub local: SocketAddr,
    /// The interface that the datagram arrived on; 0 when the kernel did not say.
    pub interface: u32,
    /// An IPv4 datagram that a dual-stack IPv6 socket received.
    pub mapped: bool,
}

impl Caller {
    /// The transport that the message arrived on.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self {
            Self::Datagram(datagram) if datagram.from.is_ipv6() => Transport::Udp6,
            Self::Datagram(_) => Transport::Udp,
            Self::Connection { from, .. } if from.is_ipv6() => Transport::Tcp6,
            Self::Connection { .. } => Transport::Tcp,
            Self::Unix { .. } => Transport::Local,
        }
    }

    /// The address of the other end; `None` on a unix socket.
    #[must_use]
    pub fn from(&self) -> Option<SocketAddr> {
        match self {
            Self::Datagram(datagram) => Some(datagram.from),
            Self::Connection { from, .. } => Some(*from),
            Self::Unix { .. } => None,
        }
    }

    /// The address of ours that the message was delivered for; `None` on a unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Datagram(datagram) => Some(datagram.local),
            Self::Connection { local, .. } => Some(*local),
            Self::Unix { .. } => None,
        }
    }
}

impl Transport {
    /// The netid that this transport is registered under (RFC 5665 section 5.2).
    #[must_use]
    pub fn netid(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Udp6 => "udp6",
            Self::Tcp6 => "tcp6",
            Self::Local => "local",
        }
    }
}
