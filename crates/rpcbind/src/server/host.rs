//! What a server learns of its host: its namespace, its interfaces, the owners of sockets; and what it says of itself.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use log::{info, warn};
use oncrpc::bind::{self, UniversalAddress};
use rpcbind_core::Service;
use rpcbind_core::caller::{Namespace, Transport};
use rpcbind_core::facts::{Facts, Question};
use rpcbind_core::interfaces::Interfaces;
use rpcbind_core::settings::{Forwarding, OwnAddress};
use rustix::event::{EventfdFlags, eventfd};

use crate::logging::START;
use crate::net::dispatch::{Dispatch, KernelFacts, NoFacts};
use crate::net::event_loop::{Next, Watched};
use crate::net::forward::Outlets;
use crate::net::group::{self, Group};
use crate::net::listen::{Endpoint, Socket};
use crate::netlink::{InterfaceMonitor, Listing, SockDiag};
use crate::peer;

use super::Remote;

/// Home where the kernel does not tell namespaces apart: then all are one.
pub(super) const UNKNOWN_HOME: Namespace = Namespace(0);

/// The namespace of our inet sockets; without any, the one we are in. `None` where the kernel does not say.
pub(super) fn home(sockets: &[Socket]) -> Option<Namespace> {
    match sockets.iter().find(|socket| socket.endpoint.inet().is_some()) {
        Some(socket) => peer::namespace(socket.as_fd()),
        None => here(),
    }
}

/// The namespace that we are in: a socket made here belongs here.
fn here() -> Option<Namespace> {
    let socket = UnixDatagram::unbound().ok()?;
    peer::namespace(socket.as_fd())
}

/// The port that we are known by: that of the inet sockets, or the port mapper's.
pub(super) fn port(sockets: &[Socket]) -> u16 {
    sockets.iter().find_map(|socket| socket.endpoint.inet()).map_or(bind::PORT, |address| address.port())
}

/// The port mapper's own rows, in the order in which the C daemon lists them. The abstract socket is not listed.
pub(super) fn own_addresses(sockets: &[Socket]) -> Vec<OwnAddress> {
    let order = [Transport::Tcp6, Transport::Udp6, Transport::Tcp, Transport::Udp];
    let inet = order.into_iter().filter_map(|transport| {
        let address = listed(sockets.iter().flat_map(|socket| served(socket, transport)))?;
        let text = UniversalAddress::from_socket(address).text();
        Some(OwnAddress { transport, address: String::from_utf8_lossy(text.as_bytes()).into() })
    });
    let path = sockets.iter().find_map(|socket| match &socket.endpoint {
        Endpoint::Path(path) => Some(path.to_string_lossy().into()),
        _ => None,
    });
    inet.chain(path.map(|address| OwnAddress { transport: Transport::Local, address })).collect()
}

/// The address of a socket on a transport, if it serves that one.
fn served(socket: &Socket, transport: Transport) -> Option<SocketAddr> {
    let (address, four, six) = match &socket.endpoint {
        Endpoint::Udp(address) => (*address, Transport::Udp, Transport::Udp6),
        Endpoint::Tcp(address) => (*address, Transport::Tcp, Transport::Tcp6),
        Endpoint::Path(_) | Endpoint::Abstract(_) => return None,
    };
    match address.ip().to_canonical() {
        IpAddr::V4(_) if transport == four => Some(address),
        IpAddr::V6(_) if transport == six => Some(address),
        IpAddr::V6(_) if transport == four && socket.dual_stack => {
            Some((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        _ => None,
    }
}

/// The one address to list for several of a transport: the only one, or the wildcard, which a look-up answers with
/// the address that the caller used.
fn listed(mut addresses: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let first = addresses.next()?;
    let same = addresses.all(|address| address == first);
    Some(match first {
        first if same => first,
        SocketAddr::V4(v4) => (Ipv4Addr::UNSPECIFIED, v4.port()).into(),
        SocketAddr::V6(v6) => (std::net::Ipv6Addr::UNSPECIFIED, v6.port()).into(),
    })
}

/// Numbers that nobody can guess: the standard library's own, from the kernel.
pub(super) fn seed() -> [u64; 2] {
    [RandomState::new().hash_one(1_u8), RandomState::new().hash_one(2_u8)]
}

/// Whether remote calls can be made: services of the namespace that is served are not reached from another one.
pub(super) fn may_call_from(outlets: &Outlets, home: Option<Namespace>) -> bool {
    let here = outlets.all().all(|outlet| peer::namespace(outlet.as_fd()) == home);
    if !here {
        let problem = "the sockets served are of another network namespace";
        warn!(target: START, "{problem}: remote calls are not made");
    }
    here
}

/// What the core is told of the sockets that remote calls leave from.
pub(super) fn forwarding(remote: &Remote) -> Forwarding {
    let Remote { outlets, calls, calls_per_source } = remote;
    Forwarding {
        inet: outlets.inet_port(),
        inet6: outlets.inet6_port(),
        calls: *calls,
        calls_per_source: *calls_per_source,
        seed: seed(),
    }
}

/// Reads the interfaces and follows them from then on, as a member of the port mappers' multicast group on each or not;
/// `None`, after a warning, where the kernel does not tell.
pub(super) fn follow_interfaces(
    service: &mut Service,
    sockets: &[Socket],
    multicast: bool,
) -> Option<Box<dyn Watched + Send>> {
    let followed = InterfaceMonitor::open().and_then(|mut monitor| {
        let interfaces = monitor.load()?;
        Ok((monitor, interfaces))
    });
    match followed {
        Ok((monitor, interfaces)) => {
            let group = if multicast { group(sockets, &interfaces) } else { None };
            service.set_interfaces(interfaces);
            Some(Box::new(Followed { monitor, group }))
        }
        Err(error) => {
            warn!(target: START, "{error}; callers over UDP cannot be told to be on this host");
            None
        }
    }
}

/// The multicast group, joined, where there is a socket that hears of it; of sockets of another namespace the links are
/// not known.
fn group(sockets: &[Socket], interfaces: &Interfaces) -> Option<Group> {
    let here = here();
    let hears = |socket: &Socket| group::reaches(socket) && peer::namespace(socket.as_fd()) == here;
    sockets.iter().find(|socket| hears(socket))?;
    match Group::open() {
        Ok(mut group) => {
            group.follow(interfaces, &BTreeSet::new());
            Some(group)
        }
        Err(error) => {
            warn!(target: START, "no multicasts are received: {error}");
            None
        }
    }
}

struct Followed {
    monitor: InterfaceMonitor,
    group: Option<Group>,
}

impl Watched for Followed {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }

    fn on_readable(&mut self, dispatch: &mut Dispatch) -> io::Result<Next> {
        match self.monitor.on_readable() {
            Ok(Some(interfaces)) => dispatch.service.set_interfaces(interfaces),
            Ok(None) => {}
            // The table holds, and the next event causes it to be read again.
            Err(error) => warn!("{error}"),
        }
        let losers = self.monitor.losers();
        if let Some(group) = &mut self.group {
            group.follow(self.monitor.table(), &losers);
        }
        Ok(Next::GoOn)
    }
}

/// Where questions about sockets are answered; nowhere, after a warning, when the kernel refuses.
pub(super) fn facts(
    home: Option<Namespace>,
    sockets: &[Socket],
    remote: Option<&Remote>,
) -> Box<dyn KernelFacts + Send> {
    let datagram = |socket: &&Socket| matches!(socket.endpoint, Endpoint::Udp(_));
    let outlets = remote.into_iter().flat_map(|remote| remote.outlets.all()).map(AsFd::as_fd);
    let own: Vec<_> = sockets.iter().filter(datagram).map(AsFd::as_fd).chain(outlets).collect();
    match SockDiag::open(home, &own) {
        Ok(diag) => Box::new(Asked(diag)),
        Err(error) => {
            warn!(target: START, "{error}");
            Box::new(NoFacts)
        }
    }
}

/// Where all sockets are listed, for judging whether services are there; `None`, after a word, where they are not.
pub(super) fn listing(home: Option<Namespace>) -> Option<Listing> {
    match Listing::open(home) {
        Ok(Some(listing)) => Some(listing),
        Ok(None) => {
            info!(target: START, "the sockets served are of another network namespace: services are not judged");
            None
        }
        Err(error) => {
            warn!(target: START, "{error}; services are not judged");
            None
        }
    }
}

struct Asked(SockDiag);

impl KernelFacts for Asked {
    fn answer(&mut self, question: &Question, facts: &mut Facts) {
        self.0.answer(question, facts);
    }
}

/// A bell to ring from another thread, and the one to watch.
pub(super) fn stopper() -> io::Result<(Arc<OwnedFd>, Box<dyn Watched + Send>)> {
    let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    Ok((event.clone(), Box::new(Bell(event))))
}

struct Bell(Arc<OwnedFd>);

impl Watched for Bell {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn on_readable(&mut self, _: &mut Dispatch) -> io::Result<Next> {
        Ok(Next::Stop)
    }
}
