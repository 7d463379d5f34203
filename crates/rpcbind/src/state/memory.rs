//! The journal a second time, in two memory files that the service manager holds between two runs (memfd_create(2)):
//! one has the table and every change since, the next table is written to the other, and whichever is whole and newer
//! counts. They are made and handed over once, so that no change waits for the manager.
//! What comes back may be anything: it is read only when it is what we make, and never mapped.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{
    FileType, MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fstat,
    memfd_create,
};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::geteuid;

use super::format::{Damage, Life};
use super::medium::{MAX_BYTES, Medium};
use super::reading::{self, Fault, Restored};

/// Its name in `/proc`, for people.
const NAME: &str = "rpcbind-table";

/// The two files: the one that counts, and the one for the next table.
#[derive(Debug)]
pub struct Memory {
    table: File,
    next: File,
}

/// Why a descriptor is not one of our memory files.
#[derive(Debug, thiserror::Error)]
pub enum Foreign {
    /// Something else altogether.
    #[error("not a memory file")]
    Kind,
    /// Somebody could stop us from writing to it, or has.
    #[error("sealed in another way than ours")]
    Seals,
    /// It cannot be written to by this descriptor.
    #[error("not open for reading and writing")]
    Access,
    /// Somebody else made it.
    #[error("made by uid {0}")]
    Owner(u32),
    /// Longer than anything we write.
    #[error("{0} bytes, over the limit of {MAX_BYTES}")]
    Size(u64),
    /// The system said so.
    #[error("{0}")]
    System(#[from] Errno),
}

/// Makes an empty memory file. It is sealed against being executed and against further seals: nobody who gets hold of
/// it can stop its being written to. Nothing else is sealed, since to be written is what it is for.
///
/// # Errors
/// The system's.
fn create() -> io::Result<File> {
    match memfd_create(NAME, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Ok(file) => {
            fcntl_add_seals(&file, SealFlags::SEAL)?;
            Ok(file.into())
        }
        // Before Linux 6.3. Without leave to seal, a file is sealed against seals from the beginning.
        Err(Errno::INVAL) => Ok(memfd_create(NAME, MemfdFlags::CLOEXEC)?.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes a descriptor for one of our memory files, if it is made as ours are. Nothing is read yet.
///
/// # Errors
/// [`Foreign`]; the descriptor is closed.
pub fn recognise(descriptor: OwnedFd) -> Result<File, Foreign> {
    let about = fstat(&descriptor)?;
    // Other kinds of file have no seals.
    let seals = fcntl_get_seals(&descriptor).map_err(|_| Foreign::Kind)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(Foreign::Kind);
    }
    let unwritable = SealFlags::WRITE | SealFlags::FUTURE_WRITE | SealFlags::GROW | SealFlags::SHRINK;
    if !seals.contains(SealFlags::SEAL) || seals.intersects(unwritable) {
        return Err(Foreign::Seals);
    }
    if fcntl_getfl(&descriptor)? & OFlags::RWMODE != OFlags::RDWR {
        return Err(Foreign::Access);
    }
    if about.st_uid != 0 && about.st_uid != geteuid().as_raw() {
        return Err(Foreign::Owner(about.st_uid));
    }
    let len = u64::try_from(about.st_size).unwrap_or(u64::MAX);
    if len > MAX_BYTES {
        return Err(Foreign::Size(len));
    }
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor.into())
}

impl Memory {
    /// Two files: those that came back, others made new.
    ///
    /// # Errors
    /// The system's.
    pub fn new(came_back: Vec<File>) -> io::Result<Self> {
        let mut files = came_back.into_iter();
        let mut file = || files.next().map_or_else(create, Ok);
        Ok(Self { table: file()?, next: file()? })
    }

    /// Both files, to be handed over.
    #[must_use]
    pub fn files(&self) -> [&File; 2] {
        [&self.table, &self.next]
    }
}

impl Medium for Memory {
    fn restore(&mut self, life: Life) -> Restored {
        let (one, other) = (read(&mut self.table, life), read(&mut self.next, life));
        if other.sequence > one.sequence {
            std::mem::swap(&mut self.table, &mut self.next);
            chosen(other, one)
        } else {
            chosen(one, other)
        }
    }

    fn replace(&mut self, journal: &[u8]) -> io::Result<()> {
        self.next.set_len(0)?;
        self.next.rewind()?;
        self.next.write_all(journal)?;
        std::mem::swap(&mut self.table, &mut self.next);
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.table.write_all(records)
    }
}

/// What a file holds, but for one that is empty, or cannot be read, which says nothing.
fn read(file: &mut File, life: Life) -> Restored {
    match file.metadata().and_then(|about| file.rewind().map(|()| about.len())) {
        Ok(0) | Err(_) => Restored::default(),
        Ok(_) => reading::read(BufReader::new(file.take(MAX_BYTES)), life),
    }
}

/// The newer of two tables, if it is whole. What is wrong with the other is said, too, unless it is only cut, as the
/// next table is when the process ends while it is written.
fn chosen(newer: Restored, older: Restored) -> Restored {
    let is_news = |fault: &Fault| !matches!(fault, Fault::Damaged(Damage::Cut(_)));
    let faults = newer.faults.into_iter().chain(older.faults.into_iter().filter(is_news)).collect();
    match newer.sequence {
        Some(_) => Restored { faults, ..newer },
        None => Restored { faults, ..Restored::default() },
    }
}

#[cfg(test)]
mod tests;
