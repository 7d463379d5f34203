//! Clients that ask the port mapper something, from within a machine. What cannot fail unless the machine itself does
//! panics: these are parts of tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use oncrpc::bind::{self, Mapping, Protocol};
use oncrpc::record::mark;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version, Xid};

use crate::namespace::Namespace;
use crate::table;

/// For one answer: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A call with AUTH_NONE and the xid 7 as a message.
#[must_use]
pub fn call(version: Version, procedure: Procedure, arguments: impl Encode) -> Vec<u8> {
    let mut encoded = [0; 256];
    let mut writer = Writer::new(&mut encoded);
    arguments.encode(&mut writer).unwrap();
    let arguments = writer.written();
    let mut message = vec![0; 40 + arguments.len()];
    let call = Call { arguments, ..Call::new(Xid(7), bind::PROGRAM, version, procedure) };
    call.encode(&mut Writer::new(&mut message)).unwrap();
    message
}

/// GETPORT of version 2 for the port mapper itself.
#[must_use]
pub fn getport() -> Vec<u8> {
    call(bind::V2, bind::GETPORT, mapping(bind::PROGRAM, 0))
}

/// The arguments of version 2, for version 2 of a program over UDP.
#[must_use]
pub fn mapping(program: Program, port: u32) -> Mapping {
    Mapping { program, version: Version(2), protocol: Protocol::UDP, port }
}

/// The results of a call that succeeded; panics with the reply to any other.
#[must_use]
pub fn results(reply: &[u8]) -> Vec<u8> {
    match Reply::decode(reply).unwrap().answer {
        Answer::Success(results) => results.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A UDP client at an address of its machine, connected so that it hears only from whom it asked.
#[must_use]
pub fn udp(home: &Namespace, from: &str, to: SocketAddr) -> UdpSocket {
    let from: IpAddr = from.parse().unwrap();
    home.within(|| {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
    .unwrap()
}

/// Sends a message and reads a reply, whatever its xid.
///
/// # Errors
/// The socket's; none within [`PATIENCE`].
pub fn over_udp(client: &UdpSocket, message: &[u8]) -> io::Result<Vec<u8>> {
    client.send(message)?;
    let mut reply = [0; 10_000];
    let len = client.recv(&mut reply)?;
    Ok(reply[..len].to_vec())
}

/// A connection over TCP.
#[must_use]
pub fn tcp(home: &Namespace, to: &str) -> TcpStream {
    let stream = home.within(|| TcpStream::connect(to)).unwrap().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection over a unix socket.
#[must_use]
pub fn unix(home: &Namespace, path: &str) -> UnixStream {
    let stream = home.within(|| UnixStream::connect(path)).unwrap().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a record and reads the reply's.
///
/// # Errors
/// The connection's: closed, or nothing within [`PATIENCE`].
pub fn over(mut stream: impl Read + Write, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&[&mark(message.len()).unwrap()[..], message].concat())?;
    table::record(&mut stream)
}
