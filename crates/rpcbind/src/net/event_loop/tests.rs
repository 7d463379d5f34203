use std::net::UdpSocket;

use oncrpc::{Procedure, bind};

use super::super::harness::{House, PLENTY, call, null, record, row, set, xid};
use super::super::os::BATCH;
use super::datagrams::BATCHES_MAX;
use super::*;

fn udp(house: &mut House, address: &str) -> UdpSocket {
    let address = house.listen(Endpoint::Udp(address.parse().unwrap()));
    let client = UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
    client.connect((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, address.port())).unwrap();
    client.set_nonblocking(true).unwrap();
    client
}

fn reply(client: &UdpSocket) -> Option<Vec<u8>> {
    let mut bytes = [0; 10_000];
    client.recv(&mut bytes).ok().map(|len| bytes[..len].to_vec())
}

fn message(xid: u32) -> Vec<u8> {
    call(xid, bind::V2, Procedure(0), &[])
}

#[test]
fn a_datagram_is_answered_over_both_families() {
    let mut house = House::new(PLENTY, 0);
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let client = udp(&mut house, address);
        client.send(&message(3)).unwrap();
        house.turn();
        assert_eq!(reply(&client).map(|reply| xid(&reply)), Some(3), "{address}");
    }
}

#[test]
fn datagrams_left_at_the_bound_of_a_turn_are_answered_without_further_input() {
    let mut house = House::new(PLENTY, 0);
    let client = udp(&mut house, "127.0.0.1:0");
    let count = BATCHES_MAX * BATCH + 5;
    for number in 0..count {
        client.send(&message(u32::try_from(number).unwrap())).unwrap();
    }
    house.turn();
    let first = std::iter::from_fn(|| reply(&client)).count();
    assert_eq!(first, BATCHES_MAX * BATCH);
    house.turn();
    let rest = std::iter::from_fn(|| reply(&client)).count();
    assert_eq!(rest, 5);
}

#[test]
fn what_is_not_a_call_gets_no_answer_and_disturbs_nobody() {
    let mut house = House::new(PLENTY, 0);
    let client = udp(&mut house, "127.0.0.1:0");
    for len in [0, 3, 39, 9_000, 9_001] {
        client.send(&vec![1; len]).unwrap();
    }
    client.send(&message(5)).unwrap();
    house.turn();
    assert_eq!(reply(&client).map(|reply| xid(&reply)), Some(5));
    assert_eq!(reply(&client), None);
    let counts = house.event_loop.counts();
    assert_eq!((counts.received, counts.dropped, counts.sent), (6, 1, 1));
}

#[test]
fn a_changes_reply_over_udp_leaves_after_the_one_sync_of_the_turn() {
    let mut house = House::new(PLENTY, 0);
    let clients = [udp(&mut house, "127.0.0.1:0"), udp(&mut house, "[::1]:0")];
    let ears: Vec<_> = clients.iter().map(|client| client.try_clone().unwrap()).collect();
    house.journal.lock().unwrap().on_sync = Some(Box::new(move || {
        let heard = ears.iter().filter(|ear| ear.peek(&mut [0; 1]).is_ok()).count();
        assert_eq!(heard, 0);
    }));
    clients[0].send(&message(1)).unwrap();
    clients[0].send(&set(2, &row(1))).unwrap();
    house.turn();
    assert_eq!(house.journal.lock().unwrap().syncs, 1);
    assert_eq!(xid(&reply(&clients[0]).unwrap()), 1);
    assert_eq!(xid(&reply(&clients[0]).unwrap()), 2);
    house.journal.lock().unwrap().on_sync = None;
    // The other socket's datagrams need the batch: they have its replies synced and sent before the end of the turn.
    clients[0].send(&set(3, &row(2))).unwrap();
    clients[1].send(&set(4, &row(3))).unwrap();
    house.turn();
    assert_eq!(house.journal.lock().unwrap().syncs, 3);
    assert_eq!(xid(&reply(&clients[0]).unwrap()), 3);
    assert_eq!(xid(&reply(&clients[1]).unwrap()), 4);
}

#[test]
fn a_repeated_set_waits_for_the_sync_of_the_first_one_and_for_no_other() {
    let mut house = House::new(PLENTY, 0);
    let client = udp(&mut house, "127.0.0.1:0");
    let ear = client.try_clone().unwrap();
    house.journal.lock().unwrap().on_sync = Some(Box::new(move || assert!(ear.peek(&mut [0; 1]).is_err())));
    for xid in 0..2 {
        client.send(&set(xid, &row(1))).unwrap();
    }
    house.turn();
    assert_eq!(std::iter::from_fn(|| reply(&client)).count(), 2);
    client.send(&set(2, &row(1))).unwrap();
    house.turn();
    assert_eq!(reply(&client).map(|reply| xid(&reply)), Some(2));
    assert_eq!(house.journal.lock().unwrap().syncs, 1);
}

#[test]
fn a_flood_of_changes_at_one_socket_does_not_keep_the_others_waiting() {
    let mut house = House::new(PLENTY, 0);
    let flooded = udp(&mut house, "127.0.0.1:0");
    let others = [udp(&mut house, "127.0.0.1:0"), udp(&mut house, "[::1]:0")];
    let mut stream = house.unix();
    house.turn();
    for xid in 0..u32::try_from(BATCH + 1).unwrap() {
        flooded.send(&set(xid, &row(xid))).unwrap();
    }
    others[0].send(&message(500)).unwrap();
    others[1].send(&set(501, &row(501))).unwrap();
    stream.send(&record(&set(502, &row(502))));
    house.turn();
    assert_eq!(std::iter::from_fn(|| reply(&flooded)).count(), BATCH, "more is left");
    assert_eq!(reply(&others[0]).map(|reply| xid(&reply)), Some(500));
    assert_eq!(reply(&others[1]).map(|reply| xid(&reply)), Some(501));
    assert_eq!(stream.reply().map(|reply| xid(&reply)), Some(502));
    assert_eq!(house.journal.lock().unwrap().syncs, 2);
}

#[test]
fn datagrams_are_answered_beside_connections_with_much_to_do() {
    let mut house = House::new(PLENTY, 16_000);
    let client = udp(&mut house, "127.0.0.1:0");
    let mut streams: Vec<_> = (0..20).map(|_| house.unix()).collect();
    for stream in &mut streams {
        stream.send(&super::super::harness::dump(1));
    }
    client.send(&message(1)).unwrap();
    house.turn();
    assert!(reply(&client).is_some(), "in the same turn");
}

#[test]
fn a_socket_that_is_left_alone_is_served_again_after_the_pause() {
    let mut house = House::new(PLENTY, 0);
    let client = udp(&mut house, "127.0.0.1:0");
    // The sockets are the unix one and this.
    for index in 0..2 {
        house.event_loop.pause(index).unwrap();
    }
    client.send(&message(1)).unwrap();
    let mut stream = house.unix();
    stream.send(&null(2));
    house.turn();
    assert_eq!(reply(&client), None);
    assert_eq!(stream.reply(), None);
    assert!(house.event_loop.until_deadline().unwrap() <= PAUSE, "the loop wakes up by itself");
    house.pass(PAUSE);
    house.turn();
    assert!(reply(&client).is_some());
    assert!(stream.reply().is_some());
}

/// Stops the loop when a byte comes.
struct Bell(std::os::unix::net::UnixStream);

impl Watched for Bell {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn on_readable(&mut self, _: &mut Dispatch) -> io::Result<Next> {
        Ok(Next::Stop)
    }
}

#[test]
fn the_loop_runs_until_something_watched_stops_it() {
    let mut house = House::new(PLENTY, 0);
    let (ring, bell) = std::os::unix::net::UnixStream::pair().unwrap();
    house.event_loop.watch(Box::new(Bell(bell))).unwrap();
    house.turn();
    let running = std::thread::spawn(move || house.event_loop.run().unwrap());
    io::Write::write_all(&mut &ring, b"x").unwrap();
    running.join().unwrap();
}
