//! The end of all waiting for one operation. There is always one: no call of this crate can wait for ever.

use std::time::{Duration, Instant};

/// The longest limit that is kept; longer ones are cut to it.
const LONGEST: Duration = Duration::from_hours(24);
/// The shortest wait that a socket takes: zero would mean for ever.
const SHORTEST: Duration = Duration::from_micros(1);

/// A moment at which an operation gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// Ends `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { start: Instant::now(), limit: limit.min(LONGEST) }
    }

    /// Time since the operation began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long the operation may take in all.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Time until its end; `None` when that has come.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.limit.checked_sub(self.elapsed()).filter(|left| *left >= SHORTEST)
    }

    /// A fair part of what is left when `tries` more tries may follow; the last one takes all of it.
    pub(crate) fn share(&self, tries: usize) -> Option<Duration> {
        let tries = u32::try_from(tries).unwrap_or(u32::MAX).max(1);
        self.left().map(|left| (left / tries).max(SHORTEST))
    }
}
