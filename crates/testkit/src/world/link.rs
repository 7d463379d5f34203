//! Links between hosts, what goes wrong on them, and the datagrams under way.

use super::HostId;
use super::random::Random;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A link that interfaces are attached to. All links are joined by routers, but only what is sent to a group stays on
/// its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(pub(crate) usize);

/// What happens to datagrams on a link. Datagrams overtake each other when the delays differ by enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How many of a thousand are lost.
    pub lost_per_mille: u16,
    /// How many of a thousand arrive twice.
    pub doubled_per_mille: u16,
    /// The shortest time under way.
    pub delay_min: Duration,
    /// The longest time under way.
    pub delay_max: Duration,
}

impl Faults {
    /// A link on which nothing goes wrong.
    pub const NONE: Self = Self {
        lost_per_mille: 0,
        doubled_per_mille: 0,
        delay_min: Duration::from_micros(100),
        delay_max: Duration::from_micros(100),
    };
    /// A link on which much does: a fifth is lost, a fifth doubled, and the delays reorder the rest.
    pub const MANY: Self = Self {
        lost_per_mille: 200,
        doubled_per_mille: 200,
        delay_min: Duration::from_micros(100),
        delay_max: Duration::from_millis(1_500),
    };

    /// The times under way of the copies that arrive.
    pub(crate) fn delays(&self, random: &mut Random) -> impl Iterator<Item = Duration> {
        let lost = random.happens(self.lost_per_mille);
        let doubled = random.happens(self.doubled_per_mille);
        let spread = self.delay_max.saturating_sub(self.delay_min).as_micros();
        let spread = u64::try_from(spread).unwrap_or(u64::MAX).saturating_add(1);
        let delays =
            [random.word(), random.word()].map(|word| self.delay_min + Duration::from_micros(word % spread));
        let copies = usize::from(!lost) * (1 + usize::from(doubled));
        delays.into_iter().take(copies)
    }
}

/// A datagram under way to one interface.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) host: HostId,
    /// The index of the interface that it will arrive on.
    pub(crate) interface: u32,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) message: Vec<u8>,
}

/// Whether an address is a group's on any link; the broadcast addresses of a link's prefixes are not known here.
pub(crate) fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}
