//! Types with an XDR form, and the optional-data lists of the binding protocols (RFC 4506 section 4.19).
//! A list is walked one element at a time: it never recurses and never allocates.

use crate::{Error, Reader, Writer};

/// A value that can be read from a message and may borrow from it.
pub trait Decode<'a>: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// Whatever the [`Reader`] finds wrong.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error>;
}

/// A value that can be written to a lent buffer.
pub trait Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// [`Error::Full`] when it does not fit; part of it may have been written then.
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error>;
}

/// Walks a linked list: TRUE and an element, again and again, then FALSE. Ends after the first error.
#[derive(Clone, Debug)]
pub struct List<'a, T> {
    reader: Reader<'a>,
    ended: bool,
    element: core::marker::PhantomData<T>,
}

impl<'a, T: Decode<'a>> List<'a, T> {
    /// Starts at the mark before the first element.
    #[must_use]
    pub const fn new(reader: Reader<'a>) -> Self {
        Self { reader, ended: false, element: core::marker::PhantomData }
    }

    /// Where the walk has got to: after the end mark once the iterator has returned `None` without an error.
    #[must_use]
    pub const fn reader(&self) -> Reader<'a> {
        self.reader
    }
}

impl<'a, T: Decode<'a>> Iterator for List<'a, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let element = match self.reader.bool() {
            Ok(true) => T::decode(&mut self.reader),
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Err(error) => Err(error),
        };
        self.ended = element.is_err();
        Some(element)
    }
}

/// Writes a linked list with its marks.
///
/// # Errors
/// [`Error::Full`] when it does not fit; part of it may have been written then.
pub fn encode_list<T: Encode>(
    elements: impl IntoIterator<Item = T>,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    for element in elements {
        writer.bool(true)?;
        element.encode(writer)?;
    }
    writer.bool(false)
}
