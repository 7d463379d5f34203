//! Messages from anybody through the port mapper's one entrance, several in a row. For a datagram whose source is not
//! verified at most as much leaves as came, never over 512 bytes, and the registry stays as it was.
//! The input is messages, each with two bytes that choose the caller and the facts, and a length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oncrpc::bind::Netid;
use oncrpc::{Program, Reply, Version};
use rpcbind_core::caller::{Caller, Datagram, Namespace, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact, Question, Socket};
use rpcbind_core::interfaces::{Interface, InterfaceAddress, Interfaces};
use rpcbind_core::outcome::{Forward, Handled, Outcome};
use rpcbind_core::policy::{MAX_DATAGRAM_REPLY, MAX_UNVERIFIED_REPLY};
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{Caps, Forwarding, OwnAddress};
use rpcbind_core::{Service, Settings};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// More rows than any message registers, few enough that the cap is met.
const ROWS: usize = 16;
const HOME: Namespace = Namespace(1);

fuzz_target!(|input: &[u8]| {
    let mut service = service();
    let mut rest = input;
    let mut elapsed = Duration::ZERO;
    while let Some(([who, facts, high, low], behind)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (message, behind) = behind.split_at(len);
        rest = behind;
        elapsed += Duration::from_millis(u64::from(*facts));
        let now = Now { monotonic: elapsed, unix_seconds: 1_000_000_000 };
        one_message(&mut service, now, &caller(*who), *facts, message);
    }
});

fn one_message(service: &mut Service, now: Now, caller: &Caller, choice: u8, message: &[u8]) {
    let budget = service.budget(caller, message.len()).bytes();
    let is_unverified = matches!(caller, Caller::Datagram(datagram) if datagram.interface != LOOPBACK);
    if is_unverified {
        assert!(budget <= message.len().min(MAX_UNVERIFIED_REPLY));
    }
    let before: Vec<Row> = service.registry().rows().cloned().collect();
    let mut reply = [0; MAX_DATAGRAM_REPLY];
    let reply = &mut reply[..budget];
    let handled = handle(service, now, caller, choice, message, reply);
    match &handled.outcome {
        Outcome::Silent => {}
        Outcome::Reply { len } => assert_is_reply(message, &reply[..*len]),
        Outcome::Table { len, body } => {
            assert!(!matches!(caller, Caller::Datagram(_)), "a datagram is answered with one datagram");
            assert_is_reply(message, &[&reply[..*len], &body[..]].concat());
        }
        Outcome::Commit { len, change } => {
            assert!(!is_unverified);
            assert_is_reply(message, &reply[..*len]);
            assert!(change.removed.iter().all(|row| before.contains(row)));
        }
        Outcome::Need(_) => panic!("asked again for what was answered"),
        Outcome::Forward(forward) => ends(service, now, caller, budget, message, forward),
    }
    let after: Vec<Row> = service.registry().rows().cloned().collect();
    let may_change = matches!(handled.outcome, Outcome::Commit { .. });
    assert!(may_change || before == after, "the registry changed without saying so");
    assert!(after.len() <= ROWS);
    let own = |rows: &[Row]| rows.iter().filter(|row| row.program == oncrpc::bind::PROGRAM).count();
    assert_eq!(own(&before), own(&after), "nobody registers or unregisters the port mapper");
}

/// The service answers a remote call with what is left of the message, or not at all.
fn ends(service: &mut Service, now: Now, caller: &Caller, budget: usize, message: &[u8], forward: &Forward) {
    assert!(forward.to.port() != 111, "{forward:?}");
    let (xid, rest) = (&forward.message[..4], message.get(8..).unwrap_or_default());
    let answer = [xid, &1_u32.to_be_bytes(), rest].concat();
    let mut reply = [0; MAX_DATAGRAM_REPLY];
    let elsewhere = (Ipv4Addr::new(198, 51, 100, 1), forward.to.port()).into();
    assert!(service.answered(now, elsewhere, &answer, &mut reply).is_none());
    let end = service.answered(now, forward.to, &answer, &mut reply).expect("it is under way");
    assert_eq!((end.call, end.caller), (forward.call, *caller));
    if let Some(late) = end.reply {
        assert!(late.len <= budget && late.budget.bytes() <= budget);
        assert_is_reply(message, &reply[..late.len]);
    }
    assert_eq!(service.calls_under_way(), 0);
}

/// Answers the questions, each of which may come once.
fn handle(
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
                let answers = [BoundFact::Unknown, BoundFact::Bound, BoundFact::Free];
                facts.bound = Some(answers[usize::from(choice >> 4) % answers.len()]);
            }
            _ => return handled,
        }
    }
}

fn owner(choice: u8, port: u16) -> OwnerFact {
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

fn assert_is_reply(message: &[u8], reply: &[u8]) {
    let decoded = Reply::decode(reply).expect("what leaves is a reply");
    assert_eq!(decoded.xid.0.to_be_bytes(), message[..4]);
}

const LOOPBACK: u32 = 1;
const ETHERNET: u32 = 2;

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address of our own")
}

fn datagram(from: &str, local: &str, interface: u32) -> Datagram {
    let local = socket(local);
    Datagram { from: socket(from), destination: local.ip(), local, interface, mapped: false }
}

/// Who sends: strangers more often than not.
fn caller(choice: u8) -> Caller {
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
        15 => Caller::Unix { uid: Some(0), namespace: Namespace(2) },
        _ => Caller::Datagram(stranger),
    }
}

/// A port mapper on a host with two interfaces, with a few services registered.
fn service() -> Service {
    let own = |transport, address: &str| OwnAddress { transport, address: address.into() };
    let mut service = Service::new(Settings {
        home: HOME,
        own: vec![own(Transport::Udp, "0.0.0.0.0.111"), own(Transport::Local, "/run/rpcbind.sock")],
        caps: Caps { rows: ROWS, rows_per_uid: 3, rows_for_root: 2 },
        forwarding: Some(Forwarding {
            inet: Some(50_004),
            inet6: Some(50_006),
            calls: 8,
            calls_per_source: 4,
            seed: [1, 2],
        }),
        ..Settings::default()
    });
    let interface =
        |index, loopback| Interface { index, up: true, loopback, point_to_point: false, multicast: true };
    let address = |interface, text: &str, prefix_length| InterfaceAddress {
        interface,
        address: socket(text).ip(),
        prefix_length,
    };
    service.set_interfaces(Interfaces {
        interfaces: vec![interface(LOOPBACK, true), interface(ETHERNET, false)],
        addresses: vec![
            address(LOOPBACK, "127.0.0.1:0", 8),
            address(LOOPBACK, "[::1]:0", 128),
            address(ETHERNET, "192.0.2.1:0", 24),
            address(ETHERNET, "[2001:db8::1]:0", 64),
            address(ETHERNET, "[fe80::1]:0", 64),
        ],
    });
    let rows = [
        (100_003, 3, Netid::TCP, "0.0.0.0.8.1", Owner::ROOT),
        (100_003, 4, Netid::TCP6, "::.8.1", Owner::ROOT),
        (100_024, 1, Netid::UDP, "192.0.2.1.128.2", Owner::Uid(100)),
        (200_100, 1, Netid::UDP, "0.0.0.0.195.80", Owner::Uid(1000)),
        (200_100, 2, Netid::LOCAL, "@service", Owner::Unknown),
    ];
    for (program, version, netid, address, owner) in rows {
        let (program, version) = (Program(program), Version(version));
        let row = Row { program, version, netid, address: address.into(), owner, namespace: HOME };
        assert_eq!(service.restore(row), Ok(()), "the row is one that can be there");
    }
    service
}
