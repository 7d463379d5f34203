//! A loop with a real service on loopback and unix sockets, turned by hand, and clients for it: for tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oncrpc::bind::{self, Netid, Rpcb};
use oncrpc::record::mark;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Call, Procedure, Program, Version, Xid};
use rpcbind_core::caller::Namespace;
use rpcbind_core::interfaces::{Interface, Interfaces};
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::Forwarding;
use rpcbind_core::{Service, Settings};

use super::dispatch::{Dispatch, Journal, NoFacts, NoObserver};
use super::event_loop::{EventLoop, Next};
use super::forward::Outlets;
use super::listen::{self, Endpoint};
use super::shares::Limits;
use super::streams::Streams;

/// More than any test needs.
pub(super) const PLENTY: Limits = Limits { unix: 4_000, unix_per_uid: 4_000, root_reserve: 10, tcp: 4_000 };

/// A loop, turned by hand.
pub(super) struct House {
    pub(super) event_loop: EventLoop,
    pub(super) journal: Arc<Mutex<Kept>>,
    path: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

/// What the journal was told.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) changes: Vec<Change>,
    pub(super) syncs: usize,
    /// Called at each sync.
    pub(super) on_sync: Option<Box<dyn FnMut() + Send>>,
}

struct Keeping(Arc<Mutex<Kept>>);

impl Journal for Keeping {
    fn append(&mut self, change: &Change, _: &Service) {
        self.0.lock().unwrap().changes.push(change.clone());
    }

    fn sync(&mut self, _: Duration, _: &mut Service) {
        let mut kept = self.0.lock().unwrap();
        kept.syncs += 1;
        if let Some(on_sync) = &mut kept.on_sync {
            on_sync();
        }
    }
}

impl House {
    /// With so many rows besides our own, and a unix socket.
    pub(super) fn new(limits: Limits, rows: u32) -> Self {
        Self::with(Settings::default(), limits, rows)
    }

    /// That makes remote calls.
    pub(super) fn calling(rows: u32) -> Self {
        let outlets = Outlets::open(&[]).unwrap();
        let (inet, inet6) = (outlets.inet_port(), outlets.inet6_port());
        let forwarding = Forwarding { inet, inet6, calls: 1_000, calls_per_source: 1_000, seed: [1, 2] };
        let settings = Settings { forwarding: Some(forwarding), ..Settings::default() };
        let mut house = Self::with(settings, PLENTY, rows);
        house.event_loop.call_from(outlets).unwrap();
        house
    }

    fn with(settings: Settings, limits: Limits, rows: u32) -> Self {
        let mut service = Service::new(settings);
        let loopback =
            Interface { index: 1, up: true, loopback: true, point_to_point: false, multicast: false };
        service.set_interfaces(Interfaces { interfaces: vec![loopback], ..Interfaces::default() });
        for number in 0..rows {
            assert_eq!(service.restore(row(number)), Ok(()));
        }
        let journal = Arc::new(Mutex::new(Kept::default()));
        let mut dispatch = Dispatch::new(
            service,
            Box::new(NoFacts),
            Box::new(Keeping(journal.clone())),
            Box::new(NoObserver),
        );
        dispatch.push_the_clock(Duration::ZERO);
        let event_loop = EventLoop::new(dispatch, Streams::new(limits, Namespace(0))).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let mut house = Self { event_loop, journal, path: path.clone(), _directory: directory };
        house.listen(Endpoint::Path(path));
        house
    }

    /// Serves one more endpoint; answers it with its real port.
    pub(super) fn listen(&mut self, endpoint: Endpoint) -> SocketAddr {
        let socket = listen::open(endpoint).unwrap();
        let address = match &socket.endpoint {
            Endpoint::Udp(address) | Endpoint::Tcp(address) => *address,
            _ => "0.0.0.0:0".parse().unwrap(),
        };
        self.event_loop.serve(socket).unwrap();
        address
    }

    pub(super) fn unix(&self) -> Client<UnixStream> {
        Client::new(UnixStream::connect(&self.path).unwrap())
    }

    /// One turn, with whatever is ready now.
    pub(super) fn turn(&mut self) {
        assert_eq!(self.event_loop.turn(Some(Duration::ZERO)).unwrap(), Next::GoOn);
    }

    /// Turns until something has come about, waiting only as long as the loop itself would.
    pub(super) fn until<T>(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(result) = condition(self) {
                return result;
            }
            assert!(Instant::now() < end, "{what}: not within 30 s");
            self.event_loop.turn(Some(Duration::from_millis(20))).unwrap();
        }
    }

    /// Lets time pass, and one turn see it.
    pub(super) fn pass(&mut self, time: Duration) {
        self.event_loop.dispatch().push_the_clock(time);
        self.turn();
    }

    /// Waits until the other end is closed. (At once, but for children of other tests, which have our descriptors for
    /// a moment before they become another program.)
    pub(super) fn end_of(&mut self, client: &mut Client<impl Read + Write>) {
        self.until("the end", |_| client.is_closed().then_some(()));
    }

    /// Reads a whole record that the house answers with.
    pub(super) fn reply(&mut self, client: &mut Client<impl Read + Write>) -> Vec<u8> {
        self.until("a reply", |_| client.reply())
    }
}

/// The row that a number stands for.
pub(super) fn row(number: u32) -> Row {
    Row {
        program: Program(500_000 + number),
        version: Version(1),
        netid: Netid::TCP,
        address: "0.0.0.0.7.7".into(),
        owner: Owner::ROOT,
        namespace: Namespace(0),
    }
}

/// A client that never waits.
pub(super) struct Client<S> {
    pub(super) stream: S,
    heard: Vec<u8>,
    pub(super) ended: bool,
}

impl Client<TcpStream> {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }
}

/// Streams that can be told not to wait.
pub(super) trait NonBlocking {
    fn set_nonblocking(&self);
}

impl NonBlocking for TcpStream {
    fn set_nonblocking(&self) {
        Self::set_nonblocking(self, true).unwrap();
    }
}

impl NonBlocking for UnixStream {
    fn set_nonblocking(&self) {
        Self::set_nonblocking(self, true).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    pub(super) fn new(stream: S) -> Self
    where
        S: NonBlocking,
    {
        stream.set_nonblocking();
        Self { stream, heard: Vec::new(), ended: false }
    }

    /// Writes it all; the socket has to take it.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads what is there, at most so many bytes; answers how many.
    pub(super) fn hear(&mut self, most: usize) -> usize {
        let mut bytes = vec![0; most];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(len) => {
                self.heard.extend(&bytes[..len]);
                return len;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // Reset: there was something that nobody read.
            Err(_) => self.ended = true,
        }
        0
    }

    /// The next whole record, without its mark.
    pub(super) fn reply(&mut self) -> Option<Vec<u8>> {
        while self.hear(64 * 1024) > 0 {}
        let len = self.heard.first_chunk().map(|mark| u32::from_be_bytes(*mark) & 0x7fff_ffff)? as usize;
        (self.heard.len() >= 4 + len).then(|| {
            let record = self.heard[4..4 + len].to_vec();
            self.heard.drain(..4 + len);
            record
        })
    }

    /// Whether the other end was closed, after all that came was read.
    pub(super) fn is_closed(&mut self) -> bool {
        while self.hear(64 * 1024) > 0 {}
        self.ended
    }
}

/// A call as a message.
pub(super) fn call(xid: u32, version: Version, procedure: Procedure, arguments: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 40 + arguments.len()];
    let mut writer = Writer::new(&mut message);
    let call = Call::new(Xid(xid), bind::PROGRAM, version, procedure);
    Call { arguments, ..call }.encode(&mut writer).unwrap();
    message
}

/// A message as a record.
pub(super) fn record(message: &[u8]) -> Vec<u8> {
    [&mark(message.len()).unwrap()[..], message].concat()
}

/// NULL, as a record.
pub(super) fn null(xid: u32) -> Vec<u8> {
    record(&call(xid, bind::V2, Procedure(0), &[]))
}

/// DUMP of version 4, as a record.
pub(super) fn dump(xid: u32) -> Vec<u8> {
    record(&call(xid, bind::V4, bind::DUMP, &[]))
}

/// SET of version 4, as a message.
pub(super) fn set(xid: u32, row: &Row) -> Vec<u8> {
    let mut arguments = [0; 128];
    let mut writer = Writer::new(&mut arguments);
    let (program, version) = (row.program, row.version);
    Rpcb { program, version, netid: b"tcp", address: row.address.as_bytes(), owner: b"" }
        .encode(&mut writer)
        .unwrap();
    let arguments = writer.written().to_vec();
    call(xid, bind::V4, bind::SET, &arguments)
}

/// The xid of a reply.
pub(super) fn xid(reply: &[u8]) -> u32 {
    u32::from_be_bytes(*reply.first_chunk().unwrap())
}
