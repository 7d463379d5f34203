//! What people see: `rpcinfo -p`, Debian's and ours, and what ours says of the services behind the rows.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::Namespace;

/// Debian's.
pub(crate) const DEBIANS: &str = "/usr/sbin/rpcinfo";

/// Ours, which is built beside the daemon.
pub(crate) fn ours() -> PathBuf {
    Path::new(crate::RPCBIND).with_file_name("rpcinfo")
}

/// A line of `rpcinfo -p`: program, version, protocol, port.
pub(crate) type Line = (u32, u32, String, u16);

/// The lines of Debian's `rpcinfo -p`, sorted, the port mapper's own left out. Ours prints the same, whatever it adds:
/// otherwise both texts.
pub(crate) fn mappings(home: &Namespace) -> io::Result<Result<Vec<Line>, String>> {
    let theirs = home.expect(DEBIANS, &["-p"])?;
    let text = home.expect(&ours().to_string_lossy(), &["-p"])?;
    let same = theirs.lines().count() == text.lines().count()
        && theirs.lines().zip(text.lines()).all(|(theirs, ours)| ours.starts_with(theirs));
    let lines: Option<Vec<Line>> = theirs.lines().skip(1).map(line).collect();
    let Some(mut lines) = lines.filter(|_| same) else {
        return Ok(Err(format!("Debian's:\n{theirs}ours:\n{text}")));
    };
    lines.retain(|(program, ..)| *program != 100_000);
    lines.sort();
    Ok(Ok(lines))
}

fn line(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace();
    let (program, version) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((program, version, words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// A row as our `rpcinfo` shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) netid: String,
    pub(crate) address: String,
    pub(crate) owner: String,
    pub(crate) dead: bool,
}

/// All rows but the port mapper's own, by our `rpcinfo --json`.
pub(crate) fn rows(home: &Namespace) -> io::Result<Vec<Row>> {
    let text = home.expect(&ours().to_string_lossy(), &["--json"])?;
    let document: Value = serde_json::from_str(&text)?;
    let rows = document["rows"].as_array().into_iter().flatten().map(row);
    let rows: Option<Vec<Row>> = rows.collect();
    let mut rows = rows.ok_or_else(|| io::Error::other(text))?;
    rows.retain(|row| row.program != 100_000);
    Ok(rows)
}

fn row(value: &Value) -> Option<Row> {
    let number = |name: &str| u32::try_from(value[name].as_u64()?).ok();
    let text = |name: &str| Some(value[name].as_str()?.to_owned());
    Some(Row {
        program: number("program")?,
        version: number("version")?,
        netid: text("netid")?,
        address: text("address")?,
        owner: text("owner")?,
        dead: value["liveness"] == "dead",
    })
}
