//! Placeholder.

mod net;
pub mod hosts;
pub mod logging;
pub mod netlink;
pub mod peer;
pub mod state;
