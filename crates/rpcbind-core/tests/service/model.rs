//! Random calls of random callers against a naive model: a plain list of rows, and the rules written down again.

use crate::callers::{
    ELSEWHERE, HOME, USER, loopback_tcp, loopback_udp, one_each, own_udp, stranger_tcp, stranger_udp, unix,
    unix_elsewhere,
};
use crate::calls::{TCP, UDP, call, mapping, rpcb};
use crate::host::{Ended, Host, settings, socket};
use core::time::Duration;
use oncrpc::bind::{self, Entry, Mapping, V2, V3, V4};
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, AuthStatus, Version};
use proptest::prelude::*;
use proptest::sample::select;
use rpcbind_core::caller::{Caller, Namespace, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact};
use rpcbind_core::liveness::{Judged, Liveness};
use rpcbind_core::registry::Owner;
use rpcbind_core::settings::{Caps, LivenessRules, Policy};
use rpcbind_core::{Service, Settings};

const CAPS: Caps = Caps { rows: 13 + 8, rows_per_uid: 5, rows_for_root: 2 };

/// A row as DUMP shows it, and the namespace it came from.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    program: u32,
    version: u32,
    netid: &'static str,
    address: String,
    owner: Option<u32>,
    namespace: Namespace,
    life: Life,
}

/// What is known of a row's service: whether it is there and since when, and whether it is missed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Life {
    known: Option<(bool, u64)>,
    missed: bool,
}

/// Who calls: how, what the kernel says about it, and who that makes it. `None`: not one who may change anything.
#[derive(Clone, Debug)]
struct Who {
    caller: Caller,
    fact: OwnerFact,
    identity: Option<(Option<u32>, Namespace)>,
}

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

#[derive(Clone, Debug)]
struct Wanted {
    program: u32,
    version: u32,
    netid: &'static str,
    address: &'static str,
}

/// What the model expects of SET and UNSET.
#[derive(Debug, PartialEq)]
enum Verdict {
    TooWeak,
    False,
    True,
}

struct Model {
    rows: Vec<Row>,
    seconds: u64,
}

/// Dead rows go when they have been dead for this long.
const EXPIRE_SECONDS: u64 = 60;

/// The addresses of the small world: which family, what it means, whether an ordinary user may name it.
fn meaning(address: &str) -> Option<(&'static str, &'static str, u16, bool)> {
    Some(match address {
        "0.0.0.0.8.8" | "0.0.0.0.08.8" => ("inet", "0.0.0.0", 2_056, true),
        "0.0.0.0.8.9" => ("inet", "0.0.0.0", 2_057, true),
        "0.0.0.0.8.1" => ("inet", "0.0.0.0", 2_049, true),
        "0.0.0.0.0.80" => ("inet", "0.0.0.0", 80, true),
        "192.0.2.130.8.8" => ("inet", "192.0.2.130", 2_056, true),
        "198.51.100.9.8.8" => ("inet", "198.51.100.9", 2_056, false),
        "::.8.8" | "0::0.8.8" => ("inet6", "::", 2_056, true),
        "::.8.9" => ("inet6", "::", 2_057, true),
        "/run/a" => ("local", "/run/a", 0, true),
        "@b" => ("local", "@b", 0, true),
        _ => return None,
    })
}

fn family(netid: &str) -> &'static str {
    match netid {
        "udp" | "tcp" | "sctp" => "inet",
        "udp6" | "tcp6" => "inet6",
        _ => "local",
    }
}

/// The netid as the table spells it.
fn known(netid: &str) -> Option<&'static str> {
    Some(match netid {
        "udp" | "UDP" => "udp",
        "tcp" => "tcp",
        "udp6" => "udp6",
        "tcp6" => "tcp6",
        "sctp" => "sctp",
        "local" => "local",
        _ => return None,
    })
}

impl Model {
    fn new() -> Self {
        let mut rows = Vec::new();
        for (netid, address) in [
            ("tcp6", "::.0.111"),
            ("udp6", "::.0.111"),
            ("tcp", "0.0.0.0.0.111"),
            ("udp", "0.0.0.0.0.111"),
            ("local", "/run/rpcbind.sock"),
        ] {
            for version in [4, 3, 2] {
                if version > 2 || family(netid) == "inet" {
                    let (owner, namespace, address) = (Some(0), HOME, address.to_string());
                    let life = Life::default();
                    rows.push(Row { program: 100_000, version, netid, address, owner, namespace, life });
                }
            }
        }
        Self { rows, seconds: 0 }
    }

    /// How many have died, come back and expired.
    fn sweep(&mut self, seconds: u64, bound: BoundFact) -> [usize; 3] {
        self.seconds += seconds;
        let now = self.seconds;
        let mut told = [0; 3];
        self.rows.retain_mut(|row| {
            let known = row.program != 100_000 && row.namespace == HOME && row.netid != "sctp";
            let there = match bound {
                BoundFact::Unknown => return true,
                BoundFact::Bound => true,
                BoundFact::Free => row.netid == "local",
            };
            if !known {
                return true;
            }
            let was = row.life.known.map(|(there, _)| there);
            if was != Some(there) {
                told[0] += usize::from(!there && !row.life.missed);
                told[1] += usize::from(there && row.life.missed);
                row.life = Life { known: Some((there, now)), missed: !there };
            }
            let expired = matches!(row.life.known, Some((false, since)) if now - since >= EXPIRE_SECONDS);
            told[2] += usize::from(expired);
            !expired
        });
        told
    }

    fn set(&mut self, who: &Who, wanted: &Wanted, bound: BoundFact) -> Verdict {
        let Some((owner, namespace)) = who.identity else { return Verdict::TooWeak };
        let Wanted { program, version, .. } = *wanted;
        let (Some(netid), Some((address_family, host, port, ours))) =
            (known(wanted.netid), meaning(wanted.address))
        else {
            return Verdict::False;
        };
        if program == 100_000 || address_family != family(netid) {
            return Verdict::False;
        }
        let there = self
            .rows
            .iter()
            .position(|row| (row.program, row.version, row.netid) == (program, version, netid));
        let old = there.map(|at| self.rows[at].clone());
        if let Some(old) = &old
            && meaning(&old.address) == meaning(wanted.address)
        {
            if may_change(owner, namespace, old)
                && let Some(at) = there
                && matches!(self.rows[at].life.known, Some((false, _)))
            {
                self.rows[at].life.known = None;
            }
            return Verdict::True;
        }
        let privileged = owner.is_some_and(|uid| uid < 1_000);
        let wildcard = matches!(host, "0.0.0.0" | "::") || address_family == "local";
        let reserved = program == 100_003 || (address_family != "local" && (port < 1_024 || port == 2_049));
        let may_name = if namespace == HOME { privileged || ours } else { owner == Some(0) };
        if (reserved && !privileged) || !(wildcard || may_name) {
            return Verdict::False;
        }
        if let Some(old) = &old {
            let home_root = owner == Some(0) && namespace == HOME;
            let own = old.owner == owner && old.namespace == namespace;
            let dead = old.namespace == HOME && bound == BoundFact::Free;
            let may_change = may_change(owner, namespace, old);
            let may_now = dead || (old.owner.is_none() && owner.is_some()) || (home_root && !own);
            if !(may_change && may_now) {
                return Verdict::False;
            }
        }
        let free = if owner == Some(0) { CAPS.rows } else { CAPS.rows - CAPS.rows_for_root };
        let others = self.rows.iter().enumerate().filter(|(at, _)| Some(*at) != there);
        let owned = others.filter(|(_, row)| row.owner == owner).count();
        if (old.is_none() && self.rows.len() >= free) || (owner != Some(0) && owned >= CAPS.rows_per_uid) {
            return Verdict::False;
        }
        if let Some(at) = there {
            self.rows.remove(at);
        }
        let address = wanted.address.to_string();
        let life = Life::default();
        self.rows.push(Row { program, version, netid, address, owner, namespace, life });
        Verdict::True
    }

    fn unset(&mut self, who: &Who, wanted: &Wanted, called: Version) -> Verdict {
        let Some((owner, namespace)) = who.identity else { return Verdict::TooWeak };
        if wanted.program == 100_000 {
            return Verdict::False;
        }
        let home_root = owner == Some(0) && namespace == HOME;
        let matching = |row: &Row| {
            let netid = match called {
                V2 => matches!(row.netid, "udp" | "tcp"),
                _ => wanted.netid.is_empty() || known(wanted.netid) == Some(row.netid),
            };
            let same = (row.program, row.version) == (wanted.program, wanted.version);
            netid && same && (row.namespace == namespace || home_root)
        };
        let removable = |row: &Row| {
            let nobodys = row.owner.is_none() && row.namespace == HOME;
            home_root || nobodys || (row.owner.is_some() && row.owner == owner)
        };
        if !self.rows.iter().filter(|row| matching(row)).all(removable) {
            return Verdict::False;
        }
        self.rows.retain(|row| !matching(row));
        Verdict::True
    }

    fn find(&self, wanted: &Wanted, netid: &str, exact: bool) -> Option<&Row> {
        let mut rows = self.rows.iter().filter(|row| row.program == wanted.program && row.netid == netid);
        let same = rows.clone().find(|row| row.version == wanted.version);
        if exact { same } else { same.or_else(|| rows.next_back()) }
    }
}

fn may_change(owner: Option<u32>, namespace: Namespace, row: &Row) -> bool {
    let home_root = owner == Some(0) && namespace == HOME;
    let own = row.owner == owner && row.namespace == namespace;
    let nobodys = row.owner.is_none() && row.namespace == HOME && namespace == HOME;
    home_root || own || nobodys
}

/// The address of a row for a caller without a hint: a wildcard becomes the address that the call came to.
fn answer_for(row: &Row, caller: &Caller) -> String {
    let wildcard = ["0.0.0.0.", "::.", "0::0."].into_iter().find(|start| row.address.starts_with(start));
    match (wildcard, caller.local()) {
        (Some(start), Some(local)) => {
            let port = row.address[start.len()..].replace("08", "8");
            format!("{}.{port}", local.ip())
        }
        _ => row.address.clone(),
    }
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
