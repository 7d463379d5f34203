//! Bytes from strangers in a line of text: printable ASCII stays, everything else becomes `\xNN`, so that nothing a
//! caller or a file says can end a line, move a cursor or pass for something else.

use std::fmt::{self, Write as _};

/// Bytes that print escaped: quotes and backslashes get a backslash, all but printable ASCII becomes `\xNN`, and
/// after [`Escaped::LIMIT`] bytes follows `...`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// How many bytes of the source are shown: as many as an address may have.
    pub const LIMIT: usize = 128;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, true)
    }
}

/// As [`Escaped`], but quotes and backslashes stay: for what stands at the end of a message or in a file of our own
/// host's, where a reader is to find it again.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, false)
    }
}

fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8], escapes_quotes: bool) -> fmt::Result {
    for &byte in bytes.iter().take(Escaped::LIMIT) {
        match byte {
            b'"' | b'\'' | b'\\' if escapes_quotes => write!(f, "\\{}", char::from(byte))?,
            b' '..=b'~' => f.write_char(char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    if bytes.len() > Escaped::LIMIT { f.write_str("...") } else { Ok(()) }
}

/// The last guard before a sink: whatever is written through it comes out as one line of printable ASCII of at most
/// `limit` bytes. It leaves quotes and backslashes alone, so that what [`Escaped`] made stays as it is.
pub(super) struct OneLine<'a> {
    line: &'a mut String,
    limit: usize,
}

impl<'a> OneLine<'a> {
    const CUT: &'static str = "...";

    /// Appends to `line` until that is `limit` bytes long.
    pub(super) fn new(line: &'a mut String, limit: usize) -> Self {
        Self { line, limit: limit.saturating_sub(Self::CUT.len()) }
    }
}

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            let width = if matches!(byte, b' '..=b'~') { 1 } else { 4 };
            if self.line.len() + width > self.limit {
                self.line.push_str(Self::CUT);
                return Err(fmt::Error);
            }
            match byte {
                b' '..=b'~' => self.line.push(char::from(byte)),
                _ => write!(self.line, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_stays_and_everything_else_is_escaped() {
        let cases: [(&[u8], &str); 8] = [
            (b"", ""),
            (b"udp 10.0.0.1.0.111", "udp 10.0.0.1.0.111"),
            (b"a\nb\r\x1b[2J", "a\\x0ab\\x0d\\x1b[2J"),
            (b"\"it's\\", "\\\"it\\'s\\\\"),
            (b"\0\x7f\x80\xff", "\\x00\\x7f\\x80\\xff"),
            ("é".as_bytes(), "\\xc3\\xa9"),
            (b"~ }", "~ }"),
            (b"%s%n", "%s%n"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Escaped(bytes).to_string(), expected);
        }
    }

    #[test]
    fn long_bytes_are_cut_and_say_so() {
        let at_limit = vec![b'a'; Escaped::LIMIT];
        assert_eq!(Escaped(&at_limit).to_string().len(), Escaped::LIMIT);
        let over = vec![b'\n'; 1 << 20];
        let text = Escaped(&over).to_string();
        assert_eq!(text.len(), Escaped::LIMIT * 4 + 3);
        assert!(text.ends_with("\\x0a..."));
    }

    #[test]
    fn one_line_stays_one_line_within_its_limit() {
        let mut line = String::from("<30>");
        write!(OneLine::new(&mut line, 40), "one\ntwo {}", Escaped(b"\"\n")).expect("it fits");
        assert_eq!(line, "<30>one\\x0atwo \\\"\\x0a");
        let mut line = String::new();
        assert!(write!(OneLine::new(&mut line, 10), "{}", "\n".repeat(1000)).is_err());
        assert_eq!(line, "\\x0a...");
    }
}
