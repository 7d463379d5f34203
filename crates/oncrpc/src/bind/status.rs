//! The status program of our daemon, version 1 (`docs/status-protocol.md`): a private program beside program 100000,
//! found on the port mapper's unix sockets only. Never registered, never listed, of no standard.

use crate::number::{Procedure, Program, Version};
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// Its number, from the range that is left to everybody (RFC 5531 section 8.3: 0x20000000 to 0x3fffffff).
pub const PROGRAM: Program = Program(0x2070_6d73);
/// Its version.
pub const VERSION: Version = Version(1);
/// STATUS: [`Head`], then a list of [`RowStatus`].
pub const STATUS: Procedure = Procedure(1);
/// The longest version in bytes.
pub const MAX_VERSION: u32 = 64;
/// The longest reason in bytes.
pub const MAX_WHY: u32 = 256;
/// The longest netid in bytes.
const MAX_NETID: u32 = 32;
/// The longest address in bytes.
const MAX_ADDRESS: u32 = 128;

/// Whether registrations outlive the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// They do not: nothing is kept.
    #[default]
    Memory,
    /// They do.
    Durable,
    /// They should, but cannot be written at present.
    Degraded,
}

/// What is known of a row's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Nothing.
    NotJudged,
    /// Something is bound at its address.
    Alive,
    /// Nothing is bound at its address.
    Dead,
}

/// The daemon itself. Moments are seconds on its own clock, which began with it and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its version, at most [`MAX_VERSION`] bytes.
    pub version: &'a [u8],
    /// Its clock now.
    pub clock_seconds: u32,
    /// Whether registrations outlive it.
    pub state: State,
    /// Why they do not, at most [`MAX_WHY`] bytes.
    pub why: &'a [u8],
    /// Whether it judges rows at all.
    pub judges: bool,
    /// When it last finished judging all rows.
    pub last_sweep_seconds: Option<u32>,
    /// Rows in all.
    pub rows: u32,
    /// Rows whose service is dead.
    pub dead: u32,
    /// Services found dead since its start.
    pub died: u32,
    /// Of these, found again under the same row.
    pub came_back: u32,
    /// Dead rows that a SET replaced.
    pub replaced: u32,
    /// Dead rows that were removed for their age.
    pub expired: u32,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowStatus<'a> {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The transport's netid.
    pub netid: &'a [u8],
    /// The universal address.
    pub address: &'a [u8],
    /// Whether it was registered from the network namespace of the daemon's sockets. Others are never judged.
    pub from_home: bool,
    /// What is known of its service.
    pub liveness: Liveness,
    /// Since when; 0 when nothing is known.
    pub since_seconds: u32,
}

impl<'a> Decode<'a> for Head<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            version: reader.opaque(MAX_VERSION)?,
            clock_seconds: reader.u32()?,
            state: match reader.u32()? {
                0 => State::Memory,
                1 => State::Durable,
                2 => State::Degraded,
                number => return Err(Error::Discriminant(number)),
            },
            why: reader.opaque(MAX_WHY)?,
            judges: reader.bool()?,
            last_sweep_seconds: if reader.bool()? { Some(reader.u32()?) } else { None },
            rows: reader.u32()?,
            dead: reader.u32()?,
            died: reader.u32()?,
            came_back: reader.u32()?,
            replaced: reader.u32()?,
            expired: reader.u32()?,
        })
    }
}

impl Encode for Head<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.opaque(self.version)?;
        writer.u32(self.clock_seconds)?;
        writer.u32(match self.state {
            State::Memory => 0,
            State::Durable => 1,
            State::Degraded => 2,
        })?;
        writer.opaque(self.why)?;
        writer.bool(self.judges)?;
        writer.bool(self.last_sweep_seconds.is_some())?;
        if let Some(seconds) = self.last_sweep_seconds {
            writer.u32(seconds)?;
        }
        let Self { rows, dead, died, came_back, replaced, expired, .. } = *self;
        [rows, dead, died, came_back, replaced, expired].into_iter().try_for_each(|count| writer.u32(count))
    }
}

impl<'a> Decode<'a> for RowStatus<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            netid: reader.opaque(MAX_NETID)?,
            address: reader.opaque(MAX_ADDRESS)?,
            from_home: reader.bool()?,
            liveness: match reader.u32()? {
                0 => Liveness::NotJudged,
                1 => Liveness::Alive,
                2 => Liveness::Dead,
                number => return Err(Error::Discriminant(number)),
            },
            since_seconds: reader.u32()?,
        })
    }
}

impl Encode for RowStatus<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.opaque(self.netid)?;
        writer.opaque(self.address)?;
        writer.bool(self.from_home)?;
        writer.u32(match self.liveness {
            Liveness::NotJudged => 0,
            Liveness::Alive => 1,
            Liveness::Dead => 2,
        })?;
        writer.u32(self.since_seconds)
    }
}
