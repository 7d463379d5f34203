//! What GETSTAT tells (RFC 1833 section 2.1, `rpcb_stat_byvers`): counters that only grow, lists that are bounded.
//! Questions about unregistered programs, and those beyond a full list, share one row.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use oncrpc::bind::stat::{self, AddressCount, Counters, RemoteCount};
use oncrpc::bind::{Netid, Netids};
use oncrpc::xdr::{Error, Writer};
use oncrpc::{Procedure, Program, Version};

/// The most rows in all lists together, the shared ones apart: as many as always fit into a reply.
pub(crate) const MAX_ROWS: usize = 128;
/// The netid of the shared row, whose program and version are 0.
pub(crate) const SHARED_NETID: &str = "other";

/// The statistics of versions 2, 3 and 4.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    versions: [VersionStatistics; stat::VERSIONS],
    /// Rows in all lists.
    rows: usize,
}

#[derive(Debug, Default)]
struct VersionStatistics {
    counters: Counters,
    lookups: Rows<(Program, Version, Netid)>,
    remote: Rows<(Program, Version, Procedure, Netid)>,
}

/// Counts by key, in the order of first appearance.
#[derive(Debug)]
struct Rows<K> {
    index: BTreeMap<K, usize>,
    rows: Vec<(K, Count)>,
    shared: Count,
}

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Self { index: BTreeMap::new(), rows: Vec::new(), shared: Count::default() }
    }
}

/// Successes and failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    success: i32,
    failure: i32,
    indirect: i32,
}

impl Count {
    fn add(&mut self, success: bool, indirect: bool) {
        let counter = if success { &mut self.success } else { &mut self.failure };
        *counter = counter.saturating_add(1);
        self.indirect = self.indirect.saturating_add(i32::from(indirect));
    }

    fn any(&self) -> bool {
        self.success > 0 || self.failure > 0
    }
}

impl<K: Ord + Copy> Rows<K> {
    /// The count of a key; the shared one for `None` and when there is no room for another row. `all` counts rows.
    fn count(&mut self, key: Option<K>, all: &mut usize) -> &mut Count {
        let Some(key) = key else { return &mut self.shared };
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None if *all >= MAX_ROWS => return &mut self.shared,
            None => {
                *all = all.saturating_add(1);
                let index = self.rows.len();
                self.index.insert(key, index);
                self.rows.push((key, Count::default()));
                index
            }
        };
        self.rows.get_mut(index).map_or(&mut self.shared, |(_, count)| count)
    }

    /// The rows, newest first, the shared one last.
    fn newest_first(&self) -> impl Iterator<Item = (Option<K>, Count)> {
        let shared = self.shared.any().then_some((None, self.shared));
        self.rows.iter().rev().map(|(key, count)| (Some(*key), *count)).chain(shared)
    }
}

impl Statistics {
    fn version(&mut self, version: Version) -> Option<&mut VersionStatistics> {
        self.version_and_rows(version).map(|(statistics, _)| statistics)
    }

    /// The statistics of a version, and the number of rows in all lists.
    fn version_and_rows(&mut self, version: Version) -> Option<(&mut VersionStatistics, &mut usize)> {
        let index = usize::try_from(version.0.checked_sub(2)?).ok()?;
        Some((self.versions.get_mut(index)?, &mut self.rows))
    }

    /// A call has arrived. Procedures that the version does not have are not counted.
    pub(crate) fn called(&mut self, version: Version, procedure: Procedure) {
        let highest = match version.0 {
            2 => 5,
            3 => 8,
            _ => 12,
        };
        let Some(statistics) = self.version(version).filter(|_| procedure.0 <= highest) else { return };
        let slot = usize::try_from(procedure.0).ok();
        if let Some(count) = slot.and_then(|slot| statistics.counters.calls.get_mut(slot)) {
            *count = count.saturating_add(1);
        }
    }

    /// SET answered TRUE.
    pub(crate) fn set(&mut self, version: Version) {
        if let Some(statistics) = self.version(version) {
            statistics.counters.set = statistics.counters.set.saturating_add(1);
        }
    }

    /// UNSET answered TRUE.
    pub(crate) fn unset(&mut self, version: Version) {
        if let Some(statistics) = self.version(version) {
            statistics.counters.unset = statistics.counters.unset.saturating_add(1);
        }
    }

    /// A look-up was answered; `key` is `None` when the program is not registered.
    pub(crate) fn looked_up(
        &mut self,
        version: Version,
        key: Option<(Program, Version, Netid)>,
        success: bool,
    ) {
        if let Some((statistics, rows)) = self.version_and_rows(version) {
            statistics.lookups.count(key, rows).add(success, false);
        }
    }

    /// A remote call was asked for; `key` is `None` when the program is not registered.
    pub(crate) fn called_remotely(
        &mut self,
        version: Version,
        key: Option<(Program, Version, Procedure, Netid)>,
        success: bool,
        indirect: bool,
    ) {
        if let Some((statistics, rows)) = self.version_and_rows(version) {
            statistics.remote.count(key, rows).add(success, indirect);
        }
    }

    /// Writes the results of GETSTAT.
    pub(crate) fn encode(&self, netids: &Netids, writer: &mut Writer<'_>) -> Result<(), Error> {
        let name = |netid: Netid| netids.name(netid).as_bytes();
        for version in &self.versions {
            let lookups = version.lookups.newest_first().map(|(key, count)| {
                let (program, version, netid) = key
                    .map_or((Program(0), Version(0), SHARED_NETID.as_bytes()), |(p, v, n)| (p, v, name(n)));
                AddressCount { program, version, success: count.success, failure: count.failure, netid }
            });
            let remote = version.remote.newest_first().map(|(key, count)| {
                let shared = (Program(0), Version(0), Procedure(0), SHARED_NETID.as_bytes());
                let (program, version, procedure, netid) = key
                    .map_or(shared, |(program, version, procedure, netid)| {
                        (program, version, procedure, name(netid))
                    });
                let Count { success, failure, indirect } = count;
                RemoteCount { program, version, procedure, success, failure, indirect, netid }
            });
            stat::encode_version(&version.counters, lookups, remote, writer)?;
        }
        Ok(())
    }
}
