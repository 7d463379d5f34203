//! Text from servers, made fit for a terminal: no control character gets through, everything printable does, byte
//! for byte. What is not UTF-8 is shown as `\xNN`, what is not printable as `\xNN` or `\u{NNNN}`.

use std::fmt::Write;

use serde::{Serialize, Serializer};

/// A string that a server sent. Nothing promises that it is text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// What may be shown of it.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut shown = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                push(&mut shown, character);
            }
            for byte in chunk.invalid() {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\x{byte:02x}");
            }
        }
        shown
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Text {
    /// The exact string when it is UTF-8: JSON has its own escapes. Otherwise what is shown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_str(&self.shown()),
        }
    }
}

fn push(shown: &mut String, character: char) {
    match character {
        '\0'..='\x1f' | '\x7f' => {
            let _ = write!(shown, "\\x{:02x}", u32::from(character));
        }
        _ if is_unprintable(character) => {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        }
        _ => shown.push(character),
    }
}

/// Controls beyond ASCII: the 8-bit ones that terminals obey, and those that turn the direction of text or end lines.
pub(crate) const fn is_unprintable(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn printable_text_is_left_alone() {
        for text in ["superuser", "::.0.111", "a\\b \"c\" ~", "gr\u{fc}n", "\u{65e5}\u{672c}"] {
            assert_eq!(Text(text.into()).shown(), text);
        }
    }

    #[test]
    fn controls_are_shown_as_numbers() {
        for (bytes, shown) in [
            (&b"\x1b[2J"[..], "\\x1b[2J"),
            (b"a\nb\r\tc\0", "a\\x0ab\\x0d\\x09c\\x00"),
            (b"\x7f", "\\x7f"),
            (b"\x9b31m", "\\x9b31m"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("\u{202e}gnp".as_bytes(), "\\u{202e}gnp"),
            (b"\xff\xfe", "\\xff\\xfe"),
        ] {
            assert_eq!(Text(bytes.into()).shown(), shown);
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        for byte in 0..=255_u8 {
            let shown = Text(vec![byte, b'a']).shown();
            assert!(shown.chars().all(|c| !c.is_control()), "{byte:#x}: {shown:?}");
        }
    }
}
