//! What is stored with the service manager between two runs: put there, and taken back.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use crate::kept::{CONNECTIONS_MAX, Kept, Store};
use crate::logging::START;
use crate::net::listen::Socket;
use crate::notify::{self, Notifier};
use crate::server::Server;
use crate::state::memory::Memory;

/// The store, when the manager offers one, and what it held.
pub(super) struct Storing {
    store: Option<Store>,
    room: usize,
    connections: Vec<OwnedFd>,
    tables: Vec<File>,
}

impl Storing {
    /// Looks whether there is a store (`FDSTORE`, systemd.exec(5)). Nothing is stored yet.
    pub(super) fn new(kept: Kept, notifier: &Arc<Notifier>) -> Self {
        let offered = std::env::var("FDSTORE").ok();
        let store = Store::offered(offered.as_deref(), notifier);
        Self { store, room: 0, connections: kept.connections, tables: kept.tables }
    }

    /// Stores the sockets that were opened.
    pub(super) fn listeners(&mut self, sockets: &mut [Socket]) {
        let Some(store) = &self.store else { return };
        match store.keep_listeners(sockets) {
            Ok(room) => self.room = room,
            Err(error) => {
                warn!(target: START, "nothing can be stored with the service manager: {error}");
                self.store = None;
            }
        }
    }

    /// Stores the files that the table is kept in, those of the run before or new ones; `None` when there is no place
    /// for them.
    pub(super) fn tables(&mut self) -> Option<Memory> {
        let store = self.store.as_ref()?;
        let memory = Memory::new(std::mem::take(&mut self.tables));
        match memory.and_then(|memory| store.keep_tables(memory, self.room)) {
            Ok((memory, room)) => {
                self.room = room;
                memory
            }
            Err(error) => {
                warn!(target: START, "the table cannot be stored with the service manager: {error}");
                None
            }
        }
    }

    /// Serves the connections of the run before, and stores those of this one. To be called when the table is filled.
    pub(super) fn connections(self, server: &mut Server) {
        let Some(store) = self.store else { return };
        let count = self.connections.len();
        let dead = server.keep_connections(store, self.room.min(CONNECTIONS_MAX), self.connections);
        if count > 0 {
            info!(target: START, "{count} connections were taken back, {dead} of them dead");
        }
    }
}

/// How often the service manager wants a sign of life.
pub(super) fn watchdog() -> Option<Duration> {
    let [patience, pid] = ["WATCHDOG_USEC", "WATCHDOG_PID"].map(|name| std::env::var(name).ok());
    notify::watchdog_interval(patience.as_deref(), pid.as_deref())
}
