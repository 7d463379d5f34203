//! Remote calls in the loop: answers come in on the sockets that calls leave from, or not at all; what leaves for them
//! goes back the way that the request came, if that is still there.

use std::io;

use rpcbind_core::caller::Caller;

use super::super::dispatch::{Ended, Route};
use super::super::errors::Fault;
use super::super::forward::Outlets;
use super::super::late_reply::reply_later;
use super::super::os::MESSAGE_MAX;
use super::{EventLoop, Kind, Source};

/// Answers taken from one socket in one turn.
const ANSWERS_MAX: usize = 128;
/// Calls that end in one turn because their time is over.
const EXPIRE_MAX: usize = 256;

/// Buffers for an answer and for what leaves for it.
pub(super) struct Buffers {
    answer: Box<[u8]>,
    reply: Box<[u8]>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let buffer = || vec![0; MESSAGE_MAX].into_boxed_slice();
        Self { answer: buffer(), reply: buffer() }
    }
}

impl EventLoop {
    /// Has remote calls leave from these sockets from now on.
    ///
    /// # Errors
    /// One cannot be watched.
    pub(crate) fn call_from(&mut self, outlets: Outlets) -> io::Result<()> {
        for outlet in outlets.all() {
            self.add(Kind::Answers(outlet.clone()))?;
        }
        self.dispatch.call_from(outlets);
        Ok(())
    }

    /// Takes the answers at a socket, and what was sent and came back, a bounded number; whether the host is out of
    /// memory.
    pub(super) fn answers(&mut self, index: usize) -> bool {
        self.calls_that_came_back(index);
        for _ in 0..ANSWERS_MAX {
            let Some(Source { kind: Kind::Answers(outlet), .. }) = self.sources.get(index) else {
                return false;
            };
            let (len, from) = match outlet.receive(&mut self.remote.answer) {
                Ok(received) => received,
                Err(errno) => match Fault::of(errno) {
                    Fault::Interrupted | Fault::Theirs => continue,
                    Fault::Crowded => return true,
                    // One that is broken is of no use, and its calls end by their time.
                    Fault::NotNow | Fault::Ours => return false,
                },
            };
            // One that was cut is no answer, but it ends the call: its head says so much.
            let answer = self.remote.answer.get(..len.min(MESSAGE_MAX)).unwrap_or(&[]);
            let answer = if len > MESSAGE_MAX { answer.get(..8).unwrap_or(&[]) } else { answer };
            let Some(from) = from else { continue };
            if let Some(ended) = self.dispatch.answered(from, answer, &mut self.remote.reply) {
                self.deliver(ended);
            }
        }
        false
    }

    /// Ends calls that did not arrive. As long as one is left the poller reports the socket.
    fn calls_that_came_back(&mut self, index: usize) {
        for _ in 0..ANSWERS_MAX {
            let Some(Source { kind: Kind::Answers(outlet), .. }) = self.sources.get(index) else { return };
            let Ok((len, to)) = outlet.receive_back(&mut self.remote.answer) else { return };
            let message = self.remote.answer.get(..len).unwrap_or(&[]);
            let ended = to.and_then(|to| self.dispatch.came_back(to, message, &mut self.remote.reply));
            if let Some(ended) = ended {
                self.deliver(ended);
            }
        }
    }

    /// Ends the calls whose time is over; some of them, when there are very many: then the next deadline is past.
    pub(super) fn expire_calls(&mut self) {
        for _ in 0..EXPIRE_MAX {
            let Some(ended) = self.dispatch.expired(&mut self.remote.reply) else { return };
            self.deliver(ended);
        }
    }

    /// Sends what leaves for a remote call to whoever asked for it.
    fn deliver(&mut self, ended: Ended) {
        let Ended { route, caller, reply } = ended;
        let bytes = |len| self.remote.reply.get(..len).unwrap_or(&[]);
        match (route, &caller, reply) {
            (Some(Route::Stream(token)), _, reply) => {
                let reply = reply.map(|reply| bytes(reply.len));
                self.streams.end_call(token, reply, &self.poller, &mut self.dispatch);
            }
            (Some(Route::Datagram(index)), Caller::Datagram(caller), Some(reply)) => {
                let Some(Source { kind: Kind::Datagrams { socket, .. }, .. }) = self.sources.get(index)
                else {
                    return;
                };
                let sent = reply_later(&socket.descriptor, caller, bytes(reply.len), reply.budget);
                let count = if sent.is_ok() { &mut self.counts.sent } else { &mut self.counts.refused };
                *count = count.saturating_add(1);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
