//! Calls that were cut, among whole ones: what is not whole never succeeds.

use std::io::{Read, Write};
use std::net::TcpStream;

use oncrpc::{Answer, Reply};

use crate::{Scene, THERE4, UNLIMITED, ask, calls, count, here4};

/// The call behind every other, whose answer says that all answers before have come.
const LAST: u32 = 0x1a57;

/// A number that seems to have nothing to do with the one before.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

/// Fails when the answer to a call that was cut is a success.
fn is_no_success(reply: &[u8], name: &str, length: usize) {
    let answer = Reply::decode(reply).unwrap().answer;
    assert!(!matches!(answer, Answer::Success(_)), "{name}, {length} bytes: {answer:?}");
}

#[test]
fn a_call_that_was_cut_anywhere_never_succeeds_in_whatever_order_it_comes() {
    testkit::require!();
    let scene = Scene::new(UNLIMITED);
    scene.register(3);
    let rows = testkit::table::dump(&scene.home).unwrap();
    let clients = [
        ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap()),
        ask::udp(&scene.other, THERE4, here4()),
    ];
    let streams = [ask::tcp(&scene.home, "127.0.0.1:111"), ask::tcp(&scene.other, &here4().to_string())];
    // What is whole and legal, and changes nothing.
    let whole: Vec<(String, Vec<u8>)> = calls::all()
        .into_iter()
        .filter(|(_, message)| message.len() >= 40 && message[20..24] > [0, 0, 0, 2][..])
        .collect();
    let mut cut: Vec<(usize, usize)> = whole
        .iter()
        .enumerate()
        .flat_map(|(at, (_, message))| (0..message.len()).map(move |length| (at, length)))
        .collect();
    let mut state = 17;
    for at in (1..cut.len()).rev() {
        cut.swap(at, next(&mut state) % (at + 1));
    }
    println!("{} calls that were cut", cut.len());
    let last = calls::with_xid(calls::null(4), LAST);
    for (at, length) in cut.into_iter().cycle().take(count(40_000, 4_000)) {
        let (name, message) = &whole[at];
        let other = &whole[next(&mut state) % whole.len()].1;
        let (other, piece) = (calls::with_xid(other.clone(), 8), &message[..length]);
        for client in &clients {
            for message in [&other[..], piece, &last] {
                client.send(message).unwrap();
            }
            let mut reply = [0; 10_000];
            loop {
                let len = client.recv(&mut reply).unwrap();
                match u32::from_be_bytes(*reply.first_chunk().unwrap()) {
                    LAST => break,
                    7 => is_no_success(&reply[..len], name, length),
                    _ => {}
                }
            }
        }
        for stream in &streams {
            let records = [&other[..], piece, &last].map(calls::record).concat();
            (&mut &*stream).write_all(&records).unwrap();
            loop {
                let reply = read(stream);
                match u32::from_be_bytes(*reply.first_chunk().unwrap()) {
                    LAST => break,
                    7 => is_no_success(&reply, name, length),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(testkit::table::dump(&scene.home).unwrap(), rows);
}

/// Reads the next record.
fn read(mut stream: &TcpStream) -> Vec<u8> {
    let mut mark = [0; 4];
    stream.read_exact(&mut mark).unwrap();
    let mut reply = vec![0; usize::try_from(u32::from_be_bytes(mark) & 0x7fff_ffff).unwrap()];
    stream.read_exact(&mut reply).unwrap();
    reply
}
