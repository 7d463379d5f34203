//! Who is at the other end of an accepted unix socket, as the kernel says it: read once, at accept.
//! What the peer writes about itself is never looked at here.

use std::os::fd::BorrowedFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rpcbind_core::caller::Namespace;

use crate::net::os;

/// The kernel's facts about the peer of a unix stream socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The effective uid of the process that connected, at that time and as our user namespace maps it (root of a
    /// user namespace that an ordinary user made is that user); `None` when the kernel does not say.
    pub uid: Option<u32>,
    /// The network namespace in which the peer made its socket: an accepted unix socket belongs to that of the one
    /// that connected. `None` on kernels without SO_NETNS_COOKIE (before 5.14).
    pub namespace: Option<Namespace>,
}

impl Peer {
    /// Asks the kernel about the peer of an accepted socket.
    #[must_use]
    pub fn of(accepted: BorrowedFd<'_>) -> Self {
        // A socket without a peer answers with the uid that stands for none.
        let uid = getsockopt(&accepted, PeerCredentials).ok().map(|peer| peer.uid());
        Self { uid: uid.filter(|uid| *uid != u32::MAX), namespace: namespace(accepted) }
    }
}

/// The network namespace that a socket belongs to; `None` on kernels without SO_NETNS_COOKIE (before 5.14).
#[must_use]
pub fn namespace(socket: BorrowedFd<'_>) -> Option<Namespace> {
    os::namespace(socket).ok()
}
