//! `--adopt`: takes over from a port mapper that runs, before any socket is opened. It reads that one's table again and
//! again until it has ended, which it never causes: the administrator is told what to type.

use std::path::Path;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use super::StartError;
use super::running::Running;
use crate::config::Settings;
use crate::logging::START;
use crate::privilege::User;
use crate::state::beginning::Adopted;
use crate::state::directory::Directory;
use crate::state::format::FileDigests;
use crate::warmstart;

/// How long the other one may take to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at its table: what changes in the last moment of its life is in its files, where it writes any.
const BETWEEN: Duration = Duration::from_millis(100);

/// The table of the port mapper that runs here, when it has ended; `None` when there is none.
///
/// # Errors
/// It does not answer, or does not end in time. Nothing has been changed then.
pub(super) fn adopt(settings: &Settings) -> Result<Option<Adopted>, StartError> {
    let Some(socket) = &settings.socket else {
        return Err(StartError::Adopt("there is no unix socket to ask a running rpcbind at".into()));
    };
    let path: &Path = &socket.name;
    let failed = |error: std::io::Error| StartError::Adopt(format!("{}: {error}", path.display()));
    let Some(mut running) = Running::connect(path).map_err(failed)? else {
        info!(target: START, "no rpcbind runs at {}: nothing to adopt", path.display());
        return Ok(None);
    };
    let files = digests(settings)?;
    let mut rows = running.dump().map_err(failed)?;
    let remedy = remedy(&running);
    warn!(
        target: START,
        "{} registrations adopted from {}; now stop it, within {} s: {remedy}",
        rows.len(), running.holder, PATIENCE.as_secs()
    );
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let has_ended = running.ends_within(BETWEEN);
        if !has_ended && let Ok(now) = running.dump() {
            if now != rows {
                debug!(target: START, "{} registrations to adopt now", now.len());
            }
            rows = now;
            continue;
        }
        match Running::connect(path).map_err(failed)? {
            Some(again) => running = again,
            None if has_ended || !running.is_watched() => return Ok(Some(Adopted { rows, files })),
            // It is about to end.
            None => {}
        }
    }
    let holder = &running.holder;
    Err(StartError::Adopt(format!("{holder} still runs; nothing was changed. Stop it: {remedy}")))
}

fn remedy(running: &Running) -> String {
    match running.holder.pid {
        Some(pid) if !running.holder.is_service_manager() => {
            format!("kill {pid}, or systemctl stop rpcbind.socket rpcbind.service")
        }
        _ => "systemctl stop rpcbind.socket rpcbind.service".into(),
    }
}

/// What the C daemon's files are while it runs: those that it writes at its end are newer than any answer.
fn digests(settings: &Settings) -> Result<FileDigests, StartError> {
    let trusted = User::trusted(settings.user)?;
    let read = |directory| warmstart::digests(&warmstart::read(&directory).contents);
    // Without a directory there are no files.
    Ok(Directory::open(&settings.state_directory, trusted).map(read).unwrap_or_default())
}
