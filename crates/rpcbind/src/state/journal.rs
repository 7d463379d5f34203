//! The journal: every accepted change, on disk before its caller hears TRUE. One write and one fsync a turn of the
//! loop, whatever the size of the table; rewritten when it has grown to several times what it has to say.
//! It never believes a file that somebody else could have put there, and never stops the service.

use super::directory::{Directory, Unfit};
use super::format::{self, Damage, FileDigests, KeptRow, Life, Record};
use oncrpc::bind::Netids;
use oncrpc::{Program, Version};
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::Row;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::time::Duration;

/// The journal's name in the state directory, and that of its successor while it is written.
const NAME: &str = "journal";
const NEXT: &str = "journal.new";
/// The most bytes that are read at start. A full table takes a quarter of it.
const MAX_BYTES: u64 = 16 << 20;
/// The most rows that are taken from one. A full table has a quarter of it.
const MAX_ROWS: usize = 65_536;
/// A journal shorter than this is not worth rewriting.
const REWRITE_FROM: u64 = 256 << 10;
/// How long a degraded journal waits before it tries again.
const RETRY: Duration = Duration::from_millis(500);

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
    /// What could not be believed or read.
    pub faults: Vec<Fault>,
}

/// Why a journal, or the end of one, was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is not one that we have written.
    #[error("{NAME}: {0}")]
    Unfit(#[from] Unfit),
    /// The file is damaged: what stands before is taken.
    #[error("{NAME}: {0}")]
    Damaged(#[from] Damage),
    /// The table is longer than any of ours; so many rows at its end are not taken.
    #[error("{NAME}: more than {MAX_ROWS} rows, {0} are not taken")]
    Rows(usize),
    /// The table of another boot or of another network namespace.
    #[error("{NAME}: written under another boot or in another network namespace")]
    OtherLife,
}

/// Whether changes are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Every change so far is on disk.
    Durable,
    /// Changes since some moment are in memory only, for this reason.
    Degraded(String),
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    directory: Directory,
    life: Life,
    files: FileDigests,
    file: Option<File>,
    pending: Vec<u8>,
    scratch: Box<[u8]>,
    /// Bytes in the file now, and right after it was last rewritten.
    len: u64,
    rewritten_len: u64,
    health: Health,
    retry_at: Duration,
}

impl Journal {
    /// Reads what the last life left. Nothing is written yet: that is for [`Journal::begin`], when the rows have been
    /// judged.
    #[must_use]
    pub fn open(directory: Directory, life: Life) -> (Self, Restored) {
        let restored = read(&directory, life);
        let journal = Self {
            directory,
            life,
            files: restored.files.unwrap_or_default(),
            file: None,
            pending: Vec::new(),
            scratch: format::scratch(),
            len: 0,
            rewritten_len: 0,
            health: Health::Degraded("not begun".to_owned()),
            retry_at: Duration::ZERO,
        };
        (journal, restored)
    }

    /// Writes the table as it is now, which every later change follows.
    pub fn begin<'a>(&mut self, now: Duration, rows: impl Iterator<Item = &'a Row>, netids: &Netids) {
        self.pending.clear();
        match self.rewrite(rows, netids) {
            Ok(()) => self.health = Health::Durable,
            Err(error) => self.degrade(now, &error),
        }
    }

    /// The state directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether changes are durable.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// When [`Journal::sync`] has to be called although nothing has changed; `None` while all is well.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        (self.health != Health::Durable).then_some(self.retry_at)
    }

    /// Takes a change. It is durable after the next [`Journal::sync`].
    pub fn append(&mut self, change: &Change, netids: &Netids) {
        if change.removed.is_empty() && change.added.is_none() {
            return;
        }
        let key = |row: &Row| (row.program, row.version, netids.name(row.netid).to_owned());
        let removed = change.removed.iter().map(key).collect();
        let added = change.added.as_ref().map(|row| kept(row, netids));
        self.record(&Record::Change { removed, added });
    }

    /// Notes that the C daemon's files were imported or written with these digests, in the same step as the changes
    /// around it.
    pub fn note_files(&mut self, files: FileDigests) {
        self.files = files;
        self.record(&Record::Files(files));
    }

    /// Makes everything appended so far durable. While that is not possible the table stays in memory, and is written
    /// whole as soon as it is; `rows` is the table.
    pub fn sync<'a, R: Iterator<Item = &'a Row>>(
        &mut self,
        now: Duration,
        rows: impl Fn() -> R,
        netids: &Netids,
    ) {
        if self.health != Health::Durable {
            if now >= self.retry_at {
                self.begin(now, rows(), netids);
            }
            return;
        }
        if self.pending.is_empty() {
            return;
        }
        let written = self.write_pending();
        let grown = self.len > REWRITE_FROM && self.len > self.rewritten_len.saturating_mul(4);
        let result = match written {
            Ok(()) if grown => self.rewrite(rows(), netids),
            result => result,
        };
        if let Err(error) = result {
            self.degrade(now, &error);
        }
    }

    /// Notes the end in order.
    pub fn close(&mut self) -> io::Result<()> {
        self.record(&Record::Closed);
        self.write_pending()
    }

    /// While degraded there is nothing to append to, and the whole table is written later.
    fn record(&mut self, record: &Record) {
        if self.health == Health::Durable {
            format::append(record, &mut self.scratch, &mut self.pending);
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(Errno::BADF)?;
        file.write_all(&self.pending)?;
        file.sync_data()?;
        self.len = self.len.saturating_add(u64::try_from(self.pending.len()).unwrap_or(u64::MAX));
        self.pending.clear();
        Ok(())
    }

    /// What the file holds now is not known: only a new one can be trusted.
    fn degrade(&mut self, now: Duration, error: &io::Error) {
        self.health = Health::Degraded(error.to_string());
        self.retry_at = now.saturating_add(RETRY);
        self.file = None;
        self.pending.clear();
    }

    fn rewrite<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, netids: &Netids) -> io::Result<()> {
        let mut bytes = format::MAGIC.to_vec();
        let mut put = |record: &Record| format::append(record, &mut self.scratch, &mut bytes);
        put(&Record::Life(self.life));
        put(&Record::Files(self.files));
        for row in rows {
            put(&Record::Change { removed: Vec::new(), added: Some(kept(row, netids)) });
        }
        let file = self.directory.replace(NEXT, NAME, &bytes)?;
        self.file = Some(file);
        self.pending.clear();
        self.len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.rewritten_len = self.len;
        Ok(())
    }
}

fn kept(row: &Row, netids: &Netids) -> KeptRow {
    KeptRow {
        program: row.program,
        version: row.version,
        netid: netids.name(row.netid).to_owned(),
        address: row.address.clone().into(),
        owner: row.owner,
        namespace: row.namespace,
    }
}

fn read(directory: &Directory, life: Life) -> Restored {
    let mut restored = Restored::default();
    let file = match directory.open_to_read(NAME, MAX_BYTES) {
        Ok(Some(file)) => BufReader::new(file),
        Ok(None) => return restored,
        Err(unfit) => {
            restored.faults.push(unfit.into());
            return restored;
        }
    };
    let mut table = Table::default();
    let mut whose = None;
    let read = format::read(file, |record| match record {
        Record::Life(life) => whose = Some(life),
        Record::Change { removed, added } => {
            restored.closed = false;
            if whose == Some(life) {
                table.apply(removed, added);
            }
        }
        Record::Files(files) => {
            restored.closed = false;
            restored.files = Some(files);
        }
        Record::Closed => restored.closed = true,
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
