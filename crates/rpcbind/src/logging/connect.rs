//! The line that `-l` writes for a call, in the C daemon's words.

use super::{Escaped, ProgramNames};
use oncrpc::{Procedure, Program};
use std::fmt;
use std::net::IpAddr;

/// Why a call was refused, as the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// SET or UNSET from another host.
    NotLocal,
    /// The access lists refuse the caller.
    Unauthorized,
    /// A remote call that is made for nobody.
    RemoteCall,
}

/// One call over UDP or TCP. (The C daemon writes no line for the unix sockets.)
#[derive(Clone, Copy, Debug)]
pub struct ConnectLine<'a> {
    /// The caller's address. A v4-mapped one is written as IPv4.
    pub from: IpAddr,
    /// The procedure of program 100000 that was called; of a remote call that is refused, the one that it is about,
    /// by the same names.
    pub procedure: Procedure,
    /// The program that the arguments name. Written for SET, UNSET, GETPORT, GETADDR and refused remote calls.
    pub program: Option<Program>,
    /// Why the call was refused, if it was.
    pub declined: Option<Declined>,
    /// The names of programs.
    pub names: &'a ProgramNames,
}

/// The names of procedures, by number.
const PROCEDURES: [&str; 13] = [
    "null",
    "set",
    "unset",
    "getport/addr",
    "dump",
    "callit",
    "gettime",
    "uaddr2taddr",
    "taddr2uaddr",
    "getversaddr",
    "indirect",
    "getaddrlist",
    "getstat",
];

impl fmt::Display for ConnectLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect from {} to ", self.from.to_canonical())?;
        let name = usize::try_from(self.procedure.0).ok().and_then(|number| PROCEDURES.get(number));
        match name {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}", self.procedure)?,
        }
        let names_one = matches!(self.procedure.0, 1..=3) || self.declined == Some(Declined::RemoteCall);
        let program = self.program.filter(|program| names_one && program.0 != 0);
        match program.map(|program| (program, self.names.name(program))) {
            None => f.write_str("()")?,
            Some((_, Some(name))) => write!(f, "({})", Escaped(name.as_bytes()))?,
            Some((program, None)) => write!(f, "({program})")?,
        }
        match self.declined {
            None => Ok(()),
            Some(Declined::NotLocal) => f.write_str(" declined (non-loopback sender)"),
            Some(Declined::Unauthorized) => f.write_str(": request from unauthorized host"),
            Some(Declined::RemoteCall) => f.write_str(": indirect call not allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: &str, procedure: u32, program: Option<u32>, declined: Option<Declined>) -> String {
        let names = ProgramNames::parse(b"portmapper 100000\nnlockmgr 100021\n");
        let from = from.parse().expect("the test names an address");
        let (procedure, program) = (Procedure(procedure), program.map(Program));
        ConnectLine { from, procedure, program, declined, names: &names }.to_string()
    }

    /// What Debian's rpcbind 1.2.6 wrote for the same calls.
    #[test]
    fn the_line_has_the_c_daemons_words() {
        let cases = [
            (line("127.0.0.1", 3, Some(100_000), None), "connect from 127.0.0.1 to getport/addr(portmapper)"),
            (line("127.0.0.1", 0, None, None), "connect from 127.0.0.1 to null()"),
            (line("127.0.0.1", 4, None, None), "connect from 127.0.0.1 to dump()"),
            (line("127.0.0.1", 12, None, None), "connect from 127.0.0.1 to getstat()"),
            (line("127.0.0.1", 11, Some(100_000), None), "connect from 127.0.0.1 to getaddrlist()"),
            (line("::1", 3, Some(100_021), None), "connect from ::1 to getport/addr(nlockmgr)"),
            (
                line("127.0.0.1", 3, Some(100_000), Some(Declined::Unauthorized)),
                "connect from 127.0.0.1 to getport/addr(portmapper): request from unauthorized host",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_remote_call_that_is_refused_is_named_by_what_it_is_about() {
        let refused = |procedure, program| line("192.0.2.1", procedure, program, Some(Declined::RemoteCall));
        let expected = "connect from 192.0.2.1 to dump(portmapper): indirect call not allowed";
        assert_eq!(refused(4, Some(100_000)), expected);
        let expected = "connect from 192.0.2.1 to 13(100003): indirect call not allowed";
        assert_eq!(refused(13, Some(100_003)), expected);
    }

    #[test]
    fn numbers_stand_in_for_names_that_are_not_known() {
        let refused = line("::ffff:192.0.2.1", 1, Some(200_001), Some(Declined::NotLocal));
        assert_eq!(refused, "connect from 192.0.2.1 to set(200001) declined (non-loopback sender)");
        assert_eq!(line("192.0.2.1", 13, Some(5), None), "connect from 192.0.2.1 to 13()");
    }
}
