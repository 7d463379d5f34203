//! Choices made by the bytes of an input, one after the other.

/// The input; zeros behind its end, but for the iterator, which ends there.
pub struct Bytes<'a>(pub &'a [u8]);

impl Iterator for Bytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

impl<'a> Bytes<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// One of several things, by the next byte.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// So many bytes, or as many as there are.
    pub fn part(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
