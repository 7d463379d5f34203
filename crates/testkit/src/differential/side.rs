//! One side of the comparison: a port mapper in a namespace of its own, a stranger at the other end of a cable, and
//! a socket for every caller. The two sides have the same addresses, and never hear of each other.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::process::Uid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::case::{Caller, Case, Place, Transport, USER};
use super::seen::{Ledger, Seen};
use super::wire;
use crate::daemon::SOCKET;
use crate::{Daemon, DaemonKind, Namespace};

/// The host's addresses on the cable, with their prefixes.
const HERE: [&str; 3] = ["10.9.8.7/24", "10.9.8.8/24", "fd00::7/64"];
/// The stranger's.
const THERE: [&str; 2] = ["10.9.8.1/24", "fd00::1/64"];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 7);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 8);
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
const OTHER_LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PORT: u16 = 111;
/// What port mappers remember lies in here.
const STATE: &str = "/run/rpcbind";

/// Ports at which something is bound on every inet transport, so that services registered there are alive.
pub const ALIVE_PORTS: [u16; 2] = [1025, 32_770];

/// The probe's answer takes no longer than this on any machine that gets on at all.
const DEADLINE: Duration = Duration::from_secs(20);
/// The longest datagram.
const DATAGRAM: usize = 65_536;

/// A port mapper and everything around it.
#[derive(Debug)]
pub struct Side {
    kind: DaemonKind,
    fragments: bool,
    home: Namespace,
    away: Namespace,
    /// Bound for as long as the side lives.
    _alive: Vec<Socket>,
    daemon: Option<Daemon>,
    channels: BTreeMap<Caller, Socket>,
    ledger: Ledger,
    privileged_port: u16,
}

impl Side {
    /// Makes the namespaces. `fragments` says whether the port mapper puts fragments together.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(kind: DaemonKind, fragments: bool) -> io::Result<Self> {
        let (home, away) = (Namespace::new()?, Namespace::new()?);
        home.connect(&away, &HERE, &THERE)?;
        let alive = home.within(alive_sockets)??;
        Ok(Self {
            kind,
            fragments,
            home,
            away,
            _alive: alive,
            daemon: None,
            channels: BTreeMap::new(),
            ledger: Ledger::default(),
            privileged_port: 600,
        })
    }

    /// What this side is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Starts the port mapper anew, with nothing registered and nobody connected.
    ///
    /// # Errors
    /// It did not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.channels.clear();
        self.ledger = Ledger::default();
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.home.within(forget)??;
        self.daemon = Some(Daemon::start(&self.home, &self.kind)?);
        Ok(())
    }

    /// What the port mapper has written to standard error since it was started.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.daemon.as_ref().map_or_else(String::new, Daemon::stderr)
    }

    /// Sends a call and the probe behind it. What goes wrong here shows when the answer is received.
    ///
    /// # Errors
    /// The caller's socket could not be opened.
    pub fn send(&mut self, case: &Case, xid: u32) -> io::Result<()> {
        let message = wire::message(case, xid);
        let datagram = case.caller.transport.is_datagram();
        let probe = wire::probe(!xid, datagram);
        let fragments = self.fragments;
        let channel = self.channel(case.caller)?;
        if datagram {
            channel.send(&message)?;
            channel.send(&probe)?;
            return Ok(());
        }
        let mut writes = wire::writes(&message, case.framing, fragments);
        match writes.last_mut() {
            Some(last) => last.extend_from_slice(&wire::record(&probe)),
            None => writes.push(wire::record(&probe)),
        }
        for bytes in writes {
            // Fails when the other end has closed, which is what receiving then tells.
            let _ = channel.write_all(&bytes);
        }
        Ok(())
    }

    /// What became of the call that was sent last by this caller.
    ///
    /// # Errors
    /// The probe was not answered in time, or something came that nobody asked for.
    pub fn receive(&mut self, case: &Case, xid: u32) -> io::Result<Seen> {
        let channel = self.channel(case.caller)?;
        let seen = if case.caller.transport.is_datagram() {
            receive(xid, || datagram(channel).map(Some))?
        } else {
            receive(xid, || record(channel))?
        };
        if seen == Seen::Closed {
            self.channels.remove(&case.caller);
        }
        self.ledger.normalise(case, seen).map_err(io::Error::other)
    }

    fn channel(&mut self, caller: Caller) -> io::Result<&mut Socket> {
        if !self.channels.contains_key(&caller) {
            let port = &mut self.privileged_port;
            let from = if caller.is_stranger() { &self.away } else { &self.home };
            let socket = from
                .within(|| open(caller, port))?
                .map_err(|error| io::Error::new(error.kind(), format!("{caller}: {error}")))?;
            socket.set_read_timeout(Some(DEADLINE))?;
            self.channels.insert(caller, socket);
        }
        self.channels.get_mut(&caller).ok_or_else(|| io::Error::other("no channel"))
    }
}

/// Removes what a killed daemon leaves behind, or left at its last orderly end.
fn forget() -> io::Result<()> {
    for entry in std::fs::read_dir(STATE)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to the probe's answer. `None` from `next` is the connection's end.
fn receive(xid: u32, mut next: impl FnMut() -> io::Result<Option<Vec<u8>>>) -> io::Result<Seen> {
    let mut seen = Seen::Silence;
    loop {
        let Some(mut message) = next()? else {
            return match seen {
                Seen::Silence => Ok(Seen::Closed),
                reply => Err(io::Error::other(format!("closed behind {reply}"))),
            };
        };
        let Some(head) = message.first_chunk_mut::<4>() else {
            return Err(io::Error::other("a message of less than 4 bytes"));
        };
        let answered = u32::from_be_bytes(*head);
        *head = [0; 4];
        if answered == !xid {
            return Ok(seen);
        }
        if answered != xid || seen != Seen::Silence {
            return Err(io::Error::other(format!("an answer that nobody waits for, xid {answered:#x}")));
        }
        seen = Seen::Reply(message);
    }
}

fn datagram(socket: &Socket) -> io::Result<Vec<u8>> {
    let mut message = vec![0; DATAGRAM];
    let mut reader = socket;
    let length = reader.read(&mut message)?;
    message.truncate(length);
    Ok(message)
}

/// One record, its fragments put together; `None` at the connection's end.
fn record(mut stream: &Socket) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut mark = [0; 4];
        if let Err(error) = stream.read_exact(&mut mark) {
            let ended = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
            return if ended { Ok(None) } else { Err(error) };
        }
        let mark = u32::from_be_bytes(mark);
        let length = usize::try_from(mark & 0x7fff_ffff).map_err(io::Error::other)?;
        let start = message.len();
        message.resize(start.saturating_add(length), 0);
        stream.read_exact(message.get_mut(start..).unwrap_or_default())?;
        if mark & 0x8000_0000 != 0 {
            return Ok(Some(message));
        }
    }
}

/// Opens a caller's socket, on a thread that is in the caller's namespace and ends afterwards.
fn open(caller: Caller, privileged_port: &mut u16) -> io::Result<Socket> {
    if caller.place == Place::User {
        // Of this thread alone, which is why it is not the C library's call.
        let user = Some(Uid::from_raw(USER));
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    if caller.transport == Transport::Unix {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.connect(&SockAddr::unix(SOCKET)?)?;
        return Ok(socket);
    }
    let (from, to) = ends(caller);
    for _ in 0..400 {
        let socket = inet_socket(caller.transport)?;
        let mut bound = Ok(());
        if let Some(mut from) = from {
            if caller.place == Place::PrivilegedPort {
                *privileged_port = if *privileged_port >= 1000 { 600 } else { *privileged_port + 1 };
                from.set_port(*privileged_port);
            }
            bound = socket.bind(&from.into());
        }
        match bound.and_then(|()| socket.connect(&to.into())) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(socket),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn inet_socket(transport: Transport) -> io::Result<Socket> {
    let domain = if transport.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    if transport.is_datagram() {
        return Socket::new(domain, Type::DGRAM, None);
    }
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// Where a caller's socket is bound, when that matters, and what it connects to.
fn ends(caller: Caller) -> (Option<SocketAddr>, SocketAddr) {
    let ipv6 = caller.transport.is_ipv6();
    let (loopback, own): (SocketAddr, SocketAddr) = if ipv6 {
        ((Ipv6Addr::LOCALHOST, PORT).into(), (OWN6, PORT).into())
    } else {
        ((Ipv4Addr::LOCALHOST, PORT).into(), (OWN, PORT).into())
    };
    let unbound = |address: SocketAddr| SocketAddr::new(address.ip(), 0);
    match caller.place {
        Place::Root | Place::User => (None, loopback),
        Place::PrivilegedPort => (Some(unbound(loopback)), loopback),
        Place::OtherLoopback => (Some((OTHER_LOOPBACK, 0).into()), loopback),
        Place::OwnAddress => (Some(unbound(own)), own),
        Place::Stranger => (None, own),
        Place::StrangerAtSecond => (None, (SECOND, PORT).into()),
    }
}

/// Sockets at [`ALIVE_PORTS`].
fn alive_sockets() -> io::Result<Vec<Socket>> {
    let mut alive = Vec::new();
    for port in ALIVE_PORTS {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Udp6, Transport::Tcp6] {
            let socket = inet_socket(transport)?;
            let any: SocketAddr = if transport.is_ipv6() {
                socket.set_only_v6(true)?;
                (Ipv6Addr::UNSPECIFIED, port).into()
            } else {
                (Ipv4Addr::UNSPECIFIED, port).into()
            };
            socket.bind(&any.into())?;
            if !transport.is_datagram() {
                socket.listen(1)?;
            }
            alive.push(socket);
        }
    }
    Ok(alive)
}
