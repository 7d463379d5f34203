//! Our decoder beside an independent one, the `onc-rpc` crate: where it accepts a message, we accept it with the same
//! fields; where only we accept one, the reason is one of [`Difference`].

use crate::hex::encoded;
use onc_rpc::auth::{AuthFlavor, AuthUnixParams};
use onc_rpc::{
    AcceptedReply, AcceptedStatus, AuthError, CallBody, MessageType, RejectedReply, ReplyBody, RpcMessage,
};
use oncrpc::auth::{Gids, flavor};
use oncrpc::record::mark;
use oncrpc::xdr::{Decode, Reader};
use oncrpc::{Answer, AuthStatus, AuthSys, Call, OpaqueAuth, Procedure, Program, Reply, Version, Xid};
use proptest::prelude::*;
use proptest::sample::Index;

/// Why we accept a message that the other decoder does not.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Difference {
    /// It takes bodies of credentials and verifiers up to 200 bytes; RFC 5531 section 8.2 says 400.
    LongBody,
    /// It reads the inside of AUTH_SYS with the header; we leave that to [`AuthSys::from_body`], so that a malformed
    /// one can be answered.
    MalformedAuthSys,
    /// It knows no `auth_stat` over 7; RFC 5531 has more, and we keep any.
    LaterAuthStatus,
}

/// Compares the two decoders on one message without its mark. Says why when only we accept it.
fn compare(message: &[u8]) -> Option<Difference> {
    let record = [&mark(message.len()).unwrap()[..], message].concat();
    let theirs = RpcMessage::try_from(&record[..]);
    let (call, reply) = (Call::decode(message), Reply::decode(message));
    match &theirs {
        Ok(theirs) => {
            match theirs.message() {
                MessageType::Call(body) => assert_same_call(theirs.xid(), body, &call.unwrap()),
                MessageType::Reply(body) => assert_same_reply(theirs.xid(), body, &reply.unwrap()),
            }
            None
        }
        Err(error) => match (call, reply) {
            (Err(_), Err(_)) => None,
            (Ok(call), Err(_)) => Some(
                difference(&[call.credential, call.verifier])
                    .unwrap_or_else(|| panic!("only we accept {call:?}: {error}")),
            ),
            (Err(_), Ok(reply)) => Some(
                only_our_reply(message, &reply)
                    .unwrap_or_else(|| panic!("only we accept {reply:?}: {error}")),
            ),
            (Ok(_), Ok(_)) => panic!("a call and a reply at once"),
        },
    }
}

fn difference(bodies: &[OpaqueAuth<'_>]) -> Option<Difference> {
    if bodies.iter().any(|auth| auth.body.len() > 200) {
        return Some(Difference::LongBody);
    }
    let malformed =
        |auth: &OpaqueAuth<'_>| auth.flavor == flavor::SYS && AuthSys::from_body(auth.body).is_err();
    bodies.iter().any(malformed).then_some(Difference::MalformedAuthSys)
}

fn only_our_reply(message: &[u8], reply: &Reply<'_>) -> Option<Difference> {
    match reply.answer {
        Answer::AuthError(AuthStatus::Other(8..)) => Some(Difference::LaterAuthStatus),
        Answer::AuthError(_) | Answer::RpcMismatch { .. } => None,
        _ => difference(&[OpaqueAuth::decode(&mut Reader::new(&message[12..])).unwrap()]),
    }
}

fn assert_same_call(xid: u32, theirs: &CallBody<&[u8], &[u8]>, ours: &Call<'_>) {
    assert_eq!(Xid(xid), ours.xid);
    assert_eq!(Program(theirs.program()), ours.program);
    assert_eq!(Version(theirs.program_version()), ours.version);
    assert_eq!(Procedure(theirs.procedure()), ours.procedure);
    assert_same_auth(theirs.auth_credentials(), &ours.credential);
    assert_same_auth(theirs.auth_verifier(), &ours.verifier);
    assert_eq!(*theirs.payload(), ours.arguments);
}

fn assert_same_auth(theirs: &AuthFlavor<&[u8]>, ours: &OpaqueAuth<'_>) {
    assert_eq!(theirs.id(), ours.flavor);
    match theirs {
        AuthFlavor::AuthNone(body) => assert_eq!(body.unwrap_or_default(), ours.body),
        AuthFlavor::AuthShort(body) | AuthFlavor::Unknown { data: body, .. } => assert_eq!(*body, ours.body),
        AuthFlavor::AuthUnix(theirs) => {
            let ours = AuthSys::from_body(ours.body).unwrap();
            assert_eq!((theirs.stamp(), theirs.machine_name()), (ours.stamp, ours.machine_name));
            assert_eq!((theirs.uid(), theirs.gid()), (ours.uid, ours.gid));
            assert_eq!(theirs.gids().unwrap_or_default(), ours.gids.as_slice());
        }
        other => panic!("a flavour that is new here: {other:?}"),
    }
}

fn assert_same_reply(xid: u32, theirs: &ReplyBody<&[u8], &[u8]>, ours: &Reply<'_>) {
    let answer = match theirs {
        ReplyBody::Accepted(reply) => match reply.status() {
            AcceptedStatus::Success(results) => Answer::Success(results),
            AcceptedStatus::ProgramUnavailable => Answer::ProgramUnavailable,
            AcceptedStatus::ProgramMismatch { low, high } => {
                Answer::ProgramMismatch { low: *low, high: *high }
            }
            AcceptedStatus::ProcedureUnavailable => Answer::ProcedureUnavailable,
            AcceptedStatus::GarbageArgs => Answer::GarbageArguments,
            AcceptedStatus::SystemError => Answer::SystemError,
        },
        ReplyBody::Denied(RejectedReply::RpcVersionMismatch { low, high }) => {
            Answer::RpcMismatch { low: *low, high: *high }
        }
        ReplyBody::Denied(RejectedReply::AuthError(error)) => Answer::AuthError(match error {
            AuthError::Success => AuthStatus::Other(0),
            AuthError::BadCredentials => AuthStatus::BadCredential,
            AuthError::RejectedCredentials => AuthStatus::RejectedCredential,
            AuthError::BadVerifier => AuthStatus::BadVerifier,
            AuthError::RejectedVerifier => AuthStatus::Other(4),
            AuthError::TooWeak => AuthStatus::TooWeak,
            AuthError::InvalidResponseVerifier => AuthStatus::Other(6),
            AuthError::Failed => AuthStatus::Other(7),
        }),
    };
    assert_eq!(*ours, Reply { xid: Xid(xid), answer });
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=max)
}

/// A flavour and a body that both sides can write.
fn auth() -> impl Strategy<Value = AuthFlavor<Vec<u8>>> {
    let sys = (any::<[u32; 3]>(), bytes(100), prop::collection::vec(any::<u32>(), 0..=16)).prop_map(
        |([stamp, uid, gid], name, gids)| {
            AuthFlavor::AuthUnix(AuthUnixParams::new(stamp, name, uid, gid, gids))
        },
    );
    prop_oneof![
        Just(AuthFlavor::AuthNone(None)),
        bytes(200)
            .prop_filter("an empty body is none", |body| !body.is_empty())
            .prop_map(|body| AuthFlavor::AuthNone(Some(body))),
        sys,
        bytes(200).prop_map(AuthFlavor::AuthShort),
        (3..=u32::MAX, bytes(200)).prop_map(|(id, data)| AuthFlavor::Unknown { id, data }),
    ]
}

fn their_call() -> impl Strategy<Value = RpcMessage<Vec<u8>, Vec<u8>>> {
    (any::<[u32; 4]>(), auth(), auth(), bytes(300)).prop_map(
        |([xid, program, version, procedure], credential, verifier, payload)| {
            let body = CallBody::new(program, version, procedure, credential, verifier, payload);
            RpcMessage::new(xid, MessageType::Call(body))
        },
    )
}

fn their_reply() -> impl Strategy<Value = RpcMessage<Vec<u8>, Vec<u8>>> {
    let status = prop_oneof![
        bytes(300).prop_map(AcceptedStatus::Success),
        Just(AcceptedStatus::ProgramUnavailable),
        any::<(u32, u32)>().prop_map(|(low, high)| AcceptedStatus::ProgramMismatch { low, high }),
        Just(AcceptedStatus::ProcedureUnavailable),
        Just(AcceptedStatus::GarbageArgs),
        Just(AcceptedStatus::SystemError),
    ];
    let error = prop::sample::select(vec![
        AuthError::Success,
        AuthError::BadCredentials,
        AuthError::RejectedCredentials,
        AuthError::BadVerifier,
        AuthError::RejectedVerifier,
        AuthError::TooWeak,
        AuthError::InvalidResponseVerifier,
        AuthError::Failed,
    ]);
    let body = prop_oneof![
        4 => (auth(), status)
            .prop_map(|(verifier, status)| ReplyBody::Accepted(AcceptedReply::new(verifier, status))),
        1 => any::<(u32, u32)>()
            .prop_map(|(low, high)| ReplyBody::Denied(RejectedReply::RpcVersionMismatch { low, high })),
        1 => error.prop_map(|error| ReplyBody::Denied(RejectedReply::AuthError(error))),
    ];
    (any::<u32>(), body).prop_map(|(xid, body)| RpcMessage::new(xid, MessageType::Reply(body)))
}

/// What a hostile or broken peer makes of a message: words and bytes changed, bytes added and taken away.
fn mutations() -> impl Strategy<Value = Vec<(Index, u8, u32)>> {
    let word = prop_oneof![0..20_u32, 190..410_u32, Just(u32::MAX), Just(0x8000_0000), any::<u32>()];
    prop::collection::vec((any::<Index>(), 0..6_u8, word), 1..5)
}

fn mutate(message: &mut Vec<u8>, mutations: &[(Index, u8, u32)]) {
    for (index, how, word) in mutations {
        let at = index.index(message.len().max(1));
        match how {
            0 => message.truncate(at),
            1 => message.extend_from_slice(&word.to_be_bytes()[..at % 5]),
            2 => {
                if let Some(byte) = message.get_mut(at) {
                    *byte = word.to_be_bytes()[3];
                }
            }
            _ => {
                // A whole word, near the start as often as not: that is where the lengths and the statuses are.
                let at = if how % 2 == 0 { at % 64 } else { at } & !3;
                if let Some(slot) = message.get_mut(at..at + 4) {
                    slot.copy_from_slice(&word.to_be_bytes());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn we_read_what_it_writes_and_write_the_same_bytes(message in their_call()) {
        let record = message.serialise().unwrap();
        let call = Call::decode(&record[4..]).unwrap();
        prop_assert_eq!(compare(&record[4..]), None);
        prop_assert_eq!(encoded(&call), &record[4..]);
        if let AuthFlavor::AuthUnix(_) = message.call_body().unwrap().auth_credentials() {
            let sys = AuthSys::from_body(call.credential.body).unwrap();
            prop_assert_eq!(encoded(&sys), call.credential.body);
        }
    }

    #[test]
    fn we_read_its_replies_and_write_the_same_bytes_when_the_verifier_is_none(message in their_reply()) {
        let record = message.serialise().unwrap();
        let reply = Reply::decode(&record[4..]).unwrap();
        prop_assert_eq!(compare(&record[4..]), None);
        match message.reply_body().unwrap() {
            ReplyBody::Accepted(body) if *body.auth_verifier() != AuthFlavor::AuthNone(None) => {}
            _ => prop_assert_eq!(encoded(&reply), &record[4..]),
        }
    }

    #[test]
    fn it_reads_what_we_write(
        [xid, program, version, procedure, stamp, uid, gid]: [u32; 7],
        name in bytes(100),
        gids in prop::collection::vec(any::<u32>(), 0..=16),
        (flavor, body) in (2..=u32::MAX, bytes(200)),
        arguments in bytes(300),
    ) {
        let gids = Gids::new(&gids);
        let sys = encoded(&AuthSys { stamp, machine_name: &name, uid, gid, gids });
        let call = Call {
            credential: OpaqueAuth { flavor: flavor::SYS, body: &sys },
            verifier: OpaqueAuth { flavor, body: &body },
            arguments: &arguments,
            ..Call::new(Xid(xid), Program(program), Version(version), Procedure(procedure))
        };
        let message = encoded(&call);
        let record = [&mark(message.len()).unwrap()[..], &message].concat();
        let theirs = RpcMessage::try_from(&record[..]).unwrap();
        assert_same_call(theirs.xid(), theirs.call_body().unwrap(), &call);
    }

    #[test]
    fn on_mutated_calls_we_differ_only_where_it_is_said(message in their_call(), mutations in mutations()) {
        let mut message = message.serialise().unwrap().split_off(4);
        mutate(&mut message, &mutations);
        compare(&message);
    }

    #[test]
    fn on_mutated_replies_we_differ_only_where_it_is_said(message in their_reply(), mutations in mutations()) {
        let mut message = message.serialise().unwrap().split_off(4);
        mutate(&mut message, &mutations);
        compare(&message);
    }

    #[test]
    fn on_random_words_we_differ_only_where_it_is_said(
        kind in 0..3_u32,
        words in prop::collection::vec(prop_oneof![8 => 0..4_u32, 1 => any::<u32>()], 0..24),
        tail in bytes(3),
    ) {
        let words = [7, kind, 2].into_iter().chain(words).flat_map(u32::to_be_bytes);
        let message: Vec<u8> = words.chain(tail).collect();
        compare(&message);
    }
}

#[test]
fn each_difference_is_there() {
    let long = OpaqueAuth { flavor: flavor::NONE, body: &[0; 204] };
    let malformed = OpaqueAuth { flavor: flavor::SYS, body: &[0; 16] };
    let null = Call::new(Xid(1), Program(2), Version(3), Procedure::NULL);
    let later = Reply { xid: Xid(1), answer: Answer::AuthError(AuthStatus::Other(13)) };
    let table = [
        (encoded(&Call { credential: long, ..null }), Some(Difference::LongBody)),
        (encoded(&Call { verifier: long, ..null }), Some(Difference::LongBody)),
        (encoded(&Call { credential: malformed, ..null }), Some(Difference::MalformedAuthSys)),
        (encoded(&later), Some(Difference::LaterAuthStatus)),
        (encoded(&null), None),
    ];
    for (message, expected) in table {
        assert_eq!(compare(&message), expected);
    }
}
