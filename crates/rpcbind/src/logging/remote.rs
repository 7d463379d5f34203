//! The line that every remote call gets when it has ended: what was called for whom, and what came of it.

use std::fmt;

use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::{Reason, Why};

use super::ProgramNames;
use super::programs::Named;
use super::refused::Who;

/// One remote call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct RemoteLine<'a> {
    /// Who asked for it.
    pub caller: &'a Caller,
    /// What was called, and why it ended as it did.
    pub why: &'a Why,
    /// The names of programs.
    pub names: &'a ProgramNames,
}

impl fmt::Display for RemoteLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("remote call")?;
        if let (Some(program), Some(procedure)) = (self.why.program, self.why.target) {
            write!(f, " of {} procedure {procedure}", Named(program, self.names))?;
        }
        let uid = match self.caller {
            Caller::Unix { uid, .. } => *uid,
            Caller::Connection { .. } | Caller::Datagram(_) => None,
        };
        write!(f, " for {}: ", Who { uid, from: self.caller.from() })?;
        f.write_str(match self.why.reason {
            Reason::Answered => "answered",
            Reason::ReplyTooLong => "answered in more than the caller may get",
            Reason::RemoteCallTimedOut => "no answer in time",
            Reason::RemoteCallsFull => "given up for another one",
            _ => "the service is not there, or has answered with an error",
        })
    }
}

#[cfg(test)]
mod tests {
    use oncrpc::{Procedure, Program, bind};
    use rpcbind_core::caller::Namespace;

    use super::*;

    #[test]
    fn the_line_says_what_was_called_for_whom_and_what_came_of_it() {
        let names = ProgramNames::parse(b"mountd 100005\n");
        let at = |text: &str| text.parse().expect("the test names an address");
        let tcp = Caller::Connection { from: at("192.0.2.1:700"), local: at("192.0.2.2:111") };
        let unix = Caller::Unix { uid: Some(1000), namespace: Namespace(0) };
        let cases = [
            (
                &tcp,
                100_005,
                Reason::RemoteCallTimedOut,
                "100005 (mountd) procedure 0 for 192.0.2.1 port 700: no answer in time",
            ),
            (&unix, 7, Reason::Answered, "7 procedure 0 for uid 1000: answered"),
            (
                &unix,
                7,
                Reason::RemoteCallFailed,
                "7 procedure 0 for uid 1000: the service is not there, or has answered with an error",
            ),
        ];
        for (caller, program, reason, expected) in cases {
            let why = Why {
                version: Some(bind::V4),
                procedure: Some(bind::INDIRECT),
                program: Some(Program(program)),
                target: Some(Procedure::NULL),
                reason,
            };
            let line = RemoteLine { caller, why: &why, names: &names }.to_string();
            assert_eq!(line, format!("remote call of {expected}"));
        }
    }
}
