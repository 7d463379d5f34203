//! What there may be at most, and who goes when it is more.

use super::super::super::shares::Limits;
use super::super::undelivered::UNDELIVERED_MAX;
use super::*;

#[test]
fn at_the_cap_the_newcomer_is_served_in_the_place_of_the_idlest() {
    let mut house = House::new(Limits { tcp: 3, ..PLENTY }, 0);
    let address = tcp(&mut house);
    let mut clients: Vec<_> = (0..3).map(|_| Client::tcp(address)).collect();
    house.until("three connections", |house| (connections(house) == 3).then_some(()));
    for at in [0, 2] {
        clients[at].send(&null(1));
        house.reply(&mut clients[at]);
    }
    let mut newcomer = Client::tcp(address);
    newcomer.send(&null(2));
    assert_eq!(xid(&house.reply(&mut newcomer)), 2);
    assert_eq!((connections(&house), ended(&house, Ending::Evicted)), (3, 1));
    house.end_of(&mut clients[1]);
    assert!(!clients[0].is_closed() && !clients[2].is_closed());
}

#[test]
fn roots_unix_connection_takes_the_place_of_tcp_when_everything_is_full() {
    testkit::require!();
    let limits = Limits { unix: 1, unix_per_uid: 1, root_reserve: 1, tcp: 1 };
    let mut house = House::new(limits, 0);
    let address = tcp(&mut house);
    let mut tcp = Client::tcp(address);
    let mut unix: Vec<_> = (0..3).map(|_| house.unix()).collect();
    house.until("all of root's", |house| (connections(house) == 3).then_some(()));
    for client in &mut unix {
        client.send(&null(5));
        assert_eq!(xid(&house.reply(client)), 5);
    }
    house.end_of(&mut tcp);
    let mut fourth = house.unix();
    house.end_of(&mut fourth);
    assert_eq!(house.event_loop.streams().refused(), 1);
}

#[test]
fn unfinished_messages_are_bounded_and_the_oldest_goes() {
    crate::process::raise_descriptor_limit();
    let mut house = House::new(PLENTY, 0);
    let mut clients = Vec::new();
    let mut begun = vec![0x80, 0, 0x23, 0x28];
    begun.resize(4 + 8_999, 0);
    while ended(&house, Ending::InputMemory) == 0 {
        let mut client: Client<UnixStream> = house.unix();
        client.send(&begun);
        let before = connections(&house);
        house.until("a connection", |house| {
            (connections(house) >= before.min(INPUT_MAX / 8_999)).then_some(())
        });
        house.turn();
        clients.push(client);
        assert!(clients.len() <= INPUT_MAX / 8_999 + 1);
    }
    house.end_of(&mut clients[0]);
    assert!(!clients[1].is_closed());
    assert!(house.event_loop.streams().input_bytes <= INPUT_MAX);
}

#[test]
fn replies_that_wait_are_bounded_and_who_reads_least_goes() {
    crate::process::raise_descriptor_limit();
    let mut house = House::new(PLENTY, 0);
    let calls: Vec<u8> =
        (0..1_400).flat_map(|number| record(&call(number, bind::V4, bind::GETSTAT, &[]))).collect();
    let mut clients = Vec::new();
    while ended(&house, Ending::OutputMemory) == 0 {
        let mut client = house.unix();
        house.turn();
        set_send_buffer(&house, u32::try_from(clients.len()).unwrap(), 8_192);
        client.send(&calls);
        for _ in 0..4 {
            house.turn();
        }
        assert!(house.event_loop.streams().output_bytes <= OUTPUT_MAX);
        clients.push(client);
        assert!(clients.len() < 1_000);
    }
    assert!(clients.len() > 100);
    house.end_of(&mut clients[0]);
    let last = clients.len() - 1;
    assert_eq!(xid(&house.reply(&mut clients[last])), 0, "others are served");
}

#[test]
fn readers_of_lists_that_are_too_old_are_closed() {
    let mut house = House::new(PLENTY, 16_000);
    let mut readers: Vec<Client<UnixStream>> = Vec::new();
    let mut registrar = house.unix();
    for number in 0..6 {
        let mut reader = house.unix();
        reader.send(&dump(number));
        house.turn();
        house.turn();
        readers.push(reader);
        registrar.send(&record(&set(number, &row(20_000 + number))));
        house.reply(&mut registrar);
    }
    assert_eq!(ended(&house, Ending::OldTable), 2);
    house.end_of(&mut readers[0]);
    house.end_of(&mut readers[1]);
    for (number, reader) in (2..).zip(&mut readers[2..]) {
        assert_eq!(xid(&house.reply(reader)), number);
    }
}

#[test]
fn what_the_kernel_holds_for_those_who_do_not_read_is_bounded_and_who_has_let_it_lie_longest_goes() {
    crate::process::raise_descriptor_limit();
    let mut house = House::new(PLENTY, 1_800);
    let mut reader = house.unix();
    let mut clients = Vec::new();
    while ended(&house, Ending::KernelMemory) == 0 {
        let mut client: Client<UnixStream> = house.unix();
        client.send(&dump(1));
        house.turn();
        house.turn();
        clients.push(client);
        assert!(house.event_loop.streams().undelivered.bytes() <= UNDELIVERED_MAX);
        reader.send(&dump(2));
        assert_eq!(xid(&house.reply(&mut reader)), 2);
        assert!(clients.len() < 1_000);
    }
    // More than a hundred thousand bytes each.
    assert!(clients.len() > 100 && clients.len() < 400, "{}", clients.len());
    assert_eq!(house.event_loop.streams().output_bytes, 0, "the sockets took it all");
    let gone = usize::try_from(ended(&house, Ending::KernelMemory)).unwrap();
    assert!(gone < clients.len() / 2, "{gone} of {}", clients.len());
    let last = clients.pop().unwrap();
    for (mut client, has_gone) in clients.into_iter().zip((0..).map(|number| number < gone)) {
        assert!(client.reply().is_some(), "what was written before the end can be read");
        if has_gone {
            house.end_of(&mut client);
        } else {
            assert!(!client.is_closed());
        }
    }
    drop(last);
    reader.send(&null(3));
    assert_eq!(xid(&house.reply(&mut reader)), 3);
}
