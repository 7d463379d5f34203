//! Telling the service manager how it goes (sd_notify(3)): ready, reloading, stopping, a line of status, a sign of
//! life. The socket is opened once, before confinement, and kept. Without a service manager nothing is sent.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::time::{ClockId, clock_gettime};

/// How long a message that must not be lost may wait for a place in the manager's queue.
const PATIENCE: Duration = Duration::from_secs(1);
/// Descriptors that one message can carry (SCM_MAX_FD).
const DESCRIPTORS: usize = 253;

/// The connection to the service manager, or to nobody.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
}

/// Why the service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
#[error("NOTIFY_SOCKET {name:?}: {error}")]
pub struct NotifyError {
    /// The name of its socket.
    pub name: String,
    /// What is wrong.
    #[source]
    pub error: io::Error,
}

impl Notifier {
    /// Connects to the socket that the service manager names in `NOTIFY_SOCKET`: a path, or `@name` for an abstract
    /// one. Without a name every message is a success that goes nowhere.
    ///
    /// # Errors
    /// [`NotifyError`] when nobody is there or the name is of another kind.
    pub fn open(name: Option<&OsStr>) -> Result<Self, NotifyError> {
        let Some(name) = name else { return Ok(Self::default()) };
        let connected = || {
            let address = match name.as_bytes() {
                [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
                [b'/', ..] => SocketAddr::from_pathname(name)?,
                _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither /path nor @name")),
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        match connected() {
            Ok(socket) => Ok(Self { socket: Some(socket) }),
            Err(error) => Err(NotifyError { name: name.to_string_lossy().into_owned(), error }),
        }
    }

    /// Whether there is somebody to tell.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// The service is ready, at start or again after a reload. `status` is one line for people.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\nSTATUS={}", line(status)), &[])
    }

    /// A reload has begun; [`Notifier::ready`] ends it.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    pub fn reloading(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()), &[])
    }

    /// The service ends.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1", &[])
    }

    /// Which process the service is, when it is not the one that was started.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    pub fn main_pid(&self, pid: u32) -> io::Result<()> {
        self.send(&format!("MAINPID={pid}"), &[])
    }

    /// One line for people. It is not waited for: the next one says it better.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when the manager's queue is full.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send_with(&format!("STATUS={}", line(status)), &[], SendFlags::DONTWAIT)
    }

    /// A sign of life, at half the interval that the manager wants. It is not waited for.
    ///
    /// # Errors
    /// As [`Notifier::status`].
    pub fn watchdog(&self) -> io::Result<()> {
        self.send_with("WATCHDOG=1", &[], SendFlags::DONTWAIT)
    }

    /// Waits until the manager has done what it was told before, for at most this long; answers whether it has. One
    /// that does not know the question (systemd before 246) answers all the same, by closing what came with it.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    pub fn barrier(&self, longest: Duration) -> io::Result<bool> {
        if self.socket.is_none() {
            return Ok(true);
        }
        let (near, far) = io::pipe()?;
        self.send("BARRIER=1", &[far.as_fd()])?;
        drop(far);
        let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
        // The end of the other end is reported without being asked for.
        Ok(poll(&mut [PollFd::new(&near, PollFlags::empty())], Some(&longest))? > 0)
    }

    /// Sends fields, one `NAME=value` a line, with copies of descriptors (at most 253). Waits a second at most.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when the manager's queue stays full.
    pub fn send(&self, fields: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(fields, descriptors, SendFlags::empty())
    }

    /// The same without waiting, for what can be sent again.
    ///
    /// # Errors
    /// As [`Notifier::status`].
    pub fn send_now(&self, fields: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(fields, descriptors, SendFlags::DONTWAIT)
    }

    fn send_with(&self, fields: &str, descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        if descriptors.len() > DESCRIPTORS {
            let message = format!("{} descriptors, over the limit of {DESCRIPTORS}", descriptors.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let rights = SendAncillaryMessage::ScmRights(descriptors);
        let mut space = vec![MaybeUninit::uninit(); rights.size()];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(rights);
        }
        sendmsg(
            socket.as_fd(),
            &[IoSlice::new(fields.as_bytes())],
            &mut control,
            flags | SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }
}

/// How often to give a sign of life, from the manager's `WATCHDOG_USEC` and `WATCHDOG_PID`: half the interval after
/// which it loses patience. `None` when it does not wait for any, or not from this process.
#[must_use]
pub fn watchdog_interval(microseconds: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let patience = Duration::from_micros(microseconds?.parse().ok()?);
    (!patience.is_zero()).then_some(patience)?.checked_div(2)
}

/// What would begin another field becomes a blank.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
