//! The rows in slots that are used again, in circular chains of what they have in common: adding, removing and finding
//! cost the same whatever there is. Of every chain an index knows the last row, which knows the first.

use super::index::Index;
use super::{Entry, Owner, Row};
use crate::hash::HashKey;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use oncrpc::bind::Netid;
use oncrpc::{Program, Version};

/// The number of a slot, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    pub(super) fn number(self) -> u32 {
        self.0.get()
    }

    /// The slot at a place in the vector of them. Caps on rows are far below 2^32.
    fn at(index: usize) -> Option<Self> {
        Self::from_number(u32::try_from(index).ok()?.checked_add(1)?)
    }

    fn index(self) -> usize {
        usize::try_from(self.0.get().wrapping_sub(1)).unwrap_or(usize::MAX)
    }
}

/// What the rows of a chain have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A chain of one.
    Exact(Program, Version, Netid),
    Transport(Program, Netid),
    Version(Program, Version),
    Program(Program),
    Owner(Owner),
}

/// The number of kinds of keys.
const KINDS: usize = 5;
/// The chain of all rows, behind those of the keys.
const ALL: usize = KINDS;

impl Key {
    fn of(row: &Row) -> [Self; KINDS] {
        let Row { program, version, netid, owner, .. } = *row;
        [
            Self::Exact(program, version, netid),
            Self::Transport(program, netid),
            Self::Version(program, version),
            Self::Program(program),
            Self::Owner(owner),
        ]
    }

    fn kind(self) -> usize {
        match self {
            Self::Exact(..) => 0,
            Self::Transport(..) => 1,
            Self::Version(..) => 2,
            Self::Program(..) => 3,
            Self::Owner(..) => 4,
        }
    }

    fn is_of(self, head: &Head) -> bool {
        match self {
            Self::Exact(program, version, netid) => {
                head.program == program && head.version == version && head.netid == netid
            }
            Self::Transport(program, netid) => head.program == program && head.netid == netid,
            Self::Version(program, version) => head.program == program && head.version == version,
            Self::Program(program) => head.program == program,
            Self::Owner(owner) => head.owner == owner,
        }
    }

    fn hash(self, key: HashKey) -> u64 {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let (word, rest) = match self {
            Self::Exact(program, version, netid) => (pair(program.0, version.0), netid.number()),
            Self::Transport(program, netid) => (pair(program.0, 0), netid.number()),
            Self::Version(program, version) => (pair(program.0, version.0), 0),
            Self::Program(program) => (pair(program.0, 0), 0),
            Self::Owner(Owner::Uid(uid)) => (pair(0, uid), 0),
            Self::Owner(Owner::Unknown) => (pair(1, 0), 0),
        };
        key.hash(word, u16::from(rest))
    }
}

/// A row's neighbours in one chain.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// Before the first comes the last.
    before: Slot,
    /// After the last comes the first.
    after: Slot,
    /// The length of the chain, at its last row only.
    count: u32,
}

/// What an answer reads of it is in one cache line: in a long table each line is a wait for memory.
#[derive(Debug)]
#[repr(C, align(64))]
struct Occupied {
    entry: Entry,
    serial: u64,
    links: [Link; KINDS + 1],
}

/// What finding a row, and answering its port, reads of it. In a long table each part of memory that is read pushes
/// another out of the processor's caches: this is a tenth of a row, and there are several in a cache line.
#[derive(Clone, Copy, Debug)]
struct Head {
    program: Program,
    version: Version,
    owner: Owner,
    port: u16,
    netid: Netid,
}

impl Head {
    fn of(entry: &Entry) -> Self {
        let Row { program, version, netid, owner, .. } = entry.row;
        Self { program, version, owner, port: entry.port(), netid }
    }
}

/// The rows, their chains and the indexes of these.
#[derive(Debug)]
pub(super) struct Rows {
    key: HashKey,
    slots: Vec<Option<Occupied>>,
    /// Of each slot. That of a free one is what it was: no index leads there.
    heads: Vec<Head>,
    free: Vec<Slot>,
    indexes: [Index; KINDS],
    /// Of all rows.
    last: Option<Slot>,
    next_serial: u64,
}

impl Rows {
    /// No rows. The seed has to be unpredictable.
    pub(super) fn new(seed: [u64; 2]) -> Self {
        Self {
            key: HashKey::new(seed),
            slots: Vec::new(),
            heads: Vec::new(),
            free: Vec::new(),
            indexes: core::array::from_fn(|_| Index::default()),
            last: None,
            next_serial: 0,
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// The number of slots, used ones and free ones.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number that the next row gets. No two rows ever have the same.
    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// The row in the slot at this index, with its slot and its number.
    pub(super) fn at(&self, index: usize) -> Option<(Slot, u64, &Entry)> {
        let occupied = self.slots.get(index)?.as_ref()?;
        Some((Slot::at(index)?, occupied.serial, &occupied.entry))
    }

    /// The number of the row in a slot.
    pub(super) fn serial(&self, slot: Slot) -> Option<u64> {
        self.occupied(slot).map(|occupied| occupied.serial)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.occupied(slot).map(|occupied| &occupied.entry)
    }

    /// The port of the row in a slot, 0 where it has none.
    #[inline]
    pub(super) fn port(&self, slot: Slot) -> Option<u16> {
        self.heads.get(slot.index()).map(|head| head.port)
    }

    /// Its liveness may change, and nothing else: the indexes would not know.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.occupied_mut(slot).map(|occupied| &mut occupied.entry)
    }

    /// The slot of the last row with this key.
    #[inline]
    pub(super) fn last(&self, key: Key) -> Option<Slot> {
        self.find(key, key.hash(self.key))
    }

    /// The number of rows with this key.
    pub(super) fn count(&self, key: Key) -> usize {
        let count = self.last(key).and_then(|last| self.link(last, key.kind())).map_or(0, |link| link.count);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// The rows with this key in the order in which they were added.
    pub(super) fn chain(&self, key: Key) -> Chain<'_> {
        Chain::new(self, key.kind(), self.last(key))
    }

    /// All rows in the order in which they were added.
    pub(super) fn all(&self) -> Chain<'_> {
        Chain::new(self, ALL, self.last)
    }

    /// Adds a row behind all others. There must be none of the same program, version and netid.
    pub(super) fn add(&mut self, entry: Entry) {
        let (keys, head) = (Key::of(&entry.row), Head::of(&entry));
        let Some(slot) = self.free.pop().or_else(|| Slot::at(self.slots.len())) else { return };
        let alone = Link { before: slot, after: slot, count: 1 };
        let occupied = Occupied { entry, serial: self.next_serial, links: [alone; KINDS + 1] };
        self.next_serial = self.next_serial.saturating_add(1);
        match (self.slots.get_mut(slot.index()), self.heads.get_mut(slot.index())) {
            (Some(place), Some(place_of_head)) => (*place, *place_of_head) = (Some(occupied), head),
            _ => {
                self.slots.push(Some(occupied));
                self.heads.push(head);
            }
        }
        for key in keys {
            let hash = key.hash(self.key);
            // The new row has the key too, but the index does not know it yet.
            let last = self.find(key, hash);
            self.append(key.kind(), last, slot);
            let Some(index) = self.indexes.get_mut(key.kind()) else { continue };
            match last {
                Some(last) => index.replace(hash, last, slot),
                None => index.add(hash, slot),
            }
        }
        self.append(ALL, self.last, slot);
        self.last = Some(slot);
    }

    /// Removes the row in a slot.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let keys = Key::of(&self.get(slot)?.row);
        for key in keys {
            let hash = key.hash(self.key);
            let last = self.find(key, hash)?;
            let new_last = self.take_out(key.kind(), last, slot);
            let Some(index) = self.indexes.get_mut(key.kind()) else { continue };
            match new_last {
                None => index.remove(hash, slot),
                Some(new_last) if new_last != last => index.replace(hash, last, new_last),
                Some(_) => {}
            }
        }
        self.last = self.last.and_then(|last| self.take_out(ALL, last, slot));
        let removed = self.slots.get_mut(slot.index())?.take()?;
        self.free.push(slot);
        Some(removed.entry)
    }

    #[inline]
    fn find(&self, key: Key, hash: u64) -> Option<Slot> {
        self.indexes
            .get(key.kind())?
            .find(hash, |slot| self.heads.get(slot.index()).is_some_and(|head| key.is_of(head)))
    }

    /// Puts a slot, alone so far, behind the last one of a chain.
    fn append(&mut self, kind: usize, last: Option<Slot>, slot: Slot) {
        let Some(last) = last else { return };
        let Some(Link { after: first, count, .. }) = self.link(last, kind) else { return };
        self.set_link(slot, kind, Link { before: last, after: first, count: count.saturating_add(1) });
        self.change_link(last, kind, |link| link.after = slot);
        self.change_link(first, kind, |link| link.before = slot);
    }

    /// Takes a slot out of a chain; the chain's last one after that.
    fn take_out(&mut self, kind: usize, last: Slot, slot: Slot) -> Option<Slot> {
        let Link { before, after, .. } = self.link(slot, kind)?;
        let count = self.link(last, kind)?.count.saturating_sub(1);
        if before == slot {
            return None;
        }
        self.change_link(before, kind, |link| link.after = after);
        self.change_link(after, kind, |link| link.before = before);
        let last = if slot == last { before } else { last };
        self.change_link(last, kind, |link| link.count = count);
        Some(last)
    }

    fn occupied(&self, slot: Slot) -> Option<&Occupied> {
        self.slots.get(slot.index())?.as_ref()
    }

    fn occupied_mut(&mut self, slot: Slot) -> Option<&mut Occupied> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    fn link(&self, slot: Slot, kind: usize) -> Option<Link> {
        self.occupied(slot)?.links.get(kind).copied()
    }

    fn set_link(&mut self, slot: Slot, kind: usize, new: Link) {
        self.change_link(slot, kind, |link| *link = new);
    }

    fn change_link(&mut self, slot: Slot, kind: usize, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.occupied_mut(slot).and_then(|occupied| occupied.links.get_mut(kind)) {
            change(link);
        }
    }
}

/// The rows of a chain, the first one first.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    rows: &'a Rows,
    kind: usize,
    next: Option<Slot>,
    last: Option<Slot>,
}

impl<'a> Chain<'a> {
    fn new(rows: &'a Rows, kind: usize, last: Option<Slot>) -> Self {
        let next = last.and_then(|last| rows.link(last, kind)).map(|link| link.after);
        Self { rows, kind, next, last }
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        let slot = self.next?;
        let occupied = self.rows.occupied(slot)?;
        let after = occupied.links.get(self.kind).map(|link| link.after);
        self.next = after.filter(|_| self.last != Some(slot));
        Some(&occupied.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{align_of, offset_of, size_of};
    use core::net::SocketAddrV4;

    #[test]
    fn a_row_and_its_ipv4_address_are_in_one_cache_line_all_of_it_in_three_and_three_heads_in_one() {
        let ipv4_ends = offset_of!(Occupied, entry.socket).saturating_add(size_of::<(u16, SocketAddrV4)>());
        assert!(ipv4_ends <= 64 && align_of::<Occupied>() == 64, "{ipv4_ends}");
        assert!(size_of::<Option<Occupied>>() <= 192);
        assert!(size_of::<Head>() <= 20);
    }
}
