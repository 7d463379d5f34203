//! Numbers as C's `strtol` reads them, since that decides which arguments are numbers and what they come to.

/// The number of the whole text in base ten, with blanks before it and a sign; too large ones are cut to the range.
/// `None` when it is not a number, or something follows it.
#[must_use]
pub(crate) fn strtol(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.as_bytes().split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text.as_bytes()),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_i64, |value, digit| {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        let digit = if negative { -digit } else { digit };
        value.saturating_mul(10).saturating_add(digit)
    });
    Some(value)
}

/// The low 32 bits, as C converts.
#[must_use]
pub(crate) fn low_u32(value: i64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The low 16 bits, as C converts.
#[must_use]
pub(crate) fn low_u16(value: i64) -> u16 {
    let [.., high, low] = value.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Whether a program argument is looked up as a name: it has something besides digits, except that a single other
/// character at the end does not count unless it is a letter.
#[must_use]
pub(crate) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let seen = bytes.iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |at| at + 1);
    let last_seen = seen.checked_sub(1).and_then(|at| bytes.get(at));
    seen < bytes.len() || last_seen.is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::{is_name, low_u16, low_u32, strtol};

    #[test]
    fn numbers_are_read_as_strtol_reads_them() {
        for (text, value) in [
            ("3", Some(3)),
            (" 3", Some(3)),
            ("+3", Some(3)),
            ("-1", Some(-1)),
            ("007", Some(7)),
            ("9999999999999999999999", Some(i64::MAX)),
            ("-9999999999999999999999", Some(i64::MIN)),
            ("", None),
            ("-", None),
            ("3 ", None),
            ("0x3", None),
            ("3x", None),
        ] {
            assert_eq!(strtol(text), value, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_cut_as_c_converts_them() {
        assert_eq!(low_u32(99_999_999_999), 1_215_752_191);
        assert_eq!(low_u32(-1), u32::MAX);
        assert_eq!(low_u16(65_536), 0);
        assert_eq!(low_u16(70_000), 4464);
    }

    #[test]
    fn names_are_told_from_numbers() {
        for (text, name) in [
            ("nfs", true),
            ("100000", false),
            ("100000x", true),
            ("3270_mapper", true),
            ("-5", true),
            ("", false),
            ("10-", false),
            ("-", false),
        ] {
            assert_eq!(is_name(text), name, "{text:?}");
        }
    }
}
