//! What became of a message: the outcome for the shell to carry out, and the reason for whoever counts or logs.

use crate::facts::Question;
use crate::registry::Row;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use oncrpc::{Procedure, Program, Version};

/// The end of [`Service::handle`](crate::Service::handle): exactly one outcome, for exactly one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// What was asked and why it ended as it did.
    pub why: Why,
    /// What the shell has to do.
    pub outcome: Outcome,
}

/// What the shell has to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing leaves.
    Silent,
    /// The reply is in the lent buffer.
    Reply {
        /// Its length in bytes.
        len: usize,
    },
    /// Streams only: the head of the reply is in the lent buffer and the encoded list follows it.
    Table {
        /// The length of the head in bytes.
        len: usize,
        /// The encoded list, shared by reference.
        body: Arc<[u8]>,
    },
    /// The reply is in the lent buffer and the registry has changed: the change has to be durable, or known to be
    /// not, before the reply leaves.
    Commit {
        /// The reply's length in bytes.
        len: usize,
        /// What changed; empty for a repeated call whose change may not be durable yet.
        change: Change,
    },
    /// Nothing was changed or counted. Answer and call again with the same message.
    Need(Question),
}

/// A change of the registry, removals first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The rows that went.
    pub removed: Vec<Row>,
    /// The row that came, as the last one in the order of registration.
    pub added: Option<Row>,
}

/// What was asked, and the reason of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// The version called; `None` when the header did not get that far.
    pub version: Option<Version>,
    /// The procedure called; `None` when the header did not get that far.
    pub procedure: Option<Procedure>,
    /// The program that the arguments name, for the procedures that name one.
    pub program: Option<Program>,
    /// Why it ended as it did.
    pub reason: Reason,
}

/// Why a message ended as it did. Logs, metrics and tests read this; nobody parses text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Answered: the procedure did what it is for.
    Answered,
    /// A look-up found nothing, which is an answer too.
    NotRegistered,
    /// SET or UNSET answered TRUE.
    Changed,
    /// SET or UNSET answered FALSE; why is in [`Refusal`].
    Refused(Refusal),
    /// Not a call, or too short to be one: silence.
    NotACall,
    /// The caller's address, port or destination is one that is never answered: silence.
    Unanswerable,
    /// RPC version other than 2.
    RpcMismatch,
    /// The credential's flavour is not served.
    RejectedCredential,
    /// The credential is malformed.
    BadCredential,
    /// A program other than 100000 was called.
    ProgramUnavailable,
    /// A version other than 2, 3 and 4 was called.
    VersionMismatch,
    /// The version does not have this procedure.
    ProcedureUnavailable,
    /// The arguments do not decode.
    GarbageArguments,
    /// An access list refuses the caller.
    AccessDenied,
    /// The caller is not one that may change the registry.
    NotLocal,
    /// The reply would be longer than what may be sent to this caller.
    ReplyTooLong,
    /// The caller's prefix has had its replies for now: silence. Clients send again.
    RateLimited,
    /// Remote calls are off, or this one may not be made.
    RemoteCallRefused,
    /// A fact is needed first: see [`Outcome::Need`].
    Pending,
}

/// Why SET or UNSET answered FALSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Program 100000 cannot be registered or unregistered.
    PortMapper,
    /// The netid is not known, or the v2 protocol is neither TCP nor UDP.
    Netid,
    /// The address does not parse in the netid's family, or its port is not 1..=65535.
    Address,
    /// The caller may not register this reserved program.
    ReservedProgram,
    /// The caller may not register this reserved port.
    ReservedPort,
    /// The address is neither a wildcard nor one that the caller may name.
    ForeignAddress,
    /// Another address is registered and may not be replaced.
    Conflict,
    /// A matching row belongs to somebody else.
    NotOwner,
    /// The table is full.
    TableFull,
    /// The caller's uid has as many rows as it may have.
    OwnerFull,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortMapper => "the port mapper's own program",
            Self::Netid => "unknown netid",
            Self::Address => "no address of the netid's family that can be connected to",
            Self::ReservedProgram => "reserved program",
            Self::ReservedPort => "reserved port",
            Self::ForeignAddress => "not an address of this host",
            Self::Conflict => "registered already",
            Self::NotOwner => "somebody else's",
            Self::TableFull => "the table is full",
            Self::OwnerFull => "its owner has as many as it may have",
        })
    }
}
