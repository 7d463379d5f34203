//! The load: who asks what, how much of it at once. Every reply is checked.

pub(crate) mod changes;
mod lone;
mod streams;
mod window;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use oncrpc::bind;

pub(crate) use lone::ask_one_by_one;
pub(crate) use streams::idle_connections;
pub(crate) use window::ask_each;

use crate::wire::{Calls, Programs, Question, Result};

/// A request without an answer for so long ends the measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// UDP, one at a time.
    Lone(Question),
    /// UDP, so many in flight.
    Window(Question, usize),
    /// TCP: connect, GETPORT, close, so many at a time.
    Connect(usize),
    /// GETPORT, so many calls written at once to one connection.
    Pipelined(Transport, usize),
    /// TCP: DUMP of version 4, one after the other.
    Dump,
    /// SET over the unix socket, one after the other; the rows are taken away again off the record.
    Set,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP, port 111.
    Tcp,
    /// The unix socket.
    Unix,
}

/// Whom to ask about what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The port mapper's host.
    pub(crate) address: Ipv4Addr,
    /// What is asked about.
    pub(crate) programs: Programs,
    /// Whether these are registered.
    pub(crate) found: bool,
}

/// Work in bursts; between them the next one is prepared, which is not measured.
pub(crate) trait Load {
    /// Asks until `end` at the latest and waits for all answers; their number.
    fn burst(&mut self, end: Instant) -> Result<u64>;

    /// Makes the next burst possible.
    fn between(&mut self) -> Result<()> {
        Ok(())
    }

    /// The median time from a call to its reply, where it is measured, of the calls since it was asked for last.
    fn p50(&mut self) -> Option<Duration> {
        None
    }
}

impl Workload {
    /// The load with its sockets open, made in the network namespace of the calling thread.
    pub(crate) fn load(self, target: &Target) -> Result<Box<dyn Load>> {
        Ok(match self {
            Self::Lone(question) => Box::new(lone::Lone::new(question, target)?),
            Self::Window(question, in_flight) => Box::new(window::Window::new(question, in_flight, target)?),
            Self::Connect(at_once) => Box::new(streams::Connecting::new(at_once, target)?),
            Self::Pipelined(transport, depth) => Box::new(streams::Pipelined::new(transport, depth, target)?),
            Self::Dump => Box::new(streams::Dumping::new(target)?),
            Self::Set => Box::new(changes::Changes::new()?),
        })
    }
}

impl Target {
    fn socket_address(&self) -> SocketAddr {
        SocketAddr::from((self.address, bind::PORT))
    }

    /// The calls that a question makes.
    fn calls(&self, question: Question) -> Result<Calls> {
        Calls::new(question, self.programs, self.address)
    }
}

/// Reading and writing of either transport.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection to the port mapper of this namespace.
pub(crate) fn connect(transport: Transport, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
    Ok(match transport {
        Transport::Tcp => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Transport::Unix => {
            let stream = UnixStream::connect(bind::SOCKET_PATH)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
    })
}

/// Reads one record, however many fragments it has, into `buffer`, which grows as needed; its length.
pub(crate) fn read_record(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<usize> {
    const LAST: u32 = 0x8000_0000;
    let mut end = 0;
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        let start = end;
        end += usize::try_from(mark & !LAST)?;
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        stream.read_exact(&mut buffer[start..end])?;
        if mark & LAST != 0 {
            return Ok(end);
        }
    }
}
