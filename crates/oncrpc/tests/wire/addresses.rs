//! Universal addresses (RFC 5665 section 5.2.3): what parses, what is printed, and that one follows from the other.

use oncrpc::bind::{AddressText, Family, UniversalAddress};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

fn inet(text: &str) -> Option<UniversalAddress<'_>> {
    UniversalAddress::parse(text.as_bytes(), Family::Inet)
}

fn inet6(text: &str) -> Option<UniversalAddress<'_>> {
    UniversalAddress::parse(text.as_bytes(), Family::Inet6)
}

fn text(address: &UniversalAddress<'_>) -> String {
    String::from_utf8(address.text().as_bytes().to_vec()).unwrap()
}

#[test]
fn ipv4_addresses_parse_and_print_the_same_text() {
    let table = [
        ("0.0.0.0.0.111", "0.0.0.0:111"),
        ("127.0.0.1.0.0", "127.0.0.1:0"),
        ("192.0.2.1.8.1", "192.0.2.1:2049"),
        ("255.255.255.255.255.255", "255.255.255.255:65535"),
        ("10.100.9.99.1.0", "10.100.9.99:256"),
    ];
    for (universal, socket) in table {
        let address = inet(universal).unwrap();
        let socket: SocketAddr = socket.parse().unwrap();
        assert_eq!(address.socket(), Some(socket), "{universal}");
        assert_eq!(address, UniversalAddress::from_socket(socket));
        assert_eq!((address.host(), address.port()), (Some(socket.ip()), Some(socket.port())));
        assert_eq!(text(&address), universal);
    }
}

#[test]
fn what_is_not_an_ipv4_address_with_a_port_does_not_parse() {
    let table = [
        "",
        ".",
        "......",
        "1.2.3.4",
        "1.2.3.4.5",
        "1.2.3.4.5.",
        "1.2.3.4..5",
        ".1.2.3.4.5.6",
        "1.2.3.4.5.6.7",
        "1.2.3.4.5.256",
        "1.2.3.4.256.5",
        "256.2.3.4.5.6",
        "1.2.3.4.300.300",
        "1.2.3.4.5.0006",
        "1.2.3.4.5.1000",
        " 1.2.3.4.5.6",
        "1.2.3.4.5.6 ",
        "1.2.3.4.5.6\0",
        "1.2.3.4.5.6\n",
        "1.2.3.4.+5.6",
        "1.2.3.4.-5.6",
        "1.2.3.4.5.0x6",
        "+1.2.3.4.5.6",
        "-1.2.3.4.5.6",
        "0x1.2.3.4.5.6",
        "01.2.3.4.5.6",
        "1.2.3.4,5.6",
        "1.2.3.4:5.6",
        "::1.0.111",
        "::ffff:1.2.3.4.0.111",
        "/run/rpcbind.sock",
        "@name",
        "a.b.c.d.e.f",
        "1.2.3.4.\u{661}.1",
        "99999999999999999999.0.0.1.0.111",
    ];
    for universal in table {
        assert_eq!(inet(universal), None, "{universal:?}");
    }
    assert_eq!(UniversalAddress::parse(b"1.2.3.\xff.5.6", Family::Inet), None);
}

#[test]
fn ipv6_addresses_parse_with_and_without_a_scope_and_print_without() {
    let table = [
        ("::.0.111", "[::]:111", "::.0.111"),
        ("::1.8.1", "[::1]:2049", "::1.8.1"),
        ("2001:db8::1.255.255", "[2001:db8::1]:65535", "2001:db8::1.255.255"),
        ("2001:DB8:0:0:0:0:0:1.0.1", "[2001:db8::1]:1", "2001:db8::1.0.1"),
        ("::ffff:192.0.2.1.0.111", "[::ffff:192.0.2.1]:111", "::ffff:192.0.2.1.0.111"),
        ("::ffff:c000:201.0.111", "[::ffff:192.0.2.1]:111", "::ffff:192.0.2.1.0.111"),
        ("::192.0.2.1.0.111", "[::c000:201]:111", "::192.0.2.1.0.111"),
        ("64:ff9b::192.0.2.1.0.111", "[64:ff9b::c000:201]:111", "64:ff9b::c000:201.0.111"),
        ("1:2:3:4:5:6:7:8.0.111", "[1:2:3:4:5:6:7:8]:111", "1:2:3:4:5:6:7:8.0.111"),
        ("fe80::1%2.0.111", "[fe80::1%2]:111", "fe80::1.0.111"),
        ("fe80::1%4294967295.0.111", "[fe80::1%4294967295]:111", "fe80::1.0.111"),
    ];
    for (universal, socket, printed) in table {
        let address = inet6(universal).unwrap_or_else(|| panic!("{universal} does not parse"));
        assert_eq!(address.socket(), Some(socket.parse().unwrap()), "{universal}");
        assert_eq!(text(&address), printed);
    }
}

#[test]
fn what_is_not_an_ipv6_address_with_a_port_does_not_parse() {
    let table = [
        "",
        "::",
        "::1",
        "::1.",
        "::1.0",
        "::1.0.",
        "::1.0.256",
        "::1.256.0",
        "::1..111",
        ":.0.111",
        ":::.0.111",
        "1::2::3.0.111",
        "1:2:3:4:5:6:7.0.111",
        "1:2:3:4:5:6:7:8:9.0.111",
        "12345::.0.111",
        "g::.0.111",
        "::1 .0.111",
        " ::1.0.111",
        "[::1].0.111",
        "::1%.0.111",
        "::1%eth0.0.111",
        "::1%+1.0.111",
        "::1%-1.0.111",
        "::1% 1.0.111",
        "::1%1%2.0.111",
        "::1%4294967296.0.111",
        "::1%1x.0.111",
        "%1.0.111",
        "::1.0.111%1",
        "127.0.0.1.0.111",
        "::ffff:1.2.3.0.111",
        "::ffff:1.2.3.256.0.111",
        "/run/rpcbind.sock",
        "@name",
    ];
    for universal in table {
        assert_eq!(inet6(universal), None, "{universal:?}");
    }
}

#[test]
fn an_address_has_at_most_128_bytes_whatever_zeros_its_scope_begins_with() {
    let padded = |zeros| format!("fe80::1%{}2.8.1", "0".repeat(zeros));
    let longest = padded(AddressText::CAPACITY - padded(0).len());
    let address = UniversalAddress::parse(longest.as_bytes(), Family::Inet6).expect("128 bytes");
    assert_eq!(address.socket(), Some("[fe80::1%2]:2049".parse().unwrap()));
    assert_eq!(inet6(&longest.replace('%', "%0")), None);
}

/// Rows of groups and text: what glibc prints.
fn inet_ntop() -> impl Iterator<Item = (Ipv6Addr, &'static str)> {
    include_str!("inet_ntop.txt").lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (groups, text) = line.split_once("  ").unwrap();
        let groups: Vec<u16> =
            groups.split(' ').map(|group| u16::from_str_radix(group, 16).unwrap()).collect();
        (Ipv6Addr::from(<[u16; 8]>::try_from(groups).unwrap()), text)
    })
}

#[test]
fn ipv6_text_is_what_inet_ntop_prints() {
    assert!(inet_ntop().count() >= 256);
    for (address, expected) in inet_ntop() {
        let universal = UniversalAddress::Inet6(SocketAddrV6::new(address, 2049, 0, 0));
        assert_eq!(text(&universal), format!("{expected}.8.1"));
        assert_eq!(inet6(&format!("{expected}.8.1")), Some(universal));
    }
}

#[test]
fn paths_and_abstract_names_parse_and_print_the_same_text() {
    let longest = format!("/{}", "p".repeat(107));
    for path in ["/run/rpcbind.sock", "/", "/with blank", &longest] {
        let address = UniversalAddress::parse(path.as_bytes(), Family::Local).unwrap();
        assert_eq!(address, UniversalAddress::Path(path.as_bytes()));
        assert_eq!(text(&address), path);
        assert_eq!((address.socket(), address.host(), address.port()), (None, None, None));
    }
    let longest = format!("@{}", "n".repeat(107));
    for name in ["@/run/rpcbind.sock", "@x", &longest] {
        let address = UniversalAddress::parse(name.as_bytes(), Family::Local)
            .unwrap_or_else(|| panic!("{name} does not parse"));
        assert_eq!(address, UniversalAddress::Abstract(&name.as_bytes()[1..]));
        assert_eq!(text(&address), name);
        assert_eq!((address.socket(), address.host(), address.port()), (None, None, None));
    }
}

#[test]
fn what_is_no_path_or_name_of_a_unix_socket_does_not_parse() {
    let long_path = format!("/{}", "p".repeat(108));
    let long_name = format!("@{}", "n".repeat(108));
    let table =
        ["", "@", "relative", "run/rpcbind.sock", "/a\0b", "@a\0", "127.0.0.1.0.111", &long_path, &long_name];
    for text in table {
        assert_eq!(UniversalAddress::parse(text.as_bytes(), Family::Local), None, "{text:?}");
    }
}

#[test]
fn text_that_does_not_fit_is_cut_at_its_capacity() {
    let mut text = AddressText::new();
    assert_eq!(text.as_bytes(), b"");
    for _ in 0..10 {
        text.push(&[b'x'; 30]);
    }
    assert_eq!(text.as_bytes(), [b'x'; AddressText::CAPACITY]);
}

/// Text near the grammar: its characters in any order, and addresses with one character changed.
fn near_addresses() -> impl Strategy<Value = String> {
    let alphabet = prop::sample::select("0123456789abcdef.:%/@+- ".chars().collect::<Vec<_>>());
    let soup = prop::collection::vec(alphabet.clone(), 0..48).prop_map(|text| text.into_iter().collect());
    const SEEDS: [&str; 5] =
        ["192.0.2.1.8.1", "::1.0.111", "::ffff:192.0.2.1.0.111", "fe80::1%2.8.1", "1:2:3:4:5:6:7:8.255.1"];
    let changed = (prop::sample::select(&SEEDS[..]), any::<prop::sample::Index>(), alphabet, 0..3).prop_map(
        |(seed, index, letter, how)| {
            let mut text: Vec<char> = seed.chars().collect();
            let at = index.index(text.len());
            match how {
                0 => text[at] = letter,
                1 => text.insert(at, letter),
                _ => drop(text.remove(at)),
            }
            text.into_iter().collect()
        },
    );
    prop_oneof![soup, changed]
}

/// The grammar once more, from the other end: two octets are taken off with the standard library's parsers.
fn naive(universal: &str, family: Family) -> Option<SocketAddr> {
    let mut parts = universal.rsplitn(3, '.');
    let octet = |text: &str| {
        let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u8>().ok()).flatten()
    };
    let (low, high) = (octet(parts.next()?)?, octet(parts.next()?)?);
    let port = u16::from(high) << 8 | u16::from(low);
    let host = parts.next()?;
    match family {
        Family::Inet => host.parse().ok().map(|host| SocketAddr::V4(SocketAddrV4::new(host, port))),
        Family::Inet6 => {
            let (host, scope) = match host.split_once('%') {
                Some((host, scope)) if scope.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (host, scope.parse().ok()?)
                }
                Some(_) => return None,
                None => (host, 0),
            };
            host.parse().ok().map(|host| SocketAddr::V6(SocketAddrV6::new(host, port, 0, scope)))
        }
        Family::Local => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_ipv4_address_comes_back_from_its_text(host: u32, port: u16) {
        let address = UniversalAddress::Inet(SocketAddrV4::new(Ipv4Addr::from(host), port));
        let printed = text(&address);
        prop_assert_eq!(inet(&printed), Some(address));
        prop_assert_eq!(printed, format!("{}.{}.{}", Ipv4Addr::from(host), port >> 8, port & 0xff));
    }

    #[test]
    fn every_ipv6_address_comes_back_from_its_text(groups: [u16; 8], zeros: u8, port: u16) {
        let mut groups = groups;
        for (index, group) in groups.iter_mut().enumerate() {
            *group *= u16::from(zeros >> index & 1);
        }
        let address = UniversalAddress::Inet6(SocketAddrV6::new(Ipv6Addr::from(groups), port, 0, 0));
        let printed = text(&address);
        prop_assert_eq!(inet6(&printed), Some(address));
    }

    #[test]
    fn any_text_parses_as_the_grammar_says_and_prints_what_parses_again(universal in near_addresses()) {
        for family in [Family::Inet, Family::Inet6] {
            let parsed = UniversalAddress::parse(universal.as_bytes(), family);
            prop_assert_eq!(parsed.and_then(|address| address.socket()), naive(&universal, family), "{:?}", &universal);
        }
        for family in [Family::Inet, Family::Inet6, Family::Local] {
            if let Some(address) = UniversalAddress::parse(universal.as_bytes(), family) {
                let printed = address.text();
                let again = UniversalAddress::parse(printed.as_bytes(), family).unwrap();
                prop_assert_eq!((again.host(), again.port()), (address.host(), address.port()));
                prop_assert_eq!(text(&again), text(&address));
            }
        }
    }

    #[test]
    fn any_bytes_parse_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        for family in [Family::Inet, Family::Inet6, Family::Local] {
            let parsed = UniversalAddress::parse(&bytes, family);
            prop_assert!(parsed.is_none() || bytes.len() <= AddressText::CAPACITY);
        }
    }
}
