//! The messages of the calls, and what is in their replies.

use super::*;

pub(super) fn wanted<'a>(bytes: &mut Bytes<'a>) -> Wanted<'a> {
    let (program, version) = (Program(bytes.one_of(&PROGRAMS)), Version(bytes.one_of(&VERSIONS)));
    let netid = bytes.one_of(&NETIDS);
    let address = match bytes.byte() {
        0xff => {
            let len = bytes.byte();
            bytes.part(len.into())
        }
        choice => ADDRESSES[usize::from(choice) % ADDRESSES.len()].as_bytes(),
    };
    Wanted { program, version, netid, address }
}

pub(super) fn call(version: Version, procedure: Procedure, arguments: &[u8]) -> Vec<u8> {
    encoded(&Call { arguments, ..Call::new(Xid(7), bind::PROGRAM, version, procedure) })
}

pub(super) fn rpcb_call(version: Version, procedure: Procedure, wanted: &Wanted<'_>) -> Vec<u8> {
    let Wanted { program, version: wanted_version, netid, address } = *wanted;
    let netid = netid.as_bytes();
    call(
        version,
        procedure,
        &encoded(&Rpcb { program, version: wanted_version, netid, address, owner: b"superuser" }),
    )
}

pub(super) fn mapping_call(procedure: Procedure, wanted: &Wanted<'_>, port: u32) -> Vec<u8> {
    let protocol = if wanted.netid == "tcp" { Protocol::TCP } else { Protocol::UDP };
    let mapping = Mapping { program: wanted.program, version: wanted.version, protocol, port };
    call(V2, procedure, &encoded(&mapping))
}

pub(super) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut buffer = [0; 2_000];
    let mut writer = Writer::new(&mut buffer);
    value.encode(&mut writer).expect("there is room");
    writer.written().to_vec()
}

/// The results of an accepted call.
pub(super) fn answer(reply: &[u8]) -> Option<&[u8]> {
    match Reply::decode(reply).ok()?.answer {
        Answer::Success(results) => Some(results),
        _ => None,
    }
}
