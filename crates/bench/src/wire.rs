//! The calls that are made, and whether a reply is the one that was wanted (RFC 5531 section 9, RFC 1833).

use std::error::Error;
use std::net::Ipv4Addr;

use oncrpc::bind::{self, Mapping, Protocol, Rpcb};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version, Xid, record};

/// What can fail here: anything, and it ends the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Where the program that is asked about is in a call without credentials.
const PROGRAM_AT: usize = 40;
/// The longest call that is made.
pub(crate) const CALL_MAX: usize = 128;
/// Where all services are registered, so that all replies have one length.
pub(crate) const SERVICE_PORT: u16 = 156 * 256 + 64;
const SERVICE: &[u8] = b"0.0.0.0.156.64";
/// What a service takes in a DUMP of version 4 at least: that one more follows, program, version, netid, address, the
/// length of the owner.
pub(crate) const DUMPED_ROW_MIN: usize = 4 + 4 + 4 + (4 + 4) + (4 + 16) + 4;

/// Programs in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Programs {
    /// The first number.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

/// What is asked over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// GETPORT of version 2.
    GetPort,
    /// GETADDR of a version.
    GetAddr(Version),
}

/// One question about each of some programs in turn. A call is made by patching the one before, so that the load costs
/// the same however many programs there are.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    call: Vec<u8>,
    programs: Programs,
    turn: u32,
}

impl Calls {
    /// To the port mapper at `host`.
    pub(crate) fn new(question: Question, programs: Programs, host: Ipv4Addr) -> Result<Self> {
        Ok(Self { call: question.call(programs.pick(0), host)?, programs, turn: 0 })
    }

    /// The next call.
    pub(crate) fn next(&mut self, xid: u32) -> &[u8] {
        let program = self.programs.pick(self.turn);
        self.turn = self.turn.wrapping_add(1);
        self.call[..4].copy_from_slice(&xid.to_be_bytes());
        self.call[PROGRAM_AT..PROGRAM_AT + 4].copy_from_slice(&program.0.to_be_bytes());
        &self.call
    }
}

impl Programs {
    /// Those that are registered: so many.
    pub(crate) const fn registered(count: u32) -> Self {
        Self { first: 0x2000_0100, count }
    }

    /// Those that nobody knows.
    pub(crate) const fn unknown(count: u32) -> Self {
        Self { first: 0x3000_0000, count }
    }

    /// Those that come and go while it is measured.
    pub(crate) const fn passing(count: u32) -> Self {
        Self { first: 0x2800_0000, count }
    }

    /// One of them: each once in a round of `count`, neighbours far from each other.
    pub(crate) fn pick(self, turn: u32) -> Program {
        const STRIDE: u64 = 7_919;
        let offset = u64::from(turn).wrapping_mul(STRIDE) % u64::from(self.count.max(1));
        Program(self.first.saturating_add(u32::try_from(offset).unwrap_or(0)))
    }

    /// All of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Program> {
        (self.first..self.first.saturating_add(self.count)).map(Program)
    }
}

impl Question {
    /// The call about `program` to the port mapper at `host`.
    pub(crate) fn call(self, program: Program, host: Ipv4Addr) -> Result<Vec<u8>> {
        match self {
            Self::GetPort => {
                let wanted = Mapping { program, version: Version(1), protocol: Protocol::UDP, port: 0 };
                call(bind::V2, bind::GETPORT, &wanted)
            }
            Self::GetAddr(version) => {
                let hint = format!("{host}.0.111");
                let (address, owner) = (hint.as_bytes(), b"libtirpc".as_slice());
                let wanted = Rpcb { program, version: Version(1), netid: b"udp", address, owner };
                call(version, bind::GETADDR, &wanted)
            }
        }
    }
}

/// Registers `program`, version 1, over UDP.
pub(crate) fn set(program: Program) -> Result<Vec<u8>> {
    change(bind::SET, program, SERVICE)
}

/// Takes it back.
pub(crate) fn unset(program: Program) -> Result<Vec<u8>> {
    change(bind::UNSET, program, b"")
}

fn change(procedure: Procedure, program: Program, address: &[u8]) -> Result<Vec<u8>> {
    call(bind::V4, procedure, &Rpcb { program, version: Version(1), netid: b"udp", address, owner: b"0" })
}

/// Asks for the whole table.
pub(crate) fn dump() -> Result<Vec<u8>> {
    call_with(bind::V4, bind::DUMP, &[])
}

fn call(version: Version, procedure: Procedure, arguments: &impl Encode) -> Result<Vec<u8>> {
    let mut encoded = [0; CALL_MAX];
    let mut writer = Writer::new(&mut encoded);
    arguments.encode(&mut writer)?;
    call_with(version, procedure, writer.written())
}

/// A call with xid 0.
fn call_with(version: Version, procedure: Procedure, arguments: &[u8]) -> Result<Vec<u8>> {
    let call = Call { arguments, ..Call::new(Xid(0), bind::PROGRAM, version, procedure) };
    let mut message = [0; CALL_MAX];
    let mut writer = Writer::new(&mut message);
    call.encode(&mut writer)?;
    Ok(writer.written().to_vec())
}

/// The message with its record mark.
pub(crate) fn record(message: &[u8]) -> Result<Vec<u8>> {
    let mark = record::mark(message.len()).ok_or("too long for a record")?;
    Ok([mark.as_slice(), message].concat())
}

/// The xid of a reply with success. Where something is to be `found`, its result must not be nothing.
pub(crate) fn check(message: &[u8], found: bool) -> Result<u32> {
    let reply = Reply::decode(message)?;
    match reply.answer {
        Answer::Success(results) if !found || results.iter().any(|byte| *byte != 0) => Ok(reply.xid.0),
        other => Err(format!("not what was asked for: {other:?}").into()),
    }
}

/// As [`check`], of the reply to the call with this xid.
pub(crate) fn check_reply(message: &[u8], xid: u32, found: bool) -> Result<()> {
    let of = check(message, found)?;
    if of == xid { Ok(()) } else { Err(format!("a reply to call {of}, not {xid}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_round_asks_about_each_program_once() {
        for count in [1, 2, 100, 10_000, 16_000] {
            let programs = Programs::registered(count);
            let picked: BTreeSet<u32> = (0..count).map(|turn| programs.pick(turn).0).collect();
            let all: BTreeSet<u32> = programs.all().map(|program| program.0).collect();
            assert_eq!(picked, all);
        }
    }

    #[test]
    fn a_call_is_as_if_made_anew() {
        let (programs, host) = (Programs::registered(10), Ipv4Addr::LOCALHOST);
        for question in [Question::GetPort, Question::GetAddr(bind::V4)] {
            let mut calls = Calls::new(question, programs, host).unwrap();
            for turn in 0..10 {
                let mut expected = question.call(programs.pick(turn), host).unwrap();
                expected[..4].copy_from_slice(&[0, 0, 0, 9]);
                assert_eq!(calls.next(9), expected);
            }
        }
    }

    #[test]
    fn calls_fit_where_they_are_put() {
        let (program, host) = (Program(u32::MAX), Ipv4Addr::new(255, 255, 255, 255));
        for question in [Question::GetPort, Question::GetAddr(bind::V4)] {
            assert!(question.call(program, host).unwrap().len() <= CALL_MAX);
        }
        assert!(set(program).unwrap().len() <= CALL_MAX);
    }

    #[test]
    fn nothing_is_no_answer_where_something_is_registered() {
        let reply = [&[0, 0, 0, 7, 0, 0, 0, 1], [0; 16].as_slice(), &[0, 0, 0, 0]].concat();
        assert_eq!(check(&reply, false).unwrap(), 7);
        assert!(check_reply(&reply, 7, false).is_ok() && check_reply(&reply, 8, false).is_err());
        assert!(check(&reply, true).is_err());
        assert!(check(&reply[..reply.len() - 8], false).is_err());
    }
}
