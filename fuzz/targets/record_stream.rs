//! Record marking (RFC 5531 section 11): a stream gives the same records and the same error at any split, and never
//! more is held than was received. The first eight bytes of the input are the sizes of the pieces, in turn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oncrpc::record::{RecordError, RecordReader};

const MAX: usize = 9_000;

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = input.split_first_chunk::<8>() else { return };
    let whole = read([stream].into_iter());
    assert_eq!(whole, read(Pieces { sizes, next: 0, rest: stream }));
    assert_eq!(whole, read(stream.chunks(1)));
});

/// The records, and the error that ended the stream or the bytes held at its end.
type Outcome = (Vec<Vec<u8>>, Result<usize, RecordError>);

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = RecordReader::new(MAX);
    let (mut records, mut received) = (Vec::new(), 0);
    for mut piece in pieces {
        received += piece.len();
        loop {
            match reader.next(&mut piece) {
                Ok(Some(record)) => {
                    assert!(record.len() <= MAX);
                    records.push(record.to_vec());
                }
                Ok(None) => break,
                Err(error) => return (records, Err(error)),
            }
        }
        assert!(piece.is_empty());
        assert!(reader.held() <= received.min(MAX + 4));
    }
    (records, Ok(reader.held()))
}

/// The stream cut to the sizes, over and over.
struct Pieces<'a> {
    sizes: &'a [u8; 8],
    next: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let size = usize::from(self.sizes[self.next % 8]).max(1).min(self.rest.len());
        self.next += 1;
        let (piece, rest) = self.rest.split_at(size);
        self.rest = rest;
        Some(piece)
    }
}
