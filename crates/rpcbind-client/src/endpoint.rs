//! Where an RPC service listens, and where clients of this host find its port mapper.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use oncrpc::bind::{AddressText, Family, PORT, SOCKET_PATH, UniversalAddress};

/// Where a service is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A UDP port.
    Udp(SocketAddr),
    /// A unix stream socket by path.
    Path(PathBuf),
    /// A unix stream socket by abstract name, without the leading NUL (Linux only).
    Abstract(Vec<u8>),
}

impl Endpoint {
    /// The port mapper of this host, in the order in which it is looked for: the abstract socket, which is the right
    /// one in a network namespace; the path socket; the loopback addresses, for those that have neither.
    #[must_use]
    pub fn local_port_mapper() -> Vec<Self> {
        vec![
            Self::Abstract(SOCKET_PATH.into()),
            Self::Path(SOCKET_PATH.into()),
            Self::Tcp((Ipv4Addr::LOCALHOST, PORT).into()),
            Self::Tcp((Ipv6Addr::LOCALHOST, PORT).into()),
        ]
    }

    /// The endpoint of a universal address on a transport. `connectionless` chooses UDP; unix sockets are always
    /// streams.
    #[must_use]
    pub fn from_universal(address: &UniversalAddress<'_>, connectionless: bool) -> Self {
        match address {
            UniversalAddress::Path(path) => Self::Path(path_of(path)),
            UniversalAddress::Abstract(name) => Self::Abstract(name.to_vec()),
            UniversalAddress::Inet(address) => Self::inet((*address).into(), connectionless),
            UniversalAddress::Inet6(address) => Self::inet((*address).into(), connectionless),
        }
    }

    /// A UDP or TCP port.
    #[must_use]
    pub const fn inet(address: SocketAddr, connectionless: bool) -> Self {
        if connectionless { Self::Udp(address) } else { Self::Tcp(address) }
    }

    /// The socket address; `None` for unix sockets.
    #[must_use]
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(*address),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }

    /// The universal address (RFC 5665 section 5.2.3), cut to what fits when it is a longer path.
    #[must_use]
    pub fn universal(&self) -> AddressText {
        let mut text = AddressText::new();
        match self {
            Self::Tcp(address) | Self::Udp(address) => return UniversalAddress::from_socket(*address).text(),
            Self::Path(path) => text.push(path.as_os_str().as_encoded_bytes()),
            Self::Abstract(name) => {
                text.push(b"@");
                text.push(name);
            }
        }
        text
    }

    /// The kind of its address.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Tcp(address) | Self::Udp(address) if address.is_ipv4() => Family::Inet,
            Self::Tcp(_) | Self::Udp(_) => Family::Inet6,
            Self::Path(_) | Self::Abstract(_) => Family::Local,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Path(path) => write!(f, "unix {path:?}"),
            Self::Abstract(name) => write!(f, "unix \"@{}\"", name.escape_ascii()),
        }
    }
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}
