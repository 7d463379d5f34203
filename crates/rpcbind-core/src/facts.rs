//! Facts about sockets that a decision may need and only the kernel knows: the questions and their answers.
//! The shell asks sock_diag and reports what it saw; whether to believe it is decided in `policy.rs`.

use crate::caller::Transport;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What [`Service::handle`](crate::Service::handle) has to know before it can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who owns the socket at the caller's end? Asked for SET and UNSET from loopback addresses.
    Owner {
        /// The transport that the message arrived on.
        transport: Transport,
        /// Our end.
        local: SocketAddr,
        /// The caller's end.
        remote: SocketAddr,
    },
    /// Does anything listen at the address of a registered row? Asked when a SET conflicts with that row.
    Bound {
        /// The row's netid.
        netid: String,
        /// The row's universal address.
        address: String,
    },
}

/// The answers so far to the questions about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The answer to [`Question::Owner`]; `None` when it was not asked.
    pub owner: Option<OwnerFact>,
    /// The answer to [`Question::Bound`]; `None` when it was not asked.
    pub bound: Option<BoundFact>,
}

/// The sockets found at the caller's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerFact {
    /// The kernel could not be asked, did not answer in time, or looks at another network namespace.
    Unknown,
    /// The sockets found. TCP: the other end of exactly this connection, at most one, none when the other end is
    /// not on this host. UDP: every socket of both families bound to the caller's port.
    Sockets(Vec<Socket>),
}

/// One socket as sock_diag reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The uid of the socket's creator. Closed and time-wait sockets report 0.
    pub uid: u32,
    /// The socket's inode; 0 when no process holds it any more.
    pub inode: u32,
    /// TCP state ESTABLISHED.
    pub established: bool,
    /// The socket's own port.
    pub port: u16,
    /// The socket is one of ours.
    pub ours: bool,
}

/// Whether anything is bound at a row's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundFact {
    /// The kernel could not be asked, did not answer in time, or cannot know (another namespace, another protocol).
    Unknown,
    /// A socket is bound there.
    Bound,
    /// Nothing is bound there: the service is dead.
    Free,
}
