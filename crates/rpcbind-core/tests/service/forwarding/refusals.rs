//! Who is called for nobody, who is not heard, and where the room ends.

use super::*;
use rpcbind_core::limiter::{Limits, Rate};

#[test]
fn what_is_not_listed_is_called_for_nobody() {
    let too_weak = Answer::AuthError(AuthStatus::TooWeak);
    let mut host = host();
    let calls = [
        (100_003, 3, 0, true),
        (100_004, 2, 0, true),
        (100_004, 2, 1, true),
        (100_004, 2, 2, true),
        (100_004, 2, 6, false),
        (100_026, 1, 1, true),
        (100_026, 1, 2, false),
        (100_029, 1, 0, true),
        (100_029, 1, 1, false),
        (PROGRAM, 5, 9_999, true),
    ];
    for (program, version, procedure, allowed) in calls {
        let message = indirect(program, version, procedure, b"");
        if allowed {
            let forward = forwarded(&mut host, &stranger_udp(), &message);
            assert!(host.undeliverable(forward.call).is_some());
        } else {
            refused(&mut host, &stranger_udp(), &message, Reason::RemoteCallRefused, too_weak);
            for (called, form) in BROADCAST_FORMS {
                let ended = host
                    .send(&stranger_udp(), &call(called, form, &remote(program, version, procedure, b"")));
                assert_eq!((ended.why.reason, ended.reply), (Reason::RemoteCallRefused, None));
            }
        }
    }
}

#[test]
fn what_harms_is_called_for_nobody_whatever_is_listed() {
    let everything = vec![AllowedCalls { programs: 0..=u32::MAX, procedure: None }];
    let remote_calls = RemoteRules { allowed: everything, ..RemoteRules::default() };
    let mut host = host_with(Policy { remote_calls, ..Policy::default() });
    let forbidden = [
        (100_000, 2, 4),
        (100_000, 2, 5),
        (100_000, 4, 10),
        (100_003, 3, 1),
        (100_005, 3, 1),
        (100_005, 3, 3),
        (100_007, 2, 2),
        (100_004, 2, 3),
        (100_004, 2, 4),
        (100_004, 2, 5),
        (100_004, 2, 8),
        (100_009, 1, 1),
        (100_011, 1, 1),
        (100_028, 1, 1),
        (100_029, 1, 1),
        (100_069, 1, 1),
        (100_227, 3, 1),
    ];
    for (index, (program, version, procedure)) in (0..).zip(forbidden) {
        if program != 100_000 {
            let address = format!("0.0.0.0.20.{index}");
            host.send(&unix(0), &set(program, version, "udp", &address));
        }
        for caller in [stranger_udp(), stranger_tcp(), unix(0), loopback_udp(600)] {
            let ended = host.send(&caller, &indirect(program, version, procedure, b""));
            ended.is_too_weak(Reason::RemoteCallRefused);
            assert_eq!(ended.forward, None);
        }
    }
}

#[test]
fn null_of_our_own_program_is_answered_and_calls_nobody() {
    let mut host = host();
    let ended = host.send(&stranger_udp(), &indirect(100_000, 2, 0, b""));
    assert_eq!(ended.forward, None);
    let result = CallResult::decode(&mut Reader::new(ended.results())).unwrap();
    assert_eq!(result, CallResult { address: b"192.0.2.2.0.111", results: b"" });
    let ended = host.send(&stranger_udp(), &call(V2, bind::CALLIT, &remote(100_000, 2, 0, b"")));
    let result = PortCallResult::decode(&mut Reader::new(ended.results())).unwrap();
    assert_eq!(result, PortCallResult { port: 111, results: b"" });
    let mismatch = Answer::ProgramMismatch { low: 2, high: 4 };
    let message = indirect(100_000, 9, 0, b"");
    refused(&mut host, &stranger_udp(), &message, Reason::NotRegistered, mismatch);
}

#[test]
fn only_services_at_addresses_of_this_host_and_of_its_namespace_are_called() {
    let mut host = host();
    let row = |version, address: &str, namespace| Row {
        program: Program(PROGRAM + 2),
        version: Version(version),
        netid: bind::Netid::UDP,
        address: address.into(),
        owner: Owner::ROOT,
        namespace,
    };
    let unreachable = [
        row(1, "0.0.0.0.19.136", ELSEWHERE),
        row(2, "198.51.100.9.19.136", HOME),
        row(3, "255.255.255.255.19.136", HOME),
        row(4, "224.0.0.1.19.136", HOME),
        // Ourselves, by another name: our socket, one like it, the ones that calls are made from.
        row(5, "0.0.0.0.0.111", HOME),
        row(6, "127.0.0.1.0.111", HOME),
        row(7, "127.0.0.1.195.84", HOME),
        row(8, "0.0.0.0.195.86", HOME),
        row(9, "192.0.2.127.19.136", HOME),
    ];
    for row in unreachable {
        let (version, address) = (row.version.0, row.address.clone());
        assert_eq!(host.service.restore(row), Ok(()));
        for caller in [stranger_udp(), loopback_udp(600), unix(0)] {
            let ended = host.send(&caller, &indirect(PROGRAM + 2, version, 1, b""));
            assert_eq!(ended.forward, None, "{address}");
            assert_eq!(ended.answer(), Some(Answer::SystemError), "{address}");
            assert_eq!(ended.why.reason, Reason::RemoteCallFailed);
        }
    }
    let only_inet = Forwarding { inet6: None, ..FORWARDING };
    let mut host = Host::with(Settings { forwarding: Some(only_inet), ..settings() }).take_rows(&host);
    let ended = host.send(&unix(0), &indirect(PROGRAM + 1, 1, 1, b""));
    assert_eq!((ended.answer(), ended.forward.clone()), (Some(Answer::SystemError), None));
}

#[test]
fn a_dead_service_is_not_called() {
    let mut host = host();
    host.sweep(|_| BoundFact::Free);
    let message = indirect(PROGRAM, 5, 1, b"");
    refused(&mut host, &stranger_udp(), &message, Reason::RemoteCallFailed, Answer::SystemError);
    let ended = host.send(&stranger_udp(), &call(V3, bind::CALLIT, &remote(PROGRAM, 5, 1, b"")));
    assert_eq!((ended.reply, ended.forward), (None, None));
    host.sweep(|_| BoundFact::Bound);
    forwarded(&mut host, &stranger_udp(), &message);
}

#[test]
fn access_lists_come_before_everything_that_could_tell_anything() {
    use rpcbind_core::access::{AccessList, AccessRule, Action, ProcedureKind, ProcedureSet};
    let deny = AccessRule {
        action: Action::Deny,
        from: vec!["198.51.100.0/24".parse::<Prefix>().unwrap()],
        procedures: ProcedureSet::NONE.with(ProcedureKind::RemoteCall),
        programs: Vec::new(),
    };
    let mut host = host_with(Policy { access: AccessList::new(vec![deny]), ..Policy::default() });
    for program in [PROGRAM, PROGRAM + 9, 100_000] {
        host.send(&stranger_udp(), &indirect(program, 5, 1, b"")).is_too_weak(Reason::AccessDenied);
        let ended = host.send(&stranger_udp(), &call(V3, bind::CALLIT, &remote(program, 5, 1, b"")));
        assert_eq!((ended.why.reason, ended.reply), (Reason::AccessDenied, None));
    }
    forwarded(&mut host, &loopback_udp(600), &indirect(PROGRAM, 5, 1, b""));
}

#[test]
fn only_broadcast_calls_of_neighbours_are_heard_when_they_are_sent_to_all() {
    let mut host = host();
    let to_all = |from: &str, destination: &str| {
        let six = from.starts_with('[');
        let local = if six { "[::]:111" } else { "192.0.2.2:111" };
        let mut datagram = udp(from, local, ETH0);
        datagram.destination = ip(destination);
        Caller::Datagram(datagram)
    };
    let near = [
        to_all("192.0.2.7:40000", "192.0.2.127"),
        to_all("192.0.2.7:40000", "255.255.255.255"),
        to_all("192.0.2.7:40000", "224.0.0.1"),
        to_all("[fe80::7%2]:40000", "ff02::202"),
        to_all("[2001:db8::7]:40000", "ff02::202"),
    ];
    let far = [
        to_all("198.51.100.7:40000", "192.0.2.127"),
        // Of the other interface's network.
        to_all("192.0.2.131:40000", "255.255.255.255"),
        to_all("[2001:db8:9::7]:40000", "ff02::202"),
        to_all("[2001:db8:1::7]:40000", "ff02::202"),
    ];
    for caller in near {
        for (version, procedure) in BROADCAST_FORMS {
            let call_it = call(version, procedure, &remote(PROGRAM, 5, 0, &[0; 40]));
            let forward = forwarded(&mut host, &caller, &call_it);
            let late = host.answered(forward.to, &answer(&forward, Answer::Success(b""))).unwrap();
            assert!(late.reply.is_some());
        }
        let silent = [
            indirect(PROGRAM, 5, 0, b""),
            call(V2, bind::GETPORT, &remote(PROGRAM, 5, 17, b"")),
            call(V2, Procedure::NULL, b""),
            call(V4, bind::GETTIME, b""),
            call(Version(9), bind::CALLIT, &remote(PROGRAM, 5, 0, b"")),
            encoded(&Call::new(XID, Program(100_003), V3, bind::CALLIT)),
            vec![0; 100],
        ];
        for message in silent {
            let ended = host.send(&caller, &message);
            assert_eq!((ended.why.reason, ended.reply, ended.forward), (Reason::Unanswerable, None, None));
        }
    }
    for caller in far {
        let ended = host.send(&caller, &call(V3, bind::CALLIT, &remote(PROGRAM, 5, 0, b"")));
        assert_eq!((ended.why.reason, ended.forward), (Reason::Unanswerable, None));
    }
    let mut off = Host::new();
    let ended = off.send(&near[0], &call(V3, bind::CALLIT, &remote(100_000, 4, 0, b"")));
    assert_eq!((ended.why.reason, ended.reply), (Reason::Unanswerable, None));
}

#[test]
fn arguments_that_a_datagram_cannot_carry_are_refused() {
    let mut host = host();
    let fits = indirect(PROGRAM, 5, 1, &vec![0; 8_800 - 40]);
    forwarded(&mut host, &loopback_tcp(600), &fits);
    let over = indirect(PROGRAM, 5, 1, &vec![0; 8_800 - 39]);
    refused(&mut host, &loopback_tcp(600), &over, Reason::RemoteCallFailed, Answer::SystemError);
    let message = call(V4, bind::INDIRECT, &remote(PROGRAM, 5, 1, b"12345")[..20]);
    refused(&mut host, &stranger_tcp(), &message, Reason::GarbageArguments, Answer::GarbageArguments);
}

#[test]
fn a_call_for_which_there_is_no_room_costs_its_prefix_what_is_sent_about_it() {
    let limits = Limits { replies: Rate::new(1, 10), errors: Rate::new(1, 10) };
    let (forwarding, policy) =
        (Forwarding { calls: 1, ..FORWARDING }, Policy { limits: Some(limits), ..Policy::default() });
    let settings = Settings { forwarding: Some(forwarding), policy, ..settings() };
    let mut host = Host::with(settings).take_rows(&host());
    forwarded(&mut host, &stranger_udp(), &indirect(PROGRAM, 5, 1, b""));
    for port in 1..=3 {
        let caller = changed(stranger_udp(), |datagram| datagram.from.set_port(50_000 + port));
        let ended = host.send(&caller, &call(V3, bind::CALLIT, &remote(PROGRAM, 5, 1, b"")));
        assert_eq!((ended.why.reason, ended.reply), (Reason::RemoteCallsFull, None));
        let message = indirect(PROGRAM, 5, 1, b"");
        refused(&mut host, &caller, &message, Reason::RemoteCallsFull, Answer::SystemError);
    }
    // Ten in all: the call that was made, three refusals, and so many more.
    let null = call(V4, Procedure::NULL, b"");
    assert_eq!((0..20).filter(|_| host.send(&stranger_udp(), &null).reply.is_some()).count(), 6);
}

#[test]
fn a_flood_from_one_prefix_leaves_room_for_others() {
    let mut host = host();
    let many = |host: &mut Host, prefix: u8| {
        let from = |index: u16| SocketAddr::from(([198, 51, prefix, 1], 10_000 + index));
        let caller = |index: u16| changed(stranger_udp(), |datagram| datagram.from = from(index));
        let message = call(V3, bind::CALLIT, &remote(PROGRAM, 5, 1, b""));
        (0..1_000).filter(|index| host.send(&caller(*index), &message).forward.is_some()).count()
    };
    // Eight, and in one turn of the shell's as many again as it has half the room for.
    assert_eq!(many(&mut host, 0), 8 + 7);
    assert_eq!(core::iter::from_fn(|| host.expire(Duration::ZERO)).count(), 7);
    let message = indirect(PROGRAM, 5, 1, b"");
    forwarded(&mut host, &stranger_udp(), &message);
    // From many prefixes at once: the table is full, and who has fewer calls than others finds room.
    let made: usize = (1..100).map(|prefix| many(&mut host, prefix)).sum();
    assert!(made >= 99, "{made}");
    assert!(host.service.calls_under_way() <= 100 + 13);
    let over = core::iter::from_fn(|| host.expire(Duration::ZERO)).count();
    assert!(over > 0);
    let quiet = changed(stranger_udp(), |datagram| datagram.from = at("203.0.113.1:40000"));
    let forward = forwarded(&mut host, &quiet, &message);
    let late = host.answered(forward.to, &answer(&forward, Answer::Success(b""))).unwrap();
    assert!(late.reply.is_some());
    while host.expire(Duration::from_secs(1_000)).is_some() {}
    assert_eq!((host.service.calls_under_way(), host.service.next_deadline()), (0, None));
}
