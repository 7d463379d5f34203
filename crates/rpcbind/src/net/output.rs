//! What waits to be written to a connection: bytes, then at most one shared list with a position in it, then replies
//! that were late. The list is never copied. It must never wait.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

/// The rest of what a connection is to be sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
    table: Option<Arc<[u8]>>,
    table_written: usize,
    /// What follows the list.
    behind: Vec<u8>,
}

impl Output {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.table.is_none()
    }

    /// The bytes that wait and are ours alone: a shared list does not count.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.written).saturating_add(self.behind.len())
    }

    /// The shared list that waits, or is being written.
    pub(super) fn table(&self) -> Option<&Arc<[u8]>> {
        self.table.as_ref()
    }

    /// Adds bytes and a list behind them, from `done` on, counted over both. Only when no list waits.
    pub(super) fn add(&mut self, bytes: &[u8], table: Option<Arc<[u8]>>, done: usize) {
        debug_assert!(self.table.is_none(), "nothing may follow a list that is not written");
        self.bytes.extend_from_slice(bytes.get(done..).unwrap_or(&[]));
        self.table_written = done.saturating_sub(bytes.len());
        self.table = table.filter(|table| self.table_written < table.len());
    }

    /// Adds bytes behind everything, a list that waits included.
    pub(super) fn add_behind(&mut self, bytes: &[u8]) {
        let last = if self.table.is_some() { &mut self.behind } else { &mut self.bytes };
        last.extend_from_slice(bytes);
    }

    /// Writes as much as fits, in one system call; answers how much that was.
    pub(super) fn write(&mut self, socket: impl AsFd) -> Result<usize, Errno> {
        let bytes = self.bytes.get(self.written..).unwrap_or(&[]);
        let table = self.table.as_deref().and_then(|table| table.get(self.table_written..)).unwrap_or(&[]);
        let count = write_parts(socket, bytes, table)?;
        let of_table = count.saturating_sub(bytes.len());
        self.written = self.written.saturating_add(count.saturating_sub(of_table));
        self.table_written = self.table_written.saturating_add(of_table);
        if self.written >= self.bytes.len() {
            self.bytes = Vec::new();
            self.written = 0;
        }
        if self.table.as_ref().is_some_and(|table| self.table_written >= table.len()) {
            self.table = None;
            // Nothing waits before the list any more.
            self.bytes = std::mem::take(&mut self.behind);
        }
        Ok(count)
    }
}

/// Writes two pieces as one, as far as they fit; answers how much that was.
pub(super) fn write_parts(socket: impl AsFd, first: &[u8], second: &[u8]) -> Result<usize, Errno> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    if second.is_empty() {
        return rustix::net::send(socket, first, flags);
    }
    let parts = [IoSlice::new(first), IoSlice::new(second)];
    sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_list_is_written_in_pieces_and_never_copied() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let table: Arc<[u8]> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut output = Output::default();
        output.add(b"..head", Some(table.clone()), 2);
        assert_eq!(output.len(), 4);
        assert_eq!(Arc::strong_count(&table), 2);
        let mut heard = Vec::new();
        let mut writes = 0;
        while !output.is_empty() {
            let count = output.write(&near).unwrap();
            writes += 1;
            let mut bytes = vec![0; count];
            far.read_exact(&mut bytes).unwrap();
            heard.extend(bytes);
        }
        assert!(writes > 1, "a socket takes less than a million bytes at once");
        assert_eq!(&heard[..4], b"head");
        assert!(heard[4..] == *table);
        assert_eq!(Arc::strong_count(&table), 1, "a list that is written is let go");
    }

    #[test]
    fn what_is_done_already_may_end_within_the_list_or_at_its_end() {
        let table: Arc<[u8]> = Arc::from(&b"table"[..]);
        let mut output = Output::default();
        output.add(b"head", Some(table.clone()), 6);
        assert_eq!((output.len(), output.table_written), (0, 2));
        let mut output = Output::default();
        output.add(b"head", Some(table), 9);
        assert!(output.is_empty());
    }

    #[test]
    fn a_peer_that_went_away_is_an_error_and_not_a_signal() {
        let (near, far) = UnixStream::pair().unwrap();
        // A child that another test is just starting may hold a copy that is not closed yet.
        far.shutdown(std::net::Shutdown::Both).unwrap();
        drop(far);
        assert_eq!(write_parts(&near, b"x", b""), Err(Errno::PIPE));
        assert_eq!(write_parts(&near, b"x", b"y"), Err(Errno::PIPE));
    }
}
