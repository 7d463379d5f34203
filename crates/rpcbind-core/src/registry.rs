//! The rows: found by program, version and netid in logarithmic time, listed in the order of registration.
//! Bookkeeping only: who may change a row is decided in `policy.rs`.

use crate::caller::Namespace;
use crate::liveness::Liveness;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Bound::{Excluded, Included};
use oncrpc::bind::{Family, Netid, UniversalAddress};
use oncrpc::{Program, Version};

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

/// A row with what a look-up wants of its address.
#[derive(Clone, Debug)]
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

/// The place of a row in the order of registration. No two rows ever have the same.
pub(crate) type Place = u64;

/// All rows. A program, version and netid together name at most one.
#[derive(Debug, Default)]
pub struct Registry {
    entries: BTreeMap<Place, Entry>,
    exact: BTreeMap<(Program, Version, Netid), Place>,
    by_transport: BTreeSet<(Program, Netid, Place)>,
    owned: BTreeMap<Owner, usize>,
    dead: usize,
    next: Place,
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
    /// The number of rows, the port mapper's own included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of rows of one owner.
    #[must_use]
    pub fn owned_by(&self, owner: Owner) -> usize {
        self.owned.get(&owner).copied().unwrap_or(0)
    }

    /// The rows in the order of registration.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.entries.values().map(|entry| &entry.row)
    }

    /// The rows with what is known of their services, in the order of registration.
    pub fn rows_with_liveness(&self) -> impl Iterator<Item = (&Row, Liveness)> {
        self.entries.values().map(|entry| (&entry.row, entry.liveness))
    }

    /// The number of rows whose service is dead.
    #[must_use]
    pub fn dead(&self) -> usize {
        self.dead
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The rows from one place up to before another.
    pub(crate) fn between(&self, from: Place, until: Place) -> impl Iterator<Item = (Place, &Entry)> {
        let range = from..until.max(from);
        self.entries.range(range).map(|(place, entry)| (*place, entry))
    }

    /// The row at a place; `None` once it has gone.
    pub(crate) fn at(&self, place: Place) -> Option<&Entry> {
        self.entries.get(&place)
    }

    /// The place of the row that will be registered next.
    pub(crate) fn next_place(&self) -> Place {
        self.next
    }

    /// The place of the row of exactly this program, version and netid.
    pub(crate) fn place(&self, program: Program, version: Version, netid: Netid) -> Option<Place> {
        self.exact.get(&(program, version, netid)).copied()
    }

    /// Notes what has been found out about a row's service.
    pub(crate) fn set_liveness(&mut self, place: Place, liveness: Liveness, missed: bool) {
        let Some(entry) = self.entries.get_mut(&place) else { return };
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
        self.entries.get(self.exact.get(&(program, version, netid))?)
    }

    /// The exact row, or else the one of this program and netid that was registered last.
    #[inline]
    pub(crate) fn any_version(&self, program: Program, version: Version, netid: Netid) -> Option<&Entry> {
        self.exact(program, version, netid).or_else(|| self.last_of(program, netid))
    }

    fn last_of(&self, program: Program, netid: Netid) -> Option<&Entry> {
        let all = (program, netid, Place::MIN)..=(program, netid, Place::MAX);
        let (_, _, place) = self.by_transport.range(all).next_back()?;
        self.entries.get(place)
    }

    /// Every version of a program on a netid, in the order of registration.
    pub(crate) fn versions(&self, program: Program, netid: Netid) -> impl Iterator<Item = Version> {
        let all = (program, netid, Place::MIN)..=(program, netid, Place::MAX);
        let entries = self.by_transport.range(all).filter_map(|(_, _, place)| self.entries.get(place));
        entries.map(|entry| entry.row.version)
    }

    /// Whether the program has any row.
    pub(crate) fn has(&self, program: Program) -> bool {
        let from = Included((program, Version(u32::MIN), Netid::UDP));
        let next = program.0.checked_add(1).map(|next| (Program(next), Version(u32::MIN), Netid::UDP));
        let until = next.map_or(core::ops::Bound::Unbounded, Excluded);
        self.exact.range((from, until)).next().is_some()
    }

    /// The rows of a program and version on every netid, in the order of registration.
    pub(crate) fn on_all_netids(&self, program: Program, version: Version) -> Vec<&Entry> {
        let from = Included((program, version, Netid::UDP));
        let next = version.0.checked_add(1).map(|next| (program, Version(next), Netid::UDP));
        let next = next.or_else(|| Some((Program(program.0.checked_add(1)?), Version(0), Netid::UDP)));
        let until = next.map_or(core::ops::Bound::Unbounded, Excluded);
        let mut places: Vec<Place> = self.exact.range((from, until)).map(|(_, place)| *place).collect();
        places.sort_unstable();
        places.iter().filter_map(|place| self.entries.get(place)).collect()
    }

    /// Adds a row at the end. One of the same program, version and netid goes, and is returned.
    pub(crate) fn insert(&mut self, row: Row, family: Family) -> Option<Row> {
        let replaced = self.remove(row.program, row.version, row.netid);
        let place = self.next;
        self.next = self.next.saturating_add(1);
        self.exact.insert((row.program, row.version, row.netid), place);
        self.by_transport.insert((row.program, row.netid, place));
        let count = self.owned.entry(row.owner).or_default();
        *count = count.saturating_add(1);
        self.entries.insert(place, Entry::new(row, family));
        self.lists = Lists::default();
        replaced
    }

    /// Removes the row of exactly this program, version and netid, and returns it.
    pub(crate) fn remove(&mut self, program: Program, version: Version, netid: Netid) -> Option<Row> {
        let place = self.exact.remove(&(program, version, netid))?;
        self.by_transport.remove(&(program, netid, place));
        let Entry { row, liveness, .. } = self.entries.remove(&place)?;
        self.dead = self.dead.saturating_sub(usize::from(liveness.is_dead()));
        if let Some(count) = self.owned.get_mut(&row.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.owned.remove(&row.owner);
            }
        }
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
