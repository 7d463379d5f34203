//! Version 2 of the port mapper (RFC 1833 section 3): numbers of protocols and ports, IPv4 only.

use oncrpc::bind::{self, Mapping, PortCallResult, Protocol, RemoteCall};
use oncrpc::xdr::{Decode, Error, Reader};
use oncrpc::{Program, Version};

use crate::CallError;
use crate::listing::Mappings;
use crate::mapper::{PortMapper, whole};

/// What a call made for us by a port mapper of version 2 came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortResult {
    /// The port of the service that answered.
    pub port: u32,
    /// Its results, encoded.
    pub results: Vec<u8>,
}

impl PortMapper {
    /// SET of version 2.
    ///
    /// # Errors
    /// [`CallError`], as of every call below.
    pub fn set_mapping(&mut self, mapping: &Mapping) -> Result<bool, CallError> {
        self.boolean(bind::V2, bind::SET, mapping)
    }

    /// UNSET of version 2: UDP and TCP at once, whatever protocol and port say.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn unset_mapping(&mut self, program: Program, version: Version) -> Result<bool, CallError> {
        let mapping = Mapping { program, version, protocol: Protocol(0), port: 0 };
        self.boolean(bind::V2, bind::UNSET, &mapping)
    }

    /// GETPORT: the port of a service, of another version when this one is not registered; `None` when the program
    /// is not. A number that is no port is an error.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn port(
        &mut self,
        program: Program,
        version: Version,
        protocol: Protocol,
    ) -> Result<Option<u16>, CallError> {
        let mapping = Mapping { program, version, protocol, port: 0 };
        let results = self.call(bind::V2, bind::GETPORT, &mapping)?;
        let port = whole(&results, Reader::u32)?;
        let port = u16::try_from(port).map_err(|_| CallError::Results(Error::Discriminant(port)))?;
        Ok(Some(port).filter(|port| *port != 0))
    }

    /// DUMP of version 2.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn mappings(&mut self) -> Result<Mappings, CallError> {
        self.call(bind::V2, bind::DUMP, &crate::client::Void).and_then(Mappings::new)
    }

    /// CALLIT of version 2: a call made for us. Everything but success is answered by silence, and many port
    /// mappers answer it over UDP only.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn remote_call_by_port(&mut self, call: &RemoteCall<'_>) -> Result<PortResult, CallError> {
        let results = self.call(bind::V2, bind::CALLIT, call)?;
        let found = whole(&results, PortCallResult::decode)?;
        Ok(PortResult { port: found.port, results: found.results.to_vec() })
    }
}
