//! Calls as a client sends them.

use oncrpc::bind::{self, Mapping, Netbuf, Protocol, RemoteCall, Rpcb, V2, V4};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Call, Procedure, Program, Version, Xid};

/// The xid of every call made here.
pub(crate) const XID: Xid = Xid(0x1234_5678);
/// The protocol number of version 2 for TCP.
pub(crate) const TCP: u32 = 6;
/// The protocol number of version 2 for UDP.
pub(crate) const UDP: u32 = 17;

/// The bytes of any value.
pub(crate) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    let mut writer = Writer::new(&mut buffer);
    value.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

/// A call of program 100000 without credentials.
pub(crate) fn call(version: Version, procedure: Procedure, arguments: &[u8]) -> Vec<u8> {
    encoded(&Call { arguments, ..Call::new(XID, bind::PROGRAM, version, procedure) })
}

/// A call of version 2 with a mapping.
pub(crate) fn mapping(procedure: Procedure, program: u32, version: u32, protocol: u32, port: u32) -> Vec<u8> {
    let (program, version, protocol) = (Program(program), Version(version), Protocol(protocol));
    call(V2, procedure, &encoded(&Mapping { program, version, protocol, port }))
}

/// A call of version 3 or 4 with a row. The owner that it claims means nothing.
pub(crate) fn rpcb(
    called: Version,
    procedure: Procedure,
    program: u32,
    version: u32,
    netid: &str,
    address: &str,
) -> Vec<u8> {
    call(called, procedure, &row(program, version, netid, address))
}

/// The arguments of such a call.
pub(crate) fn row(program: u32, version: u32, netid: &str, address: &str) -> Vec<u8> {
    let (netid, address, owner) = (netid.as_bytes(), address.as_bytes(), b"claimed".as_slice());
    encoded(&Rpcb { program: Program(program), version: Version(version), netid, address, owner })
}

/// SET of version 4.
pub(crate) fn set(program: u32, version: u32, netid: &str, address: &str) -> Vec<u8> {
    rpcb(V4, bind::SET, program, version, netid, address)
}

/// UNSET of version 4.
pub(crate) fn unset(program: u32, version: u32, netid: &str) -> Vec<u8> {
    rpcb(V4, bind::UNSET, program, version, netid, "")
}

/// A netbuf.
pub(crate) fn netbuf(bytes: &[u8]) -> Vec<u8> {
    encoded(&Netbuf { max_len: 9_000, bytes })
}

/// An opaque of its own.
pub(crate) fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; bytes.len() + 8];
    let mut writer = Writer::new(&mut buffer);
    writer.opaque(bytes).unwrap();
    writer.written().to_vec()
}

/// The arguments of a remote call.
pub(crate) fn remote(program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    encoded(&RemoteCall {
        program: Program(program),
        version: Version(version),
        procedure: Procedure(procedure),
        arguments,
    })
}
