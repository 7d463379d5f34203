//! Facts about sockets that SET and UNSET need and only the kernel knows: who owns the caller's end, and whether
//! anything still listens at a row's address. Asked synchronously over one sock_diag socket that is opened at start;
//! what the kernel does not say in time is `Unknown`. Whether to believe an answer is not decided here.

pub(super) mod found;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_DUMP, NlasIterator};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags as InetStates};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags as UnixStates, UnixRequest};
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SockDiagMessage, UNIX_DIAG_NAME,
};
use oncrpc::bind::{Family, UniversalAddress};
use rpcbind_core::caller::{Namespace, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact, Question, Socket};
use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;

use self::found::Found;
use super::socket::{Message, NetlinkSocket, Received};
use crate::peer;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_millis(10);
/// Parts of an answer that are read however late it is: the kernel has them ready, and it may be this process that was
/// kept waiting.
const PARTS: usize = 8;
/// The first questions may make the kernel load what answers them.
const PATIENCE_AT_START: Duration = Duration::from_secs(2);
/// More sockets than this on one port are no answer.
const SOCKETS: usize = 1024;
/// `struct unix_diag_msg`; attributes follow.
const UNIX_HEADER: usize = 16;

/// The sock_diag socket.
#[derive(Debug)]
pub struct SockDiag {
    socket: NetlinkSocket,
    home: bool,
    tcp: Served,
    udp: Served,
    unix: bool,
    own: Vec<u32>,
    patience: Duration,
    parts: usize,
    /// The last dump was not read to its end.
    unfinished: bool,
}

/// The families for which the kernel answers questions about one protocol.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    inet: bool,
    inet6: bool,
}

/// Why there will be no answers.
#[derive(Debug, thiserror::Error)]
pub enum SockDiagError {
    /// The socket could not be opened.
    #[error("owners of sockets are not known: sock_diag socket: {0}")]
    Open(#[source] io::Error),
}

impl SockDiag {
    /// Opens the socket in the current network namespace and tries out what the kernel answers. `home` is the
    /// namespace of the server's inet sockets; when it is another one, or `None`, every answer is `Unknown`.
    /// `own` are the server's own datagram sockets.
    ///
    /// # Errors
    /// [`SockDiagError::Open`] where the kernel refuses. Every question is then to be answered `Unknown`.
    pub fn open(home: Option<Namespace>, own: &[BorrowedFd<'_>]) -> Result<Self, SockDiagError> {
        let socket = NetlinkSocket::open(Some(SOCK_DIAG), 0).map_err(SockDiagError::Open)?;
        let here = peer::namespace(socket.as_fd());
        let mut diag = Self {
            socket,
            home: home.is_some() && here == home,
            tcp: Served::default(),
            udp: Served::default(),
            unix: false,
            own: own.iter().filter_map(|socket| inode(*socket)).collect(),
            patience: PATIENCE_AT_START,
            parts: PARTS,
            unfinished: false,
        };
        diag.tcp = diag.try_out(IPPROTO_TCP);
        diag.udp = diag.try_out(IPPROTO_UDP);
        diag.unix = diag.dump(SockDiagMessage::UnixRequest(unix_listeners()), |_| true).is_ok();
        diag.patience = PATIENCE;
        Ok(diag)
    }

    /// Whether the socket is in the namespace of the server's inet sockets. If not, every answer is `Unknown`.
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.home
    }

    /// Adds one of the server's own datagram sockets, opened later.
    pub fn add_own(&mut self, socket: BorrowedFd<'_>) {
        self.own.extend(inode(socket));
    }

    /// Answers a question of the core: fills in the fact that was asked for.
    pub fn answer(&mut self, question: &Question, facts: &mut Facts) {
        match question {
            Question::Owner { transport, local, remote } => {
                facts.owner = Some(self.owner(*transport, *local, *remote));
            }
            Question::Bound { netid, address } => facts.bound = Some(self.bound(netid, address)),
        }
    }

    /// The sockets at the caller's end, `remote`: of a connection the one that it ends in, of a datagram every
    /// socket that it can have come from.
    pub fn owner(&mut self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> OwnerFact {
        if !self.home {
            return OwnerFact::Unknown;
        }
        let sockets = match transport {
            Transport::Tcp | Transport::Tcp6 if self.tcp.inet => self.connection(local, remote),
            Transport::Udp | Transport::Udp6 if self.udp.inet => self.sharers(remote.port()),
            _ => return OwnerFact::Unknown,
        };
        sockets.map_or(OwnerFact::Unknown, OwnerFact::Sockets)
    }

    /// Whether anything listens at a row's address. For a wildcard address any socket of the family on its port
    /// counts; netids other than those of UDP, TCP and unix stream sockets are `Unknown`.
    pub fn bound(&mut self, netid: &str, address: &str) -> BoundFact {
        if !self.home {
            return BoundFact::Unknown;
        }
        let (protocol, served, family) = match netid.to_ascii_lowercase().as_str() {
            "udp" => (IPPROTO_UDP, self.udp, Family::Inet),
            "tcp" => (IPPROTO_TCP, self.tcp, Family::Inet),
            "udp6" => (IPPROTO_UDP, self.udp, Family::Inet6),
            "tcp6" => (IPPROTO_TCP, self.tcp, Family::Inet6),
            "local" | "unix" => return self.unix_bound(address),
            _ => return BoundFact::Unknown,
        };
        let Some(row) = UniversalAddress::parse(address.as_bytes(), family).and_then(|row| row.socket())
        else {
            return BoundFact::Unknown;
        };
        if row.port() == 0 || !served.inet {
            return BoundFact::Unknown;
        }
        // An IPv6 socket may take IPv4 too; no IPv4 socket takes IPv6.
        let families = [(AF_INET, row.ip().to_canonical().is_ipv4()), (AF_INET6, served.inet6)];
        let mut found = false;
        for (family, _) in families.into_iter().filter(|(_, wanted)| *wanted) {
            let request =
                InetRequest { states: receiving(protocol), ..on_port(family, protocol, row.port()) };
            let dump = self.dump(SockDiagMessage::InetRequest(request), |payload| {
                found |= Found::parse(payload).is_some_and(|socket| socket.covers(row));
                true
            });
            if dump.is_err() {
                return BoundFact::Unknown;
            }
        }
        if found { BoundFact::Bound } else { BoundFact::Free }
    }

    /// The socket at the other end of exactly this connection: its own address is the caller's.
    fn connection(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<Vec<Socket>> {
        let family = if remote.is_ipv4() { AF_INET } else { AF_INET6 };
        let mut request = on_port(family, IPPROTO_TCP, remote.port());
        request.socket_id.source_address = remote.ip();
        request.socket_id.destination_address = local.ip();
        request.socket_id.destination_port = local.port();
        let mut sockets = Vec::new();
        let asked = self.exchange(SockDiagMessage::InetRequest(request), 0, |payload| {
            // Where there is no such connection the kernel offers a listener on the port instead.
            let found = Found::parse(payload).filter(|found| found.connects(remote, local));
            sockets.extend(found.map(|found| found.socket(&[])));
            true
        });
        match asked {
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(Vec::new()),
            asked => asked.map(|()| sockets),
        }
    }

    /// Every UDP socket of both families on a port: several may share it, and any of them may have sent.
    fn sharers(&mut self, port: u16) -> io::Result<Vec<Socket>> {
        let mut sockets = Vec::new();
        let own = std::mem::take(&mut self.own);
        let mut outcome = Ok(());
        for (family, served) in [(AF_INET, true), (AF_INET6, self.udp.inet6)] {
            if served && outcome.is_ok() {
                let request = SockDiagMessage::InetRequest(on_port(family, IPPROTO_UDP, port));
                outcome = self.dump(request, |payload| {
                    let found = Found::parse(payload).filter(|found| found.local.port() == port);
                    sockets.extend(found.map(|found| found.socket(&own)));
                    sockets.len() <= SOCKETS
                });
            }
        }
        self.own = own;
        outcome.map(|()| sockets)
    }

    /// Unix listeners by the kernel's names: those that they were bound to, as they were written then.
    fn unix_bound(&mut self, address: &str) -> BoundFact {
        let (mut found, mut alias) = (false, false);
        if !self.unix {
            return BoundFact::Unknown;
        }
        let asked = self.dump(SockDiagMessage::UnixRequest(unix_listeners()), |payload| {
            let Some(name) = unix_name(payload) else { return true };
            match address.strip_prefix('@') {
                Some(wanted) => found |= name.strip_prefix(b"\0") == Some(wanted.as_bytes()),
                None => {
                    let path = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    found |= path == address.as_bytes();
                    alias |= last_component(path) == last_component(address.as_bytes());
                }
            }
            true
        });
        match asked {
            Ok(()) if found => BoundFact::Bound,
            // The same file name below another directory may be the same file by another path.
            Ok(()) if !alias && address.starts_with(['/', '@']) => BoundFact::Free,
            _ => BoundFact::Unknown,
        }
    }

    fn try_out(&mut self, protocol: u8) -> Served {
        // Port 1: as good as any, and the answer is short.
        let mut serves = |family| {
            let request = InetRequest { states: receiving(protocol), ..on_port(family, protocol, 1) };
            self.dump(SockDiagMessage::InetRequest(request), |_| true).is_ok()
        };
        Served { inet: serves(AF_INET), inet6: serves(AF_INET6) }
    }

    fn dump(&mut self, request: SockDiagMessage, each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        self.exchange(request, NLM_F_DUMP, each)
    }

    /// One question and its answer, of one message or, for a dump, of many. Ends early when `each` has had enough.
    fn exchange(
        &mut self,
        request: SockDiagMessage,
        flags: u16,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now().checked_add(self.patience).ok_or(io::ErrorKind::TimedOut)?;
        if self.unfinished {
            self.drain(deadline)?;
        }
        self.socket.request(request, flags)?;
        self.unfinished = true;
        for part in 1_usize.. {
            let messages = match self.socket.receive()? {
                Received::Messages(messages) => messages,
                Received::Empty => {
                    self.socket.wait(deadline)?;
                    continue;
                }
                Received::Overrun => return Err(Errno::NOBUFS.into()),
            };
            for message in messages {
                let end = match message {
                    Message::Answer { payload, .. } if !each(payload) => return Err(Errno::TOOBIG.into()),
                    Message::Answer { .. } if flags == 0 => Ok(()),
                    Message::End => Ok(()),
                    Message::Failed(number) => Err(io::Error::from_raw_os_error(number)),
                    Message::Answer { .. } | Message::Event { .. } => continue,
                };
                self.unfinished = false;
                return end;
            }
            if part >= self.parts && Instant::now() >= deadline {
                break;
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Throws away what is left of an earlier answer: until then the kernel begins no other dump.
    fn drain(&mut self, deadline: Instant) -> io::Result<()> {
        for part in 1_usize.. {
            if matches!(self.socket.receive()?, Received::Empty) {
                self.unfinished = false;
                return Ok(());
            }
            if part >= self.parts && Instant::now() >= deadline {
                break;
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// A question about the sockets whose own port is this; about all when it is 0.
pub(super) fn on_port(family: u8, protocol: u8, port: u16) -> InetRequest {
    let any = if family == AF_INET { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        states: InetStates::all(),
        socket_id: SocketId {
            source_port: port,
            destination_port: 0,
            source_address: any,
            destination_address: any,
            interface_id: 0,
            // No particular socket.
            cookie: [0xff; 8],
        },
    }
}

/// The states in which a socket receives what nobody has begun: TCP listens; every UDP socket that is there does.
pub(super) fn receiving(protocol: u8) -> InetStates {
    if protocol == IPPROTO_TCP { InetStates::LISTEN } else { InetStates::all() }
}

pub(super) fn unix_listeners() -> UnixRequest {
    UnixRequest { state_flags: UnixStates::LISTEN, inode: 0, show_flags: ShowFlags::NAME, cookie: [0xff; 8] }
}

/// The name as the kernel keeps it: an abstract one begins with NUL, a path may end with it.
pub(super) fn unix_name(payload: &[u8]) -> Option<&[u8]> {
    NlasIterator::new(payload.get(UNIX_HEADER..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == UNIX_DIAG_NAME)
        .and_then(|attribute| {
            let len = usize::from(attribute.length());
            attribute.into_inner().get(netlink_packet_core::NLA_HEADER_SIZE..len)
        })
}

pub(super) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Sockets are told apart by inode, as the kernel reports it here too.
fn inode(socket: BorrowedFd<'_>) -> Option<u32> {
    u32::try_from(rustix::fs::fstat(socket).ok()?.st_ino).ok()
}

#[cfg(test)]
mod tests;
