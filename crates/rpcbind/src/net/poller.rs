//! Waiting for descriptors: epoll, level-triggered, so that whatever is left undone is reported again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// The most descriptors that one wait reports: a bound on the work of a turn.
const EVENTS_MAX: usize = 128;

/// What a descriptor is known by: its owner's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// What a descriptor is watched for. Errors and hang-ups are always reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Something can be read, or accepted.
    pub(crate) read: bool,
    /// Something can be written.
    pub(crate) write: bool,
}

/// A descriptor with something to do. An error or a hang-up is both: reading or writing says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Whose it is.
    pub(crate) token: Token,
    /// Reading does not wait.
    pub(crate) readable: bool,
    /// Writing does not wait.
    pub(crate) writable: bool,
}

/// The descriptors watched.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    ready: Vec<Ready>,
    reported_all: bool,
}

impl Interest {
    /// Reading only.
    pub(crate) const READ: Self = Self { read: true, write: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

impl Poller {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, ready: Vec::with_capacity(EVENTS_MAX), reported_all: false })
    }

    /// Starts to watch a descriptor. Closing it ends that.
    pub(crate) fn add(&self, descriptor: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, epoll::EventData::new_u64(token.0), interest.flags())?)
    }

    /// Watches for something else from now on.
    pub(crate) fn modify(&self, descriptor: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(token.0), interest.flags())?)
    }

    /// Waits until something is ready or the time is over; `None` waits as long as it takes. A signal ends the wait
    /// with nothing ready.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.ready.clear();
        self.reported_all = false;
        let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => {
                self.reported_all = events.len() < EVENTS_MAX;
                self.ready.extend(events.iter().map(Ready::of));
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether the last wait has found all that was ready; not while more may be than one wait reports.
    pub(crate) fn reported_all(&self) -> bool {
        self.reported_all
    }

    /// The descriptor at `index` among those that the last wait found ready.
    pub(crate) fn ready(&self, index: usize) -> Option<Ready> {
        self.ready.get(index).copied()
    }
}

impl AsFd for Poller {
    /// Readable when something is ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Ready {
    fn of(event: &epoll::Event) -> Self {
        let either = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        // The fields may be unaligned: copied, never borrowed.
        let (flags, data) = (event.flags, event.data);
        Self {
            token: Token(data.u64()),
            readable: flags.intersects(epoll::EventFlags::IN | either),
            writable: flags.intersects(epoll::EventFlags::OUT | either),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_not_read_is_reported_again() {
        let mut poller = Poller::new().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        poller.add(&far, Token(7), Interest::READ).unwrap();
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(poller.ready(0), None);
        near.write_all(b"x").unwrap();
        for _ in 0..2 {
            poller.wait(None).unwrap();
            assert_eq!(poller.ready(0), Some(Ready { token: Token(7), readable: true, writable: false }));
        }
        poller.modify(&far, Token(8), Interest { read: false, write: true }).unwrap();
        poller.wait(None).unwrap();
        assert_eq!(poller.ready(0), Some(Ready { token: Token(8), readable: false, writable: true }));
    }

    #[test]
    fn a_hang_up_is_reported_to_a_descriptor_that_is_watched_for_nothing() {
        let mut poller = Poller::new().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        poller.add(&far, Token(1), Interest::default()).unwrap();
        drop(near);
        poller.wait(None).unwrap();
        assert_eq!(poller.ready(0), Some(Ready { token: Token(1), readable: true, writable: true }));
    }
}
