//! The sweep over all rows: lists the sockets there are, then has every row judged against them, both a little at a
//! time, so that no call waits for it. What the core finds out is logged once; what expires goes to the journal.

use std::time::{Duration, Instant};

use log::{info, warn};
use rpcbind_core::Service;
use rpcbind_core::facts::{BoundFact, Facts};
use rpcbind_core::liveness::{Candidate, Judged, RowId, Sweep};
use rpcbind_core::registry::Row;

use crate::logging::Escaped;
use crate::net::dispatch::Dispatch;
use crate::net::event_loop::Timed;
use crate::net::registrars::Registrars;
use crate::netlink::Listing;
use crate::netlink::listing::Progress;

/// Rows looked at in one turn of the loop.
const ROWS_MAX: usize = 256;
/// Parts of the kernel's lists read in one turn, 32 KiB each at most.
const PARTS_MAX: usize = 2;
/// Exact questions asked in one turn: 4 to 10 microseconds each.
const QUESTIONS_MAX: usize = 16;
/// A turn of exact questions ends after this, and an answer that took longer to be none ends the sweep.
const QUESTIONS_LAST: Duration = Duration::from_millis(2);
/// When to look again for what the kernel has not answered yet.
const PAUSE: Duration = Duration::from_millis(10);
/// How long after a sweep the next one may begin, when somebody has ended.
const EARLIEST: Duration = Duration::from_millis(500);
/// And how many times as long as the sweep has lasted: whoever makes processes end all the time costs no more than
/// that.
const RESTS_FOR: u32 = 50;
/// A sweep that has not ended by then is given up.
const SWEEP_LASTS_MAX: Duration = Duration::from_secs(10);

/// Where the sockets of this host are listed.
pub(super) trait Sockets {
    /// See [`Listing::clear`].
    fn clear(&mut self);
    /// See [`Listing::want`].
    fn want(&mut self, row: &Candidate<'_>);
    /// See [`Listing::read`].
    fn read(&mut self) -> Progress;
    /// See [`Listing::seen`].
    fn seen(&self, row: &Candidate<'_>) -> BoundFact;
}

/// Judges all rows again and again.
pub(super) struct Sweeper<S> {
    sockets: S,
    phase: Phase,
    began: Instant,
}

enum Phase {
    /// Until the next sweep.
    Rests { since: Instant, period: Duration, earliest: Duration },
    /// Noting where rows are.
    Notes(Sweep),
    /// Listing the sockets there.
    Lists { waiting_since: Option<Instant> },
    /// Judging rows; those that are left of the last chunk come first.
    Judges { sweep: Sweep, left: Vec<(RowId, BoundFact)> },
}

impl<S: Sockets> Sweeper<S> {
    /// Begins with the first turn of the loop.
    pub(super) fn new(sockets: S) -> Self {
        let now = Instant::now();
        let phase = Phase::Rests { since: now, period: Duration::ZERO, earliest: Duration::ZERO };
        Self { sockets, phase, began: now }
    }

    /// One step; answers the next phase.
    fn step(&mut self, dispatch: &mut Dispatch) -> Phase {
        let taken = Phase::Lists { waiting_since: None };
        match std::mem::replace(&mut self.phase, taken) {
            Phase::Rests { .. } => {
                self.began = Instant::now();
                // Whoever ends from here on may have been seen alive: there is another sweep then.
                if let Some(registrars) = &mut dispatch.registrars {
                    registrars.forget_ended();
                }
                self.sockets.clear();
                Phase::Notes(dispatch.service.sweep())
            }
            _ if self.began.elapsed() >= SWEEP_LASTS_MAX => self.rest(dispatch),
            Phase::Notes(mut sweep) => {
                let rows = dispatch.service.to_judge(&mut sweep, ROWS_MAX);
                rows.for_each(|row| self.sockets.want(&row));
                if sweep.is_finished() { Phase::Lists { waiting_since: None } } else { Phase::Notes(sweep) }
            }
            Phase::Lists { .. } => self.list(&dispatch.service),
            Phase::Judges { mut sweep, left } => {
                let left = if left.is_empty() { self.chunk(&dispatch.service, &mut sweep) } else { left };
                match judge(dispatch, left) {
                    Some(left) if left.is_empty() && sweep.is_finished() => {
                        dispatch.service.health_mut().last_sweep = Some(dispatch.now());
                        self.rest(dispatch)
                    }
                    Some(left) => Phase::Judges { sweep, left },
                    None => self.rest(dispatch),
                }
            }
        }
    }

    fn rest(&self, dispatch: &Dispatch) -> Phase {
        let period = dispatch.service.policy().liveness.judge_every;
        let earliest = EARLIEST.max(self.began.elapsed().saturating_mul(RESTS_FOR)).min(period);
        Phase::Rests { since: Instant::now(), period, earliest }
    }

    fn list(&mut self, service: &Service) -> Phase {
        for _ in 0..PARTS_MAX {
            match self.sockets.read() {
                Progress::More => {}
                Progress::Waiting => return Phase::Lists { waiting_since: Some(Instant::now()) },
                Progress::Done => return Phase::Judges { sweep: service.sweep(), left: Vec::new() },
            }
        }
        Phase::Lists { waiting_since: None }
    }

    /// The next rows with what the list says about them.
    fn chunk(&self, service: &Service, sweep: &mut Sweep) -> Vec<(RowId, BoundFact)> {
        service.to_judge(sweep, ROWS_MAX).map(|row| (row.id, self.sockets.seen(&row))).collect()
    }
}

/// Has a chunk judged, with as many exact questions as fit into a turn; answers what is left of it, and `None` when
/// the kernel does not answer any more.
fn judge(dispatch: &mut Dispatch, chunk: Vec<(RowId, BoundFact)>) -> Option<Vec<(RowId, BoundFact)>> {
    let (now, began) = (dispatch.time(), Instant::now());
    let mut asked: usize = 0;
    let mut rows = chunk.into_iter();
    while let Some((id, seen)) = rows.next() {
        let mut judged = dispatch.service.judge(now, id, seen, &Facts::default());
        if let Judged::Need(question) = &judged {
            if asked >= QUESTIONS_MAX || began.elapsed() >= QUESTIONS_LAST {
                return Some(std::iter::once((id, seen)).chain(rows).collect());
            }
            asked = asked.saturating_add(1);
            let asked_at = Instant::now();
            let facts = dispatch.ask(question);
            if facts.bound == Some(BoundFact::Unknown) && asked_at.elapsed() >= QUESTIONS_LAST {
                return None;
            }
            judged = dispatch.service.judge(now, id, seen, &facts);
        }
        tell(dispatch, &judged);
    }
    Some(Vec::new())
}

/// Logs what has been found out, and keeps what has changed.
fn tell(dispatch: &mut Dispatch, judged: &Judged) {
    match judged {
        Judged::Unchanged | Judged::Need(_) => {}
        Judged::Died(row) => warn!("{}: nothing is bound there any more", named(&dispatch.service, row)),
        Judged::CameBack(row) => info!("{}: is there again", named(&dispatch.service, row)),
        Judged::Expired(change) => {
            dispatch.keep(change);
            for row in &change.removed {
                warn!("{}: removed, dead for too long", named(&dispatch.service, row));
            }
        }
    }
}

fn named(service: &Service, row: &Row) -> String {
    let netid = service.netids().name(row.netid);
    let address = Escaped(row.address.as_bytes());
    format!("program {} version {} on {netid} at {address}", row.program, row.version)
}

impl<S: Sockets> Timed for Sweeper<S> {
    fn due_in(&self, dispatch: &Dispatch) -> Option<Duration> {
        let is_wanted = dispatch.registrars.as_ref().is_some_and(Registrars::has_ended);
        Some(match &self.phase {
            Phase::Rests { since, earliest, .. } if is_wanted => earliest.saturating_sub(since.elapsed()),
            Phase::Rests { since, period, .. } => period.saturating_sub(since.elapsed()),
            Phase::Lists { waiting_since: Some(since) } => PAUSE.saturating_sub(since.elapsed()),
            Phase::Notes(_) | Phase::Lists { .. } | Phase::Judges { .. } => Duration::ZERO,
        })
    }

    fn on_time(&mut self, dispatch: &mut Dispatch) {
        self.phase = self.step(dispatch);
    }
}

impl Sockets for Listing {
    fn clear(&mut self) {
        Self::clear(self);
    }

    fn want(&mut self, row: &Candidate<'_>) {
        Self::want(self, row);
    }

    fn read(&mut self) -> Progress {
        Self::read(self)
    }

    fn seen(&self, row: &Candidate<'_>) -> BoundFact {
        Self::seen(self, row)
    }
}

#[cfg(test)]
mod tests;
