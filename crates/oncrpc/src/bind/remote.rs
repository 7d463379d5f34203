//! Arguments and results of the calls made on a caller's behalf: CALLIT, BCAST, INDIRECT (RFC 1833 sections 2.1, 3.1).

use super::MAX_STRING;
use crate::number::{Procedure, Program, Version};
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// What to call: the same arguments in every version (`rpcb_rmtcallargs`, `call_args`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteCall<'a> {
    /// The program to call.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The procedure.
    pub procedure: Procedure,
    /// Its arguments, encoded.
    pub arguments: &'a [u8],
}

impl<'a> Decode<'a> for RemoteCall<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            procedure: Procedure(reader.u32()?),
            arguments: reader.opaque(MAX_STRING)?,
        })
    }
}

impl Encode for RemoteCall<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.u32(self.procedure.0)?;
        writer.opaque(self.arguments)
    }
}

/// The results in versions 3 and 4 (`rpcb_rmtcallres`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallResult<'a> {
    /// The universal address of the service that answered.
    pub address: &'a [u8],
    /// Its results, encoded.
    pub results: &'a [u8],
}

impl<'a> Decode<'a> for CallResult<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self { address: reader.opaque(MAX_STRING)?, results: reader.opaque(u32::MAX)? })
    }
}

impl Encode for CallResult<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.opaque(self.address)?;
        writer.opaque(self.results)
    }
}

/// The results in version 2 (`call_result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortCallResult<'a> {
    /// The port of the service that answered.
    pub port: u32,
    /// Its results, encoded.
    pub results: &'a [u8],
}

impl<'a> Decode<'a> for PortCallResult<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self { port: reader.u32()?, results: reader.opaque(u32::MAX)? })
    }
}

impl Encode for PortCallResult<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.port)?;
        writer.opaque(self.results)
    }
}
