//! The receiving end of `sd_notify` (sd_notify(3)): assignments, descriptors, and who sent them.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};

use crate::Namespace;
use crate::process::{Process, timespec};
use crate::wait::DEADLINE;

/// Where services find the socket, as under systemd.
pub(super) const SOCKET: &str = "/run/systemd/notify";
/// Descriptors in one message, the kernel's limit.
const DESCRIPTORS: usize = 253;

/// One message of a service's.
#[derive(Debug)]
pub struct Notification {
    /// `NAME` and `value` of each line.
    pub assignments: Vec<(String, String)>,
    /// Descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

impl Notification {
    /// The value assigned to a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.assignments.iter().find(|(assigned, _)| assigned == name).map(|(_, value)| value.as_str())
    }
}

/// The socket, and what it has brought so far.
#[derive(Debug)]
pub(super) struct Inbox {
    socket: UnixDatagram,
    pub(super) received: VecDeque<Notification>,
}

impl Inbox {
    pub(super) fn open(namespace: &Namespace) -> io::Result<Self> {
        let socket = namespace.within(|| {
            std::fs::create_dir_all("/run/systemd")?;
            match std::fs::remove_file(SOCKET) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let socket = UnixDatagram::bind(SOCKET)?;
            // A service may have given up root before it notifies.
            std::fs::set_permissions(SOCKET, std::fs::Permissions::from_mode(0o777))?;
            Ok(socket)
        })??;
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, received: VecDeque::new() })
    }

    /// Readable when a message is there.
    pub(super) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// Takes the next message from `process` itself, waiting for it; those of other processes do not count
    /// (`NotifyAccess=main`).
    pub(super) fn next(&mut self, process: &Process) -> io::Result<()> {
        loop {
            let mut watched =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(process.pidfd(), PollFlags::IN)];
            if poll(&mut watched, Some(&timespec(DEADLINE)))? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no notification"));
            }
            let [notified, _] = &watched;
            if notified.revents().is_empty() {
                return Err(io::Error::other("ended without the notification"));
            }
            if self.receive(process.pid())? {
                return Ok(());
            }
        }
    }

    /// Takes what is there from process `pid`, without waiting.
    pub(super) fn collect(&mut self, pid: u32) -> io::Result<()> {
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        while poll(&mut watched, Some(&timespec(std::time::Duration::ZERO)))? > 0 {
            self.receive(pid)?;
            watched = [PollFd::new(&self.socket, PollFlags::IN)];
        }
        Ok(())
    }

    /// Receives one message; answers whether it counts.
    fn receive(&mut self, pid: u32) -> io::Result<bool> {
        let mut bytes = [0; 8192];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut descriptors = Vec::new();
        let mut sender = None;
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(passed) => descriptors.extend(passed),
                RecvAncillaryMessage::ScmCredentials(credentials) => {
                    sender = u32::try_from(credentials.pid.as_raw_nonzero().get()).ok();
                }
                _ => {}
            }
        }
        let text = String::from_utf8_lossy(bytes.get(..received.bytes).unwrap_or_default()).into_owned();
        let assignments = text.lines().filter_map(|line| line.split_once('='));
        let assignments = assignments.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let counts = sender == Some(pid);
        if counts {
            self.received.push_back(Notification { assignments, descriptors });
        }
        Ok(counts)
    }
}
