//! `--self-test`: shows that the confinement holds on this host. Each attempt is made by a child of its own, which
//! becomes the daemon's user and is confined as the daemon is, and whose end the parent sees: refused by an error, or
//! killed by the filter. It must never count as refused what failed for another reason.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use log::{error, warn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, execv};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::config::Settings;
use crate::logging::START;
use crate::privilege::{self, User};
use crate::process::{self, Alone};

/// A child's status when it could not be confined; an error number is below, and it is one of few.
const NOT_CONFINED: u8 = 255;
/// A child's status when nothing stopped it.
const DONE: u8 = 0;

/// One thing that the confined daemon must not be able to do.
struct Attempt {
    what: String,
    how: Box<dyn Fn() -> Result<(), Errno>>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The filter killed the process.
    Killed,
    /// The kernel said no.
    Refused(i32),
    /// It failed, and not for want of permission.
    Failed(i32),
    /// Nothing stopped it.
    Done,
    /// It ended in no way that says anything.
    Unclear,
}

impl End {
    fn is_refusal(self) -> bool {
        matches!(self, Self::Killed | Self::Refused(_))
    }

    fn of(status: WaitStatus) -> Self {
        const NOT_PERMITTED: [i32; 3] = [libc::EACCES, libc::EPERM, libc::EROFS];
        match status {
            WaitStatus::Signaled(_, Signal::SIGSYS, _) => Self::Killed,
            WaitStatus::Exited(_, status) if status == i32::from(DONE) => Self::Done,
            WaitStatus::Exited(_, status) if NOT_PERMITTED.contains(&status) => Self::Refused(status),
            WaitStatus::Exited(_, status) if status != i32::from(NOT_CONFINED) => Self::Failed(status),
            _ => Self::Unclear,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => write!(f, "refused: killed (SIGSYS)"),
            Self::Refused(number) => write!(f, "refused: {}", io::Error::from_raw_os_error(*number)),
            Self::Failed(number) => {
                write!(f, "NOT REFUSED: failed: {}", io::Error::from_raw_os_error(*number))
            }
            Self::Done => write!(f, "NOT REFUSED"),
            Self::Unclear => write!(f, "UNCLEAR"),
        }
    }
}

/// Makes the attempts and prints what became of them; answers the exit status: 0 when all were refused.
pub(crate) fn run(settings: &Settings) -> u8 {
    match try_all(settings) {
        Ok(ends) => u8::from(!ends.iter().all(|end| end.is_refusal())),
        Err(error) => {
            error!(target: START, "the confinement cannot be tried: {error}");
            1
        }
    }
}

fn try_all(settings: &Settings) -> io::Result<Vec<End>> {
    let is_root = rustix::process::geteuid().is_root();
    let find = || User::find(settings.daemon_user, settings.user).map_err(io::Error::other);
    let user = if is_root { Some(find()?) } else { None };
    let state = settings.state_directory.as_path();
    // A daemon that cannot be confined says why in its log, once; so does this.
    let alone = Alone::look()?;
    process::in_child(alone, || confine(user.as_ref(), state, |missing| warn!(target: START, "{missing}")))?;
    let mut ends = Vec::new();
    let mut table = io::stdout();
    for Attempt { what, how } in attempts(alone)? {
        let end = End::of(process::in_child(alone, || match confine(user.as_ref(), state, |_| ()) {
            DONE => how()
                .map_or_else(|errno| u8::try_from(errno.raw_os_error()).unwrap_or(NOT_CONFINED), |()| DONE),
            failed => failed,
        })?);
        writeln!(table, "{what:<26} {end}")?;
        ends.push(end);
    }
    Ok(ends)
}

/// Does to this process what the daemon does to itself, all but serving.
fn confine(user: Option<&User>, state: &Path, missing: impl Fn(&super::Missing)) -> u8 {
    if let Err(error) = privilege::drop_to(user) {
        error!(target: START, "{error}");
        return NOT_CONFINED;
    }
    let state = File::open(state).ok();
    for part in [super::files(state.as_ref().map(AsFd::as_fd)), super::calls()] {
        if let Err(part) = part {
            missing(&part);
        }
    }
    DONE
}

fn attempts(alone: Alone) -> io::Result<Vec<Attempt>> {
    let one = |what: &str, how: Box<dyn Fn() -> Result<(), Errno>>| Attempt { what: what.into(), how };
    // Made while sockets can be made: what is refused is their use.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let there = listener.local_addr()?;
    let (unbound, unconnected) = (tcp()?, tcp()?);
    let parent = rustix::process::getpid().as_raw_nonzero().get();
    Ok(vec![
        opening("/proc/1/environ", OFlags::RDONLY),
        opening("/usr/bin/env", OFlags::RDONLY),
        opening("/root", OFlags::RDONLY | OFlags::DIRECTORY),
        writing("/etc"),
        writing("/tmp"),
        one("socket", Box::new(|| tcp().map(drop))),
        one("bind", Box::new(move || bind(&unbound, &SocketAddr::from(([127, 0, 0, 1], 0))))),
        one(
            "connect",
            Box::new(move || {
                let _ = &listener;
                connect(&unconnected, &there)
            }),
        ),
        one(
            "execve",
            Box::new(|| execv(c"/proc/self/exe", &[c"rpcbind", c"--version"]).map(drop).map_err(from_nix)),
        ),
        one(
            "fork",
            Box::new(move || process::in_child(alone, || DONE).map(drop).map_err(|error| from_io(&error))),
        ),
        one("ioctl", Box::new(|| rustix::io::ioctl_fionread(rustix::stdio::stdin()).map(drop))),
        one("kill", Box::new(move || kill(Pid::from_raw(parent), None).map_err(from_nix))),
    ])
}

fn opening(path: &'static str, flags: OFlags) -> Attempt {
    let how = move || openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()).map(drop);
    Attempt { what: format!("open {path}"), how: Box::new(how) }
}

/// A file that does not exist; one that could be made all the same is removed by the same child.
fn writing(directory: &'static str) -> Attempt {
    let path: PathBuf = Path::new(directory).join(format!(".rpcbind-self-test-{}", std::process::id()));
    let how = move || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::unlink(&path)
    };
    Attempt { what: format!("write to {directory}"), how: Box::new(how) }
}

fn tcp() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::INET, SocketType::STREAM, None)
}

fn from_nix(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

fn from_io(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_want_of_permission_and_the_filter_are_refusals() {
        let pid = Pid::from_raw(1);
        let exited = |status| End::of(WaitStatus::Exited(pid, status));
        assert_eq!(End::of(WaitStatus::Signaled(pid, Signal::SIGSYS, false)), End::Killed);
        assert_eq!(exited(libc::EACCES), End::Refused(libc::EACCES));
        assert_eq!(exited(0), End::Done);
        assert_eq!(exited(libc::ECONNREFUSED), End::Failed(libc::ECONNREFUSED));
        assert_eq!(exited(NOT_CONFINED.into()), End::Unclear);
        assert_eq!(End::of(WaitStatus::Signaled(pid, Signal::SIGSEGV, false)), End::Unclear);
        let refusals = [exited(libc::EACCES), End::Killed].map(End::is_refusal);
        let others = [exited(0), exited(libc::ENOENT), exited(255)].map(End::is_refusal);
        assert_eq!((refusals, others), ([true; 2], [false; 3]));
    }
}
