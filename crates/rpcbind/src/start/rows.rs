//! What is registered when a run begins, and where it is kept from then on.

use std::sync::Arc;

use log::warn;
use rpcbind_core::caller::Namespace;

use crate::logging::START;
use crate::notify::Notifier;
use crate::server::Server;
use crate::state::beginning::{Adopted, Beginning};
use crate::state::directory::Directory;
use crate::state::durable::{self, Durable};
use crate::state::format::Life;
use crate::state::journal::Restored;
use crate::state::life;
use crate::state::prepare::Prepared;
use crate::warmstart::WarmStart;

/// The state directory, and whose life its rows have to be of; `None` where there is none, after a warning.
pub(super) type Place = Option<(Prepared, Life)>;

/// Looks whose life this is. To be called while `/proc` can be read.
pub(super) fn place(prepared: Option<Prepared>, home: Namespace) -> Place {
    prepared.and_then(|prepared| match Life::present(home) {
        Ok(life) => Some((prepared, life)),
        Err(error) => {
            warn!(target: START, "{error}; what is registered is kept in memory only");
            None
        }
    })
}

/// Fills the table from the state directory, or from what another daemon has answered, and keeps it there; without a
/// directory it lives in memory. To be called when privileges have ended.
pub(super) fn begin(place: Place, adopted: Option<Adopted>, server: &mut Server, notifier: &Arc<Notifier>) {
    let home = server.home();
    let Some((prepared, life)) = place else {
        if let Some(adopted) = adopted {
            durable::restore(in_memory(adopted, home), server.service());
        }
        return;
    };
    // What is in memory cannot be of another boot; elsewhere only the time tells.
    let files_since = if prepared.volatile { None } else { life::began() };
    let directory = Directory::new(prepared.directory);
    let (durable, beginning) = Durable::open(directory, life, files_since, adopted, notifier.clone());
    durable::restore(beginning, server.service());
    server.begin_to_keep(Box::new(durable));
}

fn in_memory(adopted: Adopted, home: Namespace) -> Beginning {
    let adopted = Adopted { files: [None, None], ..adopted };
    Beginning::choose(Restored::default(), WarmStart::default(), Some(adopted), home)
}
