//! What is wrong with a rule of `hosts.allow` or `hosts.deny`, what it does instead, and what to write.

use crate::logging::{Escaped, Printable};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A rule that cannot do what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file that the rule is in.
    pub file: PathBuf,
    /// The line that the rule begins on, from 1.
    pub line: usize,
    /// The part of the rule that is meant, as it was written.
    pub text: Vec<u8>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A host name, a pattern of names, a netgroup, `LOCAL` or `KNOWN`: it would have to be looked up.
    Lookup(Effect),
    /// `PARANOID` or `UNKNOWN`: whether it applies would have to be looked up; it never matches.
    LookupOutcome,
    /// `user@host` with a user that can only be known by asking the client's host; it never matches.
    User,
    /// `rpcbind@host`: the address that a caller used is not compared; it never matches.
    Server,
    /// A pattern that no address matches, as it stands.
    NoAddress,
    /// A comment begins at the start of a line only; no address matches this.
    Remark,
    /// A prefix length of 0, which libwrap(3) never matches for IPv4.
    ZeroLength,
    /// Bits are set after the mask; it never matches.
    HostBits,
    /// A network or mask that cannot be read for certain.
    Mask(Effect),
    /// A file of patterns that does not exist; it never matches.
    FileMissing,
    /// A file of patterns that cannot be read, is too long, or is nested too deeply.
    FileUnreadable(Effect),
    /// More patterns than are kept.
    TooMany(Effect),
    /// No colon after the list of daemons; the line is ignored.
    NoColon,
    /// The last line does not end with a newline, or a line contains a zero byte. In `hosts.allow` it is ignored; in
    /// `hosts.deny` it refuses everybody, as with libwrap(3).
    Unterminated(Effect),
    /// An option that does not exist or is malformed; the rule refuses whom it matches.
    Option,
    /// `spawn`: nothing is ever run; the rest of the rule counts.
    NotRun,
    /// `twist`, `aclexec` and `user`: nothing is ever run; the rule refuses whom it matches.
    NotRunRefused,
    /// An option that would change the daemon itself; it is ignored, the rest of the rule counts.
    NotApplied,
}

/// What a pattern does that cannot be decided without help from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It grants nothing.
    GrantsNobody,
    /// It refuses everybody but loopback.
    SparesLoopback,
    /// It refuses everybody.
    RefusesAll,
    /// It holds nothing back from the refusal but loopback.
    ExceptsLoopback,
    /// It is ignored.
    Ignored,
}

impl Fault {
    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.problem.remedy()
    }
}

impl Problem {
    fn remedy(self) -> &'static str {
        match self {
            Self::Lookup(_) => "write addresses or prefixes",
            Self::LookupOutcome | Self::User | Self::FileMissing => "remove it",
            Self::Server => "write rpcbind alone, and set listen in rpcbind.toml",
            Self::NoAddress => "write an address, [IPv6 address], prefix or ALL",
            Self::Remark => "put the comment on a line of its own",
            Self::ZeroLength => "write ALL",
            Self::HostBits => "clear the bits after the mask",
            Self::Mask(_) => "write net/length, net/mask or [net]/length",
            Self::FileUnreadable(_) => {
                "put it below /etc, readable, at most 1 MiB, nested at most 4 deep, at most 64 of them"
            }
            Self::TooMany(_) => "write fewer than 65536 patterns",
            Self::NoColon => "write daemons : clients",
            Self::Unterminated(_) => "end it with a newline",
            Self::Option => "correct or remove the option",
            Self::NotRun | Self::NotApplied => "remove the option",
            Self::NotRunRefused => "write allow or deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GrantsNobody => "it grants nobody",
            Self::SparesLoopback => "it refuses everybody but loopback",
            Self::RefusesAll => "it refuses everybody",
            Self::ExceptsLoopback => "it excepts loopback only",
            Self::Ignored => "it is ignored",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(effect) => write!(f, "names are never looked up: {effect}"),
            Self::LookupOutcome => f.write_str("names are never looked up: it never matches"),
            Self::User => f.write_str("users are never looked up: it never matches"),
            Self::Server => f.write_str("the address that was called is not compared: it never matches"),
            Self::NoAddress => f.write_str("no address matches it"),
            Self::Remark => {
                f.write_str("a comment begins at the start of a line only: no address matches this")
            }
            Self::ZeroLength => f.write_str("a length of 0 never matches"),
            Self::HostBits => f.write_str("bits are set after the mask: it never matches"),
            Self::Mask(effect) => write!(f, "network or mask is malformed: {effect}"),
            Self::FileMissing => f.write_str("the file does not exist: it never matches"),
            Self::FileUnreadable(effect) => write!(f, "the file cannot be read: {effect}"),
            Self::TooMany(effect) => write!(f, "too many patterns: {effect}"),
            Self::NoColon => f.write_str("no colon follows the daemons: the line is ignored"),
            Self::Unterminated(effect) => write!(f, "the line has no end: {effect}"),
            Self::Option => f.write_str("unknown or malformed option: the rule refuses whom it matches"),
            Self::NotRun => f.write_str("commands are never run: the rest of the rule counts"),
            Self::NotRunRefused => f.write_str("commands are never run: the rule refuses whom it matches"),
            Self::NotApplied => f.write_str("the option is not applied: the rest of the rule counts"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text, problem } = self;
        let (file, text) = (Printable(file.as_os_str().as_bytes()), Escaped(text));
        write!(f, "{file} line {line}: \"{text}\": {problem}; {}", self.remedy())
    }
}
