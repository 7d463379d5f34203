//! The host's interfaces and addresses: read once at start, then kept true by the kernel's events (rtnetlink).
//! No ioctl, and nothing is read for a request: a look-up uses the table that the core was given last.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NlasIterator, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use rpcbind_core::interfaces::{Interface, InterfaceAddress, Interfaces};

use super::route_request::RouteRequest;
use super::socket::{Message, NetlinkSocket, Received};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// The index of the loopback interface.
const LOOPBACK: u32 = 1;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
/// `struct ifinfomsg`; attributes follow.
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_WIRELESS: u16 = 11;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;

/// Datagrams of events taken in one turn; the rest stays readable.
const TURN: usize = 256;
/// Events kept while the tables are read; with more they are read again.
const EVENTS: usize = 4096;
/// Times that the tables are read in one turn, because they change while they are read.
const ROUNDS: usize = 2;
/// The kernel answers at once; this ends the wait for one that does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// Follows the host's interfaces. Open it before privileges are dropped; without it the table stays empty.
#[derive(Debug)]
pub struct InterfaceMonitor {
    socket: NetlinkSocket,
    table: Interfaces,
    /// Something was lost and not yet read again.
    stale: bool,
    /// The table is not the one that was handed out last.
    changed: bool,
    /// Interfaces that have lost an address, or themselves, since that was asked for last.
    losers: BTreeSet<u32>,
}

/// Why the interfaces are not known, or not as they are now.
#[derive(Debug, thiserror::Error)]
pub enum InterfacesError {
    /// The socket could not be opened.
    #[error("interfaces are not known: netlink socket: {0}")]
    Open(#[source] io::Error),
    /// The kernel could not be asked.
    #[error("interfaces may have changed: netlink: {0}")]
    Read(#[source] io::Error),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// A link, and all its names.
    Link(Interface, BTreeSet<Box<str>>),
    LinkGone(u32),
    Address(InterfaceAddress),
    AddressGone(InterfaceAddress),
}

impl InterfaceMonitor {
    /// Opens the socket and subscribes to the events of links and addresses of the current network namespace.
    ///
    /// # Errors
    /// [`InterfacesError::Open`] where netlink is refused. The server then goes on with an empty table.
    pub fn open() -> Result<Self, InterfacesError> {
        let socket = NetlinkSocket::open(None, GROUPS).map_err(InterfacesError::Open)?;
        Ok(Self {
            socket,
            table: Interfaces::default(),
            stale: true,
            changed: false,
            losers: BTreeSet::new(),
        })
    }

    /// Reads the whole table: interfaces by index, addresses in the kernel's order.
    ///
    /// # Errors
    /// [`InterfacesError::Read`]; the next events cause the table to be read again.
    pub fn load(&mut self) -> Result<Interfaces, InterfacesError> {
        self.read(true).map_err(InterfacesError::Read)?;
        self.changed = false;
        Ok(self.table.clone())
    }

    /// Takes in the events that are there: the new table, or `None` when they did not change it. Call it when the
    /// descriptor is readable; it does not wait for events, and what is left makes the descriptor readable again.
    ///
    /// # Errors
    /// [`InterfacesError::Read`]; the table handed out last still holds, and the next events cause it to be read
    /// again as a whole.
    pub fn on_readable(&mut self) -> Result<Option<Interfaces>, InterfacesError> {
        let mut addresses_changed = false;
        for _ in 0..TURN {
            match self.socket.receive().map_err(InterfacesError::Read)? {
                Received::Empty => break,
                Received::Overrun => {
                    self.stale = true;
                    // Whatever it was may have happened to any of them.
                    self.losers.extend(self.table.interfaces.iter().map(|interface| interface.index));
                }
                Received::Messages(messages) => {
                    for event in messages.filter_map(|message| event(&message)) {
                        self.losers.extend(loser(&event));
                        self.changed |= apply_link(&mut self.table, &event);
                        addresses_changed |= is_news(&self.table, &event);
                    }
                }
            }
        }
        if self.stale || addresses_changed {
            self.read(self.stale).map_err(InterfacesError::Read)?;
        }
        Ok(std::mem::take(&mut self.changed).then(|| self.table.clone()))
    }

    /// The interfaces that have lost an address, or themselves, since this was asked last, even if all is back again:
    /// what the kernel kept for them may be gone.
    pub fn losers(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.losers)
    }

    /// The table as it is known now.
    #[must_use]
    pub fn table(&self) -> &Interfaces {
        &self.table
    }

    /// Reads the addresses, and the links too when asked, again when something changes meanwhile; what is not at
    /// rest then is read once more at the next turn.
    fn read(&mut self, links_too: bool) -> io::Result<()> {
        let deadline = Instant::now().checked_add(PATIENCE).ok_or(io::ErrorKind::TimedOut)?;
        let mut links_too = links_too;
        self.stale = true;
        for _ in 0..ROUNDS {
            let mut dump = Dump::default();
            if links_too {
                dump.run(&mut self.socket, RouteRequest::links(), deadline)?;
                dump.table.interfaces.sort_by_key(|interface| interface.index);
            } else {
                dump.table.interfaces.clone_from(&self.table.interfaces);
                dump.table.names.clone_from(&self.table.names);
            }
            dump.run(&mut self.socket, RouteRequest::addresses(), deadline)?;
            let mut news = false;
            for event in &dump.events {
                self.losers.extend(loser(event));
                apply_link(&mut dump.table, event);
                news |= is_news(&dump.table, event);
            }
            self.changed |= dump.table != self.table;
            self.table = dump.table;
            if !dump.lost && !news {
                self.stale = false;
                return Ok(());
            }
            links_too |= dump.lost;
        }
        // The answer to this makes the descriptor readable once more, whether or not anything else happens.
        self.socket.request(RouteRequest::link(LOOPBACK), NLM_F_ACK)
    }
}

impl AsFd for InterfaceMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The tables as they are read out, and the events that came between the parts.
#[derive(Default)]
struct Dump {
    table: Interfaces,
    /// The kernel lists an address once for each other end of its links; here it counts once.
    seen: HashSet<(u32, IpAddr, u8)>,
    events: Vec<Event>,
    lost: bool,
}

impl Dump {
    fn address(&mut self, new: InterfaceAddress) {
        if self.seen.insert((new.interface, new.address, new.prefix_length)) {
            self.table.addresses.push(new);
        }
    }

    fn run(
        &mut self,
        socket: &mut NetlinkSocket,
        request: RouteRequest<impl Emitable>,
        deadline: Instant,
    ) -> io::Result<()> {
        socket.request(request, NLM_F_DUMP)?;
        loop {
            match socket.receive()? {
                Received::Empty => socket.wait(deadline)?,
                Received::Overrun => self.lost = true,
                Received::Messages(messages) => {
                    for message in messages {
                        match &message {
                            Message::End => return Ok(()),
                            Message::Failed(number) => return Err(io::Error::from_raw_os_error(*number)),
                            Message::Event { .. } if self.events.len() >= EVENTS => self.lost = true,
                            Message::Event { .. } => self.events.extend(event(&message)),
                            Message::Answer { interrupted, .. } => {
                                self.lost |= interrupted;
                                match event(&message) {
                                    Some(Event::Link(interface, names)) => {
                                        self.table
                                            .names
                                            .extend(names.into_iter().map(|name| (name, interface.index)));
                                        self.table.interfaces.push(interface);
                                    }
                                    Some(Event::Address(address)) => self.address(address),
                                    _ => {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a message says about a link or an address; `None` for what does not matter here.
fn event(message: &Message<'_>) -> Option<Event> {
    let (Message::Answer { kind, payload, .. } | Message::Event { kind, payload }) = message else {
        return None;
    };
    match *kind {
        RTM_NEWLINK | RTM_DELLINK => {
            let header = LinkHeader::parse(payload).ok()?;
            // A bridge speaks of its ports in the same words: a port that leaves it is not a link that goes.
            if header.interface_family != AddressFamily::Unspec {
                return None;
            }
            if *kind == RTM_DELLINK {
                return Some(Event::LinkGone(header.index));
            }
            Some(Event::Link(interface(&header), names(payload.get(LINK_HEADER..)?)?))
        }
        RTM_NEWADDR => Some(Event::Address(address(payload)?)),
        RTM_DELADDR => Some(Event::AddressGone(address(payload)?)),
        _ => None,
    }
}

fn interface(header: &LinkHeader) -> Interface {
    Interface {
        index: header.index,
        up: header.flags.contains(LinkFlags::Up),
        loopback: header.flags.contains(LinkFlags::Loopback),
        point_to_point: header.flags.contains(LinkFlags::Pointopoint),
        multicast: header.flags.contains(LinkFlags::Multicast),
    }
}

/// The names among a link's attributes: its own, and those that were given to it besides. `None` where not all are
/// told, because the message is about what a radio has found.
fn names(attributes: &[u8]) -> Option<BTreeSet<Box<str>>> {
    let mut found = BTreeSet::new();
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            IFLA_WIRELESS => return None,
            IFLA_PROP_LIST => found.extend(names(attribute.value())?),
            IFLA_IFNAME | IFLA_ALT_IFNAME => {
                let name = attribute.value().split(|byte| *byte == 0).next().unwrap_or_default();
                // One that is no text has no rule: the configuration is text.
                found.extend(std::str::from_utf8(name).map(Into::into));
            }
            _ => {}
        }
    }
    Some(found)
}

/// On a point-to-point link `IFA_ADDRESS` is the other end, and `IFA_LOCAL` is always our own.
fn address(payload: &[u8]) -> Option<InterfaceAddress> {
    let message = AddressMessage::parse(payload).ok()?;
    let mut own: Option<IpAddr> = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Address(address) => own = own.or(Some(*address)),
            _ => {}
        }
    }
    Some(InterfaceAddress {
        interface: message.header.index,
        address: own?,
        prefix_length: message.header.prefix_len,
    })
}

/// The interface that has lost something.
fn loser(event: &Event) -> Option<u32> {
    match event {
        Event::AddressGone(address) => Some(address.interface),
        Event::LinkGone(index) => Some(*index),
        Event::Address(_) | Event::Link(..) => None,
    }
}

/// Applies what an event says about a link; whether that changed anything.
fn apply_link(table: &mut Interfaces, event: &Event) -> bool {
    let interfaces = &mut table.interfaces;
    match event {
        Event::Link(new, names) => {
            let is_renamed = rename(&mut table.names, new.index, names);
            match interfaces.binary_search_by_key(&new.index, |known| known.index) {
                Ok(at) => {
                    let known = interfaces.get_mut(at);
                    known.is_some_and(|known| std::mem::replace(known, *new) != *new) || is_renamed
                }
                Err(at) => {
                    interfaces.insert(at, *new);
                    true
                }
            }
        }
        Event::LinkGone(index) => {
            table.addresses.retain(|address| address.interface != *index);
            table.names.retain(|_, known| known != index);
            match interfaces.binary_search_by_key(index, |known| known.index) {
                Ok(at) => interfaces.remove(at).index == *index,
                Err(_) => false,
            }
        }
        Event::Address(_) | Event::AddressGone(_) => false,
    }
}

/// Gives an interface these names and no others; whether that changed anything.
fn rename(names: &mut BTreeMap<Box<str>, u32>, index: u32, new: &BTreeSet<Box<str>>) -> bool {
    let is_old = |name: &str, known: u32| known == index && !new.contains(name);
    let before = names.len();
    names.retain(|name, known| !is_old(name, *known));
    let mut changed = names.len() != before;
    for name in new {
        changed |= names.insert(name.clone(), index) != Some(index);
    }
    changed
}

/// Whether an event says something about addresses that the table does not. Where a new one belongs in the kernel's
/// order, and whether one that goes was there twice, only the kernel's own table tells.
fn is_news(table: &Interfaces, event: &Event) -> bool {
    match event {
        Event::Address(address) => !table.addresses.contains(address),
        Event::AddressGone(address) => table.addresses.contains(address),
        Event::Link(..) | Event::LinkGone(_) => false,
    }
}
