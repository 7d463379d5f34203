//! Reading a journal, wherever it is kept: the table that its records lead to, up to the first damage.
//! It never believes the table of another boot or of another network namespace, and takes no more rows than it may.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use oncrpc::{Program, Version};

use super::directory::Unfit;
use super::format::{self, Damage, FileDigests, KeptRow, Life, Record};

/// The most rows that are taken from one. A full table has a quarter of it.
const MAX_ROWS: usize = 65_536;

/// What a journal held when it was opened.
#[derive(Debug, Default)]
pub struct Restored {
    /// The rows, in the order of registration.
    pub rows: Vec<KeptRow>,
    /// The digests of the C daemon's files when they were last imported or written, also those that another life
    /// recorded: files that have them are that life's.
    pub files: Option<FileDigests>,
    /// The daemon ended in order.
    pub closed: bool,
    /// How many changes led to this table, counted over all runs; `None` for a table that is not whole, or of another
    /// life. Of two tables the one with more is newer.
    pub sequence: Option<u64>,
    /// What could not be believed or read.
    pub faults: Vec<Fault>,
}

impl Restored {
    /// The count that a run goes on from: that it begins is counted, too. Never below the microseconds since boot, so
    /// that it is also newer than every table of this life that could not be seen; there is less than one change in
    /// each.
    #[must_use]
    pub fn next_sequence(&self, since_boot: Duration) -> u64 {
        let micros = u64::try_from(since_boot.as_micros()).unwrap_or(u64::MAX);
        self.sequence.unwrap_or(0).saturating_add(1).max(micros)
    }
}

/// Why a journal, or the end of one, was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is not one that we have written.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// The file is damaged: what stands before is taken.
    #[error("{0}")]
    Damaged(#[from] Damage),
    /// The table is longer than any of ours; so many rows at its end are not taken.
    #[error("more than {MAX_ROWS} rows, {0} are not taken")]
    Rows(usize),
    /// The table of another boot or of another network namespace.
    #[error("written under another boot or in another network namespace")]
    OtherLife,
}

/// Reads a journal, and believes it if it is of this life.
pub fn read(source: impl Read, life: Life) -> Restored {
    let mut restored = Restored::default();
    let mut table = Table::default();
    let mut whose = None;
    let read = format::read(source, |record| {
        if let Some(sequence) = &mut restored.sequence {
            *sequence = sequence.saturating_add(1);
        }
        restored.closed = record == Record::Closed;
        match record {
            Record::Life(life) => whose = Some(life),
            Record::Change { removed, added } if whose == Some(life) => table.apply(removed, added),
            Record::Files(files) => restored.files = Some(files),
            Record::Whole(sequence) => restored.sequence = Some(sequence),
            Record::Change { .. } | Record::Closed => {}
        }
    });
    if let Err(damage) = read {
        restored.faults.push(damage.into());
        restored.closed = false;
    }
    if table.refused > 0 {
        restored.faults.push(Fault::Rows(table.refused));
    }
    if whose == Some(life) {
        restored.rows = table.into_rows();
        return restored;
    }
    if whose.is_some() {
        restored.faults.push(Fault::OtherLife);
    }
    Restored { faults: restored.faults, files: restored.files, ..Restored::default() }
}

/// The table that a journal's changes lead to.
#[derive(Default)]
struct Table {
    rows: BTreeMap<u64, KeptRow>,
    places: BTreeMap<(Program, Version, String), u64>,
    next: u64,
    refused: usize,
}

impl Table {
    fn apply(&mut self, removed: Vec<(Program, Version, String)>, added: Option<KeptRow>) {
        for key in removed {
            if let Some(place) = self.places.remove(&key) {
                self.rows.remove(&place);
            }
        }
        if let Some(row) = added {
            if self.rows.len() >= MAX_ROWS {
                self.refused = self.refused.saturating_add(1);
                return;
            }
            let key = (row.program, row.version, row.netid.clone());
            if let Some(place) = self.places.insert(key, self.next) {
                self.rows.remove(&place);
            }
            self.rows.insert(self.next, row);
            self.next = self.next.saturating_add(1);
        }
    }

    fn into_rows(self) -> Vec<KeptRow> {
        self.rows.into_values().collect()
    }
}
