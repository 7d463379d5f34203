//! Access rules of the configuration: by prefix, by what is called, by the program that is named; and who may list.

use rustix::process::Signal;
use testkit::wait;

use crate::{Scene, ask, calls, here4};

/// A second network of the stranger's machine.
const NEXT4: &str = "10.2.0.9";
const RULES: &str = "dump-from = ['10.2.0.0/24']\n\
    [[access]]\naction = 'deny'\nfrom = ['10.1.0.0/24']\nprocedures = ['lookup']\nprograms = ['400000-400001']\n\
    [[access]]\naction = 'deny'\nfrom = ['10.2.0.0/24']\nprocedures = ['statistics']\n";

/// What of [null, look-ups of three programs, list, statistics] somebody at this address is answered over TCP, and what
/// over UDP, where nothing longer than its request is.
fn answered(scene: &Scene, from: &str) -> ([bool; 6], [bool; 4]) {
    let look_up = |program| calls::mapper(2, 3, &calls::mapping(program, 1, 17, 0));
    let asked = [
        calls::null(4),
        look_up(400_000),
        look_up(400_001),
        look_up(400_002),
        calls::mapper(4, 4, &[]),
        calls::mapper(4, 12, &[]),
    ];
    let stream = scene.other.within(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::new(from.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&here4().into()).unwrap();
        std::net::TcpStream::from(socket)
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    // The word behind REPLY: accepted, or denied.
    let is_accepted = |reply: &[u8]| reply[8..12] == [0; 4];
    let by_stream = asked.each_ref().map(|message| is_accepted(&ask::over(&stream, message).unwrap()));
    let client = ask::udp(&scene.other, from, here4());
    let [null, first, second, third, ..] = asked;
    let by_datagram =
        [null, first, second, third].map(|message| is_accepted(&ask::over_udp(&client, &message).unwrap()));
    (by_stream, by_datagram)
}

#[test]
fn rules_deny_by_prefix_procedure_and_program_and_a_reload_takes_them_back() {
    testkit::require!();
    let scene = Scene::new(RULES);
    scene.register(3);
    assert_eq!(answered(&scene, crate::THERE4).0, [true, false, false, true, false, true]);
    assert_eq!(answered(&scene, crate::THERE4).1, [true, false, false, true]);
    assert_eq!(answered(&scene, NEXT4), ([true, true, true, true, true, false], [true; 4]));
    // Our own machine may list in any case.
    assert!(testkit::table::dump(&scene.home).unwrap().len() > 3);

    scene.home.write("/etc/rpcbind.toml", "dump-from = []\n").unwrap();
    scene.daemon.signal(Signal::HUP).unwrap();
    wait::until("the new rules", || {
        let everything_but_the_list = ([true, true, true, true, false, true], [true; 4]);
        Ok((answered(&scene, crate::THERE4) == everything_but_the_list).then_some(()))
    })
    .unwrap();
    assert!(!answered(&scene, NEXT4).0[4]);
}
