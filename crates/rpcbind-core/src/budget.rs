//! The right to send one datagram, of at most so many bytes: made from a request, used up by its reply.
//! Whoever sends on a datagram socket has to hand one in, so nothing leaves that nobody paid for.

/// How many bytes may answer one message. Neither copied nor cloned: one request, one reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Budget(usize);

impl Budget {
    pub(crate) fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The length that the reply may have, and so the length of the buffer to lend.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0
    }
}
