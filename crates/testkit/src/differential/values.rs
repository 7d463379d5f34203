//! The small world that random calls are about: ports, netids, universal addresses and socket addresses, right ones
//! and wrong ones.

use super::case::Arguments;
use super::random::Random;
use super::side::ALIVE_PORTS;

/// Mostly a port where something is bound, so that rows are not taken for those of dead services.
pub(super) fn port(random: &mut Random) -> u16 {
    if random.percent(75) {
        return random.pick(&ALIVE_PORTS);
    }
    random.pick(&[5000, 5001, 2049, 1023, 600, 1, 65_535])
}

/// A netid, and mostly an address of its family.
pub(super) fn netid_and_address(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let family = random.below(100);
    let (netid, address) = match family {
        0..46 => (
            random.pick(&["udp", "tcp", "udp", "tcp", "udp", "tcp", "UDP", "Tcp", "sctp", "rawip"]),
            inet(random),
        ),
        46..76 => (random.pick(&["udp6", "tcp6", "udp6", "tcp6", "UDP6", "sctp6"]), inet6(random)),
        76..86 => (random.pick(&["local", "local", "unix", "ticlts", "ticots", "ticotsord"]), local(random)),
        86..92 => ("", inet(random)),
        92..94 => (random.pick(&["rdma", "dccp", "rdma6"]), inet(random)),
        _ => {
            let hostile = random.pick(&[
                &b"foo"[..],
                b"udp ",
                b" tcp",
                b"udp\0",
                b"\0",
                b"\x1b[31m",
                b"\xff\xfe",
                b"udp7",
                b"inet",
            ]);
            return (hostile.to_vec(), any_address(random));
        }
    };
    let address = if random.percent(8) { any_address(random) } else { address };
    (netid.as_bytes().to_vec(), address)
}

fn inet(random: &mut Random) -> Vec<u8> {
    let host = if random.percent(80) {
        "0.0.0.0"
    } else {
        random.pick(&["10.9.8.7", "10.9.8.8", "127.0.0.1", "1.2.3.4", "255.255.255.255"])
    };
    if random.percent(6) {
        // Another way to write it.
        let [high, low] = port(random).to_be_bytes();
        return format!("{host}.{high:03}.{low:03}").into_bytes();
    }
    dotted(host, port(random))
}

fn inet6(random: &mut Random) -> Vec<u8> {
    let host = if random.percent(80) {
        random.pick(&["::", "::", "::", "::", "::", "::", "0::0"])
    } else {
        random.pick(&["fd00::7", "::1", "2001:db8::1", "::ffff:10.9.8.7", "fe80::1", "FD00::7"])
    };
    dotted(host, port(random))
}

fn dotted(host: &str, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    format!("{host}.{high}.{low}").into_bytes()
}

fn local(random: &mut Random) -> Vec<u8> {
    random.pick(&["/run/a.sock", "/run/rpcbind.sock", "@a", "/", "/tmp/x y"]).as_bytes().to_vec()
}

/// Any address, right or wrong, of any family.
pub(super) fn any_address(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 | 1 => inet(random),
        2 | 3 => inet6(random),
        4 => local(random),
        _ => random
            .pick(&[
                &b""[..],
                b"garbage",
                b"0.0.0.0",
                b"0.0.0.0.0.0",
                b"::.0.0",
                b"0.0.0.0.300.300",
                b"0.0.0.0.4",
                b"0.0.0.0.4.1.1",
                b" 0.0.0.0.4.1",
                b"0.0.0.0.4.1 ",
                b"0.0.0.0.+4.1",
                b"0.0.0.0.-4.1",
                b"0.0.0.0.04.01",
                b"0.0.0.0.4.x",
                b"0.0.4.1",
                b"00.0.0.0.4.1",
                b"256.0.0.0.4.1",
                b"1.2.3.4.4.1\0",
                b"0.0.0.0.4.1\n",
                b"::1",
                b"::.4",
                b"1::2::3.4.1",
                b"fe80::1%1.4.1",
                b"fe80::1%lo.4.1",
                b"::1%1.4.1",
                b"/run/\x07",
                b"@",
                b".",
                b"..",
                b"\xff\xff\xff\xff",
                b"0.0.0.0.65535.65535",
                b"0.0.0.0.0.1025",
                b"0x0.0.0.0.4.1",
                b"localhost.4.1",
            ])
            .to_vec(),
    }
}

/// What a look-up says about the address that it used.
pub(super) fn hint(random: &mut Random) -> Vec<u8> {
    if random.percent(45) {
        return Vec::new();
    }
    if random.percent(10) {
        return any_address(random);
    }
    random
        .pick(&[
            "10.9.8.7.0.111",
            "10.9.8.8.0.111",
            "127.0.0.1.0.111",
            "10.9.8.1.0.111",
            "1.2.3.4.0.111",
            "1.2.3.4.19.136",
            "0.0.0.0.0.111",
            "224.0.0.1.0.111",
            "255.255.255.255.0.111",
            "fd00::7.0.111",
            "fd00::1.0.111",
            "2001:db8::1.0.111",
            "::1.0.111",
            "::.0.111",
            "ff02::202.0.111",
            "/run/rpcbind.sock",
        ])
        .as_bytes()
        .to_vec()
}

/// A socket address in Linux's layout, whole or not.
pub(super) fn netbuf(random: &mut Random) -> Arguments {
    // Family in host order, port and address in network order.
    let inet = [&2_u16.to_ne_bytes()[..], &[4, 1, 10, 9, 8, 7], &[0; 8]].concat();
    let mut inet6 =
        [&10_u16.to_ne_bytes()[..], &[4, 1, 0, 0, 0, 0], &[0xfd, 0], &[0; 13], &[7], &[0; 4]].concat();
    let link_local = random.percent(20);
    if link_local {
        inet6[8..10].copy_from_slice(&[0xfe, 0x80]);
        inet6[24..28].copy_from_slice(&1_u32.to_ne_bytes());
    }
    let mut unix = 1_u16.to_ne_bytes().to_vec();
    unix.extend_from_slice(random.pick(&[
        &b"/run/x.sock\0"[..],
        b"/run/x.sock",
        b"\0name",
        b"",
        b"\xff\x01/",
    ]));
    let mut bytes = match random.below(10) {
        0..5 => inet,
        5..8 => inet6,
        8 => unix,
        _ => vec![0xff; random.below(40)],
    };
    if random.percent(20) {
        bytes.truncate(random.below(bytes.len() + 1));
    } else if random.percent(10) {
        bytes.extend_from_slice(&[0x55; 12]);
    }
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let max_len = if random.percent(80) { length } else { random.pick(&[0, 1, 128, u32::MAX]) };
    Arguments::Netbuf { max_len, bytes }
}
