//! Why connections are closed: each reason has a count.

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::net) enum Ending {
    /// The peer ended it and has all its answers, or hung up.
    ByPeer,
    /// Reading or writing failed.
    Failed,
    /// A record was too long, or came in too many fragments.
    BadRecord,
    /// A record was not completed in time.
    Unfinished,
    /// Replies were not read in time.
    NotReading,
    /// Nothing was asked for too long.
    Idle,
    /// Room was needed for another connection.
    Evicted,
    /// Too many bytes of unfinished messages were held, and its message was the oldest.
    InputMemory,
    /// Too many bytes of replies were held, and it had been reading least recently.
    OutputMemory,
    /// It was reading a list that is too old.
    OldTable,
    /// The kernel held too many bytes of replies, and those to this one had lain longest.
    KernelMemory,
}

impl Ending {
    /// All of them, in their order.
    pub(in crate::net) const ALL: [Self; 11] = [
        Self::ByPeer,
        Self::Failed,
        Self::BadRecord,
        Self::Unfinished,
        Self::NotReading,
        Self::Idle,
        Self::Evicted,
        Self::InputMemory,
        Self::OutputMemory,
        Self::OldTable,
        Self::KernelMemory,
    ];

    /// Whether it is to make room: then nothing of the connection may stay in the kernel.
    pub(in crate::net) fn makes_room(self) -> bool {
        matches!(
            self,
            Self::NotReading
                | Self::Evicted
                | Self::InputMemory
                | Self::OutputMemory
                | Self::OldTable
                | Self::KernelMemory
        )
    }
}
