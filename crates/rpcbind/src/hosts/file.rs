//! The lines of a file and the rules in them (hosts_access(5), "ACCESS CONTROL RULES").

use super::fault::{Effect, Fault, Problem};
use super::option;
use super::pattern::{self, Element, Position, Settled};
use rpcbind_core::access::{ClientPattern, HostRule};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The daemon's name in the rules, as libwrap(3) has it from the C daemon.
const DAEMON: &str = "rpcbind";
/// How deep files of patterns may name each other.
const DEPTH_LIMIT: usize = 4;
/// How many patterns are kept in all; what is beyond does not admit anybody.
const PATTERN_LIMIT: usize = 65_536;
/// How many files of patterns are read in all.
const FILES_LIMIT: usize = 64;
/// How many faults are kept; the rules behave the same without.
const FAULT_LIMIT: usize = 1_000;

/// Reads rules and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    read: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    faults: Vec<Fault>,
    pattern_files: BTreeSet<PathBuf>,
    patterns: usize,
    files: usize,
}

/// Where a fault is.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    line: usize,
}

/// A line as rules have it: continuations joined, the newline gone.
struct Line {
    number: usize,
    text: Vec<u8>,
    is_terminated: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(read: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Self {
        Self { read, faults: Vec::new(), pattern_files: BTreeSet::new(), patterns: 0, files: 0 }
    }

    pub(super) fn finish(self) -> (Vec<Fault>, BTreeSet<PathBuf>) {
        (self.faults, self.pattern_files)
    }

    /// The rules of a file that are about this daemon.
    pub(super) fn rules(&mut self, file: &Path, text: &[u8], admit: bool) -> Vec<HostRule> {
        lines(text).filter_map(|line| self.rule(Place { file, line: line.number }, &line, admit)).collect()
    }

    fn rule(&mut self, place: Place<'_>, line: &Line, admit: bool) -> Option<HostRule> {
        if !line.is_terminated || line.text.contains(&0) {
            let effect = if admit { Effect::Ignored } else { Effect::RefusesAll };
            self.fault(place, &line.text, Problem::Unterminated(effect));
            return (!admit).then(|| HostRule { clients: vec![vec![ClientPattern::All]], admit: false });
        }
        if line.text.first() == Some(&b'#') || tokens(&line.text).next().is_none() {
            return None;
        }
        let Some((daemons, rest)) = split_at_colon(&line.text) else {
            self.fault(place, &line.text, Problem::NoColon);
            return None;
        };
        if !self.names_us(place, daemons) {
            return None;
        }
        let (clients, options) = match split_at_colon(rest) {
            Some((clients, options)) => (clients, Some(options)),
            None => (rest, None),
        };
        let verdict = option::verdict(options, admit);
        for (text, problem) in &verdict.faults {
            self.fault(place, text, *problem);
        }
        let clients = self.clients(place, clients, verdict.admit);
        Some(HostRule { clients, admit: verdict.admit })
    }

    /// Whether a list of daemons holds this one.
    fn names_us(&mut self, place: Place<'_>, list: &[u8]) -> bool {
        let mut matching = 0_usize;
        for group in groups(list) {
            let mut is_match = false;
            for token in group {
                is_match |= self.is_us(place, token);
            }
            if !is_match {
                break;
            }
            matching += 1;
        }
        matching % 2 == 1
    }

    fn is_us(&mut self, place: Place<'_>, token: &[u8]) -> bool {
        let at = token.iter().skip(1).position(|byte| *byte == b'@').map(|index| index + 1);
        match at.and_then(|at| token.split_at_checked(at)) {
            Some((daemon, [_, server @ ..])) if pattern::matches_text(daemon, DAEMON) => {
                let is_match = !server.is_empty() && pattern::is_unknown(server);
                if !is_match {
                    self.fault(place, token, Problem::Server);
                }
                is_match
            }
            Some(_) => false,
            None => pattern::matches_text(token, DAEMON),
        }
    }

    fn clients(&mut self, place: Place<'_>, list: &[u8], admit: bool) -> Vec<Vec<ClientPattern>> {
        let mut clients = Vec::new();
        let mut is_remark = false;
        for (index, group) in groups(list).into_iter().enumerate() {
            let mut patterns = Vec::new();
            for token in group {
                is_remark |= token.first() == Some(&b'#');
                let position = Position { admit, is_exception: index % 2 == 1, is_remark };
                match pattern::client(token, position) {
                    Element::Settled(settled) => self.keep(place, token, settled, position, &mut patterns),
                    Element::File(path) => self.pattern_file(place, path, position, &mut patterns),
                }
            }
            clients.push(patterns);
        }
        clients
    }

    /// Adds what an element comes to, within the limit.
    fn keep(
        &mut self,
        place: Place<'_>,
        token: &[u8],
        settled: Settled,
        position: Position,
        patterns: &mut Vec<ClientPattern>,
    ) {
        if self.patterns >= PATTERN_LIMIT {
            let (stand_in, effect) = position.undecided();
            // One is enough, for the list and for the reader.
            if patterns.last() != Some(&stand_in) {
                patterns.push(stand_in);
                self.fault(place, token, Problem::TooMany(effect));
            }
            return;
        }
        self.patterns += settled.patterns.len();
        patterns.extend(settled.patterns);
        if let Some(problem) = settled.problem {
            self.fault(place, token, problem);
        }
    }

    /// Adds the patterns of a file, and of the files that it names.
    fn pattern_file(
        &mut self,
        place: Place<'_>,
        name: &[u8],
        position: Position,
        patterns: &mut Vec<ClientPattern>,
    ) {
        let mut waiting = vec![(place.file.to_owned(), place.line, name.to_vec(), 1)];
        while let Some((file, line, name, depth)) = waiting.pop() {
            let place = Place { file: &file, line };
            let path = PathBuf::from(OsStr::from_bytes(&name));
            match self.read_patterns(&path, depth) {
                Ok(text) => {
                    for (line, name) in self.patterns_of(&path, &text, position, patterns) {
                        waiting.push((path.clone(), line, name, depth + 1));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.fault(place, &name, Problem::FileMissing);
                }
                Err(_) => {
                    let (stand_in, effect) = position.undecided();
                    patterns.push(stand_in);
                    self.fault(place, &name, Problem::FileUnreadable(effect));
                }
            }
        }
    }

    /// The text of a file of patterns, within the limits of depth and number.
    fn read_patterns(&mut self, path: &Path, depth: usize) -> io::Result<Vec<u8>> {
        if depth > DEPTH_LIMIT || self.files >= FILES_LIMIT {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.files += 1;
        self.pattern_files.insert(path.to_owned());
        (self.read)(path)
    }

    /// Adds the patterns of a text between white space; gives the names of files in it with their lines.
    fn patterns_of(
        &mut self,
        file: &Path,
        text: &[u8],
        position: Position,
        patterns: &mut Vec<ClientPattern>,
    ) -> Vec<(usize, Vec<u8>)> {
        let mut files = Vec::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = Place { file, line: index + 1 };
            for token in line.split(is_space).filter(|token| !token.is_empty()) {
                match pattern::host(token, position) {
                    Element::Settled(settled) => self.keep(place, token, settled, position, patterns),
                    Element::File(name) if files.len() < FILES_LIMIT => {
                        files.push((place.line, name.to_vec()));
                    }
                    Element::File(name) => {
                        let (stand_in, effect) = position.undecided();
                        patterns.push(stand_in);
                        self.fault(place, name, Problem::FileUnreadable(effect));
                    }
                }
            }
        }
        files
    }

    fn fault(&mut self, place: Place<'_>, text: &[u8], problem: Problem) {
        if self.faults.len() >= FAULT_LIMIT {
            return;
        }
        // A fault shows the beginning of the text only.
        let text = text.get(..crate::logging::Escaped::LIMIT + 1).unwrap_or(text).to_vec();
        self.faults.push(Fault { file: place.file.to_owned(), line: place.line, text, problem });
    }
}

/// What isspace(3) says.
fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == b'\x0b'
}

/// The lines of a file: a backslash before a newline takes both away, in comments too.
fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    let mut rest = text;
    let mut next = 1;
    std::iter::from_fn(move || {
        let mut line = Line { number: next, text: Vec::new(), is_terminated: false };
        while !rest.is_empty() {
            let (part, after, ended) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (rest.get(..end)?, rest.get(end + 1..)?, true),
                None => (rest, &[][..], false),
            };
            rest = after;
            next += 1;
            match part {
                [part @ .., b'\\'] if ended => line.text.extend_from_slice(part),
                _ => {
                    line.text.extend_from_slice(part);
                    line.is_terminated = ended;
                    if ended {
                        return Some(line);
                    }
                }
            }
        }
        (!line.text.is_empty()).then_some(line)
    })
}

/// The elements of a list. Other white space than this belongs to them.
fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| matches!(byte, b' ' | b',' | b'\t' | b'\r')).filter(|token| !token.is_empty())
}

/// The lists between `EXCEPT`s.
fn groups(list: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut groups = vec![Vec::new()];
    for token in tokens(list) {
        if token.eq_ignore_ascii_case(b"EXCEPT") {
            groups.push(Vec::new());
        } else if let Some(group) = groups.last_mut() {
            group.push(token);
        }
    }
    groups
}

/// Splits at the first colon that is not between brackets. Where a bracket is not closed there is none.
fn split_at_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_inside = false;
    let colon = text.iter().position(|byte| {
        match byte {
            b'[' => is_inside = true,
            b']' => is_inside = false,
            _ => {}
        }
        *byte == b':' && !is_inside
    })?;
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}
