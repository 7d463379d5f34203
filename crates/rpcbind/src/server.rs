//! A port mapper that serves: the daemon's, and one in any other program. It opens or takes its sockets, follows the
//! host's interfaces, asks the kernel for what SET and UNSET need to know, and runs on one thread.
//! It must never decide anything about a call: that is `rpcbind-core`'s.

mod host;
mod sweep;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use log::debug;
use oncrpc::bind::Netids;
use rpcbind_core::caller::Namespace;
use rpcbind_core::settings::{Caps, Policy};
use rpcbind_core::{Service, Settings};

use crate::kept::Store;
use crate::net::dispatch::{Dispatch, Journal, NoJournal, NoObserver, Observer};
pub use crate::net::event_loop::LoopError;
use crate::net::event_loop::{EventLoop, Timed, Watched};
use crate::net::forward::Outlets;
pub use crate::net::holder::Holder;
use crate::net::listen::{self, Socket};
pub use crate::net::listen::{Endpoint, OpenError};
use crate::net::registrars::Registrars;
pub use crate::net::shares::Limits;
pub use crate::net::streams::AcceptError;
use crate::net::streams::Streams;
use crate::process;
use sweep::Sweeper;

/// What a server is to be. Nothing is opened before [`Builder::open`].
///
/// ```
/// use rpcbind::server::{Builder, Endpoint};
///
/// let mut server = Builder::new().udp("127.0.0.1:0".parse()?).tcp("127.0.0.1:0".parse()?).open()?;
/// for endpoint in server.endpoints() {
///     println!("serving {endpoint}");
/// }
/// let stopper = server.stopper()?;
/// let running = std::thread::spawn(move || server.run());
/// stopper.stop()?;
/// running.join().expect("the server does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    endpoints: Vec<Endpoint>,
    policy: Policy,
    netids: Netids,
    caps: Caps,
    limits: Option<Limits>,
}

/// A port mapper whose sockets are open.
pub struct Server {
    event_loop: EventLoop,
    home: Namespace,
}

/// Ends a server that runs on another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    event: Arc<OwnedFd>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system has no descriptor, or no memory, for the rest.
    #[error("cannot set up the event loop: {0}")]
    System(#[from] io::Error),
}

/// A server's parts, for the daemon, which opens its sockets by rules of its own.
pub(crate) struct Parts {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) policy: Policy,
    pub(crate) netids: Netids,
    pub(crate) caps: Caps,
    pub(crate) limits: Limits,
    pub(crate) journal: Box<dyn Journal + Send>,
    pub(crate) observer: Box<dyn Observer + Send>,
    /// What remote calls are made with; `None`: none is made.
    pub(crate) remote: Option<Remote>,
}

/// What remote calls are made with.
pub(crate) struct Remote {
    pub(crate) outlets: Outlets,
    pub(crate) calls: usize,
    pub(crate) calls_per_source: usize,
}

impl Builder {
    /// A server without sockets, with the default rules: reserved programs and ports for root and system users,
    /// registration from this host only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves UDP at this address. Port 0: any, which [`Server::endpoints`] tells. IPv6 sockets take IPv6 only.
    #[must_use]
    pub fn udp(self, address: SocketAddr) -> Self {
        self.endpoint(Endpoint::Udp(address))
    }

    /// Serves TCP at this address. Port 0: any, which [`Server::endpoints`] tells. IPv6 sockets take IPv6 only.
    #[must_use]
    pub fn tcp(self, address: SocketAddr) -> Self {
        self.endpoint(Endpoint::Tcp(address))
    }

    /// Serves a unix stream socket at this path, which everybody may connect to. A stale socket there is replaced.
    #[must_use]
    pub fn path(self, path: impl Into<PathBuf>) -> Self {
        self.endpoint(Endpoint::Path(path.into()))
    }

    /// Serves a unix stream socket with this abstract name, written without the leading zero byte.
    #[must_use]
    pub fn abstract_name(self, name: impl Into<Vec<u8>>) -> Self {
        self.endpoint(Endpoint::Abstract(name.into()))
    }

    /// Serves one more endpoint.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Who may do what.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The netids that may be registered.
    #[must_use]
    pub fn netids(mut self, netids: Netids) -> Self {
        self.netids = netids;
        self
    }

    /// Caps on registrations.
    #[must_use]
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Caps on connections. The default is what the process's limit of descriptors leaves.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Opens the sockets. From then on clients wait instead of being refused; [`Server::run`] answers them.
    ///
    /// # Errors
    /// [`ServerError`]: then none stays open.
    pub fn open(self) -> Result<Server, ServerError> {
        let sockets = self.endpoints.into_iter().map(listen::open).collect::<Result<Vec<_>, _>>()?;
        let limits = self.limits.unwrap_or_else(|| Limits::of(process::descriptor_limit()));
        let Self { policy, netids, caps, .. } = self;
        let (journal, observer) = (Box::new(NoJournal), Box::new(NoObserver));
        let remote = None;
        Ok(Server::new(Parts { sockets, policy, netids, caps, limits, journal, observer, remote })?)
    }
}

impl Server {
    pub(crate) fn new(parts: Parts) -> io::Result<Self> {
        let Parts { sockets, policy, netids, caps, limits, journal, observer, remote } = parts;
        let known_home = host::home(&sockets);
        let remote = remote.filter(|remote| host::may_call_from(&remote.outlets, known_home));
        let home = known_home.unwrap_or(host::UNKNOWN_HOME);
        let settings = Settings {
            home,
            own: host::own_addresses(&sockets),
            port: host::port(&sockets),
            netids,
            caps,
            policy,
            seed: host::seed(),
            forwarding: remote.as_ref().map(host::forwarding),
        };
        let streams = Streams::new(limits, home);
        let mut service = Service::new(settings);
        let interfaces = host::follow_interfaces(&mut service, &sockets, remote.is_some());
        let listing = host::listing(known_home);
        let health = service.health_mut();
        health.version = env!("CARGO_PKG_VERSION").into();
        health.judges = listing.is_some();
        let facts = host::facts(known_home, &sockets, remote.as_ref());
        let mut event_loop = EventLoop::new(Dispatch::new(service, facts, journal, observer), streams)?;
        if let Some(interfaces) = interfaces {
            event_loop.watch(interfaces)?;
        }
        if let Some(listing) = listing {
            let registrars = Registrars::new(home)?;
            event_loop.watch(registrars.bell()?)?;
            event_loop.dispatch().registrars = Some(registrars);
            event_loop.time(Box::new(Sweeper::new(listing)));
        }
        for socket in sockets {
            event_loop.serve(socket)?;
        }
        if let Some(remote) = remote {
            event_loop.call_from(remote.outlets)?;
        }
        Ok(Self { event_loop, home })
    }

    /// What is served, with the real ports.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.event_loop.sockets().map(|socket| &socket.endpoint)
    }

    /// The network namespace of the inet sockets: what was registered from elsewhere is foreign here.
    #[must_use]
    pub fn home(&self) -> Namespace {
        self.home
    }

    /// The service, to look at its registry or to restore rows.
    pub fn service(&mut self) -> &mut Service {
        &mut self.event_loop.dispatch().service
    }

    /// What ends [`Server::run`] from another thread.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        let (stopper, bell) = host::stopper()?;
        self.event_loop.watch(bell)?;
        Ok(Stopper { event: stopper })
    }

    /// Serves until a [`Stopper`] ends it. Path sockets that were opened are removed then.
    ///
    /// # Errors
    /// [`LoopError`]: something of ours is broken.
    pub fn run(&mut self) -> Result<(), LoopError> {
        let result = self.event_loop.run();
        debug!("{:?}", self.event_loop.counts());
        debug!("connections: {}", self.event_loop.streams().counted());
        for socket in self.event_loop.sockets() {
            // After privileges are dropped the directory may not be ours any more. A stale socket is replaced at the
            // next start.
            let _ = listen::remove(socket);
        }
        result
    }

    /// Stores root's unix connections with the service manager, and serves those that an earlier run has stored.
    /// Answers how many of these were dead.
    pub(crate) fn keep_connections(&mut self, store: Store, room: usize, sockets: Vec<OwnedFd>) -> usize {
        self.event_loop.keep_connections(store, room, sockets)
    }

    /// Keeps the table, as it is and as it changes, in a journal.
    pub(crate) fn begin_to_keep(&mut self, journal: Box<dyn Journal + Send>) {
        self.event_loop.dispatch().begin_to_keep(journal);
    }

    /// Leaves the table to whoever comes next, after [`Server::run`].
    pub(crate) fn finish(&mut self) {
        self.event_loop.leave_connections();
        self.event_loop.dispatch().finish();
    }

    pub(crate) fn watch(&mut self, watched: Box<dyn Watched + Send>) -> io::Result<()> {
        self.event_loop.watch(watched)
    }

    pub(crate) fn time(&mut self, timed: Box<dyn Timed + Send>) {
        self.event_loop.time(timed);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoints: Vec<_> = self.endpoints().collect();
        f.debug_struct("Server").field("endpoints", &endpoints).finish_non_exhaustive()
    }
}

impl Stopper {
    /// Lets the server end with its present turn.
    ///
    /// # Errors
    /// The system's, which does not happen to a server that runs.
    pub fn stop(&self) -> io::Result<()> {
        rustix::io::write(self.event.as_fd(), &1_u64.to_ne_bytes())?;
        Ok(())
    }
}
