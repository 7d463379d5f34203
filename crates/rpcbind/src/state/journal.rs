//! The journal: every accepted change, in its medium (a file, or memory files) before its caller hears TRUE. One write
//! and one fsync for all that was changed since the last ones, whatever the size of the table; rewritten when it has
//! grown to several times what it has to say.
//! It never believes a file that somebody else could have put there, and never stops the service.

use super::directory::Directory;
use super::format::{self, FileDigests, KeptRow, Life, Record};
use super::medium::{MAX_BYTES, Medium, OnDisk};
use super::reading::Restored;
use oncrpc::bind::Netids;
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::Row;
use std::io;
use std::time::Duration;

/// A journal shorter than this is not worth rewriting.
const REWRITE_FROM: u64 = 256 << 10;
/// How long a degraded journal waits before it tries again.
const RETRY: Duration = Duration::from_millis(500);
/// A journal longer than this is rewritten whatever the size of its table, so that it is never too long to be read. A
/// full table takes half of it.
const REWRITE_AT: u64 = MAX_BYTES / 2;

/// Whether changes are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Every change so far is in the medium.
    Durable,
    /// Changes since some moment are only in this process, for this reason.
    Degraded(String),
}

/// An open journal.
#[derive(Debug)]
pub struct Journal<M = OnDisk> {
    medium: M,
    life: Life,
    /// What the C daemon's files held; `None` while no run has seen them.
    files: Option<FileDigests>,
    /// Changes that led to this table, counted over all runs.
    sequence: u64,
    pending: Vec<u8>,
    scratch: format::Scratch,
    /// Bytes in the file now, and right after it was last rewritten.
    len: u64,
    rewritten_len: u64,
    health: Health,
    retry_at: Duration,
}

impl Journal {
    /// Reads what the last life left in a directory. Nothing is written yet: that is for [`Journal::begin`], when the
    /// rows have been judged.
    #[must_use]
    pub fn open(directory: Directory, life: Life) -> (Self, Restored) {
        Self::restore(OnDisk::new(directory), life)
    }

    /// The state directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.medium.directory
    }
}

impl<M: Medium> Journal<M> {
    /// Reads what the last life left. Nothing is written yet.
    #[must_use]
    pub fn restore(mut medium: M, life: Life) -> (Self, Restored) {
        let restored = medium.restore(life);
        let journal = Self {
            medium,
            life,
            files: restored.files,
            sequence: restored.sequence.unwrap_or(0),
            pending: Vec::new(),
            scratch: format::Scratch::default(),
            len: 0,
            rewritten_len: 0,
            health: Health::Degraded("not begun".to_owned()),
            retry_at: Duration::ZERO,
        };
        (journal, restored)
    }

    /// Counts on from here: so many changes have led to the table that it begins with.
    pub fn count_from(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Writes the table as it is now, which every later change follows.
    pub fn begin<'a>(&mut self, now: Duration, rows: impl Iterator<Item = &'a Row>, netids: &Netids) {
        self.pending.clear();
        match self.rewrite(rows, netids) {
            Ok(()) => self.health = Health::Durable,
            Err(error) => self.degrade(now, &error),
        }
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
        self.files = Some(files);
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
        let grown = self.len > self.rewritten_len.saturating_mul(4).clamp(REWRITE_FROM, REWRITE_AT);
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
        self.sequence = self.sequence.saturating_add(1);
        if self.health == Health::Durable {
            format::append(record, &mut self.scratch, &mut self.pending);
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.medium.append(&self.pending)?;
        self.len = self.len.saturating_add(u64::try_from(self.pending.len()).unwrap_or(u64::MAX));
        self.pending.clear();
        Ok(())
    }

    /// What the file holds now is not known: only a new one can be trusted.
    fn degrade(&mut self, now: Duration, error: &io::Error) {
        self.health = Health::Degraded(error.to_string());
        self.retry_at = now.saturating_add(RETRY);
        self.pending.clear();
    }

    fn rewrite<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, netids: &Netids) -> io::Result<()> {
        let mut bytes = format::MAGIC.to_vec();
        let mut put = |record: &Record| format::append(record, &mut self.scratch, &mut bytes);
        put(&Record::Life(self.life));
        if let Some(files) = self.files {
            put(&Record::Files(files));
        }
        for row in rows {
            put(&Record::Change { removed: Vec::new(), added: Some(kept(row, netids)) });
        }
        put(&Record::Whole(self.sequence));
        self.medium.replace(&bytes)?;
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
