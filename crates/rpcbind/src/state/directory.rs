//! The state directory, by a descriptor that was opened before privileges were dropped.
//! Only files that nobody else can have put there or can change are read: regular, one link, ours or root's, and
//! writable by nobody else; never through a symbolic link. Files are replaced whole or not at all.

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::File;
use std::io::{self, Read, Take, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// An open state directory.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
    /// Uids whose files are read besides root's and our own.
    trusted: Vec<u32>,
    /// Whom the files that are written belong to, when not to us.
    owner: Option<(Uid, Gid)>,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Neither a regular file nor absent.
    #[error("not a regular file")]
    Kind,
    /// Somebody holds another name of it.
    #[error("has {0} links")]
    Links(u64),
    /// Somebody else's.
    #[error("owned by uid {0}")]
    Owner(u32),
    /// Others may write to it.
    #[error("writable by others (mode {0:o})")]
    Mode(u32),
    /// Longer than anything we write.
    #[error("{len} bytes, over the limit of {max}")]
    Size {
        /// Its length in bytes.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The system said so.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Directory {
    /// Takes an open directory.
    #[must_use]
    pub fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor, trusted: Vec::new(), owner: None }
    }

    /// Opens a directory for root's use by hand: what these uids own is read too, and what is written belongs to the
    /// directory's owner, as the daemon that uses it expects.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path, trusted: Vec<u32>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(CWD, path, flags, Mode::empty())?;
        let about = fstat(&descriptor)?;
        let others = about.st_uid != geteuid().as_raw() && geteuid().is_root();
        let owner = others.then(|| (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid)));
        Ok(Self { descriptor, trusted, owner })
    }

    /// The whole file; `None` when there is none.
    ///
    /// # Errors
    /// [`Unfit`]: the file is left as it is.
    pub fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, Unfit> {
        let Some(mut file) = self.open_to_read(name, max)? else { return Ok(None) };
        let len = file.get_ref().metadata()?.len().min(max);
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The file from its beginning, of which no more than `max` bytes come; `None` when there is none.
    ///
    /// # Errors
    /// [`Unfit`]: the file is left as it is.
    pub fn open_to_read(&self, name: &str, max: u64) -> Result<Option<Take<File>>, Unfit> {
        // Without blocking: what is there may be a fifo.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(Unfit::Kind),
            Err(error) => return Err(Unfit::System(error.into())),
        };
        let about = fstat(&file).map_err(io::Error::from)?;
        let links = about.st_nlink;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return Err(Unfit::Kind);
        }
        if links != 1 {
            return Err(Unfit::Links(links));
        }
        let ours = about.st_uid == 0 || about.st_uid == geteuid().as_raw();
        if !ours && !self.trusted.contains(&about.st_uid) {
            return Err(Unfit::Owner(about.st_uid));
        }
        if about.st_mode & 0o022 != 0 {
            return Err(Unfit::Mode(about.st_mode & 0o777));
        }
        let len = u64::try_from(about.st_size).unwrap_or(u64::MAX);
        if len > max {
            return Err(Unfit::Size { len, max });
        }
        Ok(Some(File::from(file).take(max)))
    }

    /// When a file was last written; `None` when that cannot be had.
    #[must_use]
    pub fn written_at(&self, name: &str) -> Option<SystemTime> {
        let about = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let since_1970 = Duration::from_secs(u64::try_from(about.st_mtime).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since_1970)
    }

    /// Writes a file under another name, makes it durable, and gives it its name; returns it open at its end.
    ///
    /// # Errors
    /// The system's; the file of that name is then what it was.
    pub fn replace(&self, while_written: &str, name: &str, bytes: &[u8]) -> io::Result<File> {
        let file = self.write(while_written, bytes)?;
        self.rename(while_written, name)?;
        self.sync()?;
        Ok(file)
    }

    /// Writes a new file, mode 0600, and makes its contents durable; returns it open at its end.
    ///
    /// # Errors
    /// The system's; there is no file of that name then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let created = openat(&self.descriptor, name, flags, mode).or_else(|error| {
            if error != Errno::EXIST {
                return Err(error);
            }
            // Left by a crash, or put there by somebody: it is not written to, it goes.
            unlinkat(&self.descriptor, name, AtFlags::empty())?;
            openat(&self.descriptor, name, flags, mode)
        })?;
        let mut file = File::from(created);
        let given = match self.owner {
            Some((uid, gid)) => fchown(&file, Some(uid), Some(gid)).map_err(io::Error::from),
            None => Ok(()),
        };
        let written = given.and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What could not be written is of no use; when it cannot be removed either, the next attempt will.
            let _ = unlinkat(&self.descriptor, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file)
    }

    /// Gives a file that was written its name, in the place of the one that has it.
    ///
    /// # Errors
    /// The system's; the new file is gone then, the old one is what it was.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&self.descriptor, from, &self.descriptor, to).map_err(|error| {
            // As above.
            let _ = unlinkat(&self.descriptor, from, AtFlags::empty());
            error.into()
        })
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names durable.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }
}
