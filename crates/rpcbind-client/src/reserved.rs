//! Ports below 1024 for registrations over TCP: port mappers without a better way to tell users apart take them for
//! a proof of being root.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// Tried in turn from an unpredictable one on. Lower ports belong to services.
const PORTS: std::ops::Range<u16> = 600..1024;

/// A socket bound to a reserved port; `None` when this process may not, or none is free.
pub(crate) fn tcp_socket(peer: SocketAddr) -> Option<Socket> {
    let count = PORTS.end - PORTS.start;
    let first = u16::try_from(crate::client::unpredictable() % u32::from(count)).unwrap_or(0);
    for step in 0..count {
        let port = PORTS.start + (first + step) % count;
        let socket = Socket::new(Domain::for_address(peer), Type::STREAM, None).ok()?;
        let mut local = if peer.is_ipv4() {
            SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))
        };
        local.set_port(port);
        match socket.bind(&local.into()) {
            Ok(()) => return Some(socket),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(_) => return None,
        }
    }
    None
}
