//! GETTIME, UADDR2TADDR and TADDR2UADDR.

use crate::callers::{one_each, stranger_udp};
use crate::calls::{call, netbuf, opaque};
use crate::host::Host;
use oncrpc::bind::{self, Netbuf, V3, V4};
use oncrpc::xdr::{Decode, Reader};
use rpcbind_core::caller::Transport;

#[test]
fn gettime_is_the_wall_clock_of_the_moment() {
    let mut host = Host::new();
    for seconds in [0, 1, 1_700_000_000, 0x8000_0000, u32::MAX, 5] {
        host.unix_seconds = seconds;
        for called in [V3, V4] {
            assert_eq!(host.send(&stranger_udp(), &call(called, bind::GETTIME, &[])).number(), seconds);
        }
    }
}

fn inet(port: u16, host: [u8; 4]) -> Vec<u8> {
    [&2_u16.to_ne_bytes()[..], &port.to_be_bytes(), &host, &[0; 8]].concat()
}

fn inet6(port: u16, last: u8) -> Vec<u8> {
    let mut host = [0; 16];
    host[15] = last;
    [&10_u16.to_ne_bytes()[..], &port.to_be_bytes(), &[0; 4], &host, &[0; 4]].concat()
}

fn unix(path: &[u8]) -> Vec<u8> {
    [&1_u16.to_ne_bytes()[..], path].concat()
}

/// Text, and the socket address it stands for, by family: IPv4, IPv6, unix.
fn pairs() -> [Vec<(&'static str, Vec<u8>)>; 3] {
    [
        vec![
            ("1.2.3.4.8.8", inet(2_056, [1, 2, 3, 4])),
            ("0.0.0.0.0.0", inet(0, [0; 4])),
            ("255.255.255.255.255.255", inet(65_535, [255; 4])),
        ],
        vec![("::1.0.111", inet6(111, 1)), ("::.8.8", inet6(2_056, 0))],
        vec![("/run/x", unix(b"/run/x")), ("@x", unix(b"\0x"))],
    ]
}

fn of(transport: Transport) -> usize {
    match transport {
        Transport::Udp | Transport::Tcp => 0,
        Transport::Udp6 | Transport::Tcp6 => 1,
        Transport::Local => 2,
    }
}

#[test]
fn addresses_are_translated_in_the_family_of_the_transport() {
    for (transport, caller) in one_each() {
        for (family, pairs) in pairs().into_iter().enumerate() {
            for (text, bytes) in pairs {
                let mut host = Host::new();
                let same = family == of(transport);
                let ended = host.send(&caller, &call(V4, bind::UADDR2TADDR, &opaque(text.as_bytes())));
                let mut reader = Reader::new(ended.results());
                let translated = Netbuf::decode(&mut reader).unwrap();
                reader.finish().unwrap();
                let expected: &[u8] = if same { &bytes } else { &[] };
                assert_eq!(translated.bytes, expected, "{text} on {transport:?}");
                // libtirpc claims room for a whole sockaddr_un.
                let room = if same && transport == Transport::Local { 110 } else { expected.len() };
                assert_eq!(usize::try_from(translated.max_len).unwrap(), room);

                let ended = host.send(&caller, &call(V3, bind::TADDR2UADDR, &netbuf(&bytes)));
                assert_eq!(ended.text(), if same { text } else { "" }, "{text} on {transport:?}");
            }
        }
    }
}

#[test]
fn what_is_no_address_becomes_an_empty_one() {
    let mut host = Host::new();
    for text in ["", "x", "1.2.3.4.300.300", "1.2.3.4.8", "1.2.3.4.8.8 ", &"9".repeat(9_000)] {
        let caller = one_each()[1].1;
        let ended = host.send(&caller, &call(V4, bind::UADDR2TADDR, &opaque(text.as_bytes())));
        assert_eq!(ended.results(), [0; 8], "{text}");
    }
    for bytes in [&[][..], &[2], &inet(1, [1; 4])[..15], &inet6(1, 1), &[9; 16], &[0; 9_000]] {
        let caller = one_each()[1].1;
        assert_eq!(host.send(&caller, &call(V4, bind::TADDR2UADDR, &netbuf(bytes))).text(), "");
    }
}
