use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;

use oncrpc::Procedure;
use oncrpc::bind;
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::Row;

use super::super::super::harness::{Client, House, PLENTY, call, null, record, row, set};
use super::*;
use crate::notify::Notifier;

/// A house whose connections are stored with a manager, of whose messages the descriptors are closed.
fn house(room: usize) -> (House, UnixDatagram, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let notifier = Arc::new(Notifier::open(Some(path.as_os_str())).unwrap());
    let store = Store::offered(Some("99"), &notifier).unwrap();
    let mut house = House::new(PLENTY, 0);
    assert_eq!(house.event_loop.keep_connections(store, room, Vec::new()), 0);
    (house, manager, directory)
}

/// What the manager has been told, a word for each message.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut told = Vec::new();
    let mut message = [0; 100];
    while let Ok(length) = manager.recv(&mut message) {
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        told.push(text.split('=').next().unwrap().to_owned());
    }
    told
}

#[test]
fn roots_connections_are_stored_when_they_stay_and_taken_out_when_they_end() {
    if !rustix::process::geteuid().is_root() {
        testkit::skip!("the connections are not root's");
    }
    let (mut house, manager, _directory) = house(1);
    let mut gone = house.unix();
    gone.send(&null(1));
    house.reply(&mut gone);
    drop(gone);
    let (mut stays, _too_many) = (house.unix(), house.unix());
    house.until("three", |house| (house.event_loop.streams().len() == 2).then_some(()));
    assert_eq!(told(&manager), [""; 0]);
    house.pass(OPEN_FOR);
    assert_eq!(told(&manager), ["FDSTORE"]);
    // No record is as long as that: the connection ends for the peer, whoever else holds it.
    stays.send(&[0xff; 8]);
    house.end_of(&mut stays);
    assert_eq!(told(&manager), ["FDSTOREREMOVE"]);
}

#[test]
fn others_connections_are_not_stored() {
    let (house, ..) = house(9);
    let mut keeping = Keeping { store: None, room: 9, waiting: VecDeque::new() };
    let caller = |uid| Caller::Unix { uid, namespace: Namespace(0) };
    keeping.note(&caller(Some(0)), Token(1), Duration::ZERO);
    assert_eq!(keeping.next_deadline(), None, "there is no store");
    keeping.store = house.event_loop.streams().keeping.store.clone();
    keeping.note(&caller(Some(1_000)), Token(1), Duration::ZERO);
    keeping.note(&caller(None), Token(1), Duration::ZERO);
    assert_eq!(keeping.next_deadline(), None);
    keeping.note(&caller(Some(0)), Token(1), Duration::ZERO);
    assert_eq!(keeping.next_deadline(), Some(OPEN_FOR));
}

#[test]
fn a_full_queue_of_the_managers_is_tried_again() {
    if !rustix::process::geteuid().is_root() {
        testkit::skip!("the connections are not root's");
    }
    let (mut house, manager, directory) = house(9);
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    filler.connect(directory.path().join("manager")).unwrap();
    while filler.send(b"full").is_ok() {}
    let _client = house.unix();
    house.until("it is there", |house| (house.event_loop.streams().len() == 1).then_some(()));
    house.pass(OPEN_FOR);
    assert!(told(&manager).iter().all(|word| word == "full"));
    house.pass(OPEN_FOR);
    assert_eq!(told(&manager), ["FDSTORE"]);
}

#[test]
fn what_comes_back_is_served_and_what_is_dead_is_counted() {
    let (mut house, _manager, _directory) = house(9);
    let store = house.event_loop.streams().keeping.store.clone().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let (dead, gone) = UnixStream::pair().unwrap();
    // A child of another test may hold it for a moment longer.
    gone.shutdown(std::net::Shutdown::Both).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    far.write_all(&null(7)).unwrap();
    let sockets = [near, dead].map(|socket| {
        socket.set_nonblocking(true).unwrap();
        OwnedFd::from(socket)
    });
    assert_eq!(house.event_loop.keep_connections(store, 9, sockets.into()), 1);
    let mut reply = [0; 28];
    std::io::Read::read_exact(&mut far, &mut reply).unwrap();
    assert_eq!(reply[4..8], [0, 0, 0, 7]);
}

/// The one connection that the manager has been given.
fn given(manager: &UnixDatagram) -> OwnedFd {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let (mut bytes, flags) = ([0; 100], rustix::net::RecvFlags::CMSG_CLOEXEC);
    rustix::net::recvmsg(manager, &mut [std::io::IoSliceMut::new(&mut bytes)], &mut control, flags).unwrap();
    let given = control.drain().find_map(|message| match message {
        rustix::net::RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    given.unwrap()
}

/// Lets a day pass, in whose hours nothing happens.
fn a_day(house: &mut House) {
    for _ in 0..24 {
        house.pass(Duration::from_secs(3_600));
    }
}

/// NULL of version 2, NULL of version 4, then SET or UNSET of version 4 of five services.
fn like_the_kernel(house: &mut House, client: &mut Client<UnixStream>, procedure: Procedure) {
    for version in [bind::V2, bind::V4] {
        client.send(&record(&call(1, version, Procedure(0), &[])));
        assert_eq!(house.reply(client).len(), 24);
    }
    for number in 0..5 {
        let mut message = set(number, &row(number));
        message[20..24].copy_from_slice(&procedure.0.to_be_bytes());
        client.send(&record(&message));
        assert_eq!(*house.reply(client).last().unwrap(), 1, "{procedure:?} {number}");
    }
}

#[test]
fn a_connection_like_the_kernels_works_after_a_day_without_a_word_in_each_of_two_runs_and_leaves_no_row() {
    if !rustix::process::geteuid().is_root() {
        testkit::skip!("the connections are not root's");
    }
    let (mut first, manager, _directory) = house(9);
    let mut kernel = first.unix();
    like_the_kernel(&mut first, &mut kernel, bind::SET);
    a_day(&mut first);
    let stored = given(&manager);
    assert_eq!(first.event_loop.streams().len(), 1, "it is not closed for idleness");
    like_the_kernel(&mut first, &mut kernel, bind::UNSET);
    like_the_kernel(&mut first, &mut kernel, bind::SET);
    a_day(&mut first);

    // The next run, with the table of this one.
    let rows: Vec<Row> = first.event_loop.dispatch().service.registry().rows().cloned().collect();
    drop(first);
    let (mut second, ..) = house(9);
    let store = second.event_loop.streams().keeping.store.clone().unwrap();
    for row in rows.into_iter().filter(|row| row.program != bind::PROGRAM) {
        second.event_loop.dispatch().service.restore(row).unwrap();
    }
    let registered = |house: &mut House| {
        house
            .event_loop
            .dispatch()
            .service
            .registry()
            .rows()
            .filter(|row| row.program != bind::PROGRAM)
            .count()
    };
    assert_eq!(registered(&mut second), 5);
    assert_eq!(second.event_loop.keep_connections(store, 9, vec![stored]), 0);
    a_day(&mut second);
    like_the_kernel(&mut second, &mut kernel, bind::UNSET);
    assert_eq!(registered(&mut second), 0, "no stale row is left");
}

#[test]
fn at_the_end_what_is_in_the_middle_of_something_is_closed_and_the_rest_is_stored() {
    if !rustix::process::geteuid().is_root() {
        testkit::skip!("the connections are not root's");
    }
    let (mut house, manager, _directory) = house(9);
    let (mut half, _whole) = (house.unix(), house.unix());
    house.until("two", |house| (house.event_loop.streams().len() == 2).then_some(()));
    half.send(&null(1)[..20]);
    house.until("half a record", |house| (house.event_loop.streams().input_bytes > 0).then_some(()));
    house.event_loop.leave_connections();
    house.end_of(&mut half);
    assert_eq!(told(&manager), ["FDSTORE", "FDSTORE", "FDSTOREREMOVE"]);
}
