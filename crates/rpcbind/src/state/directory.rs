//! The state directory, by a descriptor that was opened before privileges were dropped.
//! Only files that nobody else can have put there or can change are read: regular, one link, ours or root's, and
//! writable by nobody else; never through a symbolic link. Files are replaced whole or not at all.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::File;
use std::io::{self, Read, Write};

/// An open state directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

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
        Self(descriptor)
    }

    /// The whole file; `None` when there is none.
    ///
    /// # Errors
    /// [`Unfit`]: the file is left as it is.
    pub fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, Unfit> {
        // Without blocking: what is there may be a fifo.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
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
        if about.st_uid != 0 && about.st_uid != geteuid().as_raw() {
            return Err(Unfit::Owner(about.st_uid));
        }
        if about.st_mode & 0o022 != 0 {
            return Err(Unfit::Mode(about.st_mode & 0o777));
        }
        let len = u64::try_from(about.st_size).unwrap_or(u64::MAX);
        if len > max {
            return Err(Unfit::Size { len, max });
        }
        let mut bytes = Vec::new();
        File::from(file).take(max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file under another name, makes it durable, and gives it its name; returns it open at its end.
    ///
    /// # Errors
    /// The system's; the file of that name is then what it was.
    pub fn replace(&self, while_written: &str, name: &str, bytes: &[u8]) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let created = openat(&self.0, while_written, flags, mode).or_else(|error| {
            if error != Errno::EXIST {
                return Err(error);
            }
            // Left by a crash, or put there by somebody: it is not written to, it goes.
            unlinkat(&self.0, while_written, AtFlags::empty())?;
            openat(&self.0, while_written, flags, mode)
        })?;
        let mut file = File::from(created);
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        let named = written.and_then(|()| Ok(renameat(&self.0, while_written, &self.0, name)?));
        if let Err(error) = named {
            // What could not be written is of no use; when it cannot be removed either, the next attempt will.
            let _ = unlinkat(&self.0, while_written, AtFlags::empty());
            return Err(error);
        }
        rustix::fs::fsync(&self.0)?;
        Ok(file)
    }
}
