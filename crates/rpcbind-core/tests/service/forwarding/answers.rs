//! What a service sees of a remote call, and what its answer becomes.

use super::*;

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
    let full = UdpFull { prefix: "198.51.100.0/24".parse().unwrap(), interface: "eth0".into() };
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
