//! The look-ups of the kernel's NFS client: GETPORT of version 2 for IPv4 servers, GETADDR of version 4 and, when that
//! does not work, of version 3 for IPv6 ones. From an unprivileged port, with AUTH_SYS of uid 0.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::wire::{self, Credential, GETADDR, GETPORT, MAX_ADDRESS, V2, V3, V4};
use super::{PATIENCE, PORT};
use crate::Namespace;

/// How the port mapper is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// In datagrams.
    Udp,
    /// Over a connection.
    Tcp,
}

/// GETPORT for a program over `protocol` (6 or 17) on an IPv4 server; 0 when it is not registered.
///
/// # Errors
/// No answer, or one that the kernel does not take.
pub fn getport(
    namespace: &Namespace,
    network: Network,
    server: IpAddr,
    program: u32,
    version: u32,
    protocol: u32,
) -> io::Result<u16> {
    let arguments = wire::words(&[program, version, protocol, 0]);
    let results = ask(namespace, network, server, V2, GETPORT, &arguments)?;
    wire::port(&results)
}

/// GETADDR for a program on an IPv6 server, version 4 first; the port that the kernel reads out of the address, 0 when
/// the program is not registered. The hint is the server's address with port 0, as the kernel sends it.
///
/// # Errors
/// No answer in either version, or one that the kernel does not take.
pub fn getaddr(
    namespace: &Namespace,
    network: Network,
    server: Ipv6Addr,
    program: u32,
    version: u32,
    netid: &str,
) -> io::Result<u16> {
    let hint = format!("{server}.0.0");
    let arguments = wire::rpcb(program, version, netid, &hint, "rpcb");
    let four =
        ask(namespace, network, server.into(), V4, GETADDR, &arguments).and_then(|results| port_of(&results));
    four.or_else(|_| {
        ask(namespace, network, server.into(), V3, GETADDR, &arguments).and_then(|results| port_of(&results))
    })
}

/// The port in a universal address, read as the kernel does: the last two decimals, the host before them.
fn port_of(results: &[u8]) -> io::Result<u16> {
    let malformed = || io::Error::other(format!("not a universal address: {}", results.escape_ascii()));
    let address = wire::string(results, MAX_ADDRESS)?;
    if address.is_empty() {
        return Ok(0);
    }
    let text = std::str::from_utf8(address).map_err(|_| malformed())?;
    let (rest, low) = text.rsplit_once('.').ok_or_else(malformed)?;
    let (host, high) = rest.rsplit_once('.').ok_or_else(malformed)?;
    let (Ok(high), Ok(low)) = (high.parse::<u8>(), low.parse::<u8>()) else { return Err(malformed()) };
    host.parse::<IpAddr>().map_err(|_| malformed())?;
    Ok(u16::from_be_bytes([high, low]))
}

fn ask(
    namespace: &Namespace,
    network: Network,
    server: IpAddr,
    version: u32,
    procedure: u32,
    arguments: &[u8],
) -> io::Result<Vec<u8>> {
    const XID: u32 = 0x6b10_0001;
    let server = SocketAddr::new(server, PORT);
    let kind = if network == Network::Udp { Type::DGRAM } else { Type::STREAM };
    let mut socket = namespace.within(|| {
        let socket = Socket::new(Domain::for_address(server), kind, None)?;
        socket.connect(&server.into())?;
        Ok::<_, io::Error>(socket)
    })??;
    socket.set_read_timeout(Some(PATIENCE))?;
    let message = wire::message(XID, version, procedure, Credential::Sys, arguments);
    if network == Network::Tcp {
        return wire::exchange(&socket, XID, &message);
    }
    socket.write_all(&message)?;
    let mut reply = vec![0; 65_536];
    let length = socket.read(&mut reply)?;
    reply.truncate(length);
    wire::results(XID, &reply)
}
