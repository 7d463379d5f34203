//! A port mapper with the kernel that answers its questions, as the daemon's loop drives it.

use crate::callers::{HOME, interfaces};
use crate::calls::XID;
use core::net::SocketAddr;
use core::time::Duration;
use oncrpc::bind::{self, Rpcb};
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, AuthStatus, Call, Reply};
use rpcbind_core::caller::{Caller, Now, Transport};
use rpcbind_core::facts::{BoundFact, Facts, OwnerFact, Question, Socket};
use rpcbind_core::liveness::{Candidate, Judged};
use rpcbind_core::outcome::{Change, Forward, Outcome, Reason, Refusal, RemoteEnd, RemoteId, Why};
use rpcbind_core::registry::Row;
use rpcbind_core::settings::{OwnAddress, Policy};
use rpcbind_core::{Service, Settings};

/// Tables longer than this are not compared before and after each question.
const COMPARED_ROWS: usize = 100;

pub(crate) struct Host {
    pub(crate) service: Service,
    /// What sock_diag says about the socket at the caller's end.
    pub(crate) owner: OwnerFact,
    /// What sock_diag says about the address of a row.
    pub(crate) bound: BoundFact,
    pub(crate) unix_seconds: u32,
    pub(crate) monotonic: Duration,
}

/// The end of a remote call, with the bytes that leave.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) end: RemoteEnd,
    pub(crate) reply: Option<Vec<u8>>,
}

/// How a message ended, with the questions that were asked on the way.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) why: Why,
    pub(crate) questions: Vec<Question>,
    pub(crate) change: Option<Change>,
    /// Nothing left when `None`.
    pub(crate) reply: Option<Vec<u8>>,
    /// The service that is to be called.
    pub(crate) forward: Option<Forward>,
}

/// Settings with the rows of Debian's daemon.
pub(crate) fn settings() -> Settings {
    let own = |transport, address: &str| OwnAddress { transport, address: address.into() };
    Settings {
        home: HOME,
        own: vec![
            own(Transport::Tcp6, "::.0.111"),
            own(Transport::Udp6, "::.0.111"),
            own(Transport::Tcp, "0.0.0.0.0.111"),
            own(Transport::Udp, "0.0.0.0.0.111"),
            own(Transport::Local, "/run/rpcbind.sock"),
        ],
        ..Settings::default()
    }
}

/// Whether a message is SET or UNSET.
fn is_change(message: &[u8]) -> bool {
    Call::decode(message).is_ok_and(|call| matches!(call.procedure, bind::SET | bind::UNSET))
}

/// A socket that sock_diag can find nothing wrong with.
pub(crate) fn socket(uid: u32, port: u16) -> Socket {
    Socket { uid, inode: 4_711, established: true, port, ours: false }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let mut service = Service::new(settings);
        service.set_interfaces(interfaces());
        Self {
            service,
            owner: OwnerFact::Unknown,
            bound: BoundFact::Unknown,
            unix_seconds: 1_700_000_000,
            monotonic: Duration::ZERO,
        }
    }

    pub(crate) fn with_policy(policy: Policy) -> Self {
        Self::with(Settings { policy, ..settings() })
    }

    /// Sends a message and answers what is asked about it. The lent buffer is as long as the budget says.
    pub(crate) fn send(&mut self, caller: &Caller, message: &[u8]) -> Ended {
        let room = self.service.budget(caller, message.len()).bytes();
        self.send_with_room(caller, message, room)
    }

    /// As [`Host::send`], with a buffer of this length.
    pub(crate) fn send_with_room(&mut self, caller: &Caller, message: &[u8], room: usize) -> Ended {
        let now = self.now();
        let mut buffer = vec![0xee; room];
        let (mut facts, mut questions) = (Facts::default(), Vec::new());
        loop {
            let before = is_change(message).then(|| self.snapshot());
            let handled = self.service.handle(now, caller, &facts, message, &mut buffer);
            let mut forward = None;
            let (reply, change) = match handled.outcome {
                Outcome::Silent => (None, None),
                Outcome::Forward(call) => {
                    forward = Some(call);
                    (None, None)
                }
                Outcome::Reply { len } => (Some(buffer[..len].to_vec()), None),
                Outcome::Table { len, body } => {
                    assert!(!matches!(caller, Caller::Datagram(_)), "a table as a datagram");
                    (Some([&buffer[..len], &body[..]].concat()), None)
                }
                Outcome::Commit { len, change } => (Some(buffer[..len].to_vec()), Some(change)),
                Outcome::Need(question) => {
                    assert_eq!(handled.why.reason, Reason::Pending);
                    assert!(before.is_some(), "only changes ask");
                    assert_eq!(
                        before,
                        Some(self.snapshot()),
                        "something happened although a fact is missing"
                    );
                    match &question {
                        Question::Owner { .. } => {
                            assert_eq!(facts.owner.replace(self.owner.clone()), None, "asked twice");
                        }
                        Question::Bound { .. } => {
                            assert_eq!(facts.bound.replace(self.bound), None, "asked twice");
                        }
                    }
                    questions.push(question);
                    continue;
                }
            };
            assert_ne!(handled.why.reason, Reason::Pending);
            return Ended { why: handled.why, questions, change, reply, forward };
        }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.monotonic, unix_seconds: self.unix_seconds }
    }

    /// A datagram comes in on a socket that calls leave from; `None` when it answers none.
    pub(crate) fn answered(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Late> {
        let now = self.now();
        Late::of(|reply| self.service.answered(now, from, datagram, reply))
    }

    /// A call could not be sent.
    pub(crate) fn undeliverable(&mut self, call: RemoteId) -> Option<Late> {
        let now = self.now();
        Late::of(|reply| self.service.undeliverable(now, call, reply))
    }

    /// The kernel gives back what was sent to a service.
    pub(crate) fn unreachable(&mut self, to: SocketAddr, message: &[u8]) -> Option<Late> {
        let now = self.now();
        Late::of(|reply| self.service.unreachable(now, to, message, reply))
    }

    /// A call ends whose time is over at a moment.
    pub(crate) fn expire(&mut self, monotonic: Duration) -> Option<Late> {
        let now = Now { monotonic, ..self.now() };
        Late::of(|reply| self.service.expire(now, reply))
    }

    /// Registers what another port mapper has.
    pub(crate) fn take_rows(mut self, other: &Self) -> Self {
        let rows: Vec<Row> = other.service.registry().rows().cloned().collect();
        for row in rows.into_iter().filter(|row| row.program != bind::PROGRAM) {
            assert_eq!(self.service.restore(row), Ok(()));
        }
        self
    }

    /// Judges every row on the evidence for it, the exact question answered alike, and collects what is told.
    pub(crate) fn sweep(&mut self, evidence: impl Fn(&Candidate<'_>) -> BoundFact) -> Vec<Judged> {
        let (now, mut sweep, mut told) = (self.now(), self.service.sweep(), Vec::new());
        let rows = self.service.to_judge(&mut sweep, usize::MAX).map(|row| (row.id, evidence(&row)));
        for (id, bound) in rows.collect::<Vec<_>>() {
            let mut judged = self.service.judge(now, id, bound, &Facts::default());
            if matches!(judged, Judged::Need(_)) {
                let exactly = Facts { bound: Some(bound), ..Facts::default() };
                judged = self.service.judge(now, id, bound, &exactly);
            }
            told.extend((judged != Judged::Unchanged).then_some(judged));
        }
        assert!(sweep.is_finished());
        told
    }

    /// Everything that the port mapper knows. Long tables and the limiter's are not looked at.
    fn snapshot(&self) -> Option<String> {
        let is_short = self.service.registry().len() <= COMPARED_ROWS && self.service.calls_under_way() < 10;
        let compares = is_short && self.service.policy().limits.is_none();
        compares.then(|| format!("{:?}", self.service))
    }

    /// The rows that are not the port mapper's own: program, version, netid, address, owner.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = self.service.registry().rows().filter(|row| row.program != bind::PROGRAM);
        rows.map(|row| {
            let netid = self.service.netids().name(row.netid);
            format!("{} {} {netid} {} {:?}", row.program, row.version, row.address, row.owner)
        })
        .collect()
    }
}

impl Late {
    fn of(end: impl FnOnce(&mut [u8]) -> Option<RemoteEnd>) -> Option<Self> {
        let mut buffer = vec![0xee; 9_000];
        let end = end(&mut buffer)?;
        if let Some(late) = &end.reply {
            assert!(late.len <= late.budget.bytes(), "{} bytes leave for {:?}", late.len, late.budget);
        }
        let reply = end.reply.as_ref().map(|late| buffer[..late.len].to_vec());
        Some(Self { end, reply })
    }

    /// The answer, checked for its xid; `None` is silence.
    #[track_caller]
    pub(crate) fn answer(&self) -> Option<Answer<'_>> {
        let reply = Reply::decode(self.reply.as_deref()?).unwrap();
        assert_eq!(reply.xid, XID);
        Some(reply.answer)
    }
}

impl Ended {
    /// The results of an accepted call.
    #[track_caller]
    pub(crate) fn results(&self) -> &[u8] {
        match self.answer() {
            Some(Answer::Success(results)) => results,
            other => panic!("{other:?} for {:?}", self.why),
        }
    }

    /// The answer, checked for its xid; `None` is silence.
    #[track_caller]
    pub(crate) fn answer(&self) -> Option<Answer<'_>> {
        let reply = Reply::decode(self.reply.as_deref()?).unwrap();
        assert_eq!(reply.xid, XID);
        Some(reply.answer)
    }

    /// SET and UNSET: TRUE, and a change to keep.
    #[track_caller]
    pub(crate) fn is_true(&self) -> bool {
        let value = match self.results() {
            [0, 0, 0, value @ (0 | 1)] => *value == 1,
            other => panic!("{other:?} is not a boolean"),
        };
        assert_eq!(value, self.change.is_some(), "TRUE is always a commit, and FALSE never");
        assert_eq!(value, self.why.reason == Reason::Changed);
        value
    }

    /// SET and UNSET: FALSE, for this reason.
    #[track_caller]
    pub(crate) fn is_refused(&self, refusal: Refusal) {
        assert!(!self.is_true(), "TRUE where {refusal:?} was due");
        assert_eq!(self.why.reason, Reason::Refused(refusal));
    }

    /// AUTH_TOOWEAK, for this reason.
    #[track_caller]
    pub(crate) fn is_too_weak(&self, reason: Reason) {
        assert_eq!(self.answer(), Some(Answer::AuthError(AuthStatus::TooWeak)));
        assert_eq!(self.why.reason, reason);
        assert_eq!(self.reply.as_ref().map(Vec::len), Some(20));
    }

    /// A number as the only result.
    #[track_caller]
    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.results().try_into().unwrap())
    }

    /// A string as the only result.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let mut reader = Reader::new(self.results());
        let text = reader.opaque(9_000).unwrap();
        reader.finish().unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }
}

/// The rows of a DUMP of version 3 or 4: program, version, netid, address, owner.
#[track_caller]
pub(crate) fn dump(ended: &Ended) -> Vec<(u32, u32, String, String, String)> {
    let mut list = List::<Rpcb<'_>>::new(Reader::new(ended.results()));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows = list.by_ref().map(|row| {
        let row = row.unwrap();
        (row.program.0, row.version.0, text(row.netid), text(row.address), text(row.owner))
    });
    let rows = rows.collect();
    list.reader().finish().unwrap();
    rows
}
