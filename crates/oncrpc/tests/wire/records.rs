//! Record marking (RFC 5531 section 11): the same bytes give the same records and the same error, whatever the split.

use oncrpc::record::{MAX_FRAGMENTS, RecordError, RecordReader, mark};
use proptest::prelude::*;

/// What a stream holds: its records, then the error that ends it, or the bytes held of a record that is not whole.
#[derive(Debug, PartialEq)]
struct Stream {
    records: Vec<Vec<u8>>,
    end: Result<usize, RecordError>,
}

/// Reads the whole stream at once, without a state.
fn whole(bytes: &[u8], max: usize) -> Stream {
    let mut records = Vec::new();
    let mut rest = bytes;
    loop {
        let (mut record, mut fragments) = (Vec::new(), 0);
        loop {
            let Some((mark, behind)) = rest.split_first_chunk::<4>() else {
                // A record that has begun holds a byte, even before its first one.
                let held = (record.len() + rest.len()).max(usize::from(fragments > 0));
                return Stream { records, end: Ok(held) };
            };
            let mark = u32::from_be_bytes(*mark);
            let (last, len) = (mark >> 31 == 1, (mark & 0x7fff_ffff) as usize);
            if record.len() + len > max {
                return Stream { records, end: Err(RecordError::TooLong { len: record.len() + len, max }) };
            }
            fragments += 1;
            if fragments > MAX_FRAGMENTS {
                return Stream { records, end: Err(RecordError::TooManyFragments) };
            }
            let taken = len.min(behind.len());
            record.extend_from_slice(&behind[..taken]);
            rest = &behind[taken..];
            if taken < len {
                return Stream { records, end: Ok(record.len().max(1)) };
            }
            if last {
                break;
            }
        }
        records.push(record);
    }
}

/// Pushes the pieces one after another.
fn pushed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, max: usize) -> Stream {
    let mut reader = RecordReader::new(max);
    let mut records = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            match reader.next(&mut input) {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => break,
                Err(error) => return Stream { records, end: Err(error) },
            }
            if input.is_empty() {
                assert_eq!(reader.held(), 0, "nothing is held between two records");
            }
        }
        assert!(input.is_empty(), "a reader that wants more has taken everything");
    }
    Stream { records, end: Ok(reader.held()) }
}

/// Fragments as a peer may send them: mostly small, some empty, some over every limit.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let honest = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(last, contents)| {
        let len = u32::try_from(contents.len()).unwrap();
        [(len | u32::from(last) << 31).to_be_bytes().to_vec(), contents].concat()
    });
    prop_oneof![
        20 => honest,
        2 => Just(vec![0, 0, 0, 0]),
        1 => any::<u32>().prop_map(|mark| mark.to_be_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(fragment(), 0..12).prop_map(|parts| parts.concat()),
        1 => prop::collection::vec(fragment(), 60..90).prop_map(|parts| parts.concat()),
        1 => (60..70_usize).prop_map(|count| [0, 0, 0, 1, b'x'].repeat(count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_split_gives_what_the_whole_gives(
        bytes in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        max in prop_oneof![0..64_usize, Just(9_000)],
    ) {
        let expected = whole(&bytes, max);
        prop_assert_eq!(&pushed([&bytes[..]], max), &expected, "in one piece");
        prop_assert_eq!(&pushed(bytes.chunks(1), max), &expected, "byte by byte");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let pieces: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect();
        prop_assert_eq!(&pushed(pieces, max), &expected, "cut at {:?}", cuts);
    }
}

#[test]
fn held_counts_the_bytes_of_the_record_that_is_not_whole() {
    let mut reader = RecordReader::new(100);
    let table: [(&[u8], usize, &str); 8] = [
        (&[0], 1, "a byte of the mark"),
        (&[0, 0], 3, "three bytes of the mark"),
        (&[3], 1, "the mark, read and not kept: a record that has begun counts as one byte"),
        (b"a", 1, "the first byte"),
        (b"bc", 3, "all of the fragment"),
        (&[0x80, 0], 5, "half of the next mark"),
        (&[0, 2], 3, "the next mark"),
        (b"d", 4, "a byte of the last fragment"),
    ];
    for (piece, held, what) in table {
        let mut input = piece;
        assert_eq!(reader.next(&mut input), Ok(None), "{what}");
        assert_eq!(reader.held(), held, "{what}");
    }
    assert_eq!(reader.next(&mut &b"e"[..]), Ok(Some(&b"abcde"[..])));
    assert_eq!(reader.held(), 0, "a record that was handed out is not held");
    assert_eq!(reader.next(&mut &[][..]), Ok(None));
    assert_eq!(reader.held(), 0);
}

#[test]
fn a_record_may_have_the_maximum_and_no_byte_more_before_it_is_received() {
    let max = [&mark(9_000).unwrap()[..], &vec![7; 9_000]].concat();
    assert_eq!(pushed([&max[..]], 9_000).records, [vec![7; 9_000]]);
    let too_long = Err(RecordError::TooLong { len: 9_001, max: 9_000 });
    assert_eq!(pushed([&mark(9_001).unwrap()[..]], 9_000).end, too_long, "by its mark alone");
    let second = [&[0, 0, 0x23, 0x28], &vec![7; 9_000][..], &[0x80, 0, 0, 1]].concat();
    assert_eq!(pushed([&second[..]], 9_000).end, too_long, "by the mark of its second fragment");
    let claims = [[0x7f, 0xff, 0xff, 0xff], [0xff; 4]];
    for claim in claims {
        let len = 0x7fff_ffff;
        assert_eq!(pushed([&claim[..]], 9_000).end, Err(RecordError::TooLong { len, max: 9_000 }));
    }
}

#[test]
fn a_record_may_come_in_64_fragments_and_no_more() {
    for (fragments, expected) in [(63, Ok(0)), (64, Err(RecordError::TooManyFragments))] {
        let mut bytes = [0, 0, 0, 0].repeat(fragments);
        bytes.extend_from_slice(&[0x80, 0, 0, 0]);
        assert_eq!(pushed([&bytes[..]], 9_000).end, expected, "{fragments} empty ones before the last");
    }
    let endless = [0; 1 << 16];
    assert_eq!(pushed([&endless[..]], 9_000).end, Err(RecordError::TooManyFragments));
}

#[test]
fn a_record_that_is_whole_in_the_input_is_not_copied() {
    let bytes = [0x80, 0, 0, 3, b'a', b'b', b'c', 0x80, 0, 0, 0];
    let mut input = &bytes[..];
    let mut reader = RecordReader::new(9_000);
    let record = reader.next(&mut input).unwrap().unwrap();
    assert!(std::ptr::eq(record.as_ptr(), &raw const bytes[4]));
    assert_eq!(input, &bytes[7..]);
    assert_eq!(reader.next(&mut input), Ok(Some(&[][..])), "an empty record");
    assert_eq!(reader.next(&mut input), Ok(None));
}

#[test]
fn a_mark_has_31_bits_for_the_length() {
    assert_eq!(mark(0), Some([0x80, 0, 0, 0]));
    assert_eq!(mark(0x7fff_ffff), Some([0xff; 4]));
    assert_eq!(mark(0x8000_0000), None);
    assert_eq!(mark(usize::MAX), None);
}
