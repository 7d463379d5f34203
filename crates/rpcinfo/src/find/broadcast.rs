//! `-b`: a service is called on every host of the networks here, by the port mappers' remote calls of versions 2, 3
//! and 4 (RFC 1833 sections 2.2.1 and 3.2), and whoever answers is told.
//! Answers come from strangers: each is checked, told once, and their number is bounded.

mod networks;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use oncrpc::bind::{self, CallResult, Family, PortCallResult, RemoteCall, UniversalAddress};
use oncrpc::xdr::{Decode, Encode, Error, Reader, Writer};
use oncrpc::{Answer, Call, Exchange, Procedure, Program, Schedule, Step, Version, Xid};

use self::networks::Networks;
use super::{Finder, Stop, Tell, unpredictable};
use crate::escape::Text;
use crate::found::{Found, Reply};

/// Sent at once and after four seconds; answers are taken for twelve.
const SCHEDULE: Schedule = Schedule {
    first: Duration::from_secs(4),
    longest: Duration::from_secs(8),
    total: Duration::from_secs(12),
};
/// The most answers that are told.
const MAX_REPLIES: usize = 10_000;
/// The length of a call in bytes, filled up behind its arguments. No answer with an address and nothing else is
/// longer, so a port mapper that never sends back more than it got can answer.
const MESSAGE_BYTES: usize = 96;

impl Finder<'_> {
    /// Calls procedure 0 of a service on every host of the networks here.
    pub(super) fn broadcast(&self, program: &str, version: &str, tell: &mut Tell<'_>) -> Result<(), Stop> {
        let (program, version) = (self.program(program)?, Self::version(version)?);
        let unable = |error: io::Error| Stop::failed(format!("rpcinfo: broadcast failed: {error}"));
        let Some(networks) = Networks::open().map_err(unable)? else {
            return Err(Stop::failed("rpcinfo: broadcast failed: RPC: Unknown protocol"));
        };
        let mut schedule = SCHEDULE;
        schedule.total = self.broadcast_limit.unwrap_or(schedule.total);
        let calls = Calls::new(program, version).map_err(|error| Stop::failed(error.to_string()))?;
        let began = Instant::now();
        let mut exchange = Exchange::new(Duration::ZERO, calls.xid, schedule);
        let mut seen = HashSet::new();
        let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
        let hosts = String::from_utf8_lossy(&hosts);
        calls.send(&networks);
        while seen.len() < MAX_REPLIES {
            match exchange.step(began.elapsed()) {
                Step::GiveUp => break,
                Step::Retransmit => calls.send(&networks),
                Step::Wait => {}
            }
            let wait = exchange.deadline().saturating_sub(began.elapsed()).max(Duration::from_millis(1));
            for (message, from) in networks.take(wait).map_err(unable)? {
                let Some(found) = calls.answered(&message, from) else { continue };
                if seen.insert(found.clone()) {
                    let host = name_of(found.host, &hosts);
                    tell(Found::Reply(Reply { address: Text(found.text), host }))?;
                }
            }
        }
        if seen.is_empty() { Err(Stop::Unavailable) } else { Ok(()) }
    }
}

/// The first name that `/etc/hosts` has for a host. Nobody else is asked: names that strangers' addresses lead to are
/// the strangers' own.
fn name_of(host: IpAddr, hosts: &str) -> Option<Text> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let is_it = words.next()?.parse() == Ok(host);
        words.next().filter(|_| is_it).map(|name| Text(name.into()))
    })
}

/// Where a service that answered is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answered {
    host: IpAddr,
    /// The universal address.
    text: Vec<u8>,
}

impl Answered {
    fn new(address: &UniversalAddress<'_>) -> Option<Self> {
        Some(Self { host: address.host()?, text: address.text().as_bytes().to_vec() })
    }
}

/// The calls that are sent. Their xids follow each other, from version 2's to version 4's.
struct Calls {
    xid: Xid,
    /// Version 2's, whose answer has a port and no address: for IPv4, which is all that it knows.
    version2: [u8; MESSAGE_BYTES],
    /// Those of versions 3 and 4.
    later: [[u8; MESSAGE_BYTES]; 2],
}

impl Calls {
    fn new(program: Program, version: Version) -> Result<Self, Error> {
        let xid = Xid(unpredictable());
        let remote = RemoteCall { program, version, procedure: Procedure::NULL, arguments: &[] };
        let message = |version: Version, procedure| {
            let mut message = [0; MESSAGE_BYTES];
            let mut writer = Writer::new(&mut message);
            Call::new(xid_of(xid, version), bind::PROGRAM, version, procedure).encode(&mut writer)?;
            remote.encode(&mut writer)?;
            Ok(message)
        };
        Ok(Self {
            xid,
            version2: message(bind::V2, bind::CALLIT)?,
            later: [message(bind::V3, bind::CALLIT)?, message(bind::V4, bind::BCAST)?],
        })
    }

    fn send(&self, networks: &Networks) {
        networks.send(Family::Inet, &self.version2);
        for message in &self.later {
            networks.send(Family::Inet, message);
            networks.send(Family::Inet6, message);
        }
    }

    /// The service that answered, if this is an answer.
    fn answered(&self, message: &[u8], from: SocketAddr) -> Option<Answered> {
        let reply = oncrpc::Reply::decode(message).ok()?;
        let Answer::Success(results) = reply.answer else { return None };
        let mut reader = Reader::new(results);
        if reply.xid == xid_of(self.xid, bind::V2) {
            let found = PortCallResult::decode(&mut reader).ok()?;
            let service = SocketAddr::new(from.ip(), u16::try_from(found.port).ok()?);
            return Answered::new(&UniversalAddress::from_socket(service));
        }
        if ![bind::V3, bind::V4].map(|version| xid_of(self.xid, version)).contains(&reply.xid) {
            return None;
        }
        let found = CallResult::decode(&mut reader).ok()?;
        let family = if from.is_ipv4() { Family::Inet } else { Family::Inet6 };
        Answered::new(&UniversalAddress::parse(found.address, family)?)
    }
}

fn xid_of(first: Xid, version: Version) -> Xid {
    Xid(first.0.wrapping_add(version.0.wrapping_sub(bind::V2.0)))
}

#[cfg(test)]
mod tests {
    use super::{Calls, MESSAGE_BYTES, xid_of};
    use oncrpc::bind::{self, CallResult, PortCallResult};
    use oncrpc::xdr::{Encode, Writer};
    use oncrpc::{Answer, Program, Reply, Version, Xid};

    const FROM: &str = "192.0.2.7:40000";
    const FROM6: &str = "[fe80::7%3]:40000";

    fn reply(xid: Xid, answer: Answer<'_>) -> Vec<u8> {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer);
        Reply { xid, answer }.encode(&mut writer).expect("it fits");
        writer.written().to_vec()
    }

    fn results(results: &impl Encode) -> Vec<u8> {
        let mut buffer = [0; 128];
        let mut writer = Writer::new(&mut buffer);
        results.encode(&mut writer).expect("it fits");
        writer.written().to_vec()
    }

    fn told(calls: &Calls, message: &[u8], from: &str) -> Option<String> {
        let answered = calls.answered(message, from.parse().expect("an address"))?;
        String::from_utf8(answered.text).ok()
    }

    #[test]
    fn an_answer_names_the_service_and_version_2_leaves_its_host_to_the_sender() {
        let calls = Calls::new(Program(100_000), Version(4)).expect("they fit");
        let port = results(&PortCallResult { port: 2049, results: b"" });
        let two = reply(xid_of(calls.xid, bind::V2), Answer::Success(&port));
        assert_eq!(told(&calls, &two, FROM).as_deref(), Some("192.0.2.7.8.1"));
        for version in [bind::V3, bind::V4] {
            for (address, from, shown) in [
                (&b"192.0.2.9.8.1"[..], FROM, Some("192.0.2.9.8.1")),
                (b"FE80::0:9.8.1", FROM6, Some("fe80::9.8.1")),
                (b"192.0.2.9.8.1", FROM6, None),
                (b"fe80::9.8.1", FROM, None),
                (b"\x1b[2J", FROM, None),
                (b"", FROM, None),
            ] {
                let found = results(&CallResult { address, results: b"" });
                let message = reply(xid_of(calls.xid, version), Answer::Success(&found));
                assert_eq!(told(&calls, &message, from).as_deref(), shown, "{}", address.escape_ascii());
            }
        }
    }

    #[test]
    fn what_answers_another_call_or_with_an_error_is_no_answer() {
        let calls = Calls::new(Program(100_000), Version(4)).expect("they fit");
        let found = results(&CallResult { address: b"192.0.2.9.8.1", results: b"" });
        let good = reply(xid_of(calls.xid, bind::V3), Answer::Success(&found));
        assert!(told(&calls, &good, FROM).is_some());
        for end in 0..good.len() {
            assert_eq!(told(&calls, &good[..end], FROM), None, "cut to {end} bytes");
        }
        let errors = [Answer::SystemError, Answer::ProgramUnavailable, Answer::Success(&[])];
        for answer in errors {
            assert_eq!(told(&calls, &reply(xid_of(calls.xid, bind::V3), answer), FROM), None);
        }
        let other = Xid(calls.xid.0.wrapping_sub(1));
        assert_eq!(told(&calls, &reply(other, Answer::Success(&found)), FROM), None);
        let port = results(&PortCallResult { port: 65_536, results: b"" });
        assert_eq!(told(&calls, &reply(xid_of(calls.xid, bind::V2), Answer::Success(&port)), FROM), None);
    }

    #[test]
    fn no_answer_without_results_is_longer_than_its_call() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff.255.255";
        let found = results(&CallResult { address: longest.as_bytes(), results: b"" });
        assert!(reply(Xid(1), Answer::Success(&found)).len() <= MESSAGE_BYTES);
    }
}
