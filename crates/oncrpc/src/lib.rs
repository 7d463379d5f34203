#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
//! ONC RPC messages (RFC 5531) and the binding protocols over them (RFC 1833, RFC 5665), without I/O.
//!
//! Everything decoded borrows from the message; everything encoded goes to a lent buffer. Time and bytes come in as
//! arguments, so that servers, clients, tests and fuzzers all use the same code.
//!
//! ```
//! use oncrpc::{Answer, Call, Program, Procedure, Reply, Version, Xid};
//! use oncrpc::xdr::{Encode, Writer};
//!
//! // What `rpcinfo -u host nfs 3` sends: NULL of program 100003, version 3.
//! let mut buffer = [0; 64];
//! let mut writer = Writer::new(&mut buffer);
//! Call::new(Xid(1), Program(100_003), Version(3), Procedure::NULL).encode(&mut writer)?;
//! let call = Call::decode(writer.written()).expect("what we wrote is a call");
//! assert_eq!((call.program, call.version), (Program(100_003), Version(3)));
//!
//! // What comes back when version 3 is not served.
//! let mut buffer = [0; 64];
//! let mut writer = Writer::new(&mut buffer);
//! let reply = Reply { xid: call.xid, answer: Answer::ProgramMismatch { low: 4, high: 4 } };
//! reply.encode(&mut writer)?;
//! assert_eq!(Reply::decode(writer.written())?, reply);
//! # Ok::<(), oncrpc::xdr::Error>(())
//! ```

extern crate alloc;

pub mod auth;
pub mod bind;
mod call;
mod exchange;
mod number;
pub mod record;
mod reply;

pub use auth::{AuthStatus, AuthSys, OpaqueAuth};
pub use call::{Call, CallError};
pub use exchange::{Exchange, Schedule, Step};
pub use number::{Procedure, Program, Version, Xid};
pub use oncrpc_xdr as xdr;
pub use reply::{Answer, Reply};
