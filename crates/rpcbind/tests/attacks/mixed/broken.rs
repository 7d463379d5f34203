//! A stranger who does everything wrong: bytes that are no message, records that are cut, too long or never end, and
//! connections that go away when something is on its way.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use super::calls;
use super::clients::Turn;

/// For the end of a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many bytes that nobody has thought of.
fn noise(len: usize) -> Vec<u8> {
    let random = RandomState::new();
    (0..len.div_ceil(8)).flat_map(|word| random.hash_one(word).to_be_bytes()).take(len).collect()
}

fn record(message: &[u8]) -> Vec<u8> {
    [&(u32::try_from(message.len()).unwrap() | 0x8000_0000).to_be_bytes()[..], message].concat()
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(crate::here4()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One after the other.
pub(super) fn messages() -> Turn<'static> {
    let datagrams = UdpSocket::bind((crate::THERE4, 0)).unwrap();
    datagrams.connect(crate::here4()).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let all: Vec<Vec<u8>> = calls::all().into_iter().map(|(_, message)| message).collect();
    Box::new(move |number| {
        let number = usize::try_from(number).unwrap();
        let mut message = all[number / 8 % all.len()].clone();
        // The daemon may close a connection while something is written to it: that is no failure.
        match number % 8 {
            0 => drop(datagrams.send(&noise(number % 700))),
            1 => drop(datagrams.send(&message[..message.len() / 2])),
            2 => {
                if let Some(byte) = message.get_mut(number % 97) {
                    *byte ^= 0xff;
                }
                let _ = datagrams.send(&message);
                let _ = connect().write_all(&record(&message));
            }
            3 => drop(connect().write_all(&noise(number % 3_000))),
            4 => drop(connect().write_all(&record(&message)[..message.len() / 2])),
            5 => too_long(),
            6 => unread(&calls::mapper(4, 4, &[])),
            _ => drop(connect()),
        }
        1
    })
}

/// A record longer than any message may be is the end of its connection.
fn too_long() {
    let mut stream = connect();
    let _ = stream.write_all(&[&[0xff; 4][..], &[0; 64]].concat());
    let end = stream.read(&mut [0; 64]);
    assert!(!matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{end:?}");
}

/// Lists are asked for, and the connection goes when they are on their way; one of two ends with a reset.
fn unread(message: &[u8]) {
    let mut stream = connect();
    let _ = stream.write_all(&record(message).repeat(20));
    let _ = stream.read(&mut [0; 64]);
}
