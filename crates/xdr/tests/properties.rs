//! The cursors under random operations: what is written is read again, and no bytes and no order of reads panic.

use oncrpc_xdr::{Error, Reader, Writer, padding};
use proptest::prelude::*;

/// One value of each kind.
#[derive(Clone, Debug)]
enum Value {
    U32(u32),
    I32(i32),
    Bool(bool),
    Opaque(Vec<u8>),
    Fixed(Vec<u8>),
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<bool>().prop_map(Value::Bool),
        bytes().prop_map(Value::Opaque),
        bytes().prop_map(Value::Fixed),
    ]
}

fn write(writer: &mut Writer<'_>, value: &Value) -> Result<(), Error> {
    match value {
        Value::U32(number) => writer.u32(*number),
        Value::I32(number) => writer.i32(*number),
        Value::Bool(truth) => writer.bool(*truth),
        Value::Opaque(bytes) => writer.opaque(bytes),
        Value::Fixed(bytes) => writer.opaque_fixed(bytes),
    }
}

/// What the value takes, put together by hand.
fn model(value: &Value) -> Vec<u8> {
    let padded = |head: &[u8], bytes: &[u8]| [head, bytes, &vec![0; padding(bytes.len())]].concat();
    match value {
        Value::U32(number) => number.to_be_bytes().to_vec(),
        Value::I32(number) => number.to_be_bytes().to_vec(),
        Value::Bool(truth) => vec![0, 0, 0, u8::from(*truth)],
        Value::Opaque(bytes) => padded(&(bytes.len() as u64).to_be_bytes()[4..], bytes),
        Value::Fixed(bytes) => padded(&[], bytes),
    }
}

/// Reads a value of the same kind; whether it is the same one.
fn reads(reader: &mut Reader<'_>, value: &Value) -> Result<bool, Error> {
    Ok(match value {
        Value::U32(number) => reader.u32()? == *number,
        Value::I32(number) => reader.i32()? == *number,
        Value::Bool(truth) => reader.bool()? == *truth,
        Value::Opaque(bytes) => reader.opaque(19)? == bytes,
        Value::Fixed(bytes) => reader.opaque_fixed(bytes.len())? == bytes,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_values_are_read_as_they_were_written(values in prop::collection::vec(value(), 0..12), size in 0..400_usize) {
        let mut buffer = vec![0xee; size];
        let mut writer = Writer::new(&mut buffer);
        let mut expected = Vec::new();
        let mut fitting = Vec::new();
        for value in &values {
            let bytes = model(value);
            let outcome = write(&mut writer, value);
            if expected.len() + bytes.len() <= size {
                prop_assert_eq!(outcome, Ok(()));
                expected.extend_from_slice(&bytes);
                fitting.push(value);
            } else {
                let full = matches!(outcome, Err(Error::Full { .. }));
                prop_assert!(full, "{:?}", outcome);
            }
            prop_assert_eq!(writer.written(), &expected, "a value that does not fit writes nothing");
        }
        let mut reader = Reader::new(&expected);
        for value in fitting {
            prop_assert_eq!(reads(&mut reader, value), Ok(true));
        }
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn any_reads_of_any_bytes_go_forward_or_stay(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..120),
        values in prop::collection::vec(value(), 0..12),
    ) {
        let mut reader = Reader::new(&bytes);
        for value in values {
            let before = reader.rest();
            match reads(&mut reader, &value) {
                Ok(_) => prop_assert!(before.ends_with(reader.rest())),
                Err(_) => prop_assert_eq!(reader.rest(), before, "a failed read moves nothing"),
            }
        }
    }
}
