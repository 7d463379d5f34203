//! One datagram at a time: the next call waits for the reply to the last.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::{Load, PATIENCE, Target};
use crate::wire::{self, Calls, Question, Result};

/// One in flight.
pub(super) struct Lone {
    socket: UdpSocket,
    calls: Calls,
    found: bool,
    xid: u32,
    times: Vec<Duration>,
}

impl Lone {
    pub(super) fn new(question: Question, target: &Target) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(target.socket_address())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, calls: target.calls(question)?, found: target.found, xid: 0, times: Vec::new() })
    }

    /// Asks once.
    fn ask(&mut self) -> Result<()> {
        self.xid = self.xid.wrapping_add(1);
        let call = self.calls.next(self.xid);
        let asked = Instant::now();
        self.socket.send(call)?;
        let mut reply = [0; 512];
        let len = self.socket.recv(&mut reply).map_err(|error| format!("no reply: {error}"))?;
        self.times.push(asked.elapsed());
        wire::check_reply(&reply[..len], self.xid, self.found)
    }
}

impl Load for Lone {
    fn burst(&mut self, end: Instant) -> Result<u64> {
        let mut answered = 0;
        while Instant::now() < end {
            self.ask()?;
            answered += 1;
        }
        Ok(answered)
    }

    fn p50(&mut self) -> Option<Duration> {
        let mut times = std::mem::take(&mut self.times);
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

/// Asks so often, one after the other.
pub(crate) fn ask_one_by_one(question: Question, target: &Target, count: u32) -> Result<()> {
    let mut lone = Lone::new(question, target)?;
    (0..count).try_for_each(|_| lone.ask())
}
