//! Cases and replies in words, for whoever has to understand a difference.

use std::fmt;

use oncrpc::{Answer, Reply};

use super::case::{Arguments, Caller, Case, Credential, Framing, Place, Tail, Transport};
use super::seen::Seen;

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Udp6 => "udp6",
            Self::Tcp6 => "tcp6",
        })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Root => "root",
            Place::User => "an ordinary user",
            Place::PrivilegedPort => "root, from a privileged port",
            Place::OtherLoopback => "root, from 127.0.0.2",
            Place::OwnAddress => "root, from the host's own address",
            Place::Witness => "the harness",
            Place::Stranger => "a stranger",
            Place::StrangerAtSecond => "a stranger, at the second address",
        };
        write!(f, "{place} over {}", self.transport)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header;
        write!(f, "{}: ", self.caller)?;
        if header.message_type != 0 {
            write!(f, "message type {}, ", header.message_type)?;
        }
        if header.rpc_version != 2 {
            write!(f, "RPC version {}, ", header.rpc_version)?;
        }
        if header.program != 100_000 {
            write!(f, "program {}, ", header.program)?;
        }
        write!(f, "v{} {}", header.version, procedure(header.version, header.procedure))?;
        write!(f, "{}", Listed(&self.arguments))?;
        match &self.credential {
            Credential::None(0) => {}
            Credential::None(length) => write!(f, ", AUTH_NONE with {length} bytes")?,
            Credential::Sys { uid, name, gids, more, cut } => {
                write!(f, ", AUTH_SYS uid {uid}, name of {name} bytes, {gids} groups")?;
                if (*more, *cut) != (0, 0) {
                    write!(f, ", body {more} bytes longer, {cut} shorter")?;
                }
            }
            Credential::Other { flavor, length } => {
                write!(f, ", credential of flavour {flavor} with {length} bytes")?;
            }
        }
        if (self.verifier.flavor, self.verifier.length) != (0, 0) {
            write!(f, ", verifier of flavour {} with {} bytes", self.verifier.flavor, self.verifier.length)?;
        }
        match self.tail {
            Tail::Whole => {}
            Tail::Cut(count) => write!(f, ", the last {count} bytes missing")?,
            Tail::Junk(count) => write!(f, ", {count} bytes behind it")?,
        }
        match self.framing {
            Framing::Whole => Ok(()),
            Framing::Writes(count) => write!(f, ", in {count} writes"),
            Framing::Fragments(count) => write!(f, ", in {count} fragments"),
            Framing::EmptyRecordFirst => write!(f, ", behind an empty record"),
            Framing::Announced(length) => write!(f, ", as a record said to have {length} bytes"),
        }
    }
}

/// The arguments in brackets.
struct Listed<'a>(&'a Arguments);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Arguments::Void => Ok(()),
            Arguments::Mapping { program, version, protocol, port } => {
                write!(f, "({program}, {version}, protocol {protocol}, port {port})")
            }
            Arguments::Rpcb(rpcb) => {
                let [netid, address, owner] =
                    [&rpcb.netid, &rpcb.address, &rpcb.owner].map(|text| quoted(text));
                write!(f, "({}, {}, {netid}, {address}, {owner})", rpcb.program, rpcb.version)
            }
            Arguments::Remote { program, version, procedure, length } => {
                write!(f, "({program}, {version}, procedure {procedure}, {length} bytes)")
            }
            Arguments::Text(text) => write!(f, "({})", quoted(text)),
            Arguments::Netbuf { max_len, bytes } => {
                write!(f, "({max_len}, {} bytes {bytes:02x?})", bytes.len())
            }
        }
    }
}

/// The first bytes of a string, escaped.
#[must_use]
pub fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 60;
    match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => {
            format!("\"{}\"... of {} bytes", start.escape_ascii(), text.len())
        }
        _ => format!("\"{}\"", text.escape_ascii()),
    }
}

/// The name of a procedure.
fn procedure(version: u32, procedure: u32) -> String {
    let two = ["NULL", "SET", "UNSET", "GETPORT", "DUMP", "CALLIT"];
    let four = [
        "NULL",
        "SET",
        "UNSET",
        "GETADDR",
        "DUMP",
        "BCAST",
        "GETTIME",
        "UADDR2TADDR",
        "TADDR2UADDR",
        "GETVERSADDR",
        "INDIRECT",
        "GETADDRLIST",
        "GETSTAT",
    ];
    let index = usize::try_from(procedure).unwrap_or(usize::MAX);
    let name = match version {
        2 => two.get(index),
        3 => four.get(index).filter(|_| procedure <= 8),
        _ => four.get(index),
    };
    name.map_or_else(|| format!("procedure {procedure}"), |name| (*name).to_owned())
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("silence"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Statistics(statistics) => write!(f, "{statistics:?}"),
            Self::Reply(reply) => match Reply::decode(reply).map(|reply| reply.answer) {
                Ok(Answer::Success(results)) => {
                    write!(f, "SUCCESS, {} bytes {}", results.len(), quoted(results))
                }
                Ok(answer) => write!(f, "{answer:?}"),
                Err(error) => write!(f, "no reply ({error:?}): {}", quoted(reply)),
            },
        }
    }
}
