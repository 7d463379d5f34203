//! Whether registered services are still there: every row of home is judged again and again against the sockets that
//! the shell has seen. A service is called dead only when an exact question says so, never because a list left it out.
//! Rows of another network namespace, the port mapper's own, and transports nobody can be asked about: never judged.

use crate::caller::Now;
use crate::facts::{BoundFact, Facts, Question};
use crate::outcome::Change;
use crate::registry::{Entry, Place, Row};
use crate::service::Service;
use alloc::string::ToString;
use alloc::vec;
use core::net::SocketAddr;
use core::time::Duration;
use oncrpc::bind::{self, Netid};
use oncrpc::{Program, Version};

/// What is known of a row's service. Moments are those of [`Now::monotonic`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Nothing: nobody has looked yet, or nobody can.
    #[default]
    NotJudged,
    /// Something is bound at its address.
    Alive {
        /// When that was found out first.
        since: Duration,
    },
    /// Nothing is bound at its address.
    Dead {
        /// When that was found out first.
        since: Duration,
    },
}

impl Liveness {
    /// Whether it is known to be dead.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Dead { .. })
    }
}

/// What has been found out since the start. Saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Services found dead by a sweep.
    pub died: u32,
    /// Of these, found again later under the same row.
    pub came_back: u32,
    /// Dead rows that a SET replaced.
    pub replaced: u32,
    /// Dead rows that were removed for their age.
    pub expired: u32,
}

/// One walk over the rows that were registered when it began. Rows that come later are left to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    next: usize,
    end: usize,
    before: u64,
}

impl Sweep {
    /// Whether every row has been handed out.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.next >= self.end
    }
}

/// Names a row until it goes. A row that is registered again has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(Place);

/// A row to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The row.
    pub id: RowId,
    /// Its netid's name.
    pub netid: &'a str,
    /// Its universal address.
    pub address: &'a str,
    /// The address as a socket address; `None` for unix sockets.
    pub socket: Option<SocketAddr>,
}

/// The end of [`Service::judge`]. What is told here is told once: it is for the log and the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// As before.
    Unchanged,
    /// Nothing was changed: judge the row again with the answer in `facts`.
    Need(Question),
    /// Its service has died.
    Died(Row),
    /// Its service, which had died, is there again.
    CameBack(Row),
    /// It has been dead for so long that it was removed: the change has to be kept.
    Expired(Change),
}

impl Service {
    /// Begins to judge all rows.
    #[must_use]
    pub fn sweep(&self) -> Sweep {
        Sweep { next: 0, end: self.registry.slots(), before: self.registry.next_serial() }
    }

    /// The next rows to be judged, after looking at `rows_max` rows at most.
    pub fn to_judge(&self, sweep: &mut Sweep, rows_max: usize) -> impl Iterator<Item = Candidate<'_>> {
        let until = sweep.next.saturating_add(rows_max).min(sweep.end);
        let rows = self.registry.in_slots(sweep.next..until, sweep.before);
        sweep.next = until;
        rows.filter(|(_, entry)| self.is_judged(entry)).map(|(place, entry)| Candidate {
            id: RowId(place),
            netid: self.settings.netids.name(entry.row.netid),
            address: &entry.row.address,
            socket: entry.socket,
        })
    }

    /// Judges a row: `seen` says whether a list of sockets has one at its address. Before a service is called dead or
    /// its row removed, [`Judged::Need`] asks about that address alone: call again with the answer in `facts`.
    pub fn judge(&mut self, now: Now, id: RowId, seen: BoundFact, facts: &Facts) -> Judged {
        let RowId(place) = id;
        let Some(entry) = self.registry.at(place).filter(|entry| self.is_judged(entry)) else {
            return Judged::Unchanged;
        };
        let since = match entry.liveness() {
            Liveness::Dead { since } => Some(since),
            _ => None,
        };
        let expires = since.is_some_and(|since| {
            let dead_for = now.monotonic.saturating_sub(since);
            self.settings.policy.liveness.expire_dead.is_some_and(|limit| dead_for >= limit)
        });
        match (seen, facts.bound) {
            (BoundFact::Unknown, _) | (BoundFact::Free, Some(BoundFact::Unknown)) => Judged::Unchanged,
            (BoundFact::Bound, _) | (BoundFact::Free, Some(BoundFact::Bound)) => self.alive(now, place),
            (BoundFact::Free, _) if since.is_some() && !expires => Judged::Unchanged,
            (BoundFact::Free, None) => Judged::Need(Question::Bound {
                netid: self.settings.netids.name(entry.row.netid).to_string(),
                address: entry.row.address.to_string(),
            }),
            (BoundFact::Free, Some(BoundFact::Free)) if expires => self.expire_row(place),
            (BoundFact::Free, Some(BoundFact::Free)) => self.dead(now, place),
        }
    }

    /// What has been found out since the start.
    #[must_use]
    pub fn liveness_counts(&self) -> Counts {
        self.deaths
    }

    /// A registrar says that its service is there: that is not believed, but death is not either any more.
    pub(crate) fn reconsider(&mut self, program: Program, version: Version, netid: Netid) {
        if let Some(place) = self.registry.place(program, version, netid) {
            self.registry.set_liveness(place, Liveness::NotJudged, true);
        }
    }

    fn is_judged(&self, entry: &Entry) -> bool {
        let known = ["udp", "tcp", "udp6", "tcp6", "local", "unix"];
        entry.row.program != bind::PROGRAM
            && entry.row.namespace == self.settings.home
            && known.contains(&self.settings.netids.name(entry.row.netid))
    }

    fn alive(&mut self, now: Now, place: Place) -> Judged {
        let Some(entry) = self.registry.at(place) else { return Judged::Unchanged };
        if matches!(entry.liveness(), Liveness::Alive { .. }) {
            return Judged::Unchanged;
        }
        let came_back = entry.missed.then(|| entry.row.clone());
        self.registry.set_liveness(place, Liveness::Alive { since: now.monotonic }, false);
        let Some(row) = came_back else { return Judged::Unchanged };
        self.deaths.came_back = self.deaths.came_back.saturating_add(1);
        Judged::CameBack(row)
    }

    fn dead(&mut self, now: Now, place: Place) -> Judged {
        let Some(entry) = self.registry.at(place) else { return Judged::Unchanged };
        let died = (!entry.missed).then(|| entry.row.clone());
        self.registry.set_liveness(place, Liveness::Dead { since: now.monotonic }, true);
        let Some(row) = died else { return Judged::Unchanged };
        self.deaths.died = self.deaths.died.saturating_add(1);
        Judged::Died(row)
    }

    fn expire_row(&mut self, place: Place) -> Judged {
        let key =
            self.registry.at(place).map(|entry| (entry.row.program, entry.row.version, entry.row.netid));
        let removed = key.and_then(|(program, version, netid)| self.registry.remove(program, version, netid));
        let Some(row) = removed else { return Judged::Unchanged };
        self.deaths.expired = self.deaths.expired.saturating_add(1);
        Judged::Expired(Change { removed: vec![row], added: None })
    }
}
