//! What the kernel says beside a datagram, as bytes: socket addresses and packet-information control messages
//! (ip(7), RFC 3542 section 6), read and written without `unsafe`. It must never ask the kernel anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the control messages of one datagram: ours need 72 bytes, an inherited socket may have asked for more.
pub(super) const CONTROL_MAX: usize = 256;
/// Room for a socket address of either family.
pub(super) const ADDRESS_MAX: usize = 28;

/// The kernel's alignment of control messages, and the type of their length.
const ALIGN: usize = size_of::<usize>();
/// Length, level and type.
const HEADER: usize = align(size_of::<usize>() + 8);

/// Where a datagram was sent to and where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketInfo {
    /// The destination in its header.
    pub(super) destination: IpAddr,
    /// The address of ours that it was delivered for; `None` when the kernel did not say.
    pub(super) local: Option<IpAddr>,
    /// The interface that it arrived on; 0 when the kernel did not say.
    pub(super) interface: u32,
}

const fn align(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Reads a `sockaddr_in` or `sockaddr_in6` as the kernel wrote it; `None` for every other family and when short.
pub(super) fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    match i32::from(u16::from_ne_bytes(field(bytes, 0)?)) {
        libc::AF_INET => {
            let address = Ipv4Addr::from(field::<4>(bytes, 4)?);
            Some(SocketAddrV4::new(address, port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(field(bytes, 4)?);
            let address = Ipv6Addr::from(field::<16>(bytes, 8)?);
            let scope = u32::from_ne_bytes(field(bytes, 24)?);
            Some(SocketAddrV6::new(address, port, flow, scope).into())
        }
        _ => None,
    }
}

/// An IPv4 address that a dual-stack socket showed as an IPv6 one, as what it is.
pub(super) fn unmapped(address: SocketAddr) -> (SocketAddr, bool) {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => (SocketAddrV4::new(v4, v6.port()).into(), true),
            None => (address, false),
        },
        SocketAddr::V4(_) => (address, false),
    }
}

/// Finds the packet information among control messages. A dual-stack socket gets both kinds for an IPv4 datagram;
/// IPv4's own says more and wins.
pub(super) fn read(mut control: &[u8]) -> Option<PacketInfo> {
    let mut found = None;
    while let Some((level, kind, data, rest)) = next_message(control) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => return read_v4(data).or(found),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => found = read_v6(data),
            _ => {}
        }
        control = rest;
    }
    found
}

fn next_message(control: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(field(control, 0)?);
    let level = i32::from_ne_bytes(field(control, ALIGN)?);
    let kind = i32::from_ne_bytes(field(control, ALIGN.checked_add(4)?)?);
    let data = control.get(HEADER..len)?;
    let rest = control.get(len.checked_next_multiple_of(ALIGN)?..).unwrap_or(&[]);
    Some((level, kind, data, rest))
}

/// `in_pktinfo`: interface, local address, destination.
fn read_v4(data: &[u8]) -> Option<PacketInfo> {
    let local = Ipv4Addr::from(field::<4>(data, 4)?);
    Some(PacketInfo {
        interface: u32::from_ne_bytes(field(data, 0)?),
        // Zero when the datagram was queued before anybody asked for packet information.
        local: (!local.is_unspecified()).then_some(local.into()),
        destination: Ipv4Addr::from(field::<4>(data, 8)?).into(),
    })
}

/// `in6_pktinfo`: destination, interface.
fn read_v6(data: &[u8]) -> Option<PacketInfo> {
    let destination = Ipv6Addr::from(field::<16>(data, 0)?);
    let local = (!destination.is_multicast()).then(|| destination.to_canonical());
    Some(PacketInfo {
        destination: destination.to_canonical(),
        local,
        interface: u32::from_ne_bytes(field(data, 16)?),
    })
}

/// Writes the control message that makes an IPv4 datagram leave from `local`, by whatever interface the routes
/// say. Answers its length; 0, and nothing to say, when there is no such address.
pub(super) fn write_v4(control: &mut [u8], local: Ipv4Addr) -> usize {
    if local.is_unspecified() {
        return 0;
    }
    let mut data = [0; 12];
    if let Some(spec_dst) = data.get_mut(4..8) {
        spec_dst.copy_from_slice(&local.octets());
    }
    write(control, libc::IPPROTO_IP, libc::IP_PKTINFO, &data)
}

/// Writes the control message that makes an IPv6 datagram leave from `local` by `interface` (0: by the routes).
/// Answers its length; 0, and nothing to say, when neither is given.
pub(super) fn write_v6(control: &mut [u8], local: Ipv6Addr, interface: u32) -> usize {
    if local.is_unspecified() && interface == 0 {
        return 0;
    }
    let mut data = [0; 20];
    let (address, index) = data.split_at_mut(16);
    address.copy_from_slice(&local.octets());
    index.copy_from_slice(&interface.to_ne_bytes());
    write(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data)
}

fn write(control: &mut [u8], level: i32, kind: i32, data: &[u8]) -> usize {
    let len = HEADER.saturating_add(data.len());
    let space = align(len);
    let Some(message) = control.get_mut(..space) else { return 0 };
    message.fill(0);
    for (at, bytes) in [
        (0, &len.to_ne_bytes()[..]),
        (ALIGN, &level.to_ne_bytes()[..]),
        (ALIGN.saturating_add(4), &kind.to_ne_bytes()[..]),
        (HEADER, data),
    ] {
        if let Some(place) = message.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
    space
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_kernel_would_be_read_as() {
        let mut control = [0xff; CONTROL_MAX];
        let len = write_v6(&mut control, "fe80::7".parse().unwrap(), 9);
        let info = read(&control[..len]).unwrap();
        assert_eq!(info.destination, "fe80::7".parse::<IpAddr>().unwrap());
        assert_eq!(info.interface, 9);
        let len = write_v4(&mut control, Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(read(&control[..len]).unwrap().local, Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    }

    #[test]
    fn the_headers_are_the_c_librarys() {
        assert_eq!(HEADER, align(size_of::<libc::cmsghdr>()));
        assert_eq!(ADDRESS_MAX, size_of::<libc::sockaddr_in6>());
    }

    #[test]
    fn ipv4_information_wins_over_the_mapped_one_whatever_the_order() {
        let mapped = "::ffff:10.0.0.255".parse().unwrap();
        for order in [[4, 6], [6, 4]] {
            let mut control = [0; CONTROL_MAX];
            let mut len = 0;
            for family in order {
                len += match family {
                    4 => write_v4(&mut control[len..], Ipv4Addr::new(10, 0, 0, 1)),
                    _ => write_v6(&mut control[len..], mapped, 3),
                };
            }
            let info = read(&control[..len]).unwrap();
            assert_eq!(info.local, Some(Ipv4Addr::new(10, 0, 0, 1).into()), "{order:?}");
        }
    }

    #[test]
    fn a_mapped_destination_alone_is_read_as_ipv4() {
        let mut control = [0; CONTROL_MAX];
        let len = write_v6(&mut control, "::ffff:10.0.0.9".parse().unwrap(), 3);
        let info = read(&control[..len]).unwrap();
        assert_eq!(info.destination, IpAddr::from([10, 0, 0, 9]));
        assert_eq!(info.local, Some(IpAddr::from([10, 0, 0, 9])));
    }

    #[test]
    fn nothing_is_read_from_cut_or_foreign_control_messages() {
        let mut control = [0; CONTROL_MAX];
        let len = write_v4(&mut control, Ipv4Addr::LOCALHOST);
        for cut in 0..HEADER + 12 {
            assert_eq!(read(&control[..cut]), None, "{cut} bytes");
        }
        let len = len + write(&mut control[len..], libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[0; 12]);
        assert!(read(&control[..len]).is_some());
        let other = write(&mut control, libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[0; 12]);
        assert_eq!(read(&control[..other]), None);
        assert_eq!(read(&[0; 64]), None, "a length of zero ends the list");
    }

    #[test]
    fn addresses_of_other_families_and_short_ones_are_none() {
        let mut bytes = [0; ADDRESS_MAX];
        assert_eq!(read_address(&bytes), None);
        bytes[..2].copy_from_slice(&u16::try_from(libc::AF_INET6).unwrap().to_ne_bytes());
        bytes[3] = 111;
        assert_eq!(read_address(&bytes), Some("[::]:111".parse().unwrap()));
        assert_eq!(read_address(&bytes[..27]), None);
    }
}
