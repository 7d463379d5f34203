//! A service under a manager for as long as the test likes: what it stores is kept and passed back, its signs of life
//! are wanted in time, and when it fails it is started again. A thread plays the manager; it must never start what it
//! was told to stop, and takes the service with it when it ends.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Activator;
use super::sockets::Sockets;
use crate::{Namespace, wait};

mod manager;

use manager::Manager;

/// How a run of the service ended.
#[derive(Debug, Clone)]
pub struct End {
    /// Exit status, or the signal.
    pub status: ExitStatus,
    /// Whether the watchdog had ended it.
    pub by_watchdog: bool,
    /// All that it had written to standard error.
    pub stderr: String,
}

/// One notification, signs of life excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which start of the service it is from, the first being 1.
    pub start: usize,
    /// `NAME` and `value` of each line.
    pub assignments: Vec<(String, String)>,
}

impl Told {
    /// The value assigned to a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.assignments.iter().find(|(assigned, _)| assigned == name).map(|(_, value)| value.as_str())
    }
}

/// What is known about the service, as the manager's thread saw it last.
#[derive(Debug, Default)]
struct State {
    starts: usize,
    pid: Option<u32>,
    ready: bool,
    ends: Vec<End>,
    told: Vec<Told>,
    signs_of_life: usize,
    stored: Vec<String>,
    refused: usize,
    /// It is not started again.
    over: bool,
    error: Option<String>,
}

/// What the manager is asked to do.
#[derive(Debug)]
enum Wish {
    Signal(Signal),
    Restart,
    Stop,
}

/// A service that is kept running. Killed when dropped.
#[derive(Debug)]
pub struct Supervised {
    state: Arc<Mutex<State>>,
    wishes: Sender<Wish>,
    bell: PipeWriter,
    thread: Option<JoinHandle<()>>,
}

impl Activator {
    /// Starts the service and keeps it running, as its unit says.
    ///
    /// # Errors
    /// It could not be started the first time, or was not ready in time.
    pub fn supervise(self, namespace: Arc<Namespace>, sockets: Sockets) -> io::Result<Supervised> {
        let state = Arc::new(Mutex::new(State::default()));
        let (wishes, asked) = mpsc::channel();
        let (heard, bell) = io::pipe()?;
        let mut manager = Manager::new(self, namespace, sockets, state.clone())?;
        manager.start()?;
        let thread = std::thread::spawn(move || manager.run(&asked, heard));
        let supervised = Supervised { state, wishes, bell, thread: Some(thread) };
        supervised.wait_ready(1)?;
        Ok(supervised)
    }
}

impl Supervised {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, wish: Wish) -> io::Result<()> {
        self.wishes.send(wish).map_err(io::Error::other)?;
        (&self.bell).write_all(&[0])
    }

    /// The service's process id as the test sees it, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.state().pid
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.state().starts
    }

    /// How its runs ended, in order.
    #[must_use]
    pub fn ends(&self) -> Vec<End> {
        self.state().ends.clone()
    }

    /// Every notification, in order, signs of life excepted.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.state().told.clone()
    }

    /// How many signs of life it has given.
    #[must_use]
    pub fn signs_of_life(&self) -> usize {
        self.state().signs_of_life
    }

    /// The names of the descriptors that are stored, in order.
    #[must_use]
    pub fn stored(&self) -> Vec<String> {
        self.state().stored.clone()
    }

    /// How many descriptors were not stored because the store was full.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// Whether it is not started again: it was stopped, ended by itself, or was started too often.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state().over
    }

    /// Sends the service a signal.
    ///
    /// # Errors
    /// The manager has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.wish(Wish::Signal(signal))
    }

    /// Waits until the service has been started so often and is ready.
    ///
    /// # Errors
    /// It never was: with how its runs ended.
    pub fn wait_ready(&self, starts: usize) -> io::Result<()> {
        self.wait("ready", |supervised| {
            let state = supervised.state();
            state.starts >= starts && state.ready
        })
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// It never did, or the manager failed.
    pub fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) -> io::Result<()> {
        let waited = wait::until(what, || {
            if let Some(error) = &self.state().error {
                return Err(io::Error::other(error.clone()));
            }
            Ok(condition(self).then_some(()))
        });
        waited.map_err(|error| io::Error::new(error.kind(), format!("{error}: {:?}", self.state())))
    }

    /// A restart as an administrator orders it: the service is asked to end, what it has stored is kept, and it is
    /// started again at once. Answers when it is ready.
    ///
    /// # Errors
    /// It did not end, or was not ready again.
    pub fn restart(&self) -> io::Result<()> {
        let starts = self.starts();
        self.wish(Wish::Restart)?;
        self.wait_ready(starts + 1)
    }

    /// A reload by the protocol of `Type=notify-reload`: answers when the service has said that it has begun, at a
    /// time after the order, and then that it is ready.
    ///
    /// # Errors
    /// It never said so.
    pub fn reload(&self) -> io::Result<()> {
        let (before, ordered) = (self.state().told.len(), monotonic());
        self.signal(Signal::HUP)?;
        self.wait("reloaded", |supervised| {
            let told = supervised.told();
            let mut after = told.iter().skip(before);
            let began = |told: &Told| told.value("MONOTONIC_USEC").and_then(|time| time.parse::<u128>().ok());
            after.any(|told| told.value("RELOADING") == Some("1") && began(told) >= Some(ordered.as_micros()))
                && after.any(|told| told.value("READY") == Some("1"))
        })
    }

    /// Asks the service to end, lets go of what it has stored, and does not start it again. Answers how it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn stop(&self) -> io::Result<End> {
        self.wish(Wish::Stop)?;
        self.wait("stopped", Self::is_over)?;
        self.ends().pop().ok_or_else(|| io::Error::other("it never ran"))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // The manager ends when nobody can ask it for anything any more: both fail when it has ended already.
        let (gone, _) = mpsc::channel();
        self.wishes = gone;
        let _ = (&self.bell).write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn monotonic() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).unwrap_or_default()
}
