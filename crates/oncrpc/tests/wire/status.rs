//! The types of the status program (`docs/status-protocol.md`): byte tables both ways, limits, unknown values.

use crate::hex::{assert_both_ways, hex};
use oncrpc::bind::status::{Head, Liveness, PROGRAM, RowStatus, State};
use oncrpc::xdr::{Decode, Error, Reader};
use oncrpc::{Program, Version};

const HEAD: Head<'_> = Head {
    version: b"0.1.0",
    clock_seconds: 75,
    state: State::Degraded,
    why: b"disk full",
    judges: true,
    last_sweep_seconds: Some(60),
    rows: 15,
    dead: 2,
    died: 3,
    came_back: 1,
    replaced: 4,
    expired: 5,
};

const ROW: RowStatus<'_> = RowStatus {
    program: Program(100_024),
    version: Version(1),
    netid: b"udp",
    address: b"0.0.0.0.128.2",
    from_home: true,
    liveness: Liveness::Dead,
    since_seconds: 40,
};

#[test]
fn the_program_has_a_number_that_everybody_may_use() {
    assert!((0x2000_0000..=0x3fff_ffff).contains(&PROGRAM.0));
    assert_eq!(PROGRAM.0, 544_238_963);
}

#[test]
fn what_is_told_of_the_daemon_reads_and_writes_the_same_bytes() {
    let bytes = "00000005 302e312e30000000 0000004b 00000002 00000009 6469736b2066756c6c000000
                 00000001 00000001 0000003c 0000000f 00000002 00000003 00000001 00000004 00000005";
    assert_both_ways(&HEAD, &hex(bytes));
    let least = Head {
        version: b"",
        state: State::Memory,
        why: b"",
        judges: false,
        last_sweep_seconds: None,
        ..HEAD
    };
    let bytes = "00000000 0000004b 00000000 00000000 00000000 00000000
                 0000000f 00000002 00000003 00000001 00000004 00000005";
    assert_both_ways(&least, &hex(bytes));
    let durable = Head { state: State::Durable, ..least };
    assert_both_ways(&durable, &hex(&bytes.replacen("0000004b 00000000", "0000004b 00000001", 1)));
}

#[test]
fn what_is_told_of_a_row_reads_and_writes_the_same_bytes() {
    let bytes = "000186b8 00000001 00000003 75647000 0000000d 302e302e302e302e3132382e32000000
                 00000001 00000002 00000028";
    assert_both_ways(&ROW, &hex(bytes));
    for (liveness, number) in [(Liveness::NotJudged, "00000000"), (Liveness::Alive, "00000001")] {
        let row = RowStatus { liveness, from_home: false, since_seconds: 0, ..ROW };
        let bytes = bytes.replace("00000001 00000002 00000028", &format!("00000000 {number} 00000000"));
        assert_both_ways(&row, &hex(&bytes));
    }
}

#[test]
fn longer_texts_and_unknown_values_are_refused() {
    let head = |bytes: &str| Head::decode(&mut Reader::new(&hex(bytes))).map(|_| ());
    assert_eq!(head("00000041"), Err(Error::TooLong { len: 65, max: 64 }));
    assert_eq!(head("00000000 00000000 00000003"), Err(Error::Discriminant(3)));
    assert_eq!(head("00000000 00000000 00000000 00000101"), Err(Error::TooLong { len: 257, max: 256 }));
    assert_eq!(head("00000000 00000000 00000000 00000000 00000002"), Err(Error::Bool(2)));
    let row = |bytes: &str| RowStatus::decode(&mut Reader::new(&hex(bytes))).map(|_| ());
    assert_eq!(row("00000000 00000000 00000021"), Err(Error::TooLong { len: 33, max: 32 }));
    assert_eq!(row("00000000 00000000 00000000 00000081"), Err(Error::TooLong { len: 129, max: 128 }));
    let unknown = "00000000 00000000 00000000 00000000 00000001 00000003";
    assert_eq!(row(unknown), Err(Error::Discriminant(3)));
}
