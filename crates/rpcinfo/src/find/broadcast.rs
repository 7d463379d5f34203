//! `-b`: CALLIT of versions 3 and 2 (RFC 1833 sections 2.1 and 3.1) to the IPv4 broadcast addresses here, and
//! whoever answers. Answers come from strangers: each is checked, told once, and their number is bounded.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use oncrpc::bind::{self, CallResult, Family, PORT, PortCallResult, RemoteCall, UniversalAddress};
use oncrpc::xdr::{Decode, Encode, Error, Reader, Writer};
use oncrpc::{Answer, Call, Exchange, Procedure, Program, Schedule, Step, Version, Xid};

use super::{Finder, Stop, Tell};
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

impl Finder<'_> {
    /// Calls procedure 0 of a service on every host of the networks here.
    pub(super) fn broadcast(&self, program: &str, version: &str, tell: &mut Tell<'_>) -> Result<(), Stop> {
        let (program, version) = (self.program(program)?, Self::version(version)?);
        let targets = targets();
        if targets.is_empty() {
            return Err(Stop::failed("rpcinfo: broadcast failed: RPC: Unknown protocol"));
        }
        let unable = |error: io::Error| Stop::failed(format!("rpcinfo: broadcast failed: {error}"));
        let socket = socket().map_err(unable)?;
        let mut schedule = SCHEDULE;
        schedule.total = self.broadcast_limit.unwrap_or(schedule.total);
        let calls = Calls::new(program, version).map_err(|error| Stop::failed(error.to_string()))?;
        let began = Instant::now();
        let mut exchange = Exchange::new(Duration::ZERO, calls.xids[0], schedule);
        let mut seen = HashSet::new();
        let mut buffer = [0; 9000];
        calls.send(&socket, &targets);
        while seen.len() < MAX_REPLIES {
            match exchange.step(began.elapsed()) {
                Step::GiveUp => break,
                Step::Retransmit => calls.send(&socket, &targets),
                Step::Wait => {}
            }
            let wait = exchange.deadline().saturating_sub(began.elapsed()).max(Duration::from_millis(1));
            socket.set_read_timeout(Some(wait)).map_err(unable)?;
            // Errors are of one datagram or of one host; the deadline ends the waiting.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(address) = calls.answered(buffer.get(..length).unwrap_or_default(), from) else {
                continue;
            };
            if seen.insert(address.clone()) {
                let host = name_of(&address);
                tell(Found::Reply(Reply { address: Text(address), host }))?;
            }
        }
        Ok(())
    }
}

/// The first name that `/etc/hosts` has for the host of a universal address. Nobody else is asked: names that
/// strangers' addresses lead to are the strangers' own.
fn name_of(address: &[u8]) -> Option<Text> {
    let host = UniversalAddress::parse(address, Family::Inet)?.host()?;
    let hosts = std::fs::read("/etc/hosts").ok()?;
    String::from_utf8_lossy(&hosts).lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let is_it = words.next()?.parse() == Ok(host);
        words.next().filter(|_| is_it).map(|name| Text(name.into()))
    })
}

/// The broadcast addresses of the interfaces here.
fn targets() -> Vec<SocketAddrV4> {
    let mut targets = Vec::new();
    // Without a list of interfaces there is nobody to call.
    let Ok(interfaces) = getifaddrs() else { return targets };
    for interface in interfaces {
        let flags = interface.flags;
        if !flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST) {
            continue;
        }
        let broadcast = interface.broadcast.as_ref().and_then(|address| address.as_sockaddr_in());
        let inet = interface.address.as_ref().is_some_and(|address| address.as_sockaddr_in().is_some());
        if let Some(broadcast) = broadcast.filter(|_| inet) {
            let target = SocketAddrV4::new(broadcast.ip(), PORT);
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

/// The two calls that are sent, and their xids.
struct Calls {
    messages: [Vec<u8>; 2],
    xids: [Xid; 2],
}

impl Calls {
    fn new(program: Program, version: Version) -> Result<Self, Error> {
        let xid = unpredictable();
        let xids = [Xid(xid), Xid(xid.wrapping_add(1))];
        let remote = RemoteCall { program, version, procedure: Procedure::NULL, arguments: &[] };
        let message = |xid, version, procedure| {
            let mut buffer = [0; 128];
            let mut writer = Writer::new(&mut buffer);
            Call::new(xid, bind::PROGRAM, version, procedure).encode(&mut writer)?;
            remote.encode(&mut writer)?;
            Ok(writer.written().to_vec())
        };
        let messages = [message(xids[0], bind::V3, bind::CALLIT)?, message(xids[1], bind::V2, bind::CALLIT)?];
        Ok(Self { messages, xids })
    }

    fn send(&self, socket: &UdpSocket, targets: &[SocketAddrV4]) {
        for target in targets {
            for message in &self.messages {
                // A network that cannot be sent to has nobody who answers.
                let _ = socket.send_to(message, target);
            }
        }
    }

    /// The universal address of a service that answered.
    fn answered(&self, message: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let reply = oncrpc::Reply::decode(message).ok()?;
        let Answer::Success(results) = reply.answer else { return None };
        let mut reader = Reader::new(results);
        if reply.xid == self.xids[0] {
            let found = CallResult::decode(&mut reader).ok()?;
            UniversalAddress::parse(found.address, Family::Inet)?;
            return Some(found.address.to_vec());
        }
        if reply.xid != self.xids[1] {
            return None;
        }
        let found = PortCallResult::decode(&mut reader).ok()?;
        let service = SocketAddr::new(from.ip(), u16::try_from(found.port).ok()?);
        Some(UniversalAddress::from_socket(service).text().as_bytes().to_vec())
    }
}

/// A number that nobody else can know.
fn unpredictable() -> u32 {
    use std::hash::BuildHasher;
    let wide = std::hash::RandomState::new().hash_one(std::process::id());
    u32::try_from(wide >> 32).unwrap_or_default()
}
