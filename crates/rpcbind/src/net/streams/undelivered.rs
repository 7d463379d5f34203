//! What the kernel holds of replies that were written and that peers have not taken. Each write counts as more than it
//! can be; only when the sum is too large is the kernel asked, connection by connection. It must never ask for a write
//! that is well below the bound.

use super::Streams;
use crate::net::chain::{Chain, Links};
use crate::net::connection::Ending;

/// The most that the kernel may hold, all connections together.
pub(super) const UNDELIVERED_MAX: usize = 40 * 1024 * 1024;
/// What is left of it when it was too much: a good part less, so that the next time is not at once.
const UNDELIVERED_AFTERWARDS: usize = 32 * 1024 * 1024;
/// The least that the kernel counts for anything.
const PAGE: usize = 4_096;

/// The connections that were written to and may not have been read, the one written to least recently first.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    chain: Chain,
    links: Links,
    bytes: usize,
}

impl Undelivered {
    /// The sum of what is counted.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets a connection that was closed, with what was counted for it.
    pub(super) fn forget(&mut self, index: u32, counted: usize) {
        self.links.take_out(&mut self.chain, index);
        self.bytes = self.bytes.saturating_sub(counted);
    }
}

impl Streams {
    /// Counts what was written to a connection; when that is too much in all, closes whom it was written to in vain.
    pub(super) fn note_written(&mut self, index: u32, written: usize) {
        let Some(entry) = self.places.get_mut(index) else { return };
        // The kernel's own structures are less than the bytes that it rounds up by.
        let counted = written.checked_next_power_of_two().unwrap_or(written).max(PAGE);
        entry.undelivered = entry.undelivered.saturating_add(counted);
        let Undelivered { chain, links, bytes } = &mut self.undelivered;
        *bytes = bytes.saturating_add(counted);
        links.put_last(chain, index);
        if *bytes > UNDELIVERED_MAX {
            self.count_again();
            while self.undelivered.bytes > UNDELIVERED_AFTERWARDS {
                let first = self.undelivered.chain.first();
                if !first.is_some_and(|index| self.close(index, Ending::KernelMemory)) {
                    break;
                }
            }
        }
    }

    /// Asks the kernel about each connection once. Their order stays.
    fn count_again(&mut self) {
        let Self { places, undelivered: Undelivered { chain, links, bytes }, .. } = self;
        let mut first_left = None;
        while let Some(index) = chain.first().filter(|index| first_left != Some(*index)) {
            links.take_out(chain, index);
            let Some(entry) = places.get_mut(index) else { continue };
            let held = entry.connection.undelivered().unwrap_or(0);
            *bytes = bytes.saturating_sub(entry.undelivered).saturating_add(held);
            entry.undelivered = held;
            if held > 0 {
                links.put_last(chain, index);
                first_left.get_or_insert(index);
            }
        }
    }

    /// Notes what the kernel holds when a connection begins to wait for its peer although the socket has taken all
    /// replies: whether that gets less is the only sign that the peer reads.
    pub(super) fn note_waiting(&mut self, index: u32) {
        if let Some(entry) = self.places.get_mut(index) {
            let took_all = entry.connection.output_bytes() == 0 && entry.connection.table().is_none();
            entry.held_since = if took_all { entry.connection.undelivered() } else { None };
        }
    }

    /// Whether the peer has read nothing since [`Streams::note_waiting`]. Not known (`false`) of one whose socket has
    /// not taken all replies: what it takes next says it.
    pub(super) fn has_stalled(&self, index: u32) -> bool {
        let Some(entry) = self.places.get(index) else { return false };
        let now = entry.held_since.and_then(|_| entry.connection.undelivered());
        entry.held_since.zip(now).is_some_and(|(then, now)| now > 0 && now >= then)
    }
}
