//! The line that every refused SET and UNSET of a caller of this host gets: who, what and why.

use std::fmt;
use std::net::SocketAddr;

use oncrpc::Program;
use rpcbind_core::caller::Caller;
use rpcbind_core::facts::{Facts, OwnerFact};
use rpcbind_core::outcome::Refusal;

use super::ProgramNames;
use super::programs::Named;

/// One change that was answered FALSE.
#[derive(Clone, Copy, Debug)]
pub struct RefusedLine<'a> {
    /// Who wanted it.
    pub caller: &'a Caller,
    /// What the kernel said about the caller's socket.
    pub facts: &'a Facts,
    /// Whether it was UNSET, and not SET.
    pub is_unset: bool,
    /// The program that was to be registered or unregistered.
    pub program: Option<Program>,
    /// Why not.
    pub refusal: Refusal,
    /// The names of programs.
    pub names: &'a ProgramNames,
}

impl fmt::Display for RefusedLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_unset { "unset" } else { "set" })?;
        if let Some(program) = self.program {
            write!(f, " of {}", Named(program, self.names))?;
        }
        write!(f, " refused to {}: {}", Who { uid: self.uid(), from: self.caller.from() }, self.refusal)
    }
}

impl RefusedLine<'_> {
    /// Whose socket it is by all that was found. Whether that was believed is another question.
    fn uid(&self) -> Option<u32> {
        match (self.caller, &self.facts.owner) {
            (Caller::Unix { uid, .. }, _) => *uid,
            (_, Some(OwnerFact::Sockets(sockets))) => {
                let (first, rest) = sockets.split_first()?;
                let one_user = first.inode != 0 && rest.iter().all(|socket| socket.uid == first.uid);
                one_user.then_some(first.uid)
            }
            (_, Some(OwnerFact::Unknown) | None) => None,
        }
    }
}

/// A caller as far as it is known.
pub(super) struct Who {
    pub(super) uid: Option<u32>,
    pub(super) from: Option<SocketAddr>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.uid, self.from) {
            (Some(uid), None) => write!(f, "uid {uid}"),
            (Some(uid), Some(from)) => write!(f, "uid {uid} at {}", At(from)),
            (None, Some(from)) => write!(f, "{}", At(from)),
            (None, None) => f.write_str("a user that is not known"),
        }
    }
}

/// An address as people write it.
struct At(SocketAddr);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.0.ip().to_canonical(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcbind_core::caller::Namespace;
    use rpcbind_core::facts::Socket;

    fn socket(uid: u32, inode: u32) -> Socket {
        Socket { uid, inode, established: true, port: 40_000, ours: false }
    }

    fn line(caller: Caller, owner: Option<OwnerFact>, program: Option<u32>, refusal: Refusal) -> String {
        let names = ProgramNames::parse(b"nfs 100003\nbad\x1b[2J 100004\n");
        let facts = Facts { owner, bound: None };
        let program = program.map(Program);
        let (caller, facts, names) = (&caller, &facts, &names);
        RefusedLine { caller, facts, is_unset: program.is_none(), program, refusal, names }.to_string()
    }

    #[test]
    fn the_line_says_who_what_and_why() {
        let unix = |uid| Caller::Unix { uid, namespace: Namespace(0) };
        let at = |text: &str| text.parse().expect("the test names an address");
        let tcp = || Caller::Connection { from: at("[::ffff:127.0.0.1]:40000"), local: at("127.0.0.1:111") };
        let sockets = |sockets: &[Socket]| Some(OwnerFact::Sockets(sockets.to_vec()));
        let cases = [
            (
                line(unix(Some(1000)), None, Some(100_003), Refusal::ReservedProgram),
                "set of 100003 (nfs) refused to uid 1000: reserved program",
            ),
            (
                line(unix(None), None, None, Refusal::NotOwner),
                "unset refused to a user that is not known: somebody else's",
            ),
            (
                line(tcp(), sockets(&[socket(1000, 1)]), Some(7), Refusal::TableFull),
                "set of 7 refused to uid 1000 at 127.0.0.1 port 40000: the table is full",
            ),
            (
                line(tcp(), sockets(&[socket(1000, 1), socket(0, 2)]), Some(7), Refusal::TableFull),
                "set of 7 refused to 127.0.0.1 port 40000: the table is full",
            ),
            (
                line(tcp(), sockets(&[socket(0, 0)]), Some(7), Refusal::TableFull),
                "set of 7 refused to 127.0.0.1 port 40000: the table is full",
            ),
            (
                line(unix(Some(0)), None, Some(100_004), Refusal::PortMapper),
                "set of 100004 (bad\\x1b[2J) refused to uid 0: the port mapper's own program",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(line, expected);
        }
    }
}
