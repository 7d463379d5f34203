//! What the table begins with when several files say something about it: our journal, the two files of the C daemon,
//! and what a running daemon has answered. It decides whom to believe; whether a row may be there is decided by the
//! service.

use std::collections::HashMap;

use oncrpc::{Program, Version};
use rpcbind_core::caller::Namespace;

use super::format::{FileDigests, KeptRow};
use super::reading::Restored;
use crate::warmstart::{self, WarmRow, WarmStart};

/// What the table begins with.
#[derive(Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The rows, in the order of registration.
    pub rows: Vec<KeptRow>,
    /// Where they are from.
    pub origin: Origin,
    /// The digests of the C daemon's files as they are now. To be recorded in the step that makes the rows durable.
    pub files: FileDigests,
}

/// Where the rows are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The journal; the files say nothing that it does not know.
    Journal,
    /// The journal, because the C daemon has consumed the files and left none: it was killed. Services may have come
    /// and gone since.
    OldJournal,
    /// The journal that the service manager has held; the state directory has none that is as new.
    Stored,
    /// The files, which the C daemon has written since the journal was.
    Files,
    /// The answer of a daemon that has ended without writing the files.
    Adopted,
}

/// What a daemon answered before it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its rows.
    pub rows: Vec<WarmRow>,
    /// The digests of the C daemon's files while it ran.
    pub files: FileDigests,
}

impl Origin {
    /// For people: of what or whom.
    #[must_use]
    pub const fn of(self) -> &'static str {
        match self {
            Self::Journal => "the last run",
            Self::OldJournal => "the last run but one",
            Self::Stored => "the last run, from the service manager's descriptor store,",
            Self::Files => "the last rpcbind, from its files,",
            Self::Adopted => "the last rpcbind, from its answer,",
        }
    }
}

impl Beginning {
    /// Of the journal in the state directory and the one that the service manager has held, the one that more changes
    /// have led to; the one in the directory when they are the same. Answers it and whether it is the manager's.
    /// `files` are there now: when neither knows of any, then no run has seen them, and they are older than the
    /// manager's.
    #[must_use]
    pub fn newer(disk: Restored, memory: Restored, files: &WarmStart) -> (Restored, bool) {
        if memory.sequence <= disk.sequence {
            return (disk, false);
        }
        let recorded = memory.files.or(disk.files).unwrap_or_else(|| warmstart::digests(&files.contents));
        (Restored { files: Some(recorded), ..memory }, true)
    }

    /// Decides. Files that differ from the recorded ones were written after the journal and replace its rows; both
    /// absent after an end in order were consumed; otherwise the journal is the truth.
    #[must_use]
    pub fn choose(journal: Restored, files: WarmStart, adopted: Option<Adopted>, home: Namespace) -> Self {
        let digests = warmstart::digests(&files.contents);
        let recorded = journal.files.unwrap_or_default();
        let differ = digests.iter().zip(&recorded).any(|(now, then)| now.is_some() && now != then);
        let (rows, origin) = match adopted {
            Some(adopted) if adopted.files == digests => {
                (placed(adopted.rows, &journal.rows, home), Origin::Adopted)
            }
            Some(_) => (placed(files.rows, &journal.rows, home), Origin::Files),
            None if differ => (placed(files.rows, &journal.rows, home), Origin::Files),
            None if journal.closed && digests == [None, None] => (journal.rows, Origin::OldJournal),
            None => (journal.rows, Origin::Journal),
        };
        Self { rows, origin, files: digests }
    }
}

/// Rows of a source that does not know namespaces: home's, but for those that the journal knows to be from elsewhere.
pub(crate) fn placed(rows: Vec<WarmRow>, known: &[KeptRow], home: Namespace) -> Vec<KeptRow> {
    let key = |row: &KeptRow| (row.program, row.version, row.netid.clone());
    let elsewhere: HashMap<(Program, Version, String), &KeptRow> =
        known.iter().filter(|row| row.namespace != home).map(|row| (key(row), row)).collect();
    let placed = rows.into_iter().map(|row| {
        let WarmRow { program, version, netid, address, owner } = row;
        let mut row = KeptRow { program, version, netid, address, owner, namespace: home };
        if let Some(known) = elsewhere.get(&key(&row))
            && known.address == row.address
            && known.owner == row.owner
        {
            row.namespace = known.namespace;
        }
        row
    });
    placed.collect()
}

#[cfg(test)]
mod tests;
