//! Which address of ours to answer when a service is registered on all of them.
//! It reads what the message brought and the interface table; it asks nobody.

use crate::caller::Caller;
use crate::interfaces::{Host, Interface, InterfaceAddress};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use oncrpc::bind::{Family, UniversalAddress};

/// What a merge goes by, beside the registered address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge<'a> {
    pub(crate) caller: &'a Caller,
    /// The address that the caller says it used to reach us: `r_addr` of the arguments.
    pub(crate) hint: &'a [u8],
    /// A hint with our port is believed although it is not our address.
    pub(crate) nat: bool,
    /// The port that we are reached on.
    pub(crate) port: u16,
    pub(crate) interfaces: &'a Host,
}

impl Merge<'_> {
    /// The socket address to answer for a registered one.
    pub(crate) fn address(&self, registered: SocketAddr) -> SocketAddr {
        if !registered.ip().is_unspecified() {
            return registered;
        }
        let hint = self.hint_like(registered);
        let host = hint
            .filter(|hint| self.is_own(hint.ip()) || self.is_outer_address(hint))
            .map(|hint| hint.ip())
            .or_else(|| self.arrival_address(registered))
            .or_else(|| best_address(self.interfaces, hint.map(|hint| hint.ip()), self.caller, registered));
        match host {
            Some(host) => SocketAddr::new(host, registered.port()),
            None => registered,
        }
    }

    /// The hint, when it parses in the registered address's family.
    fn hint_like(&self, registered: SocketAddr) -> Option<SocketAddr> {
        if self.hint.is_empty() {
            return None;
        }
        let family = if registered.is_ipv6() { Family::Inet6 } else { Family::Inet };
        UniversalAddress::parse(self.hint, family)?.socket()
    }

    /// An address of this host. A link-local one is, on the link that the call came by: other links may have the same.
    fn is_own(&self, address: IpAddr) -> bool {
        if !is_link_local(address) {
            return self.interfaces.is_own(address);
        }
        let link = match self.caller {
            Caller::Datagram(datagram) if datagram.interface > 0 => Some(datagram.interface),
            caller => caller.from().and_then(scope),
        };
        let of_link = link.map(|link| self.interfaces.addresses_of(link)).unwrap_or_default();
        of_link.iter().any(|own| own.address == address)
    }

    /// An address in front of a NAT: the caller's family, unicast, not of this host, and the port that leads here.
    /// Nothing translates link-local addresses.
    fn is_outer_address(&self, hint: &SocketAddr) -> bool {
        let same_family = self.caller.from().is_some_and(|from| from.is_ipv6() == hint.is_ipv6());
        let unicast = match hint.ip() {
            IpAddr::V4(ip) => {
                !ip.is_multicast() && !ip.is_broadcast() && !ip.is_loopback() && !ip.is_unspecified()
            }
            IpAddr::V6(ip) => {
                !ip.is_multicast()
                    && !ip.is_loopback()
                    && !ip.is_unspecified()
                    && !ip.is_unicast_link_local()
                    && ip.to_ipv4_mapped().is_none()
            }
        };
        self.nat && same_family && unicast && hint.port() == self.port
    }

    /// The address of ours that the caller used.
    fn arrival_address(&self, registered: SocketAddr) -> Option<IpAddr> {
        let local = self.caller.local()?.ip();
        (local.is_ipv6() == registered.is_ipv6() && !local.is_unspecified()).then_some(local)
    }
}

/// The link that a link-local address of IPv6 is on, by the index of its interface.
fn scope(address: SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => Some(address.scope_id()),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The best address of an interface that is up, by how near it is to whom we answer. The first of equals.
fn best_address(
    interfaces: &Host,
    hint: Option<IpAddr>,
    caller: &Caller,
    registered: SocketAddr,
) -> Option<IpAddr> {
    let caller_address = caller.from().filter(|from| from.is_ipv6() == registered.is_ipv6());
    let near = hint.or(caller_address.map(|from| from.ip()));
    let scope = caller_address.and_then(scope);
    let mut best: Option<(u8, IpAddr)> = None;
    for own in interfaces.addresses().iter().filter(|own| own.address.is_ipv6() == registered.is_ipv6()) {
        let Some(interface) = interfaces.interface(own.interface).filter(|interface| interface.up) else {
            continue;
        };
        let Some(goodness) = goodness(own, interface, near, scope) else { continue };
        if best.is_none_or(|(so_far, _)| goodness > so_far) {
            best = Some((goodness, own.address));
        }
    }
    best.map(|(_, address)| address)
}

/// 4: the address asked for; 3: link-local on the caller's link; 2: the same subnet; 1: an ordinary interface; 0: any.
/// `None`: a link-local address that the caller could not reach.
fn goodness(
    own: &InterfaceAddress,
    interface: &Interface,
    near: Option<IpAddr>,
    scope: Option<u32>,
) -> Option<u8> {
    let link_local = is_link_local(own.address);
    if link_local && scope != Some(own.interface) {
        return None;
    }
    Some(if near == Some(own.address) {
        4
    } else if link_local {
        3
    } else if near.is_some_and(|near| same_subnet(near, own)) {
        2
    } else {
        u8::from(!interface.loopback && !interface.point_to_point)
    })
}

/// Whether an address is in the prefix of one of ours.
pub(crate) fn same_subnet(address: IpAddr, own: &InterfaceAddress) -> bool {
    let (left, right, bits) = match (address, own.address) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (left.to_ipv6_mapped(), right.to_ipv6_mapped(), u32::from(own.prefix_length).saturating_add(96))
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => (left, right, u32::from(own.prefix_length)),
        _ => return false,
    };
    let differing = Ipv6Addr::to_bits(left) ^ Ipv6Addr::to_bits(right);
    differing.leading_zeros() >= bits
}
