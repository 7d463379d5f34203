//! A caller of one RPC service over any transport (RFC 5531): one call at a time, each within a time limit.
//! It must never take a reply from anybody but the address it asked, nor wait without end.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::Duration;

use oncrpc::bind::MAX_MESSAGE;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Version, Xid, xdr};

use crate::datagram::Datagram;
use crate::deadline::Deadline;
use crate::stream::Stream;
use crate::{CallError, ConnectError, Endpoint};

/// The longest reply that is taken, in bytes: no honest list comes near it.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// No arguments.
#[derive(Clone, Copy, Debug)]
pub struct Void;

impl Encode for Void {
    fn encode(&self, _writer: &mut Writer<'_>) -> Result<(), xdr::Error> {
        Ok(())
    }
}

/// A connection to one service.
///
/// After [`CallError::TimedOut`] it can go on: a reply that comes late is skipped. After any other error that is not
/// an answer of the server's a stream is of no more use.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    endpoint: Endpoint,
    xid: u32,
    limit: Duration,
}

#[derive(Debug)]
enum Channel {
    Stream(Stream),
    Datagram(Datagram),
}

impl Client {
    /// Connects within `limit`, which is then also the limit of each call. To a UDP port nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Self, ConnectError> {
        Self::open(endpoint, limit, Stream::tcp)
    }

    /// As [`Client::connect`], and to a TCP port from a reserved port when that is permitted. Such connections can
    /// be made some hundred times a minute only.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_reserved(endpoint: &Endpoint, limit: Duration) -> Result<Self, ConnectError> {
        Self::open(endpoint, limit, Stream::tcp_reserved)
    }

    fn open(
        endpoint: &Endpoint,
        limit: Duration,
        tcp: fn(std::net::SocketAddr, usize, Duration) -> io::Result<Stream>,
    ) -> Result<Self, ConnectError> {
        let Some(left) = Deadline::after(limit).left() else { return Err(too_late(endpoint, limit)) };
        let channel = match endpoint {
            Endpoint::Tcp(address) => tcp(*address, MAX_REPLY, left).map(Channel::Stream),
            Endpoint::Udp(address) => Datagram::connect(*address).map(Channel::Datagram),
            Endpoint::Path(path) => unix(path.as_os_str().as_encoded_bytes(), left).map(Channel::Stream),
            Endpoint::Abstract(name) => unix(&[&[0], name.as_slice()].concat(), left).map(Channel::Stream),
        };
        let channel = channel.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => too_late(endpoint, limit),
            _ => ConnectError::Refused { endpoint: endpoint.clone(), error },
        })?;
        Ok(Self { channel, endpoint: endpoint.clone(), xid: unpredictable(), limit })
    }

    /// Where it is connected to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sets the time limit of each call from now on.
    pub const fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Calls one procedure with AUTH_NONE and returns the encoded results. A datagram is sent again while no reply
    /// comes, so that the procedure may be run more than once.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(
        &mut self,
        program: Program,
        version: Version,
        procedure: Procedure,
        arguments: &impl Encode,
    ) -> Result<Vec<u8>, CallError> {
        self.xid = self.xid.wrapping_add(1);
        let xid = Xid(self.xid);
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut writer = Writer::new(&mut buffer);
        let whole = Call::new(xid, program, version, procedure)
            .encode(&mut writer)
            .and_then(|()| arguments.encode(&mut writer));
        if whole.is_err() {
            return Err(CallError::Arguments { max: MAX_MESSAGE });
        }
        let deadline = Deadline::after(self.limit);
        match &mut self.channel {
            Channel::Datagram(datagram) => datagram.call(writer.written(), xid, deadline, results)?,
            Channel::Stream(stream) => {
                stream.send(writer.written(), deadline)?;
                stream.receive(xid, deadline, results)?
            }
        }
    }

    /// Calls NULL (RFC 5531 section 12.1), which every version of every program answers.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn null(&mut self, program: Program, version: Version) -> Result<(), CallError> {
        self.call(program, version, Procedure::NULL, &Void).map(|_| ())
    }
}

fn results(answer: Answer<'_>) -> Result<Vec<u8>, CallError> {
    Err(match answer {
        Answer::Success(results) => return Ok(results.to_vec()),
        Answer::ProgramUnavailable => CallError::ProgramUnavailable,
        Answer::ProgramMismatch { low, high } => CallError::ProgramMismatch { low, high },
        Answer::ProcedureUnavailable => CallError::ProcedureUnavailable,
        Answer::GarbageArguments => CallError::GarbageArguments,
        Answer::SystemError => CallError::SystemError,
        Answer::RpcMismatch { low, high } => CallError::RpcMismatch { low, high },
        Answer::AuthError(status) => CallError::Rejected(status),
    })
}

fn too_late(endpoint: &Endpoint, limit: Duration) -> ConnectError {
    ConnectError::TimedOut { what: format!("connecting to {endpoint}"), limit }
}

#[cfg(unix)]
fn unix(name: &[u8], limit: Duration) -> io::Result<Stream> {
    use std::os::unix::ffi::OsStrExt;
    let address = socket2::SockAddr::unix(std::ffi::OsStr::from_bytes(name))?;
    Stream::unix(&address, MAX_REPLY, limit)
}

#[cfg(not(unix))]
fn unix(_name: &[u8], _limit: Duration) -> io::Result<Stream> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A number that nobody else can know: the standard library seeds its hashers from the system's randomness.
pub(crate) fn unpredictable() -> u32 {
    let wide = RandomState::new().hash_one(std::process::id());
    u32::try_from(wide >> 32).unwrap_or_default()
}
