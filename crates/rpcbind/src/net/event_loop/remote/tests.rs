use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::time::Duration;

use oncrpc::bind::{self, CallResult, Netid, RemoteCall};
use oncrpc::xdr::{Decode, Encode, Reader, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version};
use rpcbind_core::registry::Row;
use rustix::net::sockopt;

use super::super::super::harness::{Client, House, call, dump, null, record, row, xid};
use super::super::super::listen::Endpoint;

const PROGRAM: Program = Program(0x2000_0001);

/// A service that answers when it is told to.
struct Service(UdpSocket);

impl Service {
    fn new(house: &mut House, address: &str, netid: Netid) -> Self {
        Self::of_version(house, address, netid, 1)
    }

    fn of_version(house: &mut House, address: &str, netid: Netid, version: u32) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port().to_be_bytes();
        let any = if netid == Netid::UDP { "0.0.0.0" } else { "::" };
        let address = format!("{any}.{}.{}", port[0], port[1]);
        let version = Version(version);
        let row = Row { program: PROGRAM, version, netid, address: address.into(), ..row(0) };
        assert_eq!(house.event_loop.dispatch().service.restore(row), Ok(()));
        Self(socket)
    }

    /// The next call: from whom, and the xid.
    fn called(&self) -> Option<(SocketAddr, [u8; 4])> {
        let mut message = [0; 10_000];
        let (len, from) = self.0.recv_from(&mut message).ok()?;
        let call = Call::decode(&message[..len]).unwrap();
        assert_eq!((call.program, call.procedure), (PROGRAM, Procedure(7)));
        Some((from, call.xid.0.to_be_bytes()))
    }

    fn answer(&self, to: SocketAddr, xid: [u8; 4], results: &[u8]) {
        let head = [&xid[..], &[0, 0, 0, 1], &[0; 16], results].concat();
        self.0.send_to(&head, to).unwrap();
    }
}

fn indirect(xid: u32) -> Vec<u8> {
    indirect_of_version(xid, 1)
}

fn indirect_of_version(xid: u32, version: u32) -> Vec<u8> {
    remote(xid, bind::INDIRECT, version)
}

fn remote(xid: u32, procedure: Procedure, version: u32) -> Vec<u8> {
    let version = Version(version);
    let wanted = RemoteCall { program: PROGRAM, version, procedure: Procedure(7), arguments: &[0; 40] };
    let mut arguments = [0; 100];
    let mut writer = Writer::new(&mut arguments);
    wanted.encode(&mut writer).unwrap();
    call(xid, bind::V4, procedure, writer.written())
}

fn results(reply: &[u8]) -> Vec<u8> {
    let Answer::Success(results) = Reply::decode(reply).unwrap().answer else { panic!("{reply:?}") };
    CallResult::decode(&mut Reader::new(results)).unwrap().results.to_vec()
}

fn heard(client: &UdpSocket) -> Option<Vec<u8>> {
    let mut reply = [0; 10_000];
    client.recv(&mut reply).ok().map(|len| reply[..len].to_vec())
}

fn udp(house: &mut House, address: &str) -> UdpSocket {
    let address = house.listen(Endpoint::Udp(format!("{address}:0").parse().unwrap()));
    let client = UdpSocket::bind((address.ip(), 0)).unwrap();
    client.connect(address).unwrap();
    client.set_nonblocking(true).unwrap();
    client
}

#[test]
fn the_answer_leaves_from_the_socket_that_was_asked_over_both_families() {
    let mut house = House::calling(0);
    for (address, netid) in [("127.0.0.1", Netid::UDP), ("::1", Netid::UDP6)] {
        let bracketed = if netid == Netid::UDP { address.to_owned() } else { format!("[{address}]") };
        let service = Service::new(&mut house, &format!("{bracketed}:0"), netid);
        // Connected: it hears nothing from another socket.
        let client = udp(&mut house, &bracketed);
        client.send(&indirect(5)).unwrap();
        let (from, call) = house.until("the call", |_| service.called());
        assert!(from.ip().is_loopback());
        assert_eq!(heard(&client), None);
        service.answer(from, call, b"1234");
        let reply = house.until("the answer", |_| heard(&client));
        assert_eq!((xid(&reply), results(&reply)), (5, b"1234".to_vec()));
    }
    assert!(house.event_loop.dispatch().calls_deadline().is_none());
}

#[test]
fn answers_on_a_stream_come_in_the_order_of_the_services_and_between_others() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let address = house.listen(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()));
    let (mut tcp, mut unix) = (Client::tcp(address), house.unix());
    tcp.send(&[record(&indirect(1)), null(2), record(&indirect(3))].concat());
    unix.send(&record(&indirect(4)));
    assert_eq!(xid(&house.reply(&mut tcp)), 2);
    let calls: Vec<_> = (0..3).map(|_| house.until("a call", |_| service.called())).collect();
    for (index, (from, call)) in calls.iter().enumerate().rev() {
        service.answer(*from, *call, &[u8::try_from(index).unwrap(); 4]);
    }
    let mut heard: Vec<_> = (0..2).map(|_| house.reply(&mut tcp)).collect();
    heard.sort();
    assert_eq!((xid(&heard[0]), xid(&heard[1])), (1, 3));
    assert_eq!(xid(&house.reply(&mut unix)), 4);
}

#[test]
fn a_late_answer_waits_behind_a_list_that_is_being_read() {
    let mut house = House::calling(16_000);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let mut client = house.unix();
    client.send(&record(&indirect(1)));
    let (from, call) = house.until("the call", |_| service.called());
    client.send(&dump(2));
    house.turn();
    service.answer(from, call, b"1234");
    house.until("the end of the call", |house| {
        house.event_loop.dispatch().calls_deadline().is_none().then_some(())
    });
    assert_eq!(xid(&house.reply(&mut client)), 2);
    let reply = house.reply(&mut client);
    assert_eq!((xid(&reply), results(&reply)), (1, b"1234".to_vec()));
}

#[test]
fn an_answer_for_a_connection_that_is_gone_reaches_nobody() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let mut gone = house.unix();
    gone.send(&record(&indirect(1)));
    let (from, call) = house.until("the call", |_| service.called());
    drop(gone);
    house.until("the end of the connection", |house| (house.event_loop.streams().len() == 0).then_some(()));
    // In the same place.
    let mut other = house.unix();
    other.send(&null(2));
    assert_eq!(xid(&house.reply(&mut other)), 2);
    service.answer(from, call, b"1234");
    house.until("the end of the call", |house| {
        house.event_loop.dispatch().calls_deadline().is_none().then_some(())
    });
    other.send(&null(3));
    assert_eq!(xid(&house.reply(&mut other)), 3);
}

#[test]
fn a_connection_whose_peer_writes_no_more_is_closed_once_all_its_calls_have_ended() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let address = house.listen(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()));
    let (mut tcp, mut unix) = (Client::tcp(address), house.unix());
    // The second is told of no failure.
    let calls = [record(&indirect(1)), record(&remote(2, bind::BCAST, 1))].concat();
    tcp.send(&calls);
    unix.send(&calls);
    tcp.stream.shutdown(Shutdown::Write).unwrap();
    unix.stream.shutdown(Shutdown::Write).unwrap();
    let calls: Vec<_> = (0..4).map(|_| house.until("a call", |_| service.called())).collect();
    house.turn();
    for (from, call) in calls.iter().step_by(2) {
        service.answer(*from, *call, b"1234");
    }
    for reply in [house.reply(&mut tcp), house.reply(&mut unix)] {
        assert_eq!((xid(&reply), results(&reply)), (1, b"1234".to_vec()));
    }
    house.turn();
    assert_eq!(house.event_loop.streams().len(), 2);
    house.pass(Duration::from_secs(10));
    house.end_of(&mut tcp);
    house.end_of(&mut unix);
    assert_eq!(house.event_loop.streams().len(), 0);
}

#[test]
fn a_connection_whose_peer_wrote_no_more_and_then_hangs_up_is_closed_before_its_calls_end() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let address = house.listen(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()));
    let (mut tcp, mut unix) = (Client::tcp(address), house.unix());
    tcp.send(&record(&indirect(1)));
    unix.send(&record(&indirect(2)));
    tcp.stream.shutdown(Shutdown::Write).unwrap();
    unix.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..2 {
        house.until("a call", |_| service.called());
    }
    house.turn();
    assert_eq!(house.event_loop.streams().len(), 2);
    // What is left of a TCP connection is reset.
    sockopt::set_socket_linger(&tcp.stream, Some(Duration::ZERO)).unwrap();
    drop((tcp, unix));
    house.until("the end of the connections", |house| (house.event_loop.streams().len() == 0).then_some(()));
    assert!(house.event_loop.dispatch().calls_deadline().is_some());
}

#[test]
fn a_service_that_does_not_answer_in_time_is_an_error_and_wakes_the_loop() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let (mut unix, client) = (house.unix(), udp(&mut house, "127.0.0.1"));
    unix.send(&record(&indirect(1)));
    client.send(&indirect(2)).unwrap();
    let calls: Vec<_> = (0..2).map(|_| house.until("a call", |_| service.called())).collect();
    assert_eq!(house.event_loop.until_deadline(), Some(Duration::from_secs(10)));
    house.pass(Duration::from_secs(9));
    assert_eq!((unix.reply(), heard(&client)), (None, None));
    house.pass(Duration::from_secs(1));
    for reply in [house.reply(&mut unix), house.until("an error", |_| heard(&client))] {
        assert_eq!(Reply::decode(&reply).unwrap().answer, Answer::SystemError);
    }
    // Now it is too late.
    for (from, call) in calls {
        service.answer(from, call, b"1234");
    }
    house.turn();
    unix.send(&null(3));
    assert_eq!(xid(&house.reply(&mut unix)), 3);
    assert_eq!(heard(&client), None);
}

#[test]
fn what_others_send_to_the_socket_that_calls_leave_from_means_nothing() {
    let mut house = House::calling(0);
    let service = Service::new(&mut house, "127.0.0.1:0", Netid::UDP);
    let client = udp(&mut house, "127.0.0.1");
    client.send(&indirect(1)).unwrap();
    let (from, call) = house.until("the call", |_| service.called());
    let forger = Service(UdpSocket::bind("127.0.0.1:0").unwrap());
    for _ in 0..1_000 {
        forger.answer(from, call, b"evil");
        house.turn();
    }
    service.answer(from, [call[0], call[1], call[2], !call[3]], b"evil");
    forger.0.send_to(&indirect(1), from).unwrap();
    house.turn();
    assert_eq!(heard(&client), None);
    service.answer(from, call, b"good");
    let reply = house.until("the answer", |_| heard(&client));
    assert_eq!(results(&reply), b"good");
}

#[test]
fn a_service_that_is_gone_is_an_error_at_once_and_disturbs_no_other() {
    let mut house = House::calling(0);
    for (address, netid) in [("127.0.0.1", Netid::UDP), ("[::1]", Netid::UDP6)] {
        let gone = Service::new(&mut house, &format!("{address}:0"), netid);
        drop(gone);
        let client = udp(&mut house, address);
        for round in 0..3 {
            client.send(&indirect(round)).unwrap();
            let reply = house.until("an error", |_| heard(&client));
            assert_eq!((xid(&reply), Reply::decode(&reply).unwrap().answer), (round, Answer::SystemError));
        }
        let service = Service::of_version(&mut house, &format!("{address}:0"), netid, 2);
        client.send(&indirect_of_version(9, 2)).unwrap();
        let (from, call) = house.until("the call", |_| service.called());
        service.answer(from, call, b"1234");
        let reply = house.until("the answer", |_| heard(&client));
        assert_eq!((xid(&reply), results(&reply)), (9, b"1234".to_vec()));
    }
    // Nothing is left that would wake the loop again and again.
    house.turn();
    assert_eq!(house.event_loop.until_deadline(), None);
}
