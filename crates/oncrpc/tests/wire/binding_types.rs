//! The types of the binding protocols (RFC 1833): byte tables both ways, every truncation, limits.

use crate::hex::{assert_both_ways, encoded, hex};
use oncrpc::bind::stat::{AddressCount, Counters, RemoteCount, VersionTable, encode_version};
use oncrpc::bind::{
    CallResult, Entry, MAX_STRING, Mapping, Netbuf, PortCallResult, Protocol, RemoteCall, Rpcb,
};
use oncrpc::xdr::{Decode, Encode, Error, List, Reader, Writer, encode_list};
use oncrpc::{Procedure, Program, Version};

const NFS: Program = Program(100_003);

#[test]
fn a_mapping_reads_and_writes_the_same_bytes() {
    let mapping = Mapping { program: NFS, version: Version(3), protocol: Protocol::TCP, port: 2049 };
    assert_both_ways(&mapping, &hex("000186a3 00000003 00000006 00000801"));
    let odd = Mapping { protocol: Protocol(u32::MAX), port: u32::MAX, ..mapping };
    assert_both_ways(&odd, &hex("000186a3 00000003 ffffffff ffffffff"));
}

#[test]
fn a_row_of_versions_3_and_4_reads_and_writes_the_same_bytes() {
    let row =
        Rpcb { program: NFS, version: Version(4), netid: b"tcp6", address: b"::.8.1", owner: b"superuser" };
    let bytes =
        "000186a3 00000004 00000004 74637036 00000006 3a3a2e382e310000 00000009 737570657275736572000000";
    assert_both_ways(&row, &hex(bytes));
    let empty = Rpcb { program: Program(0), version: Version(0), netid: b"", address: b"", owner: b"" };
    assert_both_ways(&empty, &[0; 20]);
    let not_text = Rpcb { netid: &[0xff, 0, 0x80], ..empty };
    assert_both_ways(&not_text, &hex("00000000 00000000 00000003 ff008000 00000000 00000000"));
}

#[test]
fn an_answer_of_getaddrlist_reads_and_writes_the_same_bytes() {
    let entry =
        Entry { address: b"1.2.3.4.0.111", netid: b"udp", semantics: 1, family: b"inet", protocol: b"udp" };
    let bytes = "0000000d 312e322e332e342e302e313131000000 00000003 75647000 00000001
                 00000004 696e6574 00000003 75647000";
    assert_both_ways(&entry, &hex(bytes));
}

#[test]
fn a_netbuf_reads_and_writes_the_same_bytes() {
    let netbuf = Netbuf { max_len: 16, bytes: &[2, 0, 0, 111, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0] };
    assert_both_ways(&netbuf, &hex("00000010 00000010 0200006f 7f000001 00000000 00000000"));
    assert_both_ways(&Netbuf { max_len: 0, bytes: b"" }, &hex("00000000 00000000"));
    assert_both_ways(&Netbuf { max_len: MAX_STRING, bytes: b"/" }, &hex("00002328 00000001 2f000000"));
    let refused = |bytes: &str| Netbuf::decode(&mut Reader::new(&hex(bytes))).map(|_| ());
    let over = Error::TooLong { len: MAX_STRING + 1, max: MAX_STRING };
    assert_eq!(refused("00002329 00000001 2f000000"), Err(over));
    assert_eq!(refused("00000000 00000001 2f000000"), Err(Error::TooLong { len: 1, max: 0 }));
}

#[test]
fn arguments_and_results_of_remote_calls_read_and_write_the_same_bytes() {
    let call = RemoteCall { program: NFS, version: Version(3), procedure: Procedure(1), arguments: b"abcde" };
    assert_both_ways(&call, &hex("000186a3 00000003 00000001 00000005 6162636465000000"));
    let result = CallResult { address: b"1.2.3.4.8.1", results: b"ok" };
    assert_both_ways(&result, &hex("0000000b 312e322e332e342e382e3100 00000002 6f6b0000"));
    assert_both_ways(&PortCallResult { port: 2049, results: b"" }, &hex("00000801 00000000"));
    assert_both_ways(&PortCallResult { port: 1, results: b"four" }, &hex("00000001 00000004 666f7572"));
}

#[test]
fn strings_over_9000_bytes_are_refused_before_they_are_looked_at() {
    let head = hex("000186a3 00000004");
    let over = (MAX_STRING + 1).to_be_bytes().to_vec();
    let refused = Error::TooLong { len: MAX_STRING + 1, max: MAX_STRING };
    let netid = [head.clone(), over.clone()].concat();
    assert_eq!(Rpcb::decode(&mut Reader::new(&netid)), Err(refused));
    let address = [head.clone(), hex("00000000"), over.clone()].concat();
    assert_eq!(Rpcb::decode(&mut Reader::new(&address)), Err(refused));
    let owner = [head.clone(), hex("00000000 00000000"), over.clone()].concat();
    assert_eq!(Rpcb::decode(&mut Reader::new(&owner)), Err(refused));
    let arguments = [head.clone(), hex("00000001"), over.clone()].concat();
    assert_eq!(RemoteCall::decode(&mut Reader::new(&arguments)), Err(refused));
    let buffer = [MAX_STRING.to_be_bytes().to_vec(), over.clone()].concat();
    assert_eq!(Netbuf::decode(&mut Reader::new(&buffer)), Err(refused));
    assert_eq!(Entry::decode(&mut Reader::new(&over)), Err(refused));
    assert_eq!(CallResult::decode(&mut Reader::new(&over)), Err(refused));

    let longest = vec![b'x'; MAX_STRING as usize];
    let row = Rpcb { program: NFS, version: Version(3), netid: b"", address: &longest, owner: b"unknown" };
    let bytes = encoded(&row);
    assert_eq!(Rpcb::decode(&mut Reader::new(&bytes)), Ok(row));
}

const ADDRESSES: [AddressCount<'static>; 2] = [
    AddressCount { program: NFS, version: Version(3), success: 5, failure: 1, netid: b"tcp" },
    AddressCount { program: Program(7), version: Version(1), success: 0, failure: -1, netid: b"" },
];

const REMOTE: RemoteCount<'static> = RemoteCount {
    program: Program(100_004),
    version: Version(2),
    procedure: Procedure(1),
    success: 1,
    failure: 2,
    indirect: 3,
    netid: b"udp",
};

#[test]
fn rows_of_the_statistics_read_and_write_the_same_bytes() {
    assert_both_ways(&ADDRESSES[0], &hex("000186a3 00000003 00000005 00000001 00000003 74637000"));
    assert_both_ways(&ADDRESSES[1], &hex("00000007 00000001 00000000 ffffffff 00000000"));
    assert_both_ways(
        &REMOTE,
        &hex("000186a4 00000002 00000001 00000001 00000002 00000003 00000003 75647000"),
    );
}

#[test]
fn counters_are_13_procedures_then_set_and_unset() {
    let counters = Counters { calls: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1], set: 14, unset: 15 };
    let bytes = "00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 00000009 0000000a
                 0000000b 0000000c ffffffff 0000000e 0000000f";
    assert_both_ways(&counters, &hex(bytes));
}

#[test]
fn the_statistics_of_a_version_are_read_as_they_were_written_and_no_truncation_is_accepted() {
    let counters = Counters { calls: [3; 13], set: 1, unset: 0 };
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer);
    encode_version(&counters, ADDRESSES, [REMOTE], &mut writer).unwrap();
    let bytes = writer.written();

    let mut reader = Reader::new(bytes);
    let table = VersionTable::decode(&mut reader).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(table.counters, counters);
    assert_eq!(table.addresses.collect::<Result<Vec<_>, _>>(), Ok(ADDRESSES.to_vec()));
    assert_eq!(table.remote.collect::<Result<Vec<_>, _>>(), Ok(vec![REMOTE]));
    for len in 0..bytes.len() {
        assert!(VersionTable::decode(&mut Reader::new(&bytes[..len])).is_err(), "{len} bytes");
        let mut short = vec![0; len];
        let outcome = encode_version(&counters, ADDRESSES, [REMOTE], &mut Writer::new(&mut short));
        assert!(matches!(outcome, Err(Error::Full { .. })), "{len} bytes");
    }
}

/// Every element, or the first error, then the end of the message.
fn walk<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Result<Vec<T>, Error> {
    let mut list = List::new(Reader::new(bytes));
    let elements = list.by_ref().collect::<Result<_, _>>()?;
    list.reader().finish()?;
    Ok(elements)
}

fn list_bytes<T: Encode>(elements: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut buffer = vec![0; 64 * 1024];
    let mut writer = Writer::new(&mut buffer);
    encode_list(elements, &mut writer).unwrap();
    writer.written().to_vec()
}

#[test]
fn a_dump_is_read_as_it_was_written_and_no_truncation_is_accepted() {
    let mapping = Mapping { program: NFS, version: Version(3), protocol: Protocol::UDP, port: 2049 };
    let bytes = list_bytes([mapping, mapping]);
    assert_eq!(
        bytes,
        hex("00000001 000186a3 00000003 00000011 00000801
             00000001 000186a3 00000003 00000011 00000801 00000000")
    );
    assert_eq!(walk(&bytes), Ok(vec![mapping, mapping]));
    for len in 0..bytes.len() {
        assert!(walk::<Mapping>(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(walk::<Rpcb<'_>>(&list_bytes::<Rpcb<'_>>([])), Ok(vec![]));
    assert_eq!(walk::<Mapping>(&hex("00000002")), Err(Error::Bool(2)));
    assert_eq!(walk::<Mapping>(&hex("00000000 00")), Err(Error::Leftover(1)));
}

#[test]
fn a_list_of_a_million_elements_is_walked_without_recursion() {
    let element = hex("00000001 000186a3 00000003 00000011 00000801");
    let mut bytes = element.repeat(1_000_000);
    bytes.extend_from_slice(&[0; 4]);
    let list = List::<Mapping>::new(Reader::new(&bytes));
    assert_eq!(list.filter(Result::is_ok).count(), 1_000_000);
}
