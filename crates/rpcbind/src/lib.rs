//! Placeholder.

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
