//! Remote calls are on: which services a stranger's call reaches, whose answers come back to it, and from where.

use std::net::UdpSocket;

use testkit::{DaemonKind, Namespace};

use crate::{RPCBIND, Scene, THERE4, ask, calls, here4};

/// A program that may be called.
const PROGRAM: u32 = 0x2000_0001;
/// SYSTEM_ERR, and AUTH_TOOWEAK, behind the xid.
const SYSTEM_ERROR: [u8; 20] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
const TOO_WEAK: [u8; 16] = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5];

fn scene(configuration: &str) -> Scene {
    Scene::started(configuration, &DaemonKind::ours(RPCBIND).arguments(["-f", "-r"]))
}

/// A service of the daemon's machine that says nothing by itself.
fn service(home: &Namespace, program: u32) -> UdpSocket {
    let socket = home.within(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port().to_be_bytes();
    register(home, program, &format!("0.0.0.0.{}.{}", port[0], port[1]));
    socket
}

fn register(home: &Namespace, program: u32, address: &str) {
    let unix = ask::unix(home, testkit::daemon::SOCKET);
    let set = calls::set(program, 1, "udp", address);
    assert_eq!(ask::results(&ask::over(&unix, &set).unwrap()), calls::TRUE, "{program} {address}");
}

fn indirect(program: u32, procedure: u32) -> Vec<u8> {
    // Padded, so that the results of a service fit.
    let arguments = [calls::words(&[program, 1, procedure]), calls::text([0; 64])].concat();
    calls::mapper(4, 10, &arguments)
}

#[test]
fn what_may_not_be_called_hears_nothing_from_anybody() {
    testkit::require!();
    let scene = scene("remote-call-allow = ['*']\n");
    let forbidden = [
        (100_003, 1),
        (100_004, 3),
        (100_004, 8),
        (100_005, 1),
        (100_005, 3),
        (100_007, 2),
        (100_009, 1),
        (100_011, 1),
        (100_028, 1),
        (100_029, 1),
        (100_069, 1),
        (100_227, 1),
    ];
    let mut programs: Vec<u32> = forbidden.iter().map(|(program, _)| *program).collect();
    programs.dedup();
    let services: Vec<UdpSocket> = programs.iter().map(|program| service(&scene.home, *program)).collect();
    // Ourselves, by other names.
    for (program, address) in [(PROGRAM, "0.0.0.0.0.111"), (PROGRAM + 1, "127.0.0.1.0.111")] {
        register(&scene.home, program, address);
    }
    let udp = ask::udp(&scene.other, THERE4, here4());
    let local = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let (tcp, unix) =
        (ask::tcp(&scene.other, &here4().to_string()), ask::unix(&scene.home, testkit::daemon::SOCKET));
    let all = |message: &[u8], answer: &[u8]| {
        for client in [&udp, &local] {
            assert_eq!(ask::over_udp(client, message).unwrap()[4..], *answer);
        }
        assert_eq!(ask::over(&tcp, message).unwrap()[4..], *answer);
        assert_eq!(ask::over(&unix, message).unwrap()[4..], *answer);
    };
    for (program, procedure) in forbidden {
        all(&indirect(program, procedure), &TOO_WEAK);
    }
    // DUMP, SET and CALLIT of the port mapper itself, and whatever is said to be elsewhere but is it.
    for procedure in [1, 4, 5, 10] {
        all(&indirect(100_000, procedure), &TOO_WEAK);
    }
    for program in [PROGRAM, PROGRAM + 1] {
        all(&indirect(program, 0), &SYSTEM_ERROR);
        all(&indirect(program, 4), &SYSTEM_ERROR);
    }
    for service in &services {
        service.set_nonblocking(true).unwrap();
        assert!(service.recv(&mut [0; 16]).is_err(), "it was called");
    }
}

#[test]
fn only_the_service_that_was_called_answers_and_its_results_come_from_port_111() {
    testkit::require!();
    let scene = scene("");
    let service = service(&scene.home, PROGRAM);
    let forger = scene.home.within(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    // Connected: it hears nothing that comes from another port or address.
    let client = ask::udp(&scene.other, THERE4, here4());
    client.send(&indirect(PROGRAM, 1)).unwrap();
    let mut message = [0; 1_000];
    let (len, from) = service.recv_from(&mut message).unwrap();
    assert!(from.ip().is_loopback() && from.port() >= 1_024, "{from}");
    assert_eq!(message[24..40], [0; 16], "it is called by nobody");
    assert_eq!(len, 40 + 64);
    let answer = |last: &[u8]| [&message[..4], &[0, 0, 0, 1], &[0; 16], last].concat();
    // It knows the xid, as only somebody on this host could, and is not the service.
    forger.send_to(&answer(b"evil"), from).unwrap();
    // Nor is a stranger who knows the port: the socket is at a loopback address.
    let stranger = ask::udp(&scene.other, THERE4, (here4().ip(), from.port()).into());
    stranger.send(&answer(b"evil")).unwrap();
    service.send_to(&answer(b"good"), from).unwrap();
    let mut reply = [0; 1_000];
    let len = client.recv(&mut reply).unwrap();
    assert_eq!(reply[len - 4..len], *b"good");
    client.set_nonblocking(true).unwrap();
    assert!(client.recv(&mut reply).is_err(), "a second answer");
}
