//! The cursors' promises: byte tables both ways, limits named, nothing moved by a failure.

use oncrpc_xdr::{Error, Reader, Writer, padding};

/// Values and the bytes they take, both ways.
#[test]
fn opaques_of_every_length_modulo_four_read_and_write_the_same_bytes() {
    let table: [(&[u8], &[u8]); 5] = [
        (b"", &[0, 0, 0, 0]),
        (b"a", &[0, 0, 0, 1, b'a', 0, 0, 0]),
        (b"ab", &[0, 0, 0, 2, b'a', b'b', 0, 0]),
        (b"abc", &[0, 0, 0, 3, b'a', b'b', b'c', 0]),
        (b"abcd", &[0, 0, 0, 4, b'a', b'b', b'c', b'd']),
    ];
    for (value, bytes) in table {
        let mut buffer = [0xff; 16];
        let mut writer = Writer::new(&mut buffer);
        writer.opaque(value).unwrap();
        assert_eq!(writer.written(), bytes);
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.opaque(4), Ok(value));
        assert_eq!(reader.finish(), Ok(()));
    }
}

#[test]
fn integers_and_booleans_read_and_write_the_same_bytes() {
    let mut buffer = [0; 16];
    let mut writer = Writer::new(&mut buffer);
    writer.u32(0x0102_0304).unwrap();
    writer.i32(-2).unwrap();
    writer.bool(true).unwrap();
    writer.bool(false).unwrap();
    assert_eq!(buffer, [1, 2, 3, 4, 255, 255, 255, 254, 0, 0, 0, 1, 0, 0, 0, 0]);
    let mut reader = Reader::new(&buffer);
    assert_eq!(reader.u32(), Ok(0x0102_0304));
    assert_eq!(reader.i32(), Ok(-2));
    assert_eq!(reader.bool(), Ok(true));
    assert_eq!(reader.bool(), Ok(false));
    assert_eq!(reader.u32(), Err(Error::Short { needed: 4, left: 0 }));
}

#[test]
fn a_claimed_length_is_held_against_the_limit_before_the_message() {
    let bytes = [0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.opaque(400), Err(Error::TooLong { len: u32::MAX, max: 400 }));
    assert!(matches!(reader.opaque(u32::MAX), Err(Error::Short { .. })));
    assert_eq!(reader.rest(), bytes);
}

#[test]
fn every_truncation_of_an_opaque_is_short_and_moves_nothing() {
    let whole = [0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
    for len in 0..whole.len() {
        let mut reader = Reader::new(&whole[..len]);
        assert!(matches!(reader.opaque(5), Err(Error::Short { .. })), "{len} bytes");
        assert_eq!(reader.rest().len(), len);
    }
}

#[test]
fn a_boolean_that_is_neither_0_nor_1_is_an_error() {
    assert_eq!(Reader::new(&[0, 0, 0, 2]).bool(), Err(Error::Bool(2)));
}

#[test]
fn leftover_bytes_are_counted() {
    assert_eq!(Reader::new(&[0; 3]).finish(), Err(Error::Leftover(3)));
}

#[test]
fn a_value_that_does_not_fit_writes_nothing() {
    for size in 0..8 {
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer[..size]);
        assert!(matches!(writer.opaque(b"a"), Err(Error::Full { .. })), "{size} bytes");
        assert_eq!(writer.len(), 0);
    }
}

#[test]
fn padding_reaches_the_next_multiple_of_four() {
    for len in 0..64 {
        assert_eq!((len + padding(len)) % 4, 0);
        assert!(padding(len) < 4);
    }
}

#[test]
fn errors_name_the_value_and_the_limit() {
    assert_eq!(Error::TooLong { len: 401, max: 400 }.to_string(), "length 401 is over the limit of 400");
}

struct Number(u32);

impl<'a> oncrpc_xdr::Decode<'a> for Number {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        reader.u32().map(Number)
    }
}

impl oncrpc_xdr::Encode for Number {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.0)
    }
}

#[test]
fn a_list_ends_at_its_mark_and_after_its_first_error() {
    let mut buffer = [0; 20];
    let mut writer = Writer::new(&mut buffer);
    oncrpc_xdr::encode_list([Number(7), Number(8)], &mut writer).unwrap();
    assert_eq!(writer.len(), 20);
    let mut list = oncrpc_xdr::List::<Number>::new(Reader::new(&buffer));
    let numbers: Vec<u32> = list.by_ref().map(|number| number.unwrap().0).collect();
    assert_eq!(numbers, [7, 8]);
    assert_eq!(list.reader().finish(), Ok(()));

    let mut cut = oncrpc_xdr::List::<Number>::new(Reader::new(&buffer[..14]));
    assert!(cut.next().unwrap().is_ok());
    assert!(cut.next().unwrap().is_err());
    assert!(cut.next().is_none());
}
