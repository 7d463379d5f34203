//! The signals that a daemon obeys, read like everything else: from a descriptor, in the loop. Nothing of ours ever
//! runs in a signal handler.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// TERM, INT, QUIT: to end.
    Stop,
    /// HUP: to read the configuration again.
    Reload,
}

/// The signals from now on. They are blocked, and stay so.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Takes the signals over. Must be called before there are other threads, which would get them.
    pub(crate) fn take() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
            signals.add(signal);
        }
        // The C daemon ignores these two as well. (PIPE is ignored already, CHLD does nothing.)
        for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let descriptor = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { descriptor })
    }

    /// The next wish; `None` when no signal is left.
    pub(crate) fn next(&self) -> io::Result<Option<Wish>> {
        while let Some(info) = self.descriptor.read_signal()? {
            match i32::try_from(info.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT)) => return Ok(Some(Wish::Stop)),
                Ok(Ok(Signal::SIGHUP)) => return Ok(Some(Wish::Reload)),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn signals_are_wishes_in_the_order_of_their_numbers_and_others_are_nothing() {
        // On this test's own thread only: the mask is the thread's, and ends with it.
        let signals = Signals::take().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        for signal in [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGHUP] {
            raise(signal).unwrap();
        }
        assert_eq!(signals.next().unwrap(), Some(Wish::Reload));
        assert_eq!(signals.next().unwrap(), Some(Wish::Stop));
        assert_eq!(signals.next().unwrap(), None);
    }
}
