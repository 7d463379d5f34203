//! The kernel's messages, and its reading of replies (RFC 5531, RFC 1833), written out by hand.

use std::io::{self, Read, Write};

use socket2::Socket;

pub(super) const V2: u32 = 2;
pub(super) const V3: u32 = 3;
pub(super) const V4: u32 = 4;
pub(super) const NULL: u32 = 0;
pub(super) const SET: u32 = 1;
pub(super) const UNSET: u32 = 2;
pub(super) const GETPORT: u32 = 3;
pub(super) const GETADDR: u32 = 3;

/// The longest universal address that the kernel takes, in bytes: an IPv6 address of 48 bytes, and ".255.255" with
/// its NUL.
pub const MAX_ADDRESS: usize = 57;
/// The longest netid that it sends, in bytes.
const MAX_NETID: usize = 4;
/// The longest owner that it sends, in bytes.
const MAX_OWNER: usize = 4;

/// The kernel's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// AUTH_NONE, on unix sockets.
    None,
    /// AUTH_SYS of uid 0 without groups, everywhere else.
    Sys,
}

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = words(&[u32::try_from(bytes.len()).unwrap_or(u32::MAX)]);
    encoded.extend_from_slice(bytes);
    encoded.resize(encoded.len().next_multiple_of(4), 0);
    encoded
}

/// Version 4's arguments. The kernel cuts what is too long, with a warning.
pub(super) fn rpcb(program: u32, version: u32, netid: &str, address: &str, owner: &str) -> Vec<u8> {
    debug_assert!(netid.len() <= MAX_NETID && address.len() <= MAX_ADDRESS && owner.len() <= MAX_OWNER);
    let strings = [netid, address, owner].map(|text| opaque(text.as_bytes()));
    [words(&[program, version]), strings.concat()].concat()
}

pub(super) fn message(
    xid: u32,
    version: u32,
    procedure: u32,
    credential: Credential,
    arguments: &[u8],
) -> Vec<u8> {
    let header = words(&[xid, 0, 2, 100_000, version, procedure]);
    let credential = match credential {
        Credential::None => words(&[0, 0]),
        // Stamp, machine name, uid, gid, no groups.
        Credential::Sys => {
            let body = [words(&[0x0102_0304]), opaque(b"kernel"), words(&[0, 0, 0])].concat();
            [words(&[1]), opaque(&body)].concat()
        }
    };
    [header, credential, words(&[0, 0]), arguments.to_vec()].concat()
}

/// Sends a message as one record and reads the reply's results.
pub(super) fn exchange(mut stream: &Socket, xid: u32, message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[words(&[length | 0x8000_0000]), message.to_vec()].concat())?;
    let mut reply = Vec::new();
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        stream.take(u64::from(mark & 0x7fff_ffff)).read_to_end(&mut reply)?;
        if mark & 0x8000_0000 != 0 {
            return results(xid, &reply);
        }
    }
}

/// The results of a reply that was accepted with SUCCESS and has an empty AUTH_NONE verifier.
pub(super) fn results(xid: u32, reply: &[u8]) -> io::Result<Vec<u8>> {
    let success = words(&[xid, 1, 0, 0, 0, 0]);
    let results = reply.strip_prefix(success.as_slice());
    let other = || io::Error::other(format!("not SUCCESS: {reply:02x?}"));
    results.map(<[u8]>::to_vec).ok_or_else(other)
}

/// Any word but 0 is TRUE.
pub(super) fn boolean(results: &[u8]) -> io::Result<bool> {
    Ok(word(results)? != 0)
}

/// A port, which has 16 bits.
pub(super) fn port(results: &[u8]) -> io::Result<u16> {
    u16::try_from(word(results)?).map_err(io::Error::other)
}

/// A string of at most `max` bytes.
pub(super) fn string(results: &[u8], max: usize) -> io::Result<&[u8]> {
    let length = usize::try_from(word(results)?).map_err(io::Error::other)?;
    let text = results.get(4..).and_then(|text| text.get(..length)).filter(|text| text.len() <= max);
    text.ok_or_else(|| io::Error::other(format!("a string of {length} bytes in {}", results.len())))
}

fn word(results: &[u8]) -> io::Result<u32> {
    let word = results.first_chunk().ok_or_else(|| io::Error::other("results are missing"))?;
    Ok(u32::from_be_bytes(*word))
}
