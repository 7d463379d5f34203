//! The sample file and the entries of the manual rpcbind.toml(5), made from the table of settings.

use super::entries::{Applies, ENTRIES, Entry, Kind};
use std::fmt::Write as _;

/// What the manual says about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualEntry {
    /// The key as it is written: `rows`, in the table of [`ManualEntry::table`].
    pub key: &'static str,
    /// The table that it is in: `[limits]`, `[[grant]]`; empty for the top of the file. For a table itself, its own.
    pub table: String,
    /// Type, default and limits in words.
    pub value: String,
    /// What it does.
    pub about: &'static str,
    /// The flag that does the same.
    pub flag: Option<&'static str>,
    /// `restart` or `reload`: when a change takes effect.
    pub applies: &'static str,
}

/// The entries of the manual, in its order.
#[must_use]
pub fn manual_entries() -> Vec<ManualEntry> {
    ENTRIES.iter().map(|entry| manual_entry(entry)).collect()
}

fn manual_entry(entry: &Entry) -> ManualEntry {
    let applies = match entry.applies {
        Applies::AtRestart => "restart",
        Applies::AtReload => "reload",
    };
    let (key, table) = (entry.name(), table(entry));
    ManualEntry { key, table, value: value(&entry.kind), about: entry.about, flag: entry.flag, applies }
}

/// The heading under which an entry stands.
fn table(entry: &Entry) -> String {
    match (entry.key.rsplit_once('.'), &entry.kind) {
        (_, Kind::Tables { .. }) => format!("[[{}]]", entry.key),
        (Some((table, _)), _) => match table.strip_suffix("[]") {
            Some(table) => format!("[[{table}]]"),
            None => format!("[{table}]"),
        },
        (None, _) => String::new(),
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Switch { default } => format!("true or false; default {default}"),
        Kind::Number { default, min, max } => format!("number, {min} to {max}; default {default}"),
        Kind::OptionalNumber { min, max, .. } => format!("number, {min} to {max}"),
        Kind::Text { default, longest } => format!("text, at most {longest} bytes; default \"{default}\""),
        Kind::Choice { default, of } => format!("\"{}\"; default \"{default}\"", of.join("\", \"")),
        Kind::RequiredChoice { of } => format!("\"{}\"; must be there", of.join("\", \"")),
        Kind::List { of, most, .. } => format!("list {of}, at most {most}", of = list_of(of)),
        Kind::Required { of, .. } => format!("{of}; must be there"),
        Kind::Tables { most } => format!("at most {most} tables"),
    }
}

fn list_of(of: &str) -> String {
    if of.starts_with("of ") { of.to_owned() } else { format!("of {of}") }
}

/// The sample file: every key with what it does, its default or an example, and all of it commented out.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(
        "# rpcbind.toml: settings of the port mapper, see rpcbind.toml(5). All of them may be left out.\n\
         # Check this file with: rpcbind --check. What is marked (reload) is applied by SIGHUP.\n",
    );
    let mut current = String::new();
    for entry in ENTRIES {
        let manual = manual_entry(entry);
        text.push('\n');
        let is_tables = matches!(entry.kind, Kind::Tables { .. });
        // Writing to a string does not fail.
        if manual.table != current && !is_tables {
            let _ = writeln!(text, "#{}", manual.table);
        }
        for line in wrap(&format!("{} ({})", manual.about, manual.applies), 98) {
            let _ = writeln!(text, "# {line}");
        }
        if is_tables {
            let _ = writeln!(text, "#{}", manual.table);
        }
        current = manual.table;
        if let Some(value) = sample_value(&entry.kind) {
            let _ = writeln!(text, "#{} = {value}", manual.key);
        }
    }
    text
}

fn sample_value(kind: &Kind) -> Option<String> {
    Some(match kind {
        Kind::Switch { default } => default.to_string(),
        Kind::Number { default, .. } => default.to_string(),
        Kind::Text { default, .. } | Kind::Choice { default, .. } => format!("\"{default}\""),
        Kind::RequiredChoice { of } => format!("\"{}\"", of.last()?),
        Kind::OptionalNumber { example, .. }
        | Kind::List { example, .. }
        | Kind::Required { example, .. } => (*example).to_owned(),
        Kind::Tables { .. } => return None,
    })
}

/// Breaks text between words into lines of at most `width` bytes, longer words excepted.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
