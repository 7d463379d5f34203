//! CALLIT, BCAST and INDIRECT where remote calls are on: who is called, what the service sees, what its answer becomes.

use crate::callers::{
    ELSEWHERE, ETH0, HOME, USER, changed, ip, loopback_tcp, loopback_udp, stranger_tcp, stranger_udp, udp,
    unix,
};
use crate::calls::{XID, call, encoded, remote, set};
use crate::host::{Host, Late, settings};
use core::net::SocketAddr;
use core::time::Duration;
use oncrpc::bind::{self, CallResult, PortCallResult, V2, V3, V4};
use oncrpc::xdr::{Decode, Reader};
use oncrpc::{Answer, AuthStatus, AuthSys, Call, OpaqueAuth, Procedure, Program, Reply, Version, Xid, auth};
use rpcbind_core::Settings;
use rpcbind_core::access::Prefix;
use rpcbind_core::caller::Caller;
use rpcbind_core::facts::BoundFact;
use rpcbind_core::outcome::{Forward, Reason};
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{AllowedCalls, Credentials, Forwarding, Policy, RemoteRules, UdpFull};

/// A program that is not well known, of which everything may be called.
const PROGRAM: u32 = 0x2000_0001;
const BROADCAST_FORMS: [(Version, Procedure); 3] =
    [(V2, bind::CALLIT), (V3, bind::CALLIT), (V4, bind::BCAST)];
const FORWARDING: Forwarding =
    Forwarding { inet: Some(50_004), inet6: Some(50_006), calls: 100, calls_per_source: 8, seed: [3, 4] };

fn host_with(policy: Policy) -> Host {
    let mut host = Host::with(Settings { forwarding: Some(FORWARDING), policy, ..settings() });
    for (program, version, netid, address) in [
        (PROGRAM, 5, "udp", "0.0.0.0.19.136"),
        (PROGRAM, 2, "udp", "192.0.2.2.19.137"),
        (PROGRAM, 5, "udp6", "::.19.138"),
        (PROGRAM, 5, "tcp", "0.0.0.0.19.139"),
        (PROGRAM + 1, 1, "udp6", "2001:db8::2.19.140"),
        (100_003, 3, "udp", "0.0.0.0.8.1"),
        (100_004, 2, "udp", "0.0.0.0.3.33"),
        (100_026, 1, "udp", "0.0.0.0.3.34"),
        (100_029, 1, "udp", "0.0.0.0.3.35"),
    ] {
        assert!(host.send(&unix(0), &set(program, version, netid, address)).is_true());
    }
    host
}

fn host() -> Host {
    host_with(Policy::default())
}

fn indirect(program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    call(V4, bind::INDIRECT, &remote(program, version, procedure, arguments))
}

/// What a service answers.
fn answer(forward: &Forward, answer: Answer<'_>) -> Vec<u8> {
    let xid = Call::decode(&forward.message).unwrap().xid;
    encoded(&Reply { xid, answer })
}

#[track_caller]
fn forwarded(host: &mut Host, caller: &Caller, message: &[u8]) -> Forward {
    let ended = host.send(caller, message);
    assert_eq!((ended.why.reason, ended.reply), (Reason::Forwarded, None));
    ended.forward.unwrap()
}

#[track_caller]
fn refused(host: &mut Host, caller: &Caller, message: &[u8], reason: Reason, answer: Answer<'_>) {
    let ended = host.send(caller, message);
    assert_eq!((ended.why.reason, &ended.forward), (reason, &None));
    assert_eq!(ended.answer(), Some(answer));
}

#[track_caller]
fn results(late: &Late) -> (String, Vec<u8>) {
    let reply = Reply::decode(late.reply.as_deref().unwrap()).unwrap();
    assert_eq!(reply.xid, XID);
    let Answer::Success(results) = reply.answer else { panic!("{:?}", reply.answer) };
    let mut reader = Reader::new(results);
    let result = CallResult::decode(&mut reader).unwrap();
    reader.finish().unwrap();
    (String::from_utf8(result.address.to_vec()).unwrap(), result.results.to_vec())
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[test]
fn the_service_sees_a_call_of_this_host_by_nobody_and_its_results_come_back() {
    let mut host = host();
    let credential = OpaqueAuth {
        flavor: auth::flavor::SYS,
        body: &encoded(&AuthSys {
            stamp: 1,
            machine_name: b"far",
            uid: 0,
            gid: 0,
            gids: auth::Gids::new(&[0]),
        }),
    };
    let arguments = remote(PROGRAM, 5, 7, b"12345");
    let message = encoded(&Call {
        credential,
        arguments: &arguments,
        ..Call::new(XID, bind::PROGRAM, V4, bind::INDIRECT)
    });
    let forward = forwarded(&mut host, &stranger_udp(), &message);
    assert_eq!(forward.to, at("127.0.0.1:5000"));
    let seen = Call::decode(&forward.message).unwrap();
    assert_ne!(seen.xid, XID);
    let expected = Call::new(seen.xid, Program(PROGRAM), Version(5), Procedure(7));
    assert_eq!(seen, Call { arguments: b"12345\0\0\0", ..expected });

    let late = host.answered(forward.to, &answer(&forward, Answer::Success(b"abcd"))).unwrap();
    assert_eq!((late.end.why.reason, late.end.caller), (Reason::Answered, stranger_udp()));
    assert_eq!(results(&late), ("192.0.2.2.19.136".into(), b"abcd".to_vec()));
    assert_eq!(host.service.calls_under_way(), 0);
}

#[test]
fn where_it_is_configured_the_claim_of_the_caller_goes_with_the_call() {
    let remote_calls = RemoteRules { credentials: Credentials::Claimed, ..RemoteRules::default() };
    let mut host = host_with(Policy { remote_calls, ..Policy::default() });
    let claim = AuthSys { stamp: 1, machine_name: b"far", uid: 7, gid: 8, gids: auth::Gids::new(&[9]) };
    let credential = OpaqueAuth { flavor: auth::flavor::SYS, body: &encoded(&claim) };
    let arguments = remote(PROGRAM, 5, 7, b"");
    let message = encoded(&Call {
        credential,
        arguments: &arguments,
        ..Call::new(XID, bind::PROGRAM, V3, bind::CALLIT)
    });
    let forward = forwarded(&mut host, &stranger_udp(), &message);
    let seen = Call::decode(&forward.message).unwrap();
    assert_eq!(seen.credential.flavor, auth::flavor::SYS);
    let seen = AuthSys::from_body(seen.credential.body).unwrap();
    assert_eq!(seen, AuthSys { stamp: host.unix_seconds, ..claim });
    // Who claims nothing is still nobody.
    let forward = forwarded(&mut host, &stranger_udp(), &indirect(PROGRAM, 5, 7, b""));
    assert_eq!(Call::decode(&forward.message).unwrap().credential, OpaqueAuth::NONE);
}

#[test]
fn every_form_has_its_results() {
    let mut host = host();
    for (version, procedure) in BROADCAST_FORMS {
        let message = call(version, procedure, &remote(PROGRAM, 2, 0, b"padded so that results fit"));
        let forward = forwarded(&mut host, &stranger_udp(), &message);
        assert_eq!(forward.to, at("192.0.2.2:5001"));
        let late = host.answered(forward.to, &answer(&forward, Answer::Success(b""))).unwrap();
        if version == V2 {
            let reply = Reply::decode(late.reply.as_deref().unwrap()).unwrap();
            let Answer::Success(results) = reply.answer else { panic!("{:?}", reply.answer) };
            let result = PortCallResult::decode(&mut Reader::new(results)).unwrap();
            assert_eq!(result, PortCallResult { port: 5_001, results: b"" });
        } else {
            assert_eq!(results(&late), ("192.0.2.2.19.137".into(), Vec::new()));
        }
    }
}

#[test]
fn callers_on_every_transport_reach_the_datagram_service_of_their_family() {
    let six = |port| Caller::Datagram(udp(&format!("[2001:db8::7]:{port}"), "[2001:db8::2]:111", ETH0));
    let tcp6 = crate::callers::tcp("[2001:db8::7]:40000", "[2001:db8::2]:111");
    for (caller, to, address) in [
        (stranger_tcp(), "127.0.0.1:5000", "192.0.2.2.19.136"),
        (loopback_tcp(40_000), "127.0.0.1:5000", "127.0.0.1.19.136"),
        (loopback_udp(40_000), "127.0.0.1:5000", "127.0.0.1.19.136"),
        (tcp6, "[::1]:5002", "2001:db8::2.19.138"),
        (unix(USER), "127.0.0.1:5000", "192.0.2.2.19.136"),
        (six(40_000), "[::1]:5002", "2001:db8::2.19.138"),
    ] {
        let mut host = host();
        let forward = forwarded(&mut host, &caller, &indirect(PROGRAM, 5, 0, &[0; 40]));
        assert_eq!(forward.to, at(to), "{caller:?}");
        let late = host.answered(forward.to, &answer(&forward, Answer::Success(b"1234"))).unwrap();
        assert_eq!(results(&late), (address.into(), b"1234".to_vec()), "{caller:?}");
    }
    // A program that is served over IPv6 only.
    let mut host = host();
    let forward = forwarded(&mut host, &unix(USER), &indirect(PROGRAM + 1, 1, 0, b""));
    assert_eq!(forward.to, at("[2001:db8::2]:5004"));
    let message = indirect(PROGRAM + 1, 1, 0, b"");
    refused(&mut host, &stranger_udp(), &message, Reason::NotRegistered, Answer::ProgramUnavailable);
}

#[test]
fn an_answer_counts_from_the_called_address_with_the_new_xid_and_once() {
    let mut host = host();
    let forward = forwarded(&mut host, &stranger_udp(), &indirect(PROGRAM, 5, 1, &[0; 40]));
    let right = answer(&forward, Answer::Success(b"1234"));
    for from in ["127.0.0.1:5001", "127.0.0.2:5000", "192.0.2.2:5000", "[::1]:5000", "198.51.100.7:5000"] {
        assert!(host.answered(at(from), &right).is_none(), "{from}");
    }
    for bit in 0..32 {
        let mut forged = right.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(host.answered(forward.to, &forged).is_none(), "bit {bit} of the xid");
    }
    let old_xid = encoded(&Reply { xid: XID, answer: Answer::Success(b"") });
    for noise in [&b""[..], b"1234", &right[..7], &forward.message, &old_xid] {
        assert!(host.answered(forward.to, noise).is_none(), "{noise:?}");
    }
    // Nor does what the kernel says about other services, or other calls.
    assert!(host.unreachable(at("127.0.0.1:5001"), &forward.message).is_none());
    assert!(host.unreachable(forward.to, &old_xid).is_none());
    assert!(host.unreachable(forward.to, &forward.message[..3]).is_none());
    assert_eq!(host.service.calls_under_way(), 1);
    assert!(host.answered(forward.to, &right).is_some());
    assert!(host.answered(forward.to, &right).is_none(), "a second answer");
    assert!(host.expire(Duration::from_secs(1_000)).is_none());
}

#[test]
fn xids_are_new_for_each_call_and_others_under_another_seed() {
    let xids = |seed| -> Vec<Xid> {
        let forwarding = Forwarding { seed, calls: 3_000, calls_per_source: 3_000, ..FORWARDING };
        let mut host = Host::with(Settings { forwarding: Some(forwarding), ..settings() }).take_rows(&host());
        let calls = (0..2_000).map(|_| forwarded(&mut host, &unix(USER), &indirect(PROGRAM, 5, 1, b"")));
        calls.map(|forward| Call::decode(&forward.message).unwrap().xid).collect()
    };
    let (left, right) = (xids([1, 2]), xids([1, 3]));
    let mut used = left.clone();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), left.len());
    assert!(left.iter().zip(&right).filter(|(left, right)| left == right).count() < 2);
    let rising = left.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((800..1_200).contains(&rising), "{rising} of 1999 are greater than the one before");
}

#[test]
fn indirect_is_told_of_every_failure_and_the_broadcast_forms_of_none() {
    let too_weak = Answer::AuthError(AuthStatus::TooWeak);
    let failures = [
        (Answer::ProgramUnavailable, Answer::SystemError),
        (Answer::ProgramMismatch { low: 1, high: 2 }, Answer::SystemError),
        (Answer::ProcedureUnavailable, Answer::SystemError),
        (Answer::GarbageArguments, Answer::SystemError),
        (Answer::SystemError, Answer::SystemError),
        (Answer::RpcMismatch { low: 2, high: 2 }, Answer::SystemError),
        (too_weak, Answer::SystemError),
        // More than the request has room for.
        (Answer::Success(&[0; 600]), too_weak),
    ];
    let mut host = host();
    for (of_service, told) in failures {
        let forward = forwarded(&mut host, &stranger_udp(), &indirect(PROGRAM, 5, 1, b""));
        let late = host.answered(forward.to, &answer(&forward, of_service)).unwrap();
        assert_eq!(late.answer(), Some(told), "{of_service:?}");
        for (version, procedure) in BROADCAST_FORMS {
            let message = call(version, procedure, &remote(PROGRAM, 5, 1, b""));
            let forward = forwarded(&mut host, &stranger_udp(), &message);
            let late = host.answered(forward.to, &answer(&forward, of_service)).unwrap();
            assert_eq!(late.answer(), None, "{of_service:?}");
        }
    }
    // An undecodable answer, time-out, and no way to the service.
    let mut ends = |end: &dyn Fn(&mut Host, &Forward) -> Option<Late>, reason| {
        for (version, procedure) in BROADCAST_FORMS.into_iter().chain([(V4, bind::INDIRECT)]) {
            let message = call(version, procedure, &remote(PROGRAM, 5, 1, b""));
            let forward = forwarded(&mut host, &stranger_udp(), &message);
            let late = end(&mut host, &forward).unwrap();
            let told = (procedure == bind::INDIRECT).then_some(Answer::SystemError);
            assert_eq!((late.answer(), late.end.why.reason), (told, reason));
        }
    };
    ends(
        &|host, forward| host.answered(forward.to, &answer(forward, too_weak)[..12]),
        Reason::RemoteCallFailed,
    );
    ends(&|host, forward| host.undeliverable(forward.call), Reason::RemoteCallFailed);
    ends(&|host, forward| host.unreachable(forward.to, &forward.message[..4]), Reason::RemoteCallFailed);
    ends(&|host, _| host.expire(Duration::from_secs(10)), Reason::RemoteCallTimedOut);
    assert_eq!(host.service.calls_under_way(), 0);
}

#[test]
fn a_call_that_comes_again_while_it_is_under_way_is_made_once() {
    let mut host = host();
    let message = indirect(PROGRAM, 5, 1, b"");
    let forward = forwarded(&mut host, &stranger_udp(), &message);
    for _ in 0..5 {
        let ended = host.send(&stranger_udp(), &message);
        assert_eq!((ended.why.reason, ended.forward, ended.reply), (Reason::AlreadyForwarded, None, None));
    }
    // Another form, another port and another xid are other calls.
    forwarded(&mut host, &stranger_udp(), &call(V4, bind::BCAST, &remote(PROGRAM, 5, 1, b"")));
    let elsewhere = changed(stranger_udp(), |datagram| datagram.from.set_port(40_001));
    forwarded(&mut host, &elsewhere, &message);
    let mut other = message.clone();
    other[0] ^= 1;
    forwarded(&mut host, &stranger_udp(), &other);
    // Nothing comes again on a stream.
    forwarded(&mut host, &stranger_tcp(), &message);
    forwarded(&mut host, &stranger_tcp(), &message);
    // Once it has ended it is made again.
    assert!(host.answered(forward.to, &answer(&forward, Answer::Success(b""))).is_some());
    forwarded(&mut host, &stranger_udp(), &message);
}

#[test]
fn a_repeated_call_does_not_put_its_end_off() {
    let mut host = host();
    let message = indirect(PROGRAM, 5, 1, b"");
    forwarded(&mut host, &stranger_udp(), &message);
    assert_eq!(host.service.next_deadline(), Some(Duration::from_secs(10)));
    host.monotonic = Duration::from_secs(9);
    assert_eq!(host.send(&stranger_udp(), &message).why.reason, Reason::AlreadyForwarded);
    assert!(host.expire(Duration::from_secs(9)).is_none());
    assert_eq!(host.expire(Duration::from_secs(10)).unwrap().answer(), Some(Answer::SystemError));
}

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
    host.judge_all(BoundFact::Free);
    let message = indirect(PROGRAM, 5, 1, b"");
    refused(&mut host, &stranger_udp(), &message, Reason::RemoteCallFailed, Answer::SystemError);
    let ended = host.send(&stranger_udp(), &call(V3, bind::CALLIT, &remote(PROGRAM, 5, 1, b"")));
    assert_eq!((ended.reply, ended.forward), (None, None));
    host.judge_all(BoundFact::Bound);
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
fn a_stranger_gets_results_as_long_as_the_request_and_a_listed_prefix_all_of_them() {
    let message = indirect(PROGRAM, 5, 1, &[0; 36]);
    let room = message.len() - 24 - 4 - 16 - 4;
    for (len, fits) in [(room, true), (room + 4, false)] {
        let mut host = host();
        let forward = forwarded(&mut host, &stranger_udp(), &message);
        let late = host.answered(forward.to, &answer(&forward, Answer::Success(&vec![7; len]))).unwrap();
        assert_eq!(late.end.why.reason == Reason::Answered, fits);
        assert!(late.reply.is_some_and(|reply| reply.len() <= message.len()));
    }
    let full = UdpFull { prefix: "198.51.100.0/24".parse().unwrap(), interface: ETH0 };
    let mut host = host_with(Policy { udp_full: vec![full], ..Policy::default() });
    for caller in [stranger_udp(), stranger_tcp(), loopback_udp(600), unix(USER)] {
        let forward = forwarded(&mut host, &caller, &message);
        let late = host.answered(forward.to, &answer(&forward, Answer::Success(&[7; 8_000]))).unwrap();
        assert_eq!(results(&late).1.len(), 8_000);
        let forward = forwarded(&mut host, &caller, &message);
        let late = host.answered(forward.to, &answer(&forward, Answer::Success(&[7; 8_800]))).unwrap();
        let is_stranger = caller == stranger_udp();
        let refusal = if is_stranger { Answer::AuthError(AuthStatus::TooWeak) } else { Answer::SystemError };
        assert_eq!(late.answer(), Some(refusal));
    }
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
fn a_flood_from_one_prefix_leaves_room_for_others() {
    let mut host = host();
    let many = |host: &mut Host, prefix: u8| {
        let from = |index: u16| SocketAddr::from(([198, 51, prefix, 1], 10_000 + index));
        let caller = |index: u16| changed(stranger_udp(), |datagram| datagram.from = from(index));
        let message = call(V3, bind::CALLIT, &remote(PROGRAM, 5, 1, b""));
        (0..1_000).filter(|index| host.send(&caller(*index), &message).forward.is_some()).count()
    };
    assert_eq!(many(&mut host, 0), 8);
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
