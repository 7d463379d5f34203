//! The processes that have registered something over a unix socket, watched for their end (SO_PEERPIDFD): services
//! mostly end with them, so that the next sweep need not be waited for. A hint and no more. Nobody is judged by it: a
//! service lives as long as its socket does, whoever registered it. Watched are as many as there are descriptors for.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use rpcbind_core::caller::{Caller, Namespace};

use super::dispatch::Dispatch;
use super::event_loop::{Next, Watched};
use super::poller::{Interest, Poller, Token};

/// Processes watched at a time, from the descriptors that are kept for ourselves. Others wait for the next sweep.
const MAX: usize = 24;
/// Of these, processes of ordinary users: nobody can take root's places.
const ORDINARY_MAX: usize = 12;

/// The processes that are watched.
#[derive(Debug)]
pub(crate) struct Registrars {
    /// Rows from elsewhere are not judged, so that there is nothing to be early for.
    home: Namespace,
    poller: Poller,
    watched: BTreeMap<u64, Registrar>,
    next: u64,
    /// One has ended since somebody asked.
    has_ended: bool,
}

/// A process that has registered something.
#[derive(Debug)]
struct Registrar {
    pid: i32,
    is_root: bool,
    /// Readable when it has ended. Closing it ends the watching.
    _process: OwnedFd,
}

impl Registrars {
    /// Watches nobody yet.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub(crate) fn new(home: Namespace) -> io::Result<Self> {
        let poller = Poller::new()?;
        Ok(Self { home, poller, watched: BTreeMap::new(), next: 0, has_ended: false })
    }

    /// What has [`Registrars::collect`] called.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub(crate) fn bell(&self) -> io::Result<Box<dyn Watched + Send>> {
        Ok(Box::new(Bell(self.poller.as_fd().try_clone_to_owned()?)))
    }

    /// Watches the process at the other end of a unix socket, by which it has just registered something.
    pub(crate) fn note(&mut self, caller: &Caller, socket: BorrowedFd<'_>) {
        let Caller::Unix { uid: Some(uid), namespace } = caller else { return };
        let Ok(peer) = getsockopt(&socket, sockopt::PeerCredentials) else { return };
        // Number 0 is a process that this one cannot see.
        let (pid, is_root) = (peer.pid(), *uid == 0);
        if *namespace != self.home || pid <= 0 || !self.has_room(pid, is_root) {
            return;
        }
        // Not before Linux 6.5; and a process that has ended already is none.
        let Ok(process) = getsockopt(&socket, sockopt::PeerPidfd) else { return };
        if self.poller.add(&process, Token(self.next), Interest::READ).is_ok() {
            self.watched.insert(self.next, Registrar { pid, is_root, _process: process });
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Whether a process is to be watched, and is not.
    fn has_room(&self, pid: i32, is_root: bool) -> bool {
        let ordinary = self.watched.values().filter(|registrar| !registrar.is_root).count();
        self.watched.len() < MAX
            && (is_root || ordinary < ORDINARY_MAX)
            && !self.watched.values().any(|registrar| registrar.pid == pid)
    }

    /// Lets those go that have ended.
    fn collect(&mut self) -> io::Result<()> {
        self.poller.wait(Some(Duration::ZERO))?;
        let mut index = 0;
        while let Some(ready) = self.poller.ready(index) {
            self.has_ended |= self.watched.remove(&ready.token.0).is_some();
            index = index.saturating_add(1);
        }
        Ok(())
    }

    /// Whether one has ended since [`Registrars::forget_ended`].
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Somebody looks what has ended with them.
    pub(crate) fn forget_ended(&mut self) {
        self.has_ended = false;
    }
}

/// Readable when a registrar has ended.
struct Bell(OwnedFd);

impl Watched for Bell {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn on_readable(&mut self, dispatch: &mut Dispatch) -> io::Result<Next> {
        if let Some(registrars) = &mut dispatch.registrars {
            registrars.collect()?;
        }
        Ok(Next::GoOn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    const HOME: Namespace = Namespace(1);

    /// A process that has connected, and the accepted socket.
    fn connected(listener: &UnixListener, path: &std::path::Path) -> (Child, UnixStream) {
        let connect = "import socket, sys, signal\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                       signal.pause()";
        let child = Command::new("python3").args(["-c", connect]).arg(path).stdin(Stdio::null()).spawn();
        (child.unwrap(), listener.accept().unwrap().0)
    }

    fn caller(uid: u32, namespace: Namespace) -> Caller {
        Caller::Unix { uid: Some(uid), namespace }
    }

    #[test]
    fn the_end_of_a_registrar_is_seen_once_whatever_has_become_of_its_connection() {
        if let Err(why) = testkit::skip::program("/usr/bin/python3") {
            testkit::skip!("{why}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (mut child, socket) = connected(&listener, &path);
        let mut registrars = Registrars::new(HOME).unwrap();
        registrars.note(&caller(0, Namespace(2)), socket.as_fd());
        assert!(registrars.watched.is_empty(), "what it registers is not judged here");
        registrars.note(&caller(0, HOME), socket.as_fd());
        registrars.note(&caller(0, HOME), socket.as_fd());
        if registrars.watched.is_empty() {
            child.kill().unwrap();
            child.wait().unwrap();
            testkit::skip!("the kernel has no SO_PEERPIDFD");
        }
        assert_eq!(registrars.watched.len(), 1, "a process is watched once");
        drop(socket);
        registrars.collect().unwrap();
        assert!(!registrars.has_ended());
        child.kill().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while !registrars.has_ended() {
            assert!(Instant::now() < end, "not seen within 30 s");
            registrars.poller.wait(Some(Duration::from_millis(50))).unwrap();
            registrars.collect().unwrap();
        }
        child.wait().unwrap();
        assert!(registrars.watched.is_empty());
        registrars.forget_ended();
        registrars.collect().unwrap();
        assert!(!registrars.has_ended());
    }

    #[test]
    fn no_more_are_watched_than_there_are_places_and_ordinary_users_leave_half_to_root() {
        let mut registrars = Registrars::new(HOME).unwrap();
        let (near, _far) = UnixStream::pair().unwrap();
        let mut fill = |from: i32, is_root: bool| {
            for pid in from..from + 99 {
                if registrars.has_room(pid, is_root) {
                    let process = near.try_clone().unwrap().into();
                    registrars
                        .watched
                        .insert(u64::try_from(pid).unwrap(), Registrar { pid, is_root, _process: process });
                }
            }
            registrars.watched.len()
        };
        assert_eq!(fill(1_000, false), ORDINARY_MAX);
        assert_eq!(fill(2_000, true), MAX);
        assert_eq!(fill(3_000, true), MAX);
    }
}
