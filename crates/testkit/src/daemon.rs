//! The port mapper under test as a child process: the C one or ours, a path and arguments.
//! Ready means that it said so, or that it answered; it is never assumed after some time.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use crate::namespace::Namespace;
use crate::process::{Finished, Process, timespec};
use crate::wait::{self, DEADLINE};

/// Where clients of this machine find the port mapper.
pub const SOCKET: &str = "/run/rpcbind.sock";

/// The name of our own daemon.
const OURS: &str = "ours";

/// One answer to a probe may take this long.
const PROBE: Duration = Duration::from_secs(2);

/// How a daemon shows that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It sends `READY=1` to the socket in `NOTIFY_SOCKET`.
    Notify,
    /// It answers NULL over the unix socket at this path. The call is counted by GETSTAT.
    AnswersUnix(PathBuf),
    /// It answers NULL over TCP at this port of 127.0.0.1. The call is counted by GETSTAT.
    AnswersTcp(u16),
}

/// Which port mapper, started how.
#[derive(Debug, Clone)]
pub struct DaemonKind {
    /// For messages, and for the few places where expectations differ.
    pub name: &'static str,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments; it stays in the foreground.
    pub arguments: Vec<OsString>,
    /// More environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How it shows that it serves.
    pub ready: Ready,
}

impl DaemonKind {
    /// Where Debian's binary is.
    pub const DEBIAN: &'static str = "/sbin/rpcbind";

    /// Debian's rpcbind as its unit starts it, without socket activation: `-f -w`.
    #[must_use]
    pub fn debian() -> Self {
        Self {
            name: "debian",
            program: Self::DEBIAN.into(),
            arguments: vec!["-f".into(), "-w".into()],
            environment: Vec::new(),
            ready: Ready::Notify,
        }
    }

    /// Our rpcbind at `program`, started the same way.
    #[must_use]
    pub fn ours(program: impl Into<PathBuf>) -> Self {
        Self { name: OURS, program: program.into(), ..Self::debian() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The same with exactly these arguments.
    #[must_use]
    pub fn arguments<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The same with one more variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same, ready in another way.
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = ready;
        self
    }
}

/// How a daemon ended.
pub type Stopped = Finished;

/// A running port mapper. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
}

impl Daemon {
    /// Starts `kind` in `namespace` and waits until it is ready.
    ///
    /// # Errors
    /// It could not be started, ended before it was ready, or was not ready in time: with what it had written.
    pub fn start(namespace: &Namespace, kind: &DaemonKind) -> io::Result<Self> {
        let mut command = Command::new(&kind.program);
        command.args(&kind.arguments).envs(kind.environment.iter().map(|(name, value)| (name, value)));
        let inbox = match &kind.ready {
            Ready::Notify => Some(Inbox::new()?),
            Ready::AnswersUnix(_) | Ready::AnswersTcp(_) => None,
        };
        if let Some(inbox) = &inbox {
            command.env("NOTIFY_SOCKET", inbox.path());
        }
        let mut process = Process::spawn(namespace, &mut command)?;
        let ready = match (&inbox, &kind.ready) {
            (Some(inbox), _) => inbox.wait_ready(&process),
            (None, Ready::AnswersTcp(port)) => wait_answer(&mut process, || null_tcp(namespace, *port)),
            (None, Ready::AnswersUnix(path)) => wait_answer(&mut process, || null_unix(namespace, path)),
            (None, Ready::Notify) => Ok(()),
        };
        match ready.and_then(|()| if kind.name == OURS { confined(&process) } else { Ok(()) }) {
            Ok(()) => Ok(Self { process }),
            Err(error) => {
                let wrote = process.kill().map(|end| format!("{:?}", (end.status, end.stdout, end.stderr)));
                let program = kind.program.display();
                Err(io::Error::other(format!("{program}: {error}: {}", wrote.unwrap_or_default())))
            }
        }
    }

    /// Its process id as the test sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written to standard error up to now, all of it: what it said before it answered is there.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.last_words()
    }

    /// Sends it a signal: SIGHUP for a reload, SIGSTOP and SIGCONT for a pause.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.process.signal(signal)
    }

    /// Its exit status when it has ended by itself.
    ///
    /// # Errors
    /// The kernel's, which does not happen to a child that is ours.
    pub fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        self.process.ended()
    }

    /// Asks it to end (SIGTERM) and collects status and output.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub fn stop(self) -> io::Result<Stopped> {
        self.process.terminate()
    }

    /// Kills it (SIGKILL) and collects what it had written.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(self) -> io::Result<Stopped> {
        self.process.kill()
    }
}

/// The receiving end of `sd_notify`. It may be written by the daemon's user, to whom it has given up root before.
#[derive(Debug)]
struct Inbox {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Inbox {
    fn new() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
        Ok(Self { directory, socket })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("notify")
    }

    fn wait_ready(&self, process: &Process) -> io::Result<()> {
        loop {
            let mut watched =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(process.pidfd(), PollFlags::IN)];
            if poll(&mut watched, Some(&timespec(DEADLINE)))? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "never ready"));
            }
            let [notified, _] = &watched;
            if notified.revents().is_empty() {
                return Err(io::Error::other("ended before it was ready"));
            }
            let mut message = [0; 4096];
            let length = self.socket.recv(&mut message)?;
            let lines = String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned();
            if lines.lines().any(|line| line == "READY=1") {
                return Ok(());
            }
        }
    }
}

/// Every test of our daemon is one of the confined daemon: without a way to more privilege, under the filter that
/// kills, and not told by itself to lack anything. (Behind a tracer, which plays kernels without the one or the other,
/// it is not looked at.)
fn confined(process: &Process) -> io::Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let has = |line: &str| status.lines().any(|of| of == line);
    let is_confined =
        has("NoNewPrivs:\t1") && has("Seccomp:\t2") && !process.last_words().contains("not confined");
    if is_confined || !has("Name:\trpcbind") {
        return Ok(());
    }
    Err(io::Error::other(format!("not confined: {status}")))
}

fn wait_answer(process: &mut Process, mut probe: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    wait::until("ready", || match (process.ended()?, probe()) {
        (Some(status), _) => Err(io::Error::other(format!("ended before it was ready: {status}"))),
        (None, Ok(())) => Ok(Some(())),
        // Not there yet, or there and not answering: asked again until the deadline.
        (None, Err(_)) => Ok(None),
    })
}

fn null_unix(namespace: &Namespace, path: &Path) -> io::Result<()> {
    namespace.within(|| {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PROBE))?;
        null(stream)
    })?
}

fn null_tcp(namespace: &Namespace, port: u16) -> io::Result<()> {
    namespace.within(|| {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PROBE)?;
        stream.set_read_timeout(Some(PROBE))?;
        null(stream)
    })?
}

/// One NULL call of version 2 with record mark; any accepted answer to it will do.
fn null(mut stream: impl Read + Write) -> io::Result<()> {
    let words: [u32; 11] = [0x8000_0028, 0x7e57_0001, 0, 2, 100_000, 2, 0, 0, 0, 0, 0];
    let call: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    stream.write_all(&call)?;
    let mut reply = [0; 28];
    stream.read_exact(&mut reply)?;
    let accepted = reply.get(4..8) == call.get(4..8) && reply.get(12..16) == Some(&[0; 4]);
    if accepted { Ok(()) } else { Err(io::Error::other("not the answer to NULL")) }
}
