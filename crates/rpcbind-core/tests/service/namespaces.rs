//! Rows and callers of other network namespaces: they leave home's rows alone, and home's root rules over theirs.

use crate::callers::{USER, loopback_udp, unix, unix_elsewhere};
use crate::calls::{UDP, mapping, set, unset};
use crate::host::Host;
use oncrpc::bind;
use rpcbind_core::caller::{Caller, Namespace};
use rpcbind_core::facts::BoundFact;
use rpcbind_core::outcome::Refusal;

const PROGRAM: u32 = 200_001;

#[test]
fn rows_of_another_namespace_do_not_match_an_unset() {
    // Whoever removes, whoever registered: of another namespace means not concerned, and so TRUE.
    let pairs = [
        (unix(0), unix_elsewhere(0)),
        (unix(0), unix_elsewhere(USER)),
        (unix(USER), unix_elsewhere(USER)),
        (unix_elsewhere(USER), unix(USER)),
        (unix_elsewhere(0), Caller::Unix { uid: Some(0), namespace: Namespace(3) }),
        (loopback_udp(40_000), unix_elsewhere(0)),
    ];
    for (registrar, remover) in pairs {
        for call in
            [unset(PROGRAM, 1, ""), unset(PROGRAM, 1, "udp"), mapping(bind::UNSET, PROGRAM, 1, UDP, 0)]
        {
            let mut host = Host::new();
            assert!(host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
            let ended = host.send(&remover, &call);
            assert!(ended.is_true());
            assert!(ended.change.unwrap().removed.is_empty());
            assert_eq!(host.rows().len(), 1, "{registrar:?} {remover:?}");
        }
    }
}

#[test]
fn homes_root_removes_rows_of_every_namespace() {
    for registrar in [unix_elsewhere(0), unix_elsewhere(USER), unix(USER)] {
        let mut host = Host::new();
        assert!(host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        assert!(host.send(&unix(0), &unset(PROGRAM, 1, "")).is_true());
        assert_eq!(host.rows(), [""; 0]);
    }
}

#[test]
fn a_caller_from_elsewhere_removes_its_own_rows_only() {
    let mut host = Host::new();
    assert!(host.send(&unix_elsewhere(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    for other in [unix_elsewhere(0), unix_elsewhere(1_001)] {
        host.send(&other, &unset(PROGRAM, 1, "")).is_refused(Refusal::NotOwner);
    }
    assert!(host.send(&unix_elsewhere(USER), &unset(PROGRAM, 1, "")).is_true());
    assert_eq!(host.rows(), [""; 0]);
}

#[test]
fn an_unset_from_elsewhere_takes_its_rows_and_leaves_homes() {
    let mut host = Host::new();
    assert!(host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix_elsewhere(0), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.8")).is_true());
    let ended = host.send(&unix_elsewhere(0), &unset(PROGRAM, 1, ""));
    assert!(ended.is_true());
    assert_eq!(ended.change.unwrap().removed.len(), 1);
    assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Uid(0)"]);
}

#[test]
fn a_row_of_another_namespace_is_in_the_way_even_for_root_from_elsewhere() {
    for registrar in [unix(0), unix(USER), loopback_udp(40_000)] {
        for other in [unix_elsewhere(0), unix_elsewhere(USER)] {
            let mut host = Host::new();
            host.bound = BoundFact::Free;
            assert!(host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
            let ended = host.send(&other, &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
            ended.is_refused(Refusal::Conflict);
            assert!(host.send(&other, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
            assert_eq!(host.rows().len(), 1);
        }
    }
}

#[test]
fn services_of_another_namespace_are_never_judged_dead() {
    for registrar in [unix_elsewhere(0), unix_elsewhere(USER)] {
        let mut host = Host::new();
        host.bound = BoundFact::Free;
        assert!(host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
        ended.is_refused(Refusal::Conflict);
        assert_eq!(ended.questions, []);
    }
}

#[test]
fn from_elsewhere_only_root_names_a_specific_address() {
    for address in ["192.0.2.2.8.8", "127.0.0.1.8.8", "198.51.100.9.8.8"] {
        for uid in [1, 999, USER, 65_534] {
            let mut host = Host::new();
            let ended = host.send(&unix_elsewhere(uid), &set(PROGRAM, 1, "udp", address));
            ended.is_refused(Refusal::ForeignAddress);
            let wildcard = host.send(&unix_elsewhere(uid), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
            assert!(wildcard.is_true());
        }
        let mut host = Host::new();
        assert!(host.send(&unix_elsewhere(0), &set(PROGRAM, 1, "udp", address)).is_true());
    }
    let mut host = Host::new();
    assert!(host.send(&unix_elsewhere(USER), &set(PROGRAM, 1, "local", "/run/mine")).is_true());
}

#[test]
fn a_uid_keeps_its_rules_wherever_it_calls_from() {
    let mut host = Host::new();
    let ended = host.send(&unix_elsewhere(USER), &set(100_003, 3, "udp", "0.0.0.0.8.8"));
    ended.is_refused(Refusal::ReservedProgram);
    let ended = host.send(&unix_elsewhere(USER), &set(PROGRAM, 3, "udp", "0.0.0.0.0.80"));
    ended.is_refused(Refusal::ReservedPort);
    assert!(host.send(&unix_elsewhere(0), &set(100_003, 3, "udp", "0.0.0.0.8.1")).is_true());
    assert!(host.send(&unix_elsewhere(999), &set(100_024, 1, "udp", "0.0.0.0.3.1")).is_true());
}

#[test]
fn rows_of_unknown_are_homes_to_remove() {
    let nobody = |namespace| Caller::Unix { uid: None, namespace };
    let mut host = Host::new();
    assert!(host.send(&nobody(Namespace(3)), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    // Nobody in particular registered it elsewhere: nobody in particular may not remove it there.
    host.send(&nobody(Namespace(3)), &unset(PROGRAM, 1, "")).is_refused(Refusal::NotOwner);
    assert!(host.send(&unix(USER), &unset(PROGRAM, 1, "")).change.unwrap().removed.is_empty());
    assert!(host.send(&unix(0), &unset(PROGRAM, 1, "")).is_true());
    assert_eq!(host.rows(), [""; 0]);
}

#[test]
fn homes_root_takes_over_rows_of_every_namespace_without_a_question() {
    for registrar in [unix_elsewhere(0), unix_elsewhere(USER)] {
        let mut host = Host::new();
        host.bound = BoundFact::Bound;
        assert!(host.send(&registrar, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
        assert!(ended.is_true());
        assert_eq!(ended.questions, []);
        assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.9 Uid(0)"]);
    }
}
