//! The bounded cursor over a lent buffer (RFC 4506).
//! It writes every byte it counts, padding included, and nothing past the slice.

use crate::{Error, padding};

/// A cursor that fills a buffer with XDR. A value that does not fit leaves it where it was.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte of the buffer.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// An unsigned integer (section 4.2).
    ///
    /// # Errors
    /// [`Error::Full`] when fewer than four bytes are free.
    #[inline]
    pub fn u32(&mut self, value: u32) -> Result<(), Error> {
        self.raw(&value.to_be_bytes())
    }

    /// A signed integer (section 4.1).
    ///
    /// # Errors
    /// As [`Writer::u32`].
    #[inline]
    pub fn i32(&mut self, value: i32) -> Result<(), Error> {
        self.u32(value.cast_unsigned())
    }

    /// A boolean (section 4.4).
    ///
    /// # Errors
    /// As [`Writer::u32`].
    #[inline]
    pub fn bool(&mut self, value: bool) -> Result<(), Error> {
        self.u32(u32::from(value))
    }

    /// A counted opaque or string (sections 4.10 and 4.11) with its padding.
    ///
    /// # Errors
    /// [`Error::Full`] when it does not fit; nothing is written then.
    #[inline]
    pub fn opaque(&mut self, contents: &[u8]) -> Result<(), Error> {
        let start = self.len;
        let count = u32::try_from(contents.len())
            .map_err(|_| Error::Full { needed: contents.len(), left: self.left() })?;
        self.u32(count)?;
        self.opaque_fixed(contents).inspect_err(|_| self.len = start)
    }

    /// An opaque of fixed length (section 4.9) with its padding.
    ///
    /// # Errors
    /// [`Error::Full`] when it does not fit; nothing is written then.
    #[inline]
    pub fn opaque_fixed(&mut self, contents: &[u8]) -> Result<(), Error> {
        let start = self.len;
        self.raw(contents)?;
        let zeros = [0; 3];
        let pad = zeros.get(..padding(contents.len())).unwrap_or_default();
        self.raw(pad).inspect_err(|_| self.len = start)
    }

    /// Bytes that are XDR already, copied as they are.
    ///
    /// # Errors
    /// [`Error::Full`] when they do not fit; nothing is written then.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let full = Error::Full { needed: bytes.len(), left: self.left() };
        let end = self.len.checked_add(bytes.len()).ok_or(full)?;
        self.buffer.get_mut(self.len..end).ok_or(full)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Takes back everything written after the first `len` bytes. A larger `len` changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn left(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }
}
