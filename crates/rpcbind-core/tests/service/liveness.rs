//! Judging: which rows, on what evidence, what is told about it, and what becomes of rows that stay dead.

use crate::callers::{HOME, USER, loopback_udp, stranger_tcp, unix, unix_elsewhere};
use crate::calls::{call, set, unset};
use crate::host::{Host, settings};
use core::time::Duration;
use oncrpc::bind::netid::{Attributes, Netids};
use oncrpc::bind::{self, Family, Semantics};
use rpcbind_core::Settings;
use rpcbind_core::caller::{Namespace, Now};
use rpcbind_core::facts::{BoundFact, Facts, Question};
use rpcbind_core::liveness::{Candidate, Judged, Liveness, RowId};
use rpcbind_core::outcome::Refusal;
use rpcbind_core::registry::Row;
use rpcbind_core::settings::{LivenessRules, Policy};

const PROGRAM: u32 = 200_001;

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), unix_seconds: 0 }
}

fn alive(seconds: u64) -> Liveness {
    Liveness::Alive { since: Duration::from_secs(seconds) }
}

fn dead(seconds: u64) -> Liveness {
    Liveness::Dead { since: Duration::from_secs(seconds) }
}

fn exactly(bound: BoundFact) -> Facts {
    Facts { bound: Some(bound), ..Facts::default() }
}

impl Host {
    /// With one row of home.
    fn with_a_row() -> Self {
        let mut host = Self::new();
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        host
    }

    /// The rows to be judged, in one go.
    fn candidates(&self) -> Vec<(RowId, String)> {
        let mut sweep = self.service.sweep();
        let describe = |row: Candidate<'_>| (row.id, format!("{} {}", row.netid, row.address));
        let rows = self.service.to_judge(&mut sweep, usize::MAX).map(describe).collect();
        assert!(sweep.is_finished());
        rows
    }

    /// A sweep at a moment that finds the same evidence for every row.
    fn sweep_at(&mut self, seconds: u64, bound: BoundFact) -> Vec<Judged> {
        self.monotonic = Duration::from_secs(seconds);
        self.sweep(|_| bound)
    }

    /// What is known of the services of rows that are not the port mapper's.
    fn liveness(&self) -> Vec<Liveness> {
        let rows = self.service.registry().rows_with_liveness();
        rows.filter(|(row, _)| row.program != bind::PROGRAM).map(|(_, liveness)| liveness).collect()
    }

    fn only_row(&self) -> Row {
        self.service.registry().rows().find(|row| row.program.0 == PROGRAM).unwrap().clone()
    }
}

#[test]
fn every_row_of_home_on_a_transport_that_can_be_asked_about_is_judged_and_no_other() {
    let mut netids = Netids::default();
    let vsock = Attributes {
        name: "vsock".into(),
        semantics: Semantics::CotsOrd,
        family: Family::Local,
        protocol: "-".into(),
    };
    netids.add(vsock).unwrap();
    let mut host = Host::with(Settings { netids, ..settings() });
    let registered = [
        ("udp", "0.0.0.0.8.8", true),
        ("tcp", "0.0.0.0.8.8", true),
        ("udp6", "::.8.8", true),
        ("tcp6", "::1.8.8", true),
        ("local", "/run/a", true),
        ("unix", "@b", true),
        ("sctp", "0.0.0.0.8.8", false),
        ("dccp6", "::.8.8", false),
        ("rdma", "0.0.0.0.8.8", false),
        ("rawip", "0.0.0.0.8.8", false),
        ("ticots", "/run/c", false),
        ("vsock", "/run/d", false),
    ];
    for (netid, address, _) in registered {
        assert!(host.send(&unix(0), &set(PROGRAM, 1, netid, address)).is_true(), "{netid}");
        assert!(host.send(&unix_elsewhere(0), &set(PROGRAM, 2, netid, address)).is_true(), "{netid}");
    }
    assert!(host.send(&loopback_udp(600), &set(PROGRAM, 3, "udp", "0.0.0.0.8.9")).is_true());
    let judged = registered.iter().filter(|(_, _, judged)| *judged);
    let mut expected: Vec<String> = judged.map(|(netid, address, _)| format!("{netid} {address}")).collect();
    expected.push("udp 0.0.0.0.8.9".into());
    let candidates: Vec<String> = host.candidates().into_iter().map(|(_, text)| text).collect();
    assert_eq!(candidates, expected);
}

#[test]
fn rows_come_in_bounded_chunks_each_once_and_those_that_come_later_are_left_to_the_next_sweep() {
    let mut host = Host::new();
    for version in 1..=20 {
        let caller = if version % 3 == 0 { unix_elsewhere(USER) } else { unix(USER) };
        assert!(host.send(&caller, &set(PROGRAM, version, "udp", "0.0.0.0.8.8")).is_true());
    }
    let whole: Vec<RowId> = host.candidates().into_iter().map(|(id, _)| id).collect();
    assert_eq!(whole.len(), 14);
    for rows_max in 1..=40 {
        let mut sweep = host.service.sweep();
        let mut visited = Vec::new();
        let mut chunks = 0;
        while !sweep.is_finished() {
            let chunk: Vec<RowId> = host.service.to_judge(&mut sweep, rows_max).map(|row| row.id).collect();
            assert!(chunk.len() <= rows_max);
            visited.extend(chunk);
            chunks += 1;
        }
        assert_eq!(visited, whole, "in chunks of {rows_max}");
        assert_eq!(chunks, host.service.registry().len().div_ceil(rows_max), "our own rows count too");
    }
    let mut sweep = host.service.sweep();
    assert!(host.send(&unix(0), &set(PROGRAM, 99, "udp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(USER), &unset(PROGRAM, 1, "udp")).is_true());
    let visited: Vec<RowId> = host.service.to_judge(&mut sweep, 1_000).map(|row| row.id).collect();
    assert_eq!(visited, whole[1..]);
}

#[test]
fn each_evidence_has_its_end() {
    use BoundFact::{Bound, Free, Unknown};
    let row = || Host::with_a_row().only_row();
    let need = || Judged::Need(Question::Bound { netid: "udp".into(), address: "0.0.0.0.8.8".into() });
    let before_of = |name: &str| {
        let mut host = Host::with_a_row();
        match name {
            "alive" => assert_eq!(host.sweep_at(10, Bound), []),
            "dead" => assert_eq!(host.sweep_at(10, Free), [Judged::Died(row())]),
            "doubted" => {
                assert_eq!(host.sweep_at(10, Free), [Judged::Died(row())]);
                assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
            }
            _ => {}
        }
        host
    };
    let (unchanged, not_judged) = (Judged::Unchanged, Liveness::NotJudged);
    // What was known before; what the list says; what the exact question is answered; what is told; what is known.
    let cases = [
        ("new", Unknown, None, unchanged.clone(), not_judged),
        ("new", Bound, None, unchanged.clone(), alive(20)),
        ("new", Free, None, need(), not_judged),
        ("new", Free, Some(Unknown), unchanged.clone(), not_judged),
        ("new", Free, Some(Bound), unchanged.clone(), alive(20)),
        ("new", Free, Some(Free), Judged::Died(row()), dead(20)),
        ("alive", Unknown, None, unchanged.clone(), alive(10)),
        ("alive", Bound, None, unchanged.clone(), alive(10)),
        ("alive", Free, None, need(), alive(10)),
        ("alive", Free, Some(Unknown), unchanged.clone(), alive(10)),
        ("alive", Free, Some(Bound), unchanged.clone(), alive(10)),
        ("alive", Free, Some(Free), Judged::Died(row()), dead(20)),
        ("dead", Unknown, None, unchanged.clone(), dead(10)),
        ("dead", Bound, None, Judged::CameBack(row()), alive(20)),
        ("dead", Free, None, unchanged.clone(), dead(10)),
        ("dead", Free, Some(Bound), Judged::CameBack(row()), alive(20)),
        ("doubted", Unknown, None, unchanged.clone(), not_judged),
        ("doubted", Bound, None, Judged::CameBack(row()), alive(20)),
        ("doubted", Free, None, need(), not_judged),
        ("doubted", Free, Some(Free), unchanged, dead(20)),
    ];
    for (before, seen, exact, told, after) in cases {
        let mut host = before_of(before);
        let (id, _) = host.candidates()[0];
        let facts = Facts { bound: exact, ..Facts::default() };
        assert_eq!(host.service.judge(at(20), id, seen, &facts), told, "{before} {seen:?} {exact:?}");
        assert_eq!(host.liveness(), [after], "{before} {seen:?} {exact:?}");
        assert_eq!(host.service.registry().dead(), usize::from(after.is_dead()));
    }
}

#[test]
fn a_death_and_a_return_are_told_and_counted_once_each() {
    let mut host = Host::with_a_row();
    assert_eq!(host.sweep_at(0, BoundFact::Bound), []);
    for round in 0..3 {
        let row = host.only_row();
        assert_eq!(host.sweep_at(100 * round + 30, BoundFact::Free), [Judged::Died(row.clone())]);
        assert_eq!(host.sweep_at(100 * round + 60, BoundFact::Free), []);
        assert_eq!(host.liveness(), [dead(100 * round + 30)], "dead since it was found out first");
        assert_eq!(host.sweep_at(100 * round + 90, BoundFact::Bound), [Judged::CameBack(row)]);
        assert_eq!(host.sweep_at(100 * round + 99, BoundFact::Bound), []);
    }
    let counts = host.service.liveness_counts();
    assert_eq!((counts.died, counts.came_back, counts.replaced, counts.expired), (3, 3, 0, 0));
}

#[test]
fn a_server_that_dies_is_found_dead_by_the_next_sweep_and_replaced_on_another_port_at_once() {
    let mut host = Host::with_a_row();
    let period = LivenessRules::default().judge_every;
    assert_eq!(host.sweep_at(0, BoundFact::Bound), []);
    // Dead from now on. A restarted server does not wait for the sweep: its SET asks for itself.
    host.bound = BoundFact::Free;
    let ended = host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
    assert!(ended.is_true());
    assert_eq!(ended.questions.len(), 1);
    assert_eq!(host.service.liveness_counts().replaced, 1);
    assert_eq!(host.liveness(), [Liveness::NotJudged], "what comes is judged anew");
    assert_eq!(host.sweep_at(period.as_secs(), BoundFact::Free).len(), 1);
    // Also after it was found dead.
    let ended = host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.10"));
    assert!(ended.is_true());
    assert_eq!(ended.questions.len(), 1, "what a sweep found is not enough to replace a row");
    assert_eq!(host.service.registry().dead(), 0);
}

#[test]
fn whenever_a_server_dies_the_next_sweep_finds_it_dead() {
    let period = LivenessRules::default().judge_every.as_secs();
    for death in 1..=2 * period {
        let mut host = Host::with_a_row();
        let found = (0..10).map(|sweep| sweep * period).find(|now| {
            let bound = if *now >= death { BoundFact::Free } else { BoundFact::Bound };
            !host.sweep_at(*now, bound).is_empty()
        });
        assert_eq!(found, Some(death.next_multiple_of(period)));
    }
}

#[test]
fn a_dead_row_still_protects_itself_when_something_is_bound_again() {
    let mut host = Host::with_a_row();
    assert_eq!(host.sweep_at(30, BoundFact::Free).len(), 1);
    host.bound = BoundFact::Bound;
    host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9")).is_refused(Refusal::Conflict);
}

#[test]
fn only_who_may_change_a_dead_row_casts_doubt_on_its_death() {
    for (caller, doubts) in [
        (unix(USER), true),
        (unix(0), true),
        (unix(1_001), false),
        (unix_elsewhere(USER), false),
        (unix_elsewhere(0), false),
        (loopback_udp(40_000), false),
    ] {
        let mut host = Host::with_a_row();
        assert_eq!(host.sweep_at(30, BoundFact::Free).len(), 1);
        assert!(host.send(&caller, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let expected = if doubts { Liveness::NotJudged } else { dead(30) };
        assert_eq!(host.liveness(), [expected], "{caller:?}");
    }
    let mut host = Host::with_a_row();
    assert_eq!(host.sweep_at(30, BoundFact::Free).len(), 1);
    assert_eq!(host.send(&stranger_tcp(), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).change, None);
    assert_eq!(host.liveness(), [dead(30)]);
}

#[test]
fn a_row_that_has_gone_since_the_sweep_began_is_not_judged_and_nor_is_its_successor() {
    let mut host = Host::with_a_row();
    let (id, _) = host.candidates()[0];
    assert!(host.send(&unix(USER), &unset(PROGRAM, 1, "udp")).is_true());
    let free = exactly(BoundFact::Free);
    assert_eq!(host.service.judge(at(1), id, BoundFact::Free, &free), Judged::Unchanged);
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert_eq!(host.service.judge(at(1), id, BoundFact::Free, &free), Judged::Unchanged);
    assert_eq!(host.liveness(), [Liveness::NotJudged]);
}

#[test]
fn the_dead_are_not_counted_any_more_when_they_are_removed() {
    let mut host = Host::with_a_row();
    assert_eq!(host.sweep_at(30, BoundFact::Free).len(), 1);
    assert_eq!(host.service.registry().dead(), 1);
    assert!(host.send(&unix(USER), &unset(PROGRAM, 1, "")).is_true());
    assert_eq!(host.service.registry().dead(), 0);
}

#[test]
fn rows_stay_however_long_they_are_dead_unless_expiry_is_configured() {
    let mut host = Host::with_a_row();
    assert_eq!(host.sweep_at(30, BoundFact::Free).len(), 1);
    assert_eq!(host.sweep_at(10 * 365 * 86_400, BoundFact::Free), []);
    assert_eq!(host.rows().len(), 1);
}

#[test]
fn a_row_expires_when_it_has_been_dead_for_so_long_and_an_exact_question_says_that_it_still_is() {
    let liveness = LivenessRules { expire_dead: Some(Duration::from_secs(600)), ..LivenessRules::default() };
    let mut host = Host::with_a_row();
    host.service.set_policy(Policy { liveness, ..Policy::default() });
    assert!(host.send(&unix_elsewhere(0), &set(PROGRAM, 2, "udp", "0.0.0.0.8.8")).is_true());
    let row = host.only_row();
    assert_eq!(host.sweep_at(30, BoundFact::Free), [Judged::Died(row.clone())]);
    assert_eq!(host.sweep_at(629, BoundFact::Free), []);
    // A list has not seen it, the kernel has.
    let (id, _) = host.candidates()[0];
    let judged = host.service.judge(at(630), id, BoundFact::Free, &exactly(BoundFact::Bound));
    assert_eq!(judged, Judged::CameBack(row.clone()));
    assert_eq!(host.sweep_at(700, BoundFact::Free), [Judged::Died(row.clone())]);
    // Its registrar says that it is there: the time begins again.
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert_eq!(host.sweep_at(1_400, BoundFact::Free), []);
    let told = host.sweep_at(2_000, BoundFact::Free);
    let [Judged::Expired(change)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(change.removed, [row]);
    assert_eq!(change.added, None);
    assert_eq!(host.rows(), ["200001 2 udp 0.0.0.0.8.8 Uid(0)"], "nobody judges another namespace's");
    assert_eq!(host.service.liveness_counts().expired, 1);
    assert_eq!(host.service.registry().dead(), 0);
    let listed = crate::host::dump(&host.send(&unix(0), &call(bind::V4, bind::DUMP, &[])));
    assert!(!listed.iter().any(|(program, version, ..)| (*program, *version) == (PROGRAM, 1)));
}

#[test]
fn rows_of_a_namespace_that_only_shares_a_number_with_nobody_are_nobodys_to_judge() {
    let mut host = Host::new();
    for namespace in [0, 1, u64::MAX] {
        let caller = rpcbind_core::caller::Caller::Unix { uid: Some(0), namespace: Namespace(namespace) };
        assert_ne!(Namespace(namespace), HOME);
        let version = u32::try_from(namespace & 0xffff).unwrap();
        assert!(host.send(&caller, &set(PROGRAM, version, "udp", "0.0.0.0.8.8")).is_true());
    }
    assert_eq!(host.candidates(), []);
    assert_eq!(host.sweep_at(30, BoundFact::Free), []);
}
