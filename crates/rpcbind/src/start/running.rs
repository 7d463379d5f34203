//! The port mapper that runs here already, asked for its table by DUMP of version 4 over its unix socket (RFC 1833
//! section 2.2.1). It must never be asked to change anything.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use oncrpc::record::{RecordReader, mark};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Reply, Xid, bind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::net::holder::Holder;
use crate::warmstart::{self, WarmRow};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest table that is taken, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// The length of a call without arguments, in bytes.
const CALL: usize = 40;

/// A port mapper that runs.
#[derive(Debug)]
pub(super) struct Running {
    stream: UnixStream,
    /// The process that listens.
    pub(super) holder: Holder,
    xid: u32,
}

impl Running {
    /// Connects to whoever listens at the path; `None` when nobody does.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn connect(path: &Path) -> io::Result<Option<Self>> {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let pid = getsockopt(&stream, PeerCredentials)?.pid();
        let holder = Holder::of_process(u32::try_from(pid).unwrap_or(0));
        Ok(Some(Self { stream, holder, xid: 0 }))
    }

    /// Its table, its own rows left out.
    ///
    /// # Errors
    /// It has ended, or what it answers is no table.
    pub(super) fn dump(&mut self) -> io::Result<Vec<WarmRow>> {
        self.xid = self.xid.wrapping_add(1);
        let mut message = [0; CALL];
        let call = Call::new(Xid(self.xid), bind::PROGRAM, bind::V4, bind::DUMP);
        call.encode(&mut Writer::new(&mut message)).map_err(io::Error::other)?;
        self.stream.write_all(&mark(CALL).unwrap_or_default())?;
        self.stream.write_all(&message)?;
        let end = Instant::now() + PATIENCE;
        let mut reader = RecordReader::new(MAX_BYTES);
        let mut buffer = [0; 16 << 10];
        loop {
            let read = self.stream.read(&mut buffer)?;
            let mut input = buffer.get(..read).unwrap_or_default();
            if input.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(record) = reader.next(&mut input).map_err(io::Error::other)? {
                return rows(record, self.xid);
            }
            if Instant::now() > end {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Waits until it closes the connection, as it does at its end, for at most this long; whether it did.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let mut watched = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // It is silent unless asked, so that whatever comes is the end.
        poll(&mut watched, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

fn rows(record: &[u8], xid: u32) -> io::Result<Vec<WarmRow>> {
    let reply = Reply::decode(record).map_err(io::Error::other)?;
    match reply.answer {
        Answer::Success(list) if reply.xid == Xid(xid) => warmstart::listed(list).map_err(io::Error::other),
        _ => Err(io::Error::other("no answer to DUMP")),
    }
}
