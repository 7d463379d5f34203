//! The port mapper that runs here already, asked for its table by DUMP of version 4 over its unix socket (RFC 1833
//! section 2.2.1). It must never be asked to change anything.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use oncrpc::record::{RecordReader, mark};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Reply, Xid, bind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::net::holder::{Holder, Table};
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
    /// Readable when that process has ended; `None` where it cannot be watched or serves for others.
    process: Option<OwnedFd>,
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
        let mut holder = Holder::of_process(u32::try_from(pid).unwrap_or(0));
        if holder.name.is_none() {
            // Whoever began to listen went to the background and left it to its child.
            let port = SocketAddr::from((Ipv4Addr::UNSPECIFIED, bind::PORT));
            holder = Holder::of_address(Table::Udp, port).unwrap_or(holder);
        }
        let process = Some(&holder).filter(|holder| !holder.is_service_manager()).and_then(watch);
        Ok(Some(Self { stream, holder, process, xid: 0 }))
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

    /// Waits for its end for at most this long; whether it came. All that it held is free then: a connection is
    /// closed earlier than that, so that it is only watched where the process cannot be.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let watched = self.process.as_ref().map_or(self.stream.as_fd(), AsFd::as_fd);
        let mut watched = [PollFd::from_borrowed_fd(watched, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // It is silent unless asked, so that whatever comes is the end.
        poll(&mut watched, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    /// Whether its end is that of its process, not only of the connection.
    pub(super) fn is_watched(&self) -> bool {
        self.process.is_some()
    }
}

fn watch(holder: &Holder) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(holder.pid?).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn rows(record: &[u8], xid: u32) -> io::Result<Vec<WarmRow>> {
    let reply = Reply::decode(record).map_err(io::Error::other)?;
    match reply.answer {
        Answer::Success(list) if reply.xid == Xid(xid) => warmstart::listed(list).map_err(io::Error::other),
        _ => Err(io::Error::other("no answer to DUMP")),
    }
}
