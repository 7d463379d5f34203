//! Every truncation of a legal call, for every class of caller: never a success, never a change.

use crate::callers::{loopback_tcp, loopback_udp, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::call;
use crate::host::Host;
use crate::procedures::arguments;
use oncrpc::bind::{V2, V3, V4};
use oncrpc::{Answer, AuthStatus, Procedure};
use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::Reason;

/// What a call cut to this length is answered with; `None` is silence.
fn expected(caller: &Caller, procedure: u32, len: usize) -> Option<Answer<'static>> {
    let datagram = matches!(caller, Caller::Datagram(_));
    let verified = !datagram || *caller != stranger_udp();
    match len {
        0..24 => None,
        24..40 if !verified => None,
        24..32 => Some(Answer::AuthError(AuthStatus::BadCredential)),
        32..40 => Some(Answer::AuthError(AuthStatus::BadVerifier)),
        _ if procedure == 5 || (procedure == 10 && !datagram) => None,
        _ => Some(Answer::GarbageArguments),
    }
}

#[test]
fn a_call_that_was_cut_is_an_error_or_nothing() {
    let callers = [unix(0), loopback_tcp(600), loopback_udp(600), own_udp(), stranger_tcp(), stranger_udp()];
    for caller in callers {
        let mut host = Host::new();
        let rows = host.service.registry().len();
        for (version, last) in [(V2, 5), (V3, 8), (V4, 12)] {
            for number in 0..=last {
                let arguments = arguments(version, number);
                let whole = call(version, Procedure(number), &arguments);
                for len in 0..whole.len() {
                    let ended = host.send(&caller, &whole[..len]);
                    assert_eq!(ended.answer(), expected(&caller, number, len), "{version} {number} {len}");
                    assert_eq!(ended.questions, []);
                    if len >= 40 {
                        assert_eq!(ended.why.reason, Reason::GarbageArguments);
                    }
                }
                let ended = host.send(&caller, &whole);
                assert_ne!(ended.why.reason, Reason::GarbageArguments);
                host.send(&unix(0), &call(V4, Procedure(2), &arguments_of_unset()));
            }
        }
        assert_eq!(host.service.registry().len(), rows);
    }
}

fn arguments_of_unset() -> Vec<u8> {
    arguments(V4, 2)
}

#[test]
fn lengths_that_lie_are_garbage_and_nothing_is_allocated_for_them() {
    let whole = call(V4, Procedure(3), &arguments(V4, 3));
    for claimed in [9_001, 0x0400_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        // The lengths of netid, address and owner.
        for at in [48, 56, 72] {
            let mut message = whole.clone();
            message[at..at + 4].copy_from_slice(&u32::to_be_bytes(claimed));
            for caller in [unix(0), stranger_udp()] {
                let ended = Host::new().send(&caller, &message);
                assert_eq!(ended.answer(), Some(Answer::GarbageArguments), "{at}");
            }
        }
    }
}
