//! Calls in an order that chance brings about too seldom for a run to count on it.

use super::case::{Arguments, Caller, Case, Place, Rpcb, Transport};

const USER: Caller = Caller { transport: Transport::Unix, place: Place::User };
const LOOPBACK: Caller = Caller { transport: Transport::Udp, place: Place::PrivilegedPort };

const SET: u32 = 1;
const UNSET: u32 = 2;
const TADDR2UADDR: u32 = 8;
const INDIRECT: u32 = 10;

/// All of them, about programs that no random call names. The last ones leave tables that cannot be put right.
pub(super) fn calls() -> Vec<Case> {
    let remote = Arguments::Remote { program: 210_001, version: 1, procedure: 0, length: 4 };
    let name = Arguments::Netbuf { max_len: 7, bytes: [&1_u16.to_ne_bytes()[..], b"\0name"].concat() };
    vec![
        // Version 0 among the versions that a refusal names.
        row(Caller::ROOT, SET, 210_001, 0, "udp", "0.0.0.0.4.1"),
        row(Caller::ROOT, SET, 210_001, 2, "udp", "0.0.0.0.4.1"),
        Case::new(LOOPBACK, 4, INDIRECT, remote),
        // The same address, written in two ways.
        row(Caller::ROOT, SET, 210_003, 1, "udp6", "::.4.1"),
        row(Caller::ROOT, SET, 210_003, 1, "udp6", "0::0.4.1"),
        Case::new(USER, 4, TADDR2UADDR, name),
        // A string that goes on behind a NUL.
        row(Caller::ROOT, SET, 210_004, 1, "udp", "0.0.0.0.4.1"),
        row(Caller::ROOT, UNSET, 210_004, 1, "\0x", ""),
        // Two owners of one version.
        row(USER, SET, 210_002, 1, "udp", "0.0.0.0.4.1"),
        row(Caller::ROOT, SET, 210_002, 1, "tcp", "0.0.0.0.4.1"),
        row(USER, UNSET, 210_002, 1, "", ""),
    ]
}

fn row(caller: Caller, procedure: u32, program: u32, version: u32, netid: &str, address: &str) -> Case {
    let (netid, address) = (netid.as_bytes().to_vec(), address.as_bytes().to_vec());
    Case::new(caller, 4, procedure, Arguments::Rpcb(Rpcb { program, version, netid, address, owner: vec![] }))
}
