//! The journal's bytes: a header, then frames of length, checksum and one XDR record each.
//! A frame is whole or it is not there; reading stops at the first that is not, and says where.

use oncrpc::bind::Netids;
use oncrpc::bind::netid::MAX_NETID;
use oncrpc::xdr::{Decode, Encode, Error as XdrError, List, Reader, Writer, encode_list};
use oncrpc::{Program, Version};
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::{Owner, Row};
use std::io::{ErrorKind, Read};
use thiserror::Error;

/// What a journal begins with.
pub(super) const MAGIC: &[u8; 16] = b"portmap journal\n";
/// The longest frame's record in bytes: an UNSET of every netid takes less.
const MAX_RECORD: usize = 64 * 1024;
/// Room for the first record.
const MIN_RECORD: usize = 1024;
/// The longest address in bytes.
const MAX_ADDRESS: u32 = 128;

/// The identity of a table: another boot's rows, or another network namespace's, are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The kernel's boot id, 128 bits.
    pub boot: [u8; 16],
    /// The network namespace of our inet sockets.
    pub home: Namespace,
}

/// A row as files keep it: the netid by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRow {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The netid's name.
    pub netid: String,
    /// The universal address.
    pub address: String,
    /// Who registered it.
    pub owner: Owner,
    /// From which network namespace.
    pub namespace: Namespace,
}

impl KeptRow {
    /// The row as the registry has it; `None` when its netid has no number.
    #[must_use]
    pub fn named(&self, netids: &Netids) -> Option<Row> {
        let netid = netids.find(self.netid.as_bytes())?;
        let Self { program, version, owner, namespace, .. } = *self;
        Some(Row { program, version, netid, address: self.address.as_str().into(), owner, namespace })
    }
}

/// The digests of the C daemon's two files; `None` for one that is absent.
pub type FileDigests = [Option<[u8; 32]>; 2];

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Whose table this is. The first record of every journal.
    Life(Life),
    /// A change of the registry: the rows that went by program, version and netid, and the row that came.
    Change {
        /// What went.
        removed: Vec<(Program, Version, String)>,
        /// What came.
        added: Option<KeptRow>,
    },
    /// The C daemon's files were imported or written, and had these digests.
    Files(FileDigests),
    /// The daemon ended in order.
    Closed,
    /// The table is whole: what stands before is all of it, after so many changes. Every record behind it is one more.
    Whole(u64),
}

/// Why the reading of a journal stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// Not a journal, or one of another format.
    #[error("not a journal of this version")]
    Header,
    /// The last frame is cut, as after a crash while it was written.
    #[error("cut in the frame at byte {0}")]
    Cut(usize),
    /// A frame's checksum does not match.
    #[error("wrong checksum in the frame at byte {0}")]
    Checksum(usize),
    /// A frame's record does not decode although its checksum matches.
    #[error("unknown record in the frame at byte {0}")]
    Record(usize),
}

/// Room for a record, so that it is not made anew for each. It grows with the longest one.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    fn encode(&mut self, record: &Record) -> &[u8] {
        let len = loop {
            let mut writer = Writer::new(&mut self.0);
            let fits = record.encode(&mut writer).is_ok();
            let len = writer.written().len();
            if fits || self.0.len() >= MAX_RECORD {
                // A change has at most one row for each netid there is.
                debug_assert!(fits, "a record is longer than a frame may be");
                break len;
            }
            let larger = self.0.len().saturating_mul(2).clamp(MIN_RECORD, MAX_RECORD);
            self.0.resize(larger, 0);
        };
        self.0.get(..len).unwrap_or_default()
    }
}

/// Appends one record as a frame.
pub(super) fn append(record: &Record, scratch: &mut Scratch, to: &mut Vec<u8>) {
    let bytes = scratch.encode(record);
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(&checksum(len, bytes).to_be_bytes());
    to.extend_from_slice(bytes);
}

/// Reads a journal: every record before the first damage, and that damage. It holds one record at a time.
pub(super) fn read(mut source: impl Read, mut each: impl FnMut(Record)) -> Result<(), Damage> {
    let mut magic = [0; MAGIC.len()];
    if fill(&mut source, &mut magic) != MAGIC.len() || magic != *MAGIC {
        return Err(Damage::Header);
    }
    let (mut at, mut buffer) = (MAGIC.len(), Vec::new());
    loop {
        let mut head = [0; 8];
        match fill(&mut source, &mut head) {
            0 => return Ok(()),
            8 => {}
            _ => return Err(Damage::Cut(at)),
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        let size =
            usize::try_from(len).ok().filter(|size| *size <= MAX_RECORD).ok_or(Damage::Checksum(at))?;
        buffer.resize(buffer.len().max(size), 0);
        let record = buffer.get_mut(..size).unwrap_or_default();
        if fill(&mut source, record) != record.len() {
            return Err(Damage::Cut(at));
        }
        if checksum(len, record) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return Err(Damage::Checksum(at));
        }
        each(Record::from_bytes(record).map_err(|_| Damage::Record(at))?);
        at = at.saturating_add(head.len()).saturating_add(record.len());
    }
}

/// Reads as much as there is room for and as there is; what the system cannot read is not there.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

/// Covers the length too, so that a flipped bit in it is seen.
fn checksum(len: u32, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_be_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// The record kinds on disk.
mod kind {
    pub(super) const LIFE: u32 = 1;
    pub(super) const CHANGE: u32 = 2;
    pub(super) const FILES: u32 = 3;
    pub(super) const CLOSED: u32 = 4;
    pub(super) const WHOLE: u32 = 5;
}

impl Record {
    fn from_bytes(bytes: &[u8]) -> Result<Self, XdrError> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u32()? {
            kind::LIFE => {
                let boot = reader.opaque_fixed(16)?.try_into().unwrap_or_default();
                Self::Life(Life { boot, home: namespace(&mut reader)? })
            }
            kind::CHANGE => {
                let mut list = List::<Key>::new(reader);
                let removed = list.by_ref().map(|key| key.map(|key| key.0)).collect::<Result<_, _>>()?;
                reader = list.reader();
                let added = if reader.bool()? { Some(KeptRow::decode(&mut reader)?) } else { None };
                Self::Change { removed, added }
            }
            kind::FILES => Self::Files([digest(&mut reader)?, digest(&mut reader)?]),
            kind::CLOSED => Self::Closed,
            kind::WHOLE => Self::Whole(number(&mut reader)?),
            other => return Err(XdrError::Discriminant(other)),
        };
        reader.finish()?;
        Ok(record)
    }
}

impl Encode for Record {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), XdrError> {
        match self {
            Self::Life(life) => {
                writer.u32(kind::LIFE)?;
                writer.opaque_fixed(&life.boot)?;
                writer.raw(&life.home.0.to_be_bytes())
            }
            Self::Change { removed, added } => {
                writer.u32(kind::CHANGE)?;
                encode_list(removed.iter().map(|key| Key(key.clone())), writer)?;
                writer.bool(added.is_some())?;
                added.as_ref().map_or(Ok(()), |row| row.encode(writer))
            }
            Self::Files(digests) => {
                writer.u32(kind::FILES)?;
                digests.iter().try_for_each(|digest| {
                    writer.bool(digest.is_some())?;
                    digest.map_or(Ok(()), |digest| writer.opaque_fixed(&digest))
                })
            }
            Self::Closed => writer.u32(kind::CLOSED),
            Self::Whole(sequence) => {
                writer.u32(kind::WHOLE)?;
                writer.raw(&sequence.to_be_bytes())
            }
        }
    }
}

/// Program, version and netid, which name at most one row.
struct Key((Program, Version, String));

impl<'a> Decode<'a> for Key {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, XdrError> {
        Ok(Self((Program(reader.u32()?), Version(reader.u32()?), text(reader, NETID_LIMIT)?)))
    }
}

impl Encode for Key {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), XdrError> {
        let (program, version, netid) = &self.0;
        writer.u32(program.0)?;
        writer.u32(version.0)?;
        writer.opaque(netid.as_bytes())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "32")]
const NETID_LIMIT: u32 = MAX_NETID as u32;

impl<'a> Decode<'a> for KeptRow {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, XdrError> {
        let Key((program, version, netid)) = Key::decode(reader)?;
        let address = text(reader, MAX_ADDRESS)?;
        let owner = if reader.bool()? { Owner::Uid(reader.u32()?) } else { Owner::Unknown };
        Ok(Self { program, version, netid, address, owner, namespace: namespace(reader)? })
    }
}

impl Encode for KeptRow {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), XdrError> {
        Key((self.program, self.version, self.netid.clone())).encode(writer)?;
        writer.opaque(self.address.as_bytes())?;
        match self.owner {
            Owner::Uid(uid) => {
                writer.bool(true)?;
                writer.u32(uid)?;
            }
            Owner::Unknown => writer.bool(false)?,
        }
        writer.raw(&self.namespace.0.to_be_bytes())
    }
}

fn text(reader: &mut Reader<'_>, max: u32) -> Result<String, XdrError> {
    Ok(String::from_utf8_lossy(reader.opaque(max)?).into_owned())
}

fn namespace(reader: &mut Reader<'_>) -> Result<Namespace, XdrError> {
    number(reader).map(Namespace)
}

fn number(reader: &mut Reader<'_>) -> Result<u64, XdrError> {
    let (high, low) = (reader.u32()?, reader.u32()?);
    Ok(u64::from(high) << 32 | u64::from(low))
}

fn digest(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, XdrError> {
    if !reader.bool()? {
        return Ok(None);
    }
    Ok(reader.opaque_fixed(32)?.try_into().ok())
}
