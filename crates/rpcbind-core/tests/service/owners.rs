//! Who the kernel says a caller is: every combination of facts about the socket at its end.

use crate::callers::{USER, loopback_tcp, loopback_udp, stranger_tcp, tcp, udp, unix};
use crate::calls::{set, unset};
use crate::host::{Ended, Host, socket};
use core::net::SocketAddr;
use rpcbind_core::caller::{Caller, Transport};
use rpcbind_core::facts::{BoundFact, OwnerFact, Question, Socket};
use rpcbind_core::outcome::{Reason, Refusal};
use rpcbind_core::registry::Owner;
use rpcbind_core::settings::Policy;

const PROGRAM: u32 = 200_001;

/// Registers, and says who owns the row.
fn owner_by(policy: &Policy, caller: &Caller, fact: OwnerFact) -> Owner {
    let mut host = Host::with_policy(policy.clone());
    host.owner = fact;
    let ended = host.send(caller, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
    assert!(ended.is_true());
    ended.change.unwrap().added.unwrap().owner
}

fn owner(caller: &Caller, sockets: &[Socket]) -> Owner {
    owner_by(&Policy::default(), caller, OwnerFact::Sockets(sockets.to_vec()))
}

fn try_set(caller: &Caller, policy: Policy, sockets: &[Socket]) -> Ended {
    let mut host = Host::with_policy(policy);
    host.owner = OwnerFact::Sockets(sockets.to_vec());
    host.send(caller, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"))
}

#[test]
fn a_unix_peer_is_its_uid_and_no_question_is_asked() {
    for uid in [0, 1, USER, 65_534, u32::MAX] {
        let mut host = Host::new();
        let ended = host.send(&unix(uid), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
        assert!(ended.is_true());
        assert_eq!(ended.questions, []);
        assert_eq!(ended.change.unwrap().added.unwrap().owner, Owner::Uid(uid));
    }
}

#[test]
fn a_unix_peer_without_credentials_is_unknown() {
    let nobody = Caller::Unix { uid: None, namespace: crate::callers::HOME };
    assert_eq!(owner(&nobody, &[socket(0, 1)]), Owner::Unknown);
}

#[test]
fn the_question_names_both_ends_and_the_transport() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let cases = [
        (loopback_tcp(700), Transport::Tcp, "127.0.0.1:700", "127.0.0.1:111"),
        (loopback_udp(700), Transport::Udp, "127.0.0.1:700", "127.0.0.1:111"),
        (tcp("[::1]:700", "[::1]:111"), Transport::Tcp6, "[::1]:700", "[::1]:111"),
        (Caller::Datagram(udp("[::1]:700", "[::1]:111", 1)), Transport::Udp6, "[::1]:700", "[::1]:111"),
    ];
    for (caller, transport, remote, local) in cases {
        let mut host = Host::new();
        for message in [set(PROGRAM, 1, "udp", "0.0.0.0.8.8"), unset(PROGRAM, 1, "")] {
            let ended = host.send(&caller, &message);
            assert!(ended.is_true());
            let (remote, local) = (address(remote), address(local));
            assert_eq!(ended.questions, [Question::Owner { transport, local, remote }]);
        }
    }
}

#[test]
fn without_sock_diag_a_privileged_port_is_root_and_any_other_is_unknown() {
    let policy = |below| Policy { privileged_ports_below: below, ..Policy::default() };
    for caller in [loopback_tcp, loopback_udp] {
        for (below, port, expected) in [
            (1_024, 1, Owner::ROOT),
            (1_024, 1_023, Owner::ROOT),
            (1_024, 1_024, Owner::Unknown),
            (80, 79, Owner::ROOT),
            (80, 80, Owner::Unknown),
            (0, 600, Owner::Unknown),
        ] {
            assert_eq!(
                owner_by(&policy(below), &caller(port), OwnerFact::Unknown),
                expected,
                "{below} {port}"
            );
        }
    }
}

#[test]
fn a_connections_uid_is_believed_only_when_everything_about_it_is_right() {
    let port = 40_000;
    let caller = loopback_tcp(port);
    for uid in [0, 1, 999, USER, 65_534] {
        // Established, with an inode, with its port, not ours: all sixteen combinations.
        for bits in 0..16_u32 {
            let found = Socket {
                uid,
                established: bits & 1 != 0,
                inode: if bits & 2 != 0 { 9 } else { 0 },
                port: if bits & 4 != 0 { port } else { port + 1 },
                ours: bits & 8 == 0,
            };
            let expected = if bits == 15 { Owner::Uid(uid) } else { Owner::Unknown };
            assert_eq!(owner(&caller, &[found]), expected, "{found:?}");
        }
        let two = [socket(uid, port), socket(uid, port)];
        assert_eq!(owner(&caller, &two), Owner::Unknown);
    }
    // The port that the connection comes from proves nothing when the kernel has been asked.
    let closed = Socket { established: false, inode: 0, ..socket(0, 600) };
    assert_eq!(owner(&loopback_tcp(600), &[closed]), Owner::Unknown);
    assert_eq!(owner(&loopback_tcp(600), &[socket(USER, 600)]), Owner::Uid(USER));
}

#[test]
fn a_datagrams_uid_is_believed_only_when_every_socket_on_its_port_agrees() {
    let port = 40_000;
    let caller = loopback_udp(port);
    let mine = socket(USER, port);
    // UDP sockets are not established, unless connected: it does not matter.
    let unconnected = Socket { established: false, ..mine };
    let agreeing: [&[Socket]; 3] = [&[mine], &[unconnected], &[mine, unconnected, mine]];
    for sockets in agreeing {
        assert_eq!(owner(&caller, sockets), Owner::Uid(USER));
    }
    let wrong = [
        Socket { uid: 1_001, ..mine },
        Socket { uid: 0, ..mine },
        Socket { inode: 0, ..mine },
        Socket { ours: true, ..mine },
        Socket { port: port + 1, ..mine },
    ];
    for other in wrong {
        for sockets in [&[mine, other][..], &[other, mine], &[mine, mine, other]] {
            assert_eq!(owner(&caller, sockets), Owner::Unknown, "{other:?}");
        }
    }
    for alone in &wrong[2..] {
        assert_eq!(owner(&caller, &[*alone]), Owner::Unknown, "{alone:?}");
    }
    assert_eq!(owner(&caller, &[]), Owner::Unknown);
}

#[test]
fn a_datagram_from_a_privileged_port_still_needs_its_socket() {
    assert_eq!(owner(&loopback_udp(600), &[]), Owner::Unknown);
    assert_eq!(owner(&loopback_udp(600), &[Socket { inode: 0, ..socket(0, 600) }]), Owner::Unknown);
    assert_eq!(owner(&loopback_udp(600), &[socket(0, 600), socket(USER, 600)]), Owner::Unknown);
}

#[test]
fn root_and_system_users_are_believed_only_from_a_port_that_nobody_can_share() {
    for uid in [0, 1, 999, 61_184, 65_519] {
        for (port, expected) in [(1_023, Owner::Uid(uid)), (1_024, Owner::Unknown), (40_000, Owner::Unknown)]
        {
            assert_eq!(owner(&loopback_udp(port), &[socket(uid, port)]), expected, "{uid} {port}");
        }
        let lowered = Policy { privileged_ports_below: 80, ..Policy::default() };
        let fact = |port| OwnerFact::Sockets(vec![socket(uid, port)]);
        assert_eq!(owner_by(&lowered, &loopback_udp(600), fact(600)), Owner::Unknown);
        assert_eq!(owner_by(&lowered, &loopback_udp(79), fact(79)), Owner::Uid(uid));
        // Over TCP the exact other end of the connection is known, whatever its port.
        assert_eq!(owner(&loopback_tcp(40_000), &[socket(uid, 40_000)]), Owner::Uid(uid));
    }
    for uid in [1_000, 61_183, 65_520, 65_534] {
        for port in [600, 40_000] {
            assert_eq!(owner(&loopback_udp(port), &[socket(uid, port)]), Owner::Uid(uid));
        }
    }
}

#[test]
fn a_stranger_is_never_asked_about() {
    let ended = try_set(&stranger_tcp(), Policy::default(), &[socket(0, 40_000)]);
    ended.is_too_weak(Reason::NotLocal);
    assert_eq!(ended.questions, []);
    let insecure = Policy { insecure: true, ..Policy::default() };
    let ended = try_set(&stranger_tcp(), insecure, &[socket(0, 40_000)]);
    assert!(ended.is_true());
    assert_eq!(ended.questions, []);
    assert_eq!(ended.change.unwrap().added.unwrap().owner, Owner::Unknown);
}

#[test]
fn both_questions_are_asked_once_each_for_one_message() {
    let mut host = Host::new();
    host.owner = OwnerFact::Sockets(vec![socket(USER, 40_000)]);
    host.bound = BoundFact::Free;
    assert!(host.send(&loopback_tcp(40_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    let ended = host.send(&loopback_tcp(40_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
    assert!(ended.is_true());
    assert!(matches!(ended.questions[..], [Question::Owner { .. }, Question::Bound { .. }]));
}

#[test]
fn what_loopback_owners_may_do_is_what_their_uid_may() {
    let cases = [
        (loopback_tcp(40_000), socket(0, 40_000), None),
        (loopback_tcp(40_000), socket(USER, 40_000), Some(Refusal::ReservedProgram)),
        (loopback_udp(600), socket(0, 600), None),
        (loopback_udp(40_000), socket(0, 40_000), Some(Refusal::ReservedProgram)),
        (loopback_udp(40_000), socket(USER, 40_000), Some(Refusal::ReservedProgram)),
    ];
    for (caller, found, refusal) in cases {
        let mut host = Host::new();
        host.owner = OwnerFact::Sockets(vec![found]);
        let ended = host.send(&caller, &set(100_003, 3, "tcp", "0.0.0.0.8.1"));
        match refusal {
            None => assert!(ended.is_true(), "{found:?}"),
            Some(refusal) => ended.is_refused(refusal),
        }
    }
}

#[test]
fn a_connection_whose_other_end_is_not_here_is_not_local() {
    for port in [600, 40_000] {
        let mut host = Host::new();
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        host.owner = OwnerFact::Sockets(Vec::new());
        host.bound = BoundFact::Free;
        let caller = loopback_tcp(port);
        // Nothing is told about the table either: not what is there, what is absent, or what is wrong.
        for message in [
            set(PROGRAM, 2, "udp", "0.0.0.0.8.8"),
            set(PROGRAM, 1, "udp", "0.0.0.0.8.8"),
            set(PROGRAM, 1, "udp", "0.0.0.0.8.9"),
            set(PROGRAM, 1, "foo", "bar"),
            set(100_000, 1, "udp", "0.0.0.0.8.8"),
            unset(PROGRAM, 1, ""),
            unset(PROGRAM, 9, ""),
            unset(100_000, 2, ""),
        ] {
            host.send(&caller, &message).is_too_weak(Reason::NotLocal);
        }
        assert_eq!(host.rows().len(), 1);
        let insecure = Policy { insecure: true, ..Policy::default() };
        assert_eq!(owner_by(&insecure, &caller, OwnerFact::Sockets(Vec::new())), Owner::Unknown);
    }
}
