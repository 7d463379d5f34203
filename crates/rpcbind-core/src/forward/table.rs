//! The remote calls under way: found by xid, in the order of their deadlines, counted for each source. A source
//! that has all it may have gives up its own oldest call for another; a full table gives up the oldest call of those
//! who have most for somebody who has fewer. It never grows beyond its bounds.

use crate::caller::Caller;
use crate::limiter::prefix;
use crate::outcome::RemoteId;
use crate::remote::Asked;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;
use oncrpc::{Procedure, Version, Xid};

/// One remote call under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: RemoteId,
    /// The service that was called: nobody else answers.
    pub(crate) to: SocketAddr,
    pub(crate) deadline: Duration,
    /// It was given up for another.
    pub(crate) given_up: bool,
    pub(crate) asked: Asked,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// Of datagrams, which anybody may have sent in anybody's name.
    Prefix(u64),
    /// Of the other ends of TCP connections, which are who they say.
    Stream(u64),
    Uid(Option<u32>),
}

impl Source {
    fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Unix { uid, .. } => Self::Uid(*uid),
            Caller::Connection { from, .. } => Self::Stream(prefix(from.ip())),
            Caller::Datagram(datagram) => Self::Prefix(prefix(datagram.from.ip())),
        }
    }
}

/// What a call is known by that came as a datagram and may come again.
pub(crate) type Repeatable = (SocketAddr, Xid, Version, Procedure);

/// There is no room for another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Room for a call, as [`Table::room_for`] finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// The call that ends for it.
    gives_way: Option<RemoteId>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    calls: BTreeMap<Xid, Pending>,
    deadlines: BTreeSet<(Duration, RemoteId)>,
    repeatable: BTreeSet<Repeatable>,
    /// The calls of each source that are not given up, oldest first.
    sources: BTreeMap<Source, BTreeSet<RemoteId>>,
    /// The number of each source's calls with the oldest of them, in the order in which these give way: last first.
    by_count: BTreeSet<(usize, Reverse<RemoteId>)>,
    waiting: usize,
    waiting_max: usize,
    waiting_max_per_source: usize,
}

impl Table {
    /// A table for so many calls, and so many of one source.
    pub(crate) fn new(calls: usize, calls_per_source: usize) -> Self {
        Self {
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            repeatable: BTreeSet::new(),
            sources: BTreeMap::new(),
            by_count: BTreeSet::new(),
            waiting: 0,
            waiting_max: calls,
            waiting_max_per_source: calls_per_source,
        }
    }

    /// The number of calls, those that were given up included until they are taken out.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// The call with this xid.
    pub(crate) fn find(&self, xid: Xid) -> Option<&Pending> {
        self.calls.get(&xid)
    }

    /// Whether a call that came as a datagram is under way.
    pub(crate) fn has(&self, repeatable: &Repeatable) -> bool {
        self.repeatable.contains(repeatable)
    }

    /// The first deadline; that of calls that were given up is past.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A call whose deadline has come.
    pub(crate) fn first_over(&self, now: Duration) -> Option<RemoteId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, id)| *id)
    }

    /// The room for a call of this caller's.
    ///
    /// # Errors
    /// This source would have to have more than all others, or too many calls were given up in this turn.
    pub(crate) fn room_for(&self, caller: &Caller) -> Result<Room, Full> {
        // Calls that were given up are taken out at the end of the shell's turn: a fraction of the table at a time.
        let slack = self.waiting_max.div_euclid(8).saturating_add(1);
        if self.calls.len() >= self.waiting_max.saturating_add(slack) {
            return Err(Full);
        }
        let calls = self.sources.get(&Source::of(caller));
        let own = calls.map_or(0, BTreeSet::len);
        if own >= self.waiting_max_per_source {
            // Half of that fraction is for others.
            if self.calls.len().saturating_sub(self.waiting) >= slack.div_ceil(2) {
                return Err(Full);
            }
            let oldest = calls.and_then(BTreeSet::first).copied();
            return Ok(Room { gives_way: Some(oldest.ok_or(Full)?) });
        }
        if self.waiting < self.waiting_max {
            return Ok(Room { gives_way: None });
        }
        let fullest = self.by_count.last().filter(|(count, _)| *count > own);
        let oldest = fullest.map(|(_, Reverse(oldest))| *oldest);
        Ok(Room { gives_way: Some(oldest.ok_or(Full)?) })
    }

    /// Adds a call to which this room belongs, and whose xid no other has.
    pub(crate) fn insert(&mut self, room: Room, pending: Pending) {
        if let Some(oldest) = room.gives_way {
            self.give_up(oldest);
        }
        if let Some(repeatable) = pending.asked.repeatable() {
            self.repeatable.insert(repeatable);
        }
        self.deadlines.insert((pending.deadline, pending.id));
        let source = Source::of(&pending.asked.caller);
        self.recount(source, |calls| {
            calls.insert(pending.id);
        });
        self.calls.insert(pending.id.xid, pending);
    }

    /// Takes a call out.
    pub(crate) fn take(&mut self, id: RemoteId) -> Option<Pending> {
        self.calls.get(&id.xid).filter(|pending| pending.id == id)?;
        let pending = self.calls.remove(&id.xid)?;
        self.deadlines.remove(&(pending.deadline, id));
        if let Some(repeatable) = pending.asked.repeatable() {
            self.repeatable.remove(&repeatable);
        }
        if !pending.given_up {
            self.discount(&pending.asked.caller, id);
        }
        Some(pending)
    }

    /// Lets a call end at once, and counts it no more.
    fn give_up(&mut self, id: RemoteId) {
        let Some(pending) = self.calls.get_mut(&id.xid) else { return };
        self.deadlines.remove(&(pending.deadline, id));
        pending.deadline = Duration::ZERO;
        pending.given_up = true;
        self.deadlines.insert((Duration::ZERO, id));
        let caller = pending.asked.caller;
        self.discount(&caller, id);
    }

    fn discount(&mut self, caller: &Caller, id: RemoteId) {
        self.recount(Source::of(caller), |calls| {
            calls.remove(&id);
        });
    }

    /// Changes the calls of a source, and its place among the others.
    fn recount(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<RemoteId>)) {
        let calls = self.sources.entry(source).or_default();
        let (before, oldest_before) = (calls.len(), calls.first().copied());
        change(calls);
        let (after, oldest) = (calls.len(), calls.first().copied());
        if let Some(oldest) = oldest_before {
            self.by_count.remove(&(before, Reverse(oldest)));
        }
        if let Some(oldest) = oldest {
            self.by_count.insert((after, Reverse(oldest)));
        } else {
            self.sources.remove(&source);
        }
        self.waiting = self.waiting.saturating_sub(before).saturating_add(after);
    }
}

#[cfg(test)]
mod tests;
