//! The port mapper's shell: everything between the operating system and `rpcbind-core`, which decides.
//! For other programs: [`server`]. The daemon is [`start::run`] with what [`args`] and [`config`] say.
//! It moves bytes and measures time; it must never decide who may do what.

mod confine;
mod kept;
mod lock;
mod net;
mod process;

pub mod args;
pub mod config;
pub mod hosts;
pub mod logging;
pub mod netlink;
pub mod notify;
pub mod peer;
pub mod privilege;
pub mod server;
pub mod start;
pub mod state;
pub mod warmstart;
