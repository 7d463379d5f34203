//! What the daemon watches beside its sockets: signals, the hosts files, and the time to say how many lines of the log
//! were suppressed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::warn;
use rustix::fs::inotify;
use rustix::io::Errno;

use super::rules::Rules;
use crate::logging::{self, START};
use crate::net::dispatch::Dispatch;
use crate::net::event_loop::{Next, Timed, Watched};
use crate::net::signals::{Signals, Wish};
use crate::notify::Notifier;
use crate::state::durable::status_line;

/// Directories watched: the hosts files' and those of the files of patterns that they name.
const DIRECTORIES_MAX: usize = 32;
/// Events read in one turn; the rest stays readable.
const EVENTS_MAX: usize = 256;

/// Obeys signals.
pub(super) struct Control {
    signals: Signals,
    rules: Arc<Mutex<Rules>>,
    notifier: Arc<Notifier>,
}

impl Control {
    pub(super) fn new(signals: Signals, rules: Arc<Mutex<Rules>>, notifier: Arc<Notifier>) -> Self {
        Self { signals, rules, notifier }
    }
}

impl Watched for Control {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    fn on_readable(&mut self, dispatch: &mut Dispatch) -> io::Result<Next> {
        while let Some(wish) = self.signals.next()? {
            match wish {
                Wish::Stop => return Ok(Next::Stop),
                Wish::Reload => {
                    // A manager that does not listen is not waited for; it sees the result all the same.
                    let _ = self.notifier.reloading();
                    self.rules.lock().unwrap_or_else(PoisonError::into_inner).reload(dispatch);
                    let _ = self.notifier.ready(&status_line(&dispatch.service));
                }
            }
        }
        Ok(Next::GoOn)
    }
}

/// The directories of the hosts files, watched for changes of these files by name: one that is replaced by another is
/// seen, too.
pub(super) struct Files {
    inotify: OwnedFd,
    names: BTreeSet<OsString>,
}

/// The same, with what to do.
pub(super) struct Reloading {
    files: Files,
    rules: Arc<Mutex<Rules>>,
}

impl Files {
    /// Watches what the rules are made from; `None`, after a warning, where that cannot be had.
    pub(super) fn new(rules: &Rules) -> Option<Self> {
        let files = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map(|inotify| Self { inotify, names: BTreeSet::new() });
        match files {
            Ok(mut files) => {
                files.follow(rules.files());
                Some(files)
            }
            Err(errno) => {
                warn!(target: START, "hosts files are not watched: {errno}; SIGHUP has them read");
                None
            }
        }
    }

    pub(super) fn reloading(self, rules: Arc<Mutex<Rules>>) -> Reloading {
        Reloading { files: self, rules }
    }

    fn follow(&mut self, files: BTreeSet<PathBuf>) {
        let flags = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ATTRIB;
        let directories: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        for directory in directories.into_iter().take(DIRECTORIES_MAX) {
            if let Err(errno) = inotify::add_watch(&self.inotify, directory, flags) {
                warn!(target: START, "{} is not watched: {errno}; SIGHUP has it read", directory.display());
            }
        }
        self.names = files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
    }

    /// Whether an event that is there now is about one of the files, or may be.
    fn is_about_us(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut about_us = false;
        for _ in 0..EVENTS_MAX {
            match events.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) => about_us = true,
                Ok(event) => {
                    let name = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec()));
                    about_us |= name.is_some_and(|name| self.names.contains(&name));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(about_us)
    }
}

impl Watched for Reloading {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.files.inotify.as_fd()
    }

    fn on_readable(&mut self, dispatch: &mut Dispatch) -> io::Result<Next> {
        if self.files.is_about_us()? {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            rules.reload_hosts(dispatch);
            self.files.follow(rules.files());
        }
        Ok(Next::GoOn)
    }
}

/// Says how many lines of the log were suppressed, when their second is over.
pub(super) struct Suppressed;

impl Timed for Suppressed {
    fn due_in(&self, _: &Dispatch) -> Option<Duration> {
        logging::flush_in()
    }

    fn on_time(&mut self, _: &mut Dispatch) {
        log::logger().flush();
    }
}

/// Gives the service manager signs of life, one at each interval, as long as the loop turns.
pub(super) struct SignsOfLife {
    notifier: Arc<Notifier>,
    interval: Duration,
    last: Option<Instant>,
}

impl SignsOfLife {
    pub(super) fn new(notifier: Arc<Notifier>, interval: Duration) -> Self {
        Self { notifier, interval, last: None }
    }
}

impl Timed for SignsOfLife {
    fn due_in(&self, _: &Dispatch) -> Option<Duration> {
        Some(self.last.map_or(Duration::ZERO, |last| self.interval.saturating_sub(last.elapsed())))
    }

    fn on_time(&mut self, _: &mut Dispatch) {
        // A manager whose queue is full has an older sign to read.
        let _ = self.notifier.watchdog();
        self.last = Some(Instant::now());
    }
}
