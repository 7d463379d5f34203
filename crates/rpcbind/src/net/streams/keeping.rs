//! Root's unix connections outlive the daemon: those that stay open are stored with the service manager and taken back
//! at the next start. The Linux kernel holds one for its NFS server and does not make it again to unregister.
//! Never more than the store has room for, and never waiting for the manager.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use log::warn;
use rpcbind_core::caller::Caller;
use rustix::net::Shutdown;

use super::Streams;
use crate::kept::Store;
use crate::net::connection::Ending;
use crate::net::dispatch::Dispatch;
use crate::net::places::Entry;
use crate::net::poller::{Poller, Token};
use crate::peer::Peer;

/// How long a connection has to be open: those of ordinary callers are gone by then.
const OPEN_FOR: Duration = Duration::from_millis(500);
/// Connections that may wait until they have been open for so long; more are not stored.
const WAITING_MAX: usize = 1_024;

/// Which connections are stored, and where.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    store: Option<Store>,
    /// How many more can be stored.
    room: usize,
    /// In the order in which they are due.
    waiting: VecDeque<(Duration, Token)>,
}

impl Keeping {
    /// Notes a connection that was accepted.
    pub(super) fn note(&mut self, caller: &Caller, token: Token, now: Duration) {
        let is_roots = matches!(caller, Caller::Unix { uid: Some(0), .. });
        if self.store.is_some() && is_roots && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((now.saturating_add(OPEN_FOR), token));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Lets a connection go that is being closed. The store holds it open, hence the end for both sides.
    pub(super) fn let_go(&mut self, entry: &Entry) {
        if !entry.is_stored {
            return;
        }
        let socket = entry.connection.socket();
        // It fails when the peer is gone, and then it has ended already.
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
        self.room = self.room.saturating_add(1);
        if let Some(store) = &self.store {
            store.forget_connection(socket);
        }
    }
}

impl Streams {
    /// Stores root's unix connections from now on, and at most so many.
    pub(crate) fn store(&mut self, store: Store, room: usize) {
        self.keeping = Keeping { store: Some(store), room, waiting: VecDeque::new() };
    }

    /// Takes back what an earlier run has stored, and serves it at once. Answers how many were dead by now.
    pub(crate) fn take_back(
        &mut self,
        sockets: Vec<OwnedFd>,
        poller: &Poller,
        dispatch: &mut Dispatch,
    ) -> usize {
        let all = sockets.len();
        let before = self.places.len();
        for socket in sockets {
            let peer = Peer::of(socket.as_fd());
            let caller = Caller::Unix { uid: peer.uid, namespace: peer.namespace.unwrap_or(self.home) };
            self.keeping.room = self.keeping.room.saturating_sub(1);
            self.admit(socket, caller, true, poller, dispatch);
        }
        all.saturating_sub(self.places.len().saturating_sub(before))
    }

    /// Stores the connections whose time has come.
    pub(super) fn keep_due(&mut self, now: Duration) {
        while let Some((due, token)) = self.keeping.waiting.front().copied() {
            if due > now {
                return;
            }
            self.keeping.waiting.pop_front();
            if !self.keep(token) {
                self.keeping.waiting.push_front((now.saturating_add(OPEN_FOR), token));
                return;
            }
        }
    }

    /// Stores every connection that may be stored, for the end of the run. One that is in the middle of something is
    /// closed instead: nobody could go on in the middle.
    pub(crate) fn keep_all(&mut self) {
        for (_, token) in std::mem::take(&mut self.keeping.waiting) {
            // One that the manager is too busy for is lost: the end does not wait.
            self.keep(token);
        }
        for index in self.places.find(|entry| entry.is_stored && entry.connection.is_busy()) {
            self.close(index, Ending::Failed);
        }
    }

    /// Stores a connection if it is still there; false when that has to be tried again.
    fn keep(&mut self, token: Token) -> bool {
        let (Some(store), Some(index)) = (&self.keeping.store, self.places.index(token)) else { return true };
        let Some(entry) = self.places.get_mut(index).filter(|_| self.keeping.room > 0) else { return true };
        match store.keep_connection(entry.connection.socket()) {
            Ok(()) => {
                entry.is_stored = true;
                self.keeping.room = self.keeping.room.saturating_sub(1);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                warn!("connections cannot be stored with the service manager: {error}");
                self.keeping.store = None;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
