//! The daemon's sockets: opening, inheriting, reading, writing, waiting. It moves bytes and measures time; what a
//! message means and who may do what is decided in `rpcbind-core`.
#![allow(dead_code, reason = "wired up by the server")]

mod errors;
pub(crate) mod holder;
pub(crate) mod inherit;
pub(crate) mod listen;
pub(crate) mod os;
mod packet_info;
mod poller;
