//! The sockets that remote calls leave from and that their answers come back to: one for each family, bound to the
//! loopback address, so that the kernel hands them nothing from other hosts. Whom to call, and whose answer counts, is
//! decided in `rpcbind-core`; only what it says is ever sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use log::warn;
use nix::sys::socket::{setsockopt, sockopt};
use rpcbind_core::outcome::Forward;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::logging::START;

/// Ports below this one are services' own, and trusted by some for it.
const PORTS_FROM: u16 = 1024;
/// How often another port is asked for, where the system gives such a one.
const TRIES: usize = 64;

/// A socket that remote calls leave from.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    socket: Arc<OwnedFd>,
    port: u16,
}

/// The sockets for both families, where the host has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlets {
    inet: Option<Outlet>,
    inet6: Option<Outlet>,
}

impl Outlet {
    /// Opens one, at a port that the system chooses and that none of `taken` is.
    fn open(address: IpAddr, taken: &[u16]) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Sockets at unwanted ports are kept until the end, so that the system gives others.
        let mut unwanted = Vec::new();
        for _ in 0..TRIES {
            let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
            // The kernel says when nobody is at the address of a service.
            match address {
                IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
                IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
            }
            rustix::net::bind(&socket, &SocketAddr::new(address, 0))?;
            let port = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?.port();
            if port >= PORTS_FROM && !taken.contains(&port) {
                return Ok(Self { socket: Arc::new(socket), port });
            }
            unwanted.push(socket);
        }
        Err(io::Error::other("the system gives ports below 1024 only (net.ipv4.ip_local_port_range)"))
    }

    /// Receives one datagram without waiting: its length, more than fits into the buffer when it was cut, and where it
    /// is from.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Errno> {
        self.receive_with(buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC)
    }

    /// The same for a datagram that was sent and did not arrive: its beginning, and where it was to go.
    pub(crate) fn receive_back(&self, buffer: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Errno> {
        self.receive_with(buffer, RecvFlags::DONTWAIT | RecvFlags::ERRQUEUE)
    }

    fn receive_with(
        &self,
        buffer: &mut [u8],
        flags: RecvFlags,
    ) -> Result<(usize, Option<SocketAddr>), Errno> {
        let (_, len, from) = rustix::net::recvfrom(&self.socket, buffer, flags)?;
        Ok((len, from.and_then(|from| SocketAddr::try_from(from).ok())))
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Outlets {
    /// Opens a socket for each family that the host has, at ports that none of `taken` is.
    ///
    /// # Errors
    /// There is none at all.
    pub(crate) fn open(taken: &[u16]) -> io::Result<Self> {
        let inet = Outlet::open(Ipv4Addr::LOCALHOST.into(), taken);
        let inet6 = Outlet::open(Ipv6Addr::LOCALHOST.into(), taken);
        match (inet, inet6) {
            (Err(error), Err(_)) => Err(error),
            (inet, inet6) => {
                let failed = [("IPv4", inet.as_ref().err()), ("IPv6", inet6.as_ref().err())];
                let lines = failed.into_iter().filter_map(|(family, error)| complaint(family, error?));
                lines.for_each(|line| warn!(target: START, "{line}"));
                Ok(Self { inet: inet.ok(), inet6: inet6.ok() })
            }
        }
    }

    /// The port of the IPv4 socket.
    pub(crate) fn inet_port(&self) -> Option<u16> {
        self.inet.as_ref().map(|outlet| outlet.port)
    }

    /// The port of the IPv6 socket.
    pub(crate) fn inet6_port(&self) -> Option<u16> {
        self.inet6.as_ref().map(|outlet| outlet.port)
    }

    /// The sockets.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Outlet> {
        self.inet.iter().chain(&self.inet6)
    }

    /// Sends a call; whether the kernel took it.
    pub(crate) fn send(&self, call: &Forward) -> bool {
        let outlet = if call.to.is_ipv4() { &self.inet } else { &self.inet6 };
        outlet.as_ref().is_some_and(|outlet| {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let send = || rustix::net::sendto(&outlet.socket, &call.message, flags, &call.to);
            // The first error may be about an earlier call.
            send().or_else(|_| send()).is_ok()
        })
    }
}

/// What is said about a family without a socket; nothing where the host does not have that family.
fn complaint(family: &str, error: &io::Error) -> Option<String> {
    let absent = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT];
    let is_absent = Errno::from_io_error(error).is_some_and(|errno| absent.contains(&errno));
    (!is_absent).then(|| format!("no remote calls (-r) over {family}: open a socket for them: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlets_are_at_loopback_addresses_and_no_low_or_taken_port() {
        let first = Outlets::open(&[]).unwrap();
        for outlet in first.all() {
            let address = SocketAddr::try_from(rustix::net::getsockname(outlet).unwrap()).unwrap();
            assert!(address.ip().is_loopback() && address.port() == outlet.port && outlet.port >= 1_024);
        }
        let all: Vec<u16> = (1_024..=u16::MAX).collect();
        assert!(Outlets::open(&all).is_err());
    }

    #[test]
    fn a_family_that_the_host_has_is_missed_aloud() {
        for absent in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert_eq!(complaint("IPv6", &absent.into()), None);
        }
        let line = complaint("IPv6", &Errno::MFILE.into()).unwrap();
        assert!(line.starts_with("no remote calls (-r) over IPv6: "), "{line}");
        assert!(complaint("IPv4", &io::Error::other("low ports only")).is_some());
    }
}
