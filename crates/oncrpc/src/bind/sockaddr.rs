//! Socket addresses as Linux lays them out, which is what UADDR2TADDR and TADDR2UADDR carry in a netbuf.
//! The family is in the host's byte order, ports and addresses are in the network's.

use super::Family;
use super::uaddr::{MAX_PATH, UniversalAddress};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// The size of the largest layout: `sockaddr_un`.
pub const MAX_SOCKADDR: usize = 110;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// A socket address in the host's layout.
#[derive(Clone, Copy, Debug)]
pub struct Sockaddr {
    bytes: [u8; MAX_SOCKADDR],
    len: usize,
}

impl Sockaddr {
    /// Lays out a universal address: 16 bytes for IPv4, 28 for IPv6, the used part of `sockaddr_un` for a unix
    /// socket.
    #[must_use]
    pub fn new(address: &UniversalAddress<'_>) -> Self {
        let mut layout = Self { bytes: [0; MAX_SOCKADDR], len: 0 };
        match address {
            UniversalAddress::Inet(address) => {
                layout.push(&AF_INET.to_ne_bytes());
                layout.push(&address.port().to_be_bytes());
                layout.push(&address.ip().octets());
                layout.push(&[0; 8]);
            }
            UniversalAddress::Inet6(address) => {
                layout.push(&AF_INET6.to_ne_bytes());
                layout.push(&address.port().to_be_bytes());
                layout.push(&[0; 4]);
                layout.push(&address.ip().octets());
                layout.push(&address.scope_id().to_ne_bytes());
            }
            UniversalAddress::Path(path) => {
                layout.push(&AF_UNIX.to_ne_bytes());
                layout.push(path);
            }
            UniversalAddress::Abstract(name) => {
                layout.push(&AF_UNIX.to_ne_bytes());
                layout.push(&[0]);
                layout.push(name);
            }
        }
        layout
    }

    /// The layout.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *slot = *byte;
            self.len = self.len.saturating_add(1);
        }
    }
}

/// Reads the layout of one family; `None` when it is too short or of another family.
#[must_use]
pub fn parse(bytes: &[u8], family: Family) -> Option<UniversalAddress<'_>> {
    let (claimed, rest) = bytes.split_first_chunk::<2>()?;
    let claimed = u16::from_ne_bytes(*claimed);
    match family {
        Family::Inet if claimed == AF_INET => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let (host, rest) = rest.split_first_chunk::<4>()?;
            rest.first_chunk::<8>()?;
            Some(UniversalAddress::Inet(SocketAddrV4::new(Ipv4Addr::from(*host), u16::from_be_bytes(*port))))
        }
        Family::Inet6 if claimed == AF_INET6 => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (host, rest) = rest.split_first_chunk::<16>()?;
            let (scope, _) = rest.split_first_chunk::<4>()?;
            let (host, port) = (Ipv6Addr::from(*host), u16::from_be_bytes(*port));
            Some(UniversalAddress::Inet6(SocketAddrV6::new(host, port, 0, u32::from_ne_bytes(*scope))))
        }
        Family::Local if claimed == AF_UNIX => local(rest),
        _ => None,
    }
}

fn local(path: &[u8]) -> Option<UniversalAddress<'_>> {
    if path.len() > MAX_PATH {
        return None;
    }
    match path.split_first()? {
        (0, name) => {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name.get(..end).filter(|name| !name.is_empty()).map(UniversalAddress::Abstract)
        }
        (b'/', _) => {
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            path.get(..end).map(UniversalAddress::Path)
        }
        _ => None,
    }
}
