//! The load: a window of requests kept full for some time. It checks that what comes back answers what was asked.

use oncrpc::bind::{self, Mapping, Protocol, Rpcb};
use oncrpc::record;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Program, Reply, Version, Xid};
use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// The program that is looked up; version 1 is registered.
pub(crate) const PROGRAM: Program = Program(0x2000_0100);
/// A request without an answer for so long ends the run.
const PATIENCE: Duration = Duration::from_secs(5);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Workload {
    /// UDP GETPORT with so many in flight.
    GetPort(usize),
    /// UDP GETADDR of a version with so many in flight.
    GetAddr(Version, usize),
    /// TCP: connect, GETPORT, close, one after the other.
    Connect,
}

impl Workload {
    pub(crate) const ALL: [Self; 6] = [
        Self::GetPort(64),
        Self::GetAddr(bind::V3, 64),
        Self::GetAddr(bind::V4, 64),
        Self::GetPort(1),
        Self::GetAddr(bind::V4, 1),
        Self::Connect,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::GetPort(window) => format!("udp GETPORT, {window} in flight"),
            Self::GetAddr(version, window) => format!("udp GETADDR v{version}, {window} in flight"),
            Self::Connect => "tcp connect, GETPORT, close".to_owned(),
        }
    }

    fn request(self, xid: Xid) -> Result<([u8; 128], usize)> {
        let mut arguments = [0; 96];
        let mut writer = Writer::new(&mut arguments);
        let (version, procedure) = match self {
            Self::GetAddr(version, _) => {
                let (program, address) = (PROGRAM, b"127.0.0.1.0.111");
                let wanted =
                    Rpcb { program, version: Version(1), netid: b"udp", address, owner: b"libtirpc" };
                wanted.encode(&mut writer)?;
                (version, bind::GETADDR)
            }
            Self::GetPort(_) | Self::Connect => {
                let protocol = Protocol::UDP;
                Mapping { program: PROGRAM, version: Version(1), protocol, port: 0 }.encode(&mut writer)?;
                (bind::V2, bind::GETPORT)
            }
        };
        let call = Call { arguments: writer.written(), ..Call::new(xid, bind::PROGRAM, version, procedure) };
        let mut message = [0; 128];
        let mut writer = Writer::new(&mut message);
        call.encode(&mut writer)?;
        let len = writer.len();
        Ok((message, len))
    }
}

/// Keeps the workload going for some time; the time that each request took.
pub(crate) fn run(workload: Workload, time: Duration) -> Result<Vec<Duration>> {
    match workload {
        Workload::GetPort(window) | Workload::GetAddr(_, window) => datagrams(workload, window, time),
        Workload::Connect => connections(workload, time),
    }
}

fn datagrams(workload: Workload, window: usize, time: Duration) -> Result<Vec<Duration>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, bind::PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut message, len) = workload.request(Xid(0))?;
    let (mut latencies, mut under_way) = (Vec::new(), HashMap::new());
    let (start, mut xid) = (Instant::now(), 0_u32);
    loop {
        let over = start.elapsed() >= time;
        while !over && under_way.len() < window {
            xid = xid.wrapping_add(1);
            message[..4].copy_from_slice(&xid.to_be_bytes());
            under_way.insert(Xid(xid), Instant::now());
            socket.send(&message[..len])?;
        }
        if under_way.is_empty() {
            return Ok(latencies);
        }
        // One answer is waited for; those that are there already are taken with it, so that the window is refilled
        // by a burst and the server is never idle for our sake.
        let mut wait = true;
        while let Some(reply) = receive(&socket, wait)? {
            let sent = under_way.remove(&reply).ok_or("an answer to nothing")?;
            latencies.push(sent.elapsed());
            wait = false;
        }
    }
}

/// The xid of the next reply; `None` when there is none yet.
fn receive(socket: &UdpSocket, wait: bool) -> Result<Option<Xid>> {
    let mut reply = [0; 512];
    socket.set_nonblocking(!wait)?;
    match socket.recv(&mut reply) {
        Ok(len) => check(&reply[..len]).map(Some),
        Err(error) if !wait && error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn connections(workload: Workload, time: Duration) -> Result<Vec<Duration>> {
    let (message, len) = workload.request(Xid(1))?;
    let mut record = record::mark(len).ok_or("too long")?.to_vec();
    record.extend_from_slice(&message[..len]);
    let (start, mut latencies) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let begun = Instant::now();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, bind::PORT))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&record)?;
        let mut reply = [0; 4 + 28];
        stream.read_exact(&mut reply)?;
        check(&reply[4..])?;
        drop(stream);
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// The xid of a reply that found the service.
fn check(message: &[u8]) -> Result<Xid> {
    let reply = Reply::decode(message)?;
    match reply.answer {
        Answer::Success(results) if results.iter().any(|byte| *byte != 0) => Ok(reply.xid),
        other => Err(format!("not the address of a service: {other:?}").into()),
    }
}
