//! Clients as scripts: calls made one after the other, each sent again until it is answered or given up.

use super::{HostId, SocketId};
use oncrpc::{Exchange, Schedule, Step, Xid};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// A client's calls, and what became of them.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) socket: SocketId,
    schedule: Schedule,
    calls: VecDeque<(SocketAddr, Vec<u8>)>,
    under_way: Option<Exchange>,
    pub(crate) replies: Vec<Option<Vec<u8>>>,
}

impl Script {
    pub(crate) fn new(socket: SocketId, schedule: Schedule, calls: Vec<(SocketAddr, Vec<u8>)>) -> Self {
        Self { socket, schedule, calls: calls.into(), under_way: None, replies: Vec::new() }
    }

    /// When something is to be done next: at once when no call is under way, never when all have ended.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        self.calls.front()?;
        Some(self.under_way.map_or(now, |exchange| exchange.deadline()))
    }

    /// What is to be sent now.
    pub(crate) fn step(&mut self, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        let (to, message) = self.calls.front()?;
        match &mut self.under_way {
            None => self.under_way = Some(Exchange::new(now, xid(message), self.schedule)),
            Some(exchange) => match exchange.step(now) {
                Step::Wait => return None,
                Step::Retransmit => {}
                Step::GiveUp => {
                    self.end(None);
                    return None;
                }
            },
        }
        Some((*to, message.clone()))
    }

    /// Takes what came in, when it answers the call under way.
    pub(crate) fn accept(&mut self, message: &[u8]) {
        if self.under_way.is_some_and(|exchange| exchange.accept(message).is_some()) {
            self.end(Some(message.to_vec()));
        }
    }

    pub(crate) fn is_of(&self, host: HostId, index: usize) -> bool {
        self.socket.host == host && self.socket.index == index
    }

    fn end(&mut self, reply: Option<Vec<u8>>) {
        self.calls.pop_front();
        self.under_way = None;
        self.replies.push(reply);
    }
}

fn xid(message: &[u8]) -> Xid {
    Xid(message.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)))
}
