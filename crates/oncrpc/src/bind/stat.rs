//! The results of GETSTAT (RFC 1833 section 2.1, `rpcb_stat_byvers`): three tables, versions 2, 3 and 4.

use super::MAX_STRING;
use crate::number::{Procedure, Program, Version};
use oncrpc_xdr::{Decode, Encode, Error, List, Reader, Writer, encode_list};

/// The procedures counted in each table: 0 to 12.
pub const PROCEDURES: usize = 13;
/// The tables: versions 2, 3 and 4 in this order.
pub const VERSIONS: usize = 3;

/// Look-ups of one service (`rpcbs_addrlist`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressCount<'a> {
    /// The program looked up.
    pub program: Program,
    /// The version looked up.
    pub version: Version,
    /// Look-ups that found something.
    pub success: i32,
    /// Look-ups that did not.
    pub failure: i32,
    /// The netid it was looked up on.
    pub netid: &'a [u8],
}

impl<'a> Decode<'a> for AddressCount<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            success: reader.i32()?,
            failure: reader.i32()?,
            netid: reader.opaque(MAX_STRING)?,
        })
    }
}

impl Encode for AddressCount<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.i32(self.success)?;
        writer.i32(self.failure)?;
        writer.opaque(self.netid)
    }
}

/// Remote calls of one procedure (`rpcbs_rmtcalllist`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteCount<'a> {
    /// The program to be called.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The procedure.
    pub procedure: Procedure,
    /// Calls whose service was registered.
    pub success: i32,
    /// Calls whose service was not.
    pub failure: i32,
    /// Calls that came by INDIRECT.
    pub indirect: i32,
    /// The netid it was called on.
    pub netid: &'a [u8],
}

impl<'a> Decode<'a> for RemoteCount<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            procedure: Procedure(reader.u32()?),
            success: reader.i32()?,
            failure: reader.i32()?,
            indirect: reader.i32()?,
            netid: reader.opaque(MAX_STRING)?,
        })
    }
}

impl Encode for RemoteCount<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.u32(self.procedure.0)?;
        writer.i32(self.success)?;
        writer.i32(self.failure)?;
        writer.i32(self.indirect)?;
        writer.opaque(self.netid)
    }
}

/// The counters of one version, without its lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls by procedure.
    pub calls: [i32; PROCEDURES],
    /// SETs that answered TRUE.
    pub set: i32,
    /// UNSETs that answered TRUE.
    pub unset: i32,
}

impl<'a> Decode<'a> for Counters {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut counters = Self::default();
        for slot in &mut counters.calls {
            *slot = reader.i32()?;
        }
        counters.set = reader.i32()?;
        counters.unset = reader.i32()?;
        Ok(counters)
    }
}

impl Encode for Counters {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.calls.iter().try_for_each(|count| writer.i32(*count))?;
        writer.i32(self.set)?;
        writer.i32(self.unset)
    }
}

/// Writes the table of one version.
///
/// # Errors
/// [`Error::Full`] when it does not fit.
pub fn encode_version<'a>(
    counters: &Counters,
    addresses: impl IntoIterator<Item = AddressCount<'a>>,
    remote: impl IntoIterator<Item = RemoteCount<'a>>,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    counters.encode(writer)?;
    encode_list(addresses, writer)?;
    encode_list(remote, writer)
}

/// One version's table as a client reads it: the counters and its two lists, still encoded.
#[derive(Clone, Debug)]
pub struct VersionTable<'a> {
    /// The counters.
    pub counters: Counters,
    /// The look-ups.
    pub addresses: List<'a, AddressCount<'a>>,
    /// The remote calls.
    pub remote: List<'a, RemoteCount<'a>>,
}

impl<'a> Decode<'a> for VersionTable<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let counters = Counters::decode(reader)?;
        let addresses = skip_list(reader)?;
        let remote = skip_list(reader)?;
        Ok(Self { counters, addresses, remote })
    }
}

/// Checks a list to its end and returns the walk from its start.
fn skip_list<'a, T: Decode<'a>>(reader: &mut Reader<'a>) -> Result<List<'a, T>, Error> {
    let start = List::new(*reader);
    let mut walk = List::<T>::new(*reader);
    for element in walk.by_ref() {
        element?;
    }
    *reader = walk.reader();
    Ok(start)
}
