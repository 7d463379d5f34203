//! The system log by its datagram socket (RFC 3164 section 4.1, as syslog(3) writes it). The time stamp is left to the
//! receiver, who knows it: without one it takes its own (RFC 3164 section 4.3.2). Never waits, never opens anything
//! after it was made.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where the system log listens.
const PATH: &str = "/dev/log";

/// What the daemon writes about (RFC 3164 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Facility {
    /// The daemon's own events.
    Daemon,
    /// Who called, and who was refused: the facility that the C daemon uses for it.
    Auth,
}

impl Facility {
    /// The number before a line: the facility's code times 8, and the severity.
    pub(super) fn priority(self, severity: u8) -> u8 {
        let code: u8 = match self {
            Self::Daemon => 3,
            Self::Auth => 4,
        };
        code * 8 + severity
    }
}

/// The severity of a level, as in `<syslog.h>`.
pub(super) fn severity(level: log::Level) -> u8 {
    match level {
        log::Level::Error => 3,
        log::Level::Warn => 4,
        log::Level::Info => 6,
        log::Level::Debug | log::Level::Trace => 7,
    }
}

/// A socket that sends to the system log. It is not connected, so that it outlives a restart of the receiver.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    /// Lines that could not be sent since one could.
    lost: u64,
}

impl Syslog {
    /// A socket for the log at `/dev/log`. Nobody has to listen there yet.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn open() -> io::Result<Self> {
        Self::to(Path::new(PATH))
    }

    /// A socket for the log at another path.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn to(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.into(), lost: 0 })
    }

    /// Sends one line. One that cannot be sent at once is lost and counted.
    pub(super) fn send(&mut self, line: &str) {
        match self.socket.send_to(line.as_bytes(), &self.path) {
            Ok(_) => {}
            Err(_) => self.lost = self.lost.saturating_add(1),
        }
    }

    /// The number of lines lost since this was last asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Takes back what [`Syslog::take_lost`] gave, when it could not be said.
    pub(super) fn restore_lost(&mut self, lost: u64) {
        self.lost = lost;
    }
}
