//! The sockets of callers: opened where the caller sits, as whom the caller is, and read message by message.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Uid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::case::{Caller, Place, Transport, USER};
use crate::daemon::SOCKET;

/// The host's own address.
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 7);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 8);
/// The same in IPv6.
pub(super) const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
const OTHER_LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PORT: u16 = 111;
/// The longest datagram.
const DATAGRAM: usize = 65_536;

/// A caller's socket, and where its datagrams go: they are not connected, since remote calls are answered from any
/// port.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) socket: Socket,
    to: Option<SockAddr>,
}

impl Channel {
    /// Sends a datagram, or writes to a stream.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.to {
            Some(to) => self.socket.send_to(bytes, to).map(drop),
            None => (&self.socket).write_all(bytes),
        }
    }
}

/// One datagram.
pub(super) fn datagram(mut socket: &Socket) -> io::Result<Vec<u8>> {
    let mut message = vec![0; DATAGRAM];
    let length = socket.read(&mut message)?;
    message.truncate(length);
    Ok(message)
}

/// One record, its fragments put together; `None` at the connection's end.
pub(super) fn record(mut stream: &Socket) -> io::Result<Option<Vec<u8>>> {
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
pub(super) fn open(caller: Caller, privileged_port: &mut u16, is_connected: bool) -> io::Result<Channel> {
    if caller.place == Place::User {
        // Of this thread alone, which is why it is not the C library's call.
        let user = Some(Uid::from_raw(USER));
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    if caller.transport == Transport::Unix {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.connect(&SockAddr::unix(SOCKET)?)?;
        return Ok(Channel { socket, to: None });
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
        let to = SockAddr::from(to);
        match bound.and_then(|()| if is_connected { socket.connect(&to) } else { Ok(()) }) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(Channel { socket, to: (!is_connected).then_some(to) }),
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
        Place::Root | Place::User | Place::Witness => (None, loopback),
        Place::PrivilegedPort => (Some(unbound(loopback)), loopback),
        Place::OtherLoopback => (Some((OTHER_LOOPBACK, 0).into()), loopback),
        Place::OwnAddress => (Some(unbound(own)), own),
        Place::Stranger => (None, own),
        Place::StrangerAtSecond => (None, (SECOND, PORT).into()),
    }
}

/// Sockets at these ports, on every inet transport.
pub(super) fn alive_sockets(ports: &[u16]) -> io::Result<Vec<Socket>> {
    let mut alive = Vec::new();
    for port in ports {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Udp6, Transport::Tcp6] {
            let socket = inet_socket(transport)?;
            let any: SocketAddr = if transport.is_ipv6() {
                socket.set_only_v6(true)?;
                (Ipv6Addr::UNSPECIFIED, *port).into()
            } else {
                (Ipv4Addr::UNSPECIFIED, *port).into()
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
