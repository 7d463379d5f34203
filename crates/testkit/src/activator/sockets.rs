//! The sockets of a socket unit (systemd.socket(5)): parsed, opened, kept for as many starts as there are.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::unit_file::{UnitError, UnitFile};
use crate::Namespace;

/// Settings of `[Socket]` that make no difference here.
const WITHOUT_EFFECT: [&str; 2] = ["Accept", "RemoveOnStop"];
/// As many as the kernel lets wait.
const BACKLOG: i32 = 4096;

/// What `BindIPv6Only` says about IPv6 wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindIpv6Only {
    /// As the kernel is set: dual-stack, unless `net.ipv6.bindv6only` is on.
    #[default]
    Default,
    /// Dual-stack.
    Both,
    /// IPv6 alone.
    Ipv6Only,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A unix socket in the file system.
    Path(String),
    /// An abstract unix socket, without the `@`.
    Abstract(String),
    /// An address and a port.
    Inet(SocketAddr),
    /// A port alone: every address, by an IPv6 socket.
    Port(u16),
}

impl ListenAddress {
    fn parse(text: &str) -> Result<Self, UnitError> {
        if text.starts_with('/') {
            return Ok(Self::Path(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix('@').filter(|name| !name.is_empty()) {
            return Ok(Self::Abstract(name.to_owned()));
        }
        if let Ok(port) = text.parse() {
            return Ok(Self::Port(port));
        }
        text.parse().map(Self::Inet).map_err(|_| UnitError::Value("Listen", text.to_owned()))
    }
}

/// One `ListenStream` or `ListenDatagram`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Whether messages are datagrams.
    pub datagram: bool,
    /// Where.
    pub address: ListenAddress,
}

/// The settings of a socket unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketUnit {
    /// The sockets, in the unit's order.
    pub listen: Vec<Listen>,
    /// Whether IPv6 wildcards are dual-stack.
    pub bind_ipv6_only: BindIpv6Only,
    /// The name that each descriptor is passed with.
    pub name: String,
    mode: u32,
}

impl SocketUnit {
    /// Reads `[Socket]`; `file_name` names the descriptors unless the unit does.
    ///
    /// # Errors
    /// [`UnitError`], for settings that are not played too.
    pub fn new(unit: &UnitFile, file_name: &str) -> Result<Self, UnitError> {
        let mut listen = Vec::new();
        let mut bind_ipv6_only = BindIpv6Only::Default;
        let mut name = file_name.to_owned();
        let mut mode = 0o666;
        for (key, value) in unit.section("Socket") {
            match key {
                // An empty value takes back all of both kinds.
                "ListenStream" | "ListenDatagram" if value.is_empty() => listen.clear(),
                "ListenStream" | "ListenDatagram" => {
                    let address = ListenAddress::parse(value)?;
                    listen.push(Listen { datagram: key == "ListenDatagram", address });
                }
                "BindIPv6Only" => bind_ipv6_only = bind_ipv6_only_of(value)?,
                "FileDescriptorName" => name = value.to_owned(),
                "SocketMode" => {
                    mode = u32::from_str_radix(value, 8)
                        .map_err(|_| UnitError::Value("SocketMode", value.to_owned()))?;
                }
                _ if WITHOUT_EFFECT.contains(&key) => {}
                _ => return Err(UnitError::Unplayed(key.to_owned())),
            }
        }
        Ok(Self { listen, bind_ipv6_only, name, mode })
    }

    /// Opens the sockets in a namespace.
    ///
    /// # Errors
    /// What the kernel refused, with the socket.
    pub fn open(&self, namespace: &Namespace) -> io::Result<Sockets> {
        let mut sockets = Vec::new();
        namespace.within(|| {
            for listen in &self.listen {
                let socket = self.open_one(listen);
                sockets.push(socket.map_err(|error| {
                    io::Error::new(error.kind(), format!("{:?}: {error}", listen.address))
                })?);
            }
            Ok::<_, io::Error>(())
        })??;
        Ok(Sockets { sockets, name: self.name.clone() })
    }

    fn open_one(&self, listen: &Listen) -> io::Result<Socket> {
        let kind = if listen.datagram { Type::DGRAM } else { Type::STREAM };
        let (domain, address) = match &listen.address {
            ListenAddress::Path(path) => (Domain::UNIX, SockAddr::unix(path)?),
            ListenAddress::Abstract(name) => (Domain::UNIX, SockAddr::unix(format!("\0{name}"))?),
            ListenAddress::Inet(address) => (Domain::for_address(*address), (*address).into()),
            ListenAddress::Port(port) => {
                (Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port)).into())
            }
        };
        let socket = Socket::new(domain, kind, None)?;
        if domain == Domain::IPV6 && self.bind_ipv6_only != BindIpv6Only::Default {
            socket.set_only_v6(self.bind_ipv6_only == BindIpv6Only::Ipv6Only)?;
        }
        if domain != Domain::UNIX {
            socket.set_reuse_address(true)?;
        }
        match (socket.bind(&address), &listen.address) {
            // What an earlier run has left behind.
            (Err(error), ListenAddress::Path(path)) if error.kind() == io::ErrorKind::AddrInUse => {
                fs::remove_file(path)?;
                socket.bind(&address)?;
            }
            (bound, _) => bound?,
        }
        if let ListenAddress::Path(path) = &listen.address {
            fs::set_permissions(Path::new(path), fs::Permissions::from_mode(self.mode))?;
        }
        if !listen.datagram {
            socket.listen(BACKLOG)?;
        }
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn bind_ipv6_only_of(value: &str) -> Result<BindIpv6Only, UnitError> {
    match value {
        "default" => Ok(BindIpv6Only::Default),
        "both" => Ok(BindIpv6Only::Both),
        "ipv6-only" => Ok(BindIpv6Only::Ipv6Only),
        other => Err(UnitError::Value("BindIPv6Only", other.to_owned())),
    }
}

/// Open sockets, which outlive the services that are started with them.
#[derive(Debug)]
pub struct Sockets {
    pub(super) sockets: Vec<Socket>,
    pub(super) name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_read() {
        let text = "[Socket]\nListenStream=\nListenStream=/run/x\nListenDatagram=@y\nBindIPv6Only=both\n\
                    ListenStream=111\nListenDatagram=[::1]:111\nListenStream=127.0.0.1:111\nFileDescriptorName=n\n";
        let unit = SocketUnit::new(&UnitFile::parse(text).unwrap(), "file").unwrap();
        let listen: Vec<_> =
            unit.listen.into_iter().map(|listen| (listen.datagram, listen.address)).collect();
        let expected = [
            (false, ListenAddress::Path("/run/x".into())),
            (true, ListenAddress::Abstract("y".into())),
            (false, ListenAddress::Port(111)),
            (true, ListenAddress::Inet("[::1]:111".parse().unwrap())),
            (false, ListenAddress::Inet("127.0.0.1:111".parse().unwrap())),
        ];
        assert_eq!(listen, expected);
        assert_eq!((unit.bind_ipv6_only, unit.name.as_str(), unit.mode), (BindIpv6Only::Both, "n", 0o666));
    }

    #[test]
    fn what_is_not_played_is_refused() {
        let refused = |text: &str| SocketUnit::new(&UnitFile::parse(text).unwrap(), "f").unwrap_err();
        assert_eq!(refused("[Socket]\nListenFIFO=/x"), UnitError::Unplayed("ListenFIFO".into()));
        assert_eq!(refused("[Socket]\nListenStream=x:y"), UnitError::Value("Listen", "x:y".into()));
        assert_eq!(refused("[Socket]\nBindIPv6Only=no"), UnitError::Value("BindIPv6Only", "no".into()));
    }
}
