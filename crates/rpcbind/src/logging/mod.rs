//! What the daemon says, and where it goes: standard error, the journal, or the system log. One line an event, so many
//! lines a second, nothing raw from the network; what is needed for it is opened at start and kept.

mod connect;
mod escaped;
mod programs;
mod rate;
mod refused;
mod remote;
mod sink;
mod syslog;

pub use connect::{ConnectLine, Declined};
pub use escaped::{Escaped, Printable};
pub use programs::ProgramNames;
pub use rate::{Admission, LINES_PER_SECOND, RateLimit};
pub use refused::RefusedLine;
pub use remote::RemoteLine;
pub use sink::{Destination, LINE_LIMIT, flush_in, install, redirect};
pub use syslog::Syslog;

/// The target of the lines that `-l` writes, and of refusals by the access lists: they go to the facility `auth`.
/// `log::info!(target: CONNECT, "{line}")` with a [`ConnectLine`].
pub const CONNECT: &str = "connect";

/// The target of lines about changes that were refused to callers of this host: `log::warn!(target: REFUSED, "{line}")`
/// with a [`RefusedLine`].
pub const REFUSED: &str = "refused";

/// The target of lines that are never suppressed: what is said once, at start or at a reload.
pub const START: &str = "start";
