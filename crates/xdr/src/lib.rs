#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
//! External Data Representation (RFC 4506) as ONC RPC uses it, over slices.
//!
//! [`Reader`] walks a received message and hands out views of it; [`Writer`] fills a lent buffer. Neither allocates,
//! recurses or panics, whatever the bytes: every length is checked against what is there and against a maximum that
//! the caller names.
//!
//! ```
//! use oncrpc_xdr::{Reader, Writer};
//!
//! let mut buffer = [0; 16];
//! let mut writer = Writer::new(&mut buffer);
//! writer.u32(100_000)?;
//! writer.opaque(b"udp6")?;
//! let len = writer.len();
//!
//! let mut reader = Reader::new(&buffer[..len]);
//! assert_eq!(reader.u32()?, 100_000);
//! assert_eq!(reader.opaque(32)?, b"udp6");
//! reader.finish()?;
//! # Ok::<(), oncrpc_xdr::Error>(())
//! ```

mod error;
mod list;
mod reader;
mod writer;

pub use error::Error;
pub use list::{Decode, Encode, List, encode_list};
pub use reader::Reader;
pub use writer::Writer;

/// Bytes that an opaque of this length takes beyond its contents to end on a multiple of four (RFC 4506 section 3).
#[must_use]
pub const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}
