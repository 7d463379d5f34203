//! The client's side of one call: which datagrams answer it, when to send again, when to give up.
//! Time comes in as durations since a fixed moment of the caller's choosing.

use crate::number::Xid;
use crate::reply::Reply;
use core::time::Duration;

const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// When a call is sent again: after `first`, then after twice as long each time, `longest` at most, until `total`.
/// Waits shorter than a millisecond are taken as one, so that a loop around the deadlines never spins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first sending.
    pub first: Duration,
    /// The longest wait between two sendings.
    pub longest: Duration,
    /// When to give up, counted from the first sending.
    pub total: Duration,
}

/// What to do at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Send the same bytes again.
    Retransmit,
    /// No answer has come in time.
    GiveUp,
}

/// One call under way.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    xid: Xid,
    wait: Duration,
    longest: Duration,
    next: Duration,
    end: Duration,
}

impl Exchange {
    /// Begins with the first sending, which happens now.
    #[must_use]
    pub fn new(now: Duration, xid: Xid, schedule: Schedule) -> Self {
        let end = now.saturating_add(schedule.total);
        let wait = schedule.first.max(SHORTEST_WAIT);
        let next = now.saturating_add(wait).min(end);
        Self { xid, wait, longest: schedule.longest.max(SHORTEST_WAIT), next, end }
    }

    /// When [`Exchange::step`] has to be called next.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.next
    }

    /// What to do now. After [`Step::Retransmit`] the deadline is a later one.
    pub fn step(&mut self, now: Duration) -> Step {
        if now >= self.end {
            return Step::GiveUp;
        }
        if now < self.next {
            return Step::Wait;
        }
        self.wait = self.wait.saturating_mul(2).min(self.longest);
        self.next = now.saturating_add(self.wait).min(self.end);
        Step::Retransmit
    }

    /// The reply in this message, when it is one to this call. Anything else is somebody else's or garbage, and the
    /// exchange goes on.
    #[must_use]
    pub fn accept<'a>(&self, message: &'a [u8]) -> Option<Reply<'a>> {
        Reply::decode(message).ok().filter(|reply| reply.xid == self.xid)
    }
}
