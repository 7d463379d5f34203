//! The daemon's journal, kept in the state directory and by the service manager, as far as there are these: what the
//! last run left becomes the table, every change is durable before its caller hears of it, and the end writes the C
//! daemon's files too. While nothing can be written the service goes on, says so once, and tries again by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use log::{info, warn};
use oncrpc::bind::{self, status::State};
use rpcbind_core::Service;
use rpcbind_core::outcome::{Change, Refusal};
use rpcbind_core::registry::Row;

use super::beginning::{Adopted, Beginning, Origin};
use super::directory::Directory;
use super::format::{FileDigests, KeptRow, Life};
use super::journal::{Health, Journal};
use super::medium::Medium;
use super::memory::Memory;
use super::reading::Restored;
use crate::logging::{Escaped, START};
use crate::net::dispatch;
use crate::notify::Notifier;
use crate::warmstart::{self, WarmStart};

/// The most lines about what is wrong with the files, and with the rows.
const FAULTS_MAX: usize = 8;
/// The target of lines about the health of the state directory.
const STATE: &str = "state";

/// The journal of a running daemon.
#[derive(Debug)]
pub(crate) struct Durable {
    /// In the state directory; `None` when there is none.
    disk: Option<Journal>,
    /// With the service manager; `None` when it offers no place.
    memory: Option<Journal<Memory>>,
    notifier: Arc<Notifier>,
    /// What was last told.
    told: Option<Told>,
}

/// What is told when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    /// Whether changes are durable.
    durable: bool,
    /// Whether the service manager has them, too; `None` when it offers no place.
    stored: Option<bool>,
}

/// Where a table may be kept.
#[derive(Debug)]
pub(crate) struct Places {
    /// The state directory. The C daemon's files are taken only when they were written after the moment, if there is
    /// one.
    pub(crate) disk: Option<(Directory, Option<SystemTime>)>,
    /// What the service manager holds.
    pub(crate) memory: Option<Memory>,
    /// Whose the table has to be.
    pub(crate) life: Life,
    /// How long ago the boot of that life began.
    pub(crate) since_boot: Duration,
}

impl Durable {
    /// Reads what the last run left, and decides what the table begins with. Nothing is written.
    pub(crate) fn open(
        places: Places,
        adopted: Option<Adopted>,
        notifier: Arc<Notifier>,
    ) -> (Self, Beginning) {
        let Places { disk, memory, life, since_boot } = places;
        let (disk, restored, files) = on_disk(disk, life);
        let (memory, stored) = memory.map(|memory| Journal::restore(memory, life)).unzip();
        let stored = stored.unwrap_or_default();
        report(
            stored.faults.iter().map(|fault| format!("the table that the service manager holds: {fault}")),
        );
        let (restored, is_stored) = Beginning::newer(restored, stored, &files);
        let sequence = restored.next_sequence(since_boot);
        let mut beginning = Beginning::choose(restored, files, adopted, life.home);
        if is_stored && matches!(beginning.origin, Origin::Journal | Origin::OldJournal) {
            beginning.origin = Origin::Stored;
        }
        let mut durable = Self { disk, memory, notifier, told: None };
        if let Some(disk) = &mut durable.disk {
            disk.count_from(sequence);
        }
        if let Some(memory) = &mut durable.memory {
            memory.count_from(sequence);
        }
        if durable.disk.is_some() {
            durable.note_files(beginning.files);
        }
        (durable, beginning)
    }
}

/// What the state directory holds: the journal, and the C daemon's files.
fn on_disk(
    place: Option<(Directory, Option<SystemTime>)>,
    life: Life,
) -> (Option<Journal>, Restored, WarmStart) {
    let Some((directory, files_since)) = place else {
        return (None, Restored::default(), WarmStart::default());
    };
    let (journal, restored) = Journal::open(directory, life);
    let files = warmstart::read_since(journal.directory(), files_since);
    report(restored.faults.iter().map(|fault| format!("journal: {fault}")));
    report(files.faults.iter().map(ToString::to_string));
    (Some(journal), restored, files)
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
    fn note_files(&mut self, files: FileDigests) {
        if let Some(disk) = &mut self.disk {
            disk.note_files(files);
        }
        if let Some(memory) = &mut self.memory {
            memory.note_files(files);
        }
    }

    /// Says how it goes, once for each change.
    fn tell(&mut self, service: &mut Service) {
        let is_well = |health: &Health| *health == Health::Durable;
        let stored = self.memory.as_ref().map(|memory| is_well(memory.health()));
        let durable = self.disk.as_ref().is_some_and(|disk| is_well(disk.health()));
        let health = service.health_mut();
        if durable {
            health.state = State::Durable;
            health.why = Box::default();
        } else {
            health.state = State::Degraded;
            let why = why_not(self.disk.as_ref(), stored == Some(true));
            if *health.why != *why {
                health.why = why.into();
            }
        }
        let told = self.told.replace(Told { durable, stored });
        match (told.map(|told| told.durable), durable) {
            (None | Some(true), false) => {
                warn!(target: STATE, "registrations are kept in memory only until they can be written: {}", health.why);
            }
            (Some(false), true) => info!(target: STATE, "registrations are durable again"),
            (None | Some(true), true) | (Some(false), false) => {}
        }
        if let Some(Health::Degraded(why)) = self.memory.as_ref().map(Journal::health)
            && told.and_then(|told| told.stored) != Some(false)
        {
            warn!(target: STATE, "the service manager does not hold the table at present: {why}");
        }
        // A daemon that begins well says so when it is ready.
        let before = told.unwrap_or(Told { durable: true, stored });
        if before.durable != durable || (!durable && before.stored != stored) {
            // A manager that does not listen is told by the next change.
            let _ = self.notifier.status(&status_line(service));
        }
    }

    /// Leaves the table to the C daemon, too; answers what its files hold then. What they hold where there is no state
    /// directory to see them in stays as it was recorded.
    fn write_files(&self, service: &Service) -> Option<FileDigests> {
        let directory = self.disk.as_ref().map(Journal::directory)?;
        Some(match warmstart::write(directory, service.registry().rows(), service.netids()) {
            Ok(contents) => warmstart::digests(&contents.map(Some)),
            Err(error) => {
                warn!(target: STATE, "{} is not written for the next rpcbind: {error}", warmstart::RPCB_FILE);
                warmstart::digests(&warmstart::read(directory).contents)
            }
        })
    }
}

/// Why the table is not in the state directory. What was stored with the service manager is nowhere acknowledged.
fn why_not(disk: Option<&Journal>, is_stored: bool) -> String {
    let why = match disk.map(Journal::health) {
        Some(Health::Degraded(why)) => why,
        _ => "there is no state directory",
    };
    if is_stored { format!("{why}; the service manager was given that memory, too") } else { why.to_owned() }
}

impl dispatch::Journal for Durable {
    fn begin(&mut self, now: Duration, service: &mut Service) {
        if let Some(disk) = &mut self.disk {
            disk.begin(now, registered(service), service.netids());
        }
        if let Some(memory) = &mut self.memory {
            memory.begin(now, registered(service), service.netids());
        }
        self.tell(service);
    }

    fn append(&mut self, change: &Change, service: &Service) {
        if let Some(disk) = &mut self.disk {
            disk.append(change, service.netids());
        }
        if let Some(memory) = &mut self.memory {
            memory.append(change, service.netids());
        }
    }

    fn sync(&mut self, now: Duration, service: &mut Service) {
        if let Some(disk) = &mut self.disk {
            disk.sync(now, || registered(service), service.netids());
        }
        if let Some(memory) = &mut self.memory {
            memory.sync(now, || registered(service), service.netids());
        }
        self.tell(service);
    }

    fn deadline(&self) -> Option<Duration> {
        let disk = self.disk.as_ref().and_then(Journal::deadline);
        disk.into_iter().chain(self.memory.as_ref().and_then(Journal::deadline)).min()
    }

    fn finish(&mut self, now: Duration, service: &Service) {
        if let Some(files) = self.write_files(service) {
            self.note_files(files);
        }
        if let Some(disk) = &mut self.disk
            && let Err(why) = close(disk, now, service)
        {
            warn!(target: STATE, "registrations are not kept for the next run: {why}");
        }
        if let Some(memory) = &mut self.memory
            && let Err(why) = close(memory, now, service)
        {
            warn!(target: STATE, "the service manager does not hold the table: {why}");
        }
    }
}

/// Ends a journal in order.
fn close<M: Medium>(journal: &mut Journal<M>, now: Duration, service: &Service) -> Result<(), String> {
    if *journal.health() != Health::Durable {
        journal.begin(now, registered(service), service.netids());
    }
    match journal.health() {
        Health::Durable => journal.close().map_err(|error| error.to_string()),
        Health::Degraded(why) => Err(why.clone()),
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

#[cfg(test)]
mod tests;
