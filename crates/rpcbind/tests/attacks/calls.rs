//! Calls, word by word, so that they can be wrong.

/// A message's end: the results TRUE and FALSE.
pub(crate) const TRUE: [u8; 4] = [0, 0, 0, 1];
pub(crate) const FALSE: [u8; 4] = [0, 0, 0, 0];

/// Words in the order of the network.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Counted bytes with their padding.
pub(crate) fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut bytes = words(&[u32::try_from(text.len()).unwrap()]);
    bytes.extend_from_slice(text);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A call with AUTH_NONE.
pub(crate) fn message(program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    [words(&[7, 0, 2, program, version, procedure, 0, 0, 0, 0]), arguments.to_vec()].concat()
}

/// The same with another transaction id.
pub(crate) fn with_xid(mut message: Vec<u8>, xid: u32) -> Vec<u8> {
    message[..4].copy_from_slice(&xid.to_be_bytes());
    message
}

/// A call of the port mapper.
pub(crate) fn mapper(version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    message(100_000, version, procedure, arguments)
}

pub(crate) fn null(version: u32) -> Vec<u8> {
    mapper(version, 0, &[])
}

/// NULL with a credential of this flavour and without a body.
pub(crate) fn null_with(version: u32, flavor: u32) -> Vec<u8> {
    words(&[7, 0, 2, 100_000, version, 0, flavor, 0, 0, 0])
}

/// The arguments of versions 3 and 4.
pub(crate) fn row(program: u32, version: u32, netid: impl AsRef<[u8]>, address: impl AsRef<[u8]>) -> Vec<u8> {
    [words(&[program, version]), text(netid), text(address), text("")].concat()
}

pub(crate) fn set(program: u32, version: u32, netid: impl AsRef<[u8]>, address: impl AsRef<[u8]>) -> Vec<u8> {
    mapper(4, 1, &row(program, version, netid, address))
}

pub(crate) fn unset(program: u32, version: u32, netid: impl AsRef<[u8]>) -> Vec<u8> {
    mapper(4, 2, &row(program, version, netid, ""))
}

/// The arguments of version 2; protocol 17 is UDP, 6 TCP.
pub(crate) fn mapping(program: u32, version: u32, protocol: u32, port: u32) -> Vec<u8> {
    words(&[program, version, protocol, port])
}

/// The arguments of a remote call.
pub(crate) fn remote(program: u32, version: u32, procedure: u32) -> Vec<u8> {
    [words(&[program, version, procedure]), text("")].concat()
}

/// What a stranger can send, with a name: every procedure, every error, and what gets no answer at all.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    // The family in the order of this machine, as in a sockaddr.
    let [inet_low, inet_high] = 2_u16.to_ne_bytes();
    let [inet6_low, inet6_high] = 10_u16.to_ne_bytes();
    let inet = [&[inet_low, inet_high, 0, 111, 10, 1, 0, 1][..], &[0; 8]].concat();
    let inet6 = [&[inet6_low, inet6_high, 0, 111, 0, 0, 0, 0, 0x20][..], &[0x11; 15], &[0; 4]].concat();
    let sockaddr = |bytes: Vec<u8>| [words(&[28]), text(bytes)].concat();
    let hint = "10.1.0.9.3.9";
    let long = "2001:db8:1111:2222:3333:4444:5555:6666.0.111";
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, message: Vec<u8>| all.push((name.to_owned(), message));
    for version in 2..=4 {
        add(&format!("NULL v{version}"), null(version));
        add(&format!("DUMP v{version}"), mapper(version, 4, &[]));
        add(&format!("remote call v{version}"), mapper(version, 5, &remote(400_000, 1, 0)));
        add(&format!("unknown procedure v{version}"), mapper(version, 99, &[]));
        add(&format!("garbage v{version}"), mapper(version, 3, &[0; 4]));
    }
    add("GETPORT", mapper(2, 3, &mapping(400_000, 1, 17, 0)));
    add("GETPORT, absent", mapper(2, 3, &mapping(399_999, 1, 17, 0)));
    add("SET v2", mapper(2, 1, &mapping(400_100, 1, 17, 5_000)));
    add("UNSET v2", mapper(2, 2, &mapping(400_000, 1, 17, 0)));
    for version in 3..=4 {
        add(&format!("GETADDR v{version}, shortest"), mapper(version, 3, &row(400_000, 1, "", "")));
        add(&format!("GETADDR v{version}, udp"), mapper(version, 3, &row(400_000, 1, "udp", "")));
        add(&format!("GETADDR v{version}, with a hint"), mapper(version, 3, &row(400_000, 1, "udp", hint)));
        add(&format!("GETADDR v{version}, long"), mapper(version, 3, &row(400_000, 1, "udp", long)));
        add(&format!("SET v{version}"), mapper(version, 1, &row(400_100, 1, "udp", "0.0.0.0.19.136")));
        add(&format!("UNSET v{version}"), mapper(version, 2, &row(400_000, 1, "udp", "")));
        add(&format!("GETTIME v{version}"), mapper(version, 6, &[]));
        add(&format!("UADDR2TADDR v{version}, IPv4"), mapper(version, 7, &text("10.1.0.1.0.111")));
        add(&format!("UADDR2TADDR v{version}, IPv6"), mapper(version, 7, &text("::.0.0")));
        add(&format!("TADDR2UADDR v{version}, IPv4"), mapper(version, 8, &sockaddr(inet.clone())));
        add(&format!("TADDR2UADDR v{version}, IPv6"), mapper(version, 8, &sockaddr(inet6.clone())));
    }
    add("GETVERSADDR", mapper(4, 9, &row(400_000, 1, "udp", "")));
    add("INDIRECT", mapper(4, 10, &remote(400_000, 1, 0)));
    add("GETADDRLIST", mapper(4, 11, &row(100_000, 4, "udp", "")));
    add("GETSTAT", mapper(4, 12, &[]));
    add("unknown version", mapper(9, 0, &[]));
    add("unknown program", message(100_003, 3, 0, &[]));
    add("RPC version 3", words(&[7, 0, 3, 100_000, 4, 0, 0, 0, 0, 0]));
    add("AUTH_TLS", null_with(4, 7));
    add("a reply", words(&[7, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    add("39 bytes", null(4)[..39].to_vec());
    add("nothing", Vec::new());
    all
}
