//! Making the state directory the daemon's own while there is still root to do it: created, or taken over from a port
//! mapper's user, and given to the user that the daemon becomes. All by descriptor, never through a symbolic link,
//! and nothing that somebody else may have put there.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, fstatfs, mkdirat, openat,
};
use rustix::io::Errno;

use crate::privilege::User;

/// `TMPFS_MAGIC`, `RAMFS_MAGIC`.
const VOLATILE: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// Entries looked at; a state directory has four.
const ENTRIES: usize = 256;

/// A state directory that is ready for use.
#[derive(Debug)]
pub struct Prepared {
    /// The directory, open.
    pub directory: OwnedFd,
    /// It is gone with the next boot, as the rows in it should be.
    pub volatile: bool,
    /// What is in it and was left as it was, with the reason.
    pub left: Vec<(String, &'static str)>,
}

/// Why there is no state directory. The server goes on without: its state lives in memory then.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The system refused a step.
    #[error("{path}: {step}: {error}", path = .path.display())]
    Step {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        step: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// It belongs to somebody who is no port mapper.
    #[error("{path}: owned by uid {uid}, which is neither ours nor a port mapper's user", path = .path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// It is root's and plainly in other use: everybody may write there, or it holds directories.
    #[error("{path}: no state directory: everybody may write to it, or it holds directories", path = .path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
    },
}

/// Opens the state directory, as root for `user`: creates a missing one (0755, its parent must be there), takes over
/// one whose owner is among `trusted`, and gives it and the regular single-link files in it, of the same owners, to
/// `user`. Without `user` it has to be ours already, and nothing is changed.
///
/// # Errors
/// [`PrepareError`]
pub fn prepare(path: &Path, trusted: &[u32], user: Option<&User>) -> Result<Prepared, PrepareError> {
    let step = |step, errno: Errno| PrepareError::Step { path: path.to_owned(), step, error: errno.into() };
    if user.is_some() {
        match mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(step("create", errno)),
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty()).map_err(|errno| step("open", errno))?;
    let about = fstat(&directory).map_err(|errno| step("stat", errno))?;
    let ours = rustix::process::geteuid().as_raw();
    let acceptable = if user.is_some() { trusted.contains(&about.st_uid) } else { about.st_uid == ours };
    if !acceptable {
        return Err(PrepareError::Owner { path: path.to_owned(), uid: about.st_uid });
    }
    if user.is_some()
        && about.st_uid == 0
        && is_shared(&directory, &about).map_err(|errno| step("read", errno))?
    {
        return Err(PrepareError::Shared { path: path.to_owned() });
    }
    let volatile = fstatfs(&directory).is_ok_and(|about| {
        // The type's width and sign differ between machines.
        u64::try_from(about.f_type).is_ok_and(|kind| VOLATILE.contains(&(kind & 0xffff_ffff)))
    });
    let mut left = Vec::new();
    if let Some(user) = user {
        left = give_files(&directory, trusted, user).map_err(|errno| step("read", errno))?;
        if about.st_mode & 0o022 != 0 {
            fchmod(&directory, Mode::from_raw_mode(0o755)).map_err(|errno| step("change mode", errno))?;
        }
        give(&directory, user).map_err(|errno| step("change owner", errno))?;
    }
    Ok(Prepared { directory, volatile, left })
}

/// A slip in the configuration must not give `/run` or `/etc` away.
fn is_shared(directory: &OwnedFd, about: &Stat) -> Result<bool, Errno> {
    if about.st_mode & 0o002 != 0 {
        return Ok(true);
    }
    for entry in Dir::read_from(directory)?.take(ENTRIES) {
        let entry = entry?;
        if entry.file_type() == FileType::Directory && ![c".", c".."].contains(&entry.file_name()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives the files to `user`; answers what was left as it was.
fn give_files(
    directory: &OwnedFd,
    trusted: &[u32],
    user: &User,
) -> Result<Vec<(String, &'static str)>, Errno> {
    let mut left = Vec::new();
    for entry in Dir::read_from(directory)?.take(ENTRIES) {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        if let Err(why) = give_file(directory, name, trusted, user) {
            left.push((name.to_string_lossy().into_owned(), why));
        }
    }
    Ok(left)
}

fn give_file(directory: &OwnedFd, name: &CStr, trusted: &[u32], user: &User) -> Result<(), &'static str> {
    // Without blocking: what is there may be a fifo.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).map_err(|_| "cannot be opened")?;
    let about = fstat(&file).map_err(|_| "cannot be opened")?;
    fit(&about, trusted)?;
    give(&file, user).map_err(|_| "owner cannot be changed")
}

fn fit(about: &Stat, trusted: &[u32]) -> Result<(), &'static str> {
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err("not a regular file");
    }
    if about.st_nlink != 1 {
        return Err("has several links");
    }
    if trusted.contains(&about.st_uid) { Ok(()) } else { Err("owned by somebody else") }
}

/// Changes nothing where nothing has to be: the file system may be read-only for now.
fn give(to: impl AsFd, user: &User) -> Result<(), Errno> {
    let about = fstat(&to)?;
    if (about.st_uid, about.st_gid) == (user.uid, user.gid) {
        return Ok(());
    }
    fchown(to, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))
}
