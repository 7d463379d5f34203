//! Universal addresses (RFC 5665 section 5.2.3, and the forms of unix sockets that peers use), to and from text
//! and socket addresses. Parsing takes exactly what the grammar says: no sign, no blank, no octet over 255.

use super::{AddressText, Family};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The longest path or abstract name of a unix socket in bytes (`sun_path`).
pub const MAX_PATH: usize = 108;

/// A universal address, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniversalAddress<'a> {
    /// `h1.h2.h3.h4.p1.p2`
    Inet(SocketAddrV4),
    /// `x:x:x:x:x:x:x:x.p1.p2`, with `%scope` (an interface index) after a link-local host.
    Inet6(SocketAddrV6),
    /// `/path` of a unix socket.
    Path(&'a [u8]),
    /// `@name` of an abstract unix socket, here without the `@`.
    Abstract(&'a [u8]),
}

impl<'a> UniversalAddress<'a> {
    /// Parses the text in one family; `None` when it is not an address of it, or has more than
    /// [`AddressText::CAPACITY`] bytes.
    ///
    /// ```
    /// use oncrpc::bind::{Family, UniversalAddress};
    ///
    /// let nfs = UniversalAddress::parse(b"192.0.2.1.8.1", Family::Inet).expect("an address and a port");
    /// assert_eq!(nfs.port(), Some(2049));
    /// assert_eq!(UniversalAddress::parse(b"192.0.2.1.8.256", Family::Inet), None);
    /// ```
    #[must_use]
    pub fn parse(text: &'a [u8], family: Family) -> Option<Self> {
        if text.len() > AddressText::CAPACITY {
            return None;
        }
        match family {
            Family::Inet => {
                let (host, port) = split_port(text)?;
                Some(Self::Inet(SocketAddrV4::new(dotted(host)?, port)))
            }
            Family::Inet6 => {
                let (host, port) = split_port(text)?;
                let (host, scope) = split_scope(host)?;
                let host: Ipv6Addr = core::str::from_utf8(host).ok()?.parse().ok()?;
                Some(Self::Inet6(SocketAddrV6::new(host, port, 0, scope)))
            }
            Family::Local => match text.split_first()? {
                (b'/', _) if fits_path(text) => Some(Self::Path(text)),
                (b'@', name) if fits_path(text) && !name.is_empty() => Some(Self::Abstract(name)),
                _ => None,
            },
        }
    }

    /// The universal address of a socket address.
    #[must_use]
    pub const fn from_socket(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::Inet(address),
            SocketAddr::V6(address) => Self::Inet6(address),
        }
    }

    /// The socket address; `None` for unix sockets.
    #[must_use]
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(SocketAddr::V4(*address)),
            Self::Inet6(address) => Some(SocketAddr::V6(*address)),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }

    /// The port; `None` for unix sockets.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) => Some(address.port()),
            Self::Inet6(address) => Some(address.port()),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }

    /// The host's address; `None` for unix sockets.
    #[must_use]
    pub const fn host(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(IpAddr::V4(*address.ip())),
            Self::Inet6(address) => Some(IpAddr::V6(*address.ip())),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }

    /// The text. Scopes are left out, as peers do: only the host that an index belongs to can tell what it means.
    #[must_use]
    pub fn text(&self) -> AddressText {
        let mut text = AddressText::new();
        match self {
            Self::Inet(address) => {
                text.push_ipv4(*address.ip());
                text.push_port(address.port());
            }
            Self::Inet6(address) => {
                text.push_ipv6(*address.ip());
                text.push_port(address.port());
            }
            Self::Path(path) => text.push(path),
            Self::Abstract(name) => {
                text.push(b"@");
                text.push(name);
            }
        }
        text
    }
}

/// A path may fill `sun_path` to its last byte, as Linux takes it; in the layout of an abstract name a NUL stands for
/// the `@`.
fn fits_path(text: &[u8]) -> bool {
    text.len() <= MAX_PATH && !text.contains(&0)
}

/// Splits `host.p1.p2`.
fn split_port(text: &[u8]) -> Option<(&[u8], u16)> {
    let (rest, low) = split_last_dot(text)?;
    let (host, high) = split_last_dot(rest)?;
    Some((host, u16::from_be_bytes([octet(high)?, octet(low)?])))
}

fn split_last_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = text.iter().rposition(|byte| *byte == b'.')?;
    Some((text.get(..dot)?, text.get(dot.checked_add(1)?..)?))
}

/// One to three digits, at most 255.
fn octet(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Four numbers of at most 255, without leading zeros: what the standard library parses, at a third of its cost.
fn dotted(host: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut index) = ([0_u8; 4], 0_usize);
    let mut begun = false;
    for byte in host {
        let octet = octets.get_mut(index)?;
        match byte {
            b'.' if begun => (begun, index) = (false, index.checked_add(1)?),
            b'0'..=b'9' if !begun || *octet > 0 => {
                *octet = octet.checked_mul(10)?.checked_add(byte.checked_sub(b'0')?)?;
                begun = true;
            }
            _ => return None,
        }
    }
    (begun && index == 3).then_some(Ipv4Addr::from(octets))
}

/// Splits `host%scope`; scope 0 when there is none.
fn split_scope(host: &[u8]) -> Option<(&[u8], u32)> {
    let Some(percent) = host.iter().position(|byte| *byte == b'%') else { return Some((host, 0)) };
    let digits = host.get(percent.checked_add(1)?..)?;
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let scope = core::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((host.get(..percent)?, scope))
}
