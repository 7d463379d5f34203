//! Socket addresses in the host's layout, as UADDR2TADDR and TADDR2UADDR carry them.

use oncrpc::bind::sockaddr::{MAX_SOCKADDR, Sockaddr, parse};
use oncrpc::bind::{Family, UniversalAddress};
use proptest::prelude::*;
use std::net::SocketAddr;

const FAMILIES: [Family; 3] = [Family::Inet, Family::Inet6, Family::Local];

fn address(socket: &str) -> UniversalAddress<'static> {
    UniversalAddress::from_socket(socket.parse::<SocketAddr>().unwrap())
}

/// Family in the host's order, then the bytes of the layout.
fn layout(family: u16, rest: &[u8]) -> Vec<u8> {
    [&family.to_ne_bytes()[..], rest].concat()
}

fn table() -> Vec<(UniversalAddress<'static>, Family, Vec<u8>)> {
    let zeros = [0; 8];
    let inet = [&[0, 111, 192, 0, 2, 1][..], &zeros].concat();
    let host = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let inet6 = [&[8, 1, 0, 0, 0, 0][..], &host, &3_u32.to_ne_bytes()].concat();
    vec![
        (address("192.0.2.1:111"), Family::Inet, layout(2, &inet)),
        (address("[fe80::1%3]:2049"), Family::Inet6, layout(10, &inet6)),
        (UniversalAddress::Path(b"/run/x"), Family::Local, layout(1, b"/run/x")),
        (UniversalAddress::Abstract(b"name"), Family::Local, layout(1, b"\0name")),
    ]
}

#[test]
fn socket_addresses_are_laid_out_and_read_as_linux_does() {
    for (address, family, bytes) in table() {
        assert_eq!(Sockaddr::new(&address).as_bytes(), bytes, "{address:?}");
        assert_eq!(parse(&bytes, family), Some(address));
        for other in FAMILIES.into_iter().filter(|other| *other != family) {
            assert_eq!(parse(&bytes, other), None, "{address:?} as {other:?}");
        }
    }
}

#[test]
fn a_cut_inet_layout_is_refused_and_bytes_behind_one_are_not_looked_at() {
    for (address, family, bytes) in table() {
        if family != Family::Local {
            for len in 0..bytes.len() {
                assert_eq!(parse(&bytes[..len], family), None, "{len} bytes of {address:?}");
            }
            assert_eq!(parse(&[&bytes[..], &[0; 12]].concat(), family), Some(address));
        }
    }
}

#[test]
fn a_unix_name_ends_at_its_first_zero_byte() {
    let full_path = [&b"/"[..], &[b'p'; 107]].concat();
    let full_name = [&b"\0"[..], &[b'n'; 107]].concat();
    let table = [
        (layout(1, b"/run/x\0garbage"), Some(UniversalAddress::Path(b"/run/x"))),
        (layout(1, b"\0name\0\0\0"), Some(UniversalAddress::Abstract(b"name"))),
        (layout(1, &full_path), Some(UniversalAddress::Path(&full_path))),
        (layout(1, &full_name), Some(UniversalAddress::Abstract(&full_name[1..]))),
        (layout(1, &[&full_path[..], b"p"].concat()), None),
        (layout(1, b""), None),
        (layout(1, b"\0"), None),
        (layout(1, b"\0\0name"), None),
        (layout(1, b"relative"), None),
    ];
    for (bytes, expected) in &table {
        assert_eq!(parse(bytes, Family::Local), *expected, "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_without_a_panic_and_what_is_read_is_laid_out_the_same_way(
        family in prop::sample::select(vec![1_u16, 2, 10, 0, 0xffff]),
        rest in prop::collection::vec(any::<u8>(), 0..MAX_SOCKADDR + 8),
    ) {
        let bytes = layout(family, &rest);
        for family in FAMILIES {
            if let Some(address) = parse(&bytes, family) {
                let again = Sockaddr::new(&address);
                prop_assert!(again.as_bytes().len() <= MAX_SOCKADDR);
                prop_assert_eq!(parse(again.as_bytes(), family), Some(address));
                let text = address.text();
                prop_assert!(UniversalAddress::parse(text.as_bytes(), family).is_some(), "its text parses too");
            }
        }
    }

    #[test]
    fn any_name_of_a_unix_socket_that_is_read_has_a_text_that_parses(
        first in prop::sample::select(vec![0, b'/']),
        rest in prop_oneof![prop::collection::vec(1..=255_u8, 90..110), prop::collection::vec(any::<u8>(), 0..110)],
    ) {
        let bytes = layout(1, &[&[first], &rest[..]].concat());
        if let Some(address) = parse(&bytes, Family::Local) {
            let text = address.text();
            prop_assert_eq!(UniversalAddress::parse(text.as_bytes(), Family::Local), Some(address));
        }
    }

    #[test]
    fn every_internet_address_comes_back_from_its_layout(groups: [u16; 8], scope: u32, host: u32, port: u16) {
        let v4 = address(&format!("{}:{port}", std::net::Ipv4Addr::from(host)));
        let layout = Sockaddr::new(&v4);
        prop_assert_eq!(parse(layout.as_bytes(), Family::Inet), Some(v4));
        let v6 = std::net::SocketAddrV6::new(groups.into(), port, 0, scope);
        let v6 = UniversalAddress::Inet6(v6);
        let layout = Sockaddr::new(&v6);
        prop_assert_eq!(parse(layout.as_bytes(), Family::Inet6), Some(v6));
    }
}
