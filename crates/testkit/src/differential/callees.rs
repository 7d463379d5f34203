//! The services that port mappers call for others: one thread behind sockets at a few ports, of both families, that
//! answers whatever program it is called as, once at most: the C daemon loses what comes behind. The procedure says
//! how. What is called first is answered first, so that the witness's answer comes behind all others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use socket2::{Domain, Socket, Type};

use super::channel::{OWN, OWN6};
use super::wire::WITNESS;
use crate::{Namespace, wait};

/// NULL: no results.
pub(super) const NULL: u32 = 0;
/// The arguments come back.
pub(super) const ECHO: u32 = 1;
/// PROC_UNAVAIL.
pub(super) const UNAVAILABLE: u32 = 2;
/// Nothing.
pub(super) const NEVER: u32 = 3;
/// A reply that cannot be decoded.
pub(super) const GARBAGE: u32 = 4;
/// More than was asked with.
pub(super) const LONG: u32 = 5;
/// The credential's flavour and length.
pub(super) const WHO: u32 = 6;

/// Where they are: what is asked at an address has to be answered from it.
const HOSTS: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(OWN),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(OWN6),
];

/// The services; they end with this value.
#[derive(Debug)]
pub(super) struct Callees {
    end: Arc<OwnedFd>,
}

impl Callees {
    /// Starts them at these ports of a namespace.
    pub(super) fn start(home: &Namespace, ports: &[u16]) -> io::Result<Self> {
        // A child that another test is just starting may hold what was at these ports a moment longer.
        let serving = home.within(|| {
            wait::until("the ports of the services that are called", || match Serving::open(ports) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
                opened => opened.map(Some),
            })
        })??;
        let end = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let bell = end.clone();
        std::thread::spawn(move || serving.run(&bell));
        Ok(Self { end })
    }
}

impl Drop for Callees {
    fn drop(&mut self) {
        // Fails never: the counter is far from full.
        let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
    }
}

fn bind(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(if at.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 }, Type::DGRAM, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    let socket = UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

struct Serving {
    sockets: Vec<UdpSocket>,
}

impl Serving {
    fn open(ports: &[u16]) -> io::Result<Self> {
        let everywhere = ports.iter().flat_map(|port| HOSTS.map(|host| SocketAddr::new(host, *port)));
        let sockets = everywhere.map(bind).collect::<io::Result<_>>()?;
        Ok(Self { sockets })
    }

    fn run(&self, bell: &OwnedFd) {
        let mut buffer = vec![0; 65_536];
        loop {
            let mut watched: Vec<_> =
                self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
            watched.push(PollFd::new(bell, PollFlags::IN));
            // Interrupted or not, what there is is looked at.
            let _ = poll(&mut watched, None);
            if watched.last().is_some_and(|bell| !bell.revents().is_empty()) {
                return;
            }
            for socket in &self.sockets {
                self.serve(socket, &mut buffer, true);
            }
        }
    }

    /// Answers what is there; the witness only when all others have been.
    fn serve(&self, socket: &UdpSocket, buffer: &mut [u8], others_too: bool) {
        while let Ok((length, from)) = socket.recv_from(buffer) {
            let message = buffer.get(..length).unwrap_or_default().to_vec();
            if others_too && word(&message, 12) == Some(WITNESS) {
                for other in self.sockets.iter().filter(|other| !std::ptr::eq(*other, socket)) {
                    self.serve(other, buffer, false);
                }
            }
            self.answer(socket, &message, from);
        }
    }

    fn answer(&self, socket: &UdpSocket, call: &[u8], from: SocketAddr) {
        let (Some(xid), Some(procedure), Some(arguments)) = (word(call, 0), word(call, 20), arguments(call))
        else {
            return;
        };
        let success = |xid: u32, results: &[u8]| reply(xid, &[0, 0, 0, 0], results);
        // A port mapper that has gone meanwhile does not need to hear it.
        let send = |message: &[u8]| drop(socket.send_to(message, from));
        match procedure {
            NEVER => {}
            NULL => send(&success(xid, &[])),
            UNAVAILABLE => send(&reply(xid, &[0, 0, 0, 3], &[])),
            GARBAGE => send(&reply(xid, &[0, 0, 0, 9], &[1, 2, 3])),
            LONG => send(&success(xid, &[arguments, &[0x6c; 400]].concat())),
            WHO => send(&success(xid, call.get(24..32).unwrap_or_default())),
            _ => send(&success(xid, arguments)),
        }
    }
}

fn reply(xid: u32, status: &[u8], results: &[u8]) -> Vec<u8> {
    let head: Vec<u8> = [xid, 1, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    [&head, status, results].concat()
}

fn word(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// What follows credential and verifier.
fn arguments(call: &[u8]) -> Option<&[u8]> {
    let credential = usize::try_from(word(call, 28)?).ok()?.next_multiple_of(4);
    let verifier = credential.checked_add(36)?;
    let end = usize::try_from(word(call, verifier)?).ok()?.next_multiple_of(4);
    call.get(verifier.checked_add(4)?.checked_add(end)?..)
}
