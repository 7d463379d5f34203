//! The numbers of RFC 5531 as types, so that a program cannot be taken for a version.

use core::fmt;
use oncrpc_xdr::Reader;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A transaction identifier (RFC 5531 section 9): pairs a reply with its call, means nothing else.
    Xid
}
number! {
    /// A program number (RFC 5531 section 8.3).
    Program
}
number! {
    /// A version of a program (RFC 5531 section 8.2).
    Version
}
number! {
    /// A procedure of a version of a program (RFC 5531 section 8.2).
    Procedure
}

impl Xid {
    /// The xid that a message begins with, a call or a reply, whatever follows it (RFC 5531 section 9). `None`: it is
    /// shorter than an xid.
    #[must_use]
    pub fn of(message: &[u8]) -> Option<Self> {
        Reader::new(message).u32().ok().map(Self)
    }
}

impl Procedure {
    /// Procedure 0: no arguments, no results, present in every version of every program (RFC 5531 section 12.1).
    pub const NULL: Self = Self(0);
}
