//! Users of the daemon's own machine who want more than is theirs.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use testkit::Namespace;
use testkit::table::{Row, dump};

use crate::{HERE4, Scene, as_user, ask, calls, count};

const ALICE: u32 = 1_000;
const BOB: u32 = 1_001;
const LOOPBACK: &str = "127.0.0.1:111";
/// What only root and system users register.
const RESERVED: [u32; 11] =
    [100_003, 100_005, 100_021, 100_024, 100_011, 100_227, 100_004, 100_007, 100_009, 100_028, 100_069];

/// The ways to the daemon that do not leave the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Unix,
    Udp,
    Tcp,
}

const WAYS: [Way; 3] = [Way::Unix, Way::Udp, Way::Tcp];

/// Calls as this user; answers the results.
fn call(home: &Namespace, uid: u32, way: Way, message: &[u8]) -> Vec<u8> {
    let reply = match way {
        Way::Unix => {
            let stream = as_user(home, uid, || UnixStream::connect(testkit::daemon::SOCKET).unwrap());
            ask::over(stream, message)
        }
        Way::Tcp => ask::over(as_user(home, uid, || TcpStream::connect(LOOPBACK).unwrap()), message),
        Way::Udp => {
            let socket = as_user(home, uid, || {
                // Where root shows that it is root.
                let port = if uid == 0 { (600..700).find_map(|port| bind(port).ok()) } else { bind(0).ok() };
                port.unwrap()
            });
            socket.connect(LOOPBACK.parse::<SocketAddr>().unwrap()).unwrap();
            socket.set_read_timeout(Some(ask::PATIENCE)).unwrap();
            ask::over_udp(&socket, message)
        }
    };
    ask::results(&reply.unwrap())
}

fn bind(port: u16) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(("127.0.0.1", port))
}

fn owner_of(home: &Namespace, program: u32) -> Option<String> {
    let is_it = |row: &Row| row.program == program;
    dump(home).unwrap().into_iter().find(is_it).map(|row| row.owner)
}

#[test]
fn an_ordinary_user_fills_its_own_share_and_nobody_elses() {
    testkit::require!();
    let scene = Scene::new("");
    let stream = as_user(&scene.home, ALICE, || UnixStream::connect(testkit::daemon::SOCKET).unwrap());
    let set = |call: Vec<u8>| ask::results(&ask::over(&stream, &call).unwrap());
    let mut added = 0;
    for number in 0..u32::try_from(count(20_000, 600)).unwrap() {
        let answer = set(calls::set(500_000 + number, 1, "udp", "0.0.0.0.19.136"));
        assert_eq!(answer, if number < 256 { calls::TRUE } else { calls::FALSE }, "{number}");
        added += u32::from(answer == calls::TRUE);
    }
    assert_eq!(added, 256);
    for program in [500_000_u32, 500_001] {
        assert_eq!(set(calls::unset(program, 1, "udp")), calls::TRUE);
    }
    let long = "1".repeat(8_000);
    for (netid, address) in [
        ("udp", &long[..]),
        ("udp", "0.0.0.0.19.136\n"),
        ("udp", "\x1b[2J"),
        ("u\ndp", "0.0.0.0.19.136"),
        ("local", "/run/\x07bell"),
        ("local", "relative"),
        (&long, "0.0.0.0.19.136"),
    ] {
        let reply = ask::over(&stream, &calls::set(600_000, 1, netid, address)).unwrap();
        // An answer of FALSE, or of arguments that cannot be.
        let refused = reply.ends_with(&calls::words(&[0, 0])) || reply.ends_with(&calls::words(&[0, 4]));
        assert!(refused, "{netid:.20} {address:.20}: {reply:02x?}");
    }
    assert_eq!(owner_of(&scene.home, 600_000), None);
    assert_eq!(
        call(&scene.home, 0, Way::Unix, &calls::set(600_001, 1, "udp", "0.0.0.0.19.136")),
        calls::TRUE
    );
    let others = call(&scene.home, BOB, Way::Unix, &calls::set(600_002, 1, "udp", "0.0.0.0.19.136"));
    assert_eq!(others, calls::TRUE);
}

#[test]
fn what_is_reserved_is_roots_and_what_is_somebodys_stays_theirs_over_every_way() {
    testkit::require!();
    for way in WAYS {
        let scene = Scene::new("");
        let home = &scene.home;
        let ports = [(500_001, "0.0.0.0.0.111"), (500_002, "0.0.0.0.3.255"), (500_003, "0.0.0.0.8.1")];
        let reserved = RESERVED.map(|program| (program, "0.0.0.0.19.136"));
        for (program, address) in reserved.into_iter().chain(ports) {
            let set = calls::set(program, 3, "udp", address);
            assert_eq!(call(home, ALICE, way, &set), calls::FALSE, "{way:?} {program}");
            assert_eq!(call(home, 0, way, &set), calls::TRUE, "{way:?} {program}");
            assert_eq!(owner_of(home, program).as_deref(), Some("superuser"), "{way:?} {program}");
            assert_eq!(call(home, ALICE, way, &calls::unset(program, 3, "")), calls::FALSE, "{way:?}");
        }
        let set = calls::set(700_000, 1, "udp", "0.0.0.0.19.136");
        assert_eq!(call(home, ALICE, way, &set), calls::TRUE);
        assert_eq!(owner_of(home, 700_000).as_deref(), Some("1000"), "{way:?}");
        assert_eq!(call(home, BOB, way, &calls::unset(700_000, 1, "")), calls::FALSE);
        let elsewhere = calls::set(700_000, 1, "udp", "0.0.0.0.19.137");
        assert_eq!(call(home, BOB, way, &elsewhere), calls::FALSE);
        assert_eq!(call(home, ALICE, way, &calls::unset(700_000, 1, "")), calls::TRUE);
    }
}

#[test]
fn an_ordinary_user_registers_addresses_of_this_host_only() {
    testkit::require!();
    let scene = Scene::new("");
    for way in WAYS {
        let set = |netid: &str, address: &str| {
            call(&scene.home, ALICE, way, &calls::set(700_001, 1, netid, format!("{address}.19.136")))
        };
        for (netid, address) in [("udp", "192.0.2.7"), ("udp6", "2001:db8::7"), ("udp", "10.1.0.9")] {
            assert_eq!(set(netid, address), calls::FALSE, "{way:?} {address}");
        }
    }
    for (netid, address) in [("udp", HERE4), ("tcp", "127.0.0.1"), ("udp6", "::1"), ("tcp6", "::")] {
        let set = calls::set(700_001, 1, netid, format!("{address}.19.136"));
        assert_eq!(call(&scene.home, ALICE, Way::Unix, &set), calls::TRUE, "{address}");
    }
}

#[test]
fn a_set_that_is_sent_three_times_is_true_three_times_and_one_row() {
    testkit::require!();
    let scene = Scene::new("");
    let before = dump(&scene.home).unwrap().len();
    for (way, program) in WAYS.into_iter().zip(700_000..) {
        let set = calls::set(program, 1, "udp", "0.0.0.0.19.136");
        for _ in 0..3 {
            assert_eq!(call(&scene.home, ALICE, way, &set), calls::TRUE);
        }
    }
    assert_eq!(dump(&scene.home).unwrap().len(), before + 3);
}

#[test]
fn root_of_a_user_namespace_is_the_user_who_made_it() {
    testkit::require!("/usr/bin/setpriv", "/usr/bin/unshare", "/usr/bin/python3");
    const SCRIPT: &str = "import os, socket, sys\nassert os.geteuid() == 0\n\
        stream = socket.socket(socket.AF_UNIX); stream.connect('/run/rpcbind.sock')\n\
        for message in sys.argv[1:]:\n  message = bytes.fromhex(message)\n  \
        stream.send((0x80000000 | len(message)).to_bytes(4, 'big') + message)\n  \
        print(stream.recv(1000)[-4:].hex())\n";
    let scene = Scene::new("");
    let hex = |message: Vec<u8>| message.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=1000",
        "--regid=1000",
        "--clear-groups",
        "--",
        "unshare",
        "-Ur",
        "/usr/bin/python3",
    ]);
    command.args(["-c", SCRIPT]);
    command.arg(hex(calls::set(700_000, 1, "udp", "0.0.0.0.19.136")));
    command.arg(hex(calls::set(100_003, 3, "udp", "0.0.0.0.19.136")));
    command.arg(hex(calls::set(700_001, 3, "udp", "0.0.0.0.3.136")));
    let end = scene.home.run(&mut command).unwrap();
    assert_eq!(end.stdout, "00000001\n00000000\n00000000\n", "{end:?}");
    assert_eq!(owner_of(&scene.home, 700_000).as_deref(), Some("1000"));
}

/// What the shipped unit has of this program.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The shipped unit, with what it takes from the process taken by a program in front of the daemon: its user, every
/// capability, the way to more. (Its views of files and its filter of system calls are not played: `packaging.rs` holds
/// them against what the daemon calls.)
fn shipped() -> testkit::Activator {
    let read = |name: &str| {
        let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name);
        std::fs::read_to_string(shipped).unwrap()
    };
    let played = ["Type=", "Environment=", "EnvironmentFile=", "ExecStart=", "Restart=", "WatchdogSec="];
    let (mut unit, mut taken) = (String::new(), 0);
    for line in read("rpcbind.service").lines() {
        if let Some(command) = line.strip_prefix("ExecStart=") {
            let taking = "--reuid=_rpc --regid=nogroup --clear-groups --inh-caps=-all --ambient-caps=-all \
                          --bounding-set=-all --no-new-privs";
            unit += &format!("ExecStart={SETPRIV} {taking} {command}\n");
        } else if line.starts_with('[') || played.iter().any(|key| line.starts_with(key)) {
            unit += &format!("{line}\n");
        }
        let takes = ["User=_rpc", "CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes"];
        taken += usize::from(takes.contains(&line));
    }
    assert_eq!(taken, 4, "the unit takes something else now");
    testkit::Activator::parse(&unit, &read("rpcbind.socket")).unwrap()
}

#[test]
fn under_the_shipped_unit_callers_are_who_they_are() {
    testkit::require!(SETPRIV, "/usr/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    home.expect("mount", &["--bind", crate::RPCBIND, "/usr/sbin/rpcbind"]).unwrap();
    home.expect("install", &["-d", "-o", "_rpc", "/run/rpcbind"]).unwrap();
    // ProtectProc=invisible.
    home.expect("mount", &["-o", "remount,hidepid=invisible", "/proc"]).unwrap();
    let activator = shipped();
    let sockets = activator.open(&home).unwrap();
    let mut daemon = activator.start(&home, &sockets).unwrap();
    daemon.wait_ready().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    assert!(
        status.contains("NoNewPrivs:\t1\n") && status.contains("CapBnd:\t0000000000000000\n"),
        "{status}"
    );
    let mut program = 700_000;
    for way in WAYS {
        for uid in [0, 33, ALICE, BOB] {
            program += 1;
            let set = calls::set(program, 1, "udp", "0.0.0.0.19.136");
            assert_eq!(call(&home, uid, way, &set), calls::TRUE, "{way:?} {uid}");
            let expected = match (uid, way) {
                (0, _) => "superuser".to_owned(),
                // A system user shows that it is one from a reserved port only.
                (33, Way::Udp) => "unknown".to_owned(),
                _ => uid.to_string(),
            };
            assert_eq!(owner_of(&home, program), Some(expected), "{way:?} {uid}");
        }
        let reserved = calls::set(100_003, 3, "udp", "0.0.0.0.19.136");
        assert_eq!(call(&home, ALICE, way, &reserved), calls::FALSE, "{way:?}");
    }
}

#[test]
fn a_shared_port_or_a_closed_socket_makes_nobody_root() {
    testkit::require!();
    let scene = Scene::new("[limits]\nrows-per-user = 15360\n");
    let home = &scene.home;
    let shared = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        let address: SocketAddr = "127.0.0.1:5555".parse().unwrap();
        socket.bind(&address.into()).unwrap();
        UdpSocket::from(socket)
    };
    // Root's and a system user's on the same port.
    let _root = as_user(home, 0, shared);
    let times = u32::try_from(count(10_000, 300)).unwrap();
    let set = |program: u32| calls::set(program, 1, "udp", "0.0.0.0.19.136");
    let other = ask::udp(home, "127.0.0.1", LOOPBACK.parse().unwrap());
    // Alice's of the round before.
    let mut still_open = None;
    let mut sent = 0;
    for number in 0..times {
        if number % 32 == 0 {
            // What was sent is not dropped: there are never many in the queue.
            assert_eq!(ask::until_answered(&other, &calls::null(4)).len(), 24);
        }
        let _system = (number % 2 == 0).then(|| as_user(home, 33, shared));
        let message = set(1_000_000 + number);
        let socket = as_user(home, ALICE, || {
            let socket = shared();
            socket.send_to(&message, LOOPBACK).unwrap();
            socket
        });
        drop(still_open.take());
        sent += 1;
        if number % 3 == 0 {
            drop(socket);
            continue;
        }
        still_open = Some(socket);
        sent += 2;
        as_user(home, ALICE, || {
            bind(0).unwrap().send_to(&set(2_000_000 + number), LOOPBACK).unwrap();
            let mut stream = TcpStream::connect(LOOPBACK).unwrap();
            std::io::Write::write_all(&mut stream, &ask::as_record(&set(3_000_000 + number))).unwrap();
            if number % 3 == 1 {
                // Closed with a reset instead of in order.
                socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            }
        });
    }
    scene.is_well();
    let rows = dump(home).unwrap();
    let others: Vec<&Row> = rows.iter().filter(|row| row.program >= 1_000_000).collect();
    println!("{} of {sent} registered", others.len());
    assert!(others.len() * 2 >= sent, "{} of {sent}", others.len());
    for row in others {
        assert!(["unknown", "1000"].contains(&row.owner.as_str()), "{row}");
    }
}
