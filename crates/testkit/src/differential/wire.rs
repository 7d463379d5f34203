//! The bytes of a case (RFC 5531 sections 9 and 11, RFC 1833), written out here by hand so that the test does not
//! lean on the code it tests, and so that wrong lengths can be written too.

use super::case::{Arguments, Case, Credential, Framing, Rpcb, Tail};

/// The program whose answer to a remote call comes behind those of all that were called before it. Its number is not of
/// the well-known ones.
pub(super) const WITNESS: u32 = 0x2f00_0002;

/// Bytes in the making.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn word(&mut self, word: u32) -> &mut Self {
        self.0.extend_from_slice(&word.to_be_bytes());
        self
    }

    fn words(&mut self, words: &[u32]) -> &mut Self {
        for word in words {
            self.word(*word);
        }
        self
    }

    /// Length, bytes, padding.
    fn opaque(&mut self, bytes: &[u8]) -> &mut Self {
        self.word(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// The message of a case under this xid, without its record mark.
#[must_use]
pub(super) fn message(case: &Case, xid: u32) -> Vec<u8> {
    let mut bytes = Bytes::default();
    let header = case.header;
    bytes.words(&[xid, header.message_type, header.rpc_version]);
    bytes.words(&[header.program, header.version, header.procedure]);
    credential(&mut bytes, &case.credential);
    bytes.word(case.verifier.flavor).opaque(&vec![0x76; case.verifier.length]);
    arguments(&mut bytes, &case.arguments);
    let mut message = bytes.0;
    match case.tail {
        Tail::Whole => {}
        Tail::Cut(count) => message.truncate(message.len().saturating_sub(count)),
        Tail::Junk(count) => message.resize(message.len().saturating_add(count), 0x6a),
    }
    message
}

/// The arguments as they are encoded, nothing cut or added.
pub(super) fn argument_bytes(case: &Case) -> Vec<u8> {
    let mut bytes = Bytes::default();
    arguments(&mut bytes, &case.arguments);
    bytes.0
}

fn credential(bytes: &mut Bytes, credential: &Credential) {
    match credential {
        Credential::None(length) => bytes.word(0).opaque(&vec![0x6e; *length]),
        Credential::Sys { uid, name, gids, more, cut } => {
            let mut body = Bytes::default();
            body.word(0x5a5a).opaque(&vec![b'h'; *name]).words(&[*uid, 100]);
            body.word(u32::try_from(*gids).unwrap_or(u32::MAX)).words(&vec![7; *gids]);
            let mut body = body.0;
            body.resize(body.len().saturating_add(*more), 0);
            body.truncate(body.len().saturating_sub(*cut));
            bytes.word(1).opaque(&body)
        }
        Credential::Other { flavor, length } => bytes.word(*flavor).opaque(&vec![0x63; *length]),
    };
}

fn arguments(bytes: &mut Bytes, arguments: &Arguments) {
    match arguments {
        Arguments::Void => {}
        Arguments::Mapping { program, version, protocol, port } => {
            bytes.words(&[*program, *version, *protocol, *port]);
        }
        Arguments::Rpcb(Rpcb { program, version, netid, address, owner }) => {
            bytes.words(&[*program, *version]).opaque(netid).opaque(address).opaque(owner);
        }
        Arguments::Remote { program, version, procedure, length } => {
            bytes.words(&[*program, *version, *procedure]).opaque(&vec![0x61; *length]);
        }
        Arguments::Text(text) => {
            bytes.opaque(text);
        }
        Arguments::Netbuf { max_len, bytes: address } => {
            bytes.word(*max_len).opaque(address);
        }
    }
}

/// The probe that is sent behind every call: it is always answered, so that silence in front of it is known to be
/// silence. On streams a program that nobody has, which no port mapper counts; in datagrams NULL of version 2, since
/// errors to strangers are few.
#[must_use]
pub(super) fn probe(xid: u32, datagram: bool) -> Vec<u8> {
    let program = if datagram { 100_000 } else { 0x2f00_0001 };
    let mut bytes = Bytes::default();
    bytes.words(&[xid, 0, 2, program, 2, 0, 0, 0, 0, 0]);
    bytes.0
}

/// One record of one fragment.
#[must_use]
pub(super) fn record(message: &[u8]) -> Vec<u8> {
    fragment(message, true)
}

fn fragment(bytes: &[u8], last: bool) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(0) | if last { 0x8000_0000 } else { 0 };
    let mut fragment = length.to_be_bytes().to_vec();
    fragment.extend_from_slice(bytes);
    fragment
}

/// What is written to a stream for a message, write by write.
#[must_use]
pub(super) fn writes(message: &[u8], framing: Framing, fragments: bool) -> Vec<Vec<u8>> {
    match framing {
        Framing::Writes(count) => pieces(&record(message), count),
        Framing::Fragments(count) if fragments => {
            let parts = pieces(message, count);
            let last = parts.len().saturating_sub(1);
            let marked = parts.iter().enumerate().map(|(index, part)| fragment(part, index == last));
            vec![marked.flatten().collect()]
        }
        Framing::Whole | Framing::Fragments(_) => vec![record(message)],
        Framing::EmptyRecordFirst => vec![[record(&[]), record(message)].concat()],
        Framing::Announced(length) => vec![(length | 0x8000_0000).to_be_bytes().to_vec()],
    }
}

/// So many pieces, as equal as can be.
fn pieces(bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
    let size = bytes.len().div_ceil(count.max(1)).max(1);
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}
