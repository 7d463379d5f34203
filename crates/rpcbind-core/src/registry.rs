//! The rows: found by program, version and netid, added and removed at a cost that does not grow with their number,
//! listed in the order of registration. Bookkeeping only: who may change a row is decided in `policy.rs`.

use crate::caller::Namespace;
use crate::liveness::Liveness;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use oncrpc::bind::{Family, Netid, UniversalAddress};
use oncrpc::{Program, Version};
use rows::{Key, Rows, Slot};

mod index;
mod rows;
#[cfg(test)]
mod tests;

/// Who registered a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A uid that the kernel vouched for.
    Uid(u32),
    /// Nobody could be established.
    Unknown,
}

impl Owner {
    /// Root, who also owns the port mapper's own rows.
    pub const ROOT: Self = Self::Uid(0);
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The program's number.
    pub program: Program,
    /// The program's version.
    pub version: Version,
    /// The transport.
    pub netid: Netid,
    /// The universal address, as it was registered.
    pub address: Box<str>,
    /// Who registered it.
    pub owner: Owner,
    /// The network namespace it was registered from.
    pub namespace: Namespace,
}

/// A row with what a look-up wants of its address, in this order: see `Occupied`.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    /// The address as a socket address; `None` for unix sockets.
    pub(crate) socket: Option<SocketAddr>,
    /// Whether its service is there.
    liveness: Liveness,
    /// Its service was last said to be dead, and has not been seen since.
    pub(crate) missed: bool,
}

impl Entry {
    fn new(row: Row, family: Family) -> Self {
        let socket =
            UniversalAddress::parse(row.address.as_bytes(), family).and_then(|address| address.socket());
        Self { row, socket, liveness: Liveness::NotJudged, missed: false }
    }

    /// Whether its service is there.
    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// The port; 0 for unix sockets.
    pub(crate) fn port(&self) -> u16 {
        self.socket.map_or(0, |socket| socket.port())
    }
}

/// Names a row until it goes. No two rows ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    slot: Slot,
    serial: u64,
}

/// All rows. A program, version and netid together name at most one.
#[derive(Debug)]
pub struct Registry {
    rows: Rows,
    dead: usize,
    lists: Lists,
}

/// The encoded lists, kept until the next change.
#[derive(Debug, Default)]
struct Lists {
    mappings: Option<Arc<[u8]>>,
    rpcbs: Option<Arc<[u8]>>,
    statuses: Option<Arc<[u8]>>,
}

impl Lists {
    fn kept(&mut self, kind: ListKind) -> &mut Option<Arc<[u8]>> {
        match kind {
            ListKind::Mappings => &mut self.mappings,
            ListKind::Rpcbs => &mut self.rpcbs,
            ListKind::Statuses => &mut self.statuses,
        }
    }
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Version 2's: rows on udp and tcp.
    Mappings,
    /// Versions 3 and 4's: every row.
    Rpcbs,
    /// The status program's: every row with its liveness.
    Statuses,
}

impl Registry {
    /// No rows. The seed has to be unpredictable, so that nobody can choose rows that are slow to find.
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        Self { rows: Rows::new(seed), dead: 0, lists: Lists::default() }
    }

    /// The number of rows, the port mapper's own included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// The number of rows of one owner.
    #[must_use]
    pub fn owned_by(&self, owner: Owner) -> usize {
        self.rows.count(Key::Owner(owner))
    }

    /// The rows in the order of registration.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.all().map(|entry| &entry.row)
    }

    /// The rows with what is known of their services, in the order of registration.
    pub fn rows_with_liveness(&self) -> impl Iterator<Item = (&Row, Liveness)> {
        self.rows.all().map(|entry| (&entry.row, entry.liveness))
    }

    /// The number of rows whose service is dead.
    #[must_use]
    pub fn dead(&self) -> usize {
        self.dead
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rows.all()
    }

    /// The number of slots that rows are in: at most as many as there ever were rows at once.
    pub(crate) fn slots(&self) -> usize {
        self.rows.slots()
    }

    /// The rows in some slots, in no order that means anything, without those that were registered since `before`.
    pub(crate) fn in_slots(
        &self,
        slots: core::ops::Range<usize>,
        before: u64,
    ) -> impl Iterator<Item = (Place, &Entry)> {
        let rows = slots.filter_map(|index| self.rows.at(index));
        rows.filter(move |(_, serial, _)| *serial < before)
            .map(|(slot, serial, entry)| (Place { slot, serial }, entry))
    }

    /// The row at a place; `None` once it has gone.
    pub(crate) fn at(&self, place: Place) -> Option<&Entry> {
        self.rows.get(place.slot).filter(|_| self.rows.serial(place.slot) == Some(place.serial))
    }

    /// A number that every row so far is below, and no row that will be registered.
    pub(crate) fn next_serial(&self) -> u64 {
        self.rows.next_serial()
    }

    /// The place of the row of exactly this program, version and netid.
    pub(crate) fn place(&self, program: Program, version: Version, netid: Netid) -> Option<Place> {
        let slot = self.rows.last(Key::Exact(program, version, netid))?;
        Some(Place { slot, serial: self.rows.serial(slot)? })
    }

    /// Notes what has been found out about a row's service.
    pub(crate) fn set_liveness(&mut self, place: Place, liveness: Liveness, missed: bool) {
        if self.rows.serial(place.slot) != Some(place.serial) {
            return;
        }
        let Some(entry) = self.rows.get_mut(place.slot) else { return };
        entry.missed = missed;
        if entry.liveness != liveness {
            let (was, is) = (entry.liveness.is_dead(), liveness.is_dead());
            self.dead = self.dead.saturating_sub(usize::from(was)).saturating_add(usize::from(is));
            entry.liveness = liveness;
            self.lists.statuses = None;
        }
    }

    /// The row of exactly this program, version and netid.
    #[inline]
    pub(crate) fn exact(&self, program: Program, version: Version, netid: Netid) -> Option<&Entry> {
        self.rows.get(self.rows.last(Key::Exact(program, version, netid))?)
    }

    /// The exact row, or else the one of this program and netid that was registered last.
    #[inline]
    pub(crate) fn any_version(&self, program: Program, version: Version, netid: Netid) -> Option<&Entry> {
        self.rows.get(self.any_slot(program, version, netid)?)
    }

    /// The port of [`Registry::any_version`]; 0 of a row without one.
    #[inline]
    pub(crate) fn any_port(&self, program: Program, version: Version, netid: Netid) -> Option<u16> {
        self.rows.port(self.any_slot(program, version, netid)?)
    }

    #[inline]
    fn any_slot(&self, program: Program, version: Version, netid: Netid) -> Option<Slot> {
        let slot = self.rows.last(Key::Exact(program, version, netid));
        slot.or_else(|| self.rows.last(Key::Transport(program, netid)))
    }

    /// Every version of a program on a netid, in the order of registration.
    pub(crate) fn versions(&self, program: Program, netid: Netid) -> impl Iterator<Item = Version> {
        self.rows.chain(Key::Transport(program, netid)).map(|entry| entry.row.version)
    }

    /// Whether the program has any row.
    pub(crate) fn has(&self, program: Program) -> bool {
        self.rows.last(Key::Program(program)).is_some()
    }

    /// The rows of a program and version on every netid, in the order of registration.
    pub(crate) fn on_all_netids(&self, program: Program, version: Version) -> impl Iterator<Item = &Entry> {
        self.rows.chain(Key::Version(program, version))
    }

    /// Adds a row at the end. One of the same program, version and netid goes, and is returned.
    pub(crate) fn insert(&mut self, row: Row, family: Family) -> Option<Row> {
        let replaced = self.remove(row.program, row.version, row.netid);
        self.rows.add(Entry::new(row, family));
        self.lists = Lists::default();
        replaced
    }

    /// Removes the row of exactly this program, version and netid, and returns it.
    pub(crate) fn remove(&mut self, program: Program, version: Version, netid: Netid) -> Option<Row> {
        let slot = self.rows.last(Key::Exact(program, version, netid))?;
        let Entry { row, liveness, .. } = self.rows.remove(slot)?;
        self.dead = self.dead.saturating_sub(usize::from(liveness.is_dead()));
        self.lists = Lists::default();
        Some(row)
    }

    /// An encoded list: the kept one, or the one that `encode` makes now.
    pub(crate) fn list(&mut self, kind: ListKind, encode: impl FnOnce(&Self) -> Vec<u8>) -> Arc<[u8]> {
        if let Some(list) = self.lists.kept(kind) {
            return Arc::clone(list);
        }
        let list: Arc<[u8]> = encode(self).into();
        Arc::clone(self.lists.kept(kind).insert(list))
    }
}
