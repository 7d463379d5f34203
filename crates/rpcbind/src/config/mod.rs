//! `/etc/rpcbind.toml` and the command line, merged into checked settings. Everything that is wrong is reported at once
//! with its place; with any fault nothing is used. The command line goes before the file.

mod check;
mod entries;
mod entry;
mod fault;
mod manual;
mod merge;
mod remote;
mod settings;
mod tree;
mod written;

#[cfg(test)]
mod tests;

pub use entries::{Applies, ENTRIES, Entry, Kind};
pub use fault::{Fault, Faults, Problem};
pub use manual::{ManualEntry, manual_entries, sample};
pub use settings::{ConnectionCaps, Listen, Reloadable, RemoteCaps, Settings, UnixSocket};

use crate::args::Args;
use crate::logging::ProgramNames;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file that is read when `--config` names none.
pub const FILE: &str = "/etc/rpcbind.toml";
/// How long the file may be, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// Settings, and what is to be said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What is accepted and does not do what it says, each to be logged once.
    pub warnings: Vec<String>,
}

/// Answers from outside that checking needs.
pub struct Lookups<'l> {
    /// The names of programs.
    pub programs: &'l ProgramNames,
    /// The uid of a user; `None` when there is none.
    pub uid: &'l dyn Fn(&str) -> Option<u32>,
    /// The addresses of a host. Only called for a name after `-h`.
    pub addresses: &'l dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
}

/// Reads the configuration file and checks it together with the command line. At a reload, call this again with the
/// same arguments and compare by [`Settings::restart_needed`]. Users are looked up in `/etc/passwd` itself and not by
/// the system's libraries, which would need more than a confined daemon has.
///
/// # Errors
/// All that is wrong.
pub fn load(args: &Args, programs: &ProgramNames) -> Result<Loaded, Faults> {
    let passwd = read(Path::new("/etc/passwd")).unwrap_or_default();
    let lookups =
        Lookups { programs, uid: &|name| uid_in(&passwd, name), addresses: &merge::addresses_of_host };
    let file = args.config.as_deref().unwrap_or(Path::new(FILE));
    match read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && args.config.is_none() => {
            settings(args, file, b"", &lookups)
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(Faults(vec![Fault::of_file(file, Problem::FileTooLong(FILE_LIMIT))]))
        }
        Err(error) => Err(Faults(vec![Fault::of_file(file, Problem::Unreadable(error.to_string()))])),
        Ok(text) => settings(args, file, &text, &lookups),
    }
}

/// Checks the text of a configuration file together with the command line; `file` is its name in faults.
///
/// # Errors
/// All that is wrong.
pub fn settings(args: &Args, file: &Path, text: &[u8], lookups: &Lookups<'_>) -> Result<Loaded, Faults> {
    let (text, not_text) = match str::from_utf8(text) {
        Ok(text) => (text, None),
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            let mut fault = Fault::of_file(file, Problem::NotText);
            fault.line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            ("", Some(fault))
        }
    };
    let mut source = tree::Source::new(file, text);
    if let Some(fault) = not_text {
        source.note(fault);
    }
    let written = written::read(&mut source);
    let (settings, flag_faults, warnings) = merge::merge(args, &written, &mut source, lookups);
    let faults: Vec<Fault> = flag_faults.into_iter().chain(source.finish()).collect();
    if faults.is_empty() { Ok(Loaded { settings, warnings }) } else { Err(Faults(faults)) }
}

/// Reads a file within [`FILE_LIMIT`].
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Whether a user without other groups can read a file, by the modes of the file and of the directories above: what
/// `--check` says about a file that the daemon's user has to read again at a reload.
///
/// # Errors
/// The modes cannot be read.
pub fn is_readable_by(file: &Path, uid: u32, gid: u32) -> io::Result<bool> {
    let file = file.canonicalize()?;
    let allows = |path: &Path, bit: u32| -> io::Result<bool> {
        let status = path.metadata()?;
        let shift = if status.uid() == uid {
            6
        } else if status.gid() == gid {
            3
        } else {
            0
        };
        Ok(uid == 0 || status.mode() >> shift & bit != 0)
    };
    let (read, search) = (4, 1);
    for directory in file.ancestors().skip(1) {
        if !allows(directory, search)? {
            return Ok(false);
        }
    }
    allows(&file, read)
}

/// The uid of a user in the text of passwd(5).
fn uid_in(passwd: &[u8], name: &str) -> Option<u32> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let is_wanted = !name.is_empty() && fields.next() == Some(name.as_bytes());
        let uid = fields.nth(1).filter(|_| is_wanted)?;
        str::from_utf8(uid).ok()?.parse().ok()
    })
}
