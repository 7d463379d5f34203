//! Calls over connections: one connection for each, many calls written at once to one, or whole tables.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::{Load, PATIENCE, Stream, Target, Transport, connect, read_record};
use crate::wire::{self, Question, Result};

/// Addresses of the port mapper's host that are connected to in turn: the ports of one would be used up.
const ADDRESSES: u8 = 32;

/// Connections that are made for one call each.
pub(super) struct Connecting {
    at_once: usize,
    to: Vec<SocketAddr>,
    turn: usize,
    call: Vec<u8>,
    found: bool,
    reply: Vec<u8>,
}

/// One connection with many calls written at once.
pub(super) struct Pipelined {
    stream: Box<dyn Stream>,
    depth: usize,
    calls: Vec<u8>,
    replies: Vec<u8>,
    found: bool,
}

/// One connection that asks for the whole table again and again.
pub(super) struct Dumping {
    stream: Box<dyn Stream>,
    call: Vec<u8>,
    reply: Vec<u8>,
    /// A reply with every row that is registered is longer.
    longer_than: usize,
}

impl Connecting {
    pub(super) fn new(at_once: usize, target: &Target) -> Result<Self> {
        let first = target.socket_address();
        let others = (1..=ADDRESSES).map(|last| ([127, 0, 0, last], first.port()).into());
        let to = if target.address.is_loopback() { others.collect() } else { vec![first] };
        let call = wire::record(&Question::GetPort.call(target.programs.pick(0), target.address)?)?;
        Ok(Self { at_once, to, turn: 0, call, found: target.found, reply: Vec::new() })
    }

    fn connect(&mut self) -> Result<TcpStream> {
        self.turn = self.turn.wrapping_add(1);
        let mut stream = TcpStream::connect(self.to[self.turn % self.to.len()])?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&self.call)?;
        Ok(stream)
    }
}

impl Load for Connecting {
    fn burst(&mut self, end: Instant) -> Result<u64> {
        let mut answered = 0;
        while Instant::now() < end {
            let streams: Vec<TcpStream> = (0..self.at_once).map(|_| self.connect()).collect::<Result<_>>()?;
            for mut stream in streams {
                let len = read_record(&mut stream, &mut self.reply)?;
                wire::check_reply(&self.reply[..len], 0, self.found)?;
                answered += 1;
            }
        }
        Ok(answered)
    }
}

impl Pipelined {
    pub(super) fn new(transport: Transport, depth: usize, target: &Target) -> Result<Self> {
        let mut next = target.calls(Question::GetPort)?;
        let xids = 0..u32::try_from(depth)?;
        let calls = xids.map(|xid| wire::record(next.next(xid))).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            stream: connect(transport, target.socket_address())?,
            depth,
            calls: calls.concat(),
            // A mark, the head of an accepted reply, a port.
            replies: vec![0; depth * (4 + 24 + 4)],
            found: target.found,
        })
    }
}

impl Load for Pipelined {
    fn burst(&mut self, end: Instant) -> Result<u64> {
        let mut answered = 0;
        while Instant::now() < end {
            self.stream.write_all(&self.calls)?;
            self.stream.read_exact(&mut self.replies)?;
            for (xid, reply) in (0..).zip(self.replies.chunks(self.replies.len() / self.depth)) {
                wire::check_reply(&reply[4..], xid, self.found)?;
            }
            answered += u64::try_from(self.depth)?;
        }
        Ok(answered)
    }
}

impl Dumping {
    pub(super) fn new(target: &Target) -> Result<Self> {
        let stream = connect(Transport::Tcp, target.socket_address())?;
        let longer_than = wire::DUMPED_ROW_MIN * usize::try_from(target.programs.count)?;
        Ok(Self { stream, call: wire::record(&wire::dump()?)?, reply: Vec::new(), longer_than })
    }
}

impl Load for Dumping {
    fn burst(&mut self, end: Instant) -> Result<u64> {
        let mut answered = 0;
        while Instant::now() < end {
            self.stream.write_all(&self.call)?;
            let len = read_record(&mut self.stream, &mut self.reply)?;
            wire::check_reply(&self.reply[..len], 0, false)?;
            if len <= self.longer_than {
                return Err(format!("{len} bytes are no list of all rows").into());
            }
            answered += 1;
        }
        Ok(answered)
    }
}

/// Connections that have made one call each and say nothing more.
pub(crate) fn idle_connections(target: &Target, count: u32) -> Result<Vec<TcpStream>> {
    let mut connecting = Connecting::new(1, target)?;
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = connecting.connect()?;
        let len = read_record(&mut stream, &mut connecting.reply)?;
        wire::check_reply(&connecting.reply[..len], 0, connecting.found)?;
        held.push(stream);
    }
    Ok(held)
}
