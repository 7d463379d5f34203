//! The small world that targets share: a host with two interfaces, callers of every class, and a kernel that answers
//! questions about them, all chosen by bytes of the input.

mod bytes;

pub use bytes::Bytes;

use oncrpc::bind::Netid;
use oncrpc::{Program, Version};
use rpcbind_core::Service;
use rpcbind_core::caller::{Caller, Datagram, Namespace, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact, Question, Socket};
use rpcbind_core::interfaces::Interfaces;
use rpcbind_core::outcome::{Handled, Outcome};
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{Caps, Forwarding, OwnAddress, Policy, Settings};
use std::net::SocketAddr;

/// Few enough that every cap is met.
pub const CAPS: Caps = Caps { rows: 16, rows_per_uid: 3, rows_for_root: 2 };
/// The namespace of the port mapper.
pub const HOME: Namespace = Namespace(1);
/// Another one.
pub const ELSEWHERE: Namespace = Namespace(2);
/// The index of the loopback interface.
pub const LOOPBACK: u32 = 1;
/// The index of the other one.
pub const ETHERNET: u32 = 2;

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address of our own")
}

fn datagram(from: &str, local: &str, interface: u32) -> Datagram {
    let local = socket(local);
    Datagram { from: socket(from), destination: local.ip(), local, interface, mapped: false }
}

/// Who sends: strangers more often than not.
pub fn caller(choice: u8) -> Caller {
    let stranger = datagram("198.51.100.7:49152", "192.0.2.1:111", ETHERNET);
    match choice & 15 {
        1 => Caller::Datagram(datagram("[2001:db8::99]:49152", "[2001:db8::1]:111", ETHERNET)),
        2 => Caller::Datagram(Datagram { destination: [192, 0, 2, 255].into(), ..stranger }),
        3 => Caller::Datagram(datagram("127.0.0.1:600", "127.0.0.1:111", ETHERNET)),
        4 => Caller::Datagram(Datagram { mapped: true, ..stranger }),
        5 => Caller::Datagram(datagram("[fe80::7%2]:49152", "[fe80::1%2]:111", ETHERNET)),
        6 => Caller::Datagram(datagram("127.0.0.1:49152", "127.0.0.1:111", LOOPBACK)),
        7 => Caller::Datagram(datagram("[::1]:600", "[::1]:111", LOOPBACK)),
        8 => Caller::Datagram(datagram("192.0.2.1:49152", "192.0.2.1:111", LOOPBACK)),
        9 => Caller::Connection { from: socket("198.51.100.7:49152"), local: socket("192.0.2.1:111") },
        10 => Caller::Connection { from: socket("127.0.0.1:600"), local: socket("127.0.0.1:111") },
        11 => Caller::Connection { from: socket("[::1]:49152"), local: socket("[::1]:111") },
        12 => Caller::Unix { uid: Some(0), namespace: HOME },
        13 => Caller::Unix { uid: Some(1000), namespace: HOME },
        14 => Caller::Unix { uid: None, namespace: HOME },
        15 => Caller::Unix { uid: Some(0), namespace: ELSEWHERE },
        _ => Caller::Datagram(stranger),
    }
}

/// Whether nothing proves where a caller's datagrams come from.
pub fn is_unverified(caller: &Caller) -> bool {
    matches!(caller, Caller::Datagram(datagram) if datagram.interface != LOOPBACK)
}

/// The sockets that the kernel finds at a caller's end, by the low bits of a byte.
pub fn owner(choice: u8, port: u16) -> OwnerFact {
    let socket = |uid| Socket { uid, inode: 7, established: true, port, ours: false };
    OwnerFact::Sockets(match choice & 7 {
        0 => return OwnerFact::Unknown,
        1 => vec![],
        2 => vec![socket(0)],
        3 => vec![Socket { inode: 0, established: false, ..socket(0) }],
        4 => vec![socket(1000), socket(0)],
        5 => vec![Socket { ours: true, ..socket(0) }],
        6 => vec![socket(100)],
        _ => vec![socket(1000)],
    })
}

/// Whether the kernel finds a service at an address, by the high bits of a byte.
pub fn bound(choice: u8) -> BoundFact {
    let answers = [BoundFact::Unknown, BoundFact::Bound, BoundFact::Free];
    answers[usize::from(choice >> 4) % answers.len()]
}

/// Handles a message and answers the questions about it, each of which may come once.
pub fn handle(
    service: &mut Service,
    now: Now,
    caller: &Caller,
    choice: u8,
    message: &[u8],
    reply: &mut [u8],
) -> Handled {
    let mut facts = Facts::default();
    loop {
        let handled = service.handle(now, caller, &facts, message, reply);
        match &handled.outcome {
            Outcome::Need(Question::Owner { remote, .. }) if facts.owner.is_none() => {
                facts.owner = Some(owner(choice, remote.port()));
            }
            Outcome::Need(Question::Bound { .. }) if facts.bound.is_none() => {
                facts.bound = Some(bound(choice));
            }
            Outcome::Need(_) => panic!("asked again for what was answered"),
            _ => return handled,
        }
    }
}

/// A port mapper on that host, without any service.
pub fn service(policy: Policy) -> Service {
    let own = |transport, address: &str| OwnAddress { transport, address: address.into() };
    let mut service = Service::new(Settings {
        home: HOME,
        own: vec![own(Transport::Udp, "0.0.0.0.0.111"), own(Transport::Local, "/run/rpcbind.sock")],
        caps: CAPS,
        policy,
        forwarding: Some(Forwarding {
            inet: Some(50_004),
            inet6: Some(50_006),
            calls: 8,
            calls_per_source: 4,
            seed: [1, 2],
        }),
        ..Settings::default()
    });
    service.set_interfaces(interfaces());
    service
}

/// The interfaces of that host.
pub fn interfaces() -> Interfaces {
    let addresses = [
        (LOOPBACK, "127.0.0.1:0", 8),
        (LOOPBACK, "[::1]:0", 128),
        (ETHERNET, "192.0.2.1:0", 24),
        (ETHERNET, "[2001:db8::1]:0", 64),
        (ETHERNET, "[fe80::1]:0", 64),
    ];
    Interfaces::of(addresses.map(|(index, text, length)| (index, socket(text).ip(), length)))
}

/// A few services.
pub fn rows() -> Vec<Row> {
    let rows = [
        (100_003, 3, Netid::TCP, "0.0.0.0.8.1", Owner::ROOT),
        (100_003, 4, Netid::TCP6, "::.8.1", Owner::ROOT),
        (100_024, 1, Netid::UDP, "192.0.2.1.128.2", Owner::Uid(100)),
        (200_100, 1, Netid::UDP, "0.0.0.0.195.80", Owner::Uid(1000)),
        (200_100, 2, Netid::LOCAL, "@service", Owner::Unknown),
    ];
    let row = |(program, version, netid, address, owner): (u32, u32, _, &str, _)| Row {
        program: Program(program),
        version: Version(version),
        netid,
        address: address.into(),
        owner,
        namespace: HOME,
    };
    rows.into_iter().map(row).collect()
}
