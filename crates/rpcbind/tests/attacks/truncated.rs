//! Calls that were cut, among whole ones: what is not whole never succeeds.

use std::io::Write;

use oncrpc::{Answer, Reply};
use testkit::differential::random::Random;
use testkit::table;

use crate::{Scene, THERE4, UNLIMITED, ask, calls, count, here4};

/// The call behind every other, whose answer says that all answers before have come.
const LAST: u32 = 0x1a57;

/// Fails when the answer to a call that was cut is a success.
fn is_no_success(reply: &[u8], name: &str, length: usize) {
    let answer = Reply::decode(reply).unwrap().answer;
    assert!(!matches!(answer, Answer::Success(_)), "{name}, {length} bytes: {answer:?}");
}

/// SET or UNSET.
fn is_change(message: &[u8]) -> bool {
    [[0, 0, 0, 1], [0, 0, 0, 2]].iter().any(|procedure| message[20..24] == *procedure)
}

#[test]
fn a_call_that_was_cut_anywhere_never_succeeds_in_whatever_order_it_comes() {
    testkit::require!();
    let scene = Scene::new(UNLIMITED);
    scene.register(3);
    let clients = [
        ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap()),
        ask::udp(&scene.other, THERE4, here4()),
    ];
    let streams = [ask::tcp(&scene.home, "127.0.0.1:111"), ask::tcp(&scene.other, &here4().to_string())];
    // A row that the clients of this machine may take away again: whole, their changes succeed.
    let own = calls::mapper(2, 1, &calls::mapping(400_000, 2, 17, 5_000));
    assert_eq!(ask::results(&ask::over_udp(&clients[0], &own).unwrap()), calls::TRUE);
    let rows = table::dump(&scene.home).unwrap();
    let whole: Vec<(String, Vec<u8>)> =
        calls::all().into_iter().filter(|(_, message)| message.len() >= 40).collect();
    // What goes beside them changes nothing, whole as it is.
    let others: Vec<&[u8]> =
        whole.iter().map(|(_, message)| &message[..]).filter(|message| !is_change(message)).collect();
    let mut cut: Vec<(&str, &[u8])> = whole
        .iter()
        .flat_map(|(name, message)| (0..message.len()).map(|length| (&name[..], &message[..length])))
        .collect();
    let mut random = Random::new(17);
    for at in (1..cut.len()).rev() {
        cut.swap(at, random.below(at + 1));
    }
    println!("{} calls that were cut", cut.len());
    let last = calls::with_xid(calls::null(4), LAST);
    for (name, piece) in cut.into_iter().cycle().take(count(40_000, 4_000)) {
        let other = calls::with_xid(others[random.below(others.len())].to_vec(), 8);
        for client in &clients {
            for message in [&other[..], piece, &last] {
                client.send(message).unwrap();
            }
            let mut reply = [0; 10_000];
            loop {
                let len = client.recv(&mut reply).unwrap();
                match u32::from_be_bytes(*reply.first_chunk().unwrap()) {
                    LAST => break,
                    7 => is_no_success(&reply[..len], name, piece.len()),
                    _ => {}
                }
            }
        }
        for stream in &streams {
            let records = [&other[..], piece, &last].map(ask::as_record).concat();
            (&mut &*stream).write_all(&records).unwrap();
            loop {
                let reply = table::record(&mut &*stream).unwrap();
                match u32::from_be_bytes(*reply.first_chunk().unwrap()) {
                    LAST => break,
                    7 => is_no_success(&reply, name, piece.len()),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(table::dump(&scene.home).unwrap(), rows);
    let gone = calls::mapper(2, 2, &calls::mapping(400_000, 2, 17, 0));
    assert_eq!(ask::results(&ask::over_udp(&clients[0], &gone).unwrap()), calls::TRUE);
}
