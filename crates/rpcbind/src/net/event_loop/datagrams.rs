//! Datagrams in the loop: a few batches of each socket in a turn, every one answered before the next is received.

use std::os::fd::AsFd;

use rpcbind_core::caller::Caller;

use super::super::dispatch::{Answer, Dispatch, Route};
use super::super::errors::Fault;
use super::super::listen::Socket;
use super::super::os::{BATCH, Batch};
use super::{DatagramCounts, EventLoop, Kind, LoopError, Source};

/// Batches of datagrams received from one socket in one turn.
pub(super) const BATCHES_MAX: usize = 4;

impl EventLoop {
    /// Answers the datagrams at a socket, a few batches at most; whether the host is out of memory.
    pub(super) fn datagrams(&mut self, index: usize) -> Result<bool, LoopError> {
        if self.batch_held_for.is_some() {
            // There is one batch. Waiting for the next turn could be for ever: the other socket may be first again.
            self.let_go();
        }
        let Some(Source { kind: Kind::Datagrams { socket, bound }, .. }) = self.sources.get(index) else {
            return Ok(false);
        };
        self.dispatch.comes_by(Route::Datagram(index));
        for _ in 0..BATCHES_MAX {
            let received = match self.batch.receive(socket.as_fd(), *bound) {
                Ok(received) => received,
                Err(error) => match Fault::of_io(&error) {
                    Fault::NotNow => return Ok(false),
                    Fault::Interrupted => continue,
                    Fault::Theirs => {
                        self.counts.errors = self.counts.errors.saturating_add(1);
                        continue;
                    }
                    Fault::Crowded => return Ok(true),
                    Fault::Ours => {
                        return Err(LoopError::Receive { endpoint: socket.endpoint.clone(), source: error });
                    }
                },
            };
            if answer(&mut self.batch, received, &mut self.dispatch, &mut self.counts) {
                // The replies in the batch have to wait for the sync, and what is left here for the batch.
                self.batch_held_for = Some(index);
                break;
            }
            send(&mut self.batch, socket, &mut self.counts);
            if received < BATCH {
                break;
            }
        }
        Ok(false)
    }
}

/// Has every datagram of a batch answered; whether the replies have to wait.
fn answer(batch: &mut Batch, received: usize, dispatch: &mut Dispatch, counts: &mut DatagramCounts) -> bool {
    let mut held = false;
    for index in 0..received {
        counts.received = counts.received.saturating_add(1);
        let Some(mut slot) = batch.slot(index) else {
            counts.dropped = counts.dropped.saturating_add(1);
            continue;
        };
        let caller = Caller::Datagram(slot.caller());
        let budget = dispatch.budget(&caller, slot.message_len());
        let (message, reply) = slot.buffers(&budget);
        match dispatch.handle(&caller, message, reply) {
            Answer::Reply { len } => {
                slot.reply(len, budget);
            }
            Answer::Held { len } => {
                slot.reply(len, budget);
                held = true;
            }
            // Shared lists are for streams only.
            Answer::Silent | Answer::Later | Answer::Table { .. } => {}
        }
    }
    held
}

/// Sends the replies of a batch.
pub(super) fn send(batch: &mut Batch, socket: &Socket, counts: &mut DatagramCounts) {
    let sent = batch.send(socket.as_fd());
    counts.sent = counts.sent.saturating_add(u64::try_from(sent.sent).unwrap_or(0));
    counts.refused = counts.refused.saturating_add(u64::try_from(sent.refused).unwrap_or(0));
}
