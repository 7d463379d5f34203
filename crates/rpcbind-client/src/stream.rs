//! One connection, TCP or unix: records out, records in (RFC 5531 section 11), every wait bounded.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use oncrpc::record::{RecordReader, mark};
use oncrpc::{Answer, Reply, Xid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::CallError;
use crate::deadline::Deadline;

/// Read from the connection at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connection between two replies.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    records: RecordReader,
    /// Received, but not looked at yet.
    ahead: Vec<u8>,
}

impl Stream {
    fn new(socket: Socket, max_record: usize) -> Self {
        Self { socket, records: RecordReader::new(max_record), ahead: Vec::new() }
    }

    /// Connects to a TCP port.
    pub(crate) fn tcp(address: SocketAddr, max_record: usize, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream.into(), max_record))
    }

    /// Connects to a TCP port of this host from a port below 1024 when the system lets us, by which port mappers
    /// know the superuser.
    pub(crate) fn tcp_reserved(address: SocketAddr, max_record: usize, limit: Duration) -> io::Result<Self> {
        let Some(socket) = crate::reserved::tcp_socket(address) else {
            return Self::tcp(address, max_record, limit);
        };
        match socket.connect_timeout(&address.into(), limit) {
            // The port has been used for this very address a moment ago.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                Self::tcp(address, max_record, limit)
            }
            Err(error) => Err(error),
            Ok(()) => {
                socket.set_tcp_nodelay(true)?;
                Ok(Self::new(socket, max_record))
            }
        }
    }

    /// Connects to a unix socket. With a full queue at the other end the kernel waits as long as a send may take.
    #[cfg(unix)]
    pub(crate) fn unix(address: &SockAddr, max_record: usize, limit: Duration) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_write_timeout(Some(limit))?;
        socket.connect(address).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::from(io::ErrorKind::TimedOut),
            _ => error,
        })?;
        Ok(Self::new(socket, max_record))
    }

    /// Sends one message as one record.
    pub(crate) fn send(&mut self, message: &[u8], deadline: Deadline) -> Result<(), CallError> {
        let Some(mark) = mark(message.len()) else {
            return Err(CallError::Arguments { max: i32::MAX.unsigned_abs() as usize });
        };
        let record = [&mark[..], message].concat();
        let mut rest: &[u8] = &record;
        while !rest.is_empty() {
            let Some(left) = deadline.left() else { return Err(late(deadline)) };
            self.socket.set_write_timeout(Some(left)).map_err(CallError::Send)?;
            match self.socket.write(rest) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(CallError::Send(error)),
            }
        }
        Ok(())
    }

    /// Waits for the reply with this xid and hands its answer to `take`; other records are skipped.
    pub(crate) fn receive<T>(
        &mut self,
        xid: Xid,
        deadline: Deadline,
        take: impl FnOnce(Answer<'_>) -> T,
    ) -> Result<T, CallError> {
        let mut chunk = std::mem::take(&mut self.ahead);
        loop {
            let mut input: &[u8] = &chunk;
            while let Some(record) = self.records.next(&mut input).map_err(CallError::Record)? {
                if let Ok(reply) = Reply::decode(record)
                    && reply.xid == xid
                {
                    let taken = take(reply.answer);
                    self.ahead = input.to_vec();
                    return Ok(taken);
                }
            }
            chunk.resize(CHUNK_BYTES, 0);
            let received = self.read(&mut chunk, deadline)?;
            chunk.truncate(received);
        }
    }

    fn read(&mut self, chunk: &mut [u8], deadline: Deadline) -> Result<usize, CallError> {
        loop {
            let Some(left) = deadline.left() else { return Err(late(deadline)) };
            self.socket.set_read_timeout(Some(left)).map_err(CallError::Receive)?;
            match self.socket.read(chunk) {
                Ok(0) => return Err(CallError::Closed),
                Ok(received) => return Ok(received),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(CallError::Receive(error)),
            }
        }
    }
}

fn late(deadline: Deadline) -> CallError {
    CallError::TimedOut { limit: deadline.limit() }
}

/// A time limit of the socket or a signal: the deadline decides what follows.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
