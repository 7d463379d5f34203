//! The daemon's journal: what the last run left becomes the table, every change is durable before its caller hears of
//! it, and the end writes the C daemon's files too. While nothing can be written the service goes on, says so once,
//! and tries again by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use log::{info, warn};
use oncrpc::bind::{self, status::State};
use rpcbind_core::Service;
use rpcbind_core::outcome::{Change, Refusal};
use rpcbind_core::registry::Row;

use super::beginning::{Adopted, Beginning};
use super::directory::Directory;
use super::format::{KeptRow, Life};
use super::journal::{Health, Journal};
use crate::logging::{Escaped, START};
use crate::net::dispatch;
use crate::notify::Notifier;
use crate::warmstart;

/// The most lines about what is wrong with the files, and with the rows.
const FAULTS_MAX: usize = 8;
/// The target of lines about the health of the state directory.
const STATE: &str = "state";

/// The journal of a running daemon.
#[derive(Debug)]
pub(crate) struct Durable {
    journal: Journal,
    notifier: Arc<Notifier>,
    /// What was last told: whether changes are durable.
    told: Option<bool>,
}

impl Durable {
    /// Reads what the last run left, and decides what the table begins with. `files_since`: the C daemon's files are
    /// taken only when they were written after this moment. Nothing is written.
    pub(crate) fn open(
        directory: Directory,
        life: Life,
        files_since: Option<SystemTime>,
        adopted: Option<Adopted>,
        notifier: Arc<Notifier>,
    ) -> (Self, Beginning) {
        let (mut journal, restored) = Journal::open(directory, life);
        let files = warmstart::read_since(journal.directory(), files_since);
        report(restored.faults.iter().map(ToString::to_string));
        report(files.faults.iter().map(ToString::to_string));
        let beginning = Beginning::choose(restored, files, adopted, life.home);
        journal.note_files(beginning.files);
        (Self { journal, notifier, told: None }, beginning)
    }
}

/// Gives the service the rows that a run begins with. Those that it refuses are said, a few by name.
pub(crate) fn restore(beginning: Beginning, service: &mut Service) {
    let all = beginning.rows.len();
    let refused = beginning.rows.iter().filter_map(|row| {
        let restored = row.named(service.netids()).map_or(Err(Refusal::Netid), |row| service.restore(row));
        restored.err().map(|refusal| (row, refusal))
    });
    let refused = report(refused.map(|(row, refusal)| {
        let KeptRow { program, version, netid, address, .. } = row;
        let (netid, address) = (Escaped(netid.as_bytes()), Escaped(address.as_bytes()));
        format!("program {} version {} {netid} {address} is not restored: {refusal}", program.0, version.0)
    }));
    if all > 0 {
        let taken = all.saturating_sub(refused);
        info!(target: START, "{taken} of {all} registrations of {} restored", beginning.origin.of());
    }
}

/// A line for each, but not for too many; answers how many there were.
fn report(mut faults: impl Iterator<Item = String>) -> usize {
    let said = faults.by_ref().take(FAULTS_MAX).map(|fault| warn!(target: START, "{fault}")).count();
    let more = faults.count();
    if more > 0 {
        warn!(target: START, "and {more} more");
    }
    said.saturating_add(more)
}

impl Durable {
    /// Says how it goes, once for each change.
    fn tell(&mut self, service: &mut Service) {
        let durable = *self.journal.health() == Health::Durable;
        let health = service.health_mut();
        if let Health::Degraded(why) = self.journal.health() {
            health.state = State::Degraded;
            if *health.why != **why {
                health.why = why.as_str().into();
            }
        } else {
            health.state = State::Durable;
            health.why = Box::default();
        }
        match (self.told.replace(durable), durable) {
            (None | Some(true), false) => {
                warn!(target: STATE, "registrations are kept in memory only until they can be written: {}", health.why);
            }
            (Some(false), true) => info!(target: STATE, "registrations are durable again"),
            (None | Some(true), true) | (Some(false), false) => return,
        }
        // A manager that does not listen is told by the next change.
        let _ = self.notifier.status(&status_line(service));
    }
}

impl dispatch::Journal for Durable {
    fn begin(&mut self, now: Duration, service: &mut Service) {
        self.journal.begin(now, registered(service), service.netids());
        self.tell(service);
    }

    fn append(&mut self, change: &Change, service: &Service) {
        self.journal.append(change, service.netids());
    }

    fn sync(&mut self, now: Duration, service: &mut Service) {
        self.journal.sync(now, || registered(service), service.netids());
        self.tell(service);
    }

    fn deadline(&self) -> Option<Duration> {
        self.journal.deadline()
    }

    fn finish(&mut self, now: Duration, service: &Service) {
        let netids = service.netids();
        let directory = self.journal.directory();
        let files = match warmstart::write(directory, service.registry().rows(), netids) {
            Ok(contents) => warmstart::digests(&contents.map(Some)),
            Err(error) => {
                warn!(target: STATE, "{} is not written for the next rpcbind: {error}", warmstart::RPCB_FILE);
                warmstart::digests(&warmstart::read(directory).contents)
            }
        };
        self.journal.note_files(files);
        if *self.journal.health() != Health::Durable {
            self.journal.begin(now, registered(service), netids);
        }
        let closed = match self.journal.health() {
            Health::Durable => self.journal.close().map_err(|error| error.to_string()),
            Health::Degraded(why) => Err(why.clone()),
        };
        if let Err(why) = closed {
            warn!(target: STATE, "registrations are not kept for the next run: {why}");
        }
    }
}

/// The rows but for the port mapper's own, which every run makes anew.
fn registered(service: &Service) -> impl Iterator<Item = &Row> {
    service.registry().rows().filter(|row| row.program != bind::PROGRAM)
}

/// One line for people about a daemon that serves.
pub(crate) fn status_line(service: &Service) -> String {
    let health = service.health();
    match health.state {
        State::Durable => "serving".to_owned(),
        State::Memory => "serving; registrations are kept in memory only".to_owned(),
        State::Degraded => {
            format!(
                "serving; registrations are kept in memory only until they can be written: {}",
                health.why
            )
        }
    }
}
