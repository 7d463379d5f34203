//! Calls, replies and credentials (RFC 5531 section 9, appendix A): byte tables both ways, every truncation.

use crate::hex::{assert_both_ways, assert_encodes_to, encoded, hex};
use oncrpc::auth::{Gids, MAX_BODY, MAX_GIDS, MAX_MACHINE_NAME, flavor};
use oncrpc::xdr::{Error, Writer};
use oncrpc::{
    Answer, AuthStatus, AuthSys, Call, CallError, OpaqueAuth, Procedure, Program, Reply, Version, Xid,
};

const XID: Xid = Xid(0x1234_5678);

#[test]
fn a_call_reads_and_writes_the_same_bytes() {
    let null = Call::new(XID, Program(100_000), Version(2), Procedure::NULL);
    let body = hex("00000001 00000003 61626300 000003e8 000003e8 00000001 00000018");
    let credential = OpaqueAuth { flavor: flavor::SYS, body: &body };
    let verifier = OpaqueAuth { flavor: flavor::SHORT, body: b"xyz" };
    let full = Call { credential, verifier, procedure: Procedure(4), arguments: &[1, 2, 3], ..null };
    let table = [
        (
            null,
            hex("12345678 00000000 00000002 000186a0 00000002 00000000 00000000 00000000 00000000 00000000"),
        ),
        (
            full,
            hex("12345678 00000000 00000002 000186a0 00000002 00000004
                 00000001 0000001c 00000001 00000003 61626300 000003e8 000003e8 00000001 00000018
                 00000002 00000003 78797a00
                 010203"),
        ),
    ];
    for (call, bytes) in table {
        assert_encodes_to(&call, &bytes);
        assert_eq!(Call::decode(&bytes), Ok(call));
    }
}

#[test]
fn a_cut_call_is_refused_by_how_far_it_could_be_read() {
    let credential = OpaqueAuth { flavor: flavor::NONE, body: b"four" };
    let verifier = OpaqueAuth { flavor: flavor::NONE, body: b"seven77" };
    let call = Call {
        credential,
        verifier,
        arguments: b"rest",
        ..Call::new(XID, Program(1), Version(2), Procedure(3))
    };
    let bytes = encoded(&call);
    assert_eq!(bytes.len(), 24 + 12 + 16 + 4);
    for len in 0..bytes.len() {
        let outcome = Call::decode(&bytes[..len]);
        match len {
            0..24 => assert_eq!(outcome, Err(CallError::NotACall), "{len} bytes"),
            24..36 => assert_eq!(outcome, Err(CallError::Credential { xid: XID }), "{len} bytes"),
            36..52 => assert_eq!(outcome, Err(CallError::Verifier { xid: XID }), "{len} bytes"),
            _ => assert_eq!(outcome, Ok(Call { arguments: &b"rest"[..len - 52], ..call }), "{len} bytes"),
        }
    }
}

#[test]
fn a_message_that_is_no_call_is_told_from_one_of_another_rpc_version() {
    let null =
        hex("12345678 00000000 00000002 000186a0 00000002 00000000 00000000 00000000 00000000 00000000");
    let with = |offset: usize, byte: u8| {
        let mut bytes = null.clone();
        bytes[offset] = byte;
        bytes
    };
    assert_eq!(Call::decode(&with(7, 1)), Err(CallError::NotACall), "a reply");
    assert_eq!(Call::decode(&with(7, 2)), Err(CallError::NotACall), "an unknown message type");
    for version in [0, 1, 3, 255] {
        let bytes = with(11, version);
        assert_eq!(Call::decode(&bytes), Err(CallError::RpcVersion { xid: XID }), "version {version}");
        assert_eq!(Call::decode(&bytes[..24]), Err(CallError::RpcVersion { xid: XID }), "without the rest");
    }
}

#[test]
fn a_credential_or_verifier_over_400_bytes_is_refused_whatever_follows() {
    for (credential, verifier) in [(400, 400), (401, 0), (0, 401), (u32::MAX, 0), (0, u32::MAX)] {
        let mut bytes = hex("12345678 00000000 00000002 000186a0 00000002 00000000");
        for len in [credential, verifier] {
            bytes.extend_from_slice(&[0, 0, 0, 0]);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.resize(bytes.len() + len.min(401).next_multiple_of(4) as usize, 7);
        }
        let outcome = Call::decode(&bytes);
        match (credential, verifier) {
            (400, 400) => assert!(outcome.is_ok_and(|call| call.arguments.is_empty())),
            (0, _) => assert_eq!(outcome, Err(CallError::Verifier { xid: XID })),
            _ => assert_eq!(outcome, Err(CallError::Credential { xid: XID })),
        }
    }
}

#[test]
fn credentials_of_every_flavour_read_and_write_the_same_bytes() {
    let longest = vec![0x5a; MAX_BODY as usize];
    for flavor in [flavor::NONE, flavor::SYS, flavor::SHORT, flavor::DH, flavor::GSS, flavor::TLS, u32::MAX] {
        for body in [&b""[..], b"a", b"ab", b"abc", b"abcd", &longest] {
            let mut bytes = flavor.to_be_bytes().to_vec();
            bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            assert_both_ways(&OpaqueAuth { flavor, body }, &bytes);
        }
    }
}

#[test]
fn auth_sys_reads_and_writes_the_same_bytes() {
    let gids: Vec<u32> = (0..MAX_GIDS).collect();
    let name = vec![b'n'; MAX_MACHINE_NAME as usize];
    let table = [
        (
            AuthSys { stamp: 9, machine_name: b"", uid: 0, gid: 0, gids: Gids::new(&[]) },
            hex("00000009 00000000 00000000 00000000 00000000"),
        ),
        (
            AuthSys {
                stamp: 1,
                machine_name: b"hosta",
                uid: 1000,
                gid: 100,
                gids: Gids::new(&[24, u32::MAX]),
            },
            hex("00000001 00000005 686f737461000000 000003e8 00000064 00000002 00000018 ffffffff"),
        ),
    ];
    for (value, bytes) in table {
        assert_encodes_to(&value, &bytes);
        assert_eq!(AuthSys::from_body(&bytes), Ok(value));
        for len in 0..bytes.len() {
            assert!(matches!(AuthSys::from_body(&bytes[..len]), Err(Error::Short { .. })), "{len} bytes");
        }
    }
    let largest = AuthSys { stamp: 0, machine_name: &name, uid: 1, gid: 2, gids: Gids::new(&gids) };
    let bytes = encoded(&largest);
    assert_eq!(bytes.len(), 4 + 4 + 256 + 4 + 4 + 4 + 64);
    assert_eq!(AuthSys::from_body(&bytes), Ok(largest));
}

#[test]
fn auth_sys_over_its_limits_or_with_bytes_behind_it_is_refused() {
    let name_256 = [hex("00000000 00000100"), vec![0; 256 + 12]].concat();
    let gids_17 = [hex("00000000 00000000 00000000 00000000 00000011"), vec![0; 68]].concat();
    let gids_most = hex("00000000 00000000 00000000 00000000 ffffffff");
    let behind = hex("00000000 00000000 00000000 00000000 00000000 00");
    assert_eq!(AuthSys::from_body(&name_256), Err(Error::TooLong { len: 256, max: 255 }));
    assert_eq!(AuthSys::from_body(&gids_17), Err(Error::TooLong { len: 17, max: 16 }));
    assert_eq!(AuthSys::from_body(&gids_most), Err(Error::TooLong { len: u32::MAX, max: 16 }));
    assert_eq!(AuthSys::from_body(&behind), Err(Error::Leftover(1)));
    assert_eq!(Gids::new(&[7; 40]).as_slice(), [7; 16], "the first sixteen");
}

/// Every answer with its bytes after the xid, all of one reply to the same call.
fn answers() -> Vec<(Answer<'static>, Vec<u8>)> {
    let auth = |status| Answer::AuthError(status);
    vec![
        (Answer::Success(b""), hex("00000001 00000000 00000000 00000000 00000000")),
        (Answer::Success(b"\0\0\0\x07"), hex("00000001 00000000 00000000 00000000 00000000 00000007")),
        (Answer::ProgramUnavailable, hex("00000001 00000000 00000000 00000000 00000001")),
        (
            Answer::ProgramMismatch { low: 2, high: 4 },
            hex("00000001 00000000 00000000 00000000 00000002 00000002 00000004"),
        ),
        (Answer::ProcedureUnavailable, hex("00000001 00000000 00000000 00000000 00000003")),
        (Answer::GarbageArguments, hex("00000001 00000000 00000000 00000000 00000004")),
        (Answer::SystemError, hex("00000001 00000000 00000000 00000000 00000005")),
        (Answer::RpcMismatch { low: 2, high: 2 }, hex("00000001 00000001 00000000 00000002 00000002")),
        (auth(AuthStatus::BadCredential), hex("00000001 00000001 00000001 00000001")),
        (auth(AuthStatus::RejectedCredential), hex("00000001 00000001 00000001 00000002")),
        (auth(AuthStatus::BadVerifier), hex("00000001 00000001 00000001 00000003")),
        (auth(AuthStatus::TooWeak), hex("00000001 00000001 00000001 00000005")),
        (auth(AuthStatus::Other(7)), hex("00000001 00000001 00000001 00000007")),
        (auth(AuthStatus::Other(0xffff_ffff)), hex("00000001 00000001 00000001 ffffffff")),
    ]
}

#[test]
fn every_reply_reads_and_writes_the_same_bytes_and_no_truncation_of_it_is_one() {
    for (answer, tail) in answers() {
        let bytes = [XID.0.to_be_bytes().to_vec(), tail].concat();
        let reply = Reply { xid: XID, answer };
        assert_encodes_to(&reply, &bytes);
        assert_eq!(Reply::decode(&bytes), Ok(reply));
        let results = if let Answer::Success(results) = answer { results.len() } else { 0 };
        for len in 0..bytes.len() - results {
            assert!(matches!(Reply::decode(&bytes[..len]), Err(Error::Short { .. })), "{len} of {reply:?}");
        }
    }
}

#[test]
fn bytes_behind_a_reply_without_results_are_an_error() {
    for (answer, tail) in answers() {
        let bytes = [XID.0.to_be_bytes().to_vec(), tail, vec![0]].concat();
        match answer {
            Answer::Success(_) => assert!(Reply::decode(&bytes).is_ok(), "results are not looked at"),
            _ => assert_eq!(Reply::decode(&bytes), Err(Error::Leftover(1)), "{answer:?}"),
        }
    }
}

#[test]
fn a_verifier_in_a_reply_is_skipped() {
    let bytes = hex("12345678 00000001 00000000 00000006 00000005 0102030405000000 00000000 0a0b0c0d");
    let reply = Reply { xid: XID, answer: Answer::Success(&[0x0a, 0x0b, 0x0c, 0x0d]) };
    assert_eq!(Reply::decode(&bytes), Ok(reply));
}

#[test]
fn unknown_statuses_and_calls_are_not_replies() {
    let table = [
        ("12345678 00000000 00000000 00000000 00000000 00000000", 0),
        ("12345678 00000002 00000000 00000000 00000000 00000000", 2),
        ("12345678 00000001 00000002 00000000 00000000 00000000", 2),
        ("12345678 00000001 00000000 00000000 00000000 00000006", 6),
        ("12345678 00000001 00000001 00000002 00000000 00000000", 2),
    ];
    for (bytes, discriminant) in table {
        assert_eq!(Reply::decode(&hex(bytes)), Err(Error::Discriminant(discriminant)), "{bytes}");
    }
}

#[test]
fn the_xid_of_a_message_and_of_a_reply_is_read_whatever_follows() {
    let (call, reply) = (hex("12345678 00000000 00000002"), hex("12345678 00000001 00000009 ff"));
    for len in 0..call.len() {
        assert_eq!(Xid::of(&call[..len]), (len >= 4).then_some(XID), "{len} bytes");
        assert_eq!(Reply::xid_of(&call[..len]), None, "{len} bytes");
        assert_eq!(Reply::xid_of(&reply[..len]), (len >= 8).then_some(XID), "{len} bytes");
    }
    assert_eq!(Reply::xid_of(&reply), Some(XID));
    assert!(Reply::decode(&reply).is_err());
}

#[test]
fn the_head_of_a_success_takes_24_bytes() {
    let mut buffer = [0xff; 28];
    let mut writer = Writer::new(&mut buffer);
    Reply::encode_success(XID, &mut writer).unwrap();
    assert_eq!(writer.written(), hex("12345678 00000001 00000000 00000000 00000000 00000000"));
    for size in 0..24 {
        assert!(Reply::encode_success(XID, &mut Writer::new(&mut buffer[..size])).is_err(), "{size} bytes");
    }
}
