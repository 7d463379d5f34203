//! Record marking on byte streams (RFC 5531 section 11) as a push parser: bytes in, whole records out.
//! It keeps no more bytes than were received, and no more than its maximum, whatever a mark claims.

use alloc::vec::Vec;
use core::fmt;

/// The most fragments that one record may come in.
pub const MAX_FRAGMENTS: u32 = 64;
/// The last fragment's bit in a mark.
const LAST: u32 = 0x8000_0000;

/// Puts records together from the bytes of a stream, however they were split.
///
/// ```
/// use oncrpc::record::{RecordReader, mark};
///
/// let mut reader = RecordReader::new(9_000);
/// let mut input: &[u8] = &[0, 0, 0, 2, b'a', b'b', 0x80, 0, 0, 1, b'c', 0x80];
/// assert_eq!(reader.next(&mut input)?, Some(&b"abc"[..]));
/// assert_eq!(reader.next(&mut input)?, None);
/// assert_eq!(reader.held(), 1);
/// assert_eq!(mark(3), Some([0x80, 0, 0, 3]));
/// # Ok::<(), oncrpc::record::RecordError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordReader {
    max: usize,
    fragments: u32,
    mark: [u8; 4],
    mark_len: usize,
    /// Bytes that the present fragment still lacks, and whether it is the last one.
    fragment: Option<(usize, bool)>,
    record: Vec<u8>,
    returned: bool,
}

/// Why a stream cannot go on: where the next record starts is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A record is longer than the maximum.
    TooLong {
        /// The length so far with what the mark claims, in bytes.
        len: usize,
        /// The maximum in bytes.
        max: usize,
    },
    /// A record comes in more than [`MAX_FRAGMENTS`] fragments.
    TooManyFragments,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "record of {len} bytes is over the limit of {max}"),
            Self::TooManyFragments => write!(f, "record in more than {MAX_FRAGMENTS} fragments"),
        }
    }
}

impl core::error::Error for RecordError {}

impl RecordReader {
    /// Starts between two records. A record may have `max` bytes.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            fragments: 0,
            mark: [0; 4],
            mark_len: 0,
            fragment: None,
            record: Vec::new(),
            returned: false,
        }
    }

    /// Takes bytes off `input` up to the end of the next record and returns that record; `None` when the input ran
    /// out first. Call again with what is left of the input. A record that is whole in the input is not copied.
    ///
    /// # Errors
    /// [`RecordError`]: the stream has to be closed.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<&'s [u8]>, RecordError> {
        if core::mem::take(&mut self.returned) {
            self.record = Vec::new();
        }
        loop {
            let Some((left, last)) = self.fragment_ahead(input)? else { return Ok(None) };
            let taken = left.min(input.len());
            let (bytes, rest) = input.split_at_checked(taken).unwrap_or((input, &[]));
            *input = rest;
            let left = left.saturating_sub(taken);
            if left == 0 && last && self.record.is_empty() {
                self.end_of_record();
                return Ok(Some(bytes));
            }
            self.record.extend_from_slice(bytes);
            if left > 0 {
                self.fragment = Some((left, last));
                return Ok(None);
            }
            self.fragment = None;
            if last {
                self.end_of_record();
                self.returned = true;
                return Ok(Some(&self.record));
            }
        }
    }

    /// Bytes held of a record that is not complete, its mark included while that is not complete; at least 1 once a
    /// mark has been read, 0 between two records.
    #[must_use]
    pub fn held(&self) -> usize {
        let record = if self.returned { 0 } else { self.record.len() };
        let begun = usize::from(self.fragment.is_some() || self.fragments > 0);
        record.saturating_add(self.mark_len).max(begun)
    }

    fn end_of_record(&mut self) {
        self.fragment = None;
        self.fragments = 0;
    }

    /// The fragment that the next byte belongs to: the present one, or the one whose mark is read now.
    fn fragment_ahead(&mut self, input: &mut &[u8]) -> Result<Option<(usize, bool)>, RecordError> {
        if self.fragment.is_some() {
            return Ok(self.fragment);
        }
        while self.mark_len < 4 {
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            if let Some(slot) = self.mark.get_mut(self.mark_len) {
                *slot = *byte;
            }
            self.mark_len = self.mark_len.saturating_add(1);
        }
        self.mark_len = 0;
        let mark = u32::from_be_bytes(self.mark);
        let len = usize::try_from(mark & !LAST).unwrap_or(usize::MAX);
        let total = self.record.len().saturating_add(len);
        if total > self.max {
            return Err(RecordError::TooLong { len: total, max: self.max });
        }
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > MAX_FRAGMENTS {
            return Err(RecordError::TooManyFragments);
        }
        self.fragment = Some((len, mark & LAST != 0));
        Ok(self.fragment)
    }
}

/// The mark of a record sent in one fragment; `None` when it is too long for one (2^31 bytes and more).
#[must_use]
pub fn mark(len: usize) -> Option<[u8; 4]> {
    let len = u32::try_from(len).ok().filter(|len| len & LAST == 0)?;
    Some((len | LAST).to_be_bytes())
}
