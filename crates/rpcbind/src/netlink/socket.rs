//! One netlink socket: requests with sequence numbers, and the answers told apart from events and from late
//! answers to earlier requests. It never waits longer than the deadline it is given.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{
    NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getsockname, recv,
    send, socket_with,
};

/// The kernel builds its answers in pieces of at most this size.
const BUFFER_BYTES: usize = 32 * 1024;

/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// A netlink socket that talks to the kernel only.
#[derive(Debug)]
pub(super) struct NetlinkSocket {
    descriptor: OwnedFd,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What [`NetlinkSocket::receive`] found.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// Messages.
    Messages(Messages<'a>),
    /// Nothing is there.
    Empty,
    /// The kernel dropped messages for lack of space.
    Overrun,
}

/// One message from the kernel, seen from the request that was sent last.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// A part of the answer to the last request.
    Answer {
        /// The message's type.
        kind: u16,
        /// The kernel's table changed while it was read out.
        interrupted: bool,
        /// The contents.
        payload: &'a [u8],
    },
    /// The last request's answer is complete.
    End,
    /// The last request failed, with this error number.
    Failed(i32),
    /// Nobody asked for it: something has changed.
    Event {
        /// The message's type.
        kind: u16,
        /// The contents.
        payload: &'a [u8],
    },
}

impl NetlinkSocket {
    /// Opens a socket that also receives the events of `groups`. NETLINK_ROUTE is number 0, so `None`.
    pub(super) fn open(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        bind(&descriptor, &SocketAddrNetlink::new(0, groups))?;
        // Connected to the kernel, it takes nothing from other processes.
        connect(&descriptor, &SocketAddrNetlink::new(0, 0))?;
        let port = SocketAddrNetlink::try_from(getsockname(&descriptor)?)?.pid();
        Ok(Self { descriptor, port, sequence: 0, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Sends a request. Answers to the ones before are discarded from now on.
    pub(super) fn request<M: NetlinkSerializable>(&mut self, message: M, flags: u16) -> io::Result<()> {
        // Events that the kernel itself causes carry number 0.
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.descriptor, &bytes, SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// What is there now; never waits.
    pub(super) fn receive(&mut self) -> io::Result<Received<'_>> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        self.buffer.clear();
        match recv(&self.descriptor, spare_capacity(&mut self.buffer), flags) {
            // Larger than the kernel makes them: what is missing is as lost as what it drops.
            Ok((taken, len)) if len > taken => Ok(Received::Overrun),
            Ok(_) => Ok(Received::Messages(Messages {
                rest: &self.buffer,
                port: self.port,
                sequence: self.sequence,
            })),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Empty),
            Err(Errno::NOBUFS) => Ok(Received::Overrun),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until something is there; [`io::ErrorKind::TimedOut`] after the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut watched = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match poll(&mut watched, Some(&timespec(left))) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The messages of one datagram.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    rest: &'a [u8],
    port: u32,
    sequence: u32,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        loop {
            let message = NetlinkBuffer::new_checked(self.rest).ok()?;
            let len = usize::try_from(message.length()).ok()?;
            let payload = self.rest.get(HEADER_BYTES..len)?;
            self.rest = self.rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            let kind = message.message_type();
            if message.port_number() != self.port {
                return Some(Message::Event { kind, payload });
            }
            if message.sequence_number() != self.sequence {
                continue;
            }
            return Some(match kind {
                NLMSG_ERROR | NLMSG_DONE => match error_number(payload) {
                    0 => Message::End,
                    number => Message::Failed(number),
                },
                _ => Message::Answer { kind, interrupted: message.flags() & NLM_F_DUMP_INTR != 0, payload },
            });
        }
    }
}

/// The error number that an end or error message begins with; 0 for success.
fn error_number(payload: &[u8]) -> i32 {
    payload.first_chunk().map_or(0, |number| i32::from_ne_bytes(*number).saturating_neg().max(0))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
}
