//! A stranger who does everything wrong: bytes that are no message, records that are cut, too long or never end, and
//! connections that go away when something is on its way.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

use testkit::differential::random::Random;

use super::clients::Turn;
use super::{ask, calls, say};

/// So many bytes that nobody has thought of.
fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.bits().to_be_bytes()).flatten().take(len).collect()
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(crate::here4()).unwrap();
    stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    stream
}

/// One after the other.
pub(super) fn messages() -> Turn<'static> {
    let datagrams = UdpSocket::bind((crate::THERE4, 0)).unwrap();
    datagrams.connect(crate::here4()).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let all: Vec<Vec<u8>> = calls::all().into_iter().map(|(_, message)| message).collect();
    let seed = u64::from(std::process::id());
    say(&format!("noise of the seed {seed}"));
    let mut random = Random::new(seed);
    Box::new(move |number| {
        let number = usize::try_from(number).unwrap();
        let mut message = all[number / 8 % all.len()].clone();
        // The daemon may close a connection while something is written to it: that is no failure.
        match number % 8 {
            0 => drop(datagrams.send(&noise(&mut random, number % 700))),
            1 => drop(datagrams.send(&message[..message.len() / 2])),
            2 => {
                if let Some(byte) = message.get_mut(number % 97) {
                    *byte ^= 0xff;
                }
                let _ = datagrams.send(&message);
                let _ = connect().write_all(&ask::as_record(&message));
            }
            3 => drop(connect().write_all(&noise(&mut random, number % 3_000))),
            4 => drop(connect().write_all(&ask::as_record(&message)[..message.len() / 2])),
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
    let _ = stream.write_all(&ask::as_record(message).repeat(20));
    let _ = stream.read(&mut [0; 64]);
}
