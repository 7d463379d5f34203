#![expect(unsafe_code, reason = "descriptors come in as numbers, and only fork makes a daemon")]
//! What happens to the process itself at its start: taking the descriptors that were passed, going to the background,
//! raising its limit of descriptors. The second and last file with `unsafe`. It must run before there are threads.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The first passed descriptor (sd_listen_fds(3)).
const FIRST: RawFd = 3;
/// What a child writes when it is ready.
const READY: [u8; 1] = [b'1'];

/// Why the passed descriptors could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassedError {
    /// LISTEN_FDS is not a number of descriptors.
    #[error("LISTEN_FDS is {0:?}, not a number of descriptors")]
    Count(String),
    /// A descriptor that was announced is not open.
    #[error("descriptor {0} was announced by LISTEN_FDS and is not open")]
    NotOpen(RawFd),
}

/// A descriptor that was passed to this process.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The descriptor.
    pub(crate) descriptor: OwnedFd,
    /// Its name, when it has one.
    pub(crate) name: Option<String>,
}

/// Takes the descriptors that were passed to this process (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`), once; none
/// when they are for another process, and none the second time.
///
/// # Errors
/// [`PassedError`]: then none is taken, and the process should end.
pub(crate) fn passed() -> Result<Vec<Passed>, PassedError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !ours || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let numbers = numbers(&std::env::var("LISTEN_FDS").unwrap_or_default())?;
    for number in numbers.clone() {
        if !is_open(number) {
            return Err(PassedError::NotOpen(number));
        }
    }
    // SAFETY: they are open, they were passed to this process to own, and the flag above makes this the one time
    // that they are taken. Nothing else in the process knows their numbers.
    let descriptors = numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) });
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(|name| Some(name.to_owned())).chain(std::iter::repeat(None));
    Ok(descriptors.zip(names).map(|(descriptor, name)| Passed { descriptor, name }).collect())
}

fn numbers(count: &str) -> Result<std::ops::Range<RawFd>, PassedError> {
    let end = count.parse::<u16>().ok().and_then(|count| FIRST.checked_add(count.into()));
    end.map(|end| FIRST..end).ok_or_else(|| PassedError::Count(count.into()))
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of whatever the number stands for, or fails.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Raises the soft limit of descriptors to the hard one; answers the limit that holds now.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let holds = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    holds.unwrap_or(u64::MAX)
}

/// The soft limit of descriptors that holds now.
pub(crate) fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The two processes that [`detach`] makes of one.
#[derive(Debug)]
pub(crate) enum Detached {
    /// The daemon, in a session of its own.
    Child(Starting),
    /// The process that was started: the daemon is ready, or has ended. It ends with this status.
    Parent {
        /// The exit status: 0 when the daemon is ready, else the daemon's own.
        status: i32,
    },
}

/// The duty of a daemon in the background: to say that it is ready. Dropped without that, the parent waits for its
/// exit status.
#[derive(Debug)]
pub(crate) struct Starting {
    parent: File,
    /// What takes the place of the terminal, opened while files can be.
    null: File,
}

/// Goes to the background: from here on there are two processes. The parent returns when the child is ready or
/// has ended. Standard error stays open until the child is ready, so that its complaints are read.
///
/// # Errors
/// There are threads already, or the kernel refused.
pub(crate) fn detach() -> io::Result<Detached> {
    let alone = Alone::look()?;
    let (mut child, parent) = io::pipe()?;
    match divide(alone)? {
        ForkResult::Child => {
            drop(child);
            rustix::process::setsid()?;
            std::env::set_current_dir("/")?;
            let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            Ok(Detached::Child(Starting { parent: File::from(OwnedFd::from(parent)), null }))
        }
        ForkResult::Parent { child: pid } => {
            drop(parent);
            let ready = child.read_exact(&mut [0; READY.len()]).is_ok();
            Ok(Detached::Parent { status: if ready { 0 } else { status_of(pid) } })
        }
    }
}

/// The knowledge that this process has one thread, and so has every child of it. Whoever has it makes no thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone(());

impl Alone {
    /// Looks.
    ///
    /// # Errors
    /// There are threads.
    pub(crate) fn look() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(())),
            threads => Err(io::Error::other(format!("there are {threads} threads, not one"))),
        }
    }
}

fn divide(_: Alone) -> io::Result<ForkResult> {
    // SAFETY: this is the only thread, so that the child finds no lock held and no state half-changed.
    Ok(unsafe { fork() }?)
}

/// Does `work` in a child process, which then ends with the status that it answers; answers how it ended.
///
/// # Errors
/// The kernel's.
pub(crate) fn in_child(alone: Alone, work: impl FnOnce() -> u8) -> io::Result<WaitStatus> {
    match divide(alone)? {
        ForkResult::Child => {
            let status = work();
            // SAFETY: it ends the process; what is buffered is the parent's to write.
            unsafe { libc::_exit(status.into()) }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Err(nix::errno::Errno::EINTR) => {}
                ended => return Ok(ended?),
            }
        },
    }
}

/// How a child ended, as a shell would say it.
fn status_of(pid: Pid) -> i32 {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, status)) => return status,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128_i32.saturating_add(signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

impl Starting {
    /// Lets go of the terminal and lets the parent end with success.
    ///
    /// # Errors
    /// The parent is gone: the daemon can go on.
    pub(crate) fn ready(mut self) -> io::Result<()> {
        rustix::stdio::dup2_stdin(&self.null)?;
        rustix::stdio::dup2_stdout(&self.null)?;
        rustix::stdio::dup2_stderr(&self.null)?;
        self.parent.write_all(&READY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_numbered_from_three() {
        assert_eq!(numbers("2").unwrap(), 3..5);
        assert_eq!(numbers("0").unwrap(), 3..3);
        for wrong in ["", "-1", "two", "70000", "1 "] {
            let error = numbers(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("LISTEN_FDS is {wrong:?}, not a number of descriptors"));
        }
    }

    #[test]
    fn descriptors_for_another_process_are_not_taken() {
        // The tests' own environment: nothing was passed to it, or to the process that started it.
        assert!(passed().unwrap().is_empty());
    }

    #[test]
    fn a_number_that_nothing_is_open_at_is_seen() {
        assert!(is_open(0) || is_open(1) || is_open(2));
        assert!(!is_open(1_000_000));
    }

    #[test]
    fn nobody_goes_to_the_background_with_threads() {
        // The test runner has more than one.
        let error = detach().unwrap_err().to_string();
        assert!(error.starts_with("there are ") && error.ends_with(" threads, not one"), "{error}");
    }

    #[test]
    fn the_limit_of_descriptors_is_the_hard_one() {
        let limit = raise_descriptor_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(limit));
        assert_eq!(getrlimit(Resource::Nofile).maximum, Some(limit));
    }
}
