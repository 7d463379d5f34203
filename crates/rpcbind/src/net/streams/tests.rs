use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use oncrpc::bind;
use rustix::net::sockopt;
use std::net::SocketAddr;

use super::super::connection::{Connection, TURN_OUTPUT};
use super::super::harness::{Client, House, PLENTY, call, dump, null, record, row, set, xid};
use super::super::poller::Interest;
use super::*;
use crate::net::listen::Endpoint;

mod accepting;
mod bounds;

const LOOPBACK: &str = "127.0.0.1:0";

fn tcp(house: &mut House) -> SocketAddr {
    house.listen(Endpoint::Tcp(LOOPBACK.parse().unwrap()))
}

fn connections(house: &House) -> usize {
    house.event_loop.streams().len()
}

fn ended(house: &House, ending: Ending) -> u64 {
    house.event_loop.streams().ended(ending)
}

/// Sums and orders must be empty when everybody is idle.
fn assert_at_rest(house: &House) {
    let streams = house.event_loop.streams();
    assert_eq!((streams.input_bytes, streams.output_bytes), (0, 0));
    assert_eq!((streams.unfinished.first(), streams.reading.first()), (None, None));
    assert!(streams.held_back.is_empty());
    let busy = streams.places.find(|entry| entry.connection.is_busy());
    assert!(busy.is_empty(), "{busy:?} hold buffers");
}

#[test]
fn a_call_is_answered_however_its_bytes_are_split() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    for byte in null(7) {
        client.send(&[byte]);
        house.turn();
    }
    assert_eq!(xid(&house.reply(&mut client)), 7);
    assert_at_rest(&house);
}

#[test]
fn pipelined_calls_are_answered_in_order() {
    let mut house = House::new(PLENTY, 3);
    let address = tcp(&mut house);
    let mut client = Client::tcp(address);
    let calls: Vec<u8> =
        (0..300).flat_map(|number| if number % 7 == 0 { dump(number) } else { null(number) }).collect();
    client.send(&calls);
    for number in 0..300 {
        assert_eq!(xid(&house.reply(&mut client)), number);
    }
    assert_at_rest(&house);
}

#[test]
fn a_peer_that_ends_its_side_gets_its_answers_first() {
    let mut house = House::new(PLENTY, 3_000);
    let address = tcp(&mut house);
    let mut client = Client::tcp(address);
    client.send(&[dump(1), dump(2), null(3)].concat());
    client.stream.shutdown(Shutdown::Write).unwrap();
    for number in 1..=3 {
        assert_eq!(xid(&house.reply(&mut client)), number);
    }
    house.end_of(&mut client);
    assert_eq!((connections(&house), ended(&house, Ending::ByPeer)), (0, 1));
}

#[test]
fn a_peer_that_ends_in_the_middle_of_a_record_is_closed() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    client.send(&null(1)[..9]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    house.end_of(&mut client);
    assert_eq!(connections(&house), 0);
    assert_at_rest(&house);
}

#[test]
fn a_record_over_the_limit_ends_the_connection() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    client.send(&0x8000_2329_u32.to_be_bytes());
    house.end_of(&mut client);
    assert_eq!(ended(&house, Ending::BadRecord), 1);
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Entry>() <= 240, "{}", size_of::<Entry>());
}

/// The only connection is there after nine seconds in which nothing is read, and gone after eleven.
fn assert_is_closed_after_ten_seconds_of_not_reading(house: &mut House) {
    house.pass(Duration::from_secs(9));
    assert_eq!(connections(house), 1);
    house.pass(Duration::from_secs(2));
    assert_eq!((connections(house), ended(house, Ending::NotReading)), (0, 1));
    assert_at_rest(house);
}

#[test]
fn a_peer_that_does_not_read_is_not_read_and_then_closed() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    let calls: Vec<u8> =
        (0..1_000).flat_map(|number| record(&call(number, bind::V4, bind::GETSTAT, &[]))).collect();
    house.until("a full socket", |_| {
        use std::io::Write;
        client.stream.write(&calls).is_err().then_some(())
    });
    for _ in 0..10 {
        house.turn();
    }
    let waits = house.event_loop.streams().output_bytes;
    assert!(waits >= super::super::connection::QUEUE_MAX, "{waits}");
    assert!(waits < 2 * super::super::connection::QUEUE_MAX, "{waits}");
    assert_is_closed_after_ten_seconds_of_not_reading(&mut house);
}

#[test]
fn calls_left_behind_a_nearly_full_socket_that_took_every_reply_whole_wait_for_the_peers_reading() {
    let mut house = House::new(PLENTY, 1_200);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    socket2::SockRef::from(&ours).set_send_buffer_size(1 << 20).unwrap();
    let calls: Vec<u8> = (0..20).flat_map(dump).collect();
    std::io::Write::write_all(&mut theirs, &calls).unwrap();
    let caller = Caller::Unix { uid: Some(0), namespace: Namespace(0) };
    let mut connection = Connection::new(ours.into(), caller, Duration::ZERO);
    let turn = connection.serve(true, &mut Scratch::new(), house.event_loop.dispatch()).unwrap();
    // A whole turn's output is in the socket, which is not writable now: only reading makes it so.
    assert!(turn.written >= TURN_OUTPUT && connection.input_bytes() > 0, "{turn:?}");
    assert_eq!((connection.output_bytes(), connection.table()), (0, None));
    assert_eq!(connection.interest(true), Interest { read: false, write: true });
    assert!(connection.awaits_reading());
}

/// Has the kernel hold so much of what is written to the connection at a place.
fn set_send_buffer(house: &House, index: u32, bytes: usize) {
    let entry = house.event_loop.streams().places.get(index).unwrap();
    socket2::SockRef::from(&entry.connection.socket()).set_send_buffer_size(bytes).unwrap();
}

/// A client that has asked for lists, and whose socket takes all replies of a turn although nobody reads them.
fn client_of_a_patient_socket(house: &mut House) -> Client<UnixStream> {
    let mut client = house.unix();
    house.turn();
    set_send_buffer(house, 0, 1 << 20);
    client.send(&(0..60).flat_map(dump).collect::<Vec<u8>>());
    for _ in 0..20 {
        house.turn();
    }
    let entry = house.event_loop.streams().places.get(0).unwrap();
    assert!(entry.held_since.is_some() && entry.connection.input_bytes() > 0, "{entry:?}");
    client
}

#[test]
fn who_reads_nothing_is_closed_after_ten_seconds_also_when_the_socket_took_every_reply() {
    let mut house = House::new(PLENTY, 300);
    let _client = client_of_a_patient_socket(&mut house);
    assert_is_closed_after_ten_seconds_of_not_reading(&mut house);
}

#[test]
fn who_reads_a_little_is_kept_also_when_the_socket_took_every_reply() {
    let mut house = House::new(PLENTY, 300);
    let mut client = client_of_a_patient_socket(&mut house);
    for _ in 0..4 {
        house.pass(Duration::from_secs(9));
        assert!(client.hear(40_000) > 0);
        house.pass(Duration::from_secs(2));
        assert_eq!(connections(&house), 1);
    }
    for number in 0..60 {
        assert_eq!(xid(&house.reply(&mut client)), number);
    }
    assert_at_rest(&house);
}

#[test]
fn a_slow_reader_is_kept_as_long_as_it_reads() {
    let mut house = House::new(PLENTY, 16_000);
    let mut client = house.unix();
    client.send(&dump(1));
    house.turn();
    let table = 100_000;
    let mut heard = 0;
    for _ in 0..5 {
        house.pass(Duration::from_secs(9));
        assert_eq!(connections(&house), 1);
        while heard % table < table / 2 {
            heard += client.hear(10_000);
            house.turn();
        }
        heard += table / 2;
    }
    let reply = house.reply(&mut client);
    assert_eq!(xid(&reply), 1);
    assert!(reply.len() > 500_000);
    assert_at_rest(&house);
}

#[test]
fn a_record_that_is_not_completed_in_ten_seconds_ends_the_connection_however_it_drips() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    let mut other = house.unix();
    let bytes = null(1);
    for byte in &bytes[..10] {
        client.send(&[*byte]);
        house.turn();
        house.pass(Duration::from_millis(990));
    }
    assert_eq!(connections(&house), 2);
    house.pass(Duration::from_secs(1));
    assert_eq!((connections(&house), ended(&house, Ending::Unfinished)), (1, 1));
    other.send(&null(2));
    assert_eq!(xid(&house.reply(&mut other)), 2);
}

#[test]
fn whole_records_start_the_time_of_the_next_one() {
    let mut house = House::new(PLENTY, 0);
    let mut client = house.unix();
    let (half, rest) = (null(1)[..20].to_vec(), null(1)[20..].to_vec());
    client.send(&half);
    for _ in 0..5 {
        house.turn();
        house.pass(Duration::from_secs(6));
        client.send(&[&rest[..], &half[..]].concat());
        assert_eq!(xid(&house.reply(&mut client)), 1);
    }
    assert_eq!(connections(&house), 1);
}

#[test]
fn unix_and_loopback_connections_are_never_closed_for_idleness() {
    let mut house = House::new(PLENTY, 0);
    let address = tcp(&mut house);
    let mut clients = (house.unix(), Client::tcp(address));
    house.turn();
    house.pass(Duration::from_secs(100_000));
    clients.0.send(&null(1));
    clients.1.send(&null(2));
    assert_eq!(xid(&house.reply(&mut clients.0)), 1);
    assert_eq!(xid(&house.reply(&mut clients.1)), 2);
    assert_eq!(house.event_loop.streams().next_deadline(), None);
}

#[test]
fn a_connection_from_elsewhere_is_closed_after_five_idle_minutes() {
    testkit::require!();
    let namespace = testkit::Namespace::new().unwrap();
    // An address that is not a loopback one.
    namespace.expect("ip", &["addr", "add", "192.0.2.7/32", "dev", "lo"]).unwrap();
    namespace
        .within(|| {
            let mut house = House::new(PLENTY, 0);
            let address = house.listen(Endpoint::Tcp("0.0.0.0:0".parse().unwrap()));
            let mut clients: Vec<_> =
                (0..300).map(|_| Client::tcp(([192, 0, 2, 7], address.port()).into())).collect();
            house.until("all connections", |house| (connections(house) == 300).then_some(()));
            house.pass(Duration::from_secs(200));
            clients[0].send(&null(1));
            assert_eq!(xid(&house.reply(&mut clients[0])), 1);
            house.pass(Duration::from_secs(101));
            // More than are closed in one turn: the rest goes without anything happening.
            house.until("the others' end", |house| (connections(house) == 1).then_some(()));
            assert_eq!(ended(&house, Ending::Idle), 299);
            house.pass(Duration::from_secs(200));
            assert_eq!(connections(&house), 0);
        })
        .unwrap();
}

#[test]
fn more_connections_than_one_wait_reports_are_all_served() {
    let mut house = House::new(PLENTY, 0);
    let mut clients: Vec<_> = (0..300).map(|_| house.unix()).collect();
    house.until("all connections", |house| (connections(house) == 300).then_some(()));
    for client in &mut clients {
        client.send(&null(9));
    }
    for client in &mut clients {
        assert_eq!(xid(&house.reply(client)), 9);
    }
}

#[test]
fn work_left_at_the_bound_of_a_turn_is_finished_without_further_input() {
    let mut house = House::new(PLENTY, 1_500);
    let mut client = house.unix();
    // Each list is larger than what a turn may write divided by a few.
    let calls: Vec<u8> = (0..40).flat_map(dump).collect();
    client.send(&calls);
    for number in 0..40 {
        assert_eq!(xid(&house.reply(&mut client)), number);
    }
    assert_at_rest(&house);
}

#[test]
fn a_reader_that_keeps_up_does_not_keep_the_loop_to_itself() {
    let mut house = House::new(PLENTY, 16);
    let address = tcp(&mut house);
    let mut client = Client::tcp(address);
    sockopt::set_socket_recv_buffer_size(&client.stream, 4_000_000).unwrap();
    let calls: Vec<u8> = (0..1_000).flat_map(dump).collect();
    client.send(&calls);
    house.turn();
    house.turn();
    let answered = std::iter::from_fn(|| client.reply()).count();
    assert!(answered < 1_000, "a turn is bounded");
    for number in answered..1_000 {
        assert_eq!(xid(&house.reply(&mut client)) as usize, number);
    }
}

#[test]
fn a_changes_reply_leaves_after_the_one_sync_of_the_turn_and_in_order() {
    let mut house = House::new(PLENTY, 0);
    let mut clients: Vec<_> = (0..3).map(|_| house.unix()).collect();
    house.until("all connections", |house| (connections(house) == 3).then_some(()));
    for (number, client) in (0..).zip(&mut clients) {
        client.send(&[null(10), record(&set(11, &row(number))), null(12)].concat());
    }
    // At the time of the sync nobody has heard anything.
    let mut ears: Vec<_> = clients.iter().map(|client| client.stream.try_clone().unwrap()).collect();
    house.journal.lock().unwrap().on_sync = Some(Box::new(move || {
        use std::io::Read;
        for ear in &mut ears {
            let error = ear.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
    }));
    house.turn();
    assert_eq!(house.journal.lock().unwrap().syncs, 1);
    assert_eq!(house.journal.lock().unwrap().changes.len(), 3);
    for client in &mut clients {
        for wanted in [10, 11, 12] {
            assert_eq!(client.reply().map(|reply| xid(&reply)), Some(wanted));
        }
    }
    assert_at_rest(&house);
}

#[test]
fn an_event_for_a_connection_that_was_closed_meets_nobody() {
    let mut house = House::new(PLENTY, 0);
    let first = house.unix();
    house.turn();
    let token = house.event_loop.streams().places.token(0);
    drop(first);
    // A child that another test is just starting may hold the descriptor a moment longer.
    house.until("gone", |house| (house.event_loop.streams().places.len() == 0).then_some(()));
    let mut second = house.unix();
    second.send(&null(1));
    house.turn();
    let places = &house.event_loop.streams().places;
    assert_eq!(places.len(), 1);
    assert_eq!(places.index(token), None);
    assert_eq!(places.index(places.token(0)), Some(0));
}
