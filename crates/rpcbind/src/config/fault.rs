//! What is wrong with the configuration: where, what was written, and what may be written instead.

use crate::logging::{Escaped, Printable};
use rpcbind_core::access::PrefixError;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file; `None` for the command line.
    pub file: Option<PathBuf>,
    /// The line in the file, from 1; 0 for the command line and for the file as a whole.
    pub line: usize,
    /// The key, or the flag; empty when there is none.
    pub key: String,
    /// What was written.
    pub value: String,
    /// Why that cannot be.
    pub problem: Problem,
}

/// Why something cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read; the system's words.
    Unreadable(String),
    /// The file is longer than this many bytes.
    FileTooLong(u64),
    /// The file is not UTF-8 from this line on.
    NotText,
    /// The file is not TOML; the parser's words.
    Syntax(String),
    /// There are so many more faults.
    More(usize),
    /// No such key.
    UnknownKey,
    /// A value of another type; what is wanted.
    Type(&'static str),
    /// A number outside of these limits.
    Range {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// None of these words.
    OneOf(&'static [&'static str]),
    /// Longer than this many bytes.
    TooLong(usize),
    /// A list with more elements than this.
    TooMany(usize),
    /// Empty where something is needed.
    Empty,
    /// A path that does not begin with `/`.
    NotAbsolute,
    /// An abstract name that does not begin with `@`.
    NotAbstract,
    /// A zero byte, which no name or path can have.
    ZeroByte,
    /// Not a prefix.
    Prefix(PrefixError),
    /// Not an IPv4 or IPv6 address.
    Address,
    /// The name of a host that cannot be looked up; the system's words.
    Host(String),
    /// An address that no socket can have: multicast, broadcast.
    NotUnicast,
    /// An IPv6 link-local address, which means something only with an interface.
    LinkLocal,
    /// Not a program's number, a range of them, or a name in `/etc/rpc`.
    Program,
    /// Not the number of a procedure.
    Procedure,
    /// Not a user's number, or a name in `/etc/passwd`.
    User,
    /// The superuser, who needs no grant.
    Superuser,
    /// Not the name of an interface.
    Interface,
    /// Not a netid: printable, without blanks.
    Netid,
    /// A netid that is known already.
    KnownNetid,
    /// A table without this key.
    Missing(&'static str),
    /// It contradicts something else.
    Contradicts(&'static str),
}

/// All that is wrong, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Fault {
    /// A fault of a file as a whole.
    pub(super) fn of_file(file: impl Into<PathBuf>, problem: Problem) -> Self {
        Self { file: Some(file.into()), line: 0, key: String::new(), value: String::new(), problem }
    }

    /// A fault of a flag.
    pub(super) fn of_flag(flag: &str, value: &str, problem: Problem) -> Self {
        Self { file: None, line: 0, key: flag.into(), value: value.into(), problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::FileTooLong(limit) => write!(f, "is longer than {limit} bytes"),
            Self::NotText => f.write_str("is not UTF-8"),
            Self::Syntax(why) => write!(f, "is not TOML: {}", why.trim_end().replace('\n', ", ")),
            Self::More(more) => write!(f, "{more} more faults"),
            Self::UnknownKey => f.write_str("there is no such key"),
            Self::Type(wanted) => write!(f, "must be {wanted}"),
            Self::Range { min, max } => write!(f, "must be {min} to {max}"),
            Self::OneOf(words) => write!(f, "must be one of {}", words.join(", ")),
            Self::TooLong(limit) => write!(f, "must be at most {limit} bytes"),
            Self::TooMany(limit) => write!(f, "must be at most {limit} elements"),
            Self::Empty => f.write_str("must not be empty"),
            Self::NotAbsolute => f.write_str("must begin with /"),
            Self::NotAbstract => f.write_str("must begin with @"),
            Self::ZeroByte => f.write_str("must not have a zero byte"),
            Self::Prefix(error) => error.fmt(f),
            Self::Address => f.write_str("is not an IPv4 or IPv6 address"),
            Self::Host(why) => write!(f, "is no address, and as a host's name cannot be looked up: {why}"),
            Self::NotUnicast => f.write_str("no socket can have this address"),
            Self::LinkLocal => f.write_str("is link-local, which needs an interface: listen at :: instead"),
            Self::Procedure => f.write_str("names a procedure that is not a number"),
            Self::Program => {
                f.write_str("is not a program's number, two of them with -, or a name in /etc/rpc")
            }
            Self::User => f.write_str("is not a user's number, or a name in /etc/passwd"),
            Self::Superuser => f.write_str("is the superuser, who needs no grant"),
            Self::Interface => f.write_str("is not the name of an interface"),
            Self::Netid => f.write_str("is not a netid: 1 to 32 printable characters without blanks"),
            Self::KnownNetid => f.write_str("is a netid that is known already"),
            Self::Missing(key) => write!(f, "{key} is missing"),
            Self::Contradicts(what) => write!(f, "contradicts {what}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (None, _) => f.write_str("command line: ")?,
            (Some(file), 0) => write!(f, "{}: ", file.display())?,
            (Some(file), line) => write!(f, "{} line {line}: ", file.display())?,
        }
        let (key, value) = (Escaped(self.key.as_bytes()), Printable(self.value.as_bytes()));
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, true) => {}
            (true, false) => write!(f, "{value}: ")?,
            (false, true) => write!(f, "{key}: ")?,
            (false, false) if self.file.is_none() => write!(f, "{key} {value}: ")?,
            (false, false) => write!(f, "{key} = {value}: ")?,
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Faults {
    /// One line a fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for Faults {}
