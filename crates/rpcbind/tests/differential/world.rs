//! What the rules know of the world of the test: who is who, which addresses there are, what a universal address is.
//! Written from the documents, not from the code that is tested.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use oncrpc::Answer;
use oncrpc::bind::{Mapping, Protocol, Rpcb};
use oncrpc::xdr::{Decode, Reader};
use testkit::differential::ALIVE_PORTS;
use testkit::differential::case::{Arguments, Caller, Case, Place, Transport};
use testkit::table::Row;

/// What kind of address a netid has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Inet,
    Inet6,
    Local,
}

/// The netids that the port mapper itself is served on.
pub(crate) const SERVED: [&str; 5] = ["udp", "tcp", "udp6", "tcp6", "local"];

/// The family of a netid that may be registered, compared without case.
pub(crate) fn family(netid: &str) -> Option<Family> {
    match netid.to_ascii_lowercase().as_str() {
        "udp" | "tcp" | "rawip" | "sctp" | "dccp" | "rdma" => Some(Family::Inet),
        "udp6" | "tcp6" | "sctp6" | "dccp6" | "rdma6" => Some(Family::Inet6),
        "local" | "unix" | "ticlts" | "ticots" | "ticotsord" => Some(Family::Local),
        _ => None,
    }
}

pub(crate) fn family_of(transport: Transport) -> Family {
    match transport {
        Transport::Unix => Family::Local,
        Transport::Udp | Transport::Tcp => Family::Inet,
        Transport::Udp6 | Transport::Tcp6 => Family::Inet6,
    }
}

/// A universal address that parses: host and port of an inet one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parsed {
    Socket(IpAddr, u16),
    Unix,
}

/// Exactly RFC 5665's grammar: octets of one to three digits up to 255, nothing before, between or behind.
pub(crate) fn parse(text: &[u8], family: Family) -> Option<Parsed> {
    if family == Family::Local {
        let named = text.starts_with(b"/") || (text.starts_with(b"@") && text.len() > 1);
        return (named && text.len() <= 108 && !text.contains(&0)).then_some(Parsed::Unix);
    }
    let text = std::str::from_utf8(text).ok()?;
    let (rest, low) = text.rsplit_once('.')?;
    let (host, high) = rest.rsplit_once('.')?;
    let octet = |text: &str| {
        let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u8>().ok()).flatten()
    };
    let port = u16::from_be_bytes([octet(high)?, octet(low)?]);
    let host = match family {
        Family::Inet6 => {
            let (host, scope) = host.split_once('%').unwrap_or((host, "0"));
            scope.parse::<u32>().ok()?;
            IpAddr::V6(host.parse().ok()?)
        }
        _ => IpAddr::V4(host.parse().ok()?),
    };
    Some(Parsed::Socket(host, port))
}

pub(crate) fn socket(text: &[u8], family: Family) -> Option<(IpAddr, u16)> {
    match parse(text, family)? {
        Parsed::Socket(host, port) => Some((host, port)),
        Parsed::Unix => None,
    }
}

/// The row that a SET, UNSET or look-up names; the netid of version 2 is its protocol's.
pub(crate) struct Wanted {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) netid: String,
    pub(crate) address: Vec<u8>,
}

impl Wanted {
    /// Reads the arguments as the version does, whatever they were meant to be.
    pub(crate) fn of(case: &Case) -> Option<Self> {
        let bytes = case.argument_bytes();
        let mut reader = Reader::new(&bytes);
        if case.header.version == 2 {
            let Mapping { program, version, protocol, port } = Mapping::decode(&mut reader).ok()?;
            let netid = match protocol {
                Protocol::TCP => "tcp",
                Protocol::UDP => "udp",
                _ => "",
            };
            // More than 16 bits do not make an address.
            let address = format!("0.0.0.0.{}.{}", port / 256, port % 256).into_bytes();
            return Some(Self { program: program.0, version: version.0, netid: netid.into(), address });
        }
        let row = Rpcb::decode(&mut reader).ok()?;
        Some(Self {
            program: row.program.0,
            version: row.version.0,
            netid: String::from_utf8_lossy(row.netid).into_owned(),
            address: row.address.to_vec(),
        })
    }

    /// The row of this program, version and netid.
    pub(crate) fn row<'a>(&self, rows: &'a [Row]) -> Option<&'a Row> {
        rows.iter().find(|row| {
            (row.program, row.version) == (self.program, self.version)
                && row.netid.eq_ignore_ascii_case(&self.netid)
        })
    }

    /// The rows that an UNSET names.
    pub(crate) fn unset<'a>(&self, case: &Case, rows: &'a [Row]) -> Vec<&'a Row> {
        let both = case.header.version == 2;
        let matches = |row: &&Row| {
            let named = if both {
                matches!(row.netid.to_ascii_lowercase().as_str(), "udp" | "tcp")
            } else {
                self.netid.is_empty() || row.netid.eq_ignore_ascii_case(&self.netid)
            };
            (row.program, row.version) == (self.program, self.version) && named
        };
        rows.iter().filter(matches).collect()
    }
}

/// Whom the C daemon takes a caller for.
pub(crate) fn owner_for_c(caller: Caller) -> &'static str {
    match (caller.transport, caller.place) {
        (Transport::Unix, Place::Root) | (_, Place::PrivilegedPort) => "superuser",
        (Transport::Unix, _) => "4711",
        _ => "unknown",
    }
}

/// Whom we take a caller for: over TCP the kernel says who owns the other end, over UDP only of ordinary users, and of
/// root from a privileged port.
pub(crate) fn owner_for_us(caller: Caller) -> &'static str {
    match (caller.transport, caller.place) {
        (_, Place::PrivilegedPort) | (Transport::Unix, Place::Root) => "superuser",
        (_, Place::User) => "4711",
        (Transport::Tcp | Transport::Tcp6, _) => "superuser",
        _ => "unknown",
    }
}

/// Whether nothing is bound at a row's port.
pub(crate) fn is_dead(row: &Row) -> bool {
    let Some(family) = family(&row.netid) else { return true };
    socket(row.address.as_bytes(), family).is_none_or(|(_, port)| !ALIVE_PORTS.contains(&port))
}

const OWN: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(10, 9, 8, 7)),
    IpAddr::V4(Ipv4Addr::new(10, 9, 8, 8)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7)),
];

/// Whether an address is the host's own.
pub(crate) fn is_own(host: IpAddr) -> bool {
    OWN.contains(&host) || host.is_loopback()
}

/// The address of the host that a call arrived at.
fn arrival(caller: Caller) -> Option<IpAddr> {
    let [first, second, six] = OWN;
    match (family_of(caller.transport), caller.place) {
        (Family::Local, _) => None,
        (Family::Inet, Place::OwnAddress | Place::Stranger) => Some(first),
        (Family::Inet, Place::StrangerAtSecond) => Some(second),
        (Family::Inet, _) => Some(Ipv4Addr::LOCALHOST.into()),
        (Family::Inet6, Place::OwnAddress | Place::Stranger) => Some(six),
        (Family::Inet6, _) => Some(Ipv6Addr::LOCALHOST.into()),
    }
}

/// How we come to the address that answers for a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merged {
    /// The registered one, which names a host.
    Registered,
    /// The hint: an address of ours, where the C daemon answers the same, or one in front of a NAT: unicast, of the
    /// caller's family, not ours, with our port.
    Hint,
    /// The address that the call arrived at.
    Arrival,
}

/// The address that answers for a row, and how we come to it.
pub(crate) fn merged(case: &Case, row: &Row) -> Option<(String, Merged)> {
    let caller = case.caller;
    let family = family(&row.netid)?;
    let registered = |how| Some((row.address.clone(), how));
    let Some((host, port)) = socket(row.address.as_bytes(), family) else {
        return registered(Merged::Registered);
    };
    if !host.is_unspecified() {
        return registered(Merged::Registered);
    }
    let [high, low] = port.to_be_bytes();
    let at = |host: IpAddr, how| Some((format!("{host}.{high}.{low}"), how));
    let hint = match &case.arguments {
        Arguments::Rpcb(rpcb) => socket(&rpcb.address, family),
        _ => None,
    };
    if let Some((hint, hint_port)) = hint {
        let broadcast = matches!(hint, IpAddr::V4(hint) if hint.is_broadcast());
        let outer = hint_port == 111 && !hint.is_multicast() && !hint.is_unspecified() && !broadcast;
        if is_own(hint) || outer {
            return at(hint, Merged::Hint);
        }
    }
    at(arrival(caller)?, Merged::Arrival)
}

/// TRUE or FALSE.
pub(crate) fn truth(answer: Option<Answer<'_>>) -> Option<bool> {
    match answer {
        Some(Answer::Success([0, 0, 0, truth @ (0 | 1)])) => Some(*truth == 1),
        _ => None,
    }
}

/// A string that is all of the results.
pub(crate) fn string<'a>(answer: Option<Answer<'a>>) -> Option<&'a [u8]> {
    let Some(Answer::Success(results)) = answer else { return None };
    let (length, text) = results.split_first_chunk()?;
    text.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
