//! The daemon's sockets: opening, inheriting, reading, writing, waiting. It moves bytes and measures time; what a
//! message means and who may do what is decided in `rpcbind-core`.

mod chain;
mod connection;
pub(crate) mod dispatch;
mod errors;
pub(crate) mod event_loop;
pub(crate) mod forward;
pub(crate) mod group;
#[cfg(test)]
mod harness;
pub(crate) mod holder;
pub(crate) mod inherit;
mod late_reply;
pub(crate) mod listen;
pub(crate) mod os;
mod output;
mod packet_info;
mod places;
mod poller;
pub(crate) mod registrars;
pub(crate) mod shares;
pub(crate) mod signals;
pub(crate) mod streams;
mod tables;
