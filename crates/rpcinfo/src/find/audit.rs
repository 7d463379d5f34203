//! Asking a port mapper what a stranger could learn and do: a handful of packets, to the named host only.
//! Replies are measured as they come in, before anything in them is believed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use oncrpc::bind::{self, Mapping, RemoteCall, Rpcb, V2, V3, V4};
use oncrpc::record::{RecordReader, mark};
use oncrpc::xdr::{Encode, List, Reader, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version, Xid};
use rpcbind_client::addresses;

use super::{Finder, Stop, unpredictable};
use crate::audit::{Audit, Listed, Outcome, Probe};
use crate::escape::Text;
use crate::found::{Found, protocol_name};
use crate::reason;

/// How long each answer is waited for, unless the command line says.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest reply over TCP that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// The most rows that are looked at.
const MOST_ROWS: usize = 20_000;

/// One question: what it is called, its version and procedure, and the remote call that is its argument.
type Question = (&'static str, Version, Procedure, Option<RemoteCall<'static>>);

impl Finder<'_> {
    /// Asks everything of the first address of a host.
    pub(super) fn audit(&self, host: &str) -> Result<Found, Stop> {
        let failed = |why: &str| Stop::failed(format!("rpcinfo: {host}: {why}"));
        let found = addresses(host, bind::PORT, None, self.list_limit);
        let found = found.map_err(|error| failed(&reason::of_connect(&error)))?;
        let Some(address) = found.first() else { return Err(failed("RPC: Unknown host")) };
        let asker = Asker { address: *address, limit: self.broadcast_limit.unwrap_or(LIMIT) };
        let mut probes = Vec::new();
        let mut rows = asker.over_udp(questions(), Answers::FromPort, &mut probes);
        let listed = asker.over_tcp(&mut probes);
        if !listed.is_empty() {
            rows = listed;
        }
        asker.over_udp(remote_calls(&rows, asker.netid()), Answers::FromHost, &mut probes);
        let audit = Audit::new(address.to_string(), probes, &rows);
        if audit.heard_something() { Ok(Found::Audit(audit)) } else { Err(failed("no port mapper answers")) }
    }
}

/// Where answers over UDP come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// The port that was asked.
    FromPort,
    /// Any port of the host: remote calls are answered from another one by some.
    FromHost,
}

struct Asker {
    address: SocketAddr,
    limit: Duration,
}

impl Asker {
    /// The transport of services that remote calls over UDP to this address reach.
    fn netid(&self) -> &'static [u8] {
        if self.address.is_ipv4() { b"udp" } else { b"udp6" }
    }

    /// Each question once over UDP, from one port; answers the rows of the last list.
    fn over_udp(
        &self,
        questions: impl Iterator<Item = Question>,
        answers: Answers,
        probes: &mut Vec<Probe>,
    ) -> Vec<Listed> {
        let any =
            if self.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0));
        let connected = |socket: UdpSocket| match answers {
            Answers::FromPort => socket.connect(self.address).map(|()| socket),
            Answers::FromHost => Ok(socket),
        };
        let socket = socket.and_then(connected).ok();
        let (mut rows, mut is_silent) = (Vec::new(), false);
        for question in questions {
            let xid = Xid(unpredictable());
            let Some(message) = message(xid, &question) else { continue };
            // A host that did not answer NULL is not waited for again and again.
            let limit = if is_silent { self.limit / 8 } else { self.limit };
            let (reply, outcome) = match &socket {
                Some(socket) => self.exchange(socket, &message, xid, limit),
                None => (Vec::new(), Outcome::Unreachable),
            };
            is_silent |= question.2 == Procedure::NULL && reply.is_empty();
            probes.push(probe(&question, "udp", message.len(), reply.len(), outcome));
            take_rows(&question, outcome, &reply, &mut rows);
        }
        rows
    }

    /// Sends one datagram and waits for its reply.
    fn exchange(&self, socket: &UdpSocket, message: &[u8], xid: Xid, limit: Duration) -> (Vec<u8>, Outcome) {
        let end = Instant::now() + limit;
        if socket.send_to(message, self.address).is_err() {
            return (Vec::new(), Outcome::Unreachable);
        }
        let mut bytes = vec![0; 1 << 16];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
                return (Vec::new(), Outcome::Silent);
            }
            let len = match socket.recv_from(&mut bytes) {
                Ok((len, from)) if from.ip() == self.address.ip() => len,
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return (Vec::new(), Outcome::Unreachable);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return (Vec::new(), Outcome::Silent),
            };
            let reply = bytes.get(..len).unwrap_or_default();
            if let Some(outcome) = outcome(reply, xid) {
                return (reply.to_vec(), outcome);
            }
        }
    }

    /// Each question once over one TCP connection; answers the rows of the last list.
    fn over_tcp(&self, probes: &mut Vec<Probe>) -> Vec<Listed> {
        let mut rows = Vec::new();
        let mut stream = TcpStream::connect_timeout(&self.address, self.limit).ok();
        for question in questions() {
            let xid = Xid(unpredictable());
            let Some(message) = message(xid, &question) else { continue };
            let (reply, outcome) = match &mut stream {
                Some(stream) => record(stream, &message, self.limit).map_or_else(
                    |_| (Vec::new(), Outcome::Silent),
                    |reply| {
                        let outcome = outcome(&reply, xid);
                        (reply, outcome.unwrap_or(Outcome::Silent))
                    },
                ),
                None => (Vec::new(), Outcome::Unreachable),
            };
            probes.push(probe(&question, "tcp", message.len(), reply.len(), outcome));
            take_rows(&question, outcome, &reply, &mut rows);
            if outcome == Outcome::Silent {
                // What comes later on this connection would be taken for another answer.
                stream = None;
            }
        }
        rows
    }
}

/// Calls without arguments, so that all have the same length.
fn questions() -> impl Iterator<Item = Question> {
    let versions = [V2, V3, V4];
    let nulls = versions.map(|version| ("NULL", version, Procedure::NULL, None));
    let lists = versions.map(|version| ("DUMP", version, bind::DUMP, None));
    nulls.into_iter().chain(lists).chain([("GETSTAT", V4, bind::GETSTAT, None)])
}

/// Calls of procedure 0 of a service of the host on behalf of us, which do no harm where they are made: of one that is
/// listed for this netid, else of the port mapper itself.
fn remote_calls(rows: &[Listed], netid: &[u8]) -> impl Iterator<Item = Question> + use<> {
    let other = rows.iter().find(|row| row.program != bind::PROGRAM.0 && row.netid.0 == netid);
    let (program, version) =
        other.map_or((bind::PROGRAM, V4), |row| (Program(row.program), Version(row.version)));
    let call = RemoteCall { program, version, procedure: Procedure::NULL, arguments: &[] };
    [("CALLIT", V2, bind::CALLIT, Some(call)), ("INDIRECT", V4, bind::INDIRECT, Some(call))].into_iter()
}

/// Takes the rows of a list that was answered, instead of an earlier one's.
fn take_rows(question: &Question, outcome: Outcome, reply: &[u8], rows: &mut Vec<Listed>) {
    if question.0 == "DUMP" && outcome == Outcome::Answered {
        let listed = listed(question.1, reply);
        if !listed.is_empty() {
            *rows = listed;
        }
    }
}

fn probe(
    question: &Question,
    transport: &'static str,
    request: usize,
    reply: usize,
    outcome: Outcome,
) -> Probe {
    Probe { call: question.0, version: question.1.0, transport, request, reply, outcome }
}

fn message(xid: Xid, (_, version, procedure, argument): &Question) -> Option<Vec<u8>> {
    let mut bytes = [0; 128];
    let mut writer = Writer::new(&mut bytes);
    Call::new(xid, bind::PROGRAM, *version, *procedure).encode(&mut writer).ok()?;
    if let Some(remote) = argument {
        remote.encode(&mut writer).ok()?;
    }
    Some(writer.written().to_vec())
}

/// What a reply says; `None` when it is not one to this call.
fn outcome(reply: &[u8], xid: Xid) -> Option<Outcome> {
    let reply = Reply::decode(reply).ok().filter(|reply| reply.xid == xid)?;
    Some(if matches!(reply.answer, Answer::Success(_)) { Outcome::Answered } else { Outcome::Refused })
}

/// Sends one record and reads the reply, which has to be there at the end of the time.
fn record(stream: &mut TcpStream, message: &[u8], limit: Duration) -> std::io::Result<Vec<u8>> {
    let end = Instant::now() + limit;
    let mark = mark(message.len()).unwrap_or_default();
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(&[&mark[..], message].concat())?;
    let mut reader = RecordReader::new(LONGEST);
    let mut buffer = [0; 16 << 10];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut buffer)?;
        let mut input = buffer.get(..read).unwrap_or_default();
        if input.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(record) = reader.next(&mut input).map_err(std::io::Error::other)? {
            return Ok(record.to_vec());
        }
    }
}

/// The rows of a list, as far as they can be read.
fn listed(version: Version, reply: &[u8]) -> Vec<Listed> {
    let Ok(Reply { answer: Answer::Success(results), .. }) = Reply::decode(reply) else { return Vec::new() };
    let reader = Reader::new(results);
    if version == V2 {
        let mappings = List::<Mapping>::new(reader).take(MOST_ROWS).map_while(Result::ok);
        let row = |mapping: Mapping| Listed {
            program: mapping.program.0,
            version: mapping.version.0,
            netid: Text(protocol_name(mapping.protocol.0).into_bytes()),
        };
        mappings.map(row).collect()
    } else {
        let rows = List::<Rpcb<'_>>::new(reader).take(MOST_ROWS).map_while(Result::ok);
        let row = |row: Rpcb<'_>| Listed {
            program: row.program.0,
            version: row.version.0,
            netid: Text(row.netid.to_vec()),
        };
        rows.map(row).collect()
    }
}
