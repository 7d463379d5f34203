//! The table of netids (RFC 5665 section 5.2): what is built in, what can be added, what is found.

use oncrpc::bind::netid::{Attributes, MAX_NETID, NetidError};
use oncrpc::bind::{Family, Netid, Netids, Semantics};

/// Name, number of the semantics, family, protocol.
const BUILT_IN: [(&str, u32, &str, &str); 16] = [
    ("udp", 1, "inet", "udp"),
    ("tcp", 3, "inet", "tcp"),
    ("udp6", 1, "inet6", "udp"),
    ("tcp6", 3, "inet6", "tcp"),
    ("local", 3, "loopback", "-"),
    ("unix", 3, "loopback", "-"),
    ("rawip", 4, "inet", "-"),
    ("ticlts", 1, "loopback", "-"),
    ("ticots", 2, "loopback", "-"),
    ("ticotsord", 3, "loopback", "-"),
    ("sctp", 3, "inet", "sctp"),
    ("sctp6", 3, "inet6", "sctp"),
    ("dccp", 1, "inet", "dccp"),
    ("dccp6", 1, "inet6", "dccp"),
    ("rdma", 3, "inet", "rdma"),
    ("rdma6", 3, "inet6", "rdma"),
];

fn named(name: &str) -> Attributes {
    Attributes { name: name.into(), semantics: Semantics::Clts, family: Family::Inet, protocol: "udp".into() }
}

#[test]
fn the_built_in_netids_are_found_in_any_case_and_spelt_by_the_table() {
    let netids = Netids::default();
    for (name, semantics, family, protocol) in BUILT_IN {
        let netid = netids.find(name.as_bytes()).unwrap();
        assert_eq!(netids.find(name.to_uppercase().as_bytes()), Some(netid));
        assert_eq!(netids.name(netid), name);
        let attributes = netids.attributes(netid).unwrap();
        let found = (attributes.semantics.number(), attributes.family.name(), &*attributes.protocol);
        assert_eq!(found, (semantics, family, protocol), "{name}");
        assert_eq!(netids.family(netid), Some(attributes.family));
    }
    for absent in ["", "ud", "udp ", "udp66", "udp\0", "\u{fc}dp"] {
        assert_eq!(netids.find(absent.as_bytes()), None, "{absent:?}");
    }
    for (netid, name) in [
        (Netid::UDP, "udp"),
        (Netid::TCP, "tcp"),
        (Netid::UDP6, "udp6"),
        (Netid::TCP6, "tcp6"),
        (Netid::LOCAL, "local"),
    ] {
        assert_eq!(netids.find(name.as_bytes()), Some(netid));
    }
}

#[test]
fn a_netid_that_is_added_is_found_and_the_built_in_ones_stay() {
    let mut netids = Netids::default();
    let added = netids.add(Attributes { family: Family::Inet6, ..named("Pigeon6") }).unwrap();
    assert_eq!(netids.find(b"pigeon6"), Some(added));
    assert_eq!(netids.name(added), "Pigeon6");
    assert_eq!(netids.family(added), Some(Family::Inet6));
    assert_eq!(netids.find(b"udp"), Some(Netid::UDP));
    let smaller = Netids::default();
    assert_eq!((smaller.name(added), smaller.family(added)), ("", None), "not in a table that lacks it");
}

#[test]
fn names_that_are_taken_or_cannot_be_names_are_refused() {
    let mut netids = Netids::default();
    let before = netids.clone();
    let longest = "n".repeat(MAX_NETID);
    let table = [
        ("tcp", NetidError::Duplicate),
        ("TCP", NetidError::Duplicate),
        ("", NetidError::Name),
        ("two words", NetidError::Name),
        ("tab\t", NetidError::Name),
        ("d\u{e9}j\u{e0}", NetidError::Name),
        (&format!("{longest}n"), NetidError::Name),
    ];
    for (name, error) in table {
        assert_eq!(netids.add(named(name)), Err(error), "{name:?}");
    }
    assert_eq!(netids, before);
    assert!(netids.add(named(&longest)).is_ok());
}

#[test]
fn the_table_holds_256_netids() {
    let mut netids = Netids::default();
    for number in BUILT_IN.len()..256 {
        assert!(netids.add(named(&format!("n{number}"))).is_ok(), "{number}");
    }
    assert_eq!(netids.add(named("n256")), Err(NetidError::Full));
    assert_eq!(netids.name(netids.find(b"n255").unwrap()), "n255");
}

#[test]
fn the_semantics_have_the_numbers_1_to_4() {
    for number in 0..8 {
        let semantics = Semantics::from_number(number);
        assert_eq!(semantics.map(Semantics::number), (1..=4).contains(&number).then_some(number));
    }
    assert_eq!(Semantics::from_number(u32::MAX), None);
}
