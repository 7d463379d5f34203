//! The core answers captured calls as the C daemon did, but for a table of differences with their reasons.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

use oncrpc::bind::{self, Mapping, Netids, Protocol, Rpcb};
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, AuthStatus, Call, Program, Reply};
use rpcbind_core::caller::{Caller, Datagram, Namespace, Now, Transport};
use rpcbind_core::facts::{Facts, OwnerFact};
use rpcbind_core::interfaces::Interfaces;
use rpcbind_core::outcome::Outcome;
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::OwnAddress;
use rpcbind_core::{Service, Settings};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::vectors::{self, Vector};

/// Exchanges whose replies depend on what else was registered or asked at the time.
const OF_THEIR_MOMENT: [&str; 13] = [
    "empty-set",
    "forwarded-",
    "ganesha-",
    "getaddr-fallback",
    "getport-fallback",
    "indirect-unavail",
    "nfs-ls",
    "old-client-",
    "remote-",
    "rpcinfo",
    "set-twice",
    "showmount",
    "statd-",
];

/// Where ours differ: the start of the names, what ours is, and why. `None` is silence.
type Answered<'a> = Option<Answer<'a>>;
struct Difference {
    names: &'static str,
    ours: fn(Answered<'_>) -> bool,
    why: &'static str,
}

const fn difference(names: &'static str, ours: fn(Answered<'_>) -> bool, why: &'static str) -> Difference {
    Difference { names, ours, why }
}

const DIFFERENCES: [Difference; 9] = [
    difference("callit-100000-v2", |ours| ours.is_none(), "the broadcast forms are silent on every refusal"),
    difference("callit-100000-v3", |ours| ours.is_none(), "the broadcast forms are silent on every refusal"),
    difference(
        "callit-100000-v4-bcast",
        |ours| ours.is_none(),
        "the broadcast forms are silent on every refusal",
    ),
    difference(
        "garbage-args",
        |ours| ours == Some(Answer::GarbageArguments),
        "arguments are decoded strictly inside the datagram, not in what the buffer held before",
    ),
    difference(
        "long-cred",
        |ours| ours == Some(Answer::AuthError(AuthStatus::BadCredential)),
        "a credential over 400 bytes is told so",
    ),
    difference(
        "rejectedcred-dh",
        |ours| ours == Some(Answer::AuthError(AuthStatus::RejectedCredential)),
        "flavours that are not served are all rejected alike",
    ),
    difference(
        "rejectedcred-gss",
        |ours| ours == Some(Answer::AuthError(AuthStatus::RejectedCredential)),
        "flavours that are not served are all rejected alike, without a look at their body",
    ),
    difference(
        "rpc-version-3",
        |ours| ours == Some(Answer::RpcMismatch { low: 2, high: 2 }),
        "another version of RPC is told so (RFC 5531 section 9)",
    ),
    difference(
        "v4-getstat",
        |ours| matches!(ours, Some(Answer::Success(_))),
        "it counts from the daemon's start",
    ),
];

/// The exchanges of one client over one transport in the order in which they were made: SET first, UNSET last.
fn sessions() -> BTreeMap<String, Vec<Vector>> {
    let mut sessions: BTreeMap<String, Vec<Vector>> = BTreeMap::new();
    for vector in vectors::all().unwrap() {
        if OF_THEIR_MOMENT.iter().any(|start| vector.name.starts_with(start)) {
            continue;
        }
        let mut words = vector.name.split('-');
        let first = words.next().unwrap_or_default();
        let session = match first {
            "v2" | "v3" | "v4" => format!("{first} {} {}", vector.transport, vector.name.contains("authsys")),
            _ => vector.name.clone(),
        };
        sessions.entry(session).or_default().push(vector);
    }
    for session in sessions.values_mut() {
        session.sort_by_key(|vector| match Call::decode(vector.call_message()).map(|call| call.procedure) {
            Ok(bind::SET) => 0,
            Ok(bind::UNSET) => 2,
            _ => 1,
        });
    }
    sessions
}

#[test]
fn captured_calls_are_answered_as_the_c_daemon_answered_them() {
    let mut used = vec![0; DIFFERENCES.len()];
    let mut same = 0;
    let mut unexplained: Vec<String> = Vec::new();
    for session in sessions().into_values() {
        let mut service = service();
        for row in session.iter().flat_map(rows_listed) {
            let taken = service
                .registry()
                .rows()
                .any(|old| (old.program, old.version, old.netid) == (row.program, row.version, row.netid));
            assert!(taken || service.restore(row).is_ok());
        }
        for vector in session {
            let theirs = vector.reply_message();
            let ours = answer(&mut service, &caller(&vector), vector.call_message(), time(theirs));
            if ours.as_deref() == theirs {
                same += 1;
                continue;
            }
            let answer = ours.as_deref().map(|reply| Reply::decode(reply).unwrap().answer);
            let rule = DIFFERENCES
                .iter()
                .position(|rule| vector.name.starts_with(rule.names) && (rule.ours)(answer));
            match rule {
                Some(rule) => used[rule] += 1,
                None => unexplained.push(format!("{}: {ours:02x?} for {theirs:02x?}", vector.name)),
            }
        }
    }
    assert_eq!(unexplained, [""; 0]);
    println!("{same} answers are the same, and");
    for (rule, times) in DIFFERENCES.iter().zip(&used) {
        println!("{times} of {}: {}", rule.names, rule.why);
    }
    assert!(used.iter().all(|times| *times > 0), "a difference that no exchange shows: {used:?}");
    assert!(same > 230, "{same}");
}

/// The program that the client registered itself.
const SESSIONS_OWN: Program = Program(200_100);

/// What else was registered when a DUMP was made.
fn rows_listed(vector: &Vector) -> Vec<Row> {
    let Ok(call) = Call::decode(vector.call_message()) else { return Vec::new() };
    let Some(Ok(Reply { answer: Answer::Success(list), .. })) = vector.reply_message().map(Reply::decode)
    else {
        return Vec::new();
    };
    if call.program != bind::PROGRAM || call.procedure != bind::DUMP {
        return Vec::new();
    }
    let row = |program, version, netid: &[u8], address: &str, owner: &[u8]| Row {
        program,
        version,
        netid: Netids::default().find(netid).unwrap(),
        address: address.into(),
        owner: match std::str::from_utf8(owner).unwrap() {
            "superuser" => Owner::ROOT,
            text => text.parse().map_or(Owner::Unknown, Owner::Uid),
        },
        namespace: Namespace(0),
    };
    let rows: Vec<Row> = if call.version == bind::V2 {
        let rows = List::<Mapping>::new(Reader::new(list)).map(Result::unwrap);
        let mapped = rows.map(|old| {
            let netid: &[u8] = if old.protocol == Protocol::UDP { b"udp" } else { b"tcp" };
            let address = format!("0.0.0.0.{}.{}", old.port >> 8, old.port & 0xff);
            row(old.program, old.version, netid, &address, b"superuser")
        });
        mapped.collect()
    } else {
        let rows = List::<Rpcb<'_>>::new(Reader::new(list)).map(Result::unwrap);
        let address = |bytes| std::str::from_utf8(bytes).unwrap();
        rows.map(|old| row(old.program, old.version, old.netid, address(old.address), old.owner)).collect()
    };
    rows.into_iter().filter(|row| ![bind::PROGRAM, SESSIONS_OWN].contains(&row.program)).collect()
}

/// The last four bytes: the time, where the exchange was GETTIME.
fn time(reply: Option<&[u8]>) -> u32 {
    reply.and_then(<[u8]>::last_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn service() -> Service {
    let own = |transport, address: &str| OwnAddress { transport, address: address.into() };
    let mut service = Service::new(Settings {
        own: vec![
            own(Transport::Tcp6, "::.0.111"),
            own(Transport::Udp6, "::.0.111"),
            own(Transport::Tcp, "0.0.0.0.0.111"),
            own(Transport::Udp, "0.0.0.0.0.111"),
            own(Transport::Local, "/run/rpcbind.sock"),
        ],
        ..Settings::default()
    });
    let addresses = [(1, "127.0.0.1", 8), (2, "10.9.8.7", 24), (1, "::1", 128), (2, "fd00::7", 64)];
    let addresses = addresses.map(|(index, address, length)| (index, address.parse().unwrap(), length));
    service.set_interfaces(Interfaces::of(addresses));
    service
}

fn caller(vector: &Vector) -> Caller {
    let (from, local) = match vector.transport.as_str() {
        _ if vector.name.starts_with("tooweak") => ("10.9.8.7:600", "10.9.8.7:111"),
        "udp" | "tcp" => ("127.0.0.1:600", "127.0.0.1:111"),
        "udp6" | "tcp6" => ("[::1]:600", "[::1]:111"),
        _ => return Caller::Unix { uid: Some(0), namespace: Namespace(0) },
    };
    let (from, local) = (from.parse().unwrap(), local.parse().unwrap());
    if vector.is_stream() {
        return Caller::Connection { from, local };
    }
    Caller::Datagram(Datagram { from, destination: local.ip(), local, interface: 1, mapped: false })
}

fn answer(service: &mut Service, caller: &Caller, message: &[u8], unix_seconds: u32) -> Option<Vec<u8>> {
    let now = Now { monotonic: Duration::ZERO, unix_seconds };
    let facts = Facts { owner: Some(OwnerFact::Unknown), bound: None };
    let mut reply = vec![0; service.budget(caller, message.len()).bytes()];
    match service.handle(now, caller, &facts, message, &mut reply).outcome {
        Outcome::Silent => None,
        Outcome::Reply { len } | Outcome::Commit { len, .. } => Some(reply[..len].to_vec()),
        Outcome::Table { len, body } => Some([&reply[..len], &body[..]].concat()),
        other => panic!("{other:?}"),
    }
}
