//! What became of a message: the outcome for the shell to carry out, and the reason for whoever counts or logs.

use crate::budget::Budget;
use crate::caller::Caller;
use crate::facts::Question;
use crate::registry::Row;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use oncrpc::{Procedure, Program, Version, Xid};

/// The end of [`Service::handle`](crate::Service::handle): exactly one outcome, for exactly one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// What was asked and why it ended as it did.
    pub why: Why,
    /// What the shell has to do.
    pub outcome: Outcome,
}

impl Handled {
    /// Nothing leaves, for this reason.
    pub(crate) const fn silent(why: Why, reason: Reason) -> Self {
        Self { why: Why { reason, ..why }, outcome: Outcome::Silent }
    }
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
    /// A service of this host is to be called. The caller is answered, or not, when that call ends: by
    /// [`Service::answered`](crate::Service::answered), [`Service::expire`](crate::Service::expire),
    /// [`Service::unreachable`](crate::Service::unreachable) or
    /// [`Service::undeliverable`](crate::Service::undeliverable), once.
    Forward(Forward),
}

/// A call to be sent to a service of this host, from the socket for its family, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What the call is known by until it ends.
    pub call: RemoteId,
    /// The service.
    pub to: SocketAddr,
    /// The datagram.
    pub message: Vec<u8>,
}

/// Names a remote call under way. No two ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteId {
    pub(crate) serial: u64,
    pub(crate) xid: Xid,
}

/// The end of a remote call.
#[derive(Debug, PartialEq, Eq)]
pub struct RemoteEnd {
    /// Which one.
    pub call: RemoteId,
    /// Who asked for it.
    pub caller: Caller,
    /// What was asked, and why it ended as it did.
    pub why: Why,
    /// What has to leave; nothing does when `None`.
    pub reply: Option<LateReply>,
}

/// A reply in the lent buffer, to whoever asked for the remote call and nobody else.
#[derive(Debug, PartialEq, Eq)]
pub struct LateReply {
    /// Its length in bytes.
    pub len: usize,
    /// The right to send it as a datagram, made from the request.
    pub budget: Budget,
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
    /// The procedure of that program that a remote call is about.
    pub target: Option<Procedure>,
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
    /// Remote calls are off.
    RemoteCallsOff,
    /// This procedure is called for nobody.
    RemoteCallRefused,
    /// A service is being called: see [`Outcome::Forward`].
    Forwarded,
    /// The same call is under way already: silence.
    AlreadyForwarded,
    /// Too many remote calls are under way.
    RemoteCallsFull,
    /// The service could not be called, or has answered with anything but results.
    RemoteCallFailed,
    /// The service has not answered in time.
    RemoteCallTimedOut,
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
