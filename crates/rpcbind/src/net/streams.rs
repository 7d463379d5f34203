//! All connections: serving the ones that are ready, closing the ones whose time or room is over. Every bound here has
//! a count of the connections that it closed. It must never wait.

use std::sync::Arc;
use std::time::Duration;

use rpcbind_core::caller::{Caller, Namespace};

use super::chain::{Chain, Links};
use super::connection::{Ending, Scratch};
use super::dispatch::{Dispatch, Route};
use super::places::{Entry, Places};
use super::poller::{Poller, Ready, Token};
use super::shares::{Limits, Share, Shares};
use super::tables::{Tables, is_same};

/// How long a record may take to be completed.
const RECORD_TIME: Duration = Duration::from_secs(10);
/// How long a peer may read nothing of what waits for it.
const READING_TIME: Duration = Duration::from_secs(10);
/// How long a TCP connection from another host may be idle.
const IDLE_TIME: Duration = Duration::from_secs(300);
/// Bytes of unfinished messages, all connections together.
const INPUT_MAX: usize = 8 * 1024 * 1024;
/// Bytes of replies that wait, all connections together, shared lists excepted.
const OUTPUT_MAX: usize = 16 * 1024 * 1024;
/// Connections closed in one turn of the loop because their time is over.
const EXPIRE_MAX: usize = 256;

mod accept;
mod keeping;
mod undelivered;

pub use accept::AcceptError;
pub(crate) use accept::{Accepted, Pace, Turn};
use keeping::Keeping;
use undelivered::Undelivered;

/// Every connection, and the order in which their time will be over.
pub(crate) struct Streams {
    places: Places,
    shares: Shares,
    scratch: Scratch,
    /// TCP connections from other hosts and from this one, the one idle longest first.
    idle: [Chain; 2],
    idle_links: Links,
    /// Connections in the middle of a record, the oldest record first.
    unfinished: Chain,
    unfinished_links: Links,
    /// Connections with replies waiting, the one that has read least recently first.
    reading: Chain,
    reading_links: Links,
    /// Connections whose replies are held back.
    held_back: Vec<Token>,
    tables: Tables,
    undelivered: Undelivered,
    input_bytes: usize,
    output_bytes: usize,
    endings: [u64; Ending::ALL.len()],
    refused: u64,
    home: Namespace,
    keeping: Keeping,
}

impl Streams {
    /// No connection yet. `home` is taken for the namespace of unix sockets where the kernel does not tell.
    pub(crate) fn new(limits: Limits, home: Namespace) -> Self {
        Self {
            places: Places::default(),
            shares: Shares::new(limits),
            scratch: Scratch::new(),
            idle: [Chain::default(); 2],
            idle_links: Links::default(),
            unfinished: Chain::default(),
            unfinished_links: Links::default(),
            reading: Chain::default(),
            reading_links: Links::default(),
            held_back: Vec::new(),
            tables: Tables::default(),
            undelivered: Undelivered::default(),
            input_bytes: 0,
            output_bytes: 0,
            endings: [0; Ending::ALL.len()],
            refused: 0,
            home,
            keeping: Keeping::default(),
        }
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many connections were refused at a cap.
    #[cfg(test)]
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// How many connections ended for this reason.
    #[cfg(test)]
    pub(super) fn ended(&self, ending: Ending) -> u64 {
        self.endings.get(ending as usize).copied().unwrap_or(0)
    }

    /// What was counted, in one line: how many were refused at a cap, and how many ended for which reason.
    pub(crate) fn counted(&self) -> String {
        let endings = Ending::ALL.into_iter().zip(self.endings).filter(|(_, count)| *count > 0);
        let endings: Vec<String> = endings.map(|(ending, count)| format!("{ending:?} {count}")).collect();
        format!("{} refused; ended: {}", self.refused, endings.join(", "))
    }

    /// Serves a connection that is ready. One that was closed in the meantime is nobody.
    pub(crate) fn serve(&mut self, ready: Ready, poller: &Poller, dispatch: &mut Dispatch) {
        let Some(index) = self.places.index(ready.token) else { return };
        let hangs_up = |entry: &Entry| ready.readable && entry.connection.awaits_calls();
        if self.places.get(index).is_some_and(hangs_up) {
            self.close(index, Ending::ByPeer);
        } else {
            self.turn(index, ready.readable, poller, dispatch);
        }
    }

    /// Writes the replies that were held back.
    pub(crate) fn release(&mut self, poller: &Poller, dispatch: &mut Dispatch) {
        for token in std::mem::take(&mut self.held_back) {
            let Some(index) = self.places.index(token) else { continue };
            if let Some(entry) = self.places.get_mut(index) {
                entry.connection.release();
            }
            self.turn(index, false, poller, dispatch);
        }
    }

    /// Ends a remote call of the connection with this token, if it is still there, and writes the reply to it.
    pub(crate) fn end_call(
        &mut self,
        token: Token,
        reply: Option<&[u8]>,
        poller: &Poller,
        dispatch: &mut Dispatch,
    ) {
        let Some(index) = self.places.index(token) else { return };
        if let Some(entry) = self.places.get_mut(index) {
            entry.connection.end_call(reply);
        }
        self.turn(index, false, poller, dispatch);
    }

    /// When the next connection's time is over, or it is to be stored, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let over = self.first_over().map(|(deadline, ..)| deadline);
        over.into_iter().chain(self.keeping.next_deadline()).min()
    }

    /// Closes the connections whose time is over; some of them, when there are very many: then the next deadline is
    /// past.
    pub(crate) fn expire(&mut self, poller: &Poller, dispatch: &mut Dispatch) {
        self.keep_due(dispatch.now());
        for _ in 0..EXPIRE_MAX {
            let Some((deadline, index, ending)) = self.first_over() else { return };
            if deadline > dispatch.now() {
                return;
            }
            if ending == Ending::NotReading && !self.has_stalled(index) {
                // The poller reports room only when there is a lot; who reads slowly has made some.
                self.turn(index, false, poller, dispatch);
            }
            if self.first_over() == Some((deadline, index, ending)) {
                self.close(index, ending);
            }
        }
    }

    /// The connection whose time is over first, and why it will be.
    fn first_over(&self) -> Option<(Duration, u32, Ending)> {
        let [from_elsewhere, _] = &self.idle;
        let first = |chain: &Chain, since: fn(&Entry) -> Duration, time: Duration, ending| {
            let index = chain.first()?;
            Some((since(self.places.get(index)?).saturating_add(time), index, ending))
        };
        let idle = first(from_elsewhere, |entry| entry.connection.active, IDLE_TIME, Ending::Idle);
        let unfinished = first(&self.unfinished, |entry| entry.record_since, RECORD_TIME, Ending::Unfinished);
        let reading = first(&self.reading, |entry| entry.reading_since, READING_TIME, Ending::NotReading);
        [idle, unfinished, reading].into_iter().flatten().min()
    }

    /// One turn of one connection, and all that follows from it.
    fn turn(&mut self, index: u32, readable: bool, poller: &Poller, dispatch: &mut Dispatch) {
        let may_queue = self.output_bytes < OUTPUT_MAX;
        dispatch.comes_by(Route::Stream(self.places.token(index)));
        let Self { places, scratch, .. } = self;
        let Some(entry) = places.get_mut(index) else { return };
        let may_read = readable && entry.connection.interest(may_queue).read;
        match entry.connection.serve(may_read, scratch, dispatch) {
            Err(ending) => {
                self.close(index, ending);
            }
            Ok(turn) => {
                let now = dispatch.now();
                if turn.records > 0 || turn.written > 0 {
                    entry.connection.active = now;
                    let share = entry.share;
                    self.was_active(index, share);
                }
                self.file(index, turn.records > 0, turn.written > 0, now);
                self.watch(index, poller);
                self.relieve();
                if turn.written > 0 {
                    self.note_written(index, turn.written);
                }
            }
        }
    }

    /// Brings a connection's place in every order, and in the sums, up to date.
    fn file(&mut self, index: u32, completed: bool, progressed: bool, now: Duration) {
        let Some(entry) = self.places.get_mut(index) else { return };
        let (input, output) = (entry.connection.input_bytes(), entry.connection.output_bytes());
        self.input_bytes = self.input_bytes.saturating_sub(entry.input_bytes).saturating_add(input);
        self.output_bytes = self.output_bytes.saturating_sub(entry.output_bytes).saturating_add(output);
        (entry.input_bytes, entry.output_bytes) = (input, output);

        if !entry.connection.awaits_rest() {
            self.unfinished_links.take_out(&mut self.unfinished, index);
        } else if completed || !self.unfinished_links.is_in(index) {
            entry.record_since = now;
            self.unfinished_links.put_last(&mut self.unfinished, index);
        }
        if !entry.connection.awaits_reading() {
            self.reading_links.take_out(&mut self.reading, index);
        } else if progressed || !self.reading_links.is_in(index) {
            entry.reading_since = now;
            self.reading_links.put_last(&mut self.reading, index);
            self.note_waiting(index);
        }
        let Some(entry) = self.places.get(index) else { return };
        let table = entry.connection.table().cloned();
        if entry.connection.is_held_back() {
            let token = self.places.token(index);
            if !self.held_back.contains(&token) {
                self.held_back.push(token);
            }
        }
        if let Some(table) = table {
            self.note_table(&table);
        }
    }

    /// Has the poller watch a connection for what it waits for.
    fn watch(&mut self, index: u32, poller: &Poller) {
        let token = self.places.token(index);
        let may_queue = self.output_bytes < OUTPUT_MAX;
        let Some(entry) = self.places.get_mut(index) else { return };
        let wanted = entry.connection.interest(may_queue);
        let watched = entry.connection.watched;
        if watched == Some(wanted) {
            return;
        }
        let socket = entry.connection.socket();
        let result = match watched {
            None => poller.add(socket, token, wanted),
            Some(_) => poller.modify(socket, token, wanted),
        };
        match result {
            Ok(()) => entry.connection.watched = Some(wanted),
            // Out of memory, or of watches (/proc/sys/fs/epoll/max_user_watches).
            Err(_) => {
                self.close(index, Ending::Failed);
            }
        }
    }

    /// Keeps the sums below their bounds.
    fn relieve(&mut self) {
        while self.input_bytes > INPUT_MAX {
            // Who is not in the middle of a record has whole ones waiting behind replies that it does not read.
            let oldest = self.unfinished.first().or_else(|| self.reading.first());
            if !oldest.is_some_and(|index| self.close(index, Ending::InputMemory)) {
                break;
            }
        }
        while self.output_bytes > OUTPUT_MAX {
            if !self.reading.first().is_some_and(|index| self.close(index, Ending::OutputMemory)) {
                break;
            }
        }
    }

    /// Notes that a list is being read; when too many different ones are, the oldest one's readers are closed.
    fn note_table(&mut self, table: &Arc<[u8]>) {
        if let Some(oldest) = self.tables.note(table) {
            let reads = |entry: &Entry| entry.connection.table().is_some_and(|table| is_same(&oldest, table));
            for index in self.places.find(reads) {
                self.close(index, Ending::OldTable);
            }
        }
    }

    /// Closes one TCP connection for a newcomer; answers whether there was one.
    fn make_room(&mut self) -> bool {
        self.shares.idle_longest_of_fullest().is_some_and(|index| self.close(index, Ending::Evicted))
    }

    /// The TCP connection that has been idle longest of all.
    fn idle_longest(&self) -> Option<u32> {
        let first = |chain: &Chain| {
            let index = chain.first()?;
            Some((self.places.get(index)?.connection.active, index))
        };
        self.idle.iter().filter_map(first).min().map(|(_, index)| index)
    }

    fn was_active(&mut self, index: u32, share: Share) {
        self.shares.was_active(share, index);
        if let Some(chain) = self.idle_chain(index) {
            self.idle_links.put_last(&mut self.idle[chain], index);
        }
    }

    /// Which of the two orders of idleness a connection is in: only other hosts' end by it.
    fn idle_chain(&self, index: u32) -> Option<usize> {
        match self.places.get(index)?.connection.caller() {
            Caller::Connection { from, .. } => Some(usize::from(from.ip().is_loopback())),
            _ => None,
        }
    }

    /// Closes a connection and forgets it; answers whether there was one.
    fn close(&mut self, index: u32, ending: Ending) -> bool {
        let chain = self.idle_chain(index);
        let Some(entry) = self.places.remove(index) else { return false };
        self.shares.leave(entry.share, index);
        if let Some(chain) = chain {
            self.idle_links.take_out(&mut self.idle[chain], index);
        }
        self.unfinished_links.take_out(&mut self.unfinished, index);
        self.reading_links.take_out(&mut self.reading, index);
        self.input_bytes = self.input_bytes.saturating_sub(entry.input_bytes);
        self.output_bytes = self.output_bytes.saturating_sub(entry.output_bytes);
        if let Some(count) = self.endings.get_mut(ending as usize) {
            *count = count.saturating_add(1);
        }
        self.undelivered.forget(index, entry.undelivered);
        self.keeping.let_go(&entry);
        if ending.makes_room() {
            entry.connection.throw_away();
        }
        let had_table = entry.connection.table().is_some();
        drop(entry);
        if had_table {
            self.tables.forget_unread();
        }
        true
    }
}

#[cfg(test)]
mod tests;
