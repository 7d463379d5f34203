//! Captured exchanges with the C daemon: the files of `vectors/`, whose README says how they were taken.

use std::io;
use std::path::Path;

/// One call and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// The file's name without its ending.
    pub name: String,
    /// What it is, in words.
    pub about: String,
    /// `udp`, `udp6`, `tcp`, `tcp6` or `unix`.
    pub transport: String,
    /// Who sent the call.
    pub caller: String,
    /// The call as it was on the wire; on a stream with its record mark.
    pub call: Vec<u8>,
    /// The reply, likewise; `None` when the daemon stayed silent.
    pub reply: Option<Vec<u8>>,
}

impl Vector {
    /// Whether the bytes carry record marks.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        !self.transport.starts_with("udp")
    }

    /// The call's RPC message, without the record mark.
    #[must_use]
    pub fn call_message(&self) -> &[u8] {
        self.message(&self.call)
    }

    /// The reply's RPC message, without the record mark.
    #[must_use]
    pub fn reply_message(&self) -> Option<&[u8]> {
        self.reply.as_deref().map(|reply| self.message(reply))
    }

    fn message<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.is_stream() { bytes.get(4..).unwrap_or_default() } else { bytes }
    }
}

/// All vectors, by name.
///
/// # Errors
/// A file cannot be read, or is not of the form the README describes: with its name.
pub fn all() -> io::Result<Vec<Vector>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut vectors = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)?;
            let vector =
                parse(name, &text).ok_or_else(|| io::Error::other(format!("not a vector: {path:?}")))?;
            vectors.push(vector);
        }
    }
    vectors.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(vectors)
}

/// The vector of this name.
///
/// # Errors
/// There is none, or [`all`] fails.
pub fn named(name: &str) -> io::Result<Vector> {
    let found = all()?.into_iter().find(|vector| vector.name == name);
    found.ok_or_else(|| io::Error::other(format!("no vector {name}")))
}

fn parse(name: String, text: &str) -> Option<Vector> {
    let mut lines = text.lines();
    let about = lines.next()?.strip_prefix("# ")?.to_owned();
    let transport = lines.next()?.strip_prefix("# transport: ")?.to_owned();
    let caller = lines.next()?.strip_prefix("# call: ")?.to_owned();
    let silent = lines.next()?.starts_with("# no reply: ");
    let call = bytes(lines.next()?.strip_prefix("> ")?)?;
    let reply = match lines.next() {
        Some(line) => Some(bytes(line.strip_prefix("< ")?)?),
        None => None,
    };
    let whole = lines.next().is_none() && silent == reply.is_none();
    whole.then_some(Vector { name, about, transport, caller, call, reply })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let (pairs, odd) = digits.as_deref()?.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_vector_and_every_reply_answers_its_call() {
        let vectors = all().unwrap();
        assert!(vectors.len() > 200, "{}", vectors.len());
        for vector in &vectors {
            let call = vector.call_message();
            assert_eq!(call[4..8], [0; 4], "{}: not a call", vector.name);
            if let Some(reply) = vector.reply_message() {
                assert_eq!(reply[..4], call[..4], "{}: xid", vector.name);
                assert_eq!(reply[4..8], [0, 0, 0, 1], "{}: not a reply", vector.name);
            }
        }
    }

    #[test]
    fn all_procedures_are_there() {
        let vectors = all().unwrap();
        let called = |version: u8, procedure: u8| {
            vectors.iter().any(|vector| {
                let call = vector.call_message();
                call[12..24] == [0, 1, 0x86, 0xa0, 0, 0, 0, version, 0, 0, 0, procedure]
            })
        };
        for (version, highest) in [(2, 5), (3, 8), (4, 12)] {
            for procedure in 0..=highest {
                assert!(called(version, procedure), "version {version} procedure {procedure}");
            }
        }
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let good = "# a\n# transport: udp\n# call: b\n# reply: c\n> 00ff\n< 01\n";
        assert_eq!(parse("x".into(), good).unwrap().call, [0, 255]);
        for (from, to) in
            [("00ff", "00f"), ("00ff", "00fg"), ("< 01\n", ""), ("# reply", "# no reply"), ("< ", "? ")]
        {
            assert_eq!(parse("x".into(), &good.replace(from, to)), None, "{from} -> {to}");
        }
    }
}
