//! Random calls of random callers, compared with the model after each one.

use crate::callers::{
    ELSEWHERE, HOME, USER, loopback_tcp, loopback_udp, one_each, own_udp, stranger_tcp, stranger_udp, unix,
    unix_elsewhere,
};
use crate::calls::{TCP, UDP, call, mapping, rpcb};
use crate::host::{Ended, Host, settings, socket};
use crate::model::{
    CAPS, EXPIRE_SECONDS, Life, Model, Row, Verdict, Wanted, Who, answer_for, family, known, meaning,
};
use core::time::Duration;
use oncrpc::bind::{self, Entry, Mapping, V2, V3, V4};
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, AuthStatus, Version};
use proptest::prelude::*;
use proptest::sample::select;
use rpcbind_core::caller::{Caller, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact};
use rpcbind_core::liveness::{Judged, Liveness};
use rpcbind_core::registry::Owner;
use rpcbind_core::settings::{LivenessRules, Policy};
use rpcbind_core::{Service, Settings};

#[derive(Clone, Debug)]
enum Step {
    Set {
        who: Who,
        called: Version,
        row: Wanted,
        bound: BoundFact,
    },
    Unset {
        who: Who,
        called: Version,
        row: Wanted,
    },
    Address {
        caller: Caller,
        called: Version,
        row: Wanted,
        exact: bool,
    },
    Port {
        caller: Caller,
        row: Wanted,
        protocol: u32,
    },
    AddressList {
        caller: Caller,
        row: Wanted,
    },
    /// All rows are judged, this long after the last time; on unix sockets something is always bound.
    Sweep {
        seconds: u64,
        bound: BoundFact,
    },
}

fn whos() -> Vec<Who> {
    let known =
        |caller, uid, namespace| Who { caller, fact: OwnerFact::Unknown, identity: Some((uid, namespace)) };
    let mut whos = vec![
        known(unix(0), Some(0), HOME),
        known(unix(999), Some(999), HOME),
        known(unix(USER), Some(USER), HOME),
        known(unix(1_001), Some(1_001), HOME),
        known(unix_elsewhere(0), Some(0), ELSEWHERE),
        known(unix_elsewhere(USER), Some(USER), ELSEWHERE),
        known(loopback_udp(600), Some(0), HOME),
        known(loopback_tcp(40_000), None, HOME),
    ];
    let found = |uid, port| OwnerFact::Sockets(vec![socket(uid, port)]);
    let (tcp, udp) = (loopback_tcp(40_000), loopback_udp(40_000));
    let nobody = OwnerFact::Sockets(Vec::new());
    whos.extend([
        Who { caller: tcp, fact: found(0, 40_000), identity: Some((Some(0), HOME)) },
        Who { caller: tcp, fact: found(USER, 40_000), identity: Some((Some(USER), HOME)) },
        Who { caller: tcp, fact: nobody.clone(), identity: None },
        Who { caller: udp, fact: found(USER, 40_000), identity: Some((Some(USER), HOME)) },
        Who { caller: udp, fact: found(0, 40_000), identity: Some((None, HOME)) },
        Who { caller: udp, fact: nobody.clone(), identity: Some((None, HOME)) },
        Who { caller: stranger_tcp(), fact: nobody.clone(), identity: None },
        Who { caller: stranger_udp(), fact: nobody.clone(), identity: None },
        Who { caller: own_udp(), fact: nobody, identity: None },
    ]);
    whos
}

fn wanted() -> impl Strategy<Value = Wanted> {
    // Mostly what fits together, so that rows come and go.
    let fitting = select(vec![
        ("udp", "0.0.0.0.8.8"),
        ("udp", "0.0.0.0.8.9"),
        ("UDP", "0.0.0.0.08.8"),
        ("udp", "0.0.0.0.8.1"),
        ("udp", "192.0.2.130.8.8"),
        ("udp", "198.51.100.9.8.8"),
        ("tcp", "0.0.0.0.8.8"),
        ("tcp", "0.0.0.0.0.80"),
        ("sctp", "0.0.0.0.8.9"),
        ("udp6", "::.8.8"),
        ("udp6", "0::0.8.8"),
        ("tcp6", "::.8.9"),
        ("local", "/run/a"),
        ("local", "@b"),
        ("", "0.0.0.0.8.8"),
        ("foo", "0.0.0.0.8.8"),
        ("udp", "0.0.0.0.0.0"),
        ("udp", "::.8.8"),
        ("local", "a"),
    ]);
    let program = select(vec![200_001, 200_001, 200_001, 200_002, 200_003, 100_003, 100_000]);
    (program, 1..=3_u32, fitting).prop_map(|(program, version, (netid, address))| Wanted {
        program,
        version,
        netid,
        address,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let called = select(vec![V2, V3, V4]);
    let bound = select(vec![BoundFact::Unknown, BoundFact::Bound, BoundFact::Free, BoundFact::Free]);
    let mut askers: Vec<Caller> = one_each().into_iter().map(|(_, caller)| caller).collect();
    askers.extend([stranger_tcp(), stranger_udp(), own_udp()]);
    let streams = vec![unix(0), loopback_tcp(40_000), stranger_tcp(), one_each()[3].1];
    prop_oneof![
        6 => (select(whos()), called.clone(), wanted(), bound.clone())
            .prop_map(|(who, called, row, bound)| Step::Set { who, called, row, bound }),
        2 => (select(whos()), called, wanted()).prop_map(|(who, called, row)| Step::Unset { who, called, row }),
        2 => (select(askers.clone()), select(vec![V3, V4]), wanted())
            .prop_map(|(caller, called, row)| Step::Address { caller, called, row, exact: false }),
        1 => (select(askers.clone()), wanted())
            .prop_map(|(caller, row)| Step::Address { caller, called: V4, row, exact: true }),
        1 => (select(askers), wanted(), select(vec![UDP, TCP, 99]))
            .prop_map(|(caller, row, protocol)| Step::Port { caller, row, protocol }),
        3 => (0..40_u64, bound).prop_map(|(seconds, bound)| Step::Sweep { seconds, bound }),
        1 => (select(streams), wanted()).prop_map(|(caller, row)| Step::AddressList { caller, row }),
    ]
}

/// What version 2 makes of a wanted row: a protocol and a port, on a wildcard.
fn as_mapping(wanted: &Wanted) -> Option<(Wanted, u32, u32)> {
    let (netid, protocol) = match known(wanted.netid) {
        Some("tcp") => ("tcp", TCP),
        Some("udp") => ("udp", UDP),
        _ => ("foo", 99),
    };
    let (address, port) = match wanted.address {
        "0.0.0.0.8.8" | "0.0.0.0.08.8" => ("0.0.0.0.8.8", 2_056),
        "0.0.0.0.8.9" => ("0.0.0.0.8.9", 2_057),
        "0.0.0.0.8.1" => ("0.0.0.0.8.1", 2_049),
        "0.0.0.0.0.80" => ("0.0.0.0.0.80", 80),
        "0.0.0.0.0.0" => ("0.0.0.0.0.0", 0),
        _ => return None,
    };
    Some((Wanted { netid, address, ..wanted.clone() }, protocol, port))
}

fn verdict(ended: &Ended) -> Verdict {
    if ended.answer() == Some(Answer::AuthError(AuthStatus::TooWeak)) {
        return Verdict::TooWeak;
    }
    if ended.is_true() { Verdict::True } else { Verdict::False }
}

fn check(step: &Step, host: &mut Host, model: &mut Model) {
    match step {
        Step::Set { who, called, row, bound } => {
            (host.owner, host.bound) = (who.fact.clone(), *bound);
            let (row, message) = match (*called, as_mapping(row)) {
                (V2, Some((wanted, protocol, port))) => {
                    let message = mapping(bind::SET, wanted.program, wanted.version, protocol, port);
                    (wanted, message)
                }
                (V2, None) => return,
                (called, _) => {
                    let Wanted { program, version, netid, address } = *row;
                    (row.clone(), rpcb(called, bind::SET, program, version, netid, address))
                }
            };
            let ended = host.send(&who.caller, &message);
            assert_eq!(verdict(&ended), model.set(who, &row, *bound));
        }
        Step::Unset { who, called, row } => {
            host.owner = who.fact.clone();
            let Wanted { program, version, netid, address } = *row;
            let message = match *called {
                V2 => mapping(bind::UNSET, program, version, UDP, 9),
                called => rpcb(called, bind::UNSET, program, version, netid, address),
            };
            let ended = host.send(&who.caller, &message);
            assert_eq!(verdict(&ended), model.unset(who, row, *called));
        }
        Step::Address { caller, called, row, exact } => {
            let procedure = if *exact { bind::GETVERSADDR } else { bind::GETADDR };
            let message = rpcb(*called, procedure, row.program, row.version, row.netid, "");
            let found = model.find(row, caller.transport().netid(), *exact);
            let expected = found.map(|row| answer_for(row, caller)).unwrap_or_default();
            assert_eq!(host.send(caller, &message).text(), expected);
        }
        Step::Port { caller, row, protocol } => {
            let netid = match *protocol {
                UDP => "udp",
                TCP => "tcp",
                _ => "none",
            };
            let port = model.find(row, netid, false).map_or(0, port_of);
            let message = mapping(bind::GETPORT, row.program, row.version, *protocol, 7);
            assert_eq!(host.send(caller, &message).number(), port);
        }
        Step::AddressList { caller, row } => {
            let message = rpcb(V4, bind::GETADDRLIST, row.program, row.version, row.netid, "");
            assert_eq!(address_list(&host.send(caller, &message)), expected_list(model, row, caller));
        }
        Step::Sweep { seconds, bound } => {
            let expected = model.sweep(*seconds, *bound);
            assert_eq!(sweep(&mut host.service, model.seconds, *bound), expected);
        }
    }
}

/// Judges every row as the daemon does; how many have died, come back and expired.
fn sweep(service: &mut Service, seconds: u64, bound: BoundFact) -> [usize; 3] {
    let now = Now { monotonic: Duration::from_secs(seconds), unix_seconds: 0 };
    let mut walk = service.sweep();
    let mut told = [0; 3];
    while !walk.is_finished() {
        let rows: Vec<_> = service.to_judge(&mut walk, 3).map(|row| (row.id, row.netid == "local")).collect();
        for (id, local) in rows {
            let bound = if local && bound == BoundFact::Free { BoundFact::Bound } else { bound };
            let mut judged = service.judge(now, id, bound, &Facts::default());
            if matches!(judged, Judged::Need(_)) {
                judged = service.judge(now, id, bound, &Facts { bound: Some(bound), ..Facts::default() });
            }
            match judged {
                Judged::Unchanged => {}
                Judged::Died(_) => told[0] += 1,
                Judged::CameBack(_) => told[1] += 1,
                Judged::Expired(_) => told[2] += 1,
                Judged::Need(_) => panic!("asked twice"),
            }
        }
    }
    told
}

fn liveness(life: Life) -> Liveness {
    match life.known {
        None => Liveness::NotJudged,
        Some((true, since)) => Liveness::Alive { since: Duration::from_secs(since) },
        Some((false, since)) => Liveness::Dead { since: Duration::from_secs(since) },
    }
}

fn port_of(row: &Row) -> u32 {
    if row.program == 100_000 { 111 } else { u32::from(meaning(&row.address).unwrap().2) }
}

fn address_list(ended: &Ended) -> Vec<(String, String)> {
    let entries = List::<Entry<'_>>::new(Reader::new(ended.results())).map(Result::unwrap);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    entries.map(|entry| (text(entry.netid), text(entry.address))).collect()
}

fn expected_list(model: &Model, wanted: &Wanted, caller: &Caller) -> Vec<(String, String)> {
    let of_caller = match caller.transport() {
        Transport::Udp | Transport::Tcp => "inet",
        Transport::Udp6 | Transport::Tcp6 => "inet6",
        Transport::Local => return Vec::new(),
    };
    let same = |row: &&Row| (row.program, row.version) == (wanted.program, wanted.version);
    let rows = model.rows.iter().filter(same).filter(|row| family(row.netid) == of_caller);
    rows.map(|row| (row.netid.to_string(), answer_for(row, caller))).collect()
}

/// Both DUMPs and the registry's own counts agree with the model.
fn compare(host: &mut Host, model: &Model) {
    let ended = host.send(&unix(0), &call(V4, bind::DUMP, &[]));
    let owner = |owner: Option<u32>| match owner {
        None => "unknown".to_string(),
        Some(0) => "superuser".to_string(),
        Some(uid) => uid.to_string(),
    };
    let rows: Vec<_> = crate::host::dump(&ended);
    let expected: Vec<_> = model
        .rows
        .iter()
        .map(|row| (row.program, row.version, row.netid.to_string(), row.address.clone(), owner(row.owner)))
        .collect();
    assert_eq!(rows, expected);

    let ended = host.send(&unix(0), &call(V2, bind::DUMP, &[]));
    let mappings = List::<Mapping>::new(Reader::new(ended.results())).map(Result::unwrap);
    let mappings: Vec<_> =
        mappings.map(|row| (row.program.0, row.version.0, row.protocol.0, row.port)).collect();
    let protocol = |row: &Row| if row.netid == "tcp" { TCP } else { UDP };
    let in_version_2 = model.rows.iter().filter(|row| matches!(row.netid, "udp" | "tcp"));
    let expected: Vec<_> =
        in_version_2.map(|row| (row.program, row.version, protocol(row), port_of(row))).collect();
    assert_eq!(mappings, expected);

    let registry = host.service.registry();
    assert_eq!(registry.len(), model.rows.len());
    let known: Vec<_> = registry.rows_with_liveness().map(|(_, liveness)| liveness).collect();
    assert_eq!(known, model.rows.iter().map(|row| liveness(row.life)).collect::<Vec<_>>());
    assert_eq!(registry.dead(), known.iter().filter(|liveness| liveness.is_dead()).count());
    for uid in [None, Some(0), Some(999), Some(USER), Some(1_001)] {
        let owner = uid.map_or(Owner::Unknown, Owner::Uid);
        let expected = model.rows.iter().filter(|row| row.owner == uid).count();
        assert_eq!(registry.owned_by(owner), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_of_calls_ends_as_the_rules_say(steps in prop::collection::vec(step(), 1..80)) {
        let expire_dead = Some(Duration::from_secs(EXPIRE_SECONDS));
        let liveness = LivenessRules { expire_dead, ..LivenessRules::default() };
        let policy = Policy { liveness, ..Policy::default() };
        let mut host = Host::with(Settings { caps: CAPS, policy, ..settings() });
        let mut model = Model::new();
        for step in &steps {
            check(step, &mut host, &mut model);
            compare(&mut host, &model);
        }
    }
}
