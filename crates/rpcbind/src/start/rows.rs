//! What was registered, from the C daemon's two files at start and to them at the end.

use log::{info, warn};
use rpcbind_core::Service;
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::Row;

use crate::logging::START;
use crate::state::directory::Directory;
use crate::warmstart::{self, WarmRow};

/// Takes the rows of the files. What is wrong with them is said, and the rest is taken.
pub(super) fn restore(directory: &Directory, home: Namespace, service: &mut Service) {
    let warm = warmstart::read(directory);
    for fault in &warm.faults {
        warn!(target: START, "{fault}");
    }
    let all = warm.rows.len();
    let taken = warm.rows.into_iter().filter(|row| restore_row(row, home, service)).count();
    if all > 0 {
        info!(target: START, "{taken} of {all} registrations of the last run restored");
    }
}

fn restore_row(row: &WarmRow, home: Namespace, service: &mut Service) -> bool {
    let Some(netid) = service.netids().find(row.netid.as_bytes()) else { return false };
    let (program, version, owner) = (row.program, row.version, row.owner);
    // The files do not say from where: the C daemon knows no other place than home.
    let namespace = home;
    service.restore(Row { program, version, netid, address: row.address.as_str().into(), owner, namespace }).is_ok()
}

/// Writes the files.
pub(super) fn keep(directory: &Directory, service: &Service) {
    let rows: Vec<&Row> = service.registry().rows().collect();
    if let Err(error) = warmstart::write(directory, rows.iter().copied(), service.netids()) {
        warn!(target: START, "registrations are not kept for the next run: {error}");
    }
}
