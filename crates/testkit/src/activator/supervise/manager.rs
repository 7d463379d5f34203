//! The manager's thread: notifications, the service's end, its signs of life, and what the test asks for.

use super::*;

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;

use rustix::event::{PollFd, PollFlags, poll};

use crate::activator::lifetime::Restart;
use crate::activator::notify::{Inbox, Notification};
use crate::activator::service::ServiceType;
use crate::activator::store::Store;
use crate::process::{Process, timespec};

pub(super) struct Manager {
    activator: Activator,
    namespace: Arc<Namespace>,
    sockets: Sockets,
    inbox: Inbox,
    store: Store,
    state: Arc<Mutex<State>>,
    process: Option<Process>,
    /// What the end of the service is to be followed by, when somebody asked for it.
    asked_to_end: Option<Wish>,
    /// The last sign of life.
    alive: Instant,
    by_watchdog: bool,
    start_at: Option<Instant>,
    started: VecDeque<Instant>,
}

impl Manager {
    pub(super) fn new(
        activator: Activator,
        namespace: Arc<Namespace>,
        sockets: Sockets,
        state: Arc<Mutex<State>>,
    ) -> io::Result<Self> {
        let inbox = Inbox::open(&namespace)?;
        let store = Store::new(activator.service.lifetime.store_max);
        Ok(Self {
            activator,
            namespace,
            sockets,
            inbox,
            store,
            state,
            process: None,
            asked_to_end: None,
            alive: Instant::now(),
            by_watchdog: false,
            start_at: None,
            started: VecDeque::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the service, unless it was started too often.
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.start_at = None;
        let lifetime = &self.activator.service.lifetime;
        let now = Instant::now();
        while self.started.front().is_some_and(|start| now.duration_since(*start) > lifetime.start_interval) {
            self.started.pop_front();
        }
        if self.started.len() >= lifetime.start_burst {
            return self.end();
        }
        self.started.push_back(now);
        self.store.let_go()?;
        let (process, _) = self.activator.launch(&self.namespace, &self.sockets, &self.store.kept)?;
        {
            let mut state = self.state();
            state.starts += 1;
            state.pid = Some(process.pid());
            state.ready = self.activator.service.kind == ServiceType::Simple;
        }
        self.process = Some(process);
        (self.alive, self.by_watchdog) = (Instant::now(), false);
        Ok(())
    }

    /// The service is not started again: nothing is kept for it.
    fn end(&mut self) -> io::Result<()> {
        self.store.kept.clear();
        let mut state = self.state();
        state.over = true;
        state.stored.clear();
        Ok(())
    }

    pub(super) fn run(mut self, wishes: &Receiver<Wish>, mut heard: PipeReader) {
        loop {
            match self.turn(wishes, &mut heard) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.state().error = Some(error.to_string());
                    return;
                }
            }
        }
    }

    /// Waits for something and does what it asks for; whether to go on.
    fn turn(&mut self, wishes: &Receiver<Wish>, heard: &mut PipeReader) -> io::Result<bool> {
        let (rung, closed) = self.wait(heard)?;
        if rung {
            let mut bytes = [0; 64];
            if heard.read(&mut bytes)? == 0 {
                return Ok(false);
            }
            loop {
                match wishes.try_recv() {
                    Ok(wish) => self.grant(wish)?,
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return Ok(false),
                }
            }
        }
        self.listen()?;
        if closed {
            self.store.let_go()?;
        }
        if self.process.as_mut().map(Process::ended).transpose()?.flatten().is_some() {
            self.ended()?;
        }
        self.look_at_the_clock()?;
        let stored = self.store.kept.iter().map(|stored| stored.name.clone()).collect();
        let refused = self.store.refused;
        let mut state = self.state();
        (state.stored, state.refused) = (stored, refused);
        Ok(true)
    }

    /// Waits; whether somebody rang, and whether the other end of something stored is closed.
    fn wait(&self, heard: &PipeReader) -> io::Result<(bool, bool)> {
        let watchdog = self.activator.service.lifetime.watchdog.filter(|_| self.awaits_life());
        let deadlines = [watchdog.map(|watchdog| self.alive + watchdog), self.start_at];
        let timeout = deadlines.into_iter().flatten().min();
        let timeout = timeout.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        let mut watched =
            vec![PollFd::new(heard, PollFlags::IN), PollFd::new(self.inbox.socket(), PollFlags::IN)];
        watched.extend(self.process.iter().map(|process| PollFd::new(process.pidfd(), PollFlags::IN)));
        let before_stored = watched.len();
        watched.extend(self.store.polled());
        poll(&mut watched, timeout.as_ref())?;
        let is_reported = |place: &PollFd<'_>| !place.revents().is_empty();
        Ok((watched.first().is_some_and(is_reported), watched.iter().skip(before_stored).any(is_reported)))
    }

    /// Signs of life are wanted from a service that is ready and was not told to end.
    fn awaits_life(&self) -> bool {
        self.process.is_some() && !self.by_watchdog && self.asked_to_end.is_none() && self.state().ready
    }

    fn grant(&mut self, wish: Wish) -> io::Result<()> {
        let running = self.process.as_ref();
        match (wish, running) {
            (Wish::Signal(signal), Some(process)) => process.signal(signal),
            (Wish::Signal(_), None) => Ok(()),
            (wish @ (Wish::Restart | Wish::Stop), Some(process)) => {
                process.signal(Signal::TERM)?;
                self.asked_to_end = Some(wish);
                Ok(())
            }
            (Wish::Restart, None) => self.start(),
            (Wish::Stop, None) => {
                self.start_at = None;
                self.end()
            }
        }
    }

    /// Takes notifications.
    fn listen(&mut self) -> io::Result<()> {
        let Some(pid) = self.process.as_ref().map(Process::pid) else { return Ok(()) };
        self.inbox.collect(pid)?;
        for mut notification in std::mem::take(&mut self.inbox.received) {
            self.store.obey(&mut notification)?;
            self.note(notification);
        }
        Ok(())
    }

    fn note(&mut self, notification: Notification) {
        if notification.value("READY") == Some("1") || notification.value("WATCHDOG") == Some("1") {
            self.alive = Instant::now();
        }
        let mut state = self.state();
        if notification.value("WATCHDOG") == Some("1") {
            state.signs_of_life += 1;
            return;
        }
        state.ready |= notification.value("READY") == Some("1");
        let start = state.starts;
        state.told.push(Told { start, assignments: notification.assignments });
    }

    /// The service has ended: what it said last counts, and then its unit decides.
    fn ended(&mut self) -> io::Result<()> {
        self.listen()?;
        let Some(process) = self.process.take() else { return Ok(()) };
        let finished = process.finish()?;
        let (status, by_watchdog) = (finished.status, self.by_watchdog);
        {
            let mut state = self.state();
            (state.pid, state.ready) = (None, false);
            state.ends.push(End { status, by_watchdog, stderr: finished.stderr });
        }
        match self.asked_to_end.take() {
            Some(Wish::Restart) => return self.start(),
            Some(_) => return self.end(),
            None => {}
        }
        let lifetime = &self.activator.service.lifetime;
        let again = match lifetime.restart {
            Restart::No => false,
            Restart::OnFailure => by_watchdog || is_failure(status),
            Restart::Always => true,
        };
        if !again {
            return self.end();
        }
        self.start_at = Some(Instant::now() + lifetime.restart_delay);
        Ok(())
    }

    fn look_at_the_clock(&mut self) -> io::Result<()> {
        if self.start_at.is_some_and(|at| at <= Instant::now()) {
            return self.start();
        }
        let Some(watchdog) = self.activator.service.lifetime.watchdog else { return Ok(()) };
        if self.awaits_life() && self.alive.elapsed() >= watchdog {
            self.by_watchdog = true;
            if let Some(process) = &self.process {
                process.signal(Signal::ABORT)?;
                // One that was stopped takes the signal only when it goes on.
                process.signal(Signal::CONT)?;
            }
        }
        Ok(())
    }
}

/// Whether an end is a failure: neither status 0 nor one of the signals that services are ended by.
fn is_failure(status: ExitStatus) -> bool {
    let ordinary = [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE].map(Signal::as_raw);
    !status.success() && !status.signal().is_some_and(|signal| ordinary.contains(&signal))
}
