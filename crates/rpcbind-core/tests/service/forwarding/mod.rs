//! CALLIT, BCAST and INDIRECT where remote calls are on.

mod answers;
mod refusals;

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
pub(super) const PROGRAM: u32 = 0x2000_0001;
pub(super) const BROADCAST_FORMS: [(Version, Procedure); 3] =
    [(V2, bind::CALLIT), (V3, bind::CALLIT), (V4, bind::BCAST)];
pub(super) const FORWARDING: Forwarding =
    Forwarding { inet: Some(50_004), inet6: Some(50_006), calls: 100, calls_per_source: 8, seed: [3, 4] };

pub(super) fn host_with(policy: Policy) -> Host {
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

pub(super) fn host() -> Host {
    host_with(Policy::default())
}

pub(super) fn indirect(program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    call(V4, bind::INDIRECT, &remote(program, version, procedure, arguments))
}

/// What a service answers.
pub(super) fn answer(forward: &Forward, answer: Answer<'_>) -> Vec<u8> {
    let xid = Call::decode(&forward.message).unwrap().xid;
    encoded(&Reply { xid, answer })
}

#[track_caller]
pub(super) fn forwarded(host: &mut Host, caller: &Caller, message: &[u8]) -> Forward {
    let ended = host.send(caller, message);
    assert_eq!((ended.why.reason, ended.reply), (Reason::Forwarded, None));
    ended.forward.unwrap()
}

#[track_caller]
pub(super) fn refused(host: &mut Host, caller: &Caller, message: &[u8], reason: Reason, answer: Answer<'_>) {
    let ended = host.send(caller, message);
    assert_eq!((ended.why.reason, &ended.forward), (reason, &None));
    assert_eq!(ended.answer(), Some(answer));
}

#[track_caller]
pub(super) fn results(late: &Late) -> (String, Vec<u8>) {
    let reply = Reply::decode(late.reply.as_deref().unwrap()).unwrap();
    assert_eq!(reply.xid, XID);
    let Answer::Success(results) = reply.answer else { panic!("{:?}", reply.answer) };
    let mut reader = Reader::new(results);
    let result = CallResult::decode(&mut reader).unwrap();
    reader.finish().unwrap();
    (String::from_utf8(result.address.to_vec()).unwrap(), result.results.to_vec())
}

pub(super) fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}
