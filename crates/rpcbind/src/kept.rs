//! What outlives a run of the daemon in the service manager's descriptor store (sd_pid_notify_with_fds(3)): sockets
//! that it opened itself, the table in memory files, and root's unix connections, which the Linux kernel would not make
//! again to unregister.
//! Of what comes back only the kernel's facts are believed; the name says nothing but that it is ours.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::net::inherit;
use crate::net::listen::{self, Endpoint, Socket};
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::process::Passed;
use crate::state::memory::{self, Memory};

/// What the names of everything stored begin with, and how they go on.
const OURS: &str = "kept-";
const LISTENER: &str = "kept-listener-";
const CONNECTION: &str = "kept-connection-";
const TABLE: &str = "kept-table";
/// The longest name of a descriptor.
const NAME_MAX: usize = 255;
/// Memory files that the table is kept in.
const TABLES: usize = 2;
/// How long the manager may take to take something out.
const CLEARED: Duration = Duration::from_secs(5);
/// Connections stored, as many as are reserved for root.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// What was passed to this run, sorted.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Passed by a socket unit or anybody else.
    pub(crate) inherited: Vec<OwnedFd>,
    /// Listening and datagram sockets that an earlier run opened.
    pub(crate) listeners: Vec<(String, Socket)>,
    /// Connections of root's that an earlier run accepted.
    pub(crate) connections: Vec<OwnedFd>,
    /// Memory files with the table of an earlier run; at most two.
    pub(crate) tables: Vec<File>,
    /// Why something was not taken that should have been ours.
    pub(crate) faults: Vec<String>,
    /// The names of what cannot be used: closed here, and to be taken out of the store.
    useless: Vec<String>,
}

impl Kept {
    /// Sorts what was passed. What was stored and is no longer what it should be is closed.
    pub(crate) fn sort(passed: Vec<Passed>) -> Self {
        let mut kept = Self::default();
        for Passed { descriptor, name } in passed {
            let Some(name) = name.filter(|name| name.starts_with(OURS)) else {
                kept.inherited.push(descriptor);
                continue;
            };
            if name.starts_with(LISTENER) {
                // One of ours takes one family only. Of two at one path it cannot be told which is reached there.
                let is_first = !kept.listeners.iter().any(|(other, _)| *other == name);
                match inherit::recognise(descriptor) {
                    Ok(socket) if !socket.dual_stack && is_first => kept.listeners.push((name, socket)),
                    _ => kept.useless.push(name),
                }
            } else if name == TABLE {
                kept.sort_table(descriptor);
            } else if name.starts_with(CONNECTION) && is_roots_connection(descriptor.as_fd()) {
                kept.connections.push(descriptor);
            } else {
                kept.useless.push(name);
            }
        }
        kept
    }

    fn sort_table(&mut self, descriptor: OwnedFd) {
        match memory::recognise(descriptor) {
            Ok(file)
                if self.tables.len() < TABLES && !self.tables.iter().any(|other| is_same(&file, other)) =>
            {
                self.tables.push(file);
            }
            Ok(_) => self.useless.push(TABLE.to_owned()),
            Err(foreign) => {
                self.faults.push(format!("a table that the service manager holds is not read: {foreign}"));
                self.useless.push(TABLE.to_owned());
            }
        }
    }

    /// The stored socket of exactly this address, once. To be called after [`Kept::clear`].
    pub(crate) fn take(&mut self, endpoint: &Endpoint) -> Option<Socket> {
        let at = self.listeners.iter().position(|(_, socket)| socket.endpoint == *endpoint)?;
        Some(self.listeners.swap_remove(at).1)
    }

    /// Closes all stored sockets but those of these addresses, and has what is of no use taken out of the store.
    /// Returns when that has been done, so that their addresses are free. Answers how many there were.
    ///
    /// # Errors
    /// The manager cannot be told.
    pub(crate) fn clear(&mut self, wanted: &[&Endpoint], notifier: &Notifier) -> io::Result<usize> {
        for (name, socket) in std::mem::take(&mut self.listeners) {
            if wanted.contains(&&socket.endpoint) && is_reached(&socket.endpoint) {
                self.listeners.push((name, socket));
            } else {
                self.useless.push(name);
            }
        }
        let useless = std::mem::take(&mut self.useless);
        // Whatever has the name is taken out with it.
        self.listeners.retain(|(name, _)| !useless.contains(name));
        for name in &useless {
            notifier.send(&forgetting(name), &[])?;
        }
        // A manager that is too slow for that shows as an address that is taken.
        if !useless.is_empty() {
            notifier.barrier(CLEARED)?;
        }
        Ok(useless.len())
    }
}

/// Whether somebody listens at the address of a stored socket: not at a path whose file was removed.
fn is_reached(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Path(path) => listen::is_listened_at(path),
        Endpoint::Udp(_) | Endpoint::Tcp(_) | Endpoint::Abstract(_) => true,
    }
}

/// Two descriptors of one file, which cannot hold a table and the next one. What cannot be told apart is the same.
fn is_same(one: &File, other: &File) -> bool {
    let number = |file: &File| file.metadata().map(|about| (about.dev(), about.ino()));
    match (number(one), number(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => true,
    }
}

/// A unix stream that is connected, to a process that was root's when it connected.
fn is_roots_connection(socket: BorrowedFd<'_>) -> bool {
    let is_unix =
        rustix::net::getsockname(socket).is_ok_and(|own| own.address_family() == AddressFamily::UNIX);
    is_unix
        && sockopt::socket_type(socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(socket) == Ok(false)
        && rustix::net::getpeername(socket).is_ok()
        && Peer::of(socket).uid == Some(0)
        && rustix::io::ioctl_fionbio(socket, true).is_ok()
        && rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC).is_ok()
}

/// The service manager's store for this service.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    notifier: Arc<Notifier>,
    max: usize,
}

impl Store {
    /// The store of so many descriptors that the manager offers (`FDSTORE`, systemd.exec(5)); `None` when it offers
    /// none, or cannot be told anything.
    pub(crate) fn offered(max: Option<&str>, notifier: &Arc<Notifier>) -> Option<Self> {
        let max = max?.parse().ok().filter(|max| *max > 0 && notifier.is_connected())?;
        Some(Self { notifier: notifier.clone(), max })
    }

    /// Stores sockets that were opened by this run, as many as there is room for, and notes that they stay. Answers
    /// how much room is left.
    ///
    /// # Errors
    /// The manager cannot be told.
    pub(crate) fn keep_listeners(&self, sockets: &mut [Socket]) -> io::Result<usize> {
        let mut room = self.max;
        for socket in sockets {
            if room == 0 {
                break;
            }
            room = room.saturating_sub(1);
            if !socket.inherited {
                let name = listener_name(&socket.endpoint);
                // Stored until it is taken out: a listener has no other end that could be closed.
                self.notifier
                    .send(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), &[socket.descriptor.as_fd()])?;
                socket.inherited = true;
            }
        }
        Ok(room)
    }

    /// Stores the memory files of the table, when there is room for both; what is stored already stays as it is.
    /// Answers how much room is left for connections.
    ///
    /// # Errors
    /// The manager cannot be told.
    pub(crate) fn keep_tables(&self, memory: Memory, room: usize) -> io::Result<(Option<Memory>, usize)> {
        let Some(room) = room.checked_sub(TABLES) else { return Ok((None, room)) };
        for file in memory.files() {
            self.notifier.send(&format!("FDSTORE=1\nFDNAME={TABLE}\nFDPOLL=0"), &[file.as_fd()])?;
        }
        Ok((Some(memory), room))
    }

    /// Stores a connection. It is taken out by itself when its other end is closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when the manager is too busy; the system's.
    pub(crate) fn keep_connection(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let fields = format!("FDSTORE=1\nFDNAME={}", connection_name(socket)?);
        self.notifier.send_now(&fields, &[socket])
    }

    /// Takes a connection out.
    pub(crate) fn forget_connection(&self, socket: BorrowedFd<'_>) {
        // Where it fails, the manager sees by itself that the connection is closed.
        let _ = connection_name(socket).and_then(|name| self.notifier.send_now(&forgetting(&name), &[]));
    }
}

fn forgetting(name: &str) -> String {
    format!("FDSTOREREMOVE=1\nFDNAME={name}")
}

/// The same for each run, so that what is stored already is not stored again.
fn listener_name(endpoint: &Endpoint) -> String {
    let allowed = |character: char| character.is_ascii_graphic() && character != ':';
    let address = endpoint.to_string().replace(|character| !allowed(character), "_");
    format!("{LISTENER}{address}").chars().take(NAME_MAX).collect()
}

/// The kernel's number of the socket, which stays the same as long as the socket does.
fn connection_name(socket: BorrowedFd<'_>) -> io::Result<String> {
    Ok(format!("{CONNECTION}{}", rustix::fs::fstat(socket)?.st_ino))
}

#[cfg(test)]
mod tests;
