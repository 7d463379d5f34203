//! Accepting connections within their caps, at most so many in a turn, each served at once. It must never wait, and
//! never end because a stranger's connection failed.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rpcbind_core::caller::Caller;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::Streams;
use crate::net::connection::{Connection, Ending};
use crate::net::dispatch::Dispatch;
use crate::net::errors::Fault;
use crate::net::listen::{Endpoint, Socket};
use crate::net::packet_info::unmapped;
use crate::net::poller::Poller;
use crate::net::shares::{Admission, Prefix, Share};
use crate::peer::Peer;

/// Connections accepted at one listener in one turn of the loop.
pub(super) const ACCEPT_MAX: usize = 64;

/// A turn of the loop, as a listener's pace sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    number: u64,
    /// The last one before it in which all that was ready was reported: whoever was not had nobody waiting.
    all_reported_in: u64,
}

impl Turn {
    /// The turn after this one, in which all that was ready was reported or not.
    pub(crate) fn next(self, all_reported: bool) -> Self {
        let all_reported_in = if all_reported { self.number } else { self.all_reported_in };
        Self { number: self.number.saturating_add(1), all_reported_in }
    }
}

/// How many connections are accepted at a listener in a turn: one while they come one at a time, since to find nobody
/// else there takes a system call of its own, and up to [`ACCEPT_MAX`] while more are left in one turn after another.
/// Turns in which the poller had too much to report to come to the listener do not count.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    most: usize,
    /// The last turn in which there may have been more.
    full_in: Option<u64>,
}

impl Pace {
    /// The most in this turn.
    fn of(&mut self, turn: Turn) -> usize {
        let goes_on = self.full_in.take().is_some_and(|full_in| full_in >= turn.all_reported_in);
        self.most = if goes_on { self.most.saturating_mul(2).min(ACCEPT_MAX) } else { 1 };
        self.most
    }
}

/// How accepting went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Nobody is left, or it is the turn of others.
    Enough,
    /// The host is out of descriptors or memory: to be left alone for a while.
    Crowded,
}

/// The listener itself is broken.
#[derive(Debug, thiserror::Error)]
#[error("cannot accept connections at {endpoint}: {source}")]
pub struct AcceptError {
    /// Which one.
    pub endpoint: Endpoint,
    /// What the kernel said.
    pub source: Errno,
}

impl Streams {
    /// Accepts who waits at a listener, as many as its pace says for this turn of the loop, and serves each at once.
    ///
    /// # Errors
    /// The listener is broken.
    pub(crate) fn accept(
        &mut self,
        listener: &Socket,
        (pace, turn): (&mut Pace, Turn),
        poller: &Poller,
        dispatch: &mut Dispatch,
    ) -> Result<Accepted, AcceptError> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let mut made_room = false;
        for _ in 0..pace.of(turn) {
            match rustix::net::acceptfrom_with(&listener.descriptor, flags) {
                Ok((socket, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    self.take_in(listener, socket, from, poller, dispatch);
                }
                Err(errno) => match Fault::of(errno) {
                    Fault::NotNow => return Ok(Accepted::Enough),
                    Fault::Interrupted | Fault::Theirs => {}
                    // Somebody's descriptor is worth more than everybody's waiting. Once: more are none of ours.
                    Fault::Crowded if errno == Errno::MFILE && !made_room && self.make_room() => {
                        made_room = true;
                    }
                    Fault::Crowded => return Ok(Accepted::Crowded),
                    Fault::Ours => {
                        return Err(AcceptError { endpoint: listener.endpoint.clone(), source: errno });
                    }
                },
            }
        }
        pace.full_in = Some(turn.number);
        Ok(Accepted::Enough)
    }

    fn take_in(
        &mut self,
        listener: &Socket,
        socket: OwnedFd,
        from: Option<SocketAddr>,
        poller: &Poller,
        dispatch: &mut Dispatch,
    ) {
        let Some(caller) = self.caller(listener, &socket, from) else {
            self.refused = self.refused.saturating_add(1);
            return;
        };
        self.admit(socket, caller, false, poller, dispatch);
    }

    /// Gives a connection its place, if its caller may have one, and serves it.
    pub(super) fn admit(
        &mut self,
        socket: OwnedFd,
        caller: Caller,
        is_stored: bool,
        poller: &Poller,
        dispatch: &mut Dispatch,
    ) {
        let admission = match &caller {
            Caller::Unix { uid, .. } => self.shares.admit_unix(*uid),
            Caller::Connection { from, .. } => self.shares.admit_tcp(Prefix::of(*from)),
            Caller::Datagram(_) => Admission::Refused,
        };
        let share = match admission {
            Admission::Admitted(share) => share,
            Admission::InPlaceOfOne(share) => {
                match share {
                    Share::Tcp(_) => self.make_room(),
                    _ => self.idle_longest().is_some_and(|index| self.close(index, Ending::Evicted)),
                };
                share
            }
            Admission::Refused => {
                self.refused = self.refused.saturating_add(1);
                return;
            }
        };
        let index = self.places.insert(Connection::new(socket, caller, dispatch.now()), share);
        let token = self.places.token(index);
        if let Some(entry) = self.places.get_mut(index) {
            entry.is_stored = is_stored;
            if !is_stored {
                self.keeping.note(entry.connection.caller(), token, dispatch.now());
            }
        }
        self.shares.enter(share, index);
        self.was_active(index, share);
        self.turn(index, true, poller, dispatch);
    }

    /// What the kernel says about an accepted socket; `None` when it is gone already.
    fn caller(&self, listener: &Socket, socket: &OwnedFd, from: Option<SocketAddr>) -> Option<Caller> {
        let bound = match &listener.endpoint {
            Endpoint::Tcp(bound) => *bound,
            Endpoint::Path(_) | Endpoint::Abstract(_) => {
                let peer = Peer::of(socket.as_fd());
                return Some(Caller::Unix { uid: peer.uid, namespace: peer.namespace.unwrap_or(self.home) });
            }
            Endpoint::Udp(_) => return None,
        };
        let local = if bound.ip().is_unspecified() {
            rustix::net::getsockname(socket).and_then(SocketAddr::try_from).ok()?
        } else {
            bound
        };
        Some(Caller::Connection { from: unmapped(from?).0, local: unmapped(local).0 })
    }
}
