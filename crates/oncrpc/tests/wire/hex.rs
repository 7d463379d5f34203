//! Byte tables written as hexadecimal text, with the two checks that every table goes through.

use oncrpc::xdr::{Decode, Encode, Error, Reader, Writer};
use std::fmt::Debug;

/// The bytes of hexadecimal digits; blanks and line ends mean nothing.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits");
    pairs.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What a value encodes to.
pub(crate) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut buffer = vec![0xee; 16 * 1024];
    let mut writer = Writer::new(&mut buffer);
    value.encode(&mut writer).unwrap();
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

/// Writes the value to exactly these bytes, and to no buffer that is shorter.
pub(crate) fn assert_encodes_to(value: &(impl Encode + Debug), bytes: &[u8]) {
    assert_eq!(encoded(value), bytes, "{value:?}");
    for size in 0..bytes.len() {
        let mut buffer = vec![0; size];
        let outcome = value.encode(&mut Writer::new(&mut buffer));
        assert!(matches!(outcome, Err(Error::Full { .. })), "{value:?} in {size} bytes: {outcome:?}");
    }
}

/// Holds a value against its bytes both ways, and sees every truncation of them refused.
pub(crate) fn assert_both_ways<'a, T: Decode<'a> + Encode + PartialEq + Debug>(value: &T, bytes: &'a [u8]) {
    assert_encodes_to(value, bytes);
    let mut reader = Reader::new(bytes);
    assert_eq!(T::decode(&mut reader).as_ref(), Ok(value));
    assert_eq!(reader.finish(), Ok(()), "{value:?}");
    for len in 0..bytes.len() {
        let outcome = T::decode(&mut Reader::new(&bytes[..len]));
        assert!(matches!(outcome, Err(Error::Short { .. })), "{len} bytes of {value:?}: {outcome:?}");
    }
}
