//! Plays systemd for one service with its sockets: reads the unit and the socket file, opens the sockets, passes them
//! as `LISTEN_FDS`, runs the command line unchanged, and listens on `NOTIFY_SOCKET`.
//!
//! The binary under test takes the place of the one that the unit names by a bind mount inside the namespace, so that
//! even the path of the command line is the unit's. Settings that are not played are errors, never passed over.

mod lifetime;
mod notify;
mod service;
mod sockets;
mod start;
mod store;
mod supervise;
mod unit_file;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::mount::{MsFlags, mount};
use rustix::process::Signal;

pub use lifetime::{Lifetime, Restart};
pub use notify::Notification;
pub use service::{Service, ServiceType};
pub use sockets::{BindIpv6Only, Listen, ListenAddress, SocketUnit, Sockets};
pub use supervise::{End, Supervised, Told};
pub use unit_file::{UnitError, UnitFile, environment_file, words};

use crate::process::{Finished, Process};
use crate::{Namespace, wait};
use notify::Inbox;
use store::Stored;

/// Where Debian's units are.
const UNITS: &str = "/lib/systemd/system";
/// What systemd gives every service of the system.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// A service and its socket unit.
#[derive(Debug, Clone)]
pub struct Activator {
    /// The service.
    pub service: Service,
    /// Its sockets.
    pub socket: SocketUnit,
    binary: Option<PathBuf>,
    more: Vec<(String, String)>,
}

impl Activator {
    /// The files that Debian ships for the C daemon, unchanged.
    ///
    /// # Errors
    /// They are not installed, or hold what is not played.
    pub fn debian() -> io::Result<Self> {
        let read = |kind: &str| std::fs::read_to_string(format!("{UNITS}/rpcbind.{kind}"));
        Self::parse(&read("service")?, &read("socket")?).map_err(io::Error::other)
    }

    /// The text of a unit and a socket file.
    ///
    /// # Errors
    /// [`UnitError`].
    pub fn parse(service: &str, socket: &str) -> Result<Self, UnitError> {
        let service = Service::new(&UnitFile::parse(service)?)?;
        let socket = SocketUnit::new(&UnitFile::parse(socket)?, "rpcbind.socket")?;
        Ok(Self { service, socket, binary: None, more: Vec::new() })
    }

    /// The same service with other sockets: the text of a socket file.
    ///
    /// # Errors
    /// [`UnitError`].
    pub fn sockets(mut self, socket: &str) -> Result<Self, UnitError> {
        self.socket = SocketUnit::new(&UnitFile::parse(socket)?, "rpcbind.socket")?;
        Ok(self)
    }

    /// This binary takes the place of the one that the unit names.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// One more variable, over the unit's own: what a drop-in with `Environment=` does.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Opens the sockets, as the start of the socket unit does: clients can connect from now on.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open(&self, namespace: &Namespace) -> io::Result<Sockets> {
        self.socket.open(namespace)
    }

    /// Starts the service with these sockets, without waiting until it is ready.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(&self, namespace: &Namespace, sockets: &Sockets) -> io::Result<Activated> {
        let inbox = Inbox::open(namespace)?;
        let (process, command) = self.launch(namespace, sockets, &[])?;
        Ok(Activated { process, inbox, command })
    }

    /// Starts the service; what was stored is passed behind the sockets. Answers the command line, too.
    fn launch(
        &self,
        namespace: &Namespace,
        sockets: &Sockets,
        stored: &[Stored],
    ) -> io::Result<(Process, Vec<String>)> {
        if let Some(binary) = &self.binary {
            namespace.within(|| {
                let none = None::<&str>;
                mount(Some(binary), self.service.program(), none, MsFlags::MS_BIND, none)
            })??;
        }
        let mut environment: BTreeMap<String, String> = namespace.within(|| self.service.environment())??;
        environment.extend(self.more.iter().cloned());
        let command = self.service.command(&environment);
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        set("PATH", PATH.to_owned());
        set("NOTIFY_SOCKET", notify::SOCKET.to_owned());
        let lifetime = &self.service.lifetime;
        if let Some(watchdog) = lifetime.watchdog {
            set("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        if lifetime.store_max > 0 {
            set("FDSTORE", lifetime.store_max.to_string());
        }
        let mut passed: Vec<_> = sockets.sockets.iter().map(AsFd::as_fd).collect();
        let mut names = vec![sockets.name.as_str(); passed.len()];
        passed.extend(stored.iter().map(|stored| stored.descriptor.as_fd()));
        names.extend(stored.iter().map(|stored| stored.name.as_str()));
        if !passed.is_empty() {
            set("LISTEN_FDS", passed.len().to_string());
            set("LISTEN_FDNAMES", names.join(":"));
        }
        let process = start::start(namespace, &command, &environment, &passed)?;
        Ok((process, command))
    }
}

/// A service that was started once. Killed when dropped.
#[derive(Debug)]
pub struct Activated {
    process: Process,
    inbox: Inbox,
    command: Vec<String>,
}

impl Activated {
    /// The command line that it was started with.
    #[must_use]
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// Its process id as the test sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written to standard error up to now.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Waits for `READY=1`, as systemd does for `Type=notify`. What came before it stays for [`Self::notifications`].
    ///
    /// # Errors
    /// It ended, or never said so: with what it had written.
    pub fn wait_ready(&mut self) -> io::Result<()> {
        self.wait_for("READY", "1")
    }

    /// Waits until it has assigned this value to this name.
    ///
    /// # Errors
    /// It ended, or never did: with what it had written.
    pub fn wait_for(&mut self, name: &str, value: &str) -> io::Result<()> {
        let mut seen = 0;
        loop {
            while let Some(notification) = self.inbox.received.get(seen) {
                if notification.value(name) == Some(value) {
                    return Ok(());
                }
                seen += 1;
            }
            self.inbox.next(&self.process).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{name}={value}: {error}: {:?}", self.process.last_words()),
                )
            })?;
        }
    }

    /// Every notification that has come and was not taken yet, in order.
    ///
    /// # Errors
    /// The kernel's.
    pub fn notifications(&mut self) -> io::Result<Vec<Notification>> {
        self.inbox.collect(self.process.pid())?;
        Ok(self.inbox.received.drain(..).collect())
    }

    /// Waits until its standard error holds this text, and answers all of it.
    ///
    /// # Errors
    /// It never did.
    pub fn wait_stderr(&self, text: &str) -> io::Result<String> {
        wait::until(text, || {
            let written = self.process.stderr();
            Ok(written.contains(text).then_some(written))
        })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end and collects what it wrote.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub fn finish(self) -> io::Result<Finished> {
        self.process.finish()
    }

    /// Asks it to end (SIGTERM); answers how it ended and what it notified until then.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub fn stop(mut self) -> io::Result<(Finished, Vec<Notification>)> {
        self.process.signal(Signal::TERM)?;
        let pid = self.process.pid();
        let finished = self.process.finish()?;
        self.inbox.collect(pid)?;
        Ok((finished, self.inbox.received.into()))
    }
}
