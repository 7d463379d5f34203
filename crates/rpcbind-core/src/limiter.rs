//! How many replies a second a neighbourhood of unverified sources gets: token buckets by prefix (/24, /56) in a table
//! of fixed size. A stranger can neither make it grow nor choose whom a place is shared with: its key is random.

use crate::hash::HashKey;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// Buckets that one prefix may be found in.
const WAYS: usize = 4;
/// Sets of [`WAYS`] buckets: the table takes just under 1 MiB.
const SETS: usize = 10_922;

/// A rate with its burst. Neither is ever 0: see [`Rate::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time that one reply costs, in nanoseconds.
    interval_ns: u64,
    /// Time that can be saved up, in nanoseconds.
    burst_ns: u64,
}

impl Rate {
    /// So many replies a second, after a rest so many at once; 0 counts as 1.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        let burst = if burst == 0 { 1 } else { burst };
        let interval_ns = 1_000_000_000_u64.div_euclid(per_second as u64);
        Self { interval_ns, burst_ns: interval_ns.saturating_mul(burst as u64) }
    }
}

/// The two limits of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Replies of every kind.
    pub replies: Rate,
    /// Replies that are errors.
    pub errors: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self { replies: Rate::new(200, 1_000), errors: Rate::new(5, 20) }
    }
}

/// What a reply is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Results.
    Reply,
    /// An error, which counts as a reply too.
    Error,
}

/// One prefix: its key (0: nobody's), and the moments at which its debts for replies and for errors are paid off.
type Bucket = [u64; 3];

/// The table.
#[derive(Debug)]
pub(crate) struct Limiter {
    key: HashKey,
    buckets: Vec<Bucket>,
}

impl Limiter {
    /// An empty table. The seed has to be unpredictable.
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        Self { key: HashKey::new(seed), buckets: vec![[0; 3]; SETS.saturating_mul(WAYS)] }
    }

    /// Whether a reply may be sent to this source now; it is charged when it may.
    pub(crate) fn take(&mut self, now: Duration, limits: Limits, source: IpAddr, charge: Charge) -> bool {
        // From 1: a bucket whose debts are at 0 is one that was never used.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let Limits { replies, errors } = limits;
        let Some([_, replies_paid, errors_paid]) = self.bucket(now, prefix(source)) else { return false };
        let Some(after_reply) = charged(now, *replies_paid, replies) else { return false };
        if charge == Charge::Error {
            let Some(after_error) = charged(now, *errors_paid, errors) else { return false };
            *errors_paid = after_error;
        }
        *replies_paid = after_reply;
        true
    }

    /// The prefix's bucket: its own, else the one of its set whose debts are paid off first, emptied for it.
    fn bucket(&mut self, now: u64, key: u64) -> Option<&mut Bucket> {
        let set = usize::try_from(self.key.hash(key, 0)).unwrap_or(usize::MAX).wrapping_rem(SETS);
        let start = set.saturating_mul(WAYS);
        let ways = self.buckets.get(start..start.saturating_add(WAYS)).unwrap_or_default();
        let own = ways.iter().position(|[owner, ..]| *owner == key);
        let chosen = own.unwrap_or_else(|| {
            let by_debt = ways.iter().enumerate().min_by_key(|(_, [_, replies, errors])| replies.max(errors));
            by_debt.map_or(0, |(index, _)| index)
        });
        let bucket = self.buckets.get_mut(start.saturating_add(chosen))?;
        if own.is_none() {
            *bucket = [key, now, now];
        }
        Some(bucket)
    }
}

/// When the debt is paid off after one more; `None` when that would be more than the burst away.
fn charged(now: u64, paid: u64, rate: Rate) -> Option<u64> {
    let after = paid.max(now).saturating_add(rate.interval_ns);
    (after <= now.saturating_add(rate.burst_ns)).then_some(after)
}

/// The /24 or /56 of an address as a word that is never 0.
pub(crate) fn prefix(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(source) => (1 << 56) | u64::from(source.to_bits() >> 8),
        IpAddr::V6(source) => (2 << 56) | u64::try_from(source.to_bits() >> 72).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    const LIMITS: Limits = Limits { replies: Rate::new(10, 4), errors: Rate::new(2, 2) };

    fn limiter() -> Limiter {
        Limiter::new([1, 2])
    }

    fn burst(limiter: &mut Limiter, now: Duration, source: [u8; 4], charge: Charge) -> usize {
        (0..100).filter(|_| limiter.take(now, LIMITS, Ipv4Addr::from(source).into(), charge)).count()
    }

    #[test]
    fn a_prefix_gets_its_burst_and_then_its_rate() {
        let mut limiter = limiter();
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 2, 1], Charge::Reply), 4);
        assert_eq!(burst(&mut limiter, Duration::from_millis(99), [192, 0, 2, 1], Charge::Reply), 0);
        assert_eq!(burst(&mut limiter, Duration::from_millis(100), [192, 0, 2, 1], Charge::Reply), 1);
        assert_eq!(burst(&mut limiter, Duration::from_secs(3_600), [192, 0, 2, 1], Charge::Reply), 4);
    }

    #[test]
    fn hosts_of_one_prefix_share_and_hosts_of_another_do_not() {
        let mut limiter = limiter();
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 2, 1], Charge::Reply), 4);
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 2, 254], Charge::Reply), 0);
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 3, 1], Charge::Reply), 4);
    }

    #[test]
    fn errors_are_charged_twice_and_refused_ones_not_at_all() {
        let mut limiter = limiter();
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 2, 1], Charge::Error), 2);
        assert_eq!(burst(&mut limiter, Duration::ZERO, [192, 0, 2, 1], Charge::Reply), 2);
    }

    #[test]
    fn ipv6_sources_share_their_first_56_bits() {
        let mut limiter = limiter();
        let address = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
        let base = 0x2001_0db8_0000_0100_u128 << 64;
        let near =
            |limiter: &mut Limiter, bits| limiter.take(Duration::ZERO, LIMITS, address(bits), Charge::Reply);
        assert!((0..4).all(|host| near(&mut limiter, base | host | host << 64)));
        assert!(!near(&mut limiter, base | 0xff << 64));
        assert!(near(&mut limiter, base | 0x200 << 64));
    }

    #[test]
    fn the_table_keeps_its_size_under_a_million_sources() {
        let mut limiter = limiter();
        let size = limiter.buckets.len();
        assert!(size * size_of::<Bucket>() <= 1 << 20);
        for source in 0..1_000_000_u32 {
            let source = Ipv4Addr::from_bits(source << 8);
            limiter.take(
                Duration::from_nanos(u64::from(source.to_bits())),
                LIMITS,
                source.into(),
                Charge::Reply,
            );
        }
        assert_eq!(limiter.buckets.len(), size);
    }
}
