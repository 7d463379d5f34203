//! The virtual network: hosts with a port mapper each, links that lose, double, delay and reorder datagrams, clients as
//! scripts, streams as exchanges of records, and a clock that only the test pushes. Nothing in it is left to chance but
//! what the seed decides: the same seed has the same history, and a test that fails prints its seed.

mod host;
mod link;
mod random;
mod remote;
mod running;
mod script;

pub use host::{Answers, LOOPBACK, Nic};
pub use link::{Faults, LinkId};

use host::{Host, Opened, Socket};
use link::Flight;
use oncrpc::Schedule;
use random::Random;
use rpcbind_core::caller::{Caller, Namespace, Transport};
use rpcbind_core::outcome::{Outcome, RemoteId, Why};
use rpcbind_core::{Service, Settings};
use script::Script;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// A socket of a process on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketId {
    host: HostId,
    index: usize,
}

/// A client's calls, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptId(usize);

/// A stream to a port mapper. Nothing is lost on it.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    server: HostId,
    caller: Caller,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// Where.
    pub host: HostId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A socket or a forger sent a datagram.
    Sent {
        /// Its source.
        from: SocketAddr,
        /// Its destination.
        to: SocketAddr,
        /// Its length in bytes.
        len: usize,
    },
    /// A port mapper dealt with a message.
    Handled {
        /// The caller.
        caller: Caller,
        /// The length of the message in bytes.
        len: usize,
        /// Why it ended as it did.
        why: Why,
    },
    /// A port mapper called a service of its host.
    Called {
        /// What the call is known by.
        call: RemoteId,
        /// The service.
        to: SocketAddr,
    },
    /// A remote call ended.
    Ended {
        /// Which one.
        call: RemoteId,
        /// Who had asked for it.
        caller: Caller,
        /// Why it ended as it did.
        why: Why,
        /// What left for it.
        reply: Option<Vec<u8>>,
    },
    /// A port mapper sent a datagram.
    Replied {
        /// The address that it left from.
        from: SocketAddr,
        /// Where it went.
        to: SocketAddr,
        /// Its length in bytes.
        len: usize,
    },
}

/// The virtual network.
///
/// ```
/// use oncrpc::xdr::{Encode, Writer};
/// use oncrpc::{Answer, Call, Procedure, Reply, Xid, bind};
/// use rpcbind_core::Settings;
/// use testkit::world::{Faults, Nic, World};
///
/// let mut world = World::new(7);
/// let link = world.link(Faults::MANY);
/// let server = world.host(vec![Nic { link, addresses: vec![("192.0.2.1".parse()?, 24)] }]);
/// world.serve(server, Settings::default());
/// let client = world.host(vec![Nic { link, addresses: vec![("192.0.2.2".parse()?, 24)] }]);
/// let socket = world.bind(client, "192.0.2.2:40000".parse()?, 1_000);
///
/// let mut call = [0; 40];
/// Call::new(Xid(7), bind::PROGRAM, bind::V4, Procedure::NULL).encode(&mut Writer::new(&mut call))?;
/// let script = world.script(socket, vec![("192.0.2.1:111".parse()?, call.to_vec())]);
/// world.run();
/// let reply = world.replies(script)[0].as_deref().expect("it is sent again until it is answered");
/// assert_eq!(Reply::decode(reply)?.answer, Answer::Success(&[]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct World {
    seed: u64,
    random: Random,
    now: Duration,
    epoch_seconds: u32,
    /// The faults of each link.
    links: Vec<Faults>,
    /// The faults of every host's loopback interface.
    loopback: Faults,
    hosts: Vec<Host>,
    scripts: Vec<Script>,
    /// By time of arrival, and by number of sending where that is the same.
    flights: BTreeMap<(Duration, u64), Flight>,
    sent: u64,
    history: Vec<Event>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the virtual network's seed was {:#x}", self.seed);
        }
    }
}

impl World {
    /// An empty network. The seed decides everything that is left to chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            now: Duration::ZERO,
            epoch_seconds: 1_700_000_000,
            links: Vec::new(),
            loopback: Faults::NONE,
            hosts: Vec::new(),
            scripts: Vec::new(),
            flights: BTreeMap::new(),
            sent: 0,
            history: Vec::new(),
        }
    }

    /// Adds a link.
    pub fn link(&mut self, faults: Faults) -> LinkId {
        self.links.push(faults);
        LinkId(self.links.len() - 1)
    }

    /// Changes what goes wrong on every host's loopback interface, where nothing does at first.
    pub fn set_loopback_faults(&mut self, faults: Faults) {
        self.loopback = faults;
    }

    /// Adds a host. Its loopback interface has index [`LOOPBACK`], the others follow.
    pub fn host(&mut self, nics: Vec<Nic>) -> HostId {
        self.hosts.push(Host::new(nics));
        HostId(self.hosts.len() - 1)
    }

    /// Starts a port mapper on a host, on the port that the settings name, in place of the one that was there.
    pub fn serve(&mut self, host: HostId, settings: Settings) {
        let host = &mut self.hosts[host.0];
        let port = settings.port;
        host.outlets = remote::outlets(&settings);
        let mut service = Service::new(settings);
        service.set_interfaces(host.interfaces());
        host.service = Some((service, port));
    }

    /// A host's port mapper; `None` when it has none.
    #[must_use]
    pub fn service(&self, host: HostId) -> Option<&Service> {
        self.hosts[host.0].service.as_ref().map(|(service, _)| service)
    }

    /// Opens a UDP socket of a process of this uid.
    pub fn bind(&mut self, host: HostId, address: SocketAddr, uid: u32) -> SocketId {
        let transport = if address.is_ipv6() { Transport::Udp6 } else { Transport::Udp };
        self.open(host, transport, address, uid)
    }

    /// Opens a TCP socket that listens. Nobody can connect to it, but the kernel knows that it is there.
    pub fn listen(&mut self, host: HostId, address: SocketAddr, uid: u32) -> SocketId {
        let transport = if address.is_ipv6() { Transport::Tcp6 } else { Transport::Tcp };
        self.open(host, transport, address, uid)
    }

    fn open(&mut self, host: HostId, transport: Transport, address: SocketAddr, uid: u32) -> SocketId {
        let sockets = &mut self.hosts[host.0].sockets;
        sockets.push(Socket { transport, address, uid, inbox: Vec::new(), open: true, answers: None });
        SocketId { host, index: sockets.len() - 1 }
    }

    /// Has a socket answer every call that comes in, as a service does.
    pub fn answer(&mut self, socket: SocketId, answers: Option<Answers>) {
        self.hosts[socket.host.0].sockets[socket.index].answers = answers;
    }

    /// Closes a socket, as when its process dies.
    pub fn close(&mut self, socket: SocketId) {
        self.hosts[socket.host.0].sockets[socket.index].open = false;
    }

    /// Sends one datagram, once.
    pub fn send(&mut self, socket: SocketId, to: SocketAddr, message: &[u8]) {
        let from = self.hosts[socket.host.0].sockets[socket.index].address;
        let what = What::Sent { from, to, len: message.len() };
        self.note(socket.host, what);
        self.transmit(socket.host, from, to, message);
    }

    /// A datagram that claims any source, and arrives on this interface of a host whatever its destination.
    pub fn forge(&mut self, host: HostId, interface: u32, from: SocketAddr, to: SocketAddr, message: &[u8]) {
        let what = What::Sent { from, to, len: message.len() };
        self.note(host, what);
        let faults = self.faults_of(host, interface);
        self.launch(faults, &Flight { host, interface, from, to, message: message.to_vec() });
    }

    /// What has come in on a socket: from whom, and what.
    #[must_use]
    pub fn inbox(&self, socket: SocketId) -> &[(SocketAddr, Vec<u8>)] {
        &self.hosts[socket.host.0].sockets[socket.index].inbox
    }

    /// A client that makes these calls one after the other from a socket, as C clients do: sent again after 1 s, then
    /// after twice as long each time, given up after 30 s.
    pub fn script(&mut self, socket: SocketId, calls: Vec<(SocketAddr, Vec<u8>)>) -> ScriptId {
        let (first, longest, total) =
            (Duration::from_secs(1), Duration::from_secs(8), Duration::from_secs(30));
        self.script_with(socket, Schedule { first, longest, total }, calls)
    }

    /// As [`World::script`], with a schedule of its own.
    pub fn script_with(
        &mut self,
        socket: SocketId,
        schedule: Schedule,
        calls: Vec<(SocketAddr, Vec<u8>)>,
    ) -> ScriptId {
        self.scripts.push(Script::new(socket, schedule, calls));
        ScriptId(self.scripts.len() - 1)
    }

    /// The replies to a script's calls so far, in their order; `None` for a call that was given up.
    #[must_use]
    pub fn replies(&self, script: ScriptId) -> &[Option<Vec<u8>>] {
        &self.scripts[script.0].replies
    }

    /// A TCP connection of a process of this uid to the port mapper at an address; `None` when there is none.
    pub fn connect(&mut self, host: HostId, from: SocketAddr, to: SocketAddr, uid: u32) -> Option<Stream> {
        let server = if self.hosts[host.0].owns(to.ip()) { host } else { self.route(to.ip())?.0 };
        let (_, port) = self.hosts[server.0].service.as_ref()?;
        if *port != to.port() {
            return None;
        }
        self.hosts[host.0].opened.push(Opened { from, to, uid });
        Some(Stream { server, caller: Caller::Connection { from, local: to } })
    }

    /// A connection of a process of this uid to the unix socket of a host's port mapper.
    #[must_use]
    pub fn connect_unix(&self, server: HostId, uid: u32, namespace: Namespace) -> Stream {
        Stream { server, caller: Caller::Unix { uid: Some(uid), namespace } }
    }

    /// Sends one record and returns the record that answers it; `None` when the port mapper stays silent. What comes
    /// later, of remote calls, is in [`World::history`].
    pub fn record(&mut self, stream: &Stream, message: &[u8]) -> Option<Vec<u8>> {
        let (handled, reply) = self.handle(stream.server, &stream.caller, message)?;
        match handled.outcome {
            Outcome::Reply { len } | Outcome::Commit { len, .. } => Some(reply[..len].to_vec()),
            Outcome::Table { len, body } => Some([&reply[..len], &body[..]].concat()),
            Outcome::Silent | Outcome::Need(_) | Outcome::Forward(_) => None,
        }
    }

    /// The time since the network began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Sets the wall clock, by steps as large as one likes: it never has to do with the time under way.
    pub fn set_wall_clock(&mut self, unix_seconds: u32) {
        let elapsed = u32::try_from(self.now.as_secs()).unwrap_or(u32::MAX);
        self.epoch_seconds = unix_seconds.wrapping_sub(elapsed);
    }

    /// Everything that has happened.
    #[must_use]
    pub fn history(&self) -> &[Event] {
        &self.history
    }

    fn note(&mut self, host: HostId, what: What) {
        self.history.push(Event { at: self.now, host, what });
    }
}
