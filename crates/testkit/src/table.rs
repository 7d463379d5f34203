//! The port mapper's table, read by DUMP of version 4 over its unix socket (RFC 1833 section 2.2.1), written out
//! here by hand so that the tests do not lean on the code they test.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::daemon::SOCKET;
use crate::namespace::Namespace;

/// One row as DUMP prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: String,
    /// Universal address.
    pub address: String,
    /// `superuser`, a uid in digits, or `unknown`.
    pub owner: String,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, version, netid, address, owner } = self;
        write!(out, "{program} {version} {netid} {address} {owner}")
    }
}

/// All rows, in the daemon's order.
///
/// # Errors
/// Nobody listens, nobody answers in time, or the answer is not a DUMP.
pub fn dump(namespace: &Namespace) -> io::Result<Vec<Row>> {
    dump_at(namespace, SOCKET)
}

/// All rows, asked at another path.
///
/// # Errors
/// As [`dump`].
pub fn dump_at(namespace: &Namespace, path: &str) -> io::Result<Vec<Row>> {
    let body = namespace.within(|| {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let words: [u32; 11] = [0x8000_0028, 0x7e57_0002, 0, 2, 100_000, 4, 4, 0, 0, 0, 0];
        stream.write_all(&words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())?;
        record(&mut stream)
    })??;
    rows(&body).ok_or_else(|| io::Error::other(format!("not a DUMP: {} bytes", body.len())))
}

/// One record (RFC 5531 section 11), its fragments put together.
///
/// # Errors
/// The stream's, also when it ends too early.
pub fn record(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        let length = u64::from(mark & 0x7fff_ffff);
        if stream.by_ref().take(length).read_to_end(&mut body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if mark & 0x8000_0000 != 0 {
            return Ok(body);
        }
    }
}

fn rows(body: &[u8]) -> Option<Vec<Row>> {
    let mut rest = body;
    // xid, REPLY, MSG_ACCEPTED, verifier of no length, SUCCESS.
    word(&mut rest)?;
    let head = [word(&mut rest)?, word(&mut rest)?, word(&mut rest)?, word(&mut rest)?, word(&mut rest)?];
    if head != [1, 0, 0, 0, 0] {
        return None;
    }
    let mut rows = Vec::new();
    while word(&mut rest)? == 1 {
        rows.push(Row {
            program: word(&mut rest)?,
            version: word(&mut rest)?,
            netid: string(&mut rest)?,
            address: string(&mut rest)?,
            owner: string(&mut rest)?,
        });
    }
    rest.is_empty().then_some(rows)
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*word))
}

fn string(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(word(rest)?).ok()?;
    let (text, _) = rest.split_at_checked(length)?;
    *rest = rest.get(length.checked_next_multiple_of(4)?..)?;
    Some(String::from_utf8_lossy(text).into_owned())
}
