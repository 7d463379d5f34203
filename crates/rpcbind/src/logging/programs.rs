//! The names of programs in rpc(5), read once at start. A file that is missing or malformed only means fewer names.

use super::Escaped;
use oncrpc::Program;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

/// Where the names are.
const PATH: &str = "/etc/rpc";
/// How much of the file is read, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Program numbers and their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramNames {
    names: HashMap<u32, Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl ProgramNames {
    /// Reads `/etc/rpc`.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn load() -> io::Result<Self> {
        Self::load_from(Path::new(PATH))
    }

    /// Reads a file of the same form. One that does not exist counts as empty.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn load_from(path: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        match std::fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(file) => drop(file.take(FILE_LIMIT).read_to_end(&mut text)?),
        }
        Ok(Self::parse(&text))
    }

    /// Takes `name number alias...` lines; `#` begins a comment. The first name of a number and the first number of a
    /// name count, as with getrpcbynumber(3) and getrpcbyname(3).
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut all = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            all.names.entry(number).or_insert_with(|| name.into());
            for name in std::iter::once(name).chain(words) {
                all.numbers.entry(name.into()).or_insert(number);
            }
        }
        all
    }

    /// The name of a program.
    #[must_use]
    pub fn name(&self, program: Program) -> Option<&str> {
        self.names.get(&program.0).map(AsRef::as_ref)
    }

    /// The program with this name or alias.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<Program> {
        self.numbers.get(name).map(|number| Program(*number))
    }
}

/// A program by its number, and its name where it has one.
pub(super) struct Named<'a>(pub(super) Program, pub(super) &'a ProgramNames);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1.name(self.0) {
            Some(name) => write!(f, "{} ({})", self.0, Escaped(name.as_bytes())),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_and_every_alias_are_known() {
        let names = ProgramNames::parse(
            b"# names\r\nportmapper\t100000\tportmap sunrpc rpcbind\r\nnfs 100003 nfsprog # comment alias\n\
              rpcbind 100000\nbroken\nbad x100\n-1 -1\nbig 4294967296\nlast 4294967295",
        );
        assert_eq!(names.name(Program(100_000)), Some("portmapper"));
        assert_eq!(names.number("rpcbind"), Some(Program(100_000)));
        assert_eq!(names.number("nfsprog"), Some(Program(100_003)));
        assert_eq!(names.number("alias"), None);
        assert_eq!(names.name(Program(u32::MAX)), Some("last"));
        assert_eq!(names.names.len(), 3);
    }

    #[test]
    fn bytes_that_are_not_text_and_empty_files_are_no_names() {
        assert_eq!(ProgramNames::parse(b""), ProgramNames::default());
        assert_eq!(ProgramNames::parse(b"\xff\xfe 1\n").name(Program(1)), Some("\u{fffd}\u{fffd}"));
        assert_eq!(ProgramNames::parse(&vec![b'x'; 1 << 20]), ProgramNames::default());
    }

    #[test]
    fn a_missing_file_is_empty_and_an_unreadable_one_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = directory.path().join("rpc");
        assert_eq!(ProgramNames::load_from(&missing).expect("it counts as empty"), ProgramNames::default());
        assert!(ProgramNames::load_from(directory.path()).is_err());
    }
}
