//! The service manager's descriptor store (sd_pid_notify_with_fds(3), FileDescriptorStoreMax= of systemd.service(5)):
//! keeps what a service hands over, however the service ends, and passes it back at the next start.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};

use super::Notification;

/// The name of a descriptor that came without one.
const UNNAMED: &str = "stored";
/// The longest name.
const NAME_MAX: usize = 255;

/// A descriptor that is kept.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) descriptor: OwnedFd,
    /// Let go when its other end is closed, or it is broken (`FDPOLL=0` prevents that).
    polled: bool,
}

/// The descriptors of one service.
#[derive(Debug)]
pub(super) struct Store {
    max: usize,
    pub(super) kept: Vec<Stored>,
    /// How many were not kept because the store was full.
    pub(super) refused: usize,
}

impl Store {
    pub(super) fn new(max: usize) -> Self {
        Self { max, kept: Vec::new(), refused: 0 }
    }

    /// Does what a notification says about descriptors. One that is there already stays as it is.
    pub(super) fn obey(&mut self, notification: &mut Notification) -> io::Result<()> {
        let descriptors = std::mem::take(&mut notification.descriptors);
        if notification.value("FDSTOREREMOVE") == Some("1") {
            if let Some(name) = notification.value("FDNAME") {
                self.kept.retain(|stored| stored.name != name);
            }
            return Ok(());
        }
        if notification.value("FDSTORE") != Some("1") {
            return Ok(());
        }
        let name = notification.value("FDNAME").filter(|name| is_name(name)).unwrap_or(UNNAMED);
        let polled = notification.value("FDPOLL") != Some("0");
        for descriptor in descriptors {
            if self.holds(&descriptor)? {
                continue;
            }
            if self.kept.len() >= self.max {
                self.refused += 1;
                continue;
            }
            self.kept.push(Stored { name: name.to_owned(), descriptor, polled });
        }
        Ok(())
    }

    fn holds(&self, descriptor: &OwnedFd) -> io::Result<bool> {
        let file =
            |descriptor: &OwnedFd| rustix::fs::fstat(descriptor).map(|about| (about.st_dev, about.st_ino));
        let wanted = file(descriptor)?;
        for stored in &self.kept {
            if file(&stored.descriptor)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What to poll: it is reported when the other end is closed.
    pub(super) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        let polled = self.kept.iter().filter(|stored| stored.polled);
        polled.map(|stored| PollFd::from_borrowed_fd(stored.descriptor.as_fd(), PollFlags::empty()))
    }

    /// Lets go of those whose other end is closed.
    pub(super) fn let_go(&mut self) -> io::Result<()> {
        let mut kept = Vec::new();
        for stored in self.kept.drain(..) {
            let mut watched = [PollFd::new(&stored.descriptor, PollFlags::empty())];
            let at_once = crate::process::timespec(std::time::Duration::ZERO);
            if !stored.polled || rustix::event::poll(&mut watched, Some(&at_once))? == 0 {
                kept.push(stored);
            }
        }
        self.kept = kept;
        Ok(())
    }
}

/// Printable ASCII without a colon, which separates names in `LISTEN_FDNAMES`.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b':')
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn told(lines: &[(&str, &str)], descriptors: Vec<OwnedFd>) -> Notification {
        let assignments = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Notification { assignments: assignments.collect(), descriptors }
    }

    fn names(store: &Store) -> Vec<&str> {
        store.kept.iter().map(|stored| stored.name.as_str()).collect()
    }

    #[test]
    fn descriptors_are_kept_once_up_to_a_limit_and_removed_by_name() {
        let mut store = Store::new(2);
        let (one, two) = UnixStream::pair().unwrap();
        let (three, _four) = UnixStream::pair().unwrap();
        let copy = OwnedFd::from(one.try_clone().unwrap());
        store.obey(&mut told(&[("FDSTORE", "1"), ("FDNAME", "a")], vec![one.into()])).unwrap();
        store.obey(&mut told(&[("FDSTORE", "1"), ("FDNAME", "b")], vec![copy])).unwrap();
        assert_eq!(names(&store), ["a"]);
        store.obey(&mut told(&[("FDSTORE", "1"), ("FDNAME", "x:y")], vec![two.into()])).unwrap();
        store.obey(&mut told(&[("FDSTORE", "1")], vec![three.into()])).unwrap();
        assert_eq!((names(&store), store.refused), (vec!["a", "stored"], 1));
        store.obey(&mut told(&[("FDSTOREREMOVE", "1"), ("FDNAME", "a")], Vec::new())).unwrap();
        assert_eq!(names(&store), ["stored"]);
    }

    #[test]
    fn a_descriptor_whose_other_end_is_closed_goes_unless_it_is_not_to_be_polled() {
        let mut store = Store::new(9);
        for poll in ["1", "0"] {
            let (end, other) = UnixStream::pair().unwrap();
            let lines = [("FDSTORE", "1"), ("FDNAME", poll), ("FDPOLL", poll)];
            store.obey(&mut told(&lines, vec![end.into()])).unwrap();
            store.let_go().unwrap();
            assert!(names(&store).contains(&poll));
            drop(other);
        }
        store.let_go().unwrap();
        assert_eq!(names(&store), ["0"]);
    }
}
