//! UNSET: whole or not at all.

use crate::callers::{USER, loopback_udp, unix};
use crate::calls::{TCP, UDP, mapping, rpcb, set, unset};
use crate::host::{Ended, Host};
use oncrpc::bind::{self, V3, V4};
use rpcbind_core::outcome::Refusal;
use rpcbind_core::settings::Policy;

const PROGRAM: u32 = 200_001;

/// What an UNSET took away, by netid.
fn removed(host: &Host, ended: &Ended) -> Vec<String> {
    let change = ended.change.as_ref().unwrap();
    assert!(change.added.is_none());
    change.removed.iter().map(|row| host.service.netids().name(row.netid).to_string()).collect()
}

/// A host with a program on four netids, rows of one user, with another program and version beside it.
fn host() -> Host {
    let mut host = Host::new();
    let rows = [
        (PROGRAM, 1, "udp", "0.0.0.0.8.8"),
        (PROGRAM, 1, "tcp", "0.0.0.0.8.8"),
        (PROGRAM, 2, "udp", "0.0.0.0.8.8"),
        (PROGRAM, 1, "udp6", "::.8.8"),
        (PROGRAM, 1, "local", "/run/mine"),
        (PROGRAM + 1, 1, "udp", "0.0.0.0.8.8"),
    ];
    for (program, version, netid, address) in rows {
        assert!(host.send(&unix(USER), &set(program, version, netid, address)).is_true());
    }
    host
}

#[test]
fn an_empty_netid_takes_every_netid_of_exactly_that_version() {
    let mut host = host();
    let ended = host.send(&unix(USER), &unset(PROGRAM, 1, ""));
    assert!(ended.is_true());
    assert_eq!(removed(&host, &ended), ["udp", "tcp", "udp6", "local"]);
    assert_eq!(host.rows(), ["200001 2 udp 0.0.0.0.8.8 Uid(1000)", "200002 1 udp 0.0.0.0.8.8 Uid(1000)"]);
}

#[test]
fn a_named_netid_takes_one_row_whatever_its_case() {
    let mut host = host();
    let ended = host.send(&unix(USER), &unset(PROGRAM, 1, "UDP6"));
    assert!(ended.is_true());
    assert_eq!(removed(&host, &ended), ["udp6"]);
    assert_eq!(host.rows().len(), 5);
}

#[test]
fn the_address_is_not_looked_at() {
    let long = "x".repeat(8_000);
    for address in ["", "0.0.0.0.0.0", "garbage", "/run", long.as_str()] {
        let mut host = host();
        let call = rpcb(V4, bind::UNSET, PROGRAM, 1, "tcp", address);
        assert!(host.send(&unix(USER), &call).is_true());
        assert_eq!(host.rows().len(), 5);
    }
}

#[test]
fn what_is_not_there_is_true() {
    let mut host = host();
    for (program, version, netid) in
        [(PROGRAM, 9, ""), (PROGRAM + 9, 1, ""), (PROGRAM, 1, "sctp"), (PROGRAM, 1, "no-such-netid")]
    {
        for caller in [unix(0), unix(1_001), loopback_udp(40_000)] {
            for called in [V3, V4] {
                let call = rpcb(called, bind::UNSET, program, version, netid, "");
                let ended = host.send(&caller, &call);
                assert!(ended.is_true());
                assert_eq!(removed(&host, &ended), [""; 0]);
            }
        }
    }
    assert_eq!(host.rows().len(), 6);
}

#[test]
fn version_2_takes_both_protocols_and_no_other_whatever_it_names() {
    for (protocol, port) in [(UDP, 2_056), (TCP, 0), (0, 70_000), (u32::MAX, u32::MAX)] {
        let mut host = host();
        let ended = host.send(&unix(USER), &mapping(bind::UNSET, PROGRAM, 1, protocol, port));
        assert!(ended.is_true());
        assert_eq!(removed(&host, &ended), ["udp", "tcp"]);
        assert_eq!(host.rows().len(), 4);
    }
}

#[test]
fn one_row_of_somebody_else_and_nothing_goes() {
    for call in [unset(PROGRAM, 7, ""), mapping(bind::UNSET, PROGRAM, 7, UDP, 0)] {
        let mut host = host();
        assert!(host.send(&unix(USER), &set(PROGRAM, 7, "tcp", "0.0.0.0.8.8")).is_true());
        assert!(host.send(&unix(1_001), &set(PROGRAM, 7, "udp", "0.0.0.0.8.8")).is_true());
        let before = host.rows();
        for uid in [USER, 1_001, 999] {
            host.send(&unix(uid), &call).is_refused(Refusal::NotOwner);
        }
        assert_eq!(host.rows(), before);
        assert!(host.send(&unix(USER), &unset(PROGRAM, 7, "tcp")).is_true());
        assert!(host.send(&unix(1_001), &call).is_true());
        assert_eq!(host.rows().len(), 6);
    }
}

#[test]
fn root_removes_everybodys_rows() {
    let mut host = host();
    assert!(host.send(&unix(1_001), &set(PROGRAM, 1, "sctp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(0), &unset(PROGRAM, 1, "")).is_true());
    assert_eq!(host.rows().len(), 2);
}

#[test]
fn everybody_local_removes_rows_of_unknown() {
    for caller in [unix(USER), unix(65_534), unix(0), loopback_udp(40_000)] {
        let mut host = Host::new();
        assert!(host.send(&loopback_udp(50_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Unknown"]);
        assert!(host.send(&caller, &unset(PROGRAM, 1, "")).is_true());
        assert_eq!(host.rows(), [""; 0]);
    }
}

#[test]
fn unknown_removes_nothing_of_anybody_who_is_known() {
    for owner in [unix(USER), unix(0), unix(65_534)] {
        let mut host = Host::new();
        assert!(host.send(&owner, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&loopback_udp(50_000), &unset(PROGRAM, 1, ""));
        ended.is_refused(Refusal::NotOwner);
        assert_eq!(host.rows().len(), 1);
    }
}

#[test]
fn nobody_removes_program_100000() {
    for caller in [unix(0), unix(USER), loopback_udp(600)] {
        let mut host = Host::with_policy(Policy { started_by: Some(USER), ..Policy::default() });
        let before = host.service.registry().len();
        for (version, netid) in [(2, ""), (3, "tcp"), (4, ""), (9, "")] {
            host.send(&caller, &unset(100_000, version, netid)).is_refused(Refusal::PortMapper);
            let ended = host.send(&caller, &mapping(bind::UNSET, 100_000, version, UDP, 111));
            ended.is_refused(Refusal::PortMapper);
        }
        assert_eq!(host.service.registry().len(), before);
    }
}
