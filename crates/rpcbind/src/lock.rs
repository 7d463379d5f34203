//! The lock that says that a port mapper serves port 111 of this host: `/run/rpcbind.lock`, taken as the C daemon
//! takes it, so that the two never run side by side. It must never be waited for.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::net::holder::Holder;

/// Where the C daemon has it.
pub(crate) const PATH: &str = "/run/rpcbind.lock";

/// The lock, held until this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another port mapper runs.
    #[error("another rpcbind is already running: {} is locked{}", path.display(), by(holder.as_ref()))]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// Who has it, where the kernel says so.
        holder: Option<Holder>,
    },
    /// The file cannot be made or opened.
    #[error("cannot open the lock {}: {source}", path.display())]
    Unavailable {
        /// The lock's file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

/// Takes the lock at `path`, making the file when there is none.
///
/// # Errors
/// [`LockError::Held`] is fatal; [`LockError::Unavailable`] is not, for somebody who is not root.
pub(crate) fn take(path: &Path) -> Result<Lock, LockError> {
    let unavailable = |source| LockError::Unavailable { path: path.into(), source };
    let flags = i32::try_from((OFlags::CREATE | OFlags::NOFOLLOW).bits()).unwrap_or(0);
    // Read-only, as the C daemon's: one that runs without root can open what root made.
    let file =
        OpenOptions::new().read(true).custom_flags(flags).mode(0o444).open(path).map_err(unavailable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(LockError::Held { path: path.into(), holder: holder(&file) })
        }
        Err(errno) => Err(unavailable(errno.into())),
    }
}

/// Finds who holds a lock on this file: `/proc/locks` names process and inode.
fn holder(file: &File) -> Option<Holder> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let kind = fields.next()?;
        let pid = fields.nth(2)?;
        (kind == "FLOCK" && fields.next()?.ends_with(&inode)).then(|| pid.parse::<u32>().ok())?
    })?;
    Some(Holder::of_process(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_was_first_until_that_one_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpcbind.lock");
        let lock = take(&path).unwrap();
        let error = take(&path).unwrap_err();
        let LockError::Held { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.pid, Some(std::process::id()));
        assert!(error.to_string().starts_with("another rpcbind is already running: "), "{error}");
        drop(lock);
        // A child that another test is just starting may hold the descriptor a moment longer.
        testkit::wait::until("free", || Ok(take(&path).ok())).unwrap();
    }

    #[test]
    fn a_place_without_a_directory_is_unavailable_not_held() {
        let directory = tempfile::tempdir().unwrap();
        let error = take(&directory.path().join("none/rpcbind.lock")).unwrap_err();
        assert!(matches!(error, LockError::Unavailable { .. }), "{error:?}");
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (link, target) = (directory.path().join("rpcbind.lock"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(take(&link).unwrap_err(), LockError::Unavailable { .. }));
        assert!(!target.exists());
    }
}
