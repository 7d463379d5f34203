//! Clients that only ask: by datagram, over connections of one call and over such that stay, several calls at once and
//! in pieces.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use testkit::table;

use super::clients::Turn;
use super::{ask, calls};

/// Calls of one write.
const PIPELINED: u32 = 8;

/// What anybody may ask and is answered.
fn look_ups() -> Vec<Vec<u8>> {
    let others = ["SET", "UNSET", "remote", "INDIRECT", "a reply", "39 bytes", "nothing"];
    let mut all = calls::all();
    all.retain(|(name, _)| !others.iter().any(|other| name.starts_with(other)));
    all.into_iter().map(|(_, message)| message).collect()
}

/// One of them, with a number of its own.
fn numbered(messages: &[Vec<u8>], xid: u32) -> Vec<u8> {
    let index = usize::try_from(xid).unwrap() % messages.len();
    calls::with_xid(messages[index].clone(), xid)
}

fn xid(reply: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*reply.first_chunk()?))
}

pub(super) fn datagrams(from: &str, to: &str) -> Turn<'static> {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(to).unwrap();
    let messages = look_ups();
    Box::new(move |number| {
        let _ = ask::until_answered(&socket, &numbered(&messages, number));
        1
    })
}

/// Everything that a stranger can send, answered or not.
pub(super) fn stranger(from: &str, to: SocketAddr) -> Turn<'static> {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_nonblocking(true).unwrap();
    let messages: Vec<Vec<u8>> = calls::all().into_iter().map(|(_, message)| message).collect();
    Box::new(move |number| {
        // It fails when an answer to an earlier one could not be delivered, or nothing more goes in.
        let _ = socket.send(&messages[usize::try_from(number).unwrap() % messages.len()]);
        let answers = std::iter::from_fn(|| socket.recv(&mut [0; 10_000]).ok());
        u64::try_from(answers.count()).unwrap()
    })
}

pub(super) fn connections(to: &'static [&'static str]) -> Turn<'static> {
    let messages = look_ups();
    Box::new(move |number| {
        let mut stream = TcpStream::connect(to[usize::try_from(number).unwrap() % to.len()]).unwrap();
        stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
        exchange(&mut stream, &messages, number, 1).unwrap()
    })
}

pub(super) fn connection_that_stays(to: &str) -> Turn<'static> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    let messages = look_ups();
    Box::new(move |number| exchange(&mut stream, &messages, number * PIPELINED, PIPELINED).unwrap())
}

/// One that stays, and one of one call each time.
pub(super) fn unix() -> Turn<'static> {
    let connect = || {
        let stream = UnixStream::connect(testkit::daemon::SOCKET).unwrap();
        stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
        stream
    };
    let mut stays = connect();
    let messages = look_ups();
    Box::new(move |number| {
        exchange(&mut stays, &messages, number, PIPELINED).unwrap()
            + exchange(&mut connect(), &messages, number, 1).unwrap()
    })
}

/// Writes so many calls at once, every second one in two fragments, and reads their answers in order.
fn exchange(mut stream: impl Read + Write, messages: &[Vec<u8>], first: u32, many: u32) -> io::Result<u64> {
    let mut records = Vec::new();
    for xid in first..first + many {
        let message = numbered(messages, xid);
        let (head, rest) = message.split_at(if xid % 2 == 0 { 0 } else { 20 });
        if !head.is_empty() {
            records.extend_from_slice(&mark(head, false));
            records.extend_from_slice(head);
        }
        records.extend_from_slice(&mark(rest, true));
        records.extend_from_slice(rest);
    }
    stream.write_all(&records)?;
    for expected in first..first + many {
        let reply = table::record(&mut stream)?;
        assert_eq!(xid(&reply), Some(expected), "{} bytes", reply.len());
    }
    Ok(many.into())
}

fn mark(fragment: &[u8], is_last: bool) -> [u8; 4] {
    let last = if is_last { 0x8000_0000 } else { 0 };
    (u32::try_from(fragment.len()).unwrap() | last).to_be_bytes()
}
