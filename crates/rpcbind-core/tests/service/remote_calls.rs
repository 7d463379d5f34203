//! CALLIT, BCAST and INDIRECT where remote calls are off: nothing is called, and only INDIRECT is told why.

use crate::callers::{USER, loopback_tcp, loopback_udp, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{call, remote, set};
use crate::host::Host;
use oncrpc::bind::{self, V2, V3, V4};
use oncrpc::{Answer, AuthStatus, Procedure, Program, Version};
use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::Reason;

const PROGRAM: u32 = 200_001;
const BROADCAST_FORMS: [(Version, Procedure); 3] =
    [(V2, bind::CALLIT), (V3, bind::CALLIT), (V4, bind::BCAST)];

fn host() -> Host {
    let mut host = Host::new();
    for (program, version) in [(PROGRAM, 5), (PROGRAM, 2), (100_003, 3), (100_005, 3), (100_024, 1)] {
        assert!(host.send(&unix(0), &set(program, version, "udp", "0.0.0.0.8.8")).is_true());
    }
    assert!(host.send(&unix(0), &set(PROGRAM + 1, 1, "tcp", "0.0.0.0.8.8")).is_true());
    host
}

/// What INDIRECT says to a call of this procedure.
fn cases() -> Vec<(u32, u32, u32, Answer<'static>)> {
    let too_weak = Answer::AuthError(AuthStatus::TooWeak);
    vec![
        (PROGRAM, 5, 1, Answer::SystemError),
        (PROGRAM, 2, 0, Answer::SystemError),
        (PROGRAM, 3, 1, Answer::ProgramMismatch { low: 2, high: 5 }),
        (PROGRAM + 1, 1, 1, Answer::ProgramUnavailable),
        (PROGRAM + 2, 1, 1, Answer::ProgramUnavailable),
        // Forbidden procedures, but NULL is harmless everywhere.
        (100_000, 2, 4, too_weak),
        (100_000, 2, 0, Answer::SystemError),
        (100_000, 9, 0, Answer::ProgramMismatch { low: 2, high: 4 }),
        (100_003, 3, 1, too_weak),
        (100_003, 3, 0, Answer::SystemError),
        (100_005, 3, 1, too_weak),
        (100_005, 3, 3, too_weak),
        (100_005, 3, 2, Answer::SystemError),
        (100_007, 2, 2, too_weak),
        (100_007, 2, 1, Answer::ProgramUnavailable),
        (100_004, 2, 3, too_weak),
        (100_004, 2, 4, too_weak),
        (100_004, 2, 5, too_weak),
        (100_004, 2, 8, too_weak),
        (100_004, 2, 1, Answer::ProgramUnavailable),
        (100_009, 1, 1, too_weak),
        (100_011, 1, 1, too_weak),
        (100_024, 1, 1, Answer::SystemError),
    ]
}

#[test]
fn indirect_by_datagram_is_told_why() {
    let mut host = host();
    for (program, version, procedure, answer) in cases() {
        for caller in [stranger_udp(), own_udp(), loopback_udp(40_000)] {
            let message = call(V4, bind::INDIRECT, &remote(program, version, procedure, b""));
            let ended = host.send(&caller, &message);
            assert_eq!(ended.answer(), Some(answer), "{program} {version} {procedure}");
            assert_eq!(ended.why.program, Some(Program(program)));
        }
    }
    let cut = call(V4, bind::INDIRECT, &remote(PROGRAM, 5, 1, b"123")[..16]);
    let ended = host.send(&stranger_udp(), &cut[..cut.len() - 1]);
    assert_eq!(ended.answer(), Some(Answer::GarbageArguments));
}

#[test]
fn the_broadcast_forms_are_silent_about_everything() {
    let mut host = host();
    for (called, procedure) in BROADCAST_FORMS {
        for (program, version, number, _) in cases() {
            let message = call(called, procedure, &remote(program, version, number, b"1234"));
            for caller in [stranger_udp(), own_udp(), loopback_udp(40_000)] {
                assert_eq!(host.send(&caller, &message).answer(), None);
            }
        }
        let ended = host.send(&stranger_udp(), &call(called, procedure, &[]));
        assert_eq!(ended.answer(), None);
        assert_eq!(ended.why.reason, Reason::GarbageArguments);
    }
}

#[test]
fn streams_are_not_answered_at_all() {
    let streams: [Caller; 4] = [unix(0), unix(USER), loopback_tcp(600), stranger_tcp()];
    let mut host = host();
    for caller in streams {
        for (called, procedure) in BROADCAST_FORMS.into_iter().chain([(V4, bind::INDIRECT)]) {
            let ended = host.send(&caller, &call(called, procedure, &remote(PROGRAM, 5, 1, b"")));
            assert_eq!(ended.answer(), None);
            assert_eq!(ended.why.reason, Reason::RemoteCallsOff);
            assert_eq!(ended.questions, []);
        }
    }
}
