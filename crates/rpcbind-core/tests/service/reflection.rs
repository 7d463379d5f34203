//! The reflection invariant: whatever a datagram of unverified source holds, and whatever a service that is called for
//! it answers, at most one reply leaves, not longer than the datagram and not over 512 bytes, and nothing changes.

use crate::callers::{ELSEWHERE, ETH0, HOME, ip};
use crate::calls::{call, encoded, netbuf, opaque, remote, row};
use crate::host::{Host, settings, socket};
use crate::seeded::Seeded;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use oncrpc::bind::{self, Mapping, Protocol, UniversalAddress, V2, V3, V4, sockaddr};
use oncrpc::{Answer, Call, OpaqueAuth, Procedure, Program, Reply, Version, Xid};
use rpcbind_core::caller::{Caller, Datagram, Now};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact};
use rpcbind_core::outcome::{Forward, Outcome, Reason, RemoteEnd};
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{AllowedCalls, Forwarding, Policy, RemoteRules};
use rpcbind_core::{Service, Settings};
use std::collections::BTreeMap;

const CASES: usize = 1_000_000;
const SEED: u64 = 0x0111_0111_0111_0111;

/// A port mapper with this many rows, its own included. It makes remote calls, to everything, when it has many.
fn service(rows: usize, insecure: bool) -> Service {
    let own = if rows == 0 { Vec::new() } else { settings().own };
    let allowed = vec![AllowedCalls { programs: 0..=u32::MAX, procedure: None }];
    let remote_calls = RemoteRules { allowed, ..RemoteRules::default() };
    let policy = Policy { insecure, remote_calls, ..Policy::default() };
    let sockets = (Some(50_004), Some(50_006));
    let forwarding =
        Forwarding { inet: sockets.0, inet6: sockets.1, calls: 64, calls_per_source: 8, seed: [3, 4] };
    let forwarding = (rows >= 1_000).then_some(forwarding);
    let mut service = Host::with(Settings { own, policy, forwarding, ..settings() }).service;
    let netids = ["udp", "tcp", "udp6", "tcp6", "sctp"];
    let mut next = 0;
    while service.registry().len() < rows {
        let name = netids[next % netids.len()];
        let address = if name.ends_with('6') { "::.19.136" } else { "0.0.0.0.19.136" };
        let number = u32::try_from(next / netids.len()).unwrap();
        let added = service.restore(Row {
            program: Program(200_000 + number / 3),
            version: Version(number % 3 + 1),
            netid: service.netids().find(name.as_bytes()).unwrap(),
            address: address.into(),
            owner: if next % 2 == 0 { Owner::ROOT } else { Owner::Uid(1_000 + number) },
            namespace: if next % 7 == 0 { ELSEWHERE } else { HOME },
        });
        assert_eq!(added, Ok(()));
        next += 1;
    }
    service
}

/// Legal arguments for every procedure of every version.
fn legal_calls() -> Vec<Vec<u8>> {
    let numbers =
        Mapping { program: Program(200_000), version: Version(1), protocol: Protocol(17), port: 5_000 };
    let (inet, inet6) = ("0.0.0.0.19.136", "2001:db8:1111:2222:3333:4444:5555:6666.0.111");
    let address = |text: &str, family| {
        let address = UniversalAddress::parse(text.as_bytes(), family).unwrap();
        netbuf(sockaddr::Sockaddr::new(&address).as_bytes())
    };
    let rows = [
        row(200_000, 1, "udp", inet),
        row(200_000, 1, "", ""),
        row(200_000, 9, "udp6", inet6),
        row(100_000, 4, "tcp", "192.0.2.2.0.111"),
        row(999_999, 1, "foo", "garbage"),
    ];
    let arguments: Vec<Vec<u8>> = rows
        .into_iter()
        .chain([
            Vec::new(),
            encoded(&numbers),
            opaque(inet.as_bytes()),
            opaque(inet6.as_bytes()),
            opaque(b"::.0.0"),
            address(inet, bind::Family::Inet),
            address(inet6, bind::Family::Inet6),
            remote(200_000, 1, 1, b"1234"),
            remote(200_000, 2, 1, b"1234"),
            remote(200_000, 9, 0, &[0; 300]),
            remote(100_000, 2, 4, &[]),
        ])
        .collect();
    let versions = [V2, V3, V4].into_iter().flat_map(|version| (0..=13).map(move |number| (version, number)));
    versions
        .flat_map(|(version, number)| {
            arguments.iter().map(move |arguments| call(version, Procedure(number), arguments))
        })
        .collect()
}

/// A call that need not be legal in any part of its header.
fn odd_call(seeded: &mut Seeded, legal: &[Vec<u8>]) -> Vec<u8> {
    let arguments = &legal[seeded.below(legal.len())][40..];
    let body = seeded.bytes(400);
    let auth = |seeded: &mut Seeded| {
        let flavor = seeded.pick(&[0, 0, 0, 1, 2, 3, 6, 7, 99, u32::MAX]);
        let len = seeded.pick(&[0, 0, 0, 4, 20, 24, 399, 400]);
        OpaqueAuth { flavor, body: &body[..len] }
    };
    encoded(&Call {
        xid: Xid(0x1234_5678),
        program: Program(seeded.pick(&[
            100_000,
            100_000,
            100_000,
            bind::status::PROGRAM.0,
            100_003,
            u32::MAX,
        ])),
        version: Version(seeded.pick(&[2, 3, 4, 2, 3, 4, 0, 1, 5, u32::MAX])),
        procedure: Procedure(seeded.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255, u32::MAX])),
        credential: auth(seeded),
        verifier: auth(seeded),
        arguments,
    })
}

/// Changes a few bytes or words.
fn mutate(seeded: &mut Seeded, message: &mut [u8]) {
    for _ in 0..=seeded.below(4) {
        if message.is_empty() {
            return;
        }
        let at = seeded.below(message.len());
        if seeded.one_in(2) {
            message[at] = seeded.bytes(1)[0];
        } else if let Some(word) = message.get_mut(at / 4 * 4..at / 4 * 4 + 4) {
            let extremes = [
                0,
                1,
                2,
                3,
                4,
                5,
                16,
                17,
                128,
                255,
                400,
                401,
                9_000,
                9_001,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX,
            ];
            word.copy_from_slice(&seeded.pick(&extremes).to_be_bytes());
        }
    }
}

fn message(seeded: &mut Seeded, legal: &[Vec<u8>]) -> Vec<u8> {
    let mut message = legal[seeded.below(legal.len())].clone();
    match seeded.below(12) {
        0 => {
            let longest = seeded.pick(&[48, 64, 600, 9_000]);
            let len = seeded.below(longest);
            return seeded.bytes(len);
        }
        1 | 2 => {}
        3 | 4 => message = odd_call(seeded, legal),
        5 => {
            message = odd_call(seeded, legal);
            mutate(seeded, &mut message);
        }
        6 | 7 => message.truncate(seeded.below(message.len() + 1)),
        // Padded, as a client does that wants a longer reply.
        8 => message.resize(message.len() + seeded.below(1_000), 0),
        _ => mutate(seeded, &mut message),
    }
    if seeded.one_in(16) {
        message.truncate(seeded.below(message.len() + 1));
    }
    message
}

/// Anybody who is not this host: the wire is full of forged addresses.
fn stranger(seeded: &mut Seeded) -> Caller {
    let v4 = [ip("198.51.100.7"), ip("192.0.2.7"), ip("192.0.2.2"), ip("127.0.0.1"), ip("255.255.255.255")];
    let v6 = [ip("2001:db8::7"), ip("fe80::7"), ip("fe80::2"), ip("::1"), ip("2001:db8::2"), ip("ff02::1")];
    let ours4 = [ip("192.0.2.2"), ip("192.0.2.130"), ip("127.0.0.1"), ip("0.0.0.0")];
    let ours6 = [ip("2001:db8::2"), ip("fe80::2"), ip("::1"), ip("::")];
    let groups = [ip("255.255.255.255"), ip("192.0.2.127"), ip("224.0.0.1")];
    let six = seeded.one_in(2);
    let (from, local, group) = if six {
        (seeded.pick(&v6), seeded.pick(&ours6), ip("ff02::202"))
    } else {
        (seeded.pick(&v4), seeded.pick(&ours4), seeded.pick(&groups))
    };
    let from = match (seeded.below(3), six) {
        (0, true) => {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(seeded.word()) << 64 | u128::from(seeded.word())))
        }
        (0, false) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(seeded.word() >> 32).unwrap())),
        _ => from,
    };
    let port = u16::try_from(seeded.word() >> 48).unwrap();
    let port = if seeded.one_in(4) { seeded.pick(&[0, 7, 19, 111, 600, 1_023, 2_049, 65_535]) } else { port };
    Caller::Datagram(Datagram {
        from: SocketAddr::new(from, port),
        destination: if seeded.one_in(8) { group } else { local },
        local: SocketAddr::new(local, 111),
        // Never the loopback interface: what arrives there from our own addresses is not of unverified source.
        interface: seeded.pick(&[ETH0, 3, 4, 0]),
        mapped: !six && seeded.one_in(4),
    })
}

/// Everything that a shell could wrongly believe about a stranger.
fn facts(seeded: &mut Seeded) -> Facts {
    match seeded.below(3) {
        0 => Facts::default(),
        _ => Facts { owner: Some(OwnerFact::Sockets(vec![socket(0, 600)])), bound: Some(BoundFact::Free) },
    }
}

/// Whatever ends a remote call.
fn end(seeded: &mut Seeded, service: &mut Service, call: &Forward, buffer: &mut [u8]) -> RemoteEnd {
    let late = Now { monotonic: Duration::from_secs(10), unix_seconds: 1_700_000_010 };
    let len = seeded.pick(&[0, 4, 40, 200, 500, 8_900]);
    let results = seeded.bytes(len);
    let answers = [
        Answer::Success(&results),
        Answer::Success(&results),
        Answer::ProcedureUnavailable,
        Answer::SystemError,
    ];
    let xid = Call::decode(&call.message).unwrap().xid;
    let mut answer = encoded(&Reply { xid, answer: seeded.pick(&answers) });
    if seeded.one_in(4) {
        answer.truncate(seeded.below(answer.len() + 1).max(8));
    }
    let ended = match seeded.below(8) {
        0 => service.undeliverable(late, call.call, buffer),
        1 => None,
        _ => service.answered(late, call.to, &answer, buffer),
    };
    ended.or_else(|| service.expire(late, buffer)).unwrap()
}

/// Hands in one datagram and checks what comes of it.
fn check(
    seeded: &mut Seeded,
    service: &mut Service,
    caller: &Caller,
    facts: &Facts,
    message: &[u8],
    buffer: &mut [u8],
) -> (Reason, usize) {
    let now = Now { monotonic: Duration::ZERO, unix_seconds: 1_700_000_000 };
    let room = service.budget(caller, message.len()).bytes();
    assert!(room <= message.len() && room <= 512, "a budget of {room} bytes for {}", message.len());
    let handled = service.handle(now, caller, facts, message, &mut buffer[..room]);
    let mut reason = handled.why.reason;
    let len = match handled.outcome {
        Outcome::Silent => 0,
        Outcome::Reply { len } => len,
        Outcome::Forward(call) => {
            assert!(call.to.ip().is_loopback() && call.to.port() == 5_000, "{call:?}");
            assert!(call.message.len() < message.len() && call.message[4..8] == [0; 4]);
            let end = end(seeded, service, &call, buffer);
            assert_eq!((end.call, &end.caller), (call.call, caller));
            reason = end.why.reason;
            let late = end.reply.map(|late| (late.len, late.budget.bytes()));
            assert!(late.is_none_or(|(len, budget)| len <= budget && budget <= room));
            late.map_or(0, |(len, _)| len)
        }
        other => panic!("{other:?} for a datagram of unverified source"),
    };
    assert_eq!(service.calls_under_way(), 0);
    assert!(len <= room, "a reply of {len} bytes for {}", message.len());
    assert!(len == 0 || buffer[4..8] == [0, 0, 0, 1], "what leaves is a reply");
    assert!(message.len() >= 40 || len == 0, "an answer to {} bytes", message.len());
    (reason, len)
}

/// Every reason that a datagram of unverified source can end with.
const REASONS: [Reason; 17] = [
    Reason::Answered,
    Reason::NotRegistered,
    Reason::NotACall,
    Reason::Unanswerable,
    Reason::RpcMismatch,
    Reason::RejectedCredential,
    Reason::BadCredential,
    Reason::ProgramUnavailable,
    Reason::VersionMismatch,
    Reason::ProcedureUnavailable,
    Reason::GarbageArguments,
    Reason::NotLocal,
    Reason::ReplyTooLong,
    Reason::RemoteCallsOff,
    Reason::RemoteCallRefused,
    Reason::RemoteCallFailed,
    Reason::RemoteCallTimedOut,
];

#[test]
fn a_million_datagrams_of_unverified_source_never_get_more_than_they_brought() {
    let legal = legal_calls();
    let rows = [0, 23, 1_000, 10_000];
    let mut services: Vec<Service> =
        rows.iter().enumerate().map(|(index, rows)| service(*rows, index % 2 == 1)).collect();
    let before: Vec<Vec<Row>> =
        services.iter().map(|service| service.registry().rows().cloned().collect()).collect();
    let mut seeded = Seeded(SEED);
    let mut buffer = [0; 9_000];
    let (mut cases, mut replies) = (0, 0);
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();

    // Every truncation of every legal call, then whatever the seed brings.
    let truncated = legal.iter().flat_map(|call| (0..=call.len()).map(move |len| call[..len].to_vec()));
    let mut truncated: Vec<Vec<u8>> = truncated.collect();
    while cases < CASES {
        let datagram = truncated.pop().unwrap_or_else(|| message(&mut seeded, &legal));
        let (caller, facts) = (stranger(&mut seeded), facts(&mut seeded));
        let service = &mut services[cases % 4];
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&mut seeded, service, &caller, &facts, &datagram, &mut buffer)
        }));
        let Ok((reason, len)) = checked else {
            panic!("seed {SEED:#x}, case {cases}: {caller:?} sends {datagram:02x?}");
        };
        cases += 1;
        replies += usize::from(len > 0);
        *reasons.entry(reason).or_default() += 1;
    }
    println!("{cases} cases, {replies} replies, seed {SEED:#x}: {reasons:?}");
    for (service, before) in services.iter().zip(&before) {
        assert!(service.registry().rows().eq(before.iter()), "a datagram of unverified source changed a row");
    }
    for reason in REASONS {
        assert!(reasons.contains_key(&reason), "no case ended with {reason:?}");
    }
    let changes = |reason: &Reason| matches!(reason, Reason::Changed | Reason::Pending | Reason::Refused(_));
    assert!(!reasons.keys().any(changes), "{reasons:?}");
}
