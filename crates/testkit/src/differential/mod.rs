//! The differential test: the same random calls to two port mappers, each in namespaces of its own with the same
//! addresses, and every reply compared. What may differ is a table of [`Rule`]s that the test brings.
//!
//! A run is a number of episodes. For each, both port mappers are started anew and a few hundred calls follow from
//! the episode's seed ([`generator`]): every procedure and version, by root, an ordinary user and a stranger, over the
//! path socket, UDP and TCP of both families, mostly right, some spoilt in one way. Behind every call a probe is sent
//! on the same socket: when its answer comes first, the call was met with silence. Nothing waits for time to pass.
//!
//! With port mappers that make remote calls the calls are about those ([`Side::with_callees`]): the services that are
//! called answer in many ways, and behind every call a witness is called through the port mapper: when it has answered,
//! whatever else was called has, or never does.
//!
//! Replies are compared byte by byte but for the xid, the time of day of GETTIME (which has to be right), and the
//! counters of SET and UNSET in GETSTAT, of which each side's are taken less what it has answered. A difference is
//! looked up among the rules; when one allows it, the rows that only one side has are removed on both, and the tables
//! have to be equal then. They are compared after every SET and UNSET, whatever was answered. A difference that no rule
//! allows is replayed with fewer and fewer calls, and told in words.

mod callees;
pub mod case;
mod channel;
pub mod generator;
mod harness;
pub mod random;
mod rare;
mod remote;
mod rule;
mod seen;
mod shrink;
mod side;
mod values;
mod wire;
mod words;

pub use harness::{Finding, Harness, Plan, Summary, decode};
pub use rule::{Difference, Rule};
pub use seen::{Lookup, Remote, Seen, Statistics, VersionStatistics};
pub use side::{ALIVE_PORTS, Side};
pub use words::quoted;
