//! What is registered when a run begins, and where it is kept from then on.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use log::warn;
use rpcbind_core::caller::Namespace;

use crate::logging::START;
use crate::notify::Notifier;
use crate::server::Server;
use crate::state::beginning::{Adopted, Beginning};
use crate::state::directory::Directory;
use crate::state::durable::{self, Durable, Places};
use crate::state::format::Life;
use crate::state::life;
use crate::state::memory::Memory;
use crate::state::prepare::Prepared;
use crate::state::reading::Restored;
use crate::warmstart::WarmStart;

/// Where the table is kept, and whose life its rows have to be of.
pub(super) struct Place {
    directory: Option<Prepared>,
    memory: Option<Memory>,
    life: Life,
}

impl Place {
    /// Looks whose life this is. To be called while `/proc` can be read. `None` where there is no place, or, after a
    /// warning, where nothing that is kept could be believed.
    pub(super) fn new(directory: Option<Prepared>, memory: Option<Memory>, home: Namespace) -> Option<Self> {
        if directory.is_none() && memory.is_none() {
            return None;
        }
        match Life::present(home) {
            Ok(life) => Some(Self { directory, memory, life }),
            Err(error) => {
                warn!(target: START, "{error}; what is registered is kept in memory only");
                None
            }
        }
    }

    /// The state directory, where there is one.
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(|prepared| prepared.directory.as_fd())
    }
}

/// Fills the table from where it is kept, or from what another daemon has answered, and keeps it there; without a
/// place it lives in memory. To be called when privileges have ended.
pub(super) fn begin(
    place: Option<Place>,
    adopted: Option<Adopted>,
    server: &mut Server,
    notifier: &Arc<Notifier>,
) {
    let home = server.home();
    let Some(Place { directory, memory, life }) = place else {
        if let Some(adopted) = adopted {
            durable::restore(in_memory(adopted, home), server.service());
        }
        return;
    };
    let disk = directory.map(|prepared| {
        // What is in memory cannot be of another boot; elsewhere only the time tells.
        let files_since = if prepared.volatile { None } else { life::began() };
        (Directory::new(prepared.directory), files_since)
    });
    let places = Places { disk, memory, life, since_boot: life::since_boot() };
    let (durable, beginning) = Durable::open(places, adopted, notifier.clone());
    durable::restore(beginning, server.service());
    server.begin_to_keep(Box::new(durable));
}

fn in_memory(adopted: Adopted, home: Namespace) -> Beginning {
    let adopted = Adopted { files: [None, None], ..adopted };
    Beginning::choose(Restored::default(), WarmStart::default(), Some(adopted), home)
}
