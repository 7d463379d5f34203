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
use crate::{table, wait};

/// For one answer: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two times that the same call is sent.
const AGAIN: Duration = Duration::from_millis(500);

/// A call with AUTH_NONE and the xid 7 as a message.
#[must_use]
pub fn call(version: Version, procedure: Procedure, arguments: impl Encode) -> Vec<u8> {
    let mut encoded = [0; 256];
    let mut writer = Writer::new(&mut encoded);
    arguments.encode(&mut writer).unwrap();
    message(version, procedure, writer.written())
}

/// The same with these bytes for arguments.
#[must_use]
pub fn message(version: Version, procedure: Procedure, arguments: &[u8]) -> Vec<u8> {
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

/// Sends a message and reads the reply to it; replies to what was asked before are passed over.
///
/// # Errors
/// The socket's; none within its read timeout, which is [`PATIENCE`] at first.
pub fn over_udp(client: &UdpSocket, message: &[u8]) -> io::Result<Vec<u8>> {
    client.send(message)?;
    let mut reply = [0; 10_000];
    loop {
        let len = client.recv(&mut reply)?;
        if reply.first_chunk::<4>() == message.first_chunk() {
            return Ok(reply[..len].to_vec());
        }
    }
}

/// As [`over_udp`], and sends the message again and again until there is a reply. Panics when there never is.
#[must_use]
pub fn until_answered(client: &UdpSocket, message: &[u8]) -> Vec<u8> {
    client.set_read_timeout(Some(AGAIN)).unwrap();
    let reply = wait::until("a reply", || Ok(over_udp(client, message).ok())).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    reply
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

/// A message as a record of one fragment (RFC 5531 section 11).
#[must_use]
pub fn as_record(message: &[u8]) -> Vec<u8> {
    [&mark(message.len()).unwrap()[..], message].concat()
}

/// Sends a record and reads the reply's.
///
/// # Errors
/// The connection's: closed, or nothing within [`PATIENCE`].
pub fn over(mut stream: impl Read + Write, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&as_record(message))?;
    table::record(&mut stream)
}
