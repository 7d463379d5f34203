//! The loop: waits, lets every descriptor that is ready do a bounded amount of work, makes what was changed durable
//! at the turn's end (before it only for the next datagram socket), lets go the replies that waited. One thread. It
//! must never wait anywhere else, and never leave a descriptor with work that nothing will bring it back to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::dispatch::Dispatch;
use super::forward::Outlet;
use super::listen::{Endpoint, Socket};
use super::os::Batch;
use super::places::NOT_A_CONNECTION;
use super::poller::{Interest, Poller, Ready, Token};
use super::streams::{AcceptError, Accepted, Pace, Streams, Turn};
use crate::kept::Store;

mod datagrams;
mod remote;

/// How long a socket is left alone when the host is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// Something else with a descriptor that the loop watches for reading.
pub(crate) trait Watched {
    /// The descriptor; always the same.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Does a bounded amount of work. What is left is reported again.
    ///
    /// # Errors
    /// Ours only: the loop ends.
    fn on_readable(&mut self, dispatch: &mut Dispatch) -> io::Result<Next>;
}

/// Something that has to be done at some time.
pub(crate) trait Timed {
    /// How long from now until it has to be; `None` while nothing has to be.
    fn due_in(&self, dispatch: &Dispatch) -> Option<Duration>;

    /// Does it: a bounded amount of work.
    fn on_time(&mut self, dispatch: &mut Dispatch);
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It does.
    GoOn,
    /// It ends with this turn.
    Stop,
}

/// Why the loop cannot go on: all of it is ours.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// Waiting failed.
    #[error("cannot wait for descriptors: {0}")]
    Poller(#[source] io::Error),
    /// A datagram socket is broken.
    #[error("cannot receive datagrams at {endpoint}: {source}")]
    Receive {
        /// Which one.
        endpoint: Endpoint,
        /// What the kernel said.
        source: io::Error,
    },
    /// A listener is broken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// Something watched is broken.
    #[error("cannot go on watching: {0}")]
    Watched(#[source] io::Error),
}

/// What a token that is not a connection's stands for.
struct Source {
    kind: Kind,
    /// Set while it is left alone.
    paused_until: Option<Duration>,
}

enum Kind {
    Datagrams { socket: Socket, bound: SocketAddr },
    Listener { socket: Socket, pace: Pace },
    Answers(Outlet),
    Watched(Box<dyn Watched + Send>),
}

/// What was counted about datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatagramCounts {
    /// Received, those dropped included.
    pub(crate) received: u64,
    /// Dropped unread: longer than a message may be, or from no internet address.
    pub(crate) dropped: u64,
    /// Replies that the kernel took.
    pub(crate) sent: u64,
    /// Replies that the kernel refused.
    pub(crate) refused: u64,
    /// Errors that somebody else caused.
    pub(crate) errors: u64,
}

/// All descriptors, and what to do with them.
pub(crate) struct EventLoop {
    poller: Poller,
    sources: Vec<Source>,
    batch: Batch,
    /// The datagram socket whose replies wait in the batch until what was changed is durable.
    batch_held_for: Option<usize>,
    timers: Vec<Box<dyn Timed + Send>>,
    streams: Streams,
    dispatch: Dispatch,
    counts: DatagramCounts,
    turn: Turn,
    remote: remote::Buffers,
    stopping: bool,
}

impl EventLoop {
    /// A loop that watches nothing yet.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub(crate) fn new(dispatch: Dispatch, streams: Streams) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            sources: Vec::new(),
            batch: Batch::new(),
            batch_held_for: None,
            timers: Vec::new(),
            streams,
            dispatch,
            counts: DatagramCounts::default(),
            turn: Turn::default(),
            remote: remote::Buffers::new(),
            stopping: false,
        })
    }

    /// Serves a socket from now on.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) fn serve(&mut self, socket: Socket) -> io::Result<()> {
        self.add(match socket.endpoint {
            Endpoint::Udp(bound) => Kind::Datagrams { socket, bound },
            Endpoint::Tcp(_) | Endpoint::Path(_) | Endpoint::Abstract(_) => {
                Kind::Listener { socket, pace: Pace::default() }
            }
        })
    }

    /// Watches something else from now on.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) fn watch(&mut self, watched: Box<dyn Watched + Send>) -> io::Result<()> {
        self.add(Kind::Watched(watched))
    }

    /// Does something at its time from now on.
    pub(crate) fn time(&mut self, timed: Box<dyn Timed + Send>) {
        self.timers.push(timed);
    }

    fn add(&mut self, kind: Kind) -> io::Result<()> {
        let source = Source { kind, paused_until: None };
        self.poller.add(source.descriptor(), token(self.sources.len()), Interest::READ)?;
        self.sources.push(source);
        Ok(())
    }

    /// The sockets that are served.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.sources.iter().filter_map(|source| match &source.kind {
            Kind::Datagrams { socket, .. } | Kind::Listener { socket, .. } => Some(socket),
            Kind::Answers(_) | Kind::Watched(_) => None,
        })
    }

    /// All connections.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Stores root's unix connections with the service manager from now on, and serves those that an earlier run has
    /// stored. Answers how many of these were dead.
    pub(crate) fn keep_connections(&mut self, store: Store, room: usize, sockets: Vec<OwnedFd>) -> usize {
        self.streams.store(store, room);
        self.streams.take_back(sockets, &self.poller, &mut self.dispatch)
    }

    /// Stores what is to be stored before the end.
    pub(crate) fn leave_connections(&mut self) {
        self.streams.keep_all();
    }

    /// What was counted about datagrams.
    pub(crate) fn counts(&self) -> DatagramCounts {
        self.counts
    }

    /// The service with its surroundings.
    pub(crate) fn dispatch(&mut self) -> &mut Dispatch {
        &mut self.dispatch
    }

    /// Runs until something watched says to stop.
    ///
    /// # Errors
    /// [`LoopError`].
    pub(crate) fn run(&mut self) -> Result<(), LoopError> {
        while self.turn(None)? == Next::GoOn {}
        Ok(())
    }

    /// One turn: waits for at most `longest`, then does what there is to do.
    ///
    /// # Errors
    /// [`LoopError`].
    pub(crate) fn turn(&mut self, longest: Option<Duration>) -> Result<Next, LoopError> {
        let timeout = [longest, self.until_deadline()].into_iter().flatten().min();
        self.turn = self.turn.next(self.poller.reported_all());
        self.poller.wait(timeout).map_err(LoopError::Poller)?;
        self.dispatch.look_at_the_clock();
        let mut index = 0;
        while let Some(ready) = self.poller.ready(index) {
            self.ready(ready)?;
            index = index.saturating_add(1);
        }
        self.resume().map_err(LoopError::Poller)?;
        self.streams.expire(&self.poller, &mut self.dispatch);
        self.expire_calls();
        for timer in &mut self.timers {
            if timer.due_in(&self.dispatch).is_some_and(|left| left.is_zero()) {
                timer.on_time(&mut self.dispatch);
            }
        }
        self.dispatch.retry();
        self.let_go();
        Ok(if self.stopping { Next::Stop } else { Next::GoOn })
    }

    /// How long nothing has to be done if nothing happens.
    fn until_deadline(&self) -> Option<Duration> {
        if self.dispatch.holds_replies() {
            return Some(Duration::ZERO);
        }
        let paused = self.sources.iter().filter_map(|source| source.paused_until);
        let dispatch = &self.dispatch;
        let deadlines =
            [self.streams.next_deadline(), dispatch.journal_deadline(), dispatch.calls_deadline()];
        let deadline = paused.chain(deadlines.into_iter().flatten()).min();
        let left = deadline.map(|deadline| deadline.saturating_sub(self.dispatch.now()));
        self.timers.iter().filter_map(|timer| timer.due_in(&self.dispatch)).chain(left).min()
    }

    fn ready(&mut self, ready: Ready) -> Result<(), LoopError> {
        if ready.token.0 & NOT_A_CONNECTION == 0 {
            self.streams.serve(ready, &self.poller, &mut self.dispatch);
            return Ok(());
        }
        let Ok(index) = usize::try_from(ready.token.0 & !NOT_A_CONNECTION) else { return Ok(()) };
        let Some(source) = self.sources.get_mut(index).filter(|source| source.paused_until.is_none()) else {
            return Ok(());
        };
        let crowded = match &mut source.kind {
            Kind::Datagrams { .. } => self.datagrams(index)?,
            Kind::Answers(_) => self.answers(index),
            Kind::Listener { socket, pace } => {
                let pace = (pace, self.turn);
                self.streams.accept(socket, pace, &self.poller, &mut self.dispatch)? == Accepted::Crowded
            }
            Kind::Watched(watched) => {
                let next = watched.on_readable(&mut self.dispatch).map_err(LoopError::Watched)?;
                self.stopping |= next == Next::Stop;
                false
            }
        };
        if crowded { self.pause(index).map_err(LoopError::Poller) } else { Ok(()) }
    }

    /// Ends the waiting for the sync: what was changed is made durable, then the replies leave.
    fn let_go(&mut self) {
        if !self.dispatch.holds_replies() {
            return;
        }
        self.dispatch.sync();
        let held_for = self.batch_held_for.take().and_then(|index| self.sources.get(index));
        if let Some(Source { kind: Kind::Datagrams { socket, .. }, .. }) = held_for {
            datagrams::send(&mut self.batch, socket, &mut self.counts);
        }
        self.streams.release(&self.poller, &mut self.dispatch);
    }

    /// Leaves a socket alone for a while: reported again and again, it would keep the loop busy with nothing.
    fn pause(&mut self, index: usize) -> io::Result<()> {
        let until = self.dispatch.now().saturating_add(PAUSE);
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        source.paused_until = Some(until);
        self.poller.modify(source.descriptor(), token(index), Interest::default())
    }

    fn resume(&mut self) -> io::Result<()> {
        let now = self.dispatch.now();
        for (index, source) in self.sources.iter_mut().enumerate() {
            if source.paused_until.is_some_and(|until| until <= now) {
                source.paused_until = None;
                self.poller.modify(source.descriptor(), token(index), Interest::READ)?;
            }
        }
        Ok(())
    }
}

impl Source {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Datagrams { socket, .. } | Kind::Listener { socket, .. } => socket.as_fd(),
            Kind::Answers(outlet) => outlet.as_fd(),
            Kind::Watched(watched) => watched.descriptor(),
        }
    }
}

fn token(index: usize) -> Token {
    Token(u64::try_from(index).unwrap_or(0) | NOT_A_CONNECTION)
}

#[cfg(test)]
mod tests;
