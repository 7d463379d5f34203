//! Between the sockets and the service: hands a message in, answers the questions that come back, passes changes to
//! the journal, and says what has to leave and when. It decides nothing itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rpcbind_core::caller::{Caller, Now};
use rpcbind_core::facts::{Facts, Question};
use rpcbind_core::outcome::{Change, Forward, LateReply, Outcome, RemoteEnd, RemoteId, Why};
use rpcbind_core::{Budget, Service};

use super::forward::Outlets;
use super::poller::Token;
use super::registrars::Registrars;

/// Where the facts come from that only the kernel knows. It must answer within milliseconds.
pub(crate) trait KernelFacts {
    /// Answers a question.
    fn answer(&mut self, question: &Question, facts: &mut Facts);
}

/// Where accepted changes are kept.
pub(crate) trait Journal {
    /// Takes a change that has just been made; an empty one repeats a promise that is not kept yet.
    fn append(&mut self, change: &Change, service: &Service);
    /// Makes everything appended durable, or finds out that it cannot be: afterwards the replies leave. Called at the
    /// end of a turn of the loop and where replies cannot wait for it, and only when something was appended or
    /// [`Journal::deadline`] has passed.
    fn sync(&mut self, now: Duration, service: &mut Service);
    /// Makes the table that a run begins with durable. Called once, before any change.
    fn begin(&mut self, _now: Duration, _service: &mut Service) {}
    /// When [`Journal::sync`] has to be called although nothing was appended.
    fn deadline(&self) -> Option<Duration> {
        None
    }
    /// Leaves the table to whoever comes next. Called once, after the last change.
    fn finish(&mut self, _now: Duration, _service: &Service) {}
}

/// Who wants to know how messages ended: logs and metrics.
pub(crate) trait Observer {
    /// A message from `caller` ended; `facts` is what the kernel was asked about it.
    fn handled(&mut self, caller: &Caller, facts: &Facts, why: &Why);
    /// A remote call ended that a message from `caller` had begun.
    fn ended(&mut self, caller: &Caller, why: &Why);
}

/// The way that a message came, and by which it is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The datagram socket that the loop has this number for.
    Datagram(usize),
    /// The connection with this token, while it is there.
    Stream(Token),
}

/// A remote call that has ended, with what leaves for it.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The way that it was asked for.
    pub(crate) route: Option<Route>,
    /// Who did.
    pub(crate) caller: Caller,
    /// What leaves, if anything does.
    pub(crate) reply: Option<LateReply>,
}

/// What has to leave for one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing.
    Silent,
    /// Nothing now: a remote call was made, whose [`Ended`] comes.
    Later,
    /// The first `len` bytes of the reply buffer, now.
    Reply {
        /// Their number.
        len: usize,
    },
    /// The first `len` bytes of the reply buffer, after the next [`Dispatch::sync`].
    Held {
        /// Their number.
        len: usize,
    },
    /// The first `len` bytes of the reply buffer and this list behind them.
    Table {
        /// Their number.
        len: usize,
        /// The list.
        body: Arc<[u8]>,
    },
}

/// The service with all that it needs to know.
pub(crate) struct Dispatch {
    /// The service.
    pub(crate) service: Service,
    /// Who has registered something and runs; `None`: nobody is watched.
    pub(crate) registrars: Option<Registrars>,
    kernel: Box<dyn KernelFacts + Send>,
    journal: Box<dyn Journal + Send>,
    observer: Box<dyn Observer + Send>,
    began: Instant,
    now: Now,
    unsynced: bool,
    /// The last message has added a row.
    has_added: bool,
    outlets: Option<Outlets>,
    /// The way of the message that is being handled.
    route: Route,
    /// The ways of the remote calls under way.
    routes: BTreeMap<RemoteId, Route>,
    /// Time that does not pass by itself.
    #[cfg(test)]
    stopped_at: Option<Duration>,
}

/// Keeps nothing: what is registered lives as long as the process.
#[derive(Debug)]
pub(crate) struct NoJournal;

impl Journal for NoJournal {
    fn append(&mut self, _: &Change, _: &Service) {}
    fn sync(&mut self, _: Duration, _: &mut Service) {}
}

/// Knows nothing: the owner of every inet caller is unknown, and no service is ever judged dead.
#[derive(Debug)]
pub(crate) struct NoFacts;

impl KernelFacts for NoFacts {
    fn answer(&mut self, question: &Question, facts: &mut Facts) {
        use rpcbind_core::facts::{BoundFact, OwnerFact};
        match question {
            Question::Owner { .. } => facts.owner = Some(OwnerFact::Unknown),
            Question::Bound { .. } => facts.bound = Some(BoundFact::Unknown),
        }
    }
}

/// Tells nobody.
#[derive(Debug)]
pub(crate) struct NoObserver;

impl Observer for NoObserver {
    fn handled(&mut self, _: &Caller, _: &Facts, _: &Why) {}
    fn ended(&mut self, _: &Caller, _: &Why) {}
}

impl Dispatch {
    /// A service with its surroundings.
    pub(crate) fn new(
        service: Service,
        kernel: Box<dyn KernelFacts + Send>,
        journal: Box<dyn Journal + Send>,
        observer: Box<dyn Observer + Send>,
    ) -> Self {
        let now = Now { monotonic: Duration::ZERO, unix_seconds: 0 };
        let mut dispatch = Self {
            service,
            registrars: None,
            kernel,
            journal,
            observer,
            began: Instant::now(),
            now,
            unsynced: false,
            has_added: false,
            outlets: None,
            route: Route::Datagram(usize::MAX),
            routes: BTreeMap::new(),
            #[cfg(test)]
            stopped_at: None,
        };
        dispatch.look_at_the_clock();
        dispatch
    }

    /// Has somebody else told how messages end.
    pub(crate) fn set_observer(&mut self, observer: Box<dyn Observer + Send>) {
        self.observer = observer;
    }

    /// Measures the time, for everything until the next call.
    pub(crate) fn look_at_the_clock(&mut self) {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.now = Now {
            monotonic: self.began.elapsed(),
            // The protocol counts in 32 bits (RFC 1833 section 2.2.1), which wrap in 2106.
            unix_seconds: u32::try_from(since_1970.as_secs() & u64::from(u32::MAX)).unwrap_or(0),
        };
        #[cfg(test)]
        if let Some(stopped_at) = self.stopped_at {
            self.now.monotonic = stopped_at;
        }
    }

    /// Lets so much time pass, and from then on none by itself.
    #[cfg(test)]
    pub(crate) fn push_the_clock(&mut self, by: Duration) {
        self.stopped_at = Some(self.now.monotonic + by);
        self.look_at_the_clock();
    }

    /// The time of the last look at the clock, since a fixed moment.
    pub(crate) fn now(&self) -> Duration {
        self.now.monotonic
    }

    /// The most that may answer a message of this length.
    pub(crate) fn budget(&self, caller: &Caller, message_len: usize) -> Budget {
        self.service.budget(caller, message_len)
    }

    /// Handles one message of a connection to its end; the reply goes to `reply`.
    pub(crate) fn handle_from(
        &mut self,
        socket: BorrowedFd<'_>,
        caller: &Caller,
        message: &[u8],
        reply: &mut [u8],
    ) -> Answer {
        let answer = self.handle(caller, message, reply);
        if self.has_added
            && let Some(registrars) = &mut self.registrars
        {
            registrars.note(caller, socket);
        }
        answer
    }

    /// Handles one message to its end; the reply goes to `reply`.
    pub(crate) fn handle(&mut self, caller: &Caller, message: &[u8], reply: &mut [u8]) -> Answer {
        let mut facts = Facts::default();
        self.has_added = false;
        // Each of the two kinds of question is asked at most once; one more than that would be a loop.
        for _ in 0..3 {
            let handled = self.service.handle(self.now, caller, &facts, message, reply);
            if let Outcome::Need(question) = &handled.outcome {
                self.kernel.answer(question, &mut facts);
                continue;
            }
            self.observer.handled(caller, &facts, &handled.why);
            return match handled.outcome {
                Outcome::Reply { len } => Answer::Reply { len },
                Outcome::Table { len, body } => Answer::Table { len, body },
                // A repeated SET or UNSET, and what it repeats is not waiting for the sync.
                Outcome::Commit { len, change } if change == Change::default() && !self.unsynced => {
                    Answer::Reply { len }
                }
                Outcome::Commit { len, change } => {
                    self.has_added = change.added.is_some();
                    self.journal.append(&change, &self.service);
                    self.unsynced = true;
                    Answer::Held { len }
                }
                Outcome::Forward(call) => self.forward(&call, reply),
                Outcome::Silent | Outcome::Need(_) => Answer::Silent,
            };
        }
        Answer::Silent
    }

    /// Has remote calls leave from these sockets.
    pub(crate) fn call_from(&mut self, outlets: Outlets) {
        self.outlets = Some(outlets);
    }

    /// Notes the way that the next messages come.
    pub(crate) fn comes_by(&mut self, route: Route) {
        self.route = route;
    }

    /// Sends a remote call. One that cannot be sent ends at once.
    fn forward(&mut self, call: &Forward, reply: &mut [u8]) -> Answer {
        if self.outlets.as_ref().is_some_and(|outlets| outlets.send(call)) {
            self.routes.insert(call.call, self.route);
            return Answer::Later;
        }
        let end = self.service.undeliverable(self.now, call.call, reply);
        match end.and_then(|end| self.end(end).reply) {
            Some(LateReply { len, .. }) => Answer::Reply { len },
            None => Answer::Silent,
        }
    }

    /// Handles a datagram on a socket that remote calls leave from; `None` when it ends no call.
    pub(crate) fn answered(&mut self, from: SocketAddr, datagram: &[u8], reply: &mut [u8]) -> Option<Ended> {
        let end = self.service.answered(self.now, from, datagram, reply)?;
        Some(self.end(end))
    }

    /// Ends a remote call that did not arrive; `None` when it is none under way.
    pub(crate) fn came_back(&mut self, to: SocketAddr, message: &[u8], reply: &mut [u8]) -> Option<Ended> {
        let end = self.service.unreachable(self.now, to, message, reply)?;
        Some(self.end(end))
    }

    /// Ends a remote call whose time is over.
    pub(crate) fn expired(&mut self, reply: &mut [u8]) -> Option<Ended> {
        let end = self.service.expire(self.now, reply)?;
        Some(self.end(end))
    }

    /// When [`Dispatch::expired`] has to be called.
    pub(crate) fn calls_deadline(&self) -> Option<Duration> {
        self.service.next_deadline()
    }

    fn end(&mut self, end: RemoteEnd) -> Ended {
        let RemoteEnd { call, caller, why, reply } = end;
        self.observer.ended(&caller, &why);
        Ended { route: self.routes.remove(&call), caller, reply }
    }

    /// The time of the last look at the clock.
    pub(crate) fn time(&self) -> Now {
        self.now
    }

    /// Asks the kernel.
    pub(crate) fn ask(&mut self, question: &Question) -> Facts {
        let mut facts = Facts::default();
        self.kernel.answer(question, &mut facts);
        facts
    }

    /// Keeps a change that nobody has called for; it is durable at the end of the turn.
    pub(crate) fn keep(&mut self, change: &Change) {
        self.journal.append(change, &self.service);
        self.unsynced = true;
    }

    /// Whether replies are held back until [`Dispatch::sync`].
    pub(crate) fn holds_replies(&self) -> bool {
        self.unsynced
    }

    /// Ends the holding back of replies: what was changed is durable now, or known to be not.
    pub(crate) fn sync(&mut self) {
        if std::mem::take(&mut self.unsynced) {
            self.journal.sync(self.now.monotonic, &mut self.service);
        }
    }

    /// When [`Dispatch::retry`] has to be called although nothing happens.
    pub(crate) fn journal_deadline(&self) -> Option<Duration> {
        self.journal.deadline()
    }

    /// Tries again what could not be made durable, when it is time.
    pub(crate) fn retry(&mut self) {
        if self.journal.deadline().is_some_and(|deadline| deadline <= self.now.monotonic) {
            self.journal.sync(self.now.monotonic, &mut self.service);
        }
    }

    /// Keeps the table, as it is and as it changes, in a journal.
    pub(crate) fn begin_to_keep(&mut self, journal: Box<dyn Journal + Send>) {
        self.journal = journal;
        self.look_at_the_clock();
        self.journal.begin(self.now.monotonic, &mut self.service);
    }

    /// Ends the journal in order.
    pub(crate) fn finish(&mut self) {
        self.look_at_the_clock();
        self.journal.finish(self.now.monotonic, &self.service);
    }
}
