//! How many connections there may be, of whom: the limit of descriptors shared out between unix sockets, each uid,
//! root and TCP, and the prefixes that TCP connections come from. It counts; it closes nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::chain::{Chain, Links};

/// Descriptors kept from connections: for the daemon's own files and sockets.
const FOR_OURSELVES: usize = 64;
/// Descriptors kept from connections: for root's unix sockets.
const FOR_ROOT: usize = 64;
/// The most unix connections.
const UNIX_MAX: usize = 4_096;
/// The most unix connections of one uid.
const UNIX_PER_UID_MAX: usize = 1_024;
/// The most TCP connections.
const TCP_MAX: usize = 12_288;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unix connections.
    pub unix: usize,
    /// Unix connections of one uid.
    pub unix_per_uid: usize,
    /// Unix connections of root that are over these two.
    pub root_reserve: usize,
    /// TCP connections.
    pub tcp: usize,
}

/// What a connection is counted as, until it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// A unix connection of this uid.
    Unix(Option<u32>),
    /// One of root's, from the reserve.
    Reserve,
    /// One of root's, in the place of a TCP connection.
    Borrowed,
    /// A TCP connection from this prefix.
    Tcp(Prefix),
}

/// Whether a connection may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes, counted so.
    Admitted(Share),
    /// Yes, counted so, after a TCP connection has been closed.
    InPlaceOfOne(Share),
    /// No.
    Refused,
}

/// The /24 or /56 that an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prefix {
    /// The upper 24 bits of an IPv4 address.
    V4(u32),
    /// The upper 56 bits of an IPv6 address.
    V6(u64),
}

/// The connections there are, counted.
#[derive(Debug)]
pub(super) struct Shares {
    limits: Limits,
    unix: usize,
    per_uid: BTreeMap<Option<u32>, usize>,
    reserve: usize,
    borrowed: usize,
    tcp: usize,
    prefixes: BTreeMap<Prefix, Group>,
    /// The prefixes by the number of their connections.
    by_size: BTreeSet<(usize, Prefix)>,
    links: Links,
}

/// The connections from one prefix, the one idle longest first.
#[derive(Debug, Default)]
struct Group {
    size: usize,
    chain: Chain,
}

impl Limits {
    /// Shares out so many descriptors.
    #[must_use]
    pub fn of(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let free = descriptors.saturating_sub(FOR_OURSELVES).saturating_sub(FOR_ROOT);
        let unix = (free / 4).min(UNIX_MAX);
        Self {
            unix,
            unix_per_uid: UNIX_PER_UID_MAX,
            root_reserve: FOR_ROOT,
            tcp: free.saturating_sub(unix).min(TCP_MAX),
        }
    }
}

impl Prefix {
    /// The prefix of a peer's address, IPv4-mapped ones unmapped.
    pub(super) fn of(address: SocketAddr) -> Self {
        match address.ip() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits() >> 8),
            IpAddr::V6(v6) => Self::V6(u64::try_from(v6.to_bits() >> 72).unwrap_or(0)),
        }
    }
}

impl Shares {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            unix: 0,
            per_uid: BTreeMap::new(),
            reserve: 0,
            borrowed: 0,
            tcp: 0,
            prefixes: BTreeMap::new(),
            by_size: BTreeSet::new(),
            links: Links::default(),
        }
    }

    /// Whether a TCP connection may come in: the newcomer is served, if anybody can be closed for it.
    pub(super) fn admit_tcp(&self, prefix: Prefix) -> Admission {
        let share = Share::Tcp(prefix);
        if self.tcp.saturating_add(self.borrowed) < self.limits.tcp {
            Admission::Admitted(share)
        } else if self.tcp > 0 {
            Admission::InPlaceOfOne(share)
        } else {
            Admission::Refused
        }
    }

    /// Whether a unix connection may come in: an ordinary newcomer is refused when it is full; root's is served from
    /// the reserve, and after that in the place of a TCP connection.
    pub(super) fn admit_unix(&self, uid: Option<u32>) -> Admission {
        let of_uid = self.per_uid.get(&uid).copied().unwrap_or(0);
        if self.unix < self.limits.unix && of_uid < self.limits.unix_per_uid {
            Admission::Admitted(Share::Unix(uid))
        } else if uid != Some(0) {
            Admission::Refused
        } else if self.reserve < self.limits.root_reserve {
            Admission::Admitted(Share::Reserve)
        } else if self.tcp > 0 {
            Admission::InPlaceOfOne(Share::Borrowed)
        } else {
            Admission::Refused
        }
    }

    /// Counts a connection that was admitted.
    pub(super) fn enter(&mut self, share: Share, index: u32) {
        match share {
            Share::Unix(uid) => {
                self.unix = self.unix.saturating_add(1);
                let of_uid = self.per_uid.entry(uid).or_default();
                *of_uid = of_uid.saturating_add(1);
            }
            Share::Reserve => self.reserve = self.reserve.saturating_add(1),
            Share::Borrowed => self.borrowed = self.borrowed.saturating_add(1),
            Share::Tcp(prefix) => {
                self.tcp = self.tcp.saturating_add(1);
                let group = self.prefixes.entry(prefix).or_default();
                self.by_size.remove(&(group.size, prefix));
                group.size = group.size.saturating_add(1);
                self.by_size.insert((group.size, prefix));
                self.links.put_last(&mut group.chain, index);
            }
        }
    }

    /// Notes that a TCP connection was active: it is the last of its prefix to be closed now.
    pub(super) fn was_active(&mut self, share: Share, index: u32) {
        if let Share::Tcp(prefix) = share
            && let Some(group) = self.prefixes.get_mut(&prefix)
        {
            self.links.put_last(&mut group.chain, index);
        }
    }

    /// Forgets a connection that was closed.
    pub(super) fn leave(&mut self, share: Share, index: u32) {
        match share {
            Share::Unix(uid) => {
                self.unix = self.unix.saturating_sub(1);
                if let Some(of_uid) = self.per_uid.get_mut(&uid) {
                    *of_uid = of_uid.saturating_sub(1);
                    if *of_uid == 0 {
                        self.per_uid.remove(&uid);
                    }
                }
            }
            Share::Reserve => self.reserve = self.reserve.saturating_sub(1),
            Share::Borrowed => self.borrowed = self.borrowed.saturating_sub(1),
            Share::Tcp(prefix) => {
                self.tcp = self.tcp.saturating_sub(1);
                let Some(group) = self.prefixes.get_mut(&prefix) else { return };
                self.links.take_out(&mut group.chain, index);
                self.by_size.remove(&(group.size, prefix));
                group.size = group.size.saturating_sub(1);
                if group.size == 0 {
                    self.prefixes.remove(&prefix);
                } else {
                    self.by_size.insert((group.size, prefix));
                }
            }
        }
    }

    /// The connection to close for a newcomer: of the fullest prefix, the one that has been idle longest.
    pub(super) fn idle_longest_of_fullest(&self) -> Option<u32> {
        let (_, prefix) = self.by_size.last()?;
        self.prefixes.get(prefix)?.chain.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { unix: 4, unix_per_uid: 2, root_reserve: 1, tcp: 3 };

    fn prefix(address: &str) -> Prefix {
        Prefix::of(SocketAddr::new(address.parse().unwrap(), 1))
    }

    fn enter(shares: &mut Shares, admission: Admission, index: u32) -> Share {
        let Admission::Admitted(share) = admission else { panic!("{admission:?}") };
        shares.enter(share, index);
        share
    }

    #[test]
    fn descriptors_are_shared_out_as_documented() {
        let of = |descriptors| {
            let Limits { unix, tcp, .. } = Limits::of(descriptors);
            (unix, tcp)
        };
        assert_eq!(of(20_480), (4_096, 12_288));
        assert_eq!(of(1_024), (224, 672));
        assert_eq!(of(128), (0, 0));
        assert_eq!(of(u64::MAX), (4_096, 12_288));
    }

    #[test]
    fn prefixes_are_24_and_56_bits() {
        assert_eq!(prefix("192.0.2.1"), prefix("192.0.2.255"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.3.1"));
        assert_eq!(prefix("2001:db8:0:ff::1"), prefix("2001:db8:0:1::2"));
        assert_ne!(prefix("2001:db8:0:ff::1"), prefix("2001:db8:0:100::1"));
    }

    #[test]
    fn a_full_house_closes_the_idlest_of_the_fullest_prefix() {
        let mut shares = Shares::new(LIMITS);
        let (one, two) = (prefix("192.0.2.1"), prefix("198.51.100.1"));
        let admission = shares.admit_tcp(one);
        enter(&mut shares, admission, 0);
        for index in [1, 2] {
            let admission = shares.admit_tcp(two);
            enter(&mut shares, admission, index);
        }
        assert_eq!(shares.admit_tcp(one), Admission::InPlaceOfOne(Share::Tcp(one)));
        assert_eq!(shares.idle_longest_of_fullest(), Some(1));
        shares.was_active(Share::Tcp(two), 1);
        assert_eq!(shares.idle_longest_of_fullest(), Some(2));
        shares.leave(Share::Tcp(two), 2);
        assert!(matches!(shares.admit_tcp(one), Admission::Admitted(_)));
        shares.leave(Share::Tcp(two), 1);
        shares.leave(Share::Tcp(one), 0);
        assert_eq!(shares.idle_longest_of_fullest(), None);
        assert!(shares.prefixes.is_empty() && shares.by_size.is_empty(), "nothing stays of who is gone");
    }

    #[test]
    fn an_ordinary_user_is_refused_at_its_own_limit_and_at_that_of_all() {
        let mut shares = Shares::new(LIMITS);
        for (index, uid) in [(0, 1_000), (1, 1_000), (2, 1_001), (3, 1_002)] {
            let admission = shares.admit_unix(Some(uid));
            enter(&mut shares, admission, index);
        }
        assert_eq!(shares.admit_unix(Some(1_000)), Admission::Refused);
        assert_eq!(shares.admit_unix(Some(1_003)), Admission::Refused);
        shares.leave(Share::Unix(Some(1_002)), 3);
        assert_eq!(shares.admit_unix(Some(1_000)), Admission::Refused);
        assert_eq!(shares.admit_unix(None), Admission::Admitted(Share::Unix(None)));
    }

    #[test]
    fn root_goes_on_from_the_reserve_and_then_in_the_place_of_tcp() {
        let mut shares = Shares::new(LIMITS);
        for index in 0..2 {
            let admission = shares.admit_unix(Some(0));
            assert_eq!(enter(&mut shares, admission, index), Share::Unix(Some(0)));
        }
        let admission = shares.admit_unix(Some(0));
        assert_eq!(enter(&mut shares, admission, 2), Share::Reserve);
        assert_eq!(shares.admit_unix(Some(0)), Admission::Refused, "there is no TCP connection to close");
        let one = prefix("192.0.2.1");
        for index in 3..6 {
            let admission = shares.admit_tcp(one);
            enter(&mut shares, admission, index);
        }
        assert_eq!(shares.admit_unix(Some(0)), Admission::InPlaceOfOne(Share::Borrowed));
        shares.leave(Share::Tcp(one), 3);
        shares.enter(Share::Borrowed, 6);
        assert_eq!(
            shares.admit_tcp(one),
            Admission::InPlaceOfOne(Share::Tcp(one)),
            "what is borrowed is missing"
        );
        shares.leave(Share::Borrowed, 6);
        assert_eq!(shares.admit_tcp(one), Admission::Admitted(Share::Tcp(one)));
    }
}
