#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
//! The decisions of ONC RPC program 100000, the port mapper, versions 2, 3 and 4 (RFC 1833), without I/O.
//! Time, bytes, callers and facts come in as arguments; outcomes with reasons go out as values.

extern crate alloc;

pub mod access;
mod budget;
pub mod caller;
mod change;
pub mod facts;
mod forward;
mod hash;
pub mod interfaces;
pub mod limiter;
pub mod liveness;
mod lookup;
mod merge;
pub mod outcome;
pub mod policy;
pub mod registry;
mod remote;
mod restore;
mod rpcb;
mod service;
pub mod settings;
mod statistics;
pub mod status;
mod v2;

pub use budget::Budget;
pub use service::Service;
pub use settings::Settings;
