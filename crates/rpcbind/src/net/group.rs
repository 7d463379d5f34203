//! The IPv6 multicast group of port mappers, ff02::202 (`RPCB_MULTICAST_ADDR`): clients call it where IPv4 has
//! broadcasts, to find hosts by remote calls. The host is a member on each link for as long as the link is there, by a
//! socket that does nothing else: the kernel hands what arrives to every socket at the port that is bound to no single
//! address, and memberships fill the room (net.core.optmem_max) that a socket which sends needs for its replies.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use log::{debug, warn};
use oncrpc::bind::MULTICAST;
use rpcbind_core::interfaces::Interfaces;
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_add_membership, set_ipv6_drop_membership};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::listen::{Endpoint, Socket};

/// A socket that can be a member of the group on a link, given by the interface's index.
trait Member {
    fn join(&mut self, link: u32) -> Result<(), Errno>;
    fn leave(&mut self, link: u32) -> Result<(), Errno>;
}

impl Member for OwnedFd {
    fn join(&mut self, link: u32) -> Result<(), Errno> {
        set_ipv6_add_membership(self, &MULTICAST, link)
    }

    fn leave(&mut self, link: u32) -> Result<(), Errno> {
        set_ipv6_drop_membership(self, &MULTICAST, link)
    }
}

/// Whether multicasts of IPv6 come to a socket.
pub(crate) fn reaches(socket: &Socket) -> bool {
    matches!(&socket.endpoint, Endpoint::Udp(address) if address.ip() == Ipv6Addr::UNSPECIFIED)
}

/// The memberships of the host. They end with this value.
#[derive(Debug)]
pub(crate) struct Group {
    membership: Membership<OwnedFd>,
}

impl Group {
    /// No membership yet.
    ///
    /// # Errors
    /// There is no socket for it.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None)?;
        Ok(Self { membership: Membership::new(socket) })
    }

    /// Joins on links that are new, and leaves those that are gone. Call it when anything has happened: on `losers`
    /// the kernel may have ended the membership, even if they are as they were.
    pub(crate) fn follow(&mut self, interfaces: &Interfaces, losers: &BTreeSet<u32>) {
        self.membership.follow(&links(interfaces), losers);
    }
}

/// The memberships of one socket.
#[derive(Debug)]
struct Membership<M: Member> {
    member: M,
    joined: BTreeSet<u32>,
    /// What was said about links on which it is no member, once.
    said: Option<Errno>,
}

/// The links that multicasts of IPv6 come from: where the kernel takes an interface's IPv6 away, the addresses go, and
/// with it the memberships.
fn links(interfaces: &Interfaces) -> BTreeSet<u32> {
    let six = interfaces.addresses.iter().filter(|own| own.address.is_ipv6());
    let with_address: BTreeSet<u32> = six.map(|own| own.interface).collect();
    let links = interfaces.interfaces.iter().filter(|link| link.up && link.multicast);
    links.map(|link| link.index).filter(|index| with_address.contains(index)).collect()
}

impl<M: Member> Membership<M> {
    fn new(member: M) -> Self {
        Self { member, joined: BTreeSet::new(), said: None }
    }

    fn follow(&mut self, links: &BTreeSet<u32>, losers: &BTreeSet<u32>) {
        let is_gone = |link: &u32| !links.contains(link) || losers.contains(link);
        let gone: Vec<u32> = self.joined.iter().copied().filter(is_gone).collect();
        for link in gone {
            // The socket keeps room for it even where the interface is no more.
            let _ = self.member.leave(link);
            self.joined.remove(&link);
        }
        let new: Vec<u32> = links.difference(&self.joined).copied().collect();
        let mut refused = None;
        for (at, link) in new.iter().enumerate() {
            // Left over from an interface that had this index.
            let _ = self.member.leave(*link);
            match self.member.join(*link) {
                Ok(()) => {
                    self.joined.insert(*link);
                }
                // It is gone, or has no IPv6 any more: that will be heard of.
                Err(Errno::NODEV | Errno::ADDRNOTAVAIL | Errno::INVAL) => {}
                Err(errno @ (Errno::NOMEM | Errno::NOBUFS)) => {
                    // The socket has no room for another one, whichever it is.
                    refused = Some((errno, new.len().saturating_sub(at)));
                    break;
                }
                Err(errno) => refused = Some((errno, refused.map_or(1, |(_, links)| links + 1))),
            }
        }
        let joined = self.joined.len();
        match refused {
            Some((errno, links)) if self.said.replace(errno) != Some(errno) => warn!(
                "multicasts to {MULTICAST} are received from {joined} links and not from {links}: {errno}; hosts on \
                 these find this one by IPv4 only (net.core.optmem_max limits the links)"
            ),
            Some((errno, links)) => debug!("{MULTICAST}: on {joined} links, not on {links}: {errno}"),
            None => debug!("{MULTICAST}: on {joined} links"),
        }
    }
}

#[cfg(test)]
mod tests;
