//! One host of the virtual network: its interfaces, its sockets, its port mapper, and the kernel that knows about them.

use super::link::{LinkId, is_group};
use rpcbind_core::Service;
use rpcbind_core::caller::Transport;
use rpcbind_core::facts::{BoundFact, OwnerFact, Question, Socket as Found};
use rpcbind_core::interfaces::Interfaces;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The index of every host's loopback interface; its others follow in their order.
pub const LOOPBACK: u32 = 1;

/// An interface of a host: the link it is attached to, and its addresses with the lengths of their prefixes.
#[derive(Clone, Debug)]
pub struct Nic {
    /// The link.
    pub link: LinkId,
    /// Its addresses, of which it has at least one.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A socket of a process on a host.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) uid: u32,
    /// Datagrams that came in: from whom, and what.
    pub(crate) inbox: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) open: bool,
    /// What it answers to calls by itself.
    pub(crate) answers: Option<Answers>,
}

/// What a service answers to every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// SUCCESS with these results.
    Results(Vec<u8>),
    /// SYSTEM_ERR.
    Error,
    /// Bytes that are no reply, behind the xid of the call and the mark of a reply.
    Garbage(Vec<u8>),
}

/// A connection to some port mapper, at the end of the host that opened it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) uid: u32,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) nics: Vec<Nic>,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) opened: Vec<Opened>,
    /// The port mapper, and the port that it is on.
    pub(crate) service: Option<(Service, u16)>,
    /// Where the port mapper's remote calls leave from, and their answers come in.
    pub(crate) outlets: Vec<SocketAddr>,
}

impl Host {
    pub(crate) fn new(nics: Vec<Nic>) -> Self {
        Self { nics, sockets: Vec::new(), opened: Vec::new(), service: None, outlets: Vec::new() }
    }

    /// The interfaces with their indices, loopback apart.
    pub(crate) fn indexed_nics(&self) -> impl Iterator<Item = (u32, &Nic)> {
        (LOOPBACK + 1..).zip(&self.nics)
    }

    /// The table that a daemon on this host reads.
    pub(crate) fn interfaces(&self) -> Interfaces {
        let loopback =
            [(LOOPBACK, Ipv4Addr::LOCALHOST.into(), 8), (LOOPBACK, Ipv6Addr::LOCALHOST.into(), 128)];
        let others = self.indexed_nics().flat_map(|(index, nic)| {
            nic.addresses.iter().map(move |(address, prefix_length)| (index, *address, *prefix_length))
        });
        Interfaces::of(loopback.into_iter().chain(others))
    }

    /// Whether an address is one of this host's, loopback included.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.nics.iter().any(|nic| nic.addresses.iter().any(|own| own.0 == address))
    }

    /// The address of ours that the kernel says a datagram was delivered for.
    pub(crate) fn delivered_for(&self, destination: IpAddr, interface: u32) -> IpAddr {
        let Some((_, nic)) = self.indexed_nics().find(|(index, _)| *index == interface) else {
            return destination;
        };
        let broadcast = nic.addresses.iter().any(|(own, len)| broadcast_of(*own, *len) == Some(destination));
        if !broadcast && (!is_group(destination) || destination.is_ipv6()) {
            return destination;
        }
        let own = nic.addresses.iter().find(|(own, _)| own.is_ipv6() == destination.is_ipv6());
        own.map_or(destination, |(own, _)| *own)
    }

    /// What sock_diag says.
    pub(crate) fn answer(&self, question: &Question) -> Answered {
        match question {
            Question::Owner { transport: Transport::Udp | Transport::Udp6, remote, .. } => {
                let on_port = self.sockets.iter().filter(|socket| {
                    let udp = matches!(socket.transport, Transport::Udp | Transport::Udp6);
                    socket.open && udp && socket.address.port() == remote.port()
                });
                let found = on_port.map(|socket| found(socket.uid, remote.port(), false)).collect();
                Answered::Owner(OwnerFact::Sockets(found))
            }
            Question::Owner { local, remote, .. } => {
                let ends = self.opened.iter().filter(|end| end.from == *remote && end.to == *local);
                let found = ends.map(|end| found(end.uid, remote.port(), true)).collect();
                Answered::Owner(OwnerFact::Sockets(found))
            }
            Question::Bound { netid, address } => Answered::Bound(self.bound(netid, address)),
        }
    }

    /// Whether a socket of the netid's transport is open on the address's port.
    fn bound(&self, netid: &str, address: &str) -> BoundFact {
        let mut octets = address.rsplit('.').map_while(|octet| octet.parse::<u16>().ok());
        let (Some(low), Some(high)) = (octets.next(), octets.next()) else { return BoundFact::Unknown };
        let port = high.wrapping_mul(256).wrapping_add(low);
        let same = |socket: &&Socket| socket.transport.netid() == netid && socket.address.port() == port;
        let open = self.sockets.iter().filter(same).any(|socket| socket.open);
        if open { BoundFact::Bound } else { BoundFact::Free }
    }
}

/// The answer to a question, of its kind.
pub(crate) enum Answered {
    Owner(OwnerFact),
    Bound(BoundFact),
}

fn found(uid: u32, port: u16, established: bool) -> Found {
    Found { uid, inode: 1, established, port, ours: false }
}

/// The broadcast address of a prefix.
pub(crate) fn broadcast_of(address: IpAddr, prefix_length: u8) -> Option<IpAddr> {
    let IpAddr::V4(address) = address else { return None };
    let host_bits = u32::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
    (host_bits > 1).then(|| IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() | host_bits)))
}
