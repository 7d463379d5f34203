//! What can go wrong, one small enum an operation.

use std::io;
use std::time::Duration;

use oncrpc::bind::Rpcb;
use oncrpc::record::RecordError;
use oncrpc::{AuthStatus, Version, xdr};
use thiserror::Error;

use crate::Endpoint;

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The host's name has no address, or none of the family asked for.
    #[error("unknown host {0:?}")]
    UnknownHost(String),
    /// The system's resolver could not be asked.
    #[error("cannot resolve {host:?}: {error}")]
    Resolver {
        /// The host's name.
        host: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The kernel or the other end refused; with several addresses, the last one that was tried.
    #[error("cannot connect to {endpoint}: {error}")]
    Refused {
        /// What was tried.
        endpoint: Endpoint,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Nothing happened in time.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The limit.
        limit: Duration,
    },
}

/// Why a call has no results.
#[derive(Debug, Error)]
pub enum CallError {
    /// The arguments do not fit in a message.
    #[error("arguments do not fit in a message of {max} bytes")]
    Arguments {
        /// The longest message in bytes.
        max: usize,
    },
    /// The call could not be sent.
    #[error("cannot send: {0}")]
    Send(#[source] io::Error),
    /// The reply could not be received; also when nobody listens on a UDP port.
    #[error("cannot receive: {0}")]
    Receive(#[source] io::Error),
    /// The other end closed the connection.
    #[error("connection closed before the reply")]
    Closed,
    /// The reply's record is not acceptable.
    #[error("reply: {0}")]
    Record(#[source] RecordError),
    /// No reply came in time.
    #[error("no reply within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The results are not what the procedure answers.
    #[error("results: {0}")]
    Results(#[source] xdr::Error),
    /// More elements than a list may have.
    #[error("list of more than {max} elements")]
    TooMany {
        /// The most that are taken.
        max: usize,
    },
    /// PROG_UNAVAIL (RFC 5531 section 9).
    #[error("program unavailable")]
    ProgramUnavailable,
    /// PROG_MISMATCH.
    #[error("program version mismatch, served are {low} to {high}")]
    ProgramMismatch {
        /// The lowest version served.
        low: u32,
        /// The highest version served.
        high: u32,
    },
    /// PROC_UNAVAIL.
    #[error("procedure unavailable")]
    ProcedureUnavailable,
    /// GARBAGE_ARGS.
    #[error("the server cannot decode the arguments")]
    GarbageArguments,
    /// SYSTEM_ERR.
    #[error("system error at the server")]
    SystemError,
    /// RPC_MISMATCH.
    #[error("RPC version mismatch, spoken are {low} to {high}")]
    RpcMismatch {
        /// The lowest version spoken.
        low: u32,
        /// The highest version spoken.
        high: u32,
    },
    /// AUTH_ERROR.
    #[error("call rejected: {}", auth_text(*.0))]
    Rejected(AuthStatus),
}

impl CallError {
    /// Whether an older version of the program may do better: it is not served, or does not understand.
    #[must_use]
    pub const fn is_about_version(&self) -> bool {
        matches!(self, Self::ProgramMismatch { .. } | Self::ProgramUnavailable | Self::GarbageArguments)
    }
}

/// Why a look-up has no answer; that the service is not registered is not an error.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The netid is not in the table.
    #[error("unknown netid {0:?}")]
    UnknownNetid(String),
    /// The netid is known, but it is none that this crate can speak.
    #[error("netid {0:?} has no sockets here")]
    Unsupported(String),
    /// The port mapper could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The port mapper did not answer with an address.
    #[error("port mapper version {version}: {error}")]
    Call {
        /// The version that was asked last.
        version: Version,
        /// What came instead.
        #[source]
        error: CallError,
    },
    /// The answer is no address of the transport's family.
    #[error("port mapper answered \"{}\", which is no address of the transport", .0.escape_ascii())]
    Address(Vec<u8>),
}

/// Why a registration did not come about. What had been registered before it has been taken back.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// The port mapper could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The port mapper did not answer.
    #[error("port mapper: {0}")]
    Call(#[from] CallError),
    /// It answered FALSE: another address is registered, or this caller may not.
    #[error("port mapper refused {0}")]
    Refused(String),
    /// Version 2 is all that the port mapper speaks, and it has no words for this transport or address.
    #[error("port mapper of version 2 cannot register {0}")]
    Version2(String),
}

/// A row for messages.
pub(crate) fn row_text(row: &Rpcb<'_>) -> String {
    let (netid, address) = (row.netid.escape_ascii(), row.address.escape_ascii());
    format!("program {} version {} on {netid} at \"{address}\"", row.program, row.version)
}

fn auth_text(status: AuthStatus) -> String {
    match status {
        AuthStatus::BadCredential => "malformed credential".into(),
        AuthStatus::RejectedCredential => "credential not accepted".into(),
        AuthStatus::BadVerifier => "malformed verifier".into(),
        AuthStatus::TooWeak => "not permitted".into(),
        AuthStatus::Other(number) => format!("status {number}"),
    }
}
