//! Credentials and verifiers: what is accepted, what is refused, and that neither says who somebody is.

use crate::callers::{USER, loopback_tcp, loopback_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{XID, encoded, row};
use crate::host::Host;
use oncrpc::auth::{Gids, flavor};
use oncrpc::bind::{self, V4};
use oncrpc::{Answer, AuthStatus, AuthSys, Call, OpaqueAuth, Procedure, Program, Version};
use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::Reason;
use rpcbind_core::registry::Owner;

fn callers() -> [Caller; 5] {
    [unix(USER), loopback_tcp(40_000), loopback_udp(40_000), stranger_tcp(), stranger_udp()]
}

fn null<'a>() -> Call<'a> {
    Call::new(XID, bind::PROGRAM, V4, Procedure(0))
}

fn auth_sys(uid: u32, gids: &[u32], name: &[u8]) -> Vec<u8> {
    encoded(&AuthSys { stamp: 1, machine_name: name, uid, gid: 0, gids: Gids::new(gids) })
}

#[track_caller]
fn accepts(call: &Call<'_>) {
    for caller in callers() {
        assert_eq!(Host::new().send(&caller, &encoded(call)).results(), [], "{caller:?}");
    }
}

#[track_caller]
fn rejects(message: &[u8], status: AuthStatus, reason: Reason) {
    for caller in callers() {
        let ended = Host::new().send(&caller, message);
        assert_eq!(ended.answer(), Some(Answer::AuthError(status)), "{caller:?}");
        assert_eq!(ended.reply.unwrap().len(), 20);
        assert_eq!(ended.why.reason, reason);
    }
}

#[test]
fn a_body_of_auth_none_is_ignored_up_to_400_bytes() {
    let body = [0xff; 400];
    for len in 0..=400 {
        let credential = OpaqueAuth { flavor: flavor::NONE, body: &body[..len] };
        accepts(&Call { credential, ..null() });
    }
}

#[test]
fn a_verifier_is_ignored_up_to_400_bytes_whatever_its_flavour() {
    let body = [0xff; 400];
    for number in [0, 1, 2, 3, 6, 7, 99, u32::MAX] {
        for len in [0, 1, 2, 3, 4, 5, 100, 399, 400] {
            let verifier = OpaqueAuth { flavor: number, body: &body[..len] };
            accepts(&Call { verifier, ..null() });
        }
    }
}

#[test]
fn bodies_over_400_bytes_are_bad_credentials_and_bad_verifiers() {
    for len in [401_u32, 404, 9_000, 0x7fff_ffff, u32::MAX] {
        let mut message = encoded(&Call { arguments: &[0; 512], ..null() });
        message[36..40].copy_from_slice(&len.to_be_bytes());
        rejects(&message, AuthStatus::BadVerifier, Reason::BadCredential);
        message[28..32].copy_from_slice(&len.to_be_bytes());
        rejects(&message, AuthStatus::BadCredential, Reason::BadCredential);
    }
}

#[test]
fn flavours_other_than_none_and_sys_are_rejected_without_a_look_at_their_body() {
    let body = [0xff; 400];
    for number in [flavor::SHORT, flavor::DH, 4, 5, flavor::GSS, flavor::TLS, 8, 99, 390_003, u32::MAX] {
        for len in [0, 1, 4, 20, 400] {
            let credential = OpaqueAuth { flavor: number, body: &body[..len] };
            let message = encoded(&Call { credential, ..null() });
            rejects(&message, AuthStatus::RejectedCredential, Reason::RejectedCredential);
        }
    }
}

#[test]
fn auth_sys_is_accepted_when_it_is_well_formed() {
    let name = [b'n'; 255];
    for gids in 0..=16 {
        let body = auth_sys(0, &vec![7; gids], &name[..gids * 15]);
        accepts(&Call { credential: OpaqueAuth { flavor: flavor::SYS, body: &body }, ..null() });
    }
    let longest = auth_sys(0, &[], &name);
    accepts(&Call { credential: OpaqueAuth { flavor: flavor::SYS, body: &longest }, ..null() });
}

#[test]
fn auth_sys_is_a_bad_credential_when_it_is_not() {
    let good = auth_sys(0, &[1, 2, 3], b"host");
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    let word = |at: usize, value: u32| {
        let mut body = good.clone();
        body[at..at + 4].copy_from_slice(&value.to_be_bytes());
        body
    };
    // The name's length and the number of groups, over their limits or over what is there.
    bad.extend([5, 256, 400, u32::MAX].map(|len| word(4, len)));
    bad.extend([4, 16, 17, u32::MAX].map(|count| word(20, count)));
    // Seventeen groups that are all there, and bytes that belong to nothing.
    let mut seventeen = auth_sys(0, &[9; 16], b"");
    seventeen[16..20].copy_from_slice(&17_u32.to_be_bytes());
    seventeen.extend([0; 4]);
    bad.push(seventeen);
    bad.push([good.as_slice(), &[0; 4]].concat());
    let mut name_of_256 = auth_sys(0, &[], &[b'n'; 255]);
    name_of_256[4..8].copy_from_slice(&256_u32.to_be_bytes());
    bad.push(name_of_256);
    for body in bad {
        let credential = OpaqueAuth { flavor: flavor::SYS, body: &body };
        let message = encoded(&Call { credential, ..null() });
        rejects(&message, AuthStatus::BadCredential, Reason::BadCredential);
    }
}

#[test]
fn credentials_are_decided_before_program_version_and_procedure() {
    let good = auth_sys(0, &[], b"");
    for (credential, status) in [
        (OpaqueAuth { flavor: 99, body: &[] }, AuthStatus::RejectedCredential),
        (OpaqueAuth { flavor: flavor::SYS, body: &good[1..] }, AuthStatus::BadCredential),
    ] {
        let odd = [
            Call { program: Program(1), ..null() },
            Call { version: Version(9), ..null() },
            Call { procedure: Procedure(99), ..null() },
            Call { procedure: bind::GETADDR, ..null() },
        ];
        for call in odd {
            let message = encoded(&Call { credential, ..call });
            let ended = Host::new().send(&stranger_udp(), &message);
            assert_eq!(ended.answer(), Some(Answer::AuthError(status)));
        }
    }
}

#[test]
fn what_auth_sys_says_makes_nobody_root() {
    let body = auth_sys(0, &[0], b"trust-me");
    let credential = OpaqueAuth { flavor: flavor::SYS, body: &body };
    let arguments = row(200_001, 1, "udp", "0.0.0.0.8.8");
    let set = encoded(&Call { credential, procedure: bind::SET, arguments: &arguments, ..null() });
    for (caller, owner) in [(unix(USER), Owner::Uid(USER)), (loopback_udp(40_000), Owner::Unknown)] {
        let ended = Host::new().send(&caller, &set);
        assert!(ended.is_true());
        assert_eq!(ended.change.unwrap().added.unwrap().owner, owner);
    }
    for caller in [stranger_tcp(), stranger_udp()] {
        Host::new().send(&caller, &set).is_too_weak(Reason::NotLocal);
    }
}
