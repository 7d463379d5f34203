//! Version 2's types (RFC 1833 section 3.1).

use crate::number::{Program, Version};
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// A protocol number as version 2 uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u32);

impl Protocol {
    /// IPPROTO_TCP.
    pub const TCP: Self = Self(6);
    /// IPPROTO_UDP.
    pub const UDP: Self = Self(17);
}

/// A row of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The protocol.
    pub protocol: Protocol,
    /// The port; more than 16 bits can be claimed on the wire.
    pub port: u32,
}

impl<'a> Decode<'a> for Mapping {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            protocol: Protocol(reader.u32()?),
            port: reader.u32()?,
        })
    }
}

impl Encode for Mapping {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.u32(self.protocol.0)?;
        writer.u32(self.port)
    }
}
