//! A port mapper: every procedure of program 100000, versions 3 and 4 here, version 2 in `version2.rs`
//! (RFC 1833 sections 2 and 3). Each method is one call; what falls back to older versions is in `fallback.rs`.

use std::time::Duration;

use oncrpc::bind::{self, CallResult, Family, Netbuf, PORT, PROGRAM, RemoteCall, Rpcb};
use oncrpc::xdr::{Decode, Encode, Reader, Writer};
use oncrpc::{Procedure, Program, Version, xdr};

use crate::client::{Client, Void};
use crate::deadline::Deadline;
use crate::listing::{Entries, Rows, Statistics};
use crate::{CallError, ConnectError, Endpoint, resolve};

/// The two versions with the same arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcbVersion {
    /// Version 3.
    V3,
    /// Version 4.
    V4,
}

impl From<RpcbVersion> for Version {
    fn from(version: RpcbVersion) -> Self {
        match version {
            RpcbVersion::V3 => bind::V3,
            RpcbVersion::V4 => bind::V4,
        }
    }
}

/// How a port mapper on a host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP: long lists do not fit.
    Udp,
}

/// A connection to a port mapper.
#[derive(Debug)]
pub struct PortMapper {
    client: Client,
}

impl PortMapper {
    /// Connects within `limit`, which is then also the limit of each call. To a UDP port nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Self, ConnectError> {
        Client::connect(endpoint, limit).map(|client| Self { client })
    }

    /// The first of these that can be reached, all within `limit`: that takes a connection, TCP from a reserved port
    /// when that is permitted, or answers NULL over UDP. The last one over UDP is taken unasked.
    ///
    /// # Errors
    /// That of the last one.
    pub fn first(endpoints: &[Endpoint], limit: Duration) -> Result<Self, ConnectError> {
        Self::responsive(endpoints, Deadline::after(limit), Client::connect_reserved)
    }

    /// The port mapper of this host: see [`Endpoint::local_port_mapper`].
    ///
    /// # Errors
    /// That of the last endpoint tried.
    pub fn local(limit: Duration) -> Result<Self, ConnectError> {
        Self::first(&Endpoint::local_port_mapper(), limit)
    }

    /// The port mapper of a host, by name or address: every address of the family, or of both, in turn, all within
    /// `limit`, as [`PortMapper::first`] does.
    ///
    /// # Errors
    /// [`ConnectError`], that of the last address.
    pub fn on_host(
        host: &str,
        transport: Transport,
        family: Option<Family>,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let deadline = Deadline::after(limit);
        let addresses = resolve::addresses(host, PORT, family, deadline)?;
        let endpoints: Vec<_> = addresses
            .into_iter()
            .map(|address| Endpoint::inet(address, transport == Transport::Udp))
            .collect();
        Self::responsive(&endpoints, deadline, Client::connect)
    }

    fn responsive(
        endpoints: &[Endpoint],
        deadline: Deadline,
        connect: fn(&Endpoint, Duration) -> Result<Client, ConnectError>,
    ) -> Result<Self, ConnectError> {
        let mut last = None;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let after = endpoints.len().saturating_sub(index);
            let Some(share) = deadline.share(after) else { break };
            match connect(endpoint, share) {
                Ok(client) => {
                    let mut mapper = Self { client };
                    if after == 1 || mapper.answers() {
                        mapper.set_limit(deadline.limit());
                        return Ok(mapper);
                    }
                }
                Err(error) => last = Some(error),
            }
        }
        let limit = deadline.limit();
        Err(last.unwrap_or(ConnectError::TimedOut { what: "connecting".into(), limit }))
    }

    /// Whether the other end is there: a connection shows it, a datagram socket must ask.
    fn answers(&mut self) -> bool {
        use CallError::{Receive, Send, TimedOut};
        !matches!(self.endpoint(), Endpoint::Udp(_))
            || !matches!(self.null(bind::V2), Err(Receive(_) | Send(_) | TimedOut { .. }))
    }

    /// Where it is connected to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// Sets the time limit of each call from now on.
    pub const fn set_limit(&mut self, limit: Duration) {
        self.client.set_limit(limit);
    }

    /// NULL, every version.
    ///
    /// # Errors
    /// [`CallError`], as of every call below.
    pub fn null(&mut self, version: Version) -> Result<(), CallError> {
        self.client.null(PROGRAM, version)
    }

    /// SET: registers a row; FALSE when another address is registered or this caller may not.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set(&mut self, version: RpcbVersion, row: &Rpcb<'_>) -> Result<bool, CallError> {
        self.boolean(version.into(), bind::SET, row)
    }

    /// UNSET: removes the row of this netid, or with an empty netid all rows of the program and version. TRUE when
    /// there is none.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn unset(&mut self, version: RpcbVersion, row: &Rpcb<'_>) -> Result<bool, CallError> {
        self.boolean(version.into(), bind::UNSET, row)
    }

    /// GETADDR: the universal address of a service on the transport of this connection, of another version when
    /// this one is not registered. `None` when the program is not.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn address(&mut self, version: RpcbVersion, row: &Rpcb<'_>) -> Result<Option<Vec<u8>>, CallError> {
        self.string(version.into(), bind::GETADDR, row).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// GETVERSADDR, version 4: as GETADDR, for exactly this version.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn exact_address(&mut self, row: &Rpcb<'_>) -> Result<Option<Vec<u8>>, CallError> {
        self.string(bind::V4, bind::GETVERSADDR, row).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// GETADDRLIST, version 4: the addresses of a service on all transports of this connection's family.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn entries(&mut self, row: &Rpcb<'_>) -> Result<Entries, CallError> {
        self.call(bind::V4, bind::GETADDRLIST, row).and_then(Entries::new)
    }

    /// DUMP: all rows.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn rows(&mut self, version: RpcbVersion) -> Result<Rows, CallError> {
        self.call(version.into(), bind::DUMP, &Void).and_then(Rows::new)
    }

    /// CALLIT of version 3, BCAST of version 4: a call made for us. Everything but success is answered by silence,
    /// and many port mappers answer it over UDP only; those that do so from another port than they were asked at are
    /// not heard.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn remote_call(
        &mut self,
        version: RpcbVersion,
        call: &RemoteCall<'_>,
    ) -> Result<RemoteResult, CallError> {
        self.call(version.into(), bind::BCAST, call).and_then(|results| RemoteResult::new(&results))
    }

    /// INDIRECT, version 4: as BCAST, but failures are answered. Port mappers answer as they do there.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn indirect(&mut self, call: &RemoteCall<'_>) -> Result<RemoteResult, CallError> {
        self.call(bind::V4, bind::INDIRECT, call).and_then(|results| RemoteResult::new(&results))
    }

    /// GETTIME: the host's clock in seconds since 1970.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn time(&mut self, version: RpcbVersion) -> Result<u32, CallError> {
        let results = self.call(version.into(), bind::GETTIME, &Void)?;
        whole(&results, Reader::u32)
    }

    /// UADDR2TADDR: the host's socket address of a universal address; empty when it has none.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn socket_address(&mut self, version: RpcbVersion, universal: &[u8]) -> Result<Vec<u8>, CallError> {
        let results = self.call(version.into(), bind::UADDR2TADDR, &Text(universal))?;
        whole(&results, |reader| Netbuf::decode(reader).map(|netbuf| netbuf.bytes.to_vec()))
    }

    /// TADDR2UADDR: the universal address of one of the host's socket addresses; empty when it has none.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn universal_address(&mut self, version: RpcbVersion, socket: &[u8]) -> Result<Vec<u8>, CallError> {
        let max_len = u32::try_from(socket.len()).unwrap_or(u32::MAX);
        self.string(version.into(), bind::TADDR2UADDR, &Netbuf { max_len, bytes: socket })
    }

    /// GETSTAT, version 4: what was called how often.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn statistics(&mut self) -> Result<Statistics, CallError> {
        self.call(bind::V4, bind::GETSTAT, &Void).and_then(Statistics::new)
    }

    pub(crate) fn call(
        &mut self,
        version: Version,
        procedure: Procedure,
        arguments: &impl Encode,
    ) -> Result<Vec<u8>, CallError> {
        self.call_program(PROGRAM, version, procedure, arguments)
    }

    pub(crate) fn call_program(
        &mut self,
        program: Program,
        version: Version,
        procedure: Procedure,
        arguments: &impl Encode,
    ) -> Result<Vec<u8>, CallError> {
        self.client.call(program, version, procedure, arguments)
    }

    pub(crate) fn boolean(
        &mut self,
        version: Version,
        procedure: Procedure,
        arguments: &impl Encode,
    ) -> Result<bool, CallError> {
        let results = self.call(version, procedure, arguments)?;
        whole(&results, Reader::bool)
    }

    fn string(
        &mut self,
        version: Version,
        procedure: Procedure,
        arguments: &impl Encode,
    ) -> Result<Vec<u8>, CallError> {
        let results = self.call(version, procedure, arguments)?;
        whole(&results, |reader| reader.opaque(bind::MAX_STRING).map(<[u8]>::to_vec))
    }
}

/// Reads results that must be one value and nothing more.
pub(crate) fn whole<'a, T>(
    results: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, xdr::Error>,
) -> Result<T, CallError> {
    let mut reader = Reader::new(results);
    let value = read(&mut reader).map_err(CallError::Results)?;
    reader.finish().map_err(CallError::Results)?;
    Ok(value)
}

/// A string as an argument.
struct Text<'a>(&'a [u8]);

impl Encode for Text<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), xdr::Error> {
        writer.opaque(self.0)
    }
}

/// What a call made for us came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteResult {
    /// The universal address of the service that answered.
    pub address: Vec<u8>,
    /// Its results, encoded.
    pub results: Vec<u8>,
}

impl RemoteResult {
    fn new(results: &[u8]) -> Result<Self, CallError> {
        let found: CallResult<'_> = whole(results, CallResult::decode)?;
        Ok(Self { address: found.address.to_vec(), results: found.results.to_vec() })
    }
}
