//! What is left to somebody who takes the daemon over: files by Landlock, system calls by a seccomp filter that kills.
//! Entered once, by a process with one thread that has given up its privileges; there is no way back.
//! It must never be said to hold where it does not: what the kernel does not have is an error with its reason.

#[cfg(target_os = "linux")]
mod files;
pub(crate) mod self_test;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod calls;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod filter;

use std::os::fd::BorrowedFd;

use rustix::time::{ClockId, clock_gettime};

/// A part of the confinement that cannot be had here.
#[derive(Debug, thiserror::Error)]
#[error("not confined: {part}: {why}")]
pub(crate) struct Missing {
    /// Which part.
    part: &'static str,
    /// What the system said.
    why: String,
}

impl Missing {
    fn new(part: &'static str, why: impl ToString) -> Self {
        Self { part, why: why.to_string() }
    }
}

/// Where configuration, hosts files and users are: the one place besides the state directory that stays readable.
pub(crate) const READABLE: &str = "/etc";

/// What Landlock is for, in words.
const FILES: &str = "files outside the state directory and /etc (Landlock)";
/// What the filter is for, in words.
const CALLS: &str = "system calls (seccomp)";

/// From here on only `state` can be written, only `/etc` and `state` can be read, and no TCP port bound or connected.
/// What is open stays open.
///
/// # Errors
/// [`Missing`]: nothing is confined then.
pub(crate) fn files(state: Option<BorrowedFd<'_>>) -> Result<(), Missing> {
    // The first time that somebody asks for it, the clock itself is looked for, in `/proc` on older kernels.
    let _ = clock_gettime(ClockId::Monotonic);
    #[cfg(target_os = "linux")]
    return files::restrict(state).map_err(|why| Missing::new(FILES, why));
    #[cfg(not(target_os = "linux"))]
    return Err(Missing::new(FILES, format_args!("this system has no such thing ({state:?})")));
}

/// From here on every system call that is not in the list kills the process.
///
/// # Errors
/// [`Missing`]: nothing is confined then.
pub(crate) fn calls() -> Result<(), Missing> {
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
    ))]
    return filter::install().map_err(|why| Missing::new(CALLS, why));
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
    )))]
    return Err(Missing::new(CALLS, "there is no list for this kind of machine"));
}
