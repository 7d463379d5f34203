//! TOML as it was written, with the line of each value: types are checked here, meanings are not.

use super::entries::{Entry, Kind};
use super::fault::{Fault, Problem};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    /// The line, from 1.
    pub(super) line: usize,
    /// The key with its tables: `access[2].from`.
    pub(super) key: String,
    /// The value as it stands in the file.
    pub(super) text: String,
}

/// A number or a text: users and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Number(i64),
    Text(String),
}

/// How many faults of a file are shown.
const FAULTS_LIMIT: usize = 100;

/// The text of the file, to find lines in, and what is wrong with it.
pub(super) struct Source<'i> {
    pub(super) file: &'i Path,
    text: &'i str,
    /// Where the lines begin.
    lines: Vec<usize>,
    faults: Vec<Fault>,
    /// Faults that are not shown.
    more: usize,
}

/// A table that is being read. What was not taken from it at the end is unknown.
pub(super) struct Section<'t, 'i> {
    prefix: String,
    table: Option<&'t DeTable<'i>>,
    taken: Vec<&'static str>,
}

impl<'i> Source<'i> {
    pub(super) fn new(file: &'i Path, text: &'i str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect();
        Self { file, text, lines, faults: Vec::new(), more: 0 }
    }

    fn locate<T>(&self, key: String, span: std::ops::Range<usize>, value: T) -> Located<T> {
        let text = self.text.get(span.clone()).unwrap_or_default().to_owned();
        Located { value, line: self.line(span.start), key, text }
    }

    /// The line that a byte is on.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= offset)
    }

    /// Notes what is wrong with a value.
    pub(super) fn fault<T>(&mut self, at: &Located<T>, problem: Problem) {
        let (key, value) = (at.key.clone(), at.text.clone());
        self.note(Fault { file: Some(self.file.into()), line: at.line, key, value, problem });
    }

    /// Notes what is wrong.
    pub(super) fn note(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_LIMIT {
            self.faults.push(fault);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Whether something is wrong with a key.
    pub(super) fn has_fault(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    /// Whether nothing was written in a list, not even something of a wrong type, which has its fault.
    pub(super) fn is_empty<T>(&self, list: &Located<Vec<T>>) -> bool {
        list.value.is_empty() && !self.has_fault(&list.key)
    }

    /// All that is wrong, in the order of the file.
    pub(super) fn finish(self) -> Vec<Fault> {
        let mut faults = self.faults;
        // What the parser made of a line that is not TOML needs no second fault.
        let is_syntax = |fault: &Fault| matches!(fault.problem, Problem::Syntax(_));
        let broken: Vec<usize> =
            faults.iter().filter(|fault| is_syntax(fault)).map(|fault| fault.line).collect();
        faults.retain(|fault| is_syntax(fault) || !broken.contains(&fault.line));
        faults.sort_by_key(|fault| fault.line);
        if self.more > 0 {
            faults.push(Fault::of_file(self.file, Problem::More(self.more)));
        }
        faults
    }
}

impl<'t, 'i> Section<'t, 'i> {
    /// The whole file.
    pub(super) fn root(table: &'t DeTable<'i>) -> Self {
        Self { prefix: String::new(), table: Some(table), taken: Vec::new() }
    }

    /// Takes the value of a key, as `read` sees it; notes when it is of another type.
    fn take<T>(
        &mut self,
        source: &mut Source<'i>,
        entry: &Entry,
        wanted: &'static str,
        read: impl FnOnce(&'t DeValue<'i>) -> Option<T>,
    ) -> Option<Located<T>> {
        let name = entry.name();
        self.taken.push(name);
        let value = self.table?.get(name)?;
        let found = source.locate(format!("{}{name}", self.prefix), value.span(), ());
        match read(value.get_ref()) {
            Some(value) => Some(Located { value, line: found.line, key: found.key, text: found.text }),
            None => {
                source.fault(&found, Problem::Type(wanted));
                None
            }
        }
    }

    pub(super) fn switch(&mut self, source: &mut Source<'i>, entry: &Entry) -> Option<Located<bool>> {
        self.take(source, entry, "true or false", DeValue::as_bool)
    }

    pub(super) fn number(&mut self, source: &mut Source<'i>, entry: &Entry) -> Option<Located<i64>> {
        self.take(source, entry, "a whole number", number)
    }

    pub(super) fn text(&mut self, source: &mut Source<'i>, entry: &Entry) -> Option<Located<String>> {
        self.take(source, entry, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn word(&mut self, source: &mut Source<'i>, entry: &Entry) -> Option<Located<Word>> {
        self.take(source, entry, "a number or text in quotes", word)
    }

    pub(super) fn texts(
        &mut self,
        source: &mut Source<'i>,
        entry: &Entry,
    ) -> Option<Located<Vec<Located<String>>>> {
        self.list(source, entry, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn numbers(
        &mut self,
        source: &mut Source<'i>,
        entry: &Entry,
    ) -> Option<Located<Vec<Located<i64>>>> {
        self.list(source, entry, "a whole number", number)
    }

    pub(super) fn words(
        &mut self,
        source: &mut Source<'i>,
        entry: &Entry,
    ) -> Option<Located<Vec<Located<Word>>>> {
        self.list(source, entry, "a number or text in quotes", word)
    }

    /// Takes a list within its limit; each element of another type is a fault of its own.
    fn list<T>(
        &mut self,
        source: &mut Source<'i>,
        entry: &Entry,
        wanted: &'static str,
        read: fn(&DeValue<'i>) -> Option<T>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let array = self.take(source, entry, "a list in brackets", DeValue::as_array)?;
        if let Kind::List { most, .. } = entry.kind
            && array.value.len() > most
        {
            source.fault(&array, Problem::TooMany(most));
            return None;
        }
        let mut elements = Vec::new();
        for element in array.value.iter() {
            let found = source.locate(array.key.clone(), element.span(), ());
            match read(element.get_ref()) {
                Some(value) => {
                    elements.push(Located { value, line: found.line, key: found.key, text: found.text });
                }
                None => source.fault(&found, Problem::Type(wanted)),
            }
        }
        Some(Located { value: elements, line: array.line, key: array.key, text: array.text })
    }

    /// Takes a table inside of this one; an empty one when it is not there.
    pub(super) fn section(&mut self, source: &mut Source<'i>, name: &'static str) -> Self {
        self.taken.push(name);
        let mut section = Self { prefix: format!("{}{name}.", self.prefix), table: None, taken: Vec::new() };
        if let Some(value) = self.table.and_then(|table| table.get(name)) {
            section.table = value.get_ref().as_table();
            if section.table.is_none() {
                let found = source.locate(format!("{}{name}", self.prefix), value.span(), ());
                source.fault(&found, Problem::Type("a table"));
            }
        }
        section
    }

    /// Takes an array of tables within its limit, each with the line it begins on.
    pub(super) fn sections(&mut self, source: &mut Source<'i>, entry: &Entry) -> Vec<(Self, Located<()>)> {
        let Some(array) = self.take(source, entry, "an array of tables", DeValue::as_array) else {
            return Vec::new();
        };
        if let Kind::Tables { most } = entry.kind
            && array.value.len() > most
        {
            let found = Located { text: String::new(), value: (), ..located_as(&array) };
            source.fault(&found, Problem::TooMany(most));
            return Vec::new();
        }
        let mut sections = Vec::new();
        for (index, element) in array.value.iter().enumerate() {
            let key = format!("{}[{}]", array.key, index + 1);
            let mut found = source.locate(key.clone(), element.span(), ());
            match element.get_ref().as_table() {
                Some(table) => {
                    found.text.clear();
                    let section = Self { prefix: format!("{key}."), table: Some(table), taken: Vec::new() };
                    sections.push((section, found));
                }
                None => source.fault(&found, Problem::Type("a table")),
            }
        }
        sections
    }

    /// Notes the keys that were not taken.
    pub(super) fn finish(self, source: &mut Source<'i>) {
        for (name, value) in self.table.into_iter().flatten() {
            if !self.taken.contains(&name.get_ref().as_ref()) {
                let mut found = source.locate(format!("{}{}", self.prefix, name.get_ref()), name.span(), ());
                found.text = source.text.get(value.span()).unwrap_or_default().to_owned();
                source.fault(&found, Problem::UnknownKey);
            }
        }
    }
}

/// The place of a value, without it.
fn located_as<T>(at: &Located<T>) -> Located<()> {
    Located { value: (), line: at.line, key: at.key.clone(), text: at.text.clone() }
}

/// An integer that fits; a larger one is as wrong as the largest.
fn number(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    let is_negative = integer.as_str().starts_with('-');
    let limit = if is_negative { i64::MIN } else { i64::MAX };
    Some(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(limit))
}

fn word(value: &DeValue<'_>) -> Option<Word> {
    number(value).map(Word::Number).or_else(|| value.as_str().map(|text| Word::Text(text.to_owned())))
}

/// Parses a file. What is not TOML is noted, and what can be made of the rest is given.
pub(super) fn parse<'i>(source: &mut Source<'i>) -> Spanned<DeTable<'i>> {
    let (table, errors) = DeTable::parse_recoverable(source.text);
    for error in errors {
        let line = error.span().map_or(0, |span| source.line(span.start));
        let mut fault = Fault::of_file(source.file, Problem::Syntax(error.message().to_owned()));
        fault.line = line;
        source.note(fault);
    }
    table
}
