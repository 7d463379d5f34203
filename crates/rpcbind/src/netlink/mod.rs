//! What only the kernel knows, asked over netlink sockets that are opened at start, before confinement:
//! the host's interfaces, followed by events; the owners of sockets, asked for SET and UNSET only; and lists of all
//! sockets, read a little at a time. No look-up ever waits for any of them.

pub mod interfaces;
pub mod listing;
mod route_request;
pub mod sock_diag;
mod socket;

pub use interfaces::InterfaceMonitor;
pub use listing::Listing;
pub use sock_diag::SockDiag;
