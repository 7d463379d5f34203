//! One UDP socket, connected, so that only the address asked can answer and its refusal is heard.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use oncrpc::{Answer, Exchange, Schedule, Step, Xid};
use rustix::io::Errno;

use crate::CallError;
use crate::deadline::Deadline;
use crate::stream::is_pause;

/// The first wait before a call is sent again, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_536;

/// A socket that talks to one address.
#[derive(Debug)]
pub(crate) struct Datagram {
    socket: UdpSocket,
    /// Why nothing can be sent there: told by the first call, as nothing is sent before.
    unreachable: Option<Errno>,
    buffer: Vec<u8>,
}

impl Datagram {
    /// Opens a socket; nothing is sent.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
        };
        let unreachable = match socket.connect(address) {
            // The kernel lets a socket be connected to no port, but nothing be sent there.
            Ok(()) if address.port() == 0 => Some(Errno::INVAL),
            Ok(()) => None,
            Err(error) => Some(Errno::from_io_error(&error).ok_or(error)?),
        };
        Ok(Self { socket, unreachable, buffer: vec![0; MAX_DATAGRAM] })
    }

    /// Sends a call, again and again until its reply comes, and hands the answer to `take`.
    pub(crate) fn call<T>(
        &mut self,
        message: &[u8],
        xid: Xid,
        deadline: Deadline,
        take: impl FnOnce(Answer<'_>) -> T,
    ) -> Result<T, CallError> {
        let schedule = Schedule { first: FIRST_WAIT, longest: LONGEST_WAIT, total: deadline.limit() };
        let mut exchange = Exchange::new(Duration::ZERO, xid, schedule);
        self.send(message)?;
        loop {
            match exchange.step(deadline.elapsed()) {
                Step::GiveUp => return Err(CallError::TimedOut { limit: deadline.limit() }),
                Step::Retransmit => self.send(message)?,
                Step::Wait => {}
            }
            let wait = exchange.deadline().saturating_sub(deadline.elapsed()).max(Duration::from_micros(1));
            self.socket.set_read_timeout(Some(wait)).map_err(CallError::Receive)?;
            let received = match self.socket.recv(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if is_pause(&error) => continue,
                Err(error) => return Err(CallError::Receive(error)),
            };
            if let Some(reply) = exchange.accept(self.buffer.get(..received).unwrap_or_default()) {
                return Ok(take(reply.answer));
            }
        }
    }

    fn send(&self, message: &[u8]) -> Result<(), CallError> {
        if let Some(unreachable) = self.unreachable {
            return Err(CallError::Send(unreachable.into()));
        }
        match self.socket.send(message) {
            Ok(_) => Ok(()),
            // What came back for an earlier datagram: a receive that would have failed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(CallError::Receive(error)),
            Err(error) => Err(CallError::Send(error)),
        }
    }
}
