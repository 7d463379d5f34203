//! `/etc/hosts.allow` and `/etc/hosts.deny` for daemon `rpcbind`: hosts_access(5) and hosts_options(5) as libwrap(3)
//! reads them, but without ever looking up a name or running a command. Rules that would need that are faults.

mod fault;
mod file;
mod option;
mod pattern;
#[cfg(test)]
mod tests;

pub use fault::{Effect, Fault, Problem};

use rpcbind_core::access::HostRules;
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file whose rules admit.
pub const ALLOW: &str = "/etc/hosts.allow";
/// The file whose rules refuse.
pub const DENY: &str = "/etc/hosts.deny";
/// How long a file may be, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// What both files come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The decision for every address.
    pub rules: HostRules,
    /// The rules that do not do what they say, in the order of the files.
    pub faults: Vec<Fault>,
    /// The files of patterns that the rules name, whether they exist or not: a change of one changes the rules. A
    /// confined daemon reads them again only where they are below `/etc`.
    pub pattern_files: BTreeSet<PathBuf>,
}

/// One of the two files exists and cannot be read. The rules that are in force should stay; where there are none yet,
/// [`HostRules::refuse_all`] is what libwrap(3) does when it is `hosts.deny`.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", .file.display())]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    pub error: io::Error,
}

/// Reads [`ALLOW`] and [`DENY`]. A file that does not exist counts as empty.
///
/// # Errors
/// A file that exists and cannot be read, or is longer than [`FILE_LIMIT`].
pub fn load() -> Result<Hosts, Unreadable> {
    load_from(Path::new(ALLOW), Path::new(DENY))
}

/// Reads two files by other names. A file that does not exist counts as empty.
///
/// # Errors
/// A file that exists and cannot be read, or is longer than [`FILE_LIMIT`].
pub fn load_from(allow: &Path, deny: &Path) -> Result<Hosts, Unreadable> {
    let read_or_empty = |path: &Path| match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Unreadable { file: path.into(), error }),
        Ok(text) => Ok(text),
    };
    Ok(parse((allow, &read_or_empty(allow)?), (deny, &read_or_empty(deny)?), &mut read))
}

/// Settles the texts of both files, each with the name that faults give it. `read` is called for files of patterns.
pub fn parse(
    allow: (&Path, &[u8]),
    deny: (&Path, &[u8]),
    read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
) -> Hosts {
    let mut reader = file::Reader::new(read);
    let admitting = reader.rules(allow.0, allow.1, true);
    let refusing = reader.rules(deny.0, deny.1, false);
    let (faults, pattern_files) = reader.finish();
    Hosts { rules: HostRules::new(admitting, refusing), faults, pattern_files }
}

/// Reads a file within [`FILE_LIMIT`].
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {FILE_LIMIT} bytes")));
    }
    Ok(text)
}
