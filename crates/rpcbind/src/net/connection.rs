//! One connection: reads, has whole records handled in order, writes the replies (RFC 5531 section 11).
//! It must never wait, never read while too much waits to be written, and hold no buffer while it is idle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use oncrpc::record::{RecordReader, mark};
use rpcbind_core::caller::Caller;
use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use super::dispatch::{Answer, Dispatch};
use super::errors::Fault;
use super::os::{self, MESSAGE_MAX};
use super::output::{Output, write_parts};
use super::poller::Interest;

mod ending;

pub(super) use ending::Ending;

/// The most that one read takes.
pub(super) const READ_MAX: usize = 64 * 1024;
/// The bytes of replies that may wait at a connection before it is not read any more. One reply may be begun below it.
pub(super) const QUEUE_MAX: usize = 64 * 1024;
/// The longest reply that is not a shared list.
const REPLY_MAX: usize = 64 * 1024;
/// A record's mark.
const MARK: usize = 4;
/// What is written to one connection in one turn of the loop before the others get theirs.
pub(super) const TURN_OUTPUT: usize = 256 * 1024;

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    caller: Caller,
    /// When it last did something whole: it was accepted, a call was answered, a part of a reply went.
    pub(super) active: Duration,
    /// What the poller watches it for; `None` before it is watched.
    pub(super) watched: Option<Interest>,
    ended: bool,
    held_back: bool,
    /// Remote calls under way for it.
    calls: u32,
    busy: Option<Box<Busy>>,
}

/// What only a connection has that is in the middle of something.
#[derive(Debug)]
struct Busy {
    reader: RecordReader,
    /// Received and not looked at.
    input: Vec<u8>,
    output: Output,
}

/// Buffers for input and output that all connections use, one after the other. They are one piece, so large that it
/// comes from the kernel by itself, in pages that are not there before they are used.
#[derive(Debug)]
pub(super) struct Scratch(Box<[u8]>);

/// What a turn did to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Records that were handled.
    pub(super) records: usize,
    /// Bytes that were written.
    pub(super) written: usize,
}

/// What was made of some input.
struct Made {
    consumed: usize,
    records: usize,
    bytes: usize,
    table: Option<Arc<[u8]>>,
    held_back: bool,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self(vec![0; READ_MAX + QUEUE_MAX + MARK + REPLY_MAX].into_boxed_slice())
    }

    /// The one for input, and the one for output.
    fn parts(&mut self) -> (&mut [u8], &mut [u8]) {
        self.0.split_at_mut_checked(READ_MAX).unwrap_or_default()
    }
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, caller: Caller, now: Duration) -> Self {
        let (ended, held_back) = (false, false);
        Self { socket, caller, active: now, watched: None, ended, held_back, calls: 0, busy: None }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it holds buffers: it is in the middle of something.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Bytes held of messages that are not answered.
    pub(super) fn input_bytes(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.reader.held().saturating_add(busy.input.len()))
    }

    /// Bytes held of replies, shared lists excepted.
    pub(super) fn output_bytes(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.output.len())
    }

    /// The shared list that it is reading.
    pub(super) fn table(&self) -> Option<&Arc<[u8]>> {
        self.busy.as_ref().and_then(|busy| busy.output.table())
    }

    /// What the kernel holds of replies that the peer has not taken; `None` where it does not tell.
    pub(super) fn undelivered(&self) -> Option<usize> {
        os::undelivered(self.socket()).ok()
    }

    /// Has the end of a TCP connection throw away what the peer has not taken. (The rest of a unix connection is in its
    /// peer's hands.)
    pub(super) fn throw_away(&self) {
        if matches!(self.caller, Caller::Connection { .. }) && self.undelivered() != Some(0) {
            // Without it the kernel gives up by itself, a little later.
            let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
        }
    }

    /// Whether replies wait for the peer to read them, or calls for a socket that takes replies again: one that is
    /// nearly full took the last reply whole and is not writable all the same.
    pub(super) fn awaits_reading(&self) -> bool {
        let waits = |busy: &Busy| !busy.output.is_empty() || !busy.input.is_empty();
        !self.held_back && self.busy.as_deref().is_some_and(waits)
    }

    /// Whether the rest of a record is waited for.
    pub(super) fn awaits_rest(&self) -> bool {
        self.interest(true).read && self.busy.as_ref().is_some_and(|busy| busy.reader.held() > 0)
    }

    /// Whether its replies are held back until what was changed is durable.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// What it is to be watched for now. `may_queue` is false when too much waits at all connections together.
    pub(super) fn interest(&self, may_queue: bool) -> Interest {
        let Some(busy) = &self.busy else { return Interest { read: !self.ended, write: false } };
        let (waits, left) = (!busy.output.is_empty(), !busy.input.is_empty());
        let full = busy.output.table().is_some() || busy.output.len() >= QUEUE_MAX || (waits && !may_queue);
        Interest {
            read: !self.ended && !full && !left,
            // Work that is left is gone on with as soon as the socket takes bytes: at once, unless it is full.
            write: !self.held_back && (waits || left),
        }
    }

    /// Does what can be done now, within the bounds of a turn: writes what waits, handles what came, reads once.
    ///
    /// # Errors
    /// Why the connection has to be closed.
    pub(super) fn serve(
        &mut self,
        may_read: bool,
        scratch: &mut Scratch,
        dispatch: &mut Dispatch,
    ) -> Result<Turn, Ending> {
        let mut turn = Turn::default();
        if !self.held_back {
            turn.written = self.write()?;
        }
        self.go_on(&mut turn, scratch, dispatch)?;
        let may_read = may_read && turn.written < TURN_OUTPUT && self.interest(true).read;
        let (input, output) = scratch.parts();
        if may_read && let Some(len) = self.read(input)? {
            self.take(input.get(..len).unwrap_or(&[]), &mut turn, output, dispatch)?;
        }
        let done = self.awaits_calls() && self.calls == 0;
        if done { Err(Ending::ByPeer) } else { Ok(turn) }
    }

    /// Lets go what was held back. The next turn writes it.
    pub(super) fn release(&mut self) {
        self.held_back = false;
    }

    /// Whether nothing comes and nothing waits: it is there for the ends of remote calls only, and the poller reports
    /// nothing but that the peer, who would write no more, does not read either.
    pub(super) fn awaits_calls(&self) -> bool {
        self.ended && self.busy.is_none()
    }

    /// Ends a remote call, and puts the reply behind what waits already. The next turn writes it, or closes.
    pub(super) fn end_call(&mut self, reply: Option<&[u8]>) {
        self.calls = self.calls.saturating_sub(1);
        let Some(reply) = reply else { return };
        let Some(mark) = mark(reply.len()) else { return };
        let output = &mut self.busy().output;
        output.add_behind(&mark);
        output.add_behind(reply);
    }

    /// Handles what was received earlier.
    fn go_on(
        &mut self,
        turn: &mut Turn,
        scratch: &mut Scratch,
        dispatch: &mut Dispatch,
    ) -> Result<(), Ending> {
        if self.may_answer()
            && let Some(busy) = self.busy.as_mut().filter(|busy| !busy.input.is_empty())
        {
            let input = std::mem::take(&mut busy.input);
            self.take(&input, turn, scratch.parts().1, dispatch)?;
        }
        Ok(())
    }

    /// Handles input until it is used up or enough waits to be written; what is left is kept.
    fn take(
        &mut self,
        mut input: &[u8],
        turn: &mut Turn,
        scratch: &mut [u8],
        dispatch: &mut Dispatch,
    ) -> Result<(), Ending> {
        while !input.is_empty() && self.may_answer() && turn.written < TURN_OUTPUT {
            let made = self.make(input, scratch, dispatch)?;
            input = input.get(made.consumed..).unwrap_or(&[]);
            turn.records = turn.records.saturating_add(made.records);
            let written = self.put(scratch.get(..made.bytes).unwrap_or(&[]), made.table, made.held_back)?;
            turn.written = turn.written.saturating_add(written);
        }
        if !input.is_empty() {
            self.busy().input = input.to_vec();
        }
        self.rest();
        Ok(())
    }

    fn may_answer(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| busy.output.table().is_none() && busy.output.len() < QUEUE_MAX)
    }

    /// Has records handled until the input is used up, a shared list is to be sent, or the scratch buffer is full.
    fn make(
        &mut self,
        mut input: &[u8],
        scratch: &mut [u8],
        dispatch: &mut Dispatch,
    ) -> Result<Made, Ending> {
        let len = input.len();
        let mut made = Made { consumed: 0, records: 0, bytes: 0, table: None, held_back: false };
        let mut fresh = RecordReader::new(MESSAGE_MAX);
        let reader = self.busy.as_mut().map_or(&mut fresh, |busy| &mut busy.reader);
        while made.bytes < QUEUE_MAX && made.table.is_none() {
            let Some(record) = reader.next(&mut input).map_err(|_| Ending::BadRecord)? else { break };
            made.records += 1;
            let body = made.bytes.saturating_add(MARK);
            let Some((head, reply)) = scratch.split_at_mut_checked(body) else { break };
            let reply = reply.get_mut(..REPLY_MAX).unwrap_or(&mut []);
            let answer = dispatch.handle_from(self.socket.as_fd(), &self.caller, record, reply);
            let (reply_len, table) = match answer {
                Answer::Silent => continue,
                Answer::Later => {
                    self.calls = self.calls.saturating_add(1);
                    continue;
                }
                Answer::Reply { len } => (len, None),
                Answer::Held { len } => {
                    made.held_back = true;
                    (len, None)
                }
                Answer::Table { len, body } => (len, Some(body)),
            };
            let in_all = reply_len.saturating_add(table.as_ref().map_or(0, |table| table.len()));
            let (Some(mark), Some(place)) = (mark(in_all), head.get_mut(made.bytes..)) else {
                return Err(Ending::Failed);
            };
            place.copy_from_slice(&mark);
            made.bytes = body.saturating_add(reply_len);
            made.table = table;
        }
        made.consumed = len.saturating_sub(input.len());
        if fresh.held() > 0 {
            self.busy().reader = fresh;
        }
        Ok(made)
    }

    /// Writes new replies, or puts them behind what waits already; answers how much was written.
    fn put(&mut self, bytes: &[u8], table: Option<Arc<[u8]>>, held_back: bool) -> Result<usize, Ending> {
        self.held_back |= held_back;
        if bytes.is_empty() {
            return Ok(0);
        }
        let behind = self.busy.as_ref().is_some_and(|busy| !busy.output.is_empty());
        let mut done = 0;
        if !self.held_back && !behind {
            done = written(write_parts(&self.socket, bytes, table.as_deref().unwrap_or(&[])))?;
        }
        if done < bytes.len().saturating_add(table.as_ref().map_or(0, |table| table.len())) {
            self.busy().output.add(bytes, table, done);
        }
        Ok(done)
    }

    /// Writes what waits; answers how much that was.
    fn write(&mut self) -> Result<usize, Ending> {
        let Some(busy) = self.busy.as_mut().filter(|busy| !busy.output.is_empty()) else { return Ok(0) };
        let count = written(busy.output.write(&self.socket))?;
        self.rest();
        Ok(count)
    }

    /// Reads once; `None` when nothing is there, or never will be.
    fn read(&mut self, input: &mut [u8]) -> Result<Option<usize>, Ending> {
        match rustix::net::recv(&self.socket, input, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => {
                self.ended = true;
                // The rest of its record will not come.
                if self.busy.as_ref().is_some_and(|busy| busy.output.is_empty()) {
                    self.busy = None;
                }
                Ok(None)
            }
            Ok((_, len)) => Ok(Some(len)),
            Err(errno) if matches!(Fault::of(errno), Fault::NotNow | Fault::Interrupted | Fault::Crowded) => {
                Ok(None)
            }
            Err(_) => Err(Ending::Failed),
        }
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_with(|| {
            Box::new(Busy {
                reader: RecordReader::new(MESSAGE_MAX),
                input: Vec::new(),
                output: Output::default(),
            })
        })
    }

    /// Lets go of the buffers when nothing is in them.
    fn rest(&mut self) {
        let over = self.busy.as_ref().is_some_and(|busy| {
            let nothing_comes = self.ended || busy.reader.held() == 0;
            nothing_comes && busy.output.is_empty() && busy.input.is_empty()
        });
        if over {
            self.busy = None;
        }
    }
}

fn written(result: Result<usize, Errno>) -> Result<usize, Ending> {
    match result {
        Ok(count) => Ok(count),
        Err(errno) if matches!(Fault::of(errno), Fault::NotNow | Fault::Interrupted | Fault::Crowded) => {
            Ok(0)
        }
        Err(_) => Err(Ending::Failed),
    }
}
