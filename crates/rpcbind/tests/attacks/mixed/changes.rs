//! Whoever changes something: registrars over every transport, services that die, the administrator, the network.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Signal, Uid};
use rustix::thread::set_thread_res_uid;
use testkit::{programs, wait};

use super::clients::{Running, Turn};
use super::{CONFIGURATION, SERVICES_PORT, Scene, ask, calls};

const USER: u32 = 1_000;
/// How many services each registrar knows.
const KNOWN: u32 = 40;
/// What is registered over and over, by each of them.
const UNIX_PROGRAMS: u32 = 410_000;
const TCP_PROGRAMS: u32 = 420_000;
const DATAGRAM_PROGRAMS: u32 = 430_000;
const USER_PROGRAMS: u32 = 440_000;
const DYING_PROGRAMS: u32 = 450_000;
const PROCESS_PROGRAMS: u32 = 460_000;
/// The ports of services that die: not those that the kernel gives to others.
const DYING_PORTS: u32 = 5_100;
const ADDRESS: &str = "0.0.0.0.19.136";

/// The sockets of the services that are there all the time.
pub(super) fn services(scene: &Scene) -> (TcpListener, UdpSocket) {
    let at = ("0.0.0.0", SERVICES_PORT);
    scene.home.within(|| (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap())).unwrap()
}

/// The service that is called for others: it answers every second call. Answers how many came.
pub(super) fn answer(service: &UdpSocket, running: &Running) -> u64 {
    service.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let (mut call, mut calls) = ([0; 9_000], 0);
    while !running.is_over() {
        let Ok((_, from)) = service.recv_from(&mut call) else { continue };
        calls += 1;
        if calls % 2 == 0 {
            let reply = [&call[..4], &calls::words(&[1, 0, 0, 0, 0])].concat();
            service.send_to(&reply, from).unwrap();
        }
    }
    calls
}

fn connect() -> UnixStream {
    let stream = UnixStream::connect(testkit::daemon::SOCKET).unwrap();
    stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    stream
}

/// Calls, and wants this answer.
fn call(stream: impl Read + Write, message: &[u8], expected: [u8; 4]) {
    let reply = ask::over(stream, message).unwrap();
    assert_eq!(ask::results(&reply), expected, "{message:?}");
}

/// SET and UNSET of one row.
fn come_and_go(mut stream: impl Read + Write, program: u32, netid: &str) -> u64 {
    call(&mut stream, &calls::set(program, 1, netid, ADDRESS), calls::TRUE);
    call(&mut stream, &calls::unset(program, 1, netid), calls::TRUE);
    2
}

/// What the registrar over a unix connection has left goes, as at its end.
pub(super) fn take_back(scene: &Scene) {
    let stream = ask::unix(&scene.home, testkit::daemon::SOCKET);
    for program in UNIX_PROGRAMS..UNIX_PROGRAMS + KNOWN {
        call(&stream, &calls::unset(program, 1, ""), calls::TRUE);
    }
}

/// Several are there at a time.
pub(super) fn over_unix() -> Turn<'static> {
    let mut stream = connect();
    Box::new(move |number| {
        let program = UNIX_PROGRAMS + number % KNOWN;
        call(&mut stream, &calls::set(program, 1, "tcp", ADDRESS), calls::TRUE);
        call(&mut stream, &calls::set(program, 1, "udp", ADDRESS), calls::TRUE);
        // What was registered half a round ago goes, both rows at once.
        let old = UNIX_PROGRAMS + (number + KNOWN / 2) % KNOWN;
        call(&mut stream, &calls::unset(old, 1, ""), calls::TRUE);
        3
    })
}

pub(super) fn over_tcp() -> Turn<'static> {
    Box::new(|number| {
        let to = if number % 2 == 0 { "127.0.0.1:111" } else { "[::1]:111" };
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
        come_and_go(stream, TCP_PROGRAMS + number % KNOWN, "tcp")
    })
}

/// Version 2, from a port that only root can have.
pub(super) fn by_datagram() -> Turn<'static> {
    let socket = (600..700).find_map(|port| UdpSocket::bind(("127.0.0.1", port)).ok()).unwrap();
    socket.connect("127.0.0.1:111").unwrap();
    Box::new(move |number| {
        let mapping = calls::mapping(DATAGRAM_PROGRAMS + number % KNOWN, 1, 17, 5_000);
        for (step, procedure) in [1, 2].into_iter().enumerate() {
            let xid = number * 2 + u32::try_from(step).unwrap();
            let message = calls::with_xid(calls::mapper(2, procedure, &mapping), xid);
            assert_eq!(ask::results(&ask::until_answered(&socket, &message)), calls::TRUE, "{message:?}");
        }
        2
    })
}

/// His own rows, and attempts on others'.
pub(super) fn of_a_user() -> Turn<'static> {
    let user = Uid::from_raw(USER);
    set_thread_res_uid(user, user, user).unwrap();
    let mut stays = connect();
    Box::new(move |number| {
        call(&mut stays, &calls::set(100_003, 3, "tcp", "0.0.0.0.8.1"), calls::FALSE);
        call(&mut stays, &calls::unset(400_000, 1, "udp"), calls::FALSE);
        2 + come_and_go(connect(), USER_PROGRAMS + number % KNOWN, "udp")
    })
}

/// Each comes on another port than the one before it, which is dead, and dies at once.
pub(super) fn services_that_die() -> Turn<'static> {
    let mut stream = connect();
    Box::new(move |number| {
        let port = DYING_PORTS + number % 800;
        let service = TcpListener::bind(("0.0.0.0", u16::try_from(port).unwrap())).unwrap();
        let address = format!("0.0.0.0.{}.{}", port / 256, port % 256);
        let set = calls::set(DYING_PROGRAMS + number % 7, 1, "tcp", address);
        // A process that is being started holds the socket of the one before for a moment.
        wait::until("TRUE", || {
            Ok((ask::results(&ask::over(&mut stream, &set)?) == calls::TRUE).then_some(()))
        })
        .unwrap();
        drop(service);
        1
    })
}

/// A process of a user's registers something and ends, and another one takes it back.
pub(super) fn processes_that_register(scene: &Scene) -> Turn<'_> {
    let peer = programs::tirpc_peer(&scene.home).unwrap();
    Box::new(move |number| {
        let program = (PROCESS_PROGRAMS + number % KNOWN).to_string();
        for step in [&["set", "tcp", &program, "1", ADDRESS][..], &["unset", "tcp", &program, "1"]] {
            programs::run_as(&scene.home, USER, &peer, step).unwrap();
        }
        2
    })
}

/// The administrator changes his mind, and sometimes makes a mistake.
pub(super) fn reloads(scene: &Scene) -> Turn<'_> {
    Box::new(move |number| {
        let more = match number % 4 {
            0 => "",
            1 => "[limits]\nreplies-per-second = 100\n",
            2 => "[limits]\nreplies-per-second = -1\n",
            _ => "[limits]\nerrors-per-second = 50\n",
        };
        scene.home.write("/etc/rpcbind.toml", &format!("{CONFIGURATION}{more}")).unwrap();
        let denied = format!("rpcbind: 192.0.2.{}\n", number % 200 + 1);
        scene.home.write("/etc/hosts.deny", &denied).unwrap();
        scene.daemon.signal(Signal::HUP).unwrap();
        1
    })
}

/// A cable is plugged in, gets addresses, and is taken away.
pub(super) fn interfaces(scene: &Scene) -> Turn<'_> {
    Box::new(move |number| {
        let lines = format!(
            "link add s0 type veth peer name s1\naddr add 10.78.{}.1/24 dev s0\n\
             addr add fd78::{:x}/64 dev s0 nodad\nlink set s0 up\nlink set s1 up\nlink del s0\n",
            number % 250,
            number % 60_000 + 1
        );
        scene.home.write("/run/links", &lines).unwrap();
        scene.home.expect("ip", &["-batch", "/run/links"]).unwrap();
        1
    })
}
