//! The bounded cursor over a received message (RFC 4506).
//! It never reads past the slice, never allocates and never panics.

use crate::{Error, padding};

/// A cursor over XDR bytes. A failed read leaves it where it was.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// An unsigned integer (section 4.2).
    ///
    /// # Errors
    /// [`Error::Short`] when fewer than four bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Error> {
        match self.rest.split_first_chunk::<4>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(u32::from_be_bytes(*bytes))
            }
            None => Err(Error::Short { needed: 4, left: self.rest.len() }),
        }
    }

    /// A signed integer (section 4.1).
    ///
    /// # Errors
    /// As [`Reader::u32`].
    #[inline]
    pub fn i32(&mut self) -> Result<i32, Error> {
        self.u32().map(u32::cast_signed)
    }

    /// A boolean (section 4.4), which also marks the end of a linked list.
    ///
    /// # Errors
    /// [`Error::Bool`] for anything but 0 and 1; as [`Reader::u32`].
    #[inline]
    pub fn bool(&mut self) -> Result<bool, Error> {
        let mut ahead = *self;
        let value = match ahead.u32()? {
            0 => false,
            1 => true,
            other => return Err(Error::Bool(other)),
        };
        *self = ahead;
        Ok(value)
    }

    /// A counted opaque or string of at most `max` bytes (sections 4.10 and 4.11), without its padding.
    /// What the padding holds is not looked at, as no peer does.
    ///
    /// # Errors
    /// [`Error::TooLong`] when the claimed length is over `max`, whatever follows; [`Error::Short`] when the
    /// contents or their padding are not all there.
    #[inline]
    pub fn opaque(&mut self, max: u32) -> Result<&'a [u8], Error> {
        let mut ahead = *self;
        let len = ahead.u32()?;
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        let contents = ahead.opaque_fixed(usize::try_from(len).unwrap_or(usize::MAX))?;
        *self = ahead;
        Ok(contents)
    }

    /// An opaque of fixed length (section 4.9), without its padding.
    ///
    /// # Errors
    /// [`Error::Short`] when the contents or their padding are not all there.
    #[inline]
    pub fn opaque_fixed(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let needed = len.saturating_add(padding(len));
        match (self.rest.get(..len), self.rest.get(needed..)) {
            (Some(contents), Some(rest)) => {
                self.rest = rest;
                Ok(contents)
            }
            _ => Err(Error::Short { needed, left: self.rest.len() }),
        }
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading of a message that must hold nothing more.
    ///
    /// # Errors
    /// [`Error::Leftover`] when bytes are left.
    pub const fn finish(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Error::Leftover(left)),
        }
    }
}
