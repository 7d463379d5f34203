//! A child process in a namespace: started, watched, signalled and collected by process id.
//! What it writes is read as it comes, so that it never blocks on a full pipe. It is killed when dropped.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::namespace::Namespace;
use crate::wait::DEADLINE;

/// How a process ended, and all it wrote.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit status, or the signal.
    pub status: ExitStatus,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

/// A running process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    stdout: Collected,
    stderr: Collected,
}

impl Process {
    /// Starts `command` inside `namespace`, with both outputs collected and no input unless the command has one.
    ///
    /// # Errors
    /// Entering or starting failed.
    pub fn spawn(namespace: &Namespace, command: &mut Command) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = namespace.within(|| command.spawn())?;
        let mut child = started.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let (stdout, stderr) = (Collected::from(child.stdout.take())?, Collected::from(child.stderr.take())?);
        let pidfd = pidfd_open(pid_of(&child)?, PidfdFlags::empty())?;
        Ok(Self { name, child, pidfd, stdout, stderr })
    }

    /// Takes over a child that was started in another way, and the reading ends of its two outputs.
    pub(crate) fn adopt<R: Read + AsFd + Send + 'static>(
        name: String,
        child: Child,
        [stdout, stderr]: [R; 2],
    ) -> io::Result<Self> {
        let (stdout, stderr) = (Collected::from(Some(stdout))?, Collected::from(Some(stderr))?);
        let pidfd = pidfd_open(pid_of(&child)?, PidfdFlags::empty())?;
        Ok(Self { name, child, pidfd, stdout, stderr })
    }

    /// Its number as the test sees it, outside the namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readable when the process has ended: for waiting on that and something else.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// What it has written to standard output up to now.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error up to now.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// All that it has written to standard error by now; waits for what is still on its way.
    pub(crate) fn last_words(&self) -> String {
        self.stderr.drain();
        self.stderr()
    }

    /// Its exit status when it has ended.
    ///
    /// # Errors
    /// The kernel's, which does not happen to a child that is ours.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process has ended and been collected.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Waits for its end and collects what it wrote.
    ///
    /// # Errors
    /// It did not end in time: it is killed, and the error tells what it had written.
    pub fn finish(mut self) -> io::Result<Finished> {
        let mut watched = [PollFd::new(&self.pidfd, PollFlags::IN)];
        if poll(&mut watched, Some(&timespec(DEADLINE)))? == 0 {
            let (name, stdout, stderr) = (&self.name, self.stdout(), self.stderr());
            let message = format!("{name}: did not end within {DEADLINE:?}: {stdout:?} {stderr:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        let status = self.child.wait()?;
        self.stdout.drain();
        self.stderr.drain();
        Ok(Finished { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// Sends SIGTERM, then as [`Process::finish`].
    ///
    /// # Errors
    /// As there.
    pub fn terminate(self) -> io::Result<Finished> {
        // An error says that it has ended before; how, finish tells.
        let _ = self.signal(Signal::TERM);
        self.finish()
    }

    /// Sends SIGKILL, then as [`Process::finish`].
    ///
    /// # Errors
    /// As there.
    pub fn kill(self) -> io::Result<Finished> {
        // As above.
        let _ = self.signal(Signal::KILL);
        self.finish()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `timeout` as the kernel wants it.
#[must_use]
pub fn timespec(timeout: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    }
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    let raw = i32::try_from(child.id()).map_err(io::Error::other)?;
    Pid::from_raw(raw).ok_or_else(|| io::Error::other("process 0"))
}

/// What came out of one pipe so far.
#[derive(Debug, Clone)]
struct Collected {
    state: Arc<(Mutex<Written>, Condvar)>,
    /// Written to when somebody wants to know that the pipe is empty.
    asked: Arc<OwnedFd>,
}

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    /// Nothing more can come.
    ended: bool,
    /// The pipe was seen empty since somebody asked.
    emptied: bool,
}

impl Collected {
    fn from<R: Read + AsFd + Send + 'static>(pipe: Option<R>) -> io::Result<Self> {
        let ended = pipe.is_none();
        let state = Arc::new((Mutex::new(Written { ended, ..Written::default() }), Condvar::new()));
        let collected = Self { state, asked: Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?) };
        if let Some(mut pipe) = pipe {
            let into = collected.clone();
            std::thread::spawn(move || into.fill(&mut pipe));
        }
        Ok(collected)
    }

    /// Reads until the end. A question is answered only when nothing is there to be read.
    fn fill(&self, pipe: &mut (impl Read + AsFd)) {
        let mut chunk = [0; 4096];
        loop {
            let mut watched = [PollFd::new(&*pipe, PollFlags::IN), PollFd::new(&*self.asked, PollFlags::IN)];
            let polled = poll(&mut watched, None);
            let is_empty = watched[0].revents().is_empty();
            if polled == Err(Errno::INTR) {
                continue;
            }
            if polled.is_ok() && is_empty {
                // Readable: the poll has said so, and nobody else reads it.
                let _ = rustix::io::read(&*self.asked, &mut [0; 8]);
                self.change(|written| written.emptied = true);
                continue;
            }
            let read = pipe.read(&mut chunk).unwrap_or(0);
            self.change(|written| {
                written.bytes.extend(chunk.iter().take(read));
                written.ended = read == 0;
            });
            if read == 0 {
                return;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        let (state, changed) = &*self.state;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// Waits until all is collected that was written before. Grandchildren can hold the pipe open for longer.
    fn drain(&self) {
        let (state, changed) = &*self.state;
        let mut held = state.lock().unwrap_or_else(PoisonError::into_inner);
        held.emptied = false;
        if rustix::io::write(&*self.asked, &1_u64.to_ne_bytes()).is_err() {
            return;
        }
        let waited = changed.wait_timeout_while(held, DEADLINE, |held| !held.ended && !held.emptied);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn text(&self) -> String {
        let held = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&held.bytes).into_owned()
    }
}
