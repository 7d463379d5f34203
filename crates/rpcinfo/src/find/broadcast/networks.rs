//! The networks here: where port mappers are called all at once, by IPv4 broadcast and by IPv6 multicast
//! (`RPCB_MULTICAST_ADDR`, ff02::202), and what comes back.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::time::Duration;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{SockaddrIn, SockaddrStorage};
use oncrpc::bind::{Family, MULTICAST, PORT};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The longest answer that is looked at.
const MAX_ANSWER: usize = oncrpc::bind::MAX_MESSAGE;

/// The networks of this host's interfaces.
pub(super) struct Networks {
    /// The broadcast addresses, and what is sent to them from.
    inet: Option<(UdpSocket, Vec<SocketAddr>)>,
    /// The group on each interface that has IPv6.
    inet6: Option<(UdpSocket, Vec<SocketAddr>)>,
}

impl Networks {
    /// The networks here; `None` when there are none.
    ///
    /// # Errors
    /// There are some, and no socket to reach any of them.
    pub(super) fn open() -> io::Result<Option<Self>> {
        // Without a list of interfaces there is nobody to call.
        let entries: Vec<_> = getifaddrs().into_iter().flatten().collect();
        let with = |targets: Vec<SocketAddr>, socket: fn() -> io::Result<UdpSocket>| {
            (!targets.is_empty()).then(|| socket().map(|socket| (socket, targets)))
        };
        let inet = with(targets(&entries, broadcast), for_broadcasts);
        let inet6 = with(targets(&entries, group), || nonblocking(Ipv6Addr::UNSPECIFIED.into()));
        match (inet, inet6) {
            (None, None) => Ok(None),
            (Some(Err(error)), None | Some(Err(_))) | (None, Some(Err(error))) => Err(error),
            // One family will do.
            (inet, inet6) => {
                Ok(Some(Self { inet: inet.and_then(Result::ok), inet6: inet6.and_then(Result::ok) }))
            }
        }
    }

    /// Sends a message to all hosts of the networks, in one family.
    pub(super) fn send(&self, family: Family, message: &[u8]) {
        let sender = if family == Family::Inet { &self.inet } else { &self.inet6 };
        let Some((socket, targets)) = sender else { return };
        for target in targets {
            // A network that cannot be sent to has nobody who answers.
            let _ = socket.send_to(message, target);
        }
    }

    /// Waits this long for answers, and takes one at most of each family.
    ///
    /// # Errors
    /// The system's, which do not happen to sockets that are ours. Errors of single hosts are nothing.
    pub(super) fn take(&self, wait: Duration) -> io::Result<Vec<(Vec<u8>, SocketAddr)>> {
        let sockets: Vec<_> = self.inet.iter().chain(&self.inet6).map(|(socket, _)| socket).collect();
        let mut watched: Vec<_> = sockets.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut watched, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut buffer = [0; MAX_ANSWER];
        let taken = sockets.iter().filter_map(|socket| {
            let (length, from) = socket.recv_from(&mut buffer).ok()?;
            Some((buffer.get(..length)?.to_vec(), from))
        });
        Ok(taken.collect())
    }
}

fn nonblocking(at: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((at, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn for_broadcasts() -> io::Result<UdpSocket> {
    let socket = nonblocking(Ipv4Addr::UNSPECIFIED.into())?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

/// Where to send to for the interfaces that are up, every place once.
fn targets(entries: &[InterfaceAddress], of: fn(&InterfaceAddress) -> Option<SocketAddr>) -> Vec<SocketAddr> {
    let mut targets = Vec::new();
    let up = entries.iter().filter(|entry| entry.flags.contains(InterfaceFlags::IFF_UP));
    for target in up.filter_map(of) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The address of all hosts on the network of an IPv4 address; where none is set, the last one of its subnet.
fn broadcast(entry: &InterfaceAddress) -> Option<SocketAddr> {
    let host = |address: Option<SockaddrStorage>| address?.as_sockaddr_in().map(SockaddrIn::ip);
    let own = host(entry.address).filter(|_| entry.flags.contains(InterfaceFlags::IFF_BROADCAST))?;
    let last = || {
        let mask = host(entry.netmask)?.to_bits();
        // Two hosts or one have no address for all.
        (mask.count_zeros() >= 2).then(|| Ipv4Addr::from_bits(own.to_bits() | !mask))
    };
    // Where none is set the C library gives the address itself.
    let all = host(entry.broadcast).filter(|all| *all != own && !all.is_unspecified()).or_else(last)?;
    Some(SocketAddrV4::new(all, PORT).into())
}

/// The group of port mappers on the link of an IPv6 address.
fn group(entry: &InterfaceAddress) -> Option<SocketAddr> {
    entry.address?.as_sockaddr_in6().filter(|_| entry.flags.contains(InterfaceFlags::IFF_MULTICAST))?;
    let index = if_nametoindex(entry.interface_name.as_str()).ok()?;
    Some(SocketAddrV6::new(MULTICAST, PORT, 0, index).into())
}
