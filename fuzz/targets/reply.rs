//! What a hostile server can send to a client: any bytes as a reply (RFC 5531 section 9), and its results as every
//! type that the binding protocols have. What decodes is encoded again and decodes to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oncrpc::bind::stat::VersionTable;
use oncrpc::bind::{CallResult, Entry, Mapping, Netbuf, PortCallResult, Rpcb};
use oncrpc::xdr::{Decode, Encode, Error, List, Reader, Writer, encode_list};
use oncrpc::{Answer, Reply};

/// Room for the longest input, encoded again.
const ROOM: usize = 64 * 1024;

fuzz_target!(|message: &[u8]| {
    let Ok(reply) = Reply::decode(message) else { return };
    let copy = written(|writer| reply.encode(writer));
    assert_eq!(Reply::decode(&copy), Ok(reply));
    if let Answer::Success(results) = reply.answer {
        list_comes_back!(Mapping, results);
        list_comes_back!(Rpcb<'_>, results);
        list_comes_back!(Entry<'_>, results);
        value_comes_back!(Netbuf<'_>, results);
        value_comes_back!(CallResult<'_>, results);
        value_comes_back!(PortCallResult<'_>, results);
        statistics(results);
    }
});

fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>) -> Vec<u8> {
    let mut buffer = vec![0; ROOM];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("what came in one message fits into another");
    writer.written().to_vec()
}

/// The elements before the first error.
fn elements<'a, T: Decode<'a>>(results: &'a [u8]) -> Vec<T> {
    let elements: Vec<T> = List::new(Reader::new(results)).map_while(Result::ok).collect();
    assert!(elements.len() <= results.len() / 4, "every element takes at least its mark");
    elements
}

fn value<'a, T: Decode<'a>>(results: &'a [u8]) -> Option<T> {
    T::decode(&mut Reader::new(results)).ok()
}

/// Macros, since the type borrows from the message once and from the copy once.
macro_rules! list_comes_back {
    ($type:ty, $results:expr) => {
        let found = elements::<$type>($results);
        let copy = written(|writer| encode_list(found.iter().copied(), writer));
        assert_eq!(elements::<$type>(&copy), found);
    };
}
use list_comes_back;

macro_rules! value_comes_back {
    ($type:ty, $results:expr) => {
        if let Some(found) = value::<$type>($results) {
            let copy = written(|writer| found.encode(writer));
            assert_eq!(value::<$type>(&copy), Some(found));
        }
    };
}
use value_comes_back;

fn statistics(results: &[u8]) {
    let mut reader = Reader::new(results);
    for _ in 0..3 {
        let Ok(table) = VersionTable::decode(&mut reader) else { return };
        assert!(table.addresses.clone().all(|row| row.is_ok()), "a list is checked before it is handed out");
        assert!(table.remote.clone().all(|row| row.is_ok()), "a list is checked before it is handed out");
    }
}
