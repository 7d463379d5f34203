//! An inet socket as sock_diag describes it. It never guesses: what does not parse is no socket.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{NlasIterator, Parseable};
use netlink_packet_sock_diag::inet::InetResponseHeader;
use netlink_packet_sock_diag::{INET_DIAG_SKV6ONLY, TCP_ESTABLISHED};
use rpcbind_core::facts::Socket;

/// `struct inet_diag_msg`; attributes follow.
const HEADER: usize = 72;

/// One inet socket of an answer, IPv4 addresses unmapped.
pub(in crate::netlink) struct Found {
    /// Its own address.
    pub(in crate::netlink) local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    uid: u32,
    inode: u32,
    /// An IPv6 socket that takes IPv6 only; known of listeners and of datagram sockets that are not connected.
    pub(in crate::netlink) v6_only: bool,
}

impl Found {
    /// `None` for what is no inet socket.
    pub(in crate::netlink) fn parse(payload: &[u8]) -> Option<Self> {
        let header = InetResponseHeader::parse(payload).ok()?;
        let id = header.socket_id;
        let attributes = payload.get(HEADER..).unwrap_or_default();
        let v6_only = NlasIterator::new(attributes)
            .map_while(Result::ok)
            .any(|attribute| attribute.kind() == INET_DIAG_SKV6ONLY && attribute.value().first() == Some(&1));
        Some(Self {
            local: SocketAddr::new(id.source_address.to_canonical(), id.source_port),
            remote: SocketAddr::new(id.destination_address.to_canonical(), id.destination_port),
            state: header.state,
            uid: header.uid,
            inode: header.inode,
            v6_only,
        })
    }

    /// Whether these are its own address and the one that it is connected to.
    pub(super) fn connects(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let same = |one: SocketAddr, other: SocketAddr| {
            one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
        };
        same(self.local, local) && same(self.remote, remote)
    }

    /// Whether it receives what is sent to a row's address; to a wildcard, whether it receives any of it.
    pub(super) fn covers(&self, row: SocketAddr) -> bool {
        takes(self.local.ip(), self.v6_only, row.ip()) && self.local.port() == row.port()
    }

    /// The socket as the core sees it; `own` are the inodes of our own sockets.
    pub(super) fn socket(&self, own: &[u32]) -> Socket {
        Socket {
            uid: self.uid,
            inode: self.inode,
            established: self.state == TCP_ESTABLISHED,
            port: self.local.port(),
            ours: self.inode != 0 && own.contains(&self.inode),
        }
    }
}

/// Whether a socket at one address receives what is sent to a row's address; to a wildcard, any of it.
pub(in crate::netlink) fn takes(ours: IpAddr, v6_only: bool, row: IpAddr) -> bool {
    match (ours, row.to_canonical()) {
        (IpAddr::V6(ours), IpAddr::V4(_)) => ours.is_unspecified() && !v6_only,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
        (ours, wanted) => ours.is_unspecified() || wanted.is_unspecified() || ours == wanted,
    }
}
