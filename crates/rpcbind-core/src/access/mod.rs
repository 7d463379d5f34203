//! Access lists as data: address prefixes, the decision value of `hosts.allow` and `hosts.deny`, and the ordered
//! rules of the configuration. Whoever reads the files makes these values; `policy.rs` asks them. They never look up
//! a name, never allocate when asked, and answer at once when they are empty.

mod hosts;
mod list;
mod prefix;
#[cfg(test)]
mod tests;

pub use hosts::{ClientPattern, HostRule, HostRules, glob};
pub use list::{AccessList, AccessRule, Action, ProcedureKind, ProcedureSet};
pub use prefix::{Prefix, PrefixError};
