//! What can be wrong with XDR bytes.

use core::fmt;

/// Why bytes do not decode, or do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The message ends before the value does.
    Short {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A counted value is longer than its protocol allows.
    TooLong {
        /// The length that the message claims.
        len: u32,
        /// The maximum.
        max: u32,
    },
    /// A boolean that is neither 0 nor 1 (RFC 4506 section 4.4).
    Bool(u32),
    /// A discriminant that the protocol does not name (RFC 4506 section 4.3).
    Discriminant(u32),
    /// Bytes follow the last value.
    Leftover(usize),
    /// The lent buffer cannot hold the value.
    Full {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are free.
        left: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { needed, left } => {
                write!(f, "value of {needed} bytes with {left} left in the message")
            }
            Self::TooLong { len, max } => write!(f, "length {len} is over the limit of {max}"),
            Self::Bool(value) => write!(f, "boolean {value} is neither 0 nor 1"),
            Self::Discriminant(value) => write!(f, "discriminant {value} is not one of the protocol's"),
            Self::Leftover(bytes) => write!(f, "{bytes} bytes after the last value"),
            Self::Full { needed, left } => {
                write!(f, "value of {needed} bytes with {left} free in the buffer")
            }
        }
    }
}

impl core::error::Error for Error {}
