//! The ordered access rules of the configuration: the first rule that fits address, procedure and program decides, and
//! what fits none is allowed. The unix sockets are never asked about here.

use super::Prefix;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

/// What procedures of program 100000 are for, so that rules need not name them one by one (RFC 1833 sections 2.2.1
/// and 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcedureKind {
    /// NULL, GETTIME, UADDR2TADDR and TADDR2UADDR: they tell nothing about services.
    Null,
    /// GETPORT, GETADDR, GETVERSADDR and GETADDRLIST.
    Lookup,
    /// DUMP.
    Dump,
    /// SET.
    Set,
    /// UNSET.
    Unset,
    /// CALLIT, BCAST and INDIRECT.
    RemoteCall,
    /// GETSTAT.
    Statistics,
}

impl ProcedureKind {
    /// Every kind with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("null", Self::Null),
        ("lookup", Self::Lookup),
        ("dump", Self::Dump),
        ("set", Self::Set),
        ("unset", Self::Unset),
        ("remote-call", Self::RemoteCall),
        ("statistics", Self::Statistics),
    ];

    /// The kind of a procedure; `None` when the version does not have it (versions 2, 3 and 4 of program 100000).
    #[must_use]
    pub fn of(version: u32, procedure: u32) -> Option<Self> {
        Some(match (version, procedure) {
            (2..=4, 0) | (3..=4, 6..=8) => Self::Null,
            (2..=4, 1) => Self::Set,
            (2..=4, 2) => Self::Unset,
            (2..=4, 3) | (4, 9 | 11) => Self::Lookup,
            (2..=4, 4) => Self::Dump,
            (2..=4, 5) | (4, 10) => Self::RemoteCall,
            (4, 12) => Self::Statistics,
            _ => return None,
        })
    }

    fn bit(self) -> u8 {
        match self {
            Self::Null => 1,
            Self::Lookup => 2,
            Self::Dump => 4,
            Self::Set => 8,
            Self::Unset => 16,
            Self::RemoteCall => 32,
            Self::Statistics => 64,
        }
    }
}

/// A set of procedure kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcedureSet(u8);

impl ProcedureSet {
    /// Every procedure.
    pub const ALL: Self = Self(0x7f);
    /// No procedure.
    pub const NONE: Self = Self(0);

    /// The set with `kind` in it.
    #[must_use]
    pub fn with(self, kind: ProcedureKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Whether `kind` is in the set.
    #[must_use]
    pub fn contains(self, kind: ProcedureKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

impl FromIterator<ProcedureKind> for ProcedureSet {
    fn from_iter<I: IntoIterator<Item = ProcedureKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What a rule does with the calls that fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They go on to all other checks.
    Allow,
    /// They are refused.
    Deny,
}

/// One access rule. A call fits when address, procedure and program all do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// What becomes of a call that fits.
    pub action: Action,
    /// The callers; empty: everybody.
    pub from: Vec<Prefix>,
    /// The procedures.
    pub procedures: ProcedureSet,
    /// The programs that the call's arguments name; empty: any, and calls whose arguments name none.
    pub programs: Vec<RangeInclusive<u32>>,
}

impl AccessRule {
    fn fits(&self, address: IpAddr, kind: ProcedureKind, program: Option<u32>) -> bool {
        self.procedures.contains(kind)
            && (self.programs.is_empty()
                || program.is_some_and(|program| self.programs.iter().any(|range| range.contains(&program))))
            && (self.from.is_empty() || self.from.iter().any(|prefix| prefix.contains(address)))
    }
}

/// The rules in order. Empty by default: everything is allowed.
///
/// ```
/// use rpcbind_core::access::{AccessList, AccessRule, Action, ProcedureKind, ProcedureSet};
///
/// let list = AccessList::new(vec![AccessRule {
///     action: Action::Deny,
///     from: vec!["192.0.2.0/24".parse()?],
///     procedures: ProcedureSet::NONE.with(ProcedureKind::Dump),
///     programs: vec![],
/// }]);
/// assert!(!list.allows("192.0.2.7".parse()?, ProcedureKind::Dump, None));
/// assert!(list.allows("198.51.100.7".parse()?, ProcedureKind::Dump, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    rules: Vec<AccessRule>,
}

impl AccessList {
    /// A list of rules, the first one first.
    #[must_use]
    pub fn new(rules: Vec<AccessRule>) -> Self {
        Self { rules }
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, the first one first.
    #[must_use]
    pub fn rules(&self) -> &[AccessRule] {
        &self.rules
    }

    /// Whether a call may go on: `address` is the caller's (a v4-mapped one counts as IPv4), `program` the one that the
    /// arguments name, `None` for procedures that name none. Takes time in proportion to the number of prefixes.
    #[must_use]
    pub fn allows(&self, address: IpAddr, kind: ProcedureKind, program: Option<u32>) -> bool {
        self.rules
            .iter()
            .find(|rule| rule.fits(address, kind, program))
            .is_none_or(|rule| rule.action == Action::Allow)
    }
}
