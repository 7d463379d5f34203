//! Every procedure of every version, and every way in which a call is turned away before it is looked at.

use crate::callers::{
    changed, ip, loopback_tcp, loopback_udp, one_each, own_udp, stranger_tcp, stranger_udp, unix,
};
use crate::calls::{XID, call, encoded, mapping, netbuf, opaque, remote, row};
use crate::host::Host;
use core::net::SocketAddr;
use oncrpc::bind::{self, Mapping, Protocol, V2, V3, V4};
use oncrpc::{Answer, Call, Procedure, Program, Version, Xid};
use rpcbind_core::access::{
    AccessList, AccessRule, Action, ClientPattern, HostRule, HostRules, ProcedureKind, ProcedureSet,
};
use rpcbind_core::outcome::Reason;
use rpcbind_core::settings::Policy;

/// The versions with the number of their last procedure.
const VERSIONS: [(Version, u32); 3] = [(V2, 5), (V3, 8), (V4, 12)];

/// Complete arguments for a procedure; those that need none have none.
pub(crate) fn arguments(version: Version, procedure: u32) -> Vec<u8> {
    let (program, port) = (Program(200_001), 2_056);
    match (version, procedure) {
        (_, 0 | 4 | 6 | 12) => Vec::new(),
        (_, 5 | 10) => remote(200_001, 1, 1, b"12345"),
        (V2, _) => encoded(&Mapping { program, version: Version(1), protocol: Protocol::UDP, port }),
        (_, 7) => opaque(b"192.0.2.2.8.8"),
        (_, 8) => netbuf(&[2, 0, 8, 8, 192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        _ => row(200_001, 1, "udp", "0.0.0.0.8.8"),
    }
}

#[test]
fn every_procedure_of_every_version_is_served_on_every_transport() {
    for (version, last) in VERSIONS {
        for number in (0..=last).filter(|number| !matches!(number, 5 | 10)) {
            for (transport, caller) in one_each() {
                let mut host = Host::new();
                let ended =
                    host.send(&caller, &call(version, Procedure(number), &arguments(version, number)));
                assert!(
                    matches!(ended.answer(), Some(Answer::Success(_))),
                    "version {version} procedure {number} on {transport:?}: {ended:?}"
                );
                assert_eq!(ended.why.version, Some(version));
                assert_eq!(ended.why.procedure, Some(Procedure(number)));
                let names_one = matches!(number, 1..=3 | 9 | 11);
                assert_eq!(ended.why.program, names_one.then_some(Program(200_001)));
            }
        }
    }
}

#[test]
fn procedures_beyond_the_last_one_are_unavailable() {
    for (version, last) in VERSIONS {
        for number in (last + 1..=20).chain([255, u32::MAX]) {
            for caller in [unix(0), loopback_udp(600), stranger_tcp(), stranger_udp()] {
                let arguments = arguments(V4, 3);
                let ended = Host::new().send(&caller, &call(version, Procedure(number), &arguments));
                assert_eq!(ended.answer(), Some(Answer::ProcedureUnavailable));
                assert_eq!(ended.why.reason, Reason::ProcedureUnavailable);
            }
        }
    }
}

#[test]
fn versions_other_than_2_to_4_are_a_mismatch() {
    for version in [0, 1, 5, 99, u32::MAX] {
        for caller in [unix(0), loopback_udp(600), stranger_tcp(), stranger_udp()] {
            let ended = Host::new().send(&caller, &call(Version(version), Procedure(0), &[]));
            assert_eq!(ended.answer(), Some(Answer::ProgramMismatch { low: 2, high: 4 }));
            assert_eq!(ended.why.reason, Reason::VersionMismatch);
        }
    }
}

#[test]
fn other_programs_are_unavailable_registered_or_not() {
    let mut host = Host::new();
    assert!(host.send(&unix(0), &call(V4, bind::SET, &arguments(V4, 1))).is_true());
    for program in [0, 99_999, 100_001, 100_003, 200_001, u32::MAX] {
        for caller in [unix(0), loopback_udp(600), stranger_tcp(), stranger_udp()] {
            let message = encoded(&Call::new(XID, Program(program), V4, Procedure(0)));
            let ended = host.send(&caller, &message);
            assert_eq!(ended.answer(), Some(Answer::ProgramUnavailable));
            assert_eq!(ended.why.reason, Reason::ProgramUnavailable);
        }
    }
}

#[test]
fn other_versions_of_rpc_are_a_mismatch_whatever_follows() {
    for version in [0_u32, 1, 3, u32::MAX] {
        for caller in [unix(0), loopback_udp(600), stranger_tcp(), stranger_udp()] {
            let mut message = call(Version(9), Procedure(99), &[]);
            message[8..12].copy_from_slice(&version.to_be_bytes());
            message[24..].fill(0xff);
            let ended = Host::new().send(&caller, &message);
            assert_eq!(ended.answer(), Some(Answer::RpcMismatch { low: 2, high: 2 }));
            assert_eq!(ended.why.reason, Reason::RpcMismatch);
        }
    }
}

#[test]
fn what_is_not_a_call_is_not_answered() {
    for kind in [1_u32, 2, u32::MAX] {
        for caller in [unix(0), loopback_udp(600), loopback_tcp(600), stranger_tcp(), stranger_udp()] {
            let mut message = call(V4, Procedure(0), &[]);
            message[4..8].copy_from_slice(&kind.to_be_bytes());
            let ended = Host::new().send(&caller, &message);
            assert_eq!(ended.answer(), None);
            assert_eq!(ended.why.reason, Reason::NotACall);
        }
    }
}

#[test]
fn bytes_after_the_arguments_are_accepted() {
    for (version, last) in VERSIONS {
        for number in (0..=last).filter(|number| !matches!(number, 5 | 10)) {
            for trailing in [1, 2, 3, 4, 7, 100] {
                let mut arguments = arguments(version, number);
                arguments.resize(arguments.len() + trailing, 0xff);
                let ended = Host::new().send(&unix(0), &call(version, Procedure(number), &arguments));
                assert!(matches!(ended.answer(), Some(Answer::Success(_))), "{version} {number}");
            }
        }
    }
}

#[test]
fn the_xid_comes_back_whatever_it_is() {
    for xid in [0, 1, 0x8000_0000, u32::MAX] {
        let message = encoded(&Call::new(Xid(xid), bind::PROGRAM, V4, Procedure(0)));
        let reply = Host::new().send(&stranger_udp(), &message).reply.unwrap();
        assert_eq!(reply[..4], xid.to_be_bytes());
    }
}

/// The only reply to these is none.
#[track_caller]
fn is_silent(caller: &rpcbind_core::caller::Caller, message: &[u8], reason: Reason) {
    let ended = Host::new().send(caller, message);
    assert_eq!(ended.answer(), None);
    assert_eq!(ended.why.reason, reason);
}

#[test]
fn datagrams_that_nobody_may_answer_are_not_answered() {
    let null = call(V4, Procedure(0), &[]);
    let padded = call(V4, Procedure(0), &[0; 600]);
    for caller in [stranger_udp(), own_udp(), loopback_udp(40_000)] {
        for message in [&null, &padded] {
            for port in [0, 7, 13, 17, 19, 111] {
                let from_server = changed(caller, |datagram| datagram.from.set_port(port));
                is_silent(&from_server, message, Reason::Unanswerable);
            }
            for group in ["255.255.255.255", "224.0.0.1", "192.0.2.127", "127.255.255.255"] {
                let to_all = changed(caller, |datagram| datagram.destination = ip(group));
                is_silent(&to_all, message, Reason::Unanswerable);
            }
            // Where the kernel does not say for which address of ours it was delivered.
            for group in ["255.255.255.255", "224.0.0.1"] {
                let to_all = changed(caller, |datagram| {
                    datagram.destination = ip(group);
                    datagram.local.set_ip(ip(group));
                });
                is_silent(&to_all, message, Reason::Unanswerable);
            }
            for nobody in ["0.0.0.0", "255.255.255.255", "224.0.0.1"] {
                let forged = changed(caller, |datagram| datagram.from.set_ip(ip(nobody)));
                is_silent(&forged, message, Reason::Unanswerable);
            }
        }
    }
    let v6 = |from: &str, to: &str| {
        changed(stranger_udp(), |datagram| {
            datagram.from = SocketAddr::new(ip(from), 40_000);
            datagram.local = SocketAddr::new(ip(to), 111);
            datagram.destination = ip(to);
        })
    };
    is_silent(&v6("2001:db8::7", "ff02::202"), &null, Reason::Unanswerable);
    is_silent(&v6("ff02::1", "2001:db8::2"), &null, Reason::Unanswerable);
    is_silent(&v6("::", "2001:db8::2"), &null, Reason::Unanswerable);
    let answered = Host::new().send(&v6("2001:db8::7", "2001:db8::2"), &null);
    assert_eq!(answered.results(), []);
}

#[test]
fn only_strangers_datagrams_have_to_be_40_bytes_long() {
    let short = &call(V4, Procedure(0), &[])[..39];
    is_silent(&stranger_udp(), short, Reason::NotACall);
    for caller in [own_udp(), loopback_udp(40_000), loopback_tcp(40_000), stranger_tcp(), unix(0)] {
        assert!(Host::new().send(&caller, short).reply.is_some());
    }
}

#[test]
fn hosts_rules_cover_every_procedure_and_spare_the_unix_sockets() {
    let deny = HostRule { clients: vec![vec![ClientPattern::All]], admit: false };
    let policy = Policy { hosts: HostRules::new(Vec::new(), vec![deny]), ..Policy::default() };
    refuses_everything(&policy);
}

#[test]
fn access_rules_cover_every_procedure_and_spare_the_unix_sockets() {
    let deny = AccessRule {
        action: Action::Deny,
        from: Vec::new(),
        procedures: ProcedureSet::ALL,
        programs: Vec::new(),
    };
    let policy = Policy { access: AccessList::new(vec![deny]), ..Policy::default() };
    refuses_everything(&policy);
}

fn refuses_everything(policy: &Policy) {
    for (version, last) in VERSIONS {
        for number in 0..=last {
            let message = call(version, Procedure(number), &arguments(version, number));
            for caller in [loopback_udp(600), loopback_tcp(600), stranger_tcp(), stranger_udp(), own_udp()] {
                let mut host = Host::with_policy(policy.clone());
                let ended = host.send(&caller, &message);
                assert_eq!(ended.questions, []);
                assert_eq!(ended.why.reason, Reason::AccessDenied);
                let told = number != 5 && (number != 10 || caller.transport().netid() == "udp");
                if told {
                    ended.is_too_weak(Reason::AccessDenied);
                } else {
                    assert_eq!(ended.answer(), None);
                }
            }
            let ended = Host::with_policy(policy.clone()).send(&unix(1_000), &message);
            assert_ne!(ended.why.reason, Reason::AccessDenied);
        }
    }
}

#[test]
fn access_rules_go_by_kind_of_procedure_and_by_program() {
    let deny = AccessRule {
        action: Action::Deny,
        from: vec!["198.51.100.0/24".parse().unwrap()],
        procedures: ProcedureSet::NONE.with(ProcedureKind::Lookup),
        programs: vec![100_003..=100_005],
    };
    let mut host = Host::with_policy(Policy { access: AccessList::new(vec![deny]), ..Policy::default() });
    let mut ask = |caller, program| host.send(&caller, &mapping(bind::GETPORT, program, 3, 17, 0)).why.reason;
    assert_eq!(ask(stranger_udp(), 100_003), Reason::AccessDenied);
    assert_eq!(ask(stranger_tcp(), 100_005), Reason::AccessDenied);
    assert_eq!(ask(stranger_udp(), 100_000), Reason::Answered);
    assert_eq!(ask(loopback_udp(40_000), 100_003), Reason::NotRegistered);
    let ended = host.send(&stranger_tcp(), &call(V4, bind::DUMP, &[]));
    assert_eq!(ended.why.reason, Reason::Answered);
}
