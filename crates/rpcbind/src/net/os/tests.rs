use std::net::UdpSocket;
use std::time::Duration;

use rpcbind_core::caller::Caller;
use rpcbind_core::{Service, Settings};

use super::*;

/// A server's socket and its address, and a client's socket, all of them on loopback.
struct Pair {
    server: UdpSocket,
    bound: SocketAddr,
    client: UdpSocket,
}

impl Pair {
    /// The server is bound to `server`, and the client asks it at `asked`.
    fn new(server: &str, asked: &str) -> Self {
        let server = UdpSocket::bind((server, 0)).unwrap();
        Self::with(server, asked)
    }

    fn with(server: UdpSocket, asked: &str) -> Self {
        let bound = server.local_addr().unwrap();
        want_packet_info(&server, bound, bound.is_ipv6()).unwrap();
        let asked: IpAddr = asked.parse().unwrap();
        let client = UdpSocket::bind((if asked.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).unwrap();
        // A connected client hears only what comes from the very address that it asked.
        client.connect((asked, bound.port())).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { server, bound, client }
    }

    fn receive(&self, batch: &mut Batch) -> usize {
        // Over loopback a datagram is in the other queue when send returns.
        batch.receive(self.server.as_fd(), self.bound).unwrap()
    }

    fn heard(&self) -> Vec<u8> {
        let mut bytes = [0; 10_000];
        let len = self.client.recv(&mut bytes).unwrap();
        bytes[..len].to_vec()
    }
}

/// What a stranger's message of so many bytes may be answered with: as many.
fn budget(bytes: usize) -> Budget {
    let from = SocketAddr::from(([192, 0, 2, 1], 700));
    let local = SocketAddr::from(([192, 0, 2, 2], 111));
    let stranger = Datagram { from, destination: local.ip(), local, interface: 2, mapped: false };
    Service::new(Settings::default()).budget(&Caller::Datagram(stranger), bytes)
}

/// Answers every message with itself.
fn echo(batch: &mut Batch) {
    for index in 0..BATCH {
        let Some(mut slot) = batch.slot(index) else { continue };
        let budget = budget(slot.message_len());
        let (message, reply) = slot.buffers(&budget);
        reply.copy_from_slice(message);
        let len = message.len();
        assert!(slot.reply(len, budget));
    }
}

fn round_trip(server: &str, asked: &str) -> Datagram {
    let pair = Pair::new(server, asked);
    let mut batch = Batch::new();
    pair.client.send(b"call").unwrap();
    assert_eq!(pair.receive(&mut batch), 1);
    let caller = batch.slot(0).unwrap().caller();
    assert_eq!(caller.from.port(), pair.client.local_addr().unwrap().port());
    assert_eq!(caller.local.port(), pair.bound.port());
    echo(&mut batch);
    assert_eq!(batch.send(pair.server.as_fd()), Sent { sent: 1, refused: 0 });
    assert_eq!(pair.heard(), b"call");
    caller
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    for asked in ["127.0.0.1", "127.0.0.2", "127.9.8.7"] {
        let caller = round_trip("0.0.0.0", asked);
        assert_eq!(caller.destination, asked.parse::<IpAddr>().unwrap());
        assert_eq!(caller.local.ip(), caller.destination);
        assert!(!caller.mapped);
        assert_ne!(caller.interface, 0);
    }
    round_trip("127.0.0.2", "127.0.0.2");
}

#[test]
fn ipv6_datagrams_say_where_they_were_sent_to() {
    let caller = round_trip("::1", "::1");
    assert_eq!(caller.destination, "::1".parse::<IpAddr>().unwrap());
    assert_eq!(caller.local.ip(), caller.destination);
    assert_eq!(round_trip("::", "::1").destination, caller.destination);
}

#[test]
fn an_ipv4_datagram_on_a_dual_stack_socket_is_an_ipv4_one() {
    for asked in ["127.0.0.1", "127.0.0.2"] {
        let caller = round_trip("::", asked);
        assert!(caller.mapped);
        assert!(caller.from.is_ipv4());
        assert_eq!(caller.destination, asked.parse::<IpAddr>().unwrap());
        assert_eq!(caller.local.ip(), caller.destination);
        assert_ne!(caller.interface, 0);
    }
}

#[test]
fn a_datagram_from_before_packet_information_was_asked_for_is_answered() {
    for (bound, asked) in [("0.0.0.0", "127.0.0.2"), ("::", "::1"), ("::", "127.0.0.2")] {
        let server = UdpSocket::bind((bound, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let early = UdpSocket::bind((if asked == "::1" { "::1" } else { "127.0.0.1" }, 0)).unwrap();
        early.connect((asked, port)).unwrap();
        early.send(b"early").unwrap();
        let pair = Pair::with(server, asked);
        let mut batch = Batch::new();
        assert_eq!(pair.receive(&mut batch), 1);
        assert_eq!(batch.slot(0).unwrap().caller().local.ip(), asked.parse::<IpAddr>().unwrap(), "{bound}");
        echo(&mut batch);
        assert_eq!(batch.send(pair.server.as_fd()), Sent { sent: 1, refused: 0 });
        early.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(early.recv(&mut [0; 9]).unwrap(), 5);
    }
}

#[test]
fn a_full_batch_is_followed_by_the_rest() {
    let pair = Pair::new("127.0.0.1", "127.0.0.1");
    let mut batch = Batch::new();
    for number in 0..BATCH + 3 {
        pair.client.send(&number.to_be_bytes()).unwrap();
    }
    assert_eq!(pair.receive(&mut batch), BATCH);
    echo(&mut batch);
    assert_eq!(batch.queued(), BATCH);
    assert_eq!(batch.send(pair.server.as_fd()), Sent { sent: BATCH, refused: 0 });
    assert_eq!(batch.queued(), 0);
    assert_eq!(pair.receive(&mut batch), 3);
    assert!(batch.slot(3).is_none(), "the batch before is forgotten");
    echo(&mut batch);
    assert_eq!(batch.send(pair.server.as_fd()).sent, 3);
    for number in 0..BATCH + 3 {
        assert_eq!(pair.heard(), number.to_be_bytes());
    }
    let error = batch.receive(pair.server.as_fd(), pair.bound).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_message_over_the_limit_is_dropped_and_its_neighbours_are_not() {
    let pair = Pair::new("127.0.0.1", "127.0.0.1");
    let mut batch = Batch::new();
    for len in [1, MESSAGE_MAX + 1, MESSAGE_MAX, 0] {
        pair.client.send(&vec![7; len]).unwrap();
    }
    assert_eq!(pair.receive(&mut batch), 4);
    let lens: Vec<_> = (0..4).map(|index| batch.slot(index).map(|slot| slot.message_len())).collect();
    assert_eq!(lens, [Some(1), None, Some(MESSAGE_MAX), Some(0)]);
}

#[test]
fn a_reply_over_its_budget_is_not_sent() {
    let pair = Pair::new("127.0.0.1", "127.0.0.1");
    let mut batch = Batch::new();
    pair.client.send(b"four").unwrap();
    pair.receive(&mut batch);
    let mut slot = batch.slot(0).unwrap();
    let four = budget(4);
    assert_eq!(slot.buffers(&four).1.len(), 4, "the buffer is the budget");
    assert!(!slot.reply(5, four));
    assert_eq!(batch.queued(), 0);
    assert_eq!(batch.send(pair.server.as_fd()), Sent::default());
}

#[test]
fn a_refused_reply_is_skipped_and_the_rest_is_sent() {
    for refused in [0, 1, 3] {
        let pair = Pair::new("127.0.0.1", "127.0.0.1");
        let mut batch = Batch::new();
        for number in 0..4_u8 {
            pair.client.send(&[number]).unwrap();
        }
        pair.receive(&mut batch);
        // An address that is not ours: the kernel does not let a reply leave from it.
        batch.arrived[refused].caller.as_mut().unwrap().local.set_ip([192, 0, 2, 1].into());
        echo(&mut batch);
        assert_eq!(batch.send(pair.server.as_fd()), Sent { sent: 3, refused: 1 });
        let heard: Vec<_> = (0..3).map(|_| usize::from(pair.heard()[0])).collect();
        assert_eq!(heard, (0..4).filter(|number| *number != refused).collect::<Vec<_>>());
    }
}

#[test]
fn a_socket_names_the_namespace_it_was_made_in() {
    let one = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = namespace(one.as_fd()).unwrap();
    assert_eq!(namespace(other.as_fd()).unwrap(), here);
    assert_ne!(here.0, 0);
}
