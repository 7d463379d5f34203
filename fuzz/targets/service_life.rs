//! The life of a port mapper: calls of every class of callers, remote calls and what services answer to them, sweeps
//! that find services dead, interfaces that change, reloads and restarts. Beside it a plain list that follows the
//! changes as the journal does, and the rules about who may do what, written down again: the list and the registry
//! never differ, and no row comes or goes against a rule.
#![no_main]

use fuzz::{Bytes, CAPS, ELSEWHERE, HOME, bound, caller, handle, interfaces, is_unverified, owner};
use libfuzzer_sys::fuzz_target;
use oncrpc::auth::{Gids, flavor};
use oncrpc::bind::{
    self, Entry, Family, Mapping, Netid, Protocol, RemoteCall, Rpcb, UniversalAddress, V2, V3, V4,
};
use oncrpc::xdr::{Encode, List, Reader, Writer};
use oncrpc::{Answer, AuthSys, Call, OpaqueAuth, Procedure, Program, Reply, Version, Xid};
use rpcbind_core::Service;
use rpcbind_core::caller::{Caller, Namespace, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact};
use rpcbind_core::interfaces::Interfaces;
use rpcbind_core::liveness::Judged;
use rpcbind_core::outcome::{Change, Forward, Outcome, RemoteEnd};
use rpcbind_core::policy::MAX_DATAGRAM_REPLY;
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{AllowedCalls, Credentials, Grant, LivenessRules, Policy, RemoteRules};
use std::net::SocketAddr;
use std::time::Duration;

#[path = "service_life/messages.rs"]
mod messages;
#[path = "service_life/questions.rs"]
mod questions;
#[path = "service_life/remote.rs"]
mod remote;
#[path = "service_life/rules.rs"]
mod rules;

use messages::{answer, call, encoded, mapping_call, rpcb_call, wanted};
use rules::{identity, may_remove};

const PROGRAMS: [u32; 8] = [200_100, 200_101, 200_102, 100_003, 100_024, 100_000, 0, u32::MAX];
const VERSIONS: [u32; 4] = [1, 2, 3, u32::MAX];
const NETIDS: [&str; 12] =
    ["udp", "tcp", "udp6", "tcp6", "local", "UDP", "sctp", "", "unix", "ticlts", "rawip", "none"];
const ADDRESSES: [&str; 19] = [
    "0.0.0.0.195.80",
    "0.0.0.0.195.81",
    "0.0.0.0.0195.80",
    "::.195.80",
    "0::0.195.80",
    "/run/service",
    "@service",
    "192.0.2.1.195.80",
    "198.51.100.9.195.80",
    "0.0.0.0.8.1",
    "0.0.0.0.3.255",
    "0.0.0.0.0.0",
    "::ffff:192.0.2.1.195.80",
    "fe80::1.195.80",
    "127.0.0.1.195.80",
    "",
    // Where we are ourselves, and where remote calls are made from.
    "127.0.0.1.0.111",
    "0.0.0.0.195.84",
    "::.195.86",
];
const DEAD_AFTER: Duration = Duration::from_secs(60);

fuzz_target!(|input: &[u8]| {
    let mut life = Life::new();
    let mut bytes = Bytes(input);
    while let Some(step) = bytes.next() {
        life.step(step, &mut bytes);
        life.assert_same();
    }
    life.restart();
});

/// Who a caller is, and from where.
type Who = (Owner, Namespace);

struct Wanted<'a> {
    program: Program,
    version: Version,
    netid: &'a str,
    address: &'a [u8],
}

struct Life {
    service: Service,
    /// What a journal would have.
    rows: Vec<Row>,
    policy: Policy,
    elapsed: Duration,
    /// Whether rows may be there that the rules of now would not let in.
    is_older: bool,
    /// Remote calls whose end has not come.
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    forward: Forward,
    caller: Caller,
    /// The xid of the call that asked for it.
    xid: [u8; 4],
    /// What may answer it.
    room: usize,
    since: Duration,
}

impl Life {
    fn new() -> Self {
        let liveness = LivenessRules { expire_dead: Some(DEAD_AFTER), ..LivenessRules::default() };
        let policy = Policy { liveness, ..Policy::default() };
        let service = fuzz::service(policy.clone());
        let rows = service.registry().rows().cloned().collect();
        let (elapsed, under_way) = (Duration::ZERO, Vec::new());
        Self { service, rows, policy, elapsed, is_older: false, under_way }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.elapsed, unix_seconds: 1_000_000_000 }
    }

    fn step(&mut self, step: u8, bytes: &mut Bytes<'_>) {
        match step % 20 {
            0..=5 => self.change(bytes, bind::SET),
            6 | 7 => self.change(bytes, bind::UNSET),
            8 | 9 => self.look_up(bytes),
            10 => self.dump(),
            11 => self.sweep(bytes),
            12 => self.set_interfaces(bytes),
            13 => self.reload(bytes),
            14 => self.restart(),
            15 => self.anything(bytes),
            16 | 17 => self.call_remotely(bytes),
            18 => self.answer_remotely(bytes),
            _ => self.expire(bytes),
        }
    }

    /// Sends a message: the reply, and what it changed.
    fn send(&mut self, who: &Caller, choice: u8, message: &[u8]) -> (Vec<u8>, Option<Change>) {
        let now = self.now();
        let room = self.service.budget(who, message.len()).bytes();
        assert!(room <= if is_unverified(who) { message.len().min(512) } else { MAX_DATAGRAM_REPLY });
        let mut reply = vec![0; room];
        let handled = handle(&mut self.service, now, who, choice, message, &mut reply);
        let (len, body, change) = match handled.outcome {
            Outcome::Silent => (0, None, None),
            Outcome::Reply { len } => (len, None, None),
            Outcome::Table { len, body } => (len, Some(body), None),
            Outcome::Commit { len, change } => (len, None, Some(change)),
            Outcome::Need(_) => unreachable!("questions are answered"),
            Outcome::Forward(forward) => {
                self.is_called(forward, who, message, room);
                (0, None, None)
            }
        };
        reply.truncate(len);
        reply.extend_from_slice(body.as_deref().unwrap_or_default());
        if let Some(change) = &change {
            self.follow(change);
        }
        (reply, change)
    }

    fn follow(&mut self, change: &Change) {
        for gone in &change.removed {
            let at = self.rows.iter().position(|row| row == gone).expect("what goes was there");
            self.rows.remove(at);
        }
        self.rows.extend(change.added.clone());
    }

    /// SET or UNSET, in every version.
    fn change(&mut self, bytes: &mut Bytes<'_>, procedure: Procedure) {
        let (who, choice, called) = (caller(bytes.byte()), bytes.byte(), bytes.one_of(&[V2, V3, V4, V4]));
        let wanted = wanted(bytes);
        let message = match called {
            V2 => mapping_call(procedure, &wanted, u32::from(bytes.byte()) << 8 | 80),
            _ => rpcb_call(called, procedure, &wanted),
        };
        let before = self.rows.clone();
        let (reply, change) = self.send(&who, choice, &message);
        let is_true = answer(&reply).is_some_and(|results| results == [0, 0, 0, 1]);
        assert_eq!(is_true, change.is_some(), "TRUE is a commit, and nothing else is");
        let Some(change) = change else { return };
        let who = identity(&self.policy, &who, choice).expect("only who is known may change anything");
        assert_ne!(wanted.program, bind::PROGRAM);
        for row in &change.removed {
            assert_eq!((row.program, row.version), (wanted.program, wanted.version));
            assert!(may_remove(who, row), "{who:?} removes {row:?}");
        }
        match &change.added {
            Some(row) => self.assert_may_add(who, row, &before),
            None if procedure == bind::UNSET => self.assert_nothing_is_left(who, &wanted, called),
            None => assert!(change.removed.is_empty(), "SET removes only what it replaces"),
        }
    }

    /// Judges all rows, each with a fact of its own; only what can be judged dies, and only the long dead go.
    fn sweep(&mut self, bytes: &mut Bytes<'_>) {
        self.elapsed += Duration::from_secs(bytes.byte().into());
        let (now, rows_max) = (self.now(), usize::from(bytes.byte() % 8) + 1);
        let mut walk = self.service.sweep();
        while !walk.is_finished() {
            let ids: Vec<_> = self.service.to_judge(&mut walk, rows_max).map(|row| row.id).collect();
            for id in ids {
                let (seen, exact) = (bound(bytes.byte()), bound(bytes.byte()));
                let mut judged = self.service.judge(now, id, seen, &Facts::default());
                if matches!(judged, Judged::Need(_)) {
                    assert_eq!(seen, BoundFact::Free);
                    let facts = Facts { bound: Some(exact), ..Facts::default() };
                    judged = self.service.judge(now, id, seen, &facts);
                }
                match judged {
                    Judged::Need(_) => panic!("asked again for what was answered"),
                    Judged::Expired(change) => {
                        assert!(now.monotonic >= DEAD_AFTER && change.removed.len() == 1);
                        assert!(
                            change.removed.iter().all(|row| self.is_judged(row)) && change.added.is_none()
                        );
                        self.follow(&change);
                    }
                    Judged::Died(row) | Judged::CameBack(row) => assert!(self.is_judged(&row)),
                    Judged::Unchanged => {}
                }
            }
        }
    }

    fn set_interfaces(&mut self, bytes: &mut Bytes<'_>) {
        let which = bytes.byte();
        let mut table = if which & 1 == 0 { interfaces() } else { Interfaces::default() };
        table.interfaces.iter_mut().for_each(|interface| interface.up = which & 2 == 0);
        let by = usize::from(which >> 4) % table.addresses.len().max(1);
        table.addresses.rotate_left(by);
        table.addresses.truncate(5 - usize::from(which >> 2 & 3));
        self.service.set_interfaces(table);
        self.is_older = true;
    }

    fn reload(&mut self, bytes: &mut Bytes<'_>) {
        let which = bytes.byte();
        let grant = Grant {
            uid: 1000,
            programs: vec![Program(100_003), Program(100_024)],
            ports: vec![80, 1023, 2049],
        };
        self.policy = Policy {
            insecure: which & 1 != 0,
            nat: which & 2 == 0,
            grants: if which & 4 != 0 { vec![grant] } else { vec![] },
            limits: (which & 8 != 0).then(Default::default),
            liveness: self.policy.liveness,
            remote_calls: if which & 16 != 0 { calls_of_everything() } else { RemoteRules::default() },
            ..Policy::default()
        };
        self.service.set_policy(self.policy.clone());
        self.is_older = true;
    }

    /// A new run takes every row of the last.
    fn restart(&mut self) {
        let mut next = fuzz::service(self.policy.clone());
        let is_own = |row: &&Row| row.program == bind::PROGRAM;
        for row in self.rows.iter().filter(|row| !is_own(row)) {
            let taken = next.restore(row.clone());
            assert!(taken.is_ok() || self.is_older, "{row:?} is lost: {taken:?}");
        }
        self.rows = next.registry().rows().cloned().collect();
        (self.service, self.is_older) = (next, false);
        self.under_way.clear();
    }

    /// Bytes that are no call of ours, or one of any procedure.
    fn anything(&mut self, bytes: &mut Bytes<'_>) {
        let (who, choice) = (caller(bytes.byte()), bytes.byte());
        let (version, procedure, len) = (bytes.byte() % 8, bytes.byte() % 16, bytes.byte());
        let arguments = bytes.part(len.into());
        let message = call(Version(version.into()), Procedure(procedure.into()), arguments);
        let (_, change) = self.send(&who, choice, &message);
        assert!(change.is_none() || identity(&self.policy, &who, choice).is_some());
    }

    fn assert_same(&self) {
        let registry = self.service.registry();
        assert!(registry.rows().eq(&self.rows));
        assert_eq!((registry.len(), registry.is_empty()), (self.rows.len(), self.rows.is_empty()));
        assert!(self.rows.len() <= CAPS.rows);
        assert_eq!(self.service.calls_under_way(), self.under_way.len());
        let dead = registry.rows_with_liveness().filter(|(_, liveness)| liveness.is_dead()).count();
        assert_eq!(registry.dead(), dead);
        for owner in [Owner::Unknown, Owner::ROOT, Owner::Uid(100), Owner::Uid(1000)] {
            assert_eq!(
                registry.owned_by(owner),
                self.rows.iter().filter(|row| row.owner == owner).count(),
                "{owner:?}"
            );
        }
        assert_eq!(self.rows.iter().filter(|row| row.program == bind::PROGRAM).count(), 5);
    }

    /// Services of home on transports that the kernel can be asked about.
    fn is_judged(&self, row: &Row) -> bool {
        let netid = self.service.netids().name(row.netid);
        let is_known = ["udp", "tcp", "udp6", "tcp6", "local", "unix"].contains(&netid);
        is_known && row.namespace == HOME && row.program != bind::PROGRAM
    }
}

fn key(row: &Row) -> (Program, Version, Netid) {
    (row.program, row.version, row.netid)
}

/// Everything may be called for others that is not forbidden, and the service is told whom the caller says it is.
fn calls_of_everything() -> RemoteRules {
    RemoteRules {
        allowed: vec![AllowedCalls { programs: 0..=u32::MAX, procedure: None }],
        credentials: Credentials::Claimed,
        ..RemoteRules::default()
    }
}
