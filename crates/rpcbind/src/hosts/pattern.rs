//! One element of a client list (hosts_access(5), "PATTERNS"), settled as far as it can be without knowing the caller.
//! What would need a look-up becomes a pattern that errs on the closed side.

use super::fault::{Effect, Problem};
use rpcbind_core::access::{ClientPattern, Prefix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where in a rule an element stands: what it does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Whether the rule admits whom it matches.
    pub(super) admit: bool,
    /// Whether an odd number of `EXCEPT`s is before it.
    pub(super) is_exception: bool,
    /// Whether a `#` is before it. To libwrap(3) that does not begin a comment, but names after it are none.
    pub(super) is_remark: bool,
}

/// What an element comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// What is compared with callers' addresses.
    pub(super) patterns: Vec<ClientPattern>,
    /// What is wrong with the element.
    pub(super) problem: Option<Problem>,
}

/// An element: settled, or the name of a file with more of them.
pub(super) enum Element<'a> {
    Settled(Settled),
    File(&'a [u8]),
}

impl Position {
    /// What stands for an element that cannot be decided here, and how that is said. Never grants.
    pub(super) fn undecided(self) -> (ClientPattern, Effect) {
        match (self.admit, self.is_exception) {
            (true, false) => (ClientPattern::Never, Effect::GrantsNobody),
            (true, true) | (false, false) => (ClientPattern::UnlessLoopback, Effect::SparesLoopback),
            (false, true) => (ClientPattern::Loopback, Effect::ExceptsLoopback),
        }
    }
}

/// Settles an element of a client list, `user@` included.
pub(super) fn client(token: &[u8], position: Position) -> Element<'_> {
    // A name begins before its `@`; a netgroup with it.
    let at = token.iter().skip(1).position(|byte| *byte == b'@').map(|index| index + 1);
    let Some((user, [_, address @ ..])) = at.and_then(|at| token.split_at_checked(at)) else {
        return host(token, position);
    };
    // The C daemon never knows a caller's user either.
    if !is_unknown(user) {
        return never(Problem::User);
    }
    host(address, position)
}

/// Whether a pattern for users or servers matches what is never known here.
pub(super) fn is_unknown(pattern: &[u8]) -> bool {
    matches_text(pattern, "unknown")
}

/// Whether a pattern for daemons, users or servers matches a text (hosts_access(5): without regard to case).
pub(super) fn matches_text(pattern: &[u8], text: &str) -> bool {
    let lower = pattern.to_ascii_lowercase();
    let text = text.as_bytes();
    if lower.iter().any(|byte| matches!(byte, b'*' | b'?')) {
        return rpcbind_core::access::glob(&lower, text);
    }
    match lower.as_slice() {
        b"all" => true,
        b"known" => text != b"unknown",
        [b'.', ..] => text.len() > lower.len() && text.ends_with(&lower),
        [.., b'.'] => text.starts_with(&lower),
        exact => exact == text,
    }
}

/// Settles an element without `user@`.
pub(super) fn host(token: &[u8], position: Position) -> Element<'_> {
    match token {
        [] => never(Problem::NoAddress),
        [b'#', ..] => never(Problem::Remark),
        [b'@', ..] => undecided(position, Problem::Lookup),
        [b'/', ..] => Element::File(token),
        _ if token.eq_ignore_ascii_case(b"KNOWN") || token.eq_ignore_ascii_case(b"LOCAL") => {
            undecided(position, Problem::Lookup)
        }
        _ if token.eq_ignore_ascii_case(b"UNKNOWN") || token.eq_ignore_ascii_case(b"PARANOID") => {
            never(Problem::LookupOutcome)
        }
        _ => match token.iter().position(|byte| *byte == b'/') {
            Some(slash) => {
                let (net, mask) = token.split_at(slash);
                masked(net, mask.get(1..).unwrap_or_default(), position)
            }
            None => text(token, position),
        },
    }
}

/// An element without slash: `ALL`, an address, or a pattern of text that may be a name's too.
fn text(token: &[u8], position: Position) -> Element<'_> {
    let lower = String::from_utf8_lossy(token).to_ascii_lowercase();
    let may_be_name = may_be_name(&lower);
    let pattern = if lower.contains(['*', '?']) {
        ClientPattern::Glob(lower.into())
    } else if lower.starts_with('.') {
        ClientPattern::Ends(lower.into())
    } else if lower == "all" {
        return settled(ClientPattern::All);
    } else if lower.ends_with('.') {
        ClientPattern::Starts(lower.into())
    } else if let Some(address) = address(&lower) {
        return settled(ClientPattern::Prefix(Prefix::single(address)));
    } else if !may_be_name {
        return never(Problem::NoAddress);
    } else {
        return undecided(position, Problem::Lookup);
    };
    if !may_be_name {
        return settled(pattern);
    }
    if position.is_remark {
        return Element::Settled(Settled { patterns: vec![pattern], problem: Some(Problem::Remark) });
    }
    let (stand_in, effect) = position.undecided();
    Element::Settled(Settled { patterns: vec![pattern, stand_in], problem: Some(Problem::Lookup(effect)) })
}

/// Whether hosts can have names that match: nothing else in the text than names have, and not only what addresses have.
fn may_be_name(lower: &str) -> bool {
    let is_text = |c: char| matches!(c, 'a'..='z' | '-' | '_');
    let is_either = |c: char| matches!(c, '0'..='9' | '.' | '*' | '?');
    lower.chars().all(|c| is_text(c) || is_either(c)) && lower.contains(is_text) && lower != "except"
}

/// An address as it stands alone: IPv4, `[IPv6]`, and in files IPv6 without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => ipv6(inner).map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4).ok().or_else(|| ipv6(text).map(IpAddr::V6)),
    }
}

/// An IPv6 address that a caller can have: mapped ones are compared as IPv4.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().filter(|address: &Ipv6Addr| address.to_ipv4_mapped().is_none())
}

/// `net/mask`, `net/length` and `[net]/length`.
fn masked<'a>(net: &[u8], mask: &[u8], position: Position) -> Element<'a> {
    let (Ok(net), Ok(mask)) = (str::from_utf8(net), str::from_utf8(mask)) else {
        return undecided(position, Problem::Mask);
    };
    match net.strip_prefix('[') {
        Some(rest) => masked_v6(rest, mask, position),
        None => masked_v4(net, mask, position),
    }
}

fn masked_v6<'a>(net: &str, length: &str, position: Position) -> Element<'a> {
    let Some(network) = net.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok()) else {
        return undecided(position, Problem::Mask);
    };
    match number(length) {
        // Host bits do not matter to libwrap(3) here, unlike for IPv4.
        Some(length @ 0..=128) if network.to_ipv4_mapped().is_none() => {
            settled(ClientPattern::Prefix(Prefix::around(network.into(), length)))
        }
        Some(_) => never(Problem::NoAddress),
        None => undecided(position, Problem::Mask),
    }
}

fn masked_v4<'a>(net: &str, mask: &str, position: Position) -> Element<'a> {
    let Ok(network) = net.parse::<Ipv4Addr>() else {
        return undecided(position, Problem::Mask);
    };
    let mask = match (number(mask), mask.parse::<Ipv4Addr>()) {
        (Some(0), _) => return never(Problem::ZeroLength),
        (Some(length @ 1..=32), _) => u32::MAX << (32 - u32::from(length)),
        (Some(_), _) => return never(Problem::NoAddress),
        // libwrap(3) takes this mask for a malformed one: hosts_access(5).
        (None, Ok(Ipv4Addr::BROADCAST)) => return never(Problem::NoAddress),
        (None, Ok(mask)) => mask.to_bits(),
        (None, Err(_)) => return undecided(position, Problem::Mask),
    };
    let net = network.to_bits();
    if net & !mask != 0 {
        return never(Problem::HostBits);
    }
    settled(ClientPattern::Masked { net, mask })
}

/// A length: decimal digits, leading zeros allowed; over 255 counts as 255.
fn number(digits: &str) -> Option<u8> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u8::MAX))
}

fn settled<'a>(pattern: ClientPattern) -> Element<'a> {
    Element::Settled(Settled { patterns: vec![pattern], problem: None })
}

fn never<'a>(problem: Problem) -> Element<'a> {
    Element::Settled(Settled { patterns: vec![ClientPattern::Never], problem: Some(problem) })
}

fn undecided<'a>(position: Position, problem: fn(Effect) -> Problem) -> Element<'a> {
    if position.is_remark {
        return never(Problem::Remark);
    }
    let (stand_in, effect) = position.undecided();
    Element::Settled(Settled { patterns: vec![stand_in], problem: Some(problem(effect)) })
}
