//! `--import` and `--export`: the C daemon's two files in any directory, from and to what is registered here. They do
//! that and end; no socket is opened, and a daemon that runs is asked, never changed.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use log::{info, warn};
use oncrpc::bind::{self, AddressText};
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::Row;

use super::running::Running;
use super::{StartError, is_root};
use crate::config::Settings;
use crate::lock::{self, LockError};
use crate::logging::{Escaped, START};
use crate::peer;
use crate::privilege::User;
use crate::state::beginning::{self, Beginning};
use crate::state::directory::Directory;
use crate::state::format::Life;
use crate::state::journal::{Health, Journal};
use crate::state::life;
use crate::state::prepare;
use crate::warmstart::{self, WarmRow};

/// Makes what the files in `from` list the table that the next daemon begins with.
///
/// # Errors
/// A daemon runs: it would not see them, and write its own in the end. Or there are no files, or they cannot be kept.
pub(super) fn import(settings: &Settings, from: &Path) -> Result<(), StartError> {
    let _lock = match lock::take(Path::new(lock::PATH)) {
        Err(error @ LockError::Unavailable { .. }) if !is_root() => {
            warn!(target: START, "{error}; going on without it");
            None
        }
        lock => Some(lock?),
    };
    let trusted = User::trusted(settings.user)?;
    let warm = warmstart::read(&open(from, &trusted)?);
    for fault in &warm.faults {
        warn!(target: START, "{fault}");
    }
    if warm.contents == [None, None] {
        return Err(StartError::ByHand(format!("no files of an rpcbind in {}", from.display())));
    }
    let state = &settings.state_directory;
    let user = if is_root() { Some(User::find(settings.daemon_user, settings.user)?) } else { None };
    prepare::prepare(state, &trusted, user.as_ref())?;
    let directory = open(state, &trusted)?;
    let life = present()?;
    let there = warmstart::digests(&warmstart::read(&directory).contents);
    let (mut journal, before) = Journal::open(directory, life);
    let netids = &settings.netids;
    let rows: Vec<Row> = beginning::placed(warm.rows, &before.rows, life.home)
        .iter()
        .filter_map(|row| {
            let named = row.named(netids).filter(|row| row.address.len() <= AddressText::CAPACITY);
            if named.is_none() {
                let (netid, address) = (Escaped(row.netid.as_bytes()), Escaped(row.address.as_bytes()));
                warn!(target: START, "netid {netid} is not known here, or {address} is too long");
            }
            named
        })
        .collect();
    // The files that are in the state directory now are older than this.
    journal.note_files(there);
    // As is what a service manager may hold.
    journal.count_from(before.next_sequence(life::since_boot()));
    journal.begin(Duration::ZERO, rows.iter(), netids);
    if let Health::Degraded(why) = journal.health() {
        return Err(StartError::ByHand(format!("{}: {why}", state.display())));
    }
    let count = rows.len();
    info!(target: START, "{count} registrations of {} are what rpcbind will start with", from.display());
    Ok(())
}

/// Writes the files to `to`: what the daemon that runs has registered, or without one what the last has left.
///
/// # Errors
/// Neither can be read, or the files cannot be written.
pub(super) fn export(settings: &Settings, to: &Path) -> Result<(), StartError> {
    let trusted = User::trusted(settings.user)?;
    let target = open(to, &trusted)?;
    let path = settings.socket.as_ref().map(|socket| socket.name.as_path());
    let asked =
        |error: io::Error| StartError::ByHand(format!("the rpcbind that runs does not answer: {error}"));
    let running = path.map(Running::connect).transpose().map_err(asked)?.flatten();
    let rows = match running {
        Some(mut running) => running.dump().map_err(asked)?,
        None => kept(settings, &trusted)?,
    };
    let failed = |error: io::Error| StartError::ByHand(format!("{}: {error}", to.display()));
    warmstart::write_rows(&target, &rows).map_err(failed)?;
    info!(target: START, "{} registrations exported to {}", rows.len(), to.display());
    Ok(())
}

/// What the next daemon would begin with.
fn kept(settings: &Settings, trusted: &[u32]) -> Result<Vec<WarmRow>, StartError> {
    let life = present()?;
    let (journal, restored) = Journal::open(open(&settings.state_directory, trusted)?, life);
    let files = warmstart::read(journal.directory());
    let faults = restored.faults.iter().map(|fault| format!("journal: {fault}"));
    for fault in faults.chain(files.faults.iter().map(ToString::to_string)) {
        warn!(target: START, "{fault}");
    }
    let rows = Beginning::choose(restored, files, None, life.home).rows;
    Ok(rows.into_iter().filter(|row| row.program != bind::PROGRAM).map(WarmRow::from).collect())
}

fn open(path: &Path, trusted: &[u32]) -> Result<Directory, StartError> {
    let failed = |error: io::Error| StartError::ByHand(format!("{}: {error}", path.display()));
    Directory::open(path, trusted.to_vec()).map_err(failed)
}

/// The life of a daemon that is started as this process was.
fn present() -> Result<Life, StartError> {
    let here = UnixDatagram::unbound().map(|socket| peer::namespace(socket.as_fd()));
    let home = here.ok().flatten().unwrap_or(Namespace(0));
    Life::present(home).map_err(|error| StartError::ByHand(error.to_string()))
}
