//! The types of versions 3 and 4 (RFC 1833 section 2.1). Strings are bytes: nothing promises that they are text.

use super::MAX_STRING;
use crate::number::{Program, Version};
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// A row, and the arguments of SET, UNSET and the look-ups (`rpcb`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpcb<'a> {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The transport's netid.
    pub netid: &'a [u8],
    /// The universal address; in a look-up the address that the caller used to get here.
    pub address: &'a [u8],
    /// The owner's name; what a caller writes here means nothing.
    pub owner: &'a [u8],
}

impl<'a> Decode<'a> for Rpcb<'a> {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            netid: reader.opaque(MAX_STRING)?,
            address: reader.opaque(MAX_STRING)?,
            owner: reader.opaque(MAX_STRING)?,
        })
    }
}

impl Encode for Rpcb<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.opaque(self.netid)?;
        writer.opaque(self.address)?;
        writer.opaque(self.owner)
    }
}

/// One answer of GETADDRLIST (`rpcb_entry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The universal address, merged for the caller.
    pub address: &'a [u8],
    /// The transport's netid.
    pub netid: &'a [u8],
    /// Its semantics: see [`super::Semantics::number`].
    pub semantics: u32,
    /// Its protocol family's name.
    pub family: &'a [u8],
    /// Its protocol's name.
    pub protocol: &'a [u8],
}

impl<'a> Decode<'a> for Entry<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            address: reader.opaque(MAX_STRING)?,
            netid: reader.opaque(MAX_STRING)?,
            semantics: reader.u32()?,
            family: reader.opaque(MAX_STRING)?,
            protocol: reader.opaque(MAX_STRING)?,
        })
    }
}

impl Encode for Entry<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.opaque(self.address)?;
        writer.opaque(self.netid)?;
        writer.u32(self.semantics)?;
        writer.opaque(self.family)?;
        writer.opaque(self.protocol)
    }
}

/// A socket address as its host lays it out (`netbuf`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Netbuf<'a> {
    /// The size of the sender's buffer: at least the address's length, at most [`MAX_STRING`].
    pub max_len: u32,
    /// The address.
    pub bytes: &'a [u8],
}

impl<'a> Decode<'a> for Netbuf<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let max_len = reader.u32()?;
        if max_len > MAX_STRING {
            return Err(Error::TooLong { len: max_len, max: MAX_STRING });
        }
        Ok(Self { max_len, bytes: reader.opaque(max_len)? })
    }
}

impl Encode for Netbuf<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.max_len)?;
        writer.opaque(self.bytes)
    }
}
