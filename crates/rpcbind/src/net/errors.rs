//! Whose fault an error of a socket call is: a stranger's (count it, go on), the moment's (wait), or ours (stop).

use rustix::io::Errno;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is there, or nothing fits: the poller says when to come back.
    NotNow,
    /// A signal came in between: try again.
    Interrupted,
    /// A peer or the network did it: count it and go on.
    Theirs,
    /// The host is out of descriptors or memory: go on without this one, and pause.
    Crowded,
    /// Our descriptor or our arguments are wrong: going on would be a loop without end.
    Ours,
}

impl Fault {
    /// The fault of an error that any call on a socket may give.
    pub(crate) fn of(errno: Errno) -> Self {
        match errno {
            // EWOULDBLOCK is the same number on Linux.
            Errno::AGAIN => Self::NotNow,
            Errno::INTR => Self::Interrupted,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Self::Crowded,
            // What only a programming error gives; EINVAL from accept is a socket that does not listen.
            Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS => {
                Self::Ours
            }
            // accept passes on what happened to the new connection already, receiving passes on what ICMP said to
            // an earlier reply: ECONNABORTED, ECONNRESET, ECONNREFUSED, EPIPE, EHOSTUNREACH, ENETDOWN, EPERM of a
            // packet filter, and whatever else a network may come up with.
            _ => Self::Theirs,
        }
    }

    /// The same for an error that went through the standard library.
    pub(crate) fn of_io(error: &std::io::Error) -> Self {
        Errno::from_io_error(error).map_or(Self::Ours, Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_stop_us_and_our_own_faults_do() {
        for (errno, fault) in [
            (Errno::AGAIN, Fault::NotNow),
            (Errno::INTR, Fault::Interrupted),
            (Errno::CONNABORTED, Fault::Theirs),
            (Errno::CONNREFUSED, Fault::Theirs),
            (Errno::CONNRESET, Fault::Theirs),
            (Errno::PIPE, Fault::Theirs),
            (Errno::HOSTUNREACH, Fault::Theirs),
            (Errno::PERM, Fault::Theirs),
            (Errno::PROTO, Fault::Theirs),
            (Errno::MFILE, Fault::Crowded),
            (Errno::NFILE, Fault::Crowded),
            (Errno::NOMEM, Fault::Crowded),
            (Errno::BADF, Fault::Ours),
            (Errno::INVAL, Fault::Ours),
        ] {
            assert_eq!(Fault::of(errno), fault, "{errno}");
        }
    }
}
