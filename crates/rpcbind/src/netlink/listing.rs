//! All sockets that could be a registered service, read a little at a time: one dump for each protocol and family,
//! on a sock_diag socket of its own so that questions are never kept waiting. What was missed here, because sockets
//! came and went meanwhile or the kernel did not answer, is only suspected to be free: an exact question follows.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_sock_diag::inet::{InetRequest, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SockDiagMessage};
use rpcbind_core::caller::Namespace;
use rpcbind_core::facts::BoundFact;
use rpcbind_core::liveness::Candidate;
use rustix::net::netlink::SOCK_DIAG;

use super::sock_diag::found::{Found, takes};
use super::sock_diag::{SockDiagError, last_component, on_port, receiving, unix_listeners, unix_name};
use super::socket::{Message, NetlinkSocket, Received};
use crate::peer;

/// Sockets kept of one dump: all programs' sockets on ports of rows are far fewer, and what is not kept is asked about.
const SOCKETS_MAX: usize = 65_536;

/// What is dumped, in this order.
const DUMPS: [Dump; 5] = [
    Dump::Inet(IPPROTO_TCP, AF_INET),
    Dump::Inet(IPPROTO_TCP, AF_INET6),
    Dump::Inet(IPPROTO_UDP, AF_INET),
    Dump::Inet(IPPROTO_UDP, AF_INET6),
    Dump::Unix,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dump {
    Inet(u8, u8),
    Unix,
}

/// How far the reading has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more at once.
    More,
    /// The kernel has not answered yet.
    Waiting,
    /// All has been read.
    Done,
}

/// The sockets on the ports and paths that rows name.
#[derive(Debug)]
pub struct Listing {
    socket: NetlinkSocket,
    /// The dump that is being read; `None` before the first and after the last.
    current: Option<usize>,
    /// The last dump was not read to its end: until it is, the kernel begins no other.
    unfinished: bool,
    /// Where rows are: protocol and port, last components of paths and abstract names.
    ports: BTreeSet<(u8, u16)>,
    names: BTreeSet<Box<[u8]>>,
    /// What is there: protocol, port, address, whether it takes IPv6 only; and names as rows write them.
    sockets: BTreeSet<(u8, u16, IpAddr, bool)>,
    listeners: BTreeSet<Box<[u8]>>,
}

impl Listing {
    /// Opens the socket in the current network namespace; `None` when that is not `home`, the namespace of the
    /// server's inet sockets: nothing can be seen there from here.
    ///
    /// # Errors
    /// [`SockDiagError::Open`] where the kernel refuses.
    pub fn open(home: Option<Namespace>) -> Result<Option<Self>, SockDiagError> {
        let socket = NetlinkSocket::open(Some(SOCK_DIAG), 0).map_err(SockDiagError::Open)?;
        let here = peer::namespace(socket.as_fd());
        Ok((here.is_some() && here == home).then(|| Self {
            socket,
            current: None,
            unfinished: false,
            ports: BTreeSet::new(),
            names: BTreeSet::new(),
            sockets: BTreeSet::new(),
            listeners: BTreeSet::new(),
        }))
    }

    /// Forgets everything, to begin again.
    pub fn clear(&mut self) {
        self.current = None;
        self.ports.clear();
        self.names.clear();
        self.sockets.clear();
        self.listeners.clear();
    }

    /// Keeps the sockets at this row's address when they are read.
    pub fn want(&mut self, row: &Candidate<'_>) {
        match (protocol(row.netid), row.socket) {
            (Some(protocol), Some(socket)) => {
                self.ports.insert((protocol, socket.port()));
            }
            (Some(_), None) => {}
            (None, _) => {
                self.names.insert(last_component(row.address.as_bytes()).into());
            }
        }
    }

    /// Reads one part of what the kernel tells, at most 32 KiB; never waits.
    pub fn read(&mut self) -> Progress {
        let Some(index) = self.current else {
            return if self.unfinished { self.drain() } else { self.request(0) };
        };
        let Some(dump) = DUMPS.get(index) else { return Progress::Done };
        match self.receive(*dump) {
            // What a dump that failed would have told is not known: see the top of the file.
            Ok(Progress::Done) | Err(_) => self.request(index.saturating_add(1)),
            Ok(progress) => progress,
        }
    }

    /// What the sockets read say about a row: [`BoundFact::Free`] is only a suspicion.
    #[must_use]
    pub fn seen(&self, row: &Candidate<'_>) -> BoundFact {
        let found = match (protocol(row.netid), row.socket) {
            (Some(protocol), Some(socket)) => self.takes(protocol, socket),
            (Some(_), None) => return BoundFact::Unknown,
            (None, _) => self.listeners.contains(row.address.as_bytes()),
        };
        if found { BoundFact::Bound } else { BoundFact::Free }
    }

    fn takes(&self, protocol: u8, row: SocketAddr) -> bool {
        let least = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let from = (protocol, row.port(), least, false);
        let all = self.sockets.range(from..);
        all.take_while(|(of, port, ..)| (*of, *port) == (protocol, row.port()))
            .any(|(_, _, address, v6_only)| takes(*address, *v6_only, row.ip()))
    }

    /// Asks for a dump, or for the first after it that a row is in need of and that can be asked for.
    fn request(&mut self, from: usize) -> Progress {
        for (index, dump) in DUMPS.iter().enumerate().skip(from) {
            if !self.wants(*dump) {
                continue;
            }
            let message = match dump {
                Dump::Inet(protocol, family) => {
                    let states: StateFlags = receiving(*protocol);
                    SockDiagMessage::InetRequest(InetRequest { states, ..on_port(*family, *protocol, 0) })
                }
                Dump::Unix => SockDiagMessage::UnixRequest(unix_listeners()),
            };
            if self.socket.request(message, NLM_F_DUMP).is_ok() {
                self.current = Some(index);
                self.unfinished = true;
                return Progress::More;
            }
        }
        self.current = Some(DUMPS.len());
        Progress::Done
    }

    /// Whether a row is at what this dump lists. (A socket of either family may be the one of an IPv4 row.)
    fn wants(&self, dump: Dump) -> bool {
        match dump {
            Dump::Inet(protocol, _) => self.ports.iter().any(|(of, _)| *of == protocol),
            Dump::Unix => !self.names.is_empty(),
        }
    }

    /// Throws away a part of what an earlier dump has left.
    fn drain(&mut self) -> Progress {
        self.unfinished = matches!(self.socket.receive(), Ok(Received::Messages(_) | Received::Overrun));
        Progress::More
    }

    fn receive(&mut self, dump: Dump) -> io::Result<Progress> {
        let messages = match self.socket.receive()? {
            Received::Messages(messages) => messages,
            Received::Empty => return Ok(Progress::Waiting),
            Received::Overrun => return Err(io::ErrorKind::OutOfMemory.into()),
        };
        for message in messages {
            match (message, dump) {
                (Message::Answer { payload, .. }, Dump::Inet(protocol, _)) => {
                    let Some(found) = Found::parse(payload) else { continue };
                    let port = found.local.port();
                    if self.ports.contains(&(protocol, port)) && self.sockets.len() < SOCKETS_MAX {
                        self.sockets.insert((protocol, port, found.local.ip(), found.v6_only));
                    }
                }
                (Message::Answer { payload, .. }, Dump::Unix) => {
                    let Some(name) = unix_name(payload).and_then(as_written) else { continue };
                    if self.names.contains(last_component(&name)) && self.listeners.len() < SOCKETS_MAX {
                        self.listeners.insert(name);
                    }
                }
                (Message::End, _) => {
                    self.unfinished = false;
                    return Ok(Progress::Done);
                }
                (Message::Failed(number), _) => {
                    self.unfinished = false;
                    return Err(io::Error::from_raw_os_error(number));
                }
                (Message::Event { .. }, _) => {}
            }
        }
        Ok(Progress::More)
    }
}

/// The protocol of a netid's sockets; `None` for unix sockets, which are all that is left of those judged.
fn protocol(netid: &str) -> Option<u8> {
    match netid {
        "udp" | "udp6" => Some(IPPROTO_UDP),
        "tcp" | "tcp6" => Some(IPPROTO_TCP),
        _ => None,
    }
}

/// A listener's name as rows have it: `@name`, or a path without the zero byte at its end.
fn as_written(name: &[u8]) -> Option<Box<[u8]>> {
    match name.split_first()? {
        (0, abstract_name) => Some([b"@", abstract_name].concat().into()),
        _ => name.split(|byte| *byte == 0).next().map(Into::into),
    }
}

#[cfg(test)]
mod tests;
