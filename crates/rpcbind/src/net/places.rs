//! Where connections live: an index for each, reused, and a token that tells a connection from the one before in the
//! same place, so that an event for one that was closed meets nobody.

use std::time::Duration;

use super::connection::Connection;
use super::poller::Token;
use super::shares::Share;

/// The bit that no connection's token has: tokens of everything else do.
pub(super) const NOT_A_CONNECTION: u64 = 1 << 63;

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    entry: Option<Entry>,
}

/// A connection with what is noted about it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The connection.
    pub(super) connection: Connection,
    /// What it is counted as.
    pub(super) share: Share,
    /// Its bytes of unfinished messages, as they are in the sum.
    pub(super) input_bytes: usize,
    /// Its bytes of replies, as they are in the sum.
    pub(super) output_bytes: usize,
    /// When the record that it is in the middle of began.
    pub(super) record_since: Duration,
    /// When it last read something of what waits for it.
    pub(super) reading_since: Duration,
    /// What is counted for it of replies that the kernel holds.
    pub(super) undelivered: usize,
    /// What the kernel held when it began to wait for its peer, where that matters.
    pub(super) held_since: Option<usize>,
    /// The service manager holds it, too.
    pub(super) is_stored: bool,
}

impl Places {
    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }

    /// Gives a connection a place.
    pub(super) fn insert(&mut self, connection: Connection, share: Share) -> u32 {
        let now = connection.active;
        let entry = Entry {
            connection,
            share,
            input_bytes: 0,
            output_bytes: 0,
            record_since: now,
            reading_since: now,
            undelivered: 0,
            held_since: None,
            is_stored: false,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, entry: None });
            // The caps on connections are far below 2^32.
            u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.place_mut(index) {
            place.entry = Some(entry);
        }
        index
    }

    /// Takes a connection out of its place.
    pub(super) fn remove(&mut self, index: u32) -> Option<Entry> {
        let place = self.place_mut(index)?;
        let entry = place.entry.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        Some(entry)
    }

    pub(super) fn get(&self, index: u32) -> Option<&Entry> {
        self.places.get(usize::try_from(index).ok()?)?.entry.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.place_mut(index)?.entry.as_mut()
    }

    /// The token of the connection at this place.
    pub(super) fn token(&self, index: u32) -> Token {
        let place = usize::try_from(index).ok().and_then(|at| self.places.get(at));
        let generation = place.map_or(0, |place| place.generation);
        Token((u64::from(generation) << 32 | u64::from(index)) & !NOT_A_CONNECTION)
    }

    /// The place of the connection with this token; `None` when it was closed.
    pub(super) fn index(&self, token: Token) -> Option<u32> {
        let index = u32::try_from(token.0 & u64::from(u32::MAX)).ok()?;
        (self.token(index) == token && self.get(index).is_some()).then_some(index)
    }

    /// The places of the connections that fulfil a condition. Looks at all.
    pub(super) fn find(&self, condition: impl Fn(&Entry) -> bool) -> Vec<u32> {
        let fulfils = |place: &Place| place.entry.as_ref().is_some_and(&condition);
        (0..).zip(&self.places).filter(|(_, place)| fulfils(place)).map(|(index, _)| index).collect()
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(index).ok()?)
    }
}
