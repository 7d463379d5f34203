#![expect(
    unsafe_code,
    reason = "no safe crate receives and sends datagrams in batches with packet information"
)]
//! Datagrams in batches: one system call receives up to 32 with the addresses they were sent to, one sends their
//! replies, each from the address that was asked. Nothing is allocated per datagram. It must never send what no
//! [`Budget`] was handed in for. (RFC 3542 section 6 for packet information.)

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::{NonNull, addr_of_mut};

use nix::sys::socket::{setsockopt, sockopt};
use rpcbind_core::Budget;
use rpcbind_core::caller::{Datagram, Namespace};

use super::packet_info::{self, ADDRESS_MAX, CONTROL_MAX};

/// The most datagrams that one system call moves.
pub(crate) const BATCH: usize = 32;
/// The longest message taken, as in the C daemon (RPC_MAXDATASIZE).
pub(crate) const MESSAGE_MAX: usize = oncrpc::bind::MAX_MESSAGE;

/// SO_NETNS_COOKIE (Linux 5.14); the stable part of the C library's crate does not name it.
const SO_NETNS_COOKIE: libc::c_int =
    if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) { 0x50 } else { 71 };

/// How many numbers SO_MEMINFO tells (linux/sock_diag.h).
const SK_MEMINFO_VARS: usize = 9;

/// One datagram's place: what came, what the kernel said about it, what goes back. Plain bytes.
#[repr(C, align(8))]
struct Place {
    from: [u8; ADDRESS_MAX],
    control: [u8; CONTROL_MAX],
    reply_control: [u8; CONTROL_MAX],
    message: [u8; MESSAGE_MAX],
    reply: [u8; MESSAGE_MAX],
}

/// Everything that headers point to and the headers themselves, at one address for life.
struct Memory {
    places: [Place; BATCH],
    receive: [libc::mmsghdr; BATCH],
    receive_parts: [libc::iovec; BATCH],
    send: [libc::mmsghdr; BATCH],
    send_parts: [libc::iovec; BATCH],
}

/// What is known about a received datagram.
#[derive(Clone, Copy, Debug, Default)]
struct Arrived {
    /// `None` for a datagram that cannot be answered.
    caller: Option<Datagram>,
    message_len: usize,
}

/// A batch of datagrams: received, answered one by one, sent.
pub(crate) struct Batch {
    memory: NonNull<Memory>,
    arrived: [Arrived; BATCH],
    received: usize,
    queued: usize,
}

// SAFETY: the memory belongs to this value alone; the pointers in it point into it.
unsafe impl Send for Batch {}

/// One received datagram.
pub(crate) struct Slot<'a> {
    batch: &'a mut Batch,
    index: usize,
    caller: Datagram,
    message_len: usize,
}

/// What became of a batch of replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Handed to the kernel.
    pub(crate) sent: usize,
    /// Refused by the kernel, each for a reason of its own: no route, the address is gone, no room.
    pub(crate) refused: usize,
}

impl Batch {
    /// Sets up buffers and headers. The pages of what is never used are never touched.
    pub(crate) fn new() -> Self {
        // SAFETY: all of it is integers, null pointers, and arrays and C structures of these: zero is a value of each.
        let memory = unsafe { Box::<Memory>::new_zeroed().assume_init() };
        let memory = NonNull::from(Box::leak(memory));
        let mut batch = Self { memory, arrived: [Arrived::default(); BATCH], received: BATCH, queued: 0 };
        batch.point();
        batch
    }

    /// Points the headers at the buffers, once.
    fn point(&mut self) {
        let memory = self.memory.as_ptr();
        for index in 0..BATCH {
            // SAFETY: `memory` is ours and alive and `index` is within its arrays; no reference into it exists now.
            // The pointers stored come from `memory` itself, so they stay good as long as it does.
            unsafe {
                let place = addr_of_mut!((*memory).places[index]);
                let receive_part = addr_of_mut!((*memory).receive_parts[index]);
                let send_part = addr_of_mut!((*memory).send_parts[index]);
                (*receive_part).iov_base = addr_of_mut!((*place).message).cast();
                (*receive_part).iov_len = MESSAGE_MAX;
                (*send_part).iov_base = addr_of_mut!((*place).reply).cast();
                let header = addr_of_mut!((*memory).receive[index].msg_hdr);
                (*header).msg_name = addr_of_mut!((*place).from).cast();
                (*header).msg_iov = receive_part;
                (*header).msg_iovlen = 1;
                (*header).msg_control = addr_of_mut!((*place).control).cast();
            }
        }
    }

    fn memory(&mut self) -> &mut Memory {
        // SAFETY: the memory is ours, alive and initialised, and `&mut self` lends it to nobody else meanwhile.
        unsafe { self.memory.as_mut() }
    }

    /// Receives what is there, at most [`BATCH`] datagrams, without waiting, and forgets the batch before.
    /// `bound` is the socket's own address. Fewer than [`BATCH`] means that the queue was empty.
    ///
    /// # Errors
    /// The system call's, also when nothing was there.
    #[expect(clippy::cast_possible_truncation, reason = "the numbers are the small constants above")]
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, bound: SocketAddr) -> io::Result<usize> {
        let used = std::mem::take(&mut self.received);
        self.queued = 0;
        for header in self.memory().receive.iter_mut().take(used) {
            header.msg_hdr.msg_namelen = ADDRESS_MAX as _;
            header.msg_hdr.msg_controllen = CONTROL_MAX as _;
        }
        let headers = addr_of_mut!(self.memory().receive).cast();
        // SAFETY: all BATCH headers point to live buffers of the lengths they state, which nothing else borrows.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers,
                BATCH as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?.min(BATCH);
        self.received = count;
        for index in 0..count {
            let memory = self.memory();
            let (Some(place), Some(header)) = (memory.places.get(index), memory.receive.get(index)) else {
                break;
            };
            let arrived = place.arrived(header, bound);
            if let Some(entry) = self.arrived.get_mut(index) {
                *entry = arrived;
            }
        }
        Ok(count)
    }

    /// The datagram at `index` of the present batch; `None` past its end, and for one that cannot be answered: cut
    /// off at [`MESSAGE_MAX`], or from no internet address.
    pub(crate) fn slot(&mut self, index: usize) -> Option<Slot<'_>> {
        if index >= self.received {
            return None;
        }
        let Arrived { caller, message_len } = *self.arrived.get(index)?;
        Some(Slot { caller: caller?, message_len, index, batch: self })
    }

    /// How many replies wait to be sent.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Sends the replies, in order. One that the kernel refuses is skipped; its client asks again.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let queued = std::mem::take(&mut self.queued);
        let headers: *mut libc::mmsghdr = addr_of_mut!(self.memory().send).cast();
        let mut result = Sent::default();
        let mut next = 0;
        while next < queued {
            // SAFETY: the headers from `next` to `queued` were filled by `Slot::reply` and point into our memory.
            let sent = unsafe {
                let left = libc::c_uint::try_from(queued - next).unwrap_or(0);
                libc::sendmmsg(socket.as_raw_fd(), headers.add(next), left, libc::MSG_DONTWAIT as _)
            };
            let sent = usize::try_from(sent).unwrap_or(0);
            result.sent += sent;
            next += sent;
            if next < queued {
                // A short count means that the message after it was refused.
                result.refused += 1;
                next += 1;
            }
        }
        result
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: it came from a box in `new`, and only here is it given back.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

impl Place {
    fn arrived(&self, header: &libc::mmsghdr, bound: SocketAddr) -> Arrived {
        let message_len = usize::try_from(header.msg_len).unwrap_or(0).min(MESSAGE_MAX);
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let from = usize::try_from(header.msg_hdr.msg_namelen).ok().and_then(|len| self.from.get(..len));
        let Some(from) = from.and_then(packet_info::read_address).filter(|_| !truncated) else {
            return Arrived { caller: None, message_len };
        };
        let (from, mapped) = packet_info::unmapped(from);
        let info = self.control.get(..header.msg_hdr.msg_controllen as _).and_then(packet_info::read);
        let interface = info.map_or(0, |info| info.interface);
        let destination = info.map_or(bound.ip(), |info| info.destination);
        // The kernel does not say where the datagram was queued before packet information was asked for. One that
        // was sent to a single address was delivered for that one; whether it is ours the kernel checks at the reply.
        let local =
            info.and_then(|info| info.local).unwrap_or_else(|| delivered_for(destination, bound.ip()));
        let mut local = SocketAddr::new(local, bound.port());
        if let SocketAddr::V6(v6) = &mut local
            && v6.ip().is_unicast_link_local()
        {
            v6.set_scope_id(interface);
        }
        Arrived { caller: Some(Datagram { from, destination, local, interface, mapped }), message_len }
    }

    /// Writes how the reply has to leave; answers the length of that.
    fn address_reply(&mut self, caller: &Datagram) -> usize {
        match caller.local.ip() {
            IpAddr::V4(local) => packet_info::write_v4(&mut self.reply_control, local),
            IpAddr::V6(local) => packet_info::write_v6(&mut self.reply_control, local, link_of(caller)),
        }
    }
}

/// The interface by which the reply to an IPv6 datagram has to leave; 0: by the routes.
pub(super) fn link_of(caller: &Datagram) -> u32 {
    let link_local = |address| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let one_link =
        link_local(caller.local.ip()) || link_local(caller.from.ip()) || caller.destination.is_multicast();
    if one_link { caller.interface } else { 0 }
}

fn delivered_for(destination: IpAddr, bound: IpAddr) -> IpAddr {
    let many = match destination {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    if many && bound.is_ipv4() == destination.is_ipv4() { bound } else { destination }
}

impl Slot<'_> {
    /// Who sent it.
    pub(crate) fn caller(&self) -> Datagram {
        self.caller
    }

    /// How long the message is.
    pub(crate) fn message_len(&self) -> usize {
        self.message_len
    }

    /// The message, and the buffer for its reply, as long as `budget` allows.
    pub(crate) fn buffers(&mut self, budget: &Budget) -> (&[u8], &mut [u8]) {
        let index = self.index;
        let Some(place) = self.batch.memory().places.get_mut(index) else { return (&[], &mut []) };
        let message = place.message.get(..self.message_len).unwrap_or(&[]);
        let room = budget.bytes().min(MESSAGE_MAX);
        (message, place.reply.get_mut(..room).unwrap_or(&mut []))
    }

    /// Queues the first `len` bytes of the reply buffer as the reply: to the sender, from the address that was
    /// asked. Answers whether it was queued; it is not when it is longer than what the budget allows.
    #[expect(clippy::needless_pass_by_value, reason = "the budget is used up")]
    pub(crate) fn reply(self, len: usize, budget: Budget) -> bool {
        let (index, caller) = (self.index, self.caller);
        let queued = self.batch.queued;
        if len > budget.bytes().min(MESSAGE_MAX) || queued >= BATCH || index >= BATCH {
            return false;
        }
        let memory = self.batch.memory();
        let Some(control_len) = memory.places.get_mut(index).map(|place| place.address_reply(&caller)) else {
            return false;
        };
        let memory = self.batch.memory.as_ptr();
        // SAFETY: `memory` is ours and alive, `index` and `queued` are below BATCH, and no reference into it exists.
        // The name is the one received with the datagram, of the length that the kernel stated.
        unsafe {
            let place = addr_of_mut!((*memory).places[index]);
            let part = addr_of_mut!((*memory).send_parts[index]);
            (*part).iov_len = len;
            let header = addr_of_mut!((*memory).send[queued].msg_hdr);
            (*header).msg_name = addr_of_mut!((*place).from).cast();
            (*header).msg_namelen = (*memory).receive[index].msg_hdr.msg_namelen;
            (*header).msg_iov = part;
            (*header).msg_iovlen = 1;
            (*header).msg_control = if control_len == 0 {
                std::ptr::null_mut()
            } else {
                addr_of_mut!((*place).reply_control).cast()
            };
            (*header).msg_controllen = control_len as _;
        }
        self.batch.queued = queued + 1;
        true
    }
}

/// Asks the kernel to say with every datagram where it was sent to and where it arrived: for both families on a
/// dual-stack socket.
///
/// # Errors
/// The system call's.
pub(crate) fn want_packet_info(socket: &impl AsFd, family: SocketAddr, dual_stack: bool) -> io::Result<()> {
    if family.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    if family.is_ipv4() || dual_stack {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

/// What the kernel holds of the bytes that were written to a stream socket and that its peer has not taken (TCP: not
/// acknowledged, unix: not read), in bytes of memory.
///
/// # Errors
/// The system call's: before Linux 4.12 there is no such option.
pub(crate) fn undelivered(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut told = [0_u32; SK_MEMINFO_VARS];
    let mut len = libc::socklen_t::try_from(size_of_val(&told)).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes to `told`, which has as many.
    let result = unsafe {
        let told = addr_of_mut!(told).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, told, &raw mut len)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // TCP keeps what may have to be sent again in a queue; of unix sockets only what is in memory is counted.
    let [_, _, in_memory, _, _, in_queue, ..] = told;
    Ok(usize::try_from(in_memory.max(in_queue)).unwrap_or(usize::MAX))
}

/// The network namespace that a socket belongs to, whatever process holds it.
///
/// # Errors
/// The system call's: before Linux 5.14 there is no such option.
pub(crate) fn namespace(socket: BorrowedFd<'_>) -> io::Result<Namespace> {
    let mut cookie = 0_u64;
    let mut len = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes to `cookie`, which has as many.
    let result = unsafe {
        let cookie = addr_of_mut!(cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, cookie, &raw mut len)
    };
    if result == 0 { Ok(Namespace(cookie)) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
