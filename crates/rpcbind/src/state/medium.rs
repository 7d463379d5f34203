//! Where a journal is kept: a file in the state directory.
//! Whatever happens in the middle of writing, what was there before is still there, or all of what is new.

use std::fs::File;
use std::io::{self, BufReader, Write};

use rustix::io::Errno;

use super::directory::Directory;
use super::format::Life;
use super::reading::{self, Restored};

/// The journal's name in the state directory, and that of its successor while it is written.
const NAME: &str = "journal";
const NEXT: &str = "journal.new";
/// The most bytes that are read at start. A full table takes a quarter of it.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// Where a journal is kept.
pub trait Medium {
    /// What the last run left.
    fn restore(&mut self, life: Life) -> Restored;

    /// Puts a whole journal in the place of the one before. When it returns it outlives the process.
    ///
    /// # Errors
    /// The system's; the journal before is what it was.
    fn replace(&mut self, journal: &[u8]) -> io::Result<()>;

    /// Adds records to the journal. When it returns they outlive the process.
    ///
    /// # Errors
    /// The system's; what the journal's end is now is not known.
    fn append(&mut self, records: &[u8]) -> io::Result<()>;
}

/// A file in the state directory, which is replaced by renaming.
#[derive(Debug)]
pub struct OnDisk {
    pub(super) directory: Directory,
    file: Option<File>,
}

impl OnDisk {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, file: None }
    }
}

impl Medium for OnDisk {
    fn restore(&mut self, life: Life) -> Restored {
        match self.directory.open_to_read(NAME, MAX_BYTES) {
            Ok(Some(file)) => reading::read(BufReader::new(file), life),
            Ok(None) => Restored::default(),
            Err(unfit) => Restored { faults: vec![unfit.into()], ..Restored::default() },
        }
    }

    fn replace(&mut self, journal: &[u8]) -> io::Result<()> {
        self.file = Some(self.directory.replace(NEXT, NAME, journal)?);
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        // After an error its end is not known: nothing is added to it any more.
        let mut file = self.file.take().ok_or(Errno::BADF)?;
        file.write_all(records)?;
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }
}
