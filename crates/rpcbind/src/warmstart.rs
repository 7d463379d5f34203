//! The two files by which the C daemon survives a restart (`-w`): `rpcbind.xdr` and `portmap.xdr` in the state
//! directory, plain XDR lists as DUMP answers them (RFC 1833 sections 2.1 and 3.1), without header or checksum.
//! Reading never deletes or changes them.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use oncrpc::bind::{self, Mapping, Netids, Protocol, Rpcb, UniversalAddress};
use oncrpc::xdr::{self, Decode, Encode, List, Reader, Writer, encode_list, padding};
use oncrpc::{Program, Version};
use rpcbind_core::registry::{Owner, Row};

use crate::state::directory::{Directory, Unfit};
use crate::state::format::{FileDigests, KeptRow};

/// Every row, as versions 3 and 4 list them.
pub const RPCB_FILE: &str = "rpcbind.xdr";
/// The rows on udp and tcp over IPv4, as version 2 lists them.
pub const PMAP_FILE: &str = "portmap.xdr";
/// The longest `rpcbind.xdr` that is read, in bytes.
pub const MAX_BYTES: u64 = 4 << 20;
/// The longest `portmap.xdr` that is read, in bytes. A full table takes a third of it.
const PMAP_MAX_BYTES: u64 = 1 << 20;
/// The most rows that are taken from one file, the port mapper's own not counted.
pub const MAX_ROWS: usize = 16_384;

/// A row of a file. Nothing about it is checked yet but that it decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmRow {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The netid's name.
    pub netid: String,
    /// The universal address.
    pub address: String,
    /// Who registered it, as far as the file says.
    pub owner: Owner,
}

/// What the files held.
#[derive(Debug, Default)]
pub struct WarmStart {
    /// The rows in the order of `rpcbind.xdr`, then those that only `portmap.xdr` has. The port mapper's own are left
    /// out.
    pub rows: Vec<WarmRow>,
    /// What was wrong. The rows before it are taken all the same.
    pub faults: Vec<Fault>,
    /// The contents, `rpcbind.xdr` first; `None` for a file that is absent or not fit to be read.
    pub contents: [Option<Vec<u8>>; 2],
}

/// Why a file, or the rest of one, was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is not one that this daemon or the C one has written.
    #[error("{file}: not read: {unfit}")]
    Unfit {
        /// Its name.
        file: &'static str,
        /// Why.
        unfit: Unfit,
    },
    /// The file was written before this boot.
    #[error("{file}: not read: written under another boot")]
    OtherBoot {
        /// Its name.
        file: &'static str,
    },
    /// The file is damaged.
    #[error("{file}: damaged at byte {offset}: {error}")]
    Damaged {
        /// Its name.
        file: &'static str,
        /// Where the value begins that does not decode.
        offset: usize,
        /// What is wrong with it.
        error: xdr::Error,
    },
    /// The file has more rows than are kept.
    #[error("{file}: more than {MAX_ROWS} rows, the rest from byte {offset} on is not taken")]
    Rows {
        /// Its name.
        file: &'static str,
        /// Where the first row too many begins.
        offset: usize,
    },
    /// A row that cannot be registered: its netid or its address is not UTF-8.
    #[error("{RPCB_FILE}: program {} version {}: netid or address is not text", .program.0, .version.0)]
    NotText {
        /// The program.
        program: Program,
        /// Its version.
        version: Version,
    },
    /// A row of version 2 stands for nothing that can be registered.
    #[error(
        "{PMAP_FILE}: program {} version {} has protocol {} and port {}",
        .0.program.0, .0.version.0, .0.protocol.0, .0.port
    )]
    Mapping(Mapping),
}

/// Reads both files. Those that are absent hold nothing, which is no fault.
#[must_use]
pub fn read(directory: &Directory) -> WarmStart {
    read_since(directory, None)
}

/// Reads those files that were written after a moment: when the directory outlives a boot, rows of the last boot are
/// not those of this one.
#[must_use]
pub fn read_since(directory: &Directory, since: Option<SystemTime>) -> WarmStart {
    let mut faults = Vec::new();
    let mut file = |name, max| {
        let written_at = since.and_then(|since| directory.written_at(name).filter(|at| *at < since));
        if written_at.is_some() {
            faults.push(Fault::OtherBoot { file: name });
            return None;
        }
        directory.read(name, max).unwrap_or_else(|unfit| {
            faults.push(Fault::Unfit { file: name, unfit });
            None
        })
    };
    let mut start = parse([file(RPCB_FILE, MAX_BYTES), file(PMAP_FILE, PMAP_MAX_BYTES)]);
    start.faults.splice(..0, faults);
    start
}

/// What the files hold, `rpcbind.xdr` first; `None` for one that is absent.
#[must_use]
pub fn parse(contents: [Option<Vec<u8>>; 2]) -> WarmStart {
    let mut start = WarmStart::default();
    if let [Some(bytes), _] = &contents {
        let rows = elements(RPCB_FILE, bytes, |row: &Rpcb<'_>| row.program, &mut start.faults);
        for listed in &rows {
            let Rpcb { program, version, .. } = *listed;
            match row(listed) {
                Some(row) => start.rows.push(row),
                None => start.faults.push(Fault::NotText { program, version }),
            }
        }
    }
    if let [_, Some(bytes)] = &contents {
        let mappings = elements(PMAP_FILE, bytes, |row: &Mapping| row.program, &mut start.faults);
        merge(mappings, &mut start);
    }
    start.contents = contents;
    start
}

/// The rows of an answer to DUMP of version 3 or 4, without the port mapper's own and those that cannot be registered.
///
/// # Errors
/// The first thing wrong with it: half an answer is none.
pub fn listed(list: &[u8]) -> Result<Vec<WarmRow>, Fault> {
    let mut faults = Vec::new();
    let rows = elements("the answer to DUMP", list, |row: &Rpcb<'_>| row.program, &mut faults);
    match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(rows.iter().filter_map(row).collect()),
    }
}

/// Writes both files: all rows, the port mapper's own included, as DUMP answers them. Each file is replaced whole or
/// not at all, with mode 0600. Answers what was written.
///
/// # Errors
/// As [`write_rows`].
pub fn write<'a>(
    directory: &Directory,
    rows: impl Iterator<Item = &'a Row>,
    netids: &Netids,
) -> io::Result<[Vec<u8>; 2]> {
    let rows: Vec<WarmRow> = rows.map(|row| WarmRow::of(row, netids)).collect();
    write_rows(directory, &rows)
}

/// Writes both files. At no moment is there one that contradicts the other: without `portmap.xdr` every row is still
/// in `rpcbind.xdr`.
///
/// # Errors
/// The system's. When there was no room for the new files, the old ones are what they were.
pub fn write_rows(directory: &Directory, rows: &[WarmRow]) -> io::Result<[Vec<u8>; 2]> {
    let contents = contents(rows)?;
    let files = [RPCB_FILE, PMAP_FILE];
    let names = files.map(|file| format!("{file}.new"));
    for (name, bytes) in names.iter().zip(&contents) {
        directory.write(name, bytes)?;
    }
    directory.remove(PMAP_FILE)?;
    for (name, file) in names.iter().zip(files) {
        directory.rename(name, file)?;
    }
    directory.sync()?;
    Ok(contents)
}

/// What [`write_rows`] writes.
///
/// # Errors
/// A row is longer than a list can have it.
pub fn contents(rows: &[WarmRow]) -> io::Result<[Vec<u8>; 2]> {
    let owners: Vec<String> = rows.iter().map(|row| owner_text(row.owner)).collect();
    let listed = rows.iter().zip(&owners).map(|(row, owner)| Rpcb {
        program: row.program,
        version: row.version,
        netid: row.netid.as_bytes(),
        address: row.address.as_bytes(),
        owner: owner.as_bytes(),
    });
    Ok([encode(listed, rpcb_bytes)?, encode(rows.iter().filter_map(mapping), |_| MAPPING_BYTES)?])
}

/// The SHA-256 of each file.
#[must_use]
pub fn digests(contents: &[Option<Vec<u8>>; 2]) -> FileDigests {
    contents.each_ref().map(|bytes| bytes.as_deref().map(hmac_sha256::Hash::hash))
}

impl From<KeptRow> for WarmRow {
    fn from(row: KeptRow) -> Self {
        let KeptRow { program, version, netid, address, owner, .. } = row;
        Self { program, version, netid, address, owner }
    }
}

impl WarmRow {
    /// A row of the registry as the files have it.
    #[must_use]
    pub fn of(row: &Row, netids: &Netids) -> Self {
        Self {
            program: row.program,
            version: row.version,
            netid: netids.name(row.netid).to_owned(),
            address: row.address.clone().into(),
            owner: row.owner,
        }
    }
}

/// The elements of a file that are not the port mapper's own, up to the first that does not decode.
fn elements<'a, T: Decode<'a>>(
    file: &'static str,
    bytes: &'a [u8],
    program: impl Fn(&T) -> Program,
    faults: &mut Vec<Fault>,
) -> Vec<T> {
    let offset = |reader: Reader<'_>| bytes.len().saturating_sub(reader.rest().len());
    let mut list = List::<T>::new(Reader::new(bytes));
    let mut taken = Vec::new();
    loop {
        let before = list.reader();
        match list.next() {
            Some(Ok(element)) if program(&element) == bind::PROGRAM => {}
            Some(Ok(_)) if taken.len() >= MAX_ROWS => {
                faults.push(Fault::Rows { file, offset: offset(before) });
                return taken;
            }
            Some(Ok(element)) => taken.push(element),
            Some(Err(error)) => {
                faults.push(Fault::Damaged { file, offset: offset(list.reader()), error });
                return taken;
            }
            None => break,
        }
    }
    let end = list.reader();
    if let Err(error) = end.finish() {
        faults.push(Fault::Damaged { file, offset: offset(end), error });
    }
    taken
}

/// Adds what only version 2's file has. Its rows say nothing about their owner.
fn merge(mappings: Vec<Mapping>, start: &mut WarmStart) {
    let known = |row: &WarmRow| (row.program, row.version, row.netid.to_ascii_lowercase());
    let mut seen: HashSet<_> = start.rows.iter().map(known).collect();
    for mapping in mappings {
        let netid = match mapping.protocol {
            Protocol::UDP => Some("udp"),
            Protocol::TCP => Some("tcp"),
            _ => None,
        };
        let port = u16::try_from(mapping.port).ok().filter(|port| *port != 0);
        let (Some(netid), Some(port)) = (netid, port) else {
            start.faults.push(Fault::Mapping(mapping));
            continue;
        };
        let address = UniversalAddress::from_socket(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).text();
        let row = WarmRow {
            program: mapping.program,
            version: mapping.version,
            netid: netid.to_owned(),
            address: String::from_utf8_lossy(address.as_bytes()).into_owned(),
            owner: Owner::Unknown,
        };
        if seen.insert(known(&row)) {
            start.rows.push(row);
        }
    }
}

/// `None` when its names are not text.
fn row(listed: &Rpcb<'_>) -> Option<WarmRow> {
    Some(WarmRow {
        program: listed.program,
        version: listed.version,
        netid: str::from_utf8(listed.netid).ok()?.to_owned(),
        address: str::from_utf8(listed.address).ok()?.to_owned(),
        owner: owner(listed.owner),
    })
}

/// An owner's name: `superuser`, or a uid in decimal.
fn owner(text: &[u8]) -> Owner {
    let number = |text: &str| text.parse().ok().or_else(|| text.parse().ok().map(i32::cast_unsigned));
    match core::str::from_utf8(text) {
        Ok("superuser") => Owner::Uid(0),
        Ok(text) => number(text).map_or(Owner::Unknown, Owner::Uid),
        Err(_) => Owner::Unknown,
    }
}

/// As the C daemon compares it, which prints a uid as a signed number.
fn owner_text(owner: Owner) -> String {
    match owner {
        Owner::Uid(0) => "superuser".to_owned(),
        Owner::Uid(uid) => uid.cast_signed().to_string(),
        Owner::Unknown => "unknown".to_owned(),
    }
}

/// A row as version 2 sees it.
fn mapping(row: &WarmRow) -> Option<Mapping> {
    let protocol = match row.netid.as_str() {
        "udp" => Protocol::UDP,
        "tcp" => Protocol::TCP,
        _ => return None,
    };
    let address = UniversalAddress::parse(row.address.as_bytes(), bind::Family::Inet)?;
    Some(Mapping { program: row.program, version: row.version, protocol, port: address.port()?.into() })
}

const MAPPING_BYTES: usize = 16;

fn rpcb_bytes(row: &Rpcb<'_>) -> usize {
    let text = |text: &[u8]| text.len().saturating_add(padding(text.len())).saturating_add(4);
    [row.netid, row.address, row.owner].map(text).iter().fold(8, |sum, len| sum.saturating_add(*len))
}

/// A list in a buffer of just its size.
fn encode<T: Encode>(
    elements: impl Iterator<Item = T> + Clone,
    bytes: impl Fn(&T) -> usize,
) -> io::Result<Vec<u8>> {
    let len =
        elements.clone().fold(4_usize, |sum, element| sum.saturating_add(bytes(&element)).saturating_add(4));
    let mut buffer = vec![0; len];
    encode_list(elements, &mut Writer::new(&mut buffer)).map_err(io::Error::other)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests;
