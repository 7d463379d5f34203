//! What is the same in all versions: newest first, an older one where a port mapper does not serve it.
//! Program and version unavailable and arguments not understood lead on; any other answer is an answer.

use std::borrow::Cow;

use oncrpc::Version;
use oncrpc::bind::{self, Family, Mapping, Netid, Netids, Protocol, Rpcb, UniversalAddress};

use crate::mapper::{PortMapper, RpcbVersion};
use crate::{CallError, Endpoint, LookupError, RegisterError, error};

/// One row, owned, in the words of versions 3 and 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The program.
    pub program: oncrpc::Program,
    /// Its version.
    pub version: Version,
    /// The netid; for a row of version 2 `udp`, `tcp` or the protocol's number.
    pub netid: Vec<u8>,
    /// The universal address; for a row of version 2 on the wildcard address.
    pub address: Vec<u8>,
    /// The owner; for a row of version 2 `unknown`.
    pub owner: Vec<u8>,
}

impl From<Rpcb<'_>> for Row {
    fn from(row: Rpcb<'_>) -> Self {
        let Rpcb { program, version, netid, address, owner } = row;
        Self { program, version, netid: netid.into(), address: address.into(), owner: owner.into() }
    }
}

impl From<Mapping> for Row {
    fn from(mapping: Mapping) -> Self {
        let netid = match mapping.protocol {
            Protocol::UDP => "udp".into(),
            Protocol::TCP => "tcp".into(),
            // As wide as rpcinfo prints it.
            Protocol(number) => format!("{number:6}"),
        };
        let [_, _, high, low] = mapping.port.to_be_bytes();
        Self {
            program: mapping.program,
            version: mapping.version,
            netid: netid.into(),
            address: format!("0.0.0.0.{high}.{low}").into(),
            owner: "unknown".into(),
        }
    }
}

impl PortMapper {
    /// All rows: by version 3, else 4 where that is the lowest served, else 2.
    ///
    /// # Errors
    /// [`CallError`] of the version asked last. A port mapper that serves none of the three is
    /// [`CallError::ProgramMismatch`] or [`CallError::ProgramUnavailable`].
    pub fn dump(&mut self) -> Result<Vec<Row>, CallError> {
        let owned = |rows: crate::Rows| rows.iter().map(Row::from).collect();
        match self.rows(RpcbVersion::V3) {
            Err(CallError::ProgramMismatch { low: 4, .. }) => self.rows(RpcbVersion::V4).map(owned),
            Err(CallError::ProgramMismatch { high: 2, .. }) => {
                self.mappings().map(|mappings| mappings.iter().map(Row::from).collect())
            }
            found => found.map(owned),
        }
    }

    /// Where a service listens, on the transport of this connection, which must be the netid's: GETADDR of versions
    /// 4 and 3, then for IPv4 GETPORT of version 2. `None` when the program is not registered. Port mappers answer
    /// with another version of the program when this one is not registered.
    ///
    /// An answer without a host is given the port mapper's; a link-local one its interface.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn find(
        &mut self,
        program: oncrpc::Program,
        version: Version,
        netid: &str,
    ) -> Result<Option<Endpoint>, LookupError> {
        let hint = self.endpoint().universal();
        let row =
            Rpcb { program, version, netid: netid.as_bytes(), address: hint.as_bytes(), owner: b"libtirpc" };
        let mut last = None;
        for asked in [RpcbVersion::V4, RpcbVersion::V3] {
            match self.address(asked, &row) {
                Ok(None) => return Ok(None),
                Ok(Some(text)) => return self.placed(text).map(Some),
                Err(error) if may_be_older(&error) => last = Some((asked.into(), error)),
                Err(error) => return Err(LookupError::Call { version: asked.into(), error }),
            }
        }
        match (self.endpoint().clone(), last) {
            (Endpoint::Tcp(at), _) if at.is_ipv4() => self.find_port(&row, Protocol::TCP, at),
            (Endpoint::Udp(at), _) if at.is_ipv4() => self.find_port(&row, Protocol::UDP, at),
            (_, Some((version, error))) => Err(LookupError::Call { version, error }),
            (_, None) => Ok(None),
        }
    }

    fn find_port(
        &mut self,
        row: &Rpcb<'_>,
        protocol: Protocol,
        mut at: std::net::SocketAddr,
    ) -> Result<Option<Endpoint>, LookupError> {
        let found = self.port(row.program, row.version, protocol);
        let port = found.map_err(|error| LookupError::Call { version: bind::V2, error })?;
        Ok(port.map(|port| {
            at.set_port(port);
            Endpoint::inet(at, protocol == Protocol::UDP)
        }))
    }

    /// The endpoint of an answered universal address, which is of this connection's family and transport.
    fn placed(&self, text: Vec<u8>) -> Result<Endpoint, LookupError> {
        let here = self.endpoint();
        let Some(address) = UniversalAddress::parse(&text, here.family()) else {
            return Err(LookupError::Address(text));
        };
        let mut found = Endpoint::from_universal(&address, matches!(here, Endpoint::Udp(_)));
        if let (Endpoint::Tcp(found) | Endpoint::Udp(found), Some(here)) = (&mut found, here.socket()) {
            if found.ip().is_unspecified() {
                found.set_ip(here.ip());
            }
            if let (std::net::SocketAddr::V6(found), std::net::SocketAddr::V6(here)) = (found, here)
                && found.ip().is_unicast_link_local()
            {
                found.set_scope_id(here.scope_id());
            }
        }
        Ok(found)
    }

    /// Registers one service: SET of version 4, then 3, then 2.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing was registered then.
    pub fn register(&mut self, service: &Rpcb<'_>) -> Result<(), RegisterError> {
        for version in [RpcbVersion::V4, RpcbVersion::V3] {
            match self.set(version, service) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(RegisterError::Refused(error::row_text(service))),
                Err(error) if may_be_older(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(mapping) = mapping_of(service) else {
            return Err(RegisterError::Version2(error::row_text(service)));
        };
        match self.set_mapping(&mapping)? {
            true => Ok(()),
            false => Err(RegisterError::Refused(error::row_text(service))),
        }
    }

    /// Removes one service: UNSET of version 4, then 3, then 2, which removes the program's version on UDP and TCP.
    /// TRUE when it is not registered any more, and when it was not. An empty netid means all transports.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn unregister(&mut self, service: &Rpcb<'_>) -> Result<bool, CallError> {
        for version in [RpcbVersion::V4, RpcbVersion::V3] {
            match self.unset(version, service) {
                Err(error) if may_be_older(&error) => {}
                answered => return answered,
            }
        }
        self.unset_mapping(service.program, service.version)
    }
}

/// A version above ours will not know ours; else an older one may be served.
fn may_be_older(error: &CallError) -> bool {
    error.is_about_version() && !matches!(error, CallError::ProgramMismatch { low: 5.., .. })
}

/// The row in the words of version 2: UDP and TCP on IPv4, the host is lost.
fn mapping_of(row: &Rpcb<'_>) -> Option<Mapping> {
    let protocol = match Netids::default().find(row.netid) {
        Some(Netid::UDP) => Protocol::UDP,
        Some(Netid::TCP) => Protocol::TCP,
        _ => return None,
    };
    let port = UniversalAddress::parse(row.address, Family::Inet)?.port()?;
    Some(Mapping { program: row.program, version: row.version, protocol, port: port.into() })
}

/// The name that is sent as the owner: the effective uid, as other libraries do. No port mapper believes it.
pub(crate) fn owner() -> Cow<'static, str> {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw().to_string().into();
    #[cfg(not(unix))]
    return "0".into();
}
