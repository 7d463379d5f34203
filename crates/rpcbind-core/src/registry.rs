//! The rows of the registry. (Bookkeeping only: who may change a row is decided in `policy.rs`.)

use crate::caller::Namespace;
use alloc::boxed::Box;

/// Who registered a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A uid that the kernel vouched for.
    Uid(u32),
    /// Nobody could be established.
    Unknown,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The transport's netid, as the table of netids spells it.
    pub netid: Box<str>,
    /// The universal address.
    pub address: Box<str>,
    /// Who registered it.
    pub owner: Owner,
    /// The network namespace it was registered from.
    pub namespace: Namespace,
}
