//! A window of datagrams kept full: as many calls leave as replies have come, both in batches, so that the load is
//! quicker than what it measures.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use super::{Load, PATIENCE, Target};
use crate::wire::{self, CALL_MAX, Calls, Question, Result};

/// The widest window.
const SLOTS: usize = 64;
/// Longer than any reply.
const REPLY_MAX: usize = 512;

/// So many in flight. A call's xid says which slot it is in.
pub(super) struct Window {
    socket: UdpSocket,
    calls: Calls,
    found: bool,
    slots: [Slot; SLOTS],
    width: usize,
    send: MultiHeaders<SockaddrIn>,
    receive: MultiHeaders<SockaddrIn>,
    replies: Box<[[u8; REPLY_MAX]; SLOTS]>,
}

/// A call in flight.
#[derive(Clone, Copy)]
struct Slot {
    call: [u8; CALL_MAX],
    len: usize,
    xid: u32,
}

impl Window {
    pub(super) fn new(question: Question, in_flight: usize, target: &Target) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(target.socket_address())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut slots = [Slot { call: [0; CALL_MAX], len: 0, xid: 0 }; SLOTS];
        for (slot, xid) in slots.iter_mut().zip(0..) {
            slot.xid = xid;
        }
        Ok(Self {
            socket,
            calls: target.calls(question)?,
            found: target.found,
            slots,
            width: in_flight.min(SLOTS),
            send: MultiHeaders::preallocate(SLOTS, None),
            receive: MultiHeaders::preallocate(SLOTS, None),
            replies: Box::new([[0; REPLY_MAX]; SLOTS]),
        })
    }

    /// Sends the next calls in these slots.
    fn send(&mut self, free: &[usize]) -> Result<()> {
        if free.is_empty() {
            return Ok(());
        }
        for index in free {
            let slot = &mut self.slots[*index];
            slot.xid = slot.xid.wrapping_add(u32::try_from(SLOTS)?);
            let call = self.calls.next(slot.xid);
            slot.len = call.len();
            slot.call[..call.len()].copy_from_slice(call);
        }
        let slots = &self.slots;
        let parts: [[IoSlice<'_>; 1]; SLOTS] = array::from_fn(|at| {
            let slot = &slots[free.get(at).copied().unwrap_or(0)];
            [IoSlice::new(&slot.call[..slot.len])]
        });
        let (socket, to) = (self.socket.as_raw_fd(), [None; SLOTS]);
        let sent =
            sendmmsg(socket, &mut self.send, parts.iter().take(free.len()), to, [], MsgFlags::empty())?;
        if sent.count() == free.len() { Ok(()) } else { Err("calls could not be sent".into()) }
    }

    /// Fills the window, and fills it again, while `more` grants some of the calls that would fill it; waits for all
    /// answers; their number.
    fn keep_full(&mut self, mut more: impl FnMut(usize) -> usize) -> Result<u64> {
        let all: [usize; SLOTS] = array::from_fn(|index| index);
        let mut in_flight = more(self.width);
        self.send(&all[..in_flight])?;
        let mut answered = 0;
        while in_flight > 0 {
            let (free, count) = self.receive()?;
            answered += u64::try_from(count)?;
            let granted = more(count);
            in_flight = in_flight + granted - count;
            self.send(&free[..granted])?;
        }
        Ok(answered)
    }

    /// Waits for replies; the slots that they leave free, and how many.
    fn receive(&mut self) -> Result<([usize; SLOTS], usize)> {
        let mut replies = self.replies.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; SLOTS] = array::from_fn(|_| {
            [IoSliceMut::new(replies.next().map_or(&mut [], |reply| reply.as_mut_slice()))]
        });
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        let (mut free, mut count) = ([0; SLOTS], 0);
        let received = recvmmsg(socket, &mut self.receive, parts.iter_mut(), flags, None);
        for reply in received.map_err(|error| format!("no reply: {error}"))? {
            let xid = wire::check(reply.iovs().next().unwrap_or_default(), self.found)?;
            let index = usize::try_from(xid)? % SLOTS;
            if self.slots[index].xid != xid {
                return Err("a reply to no call".into());
            }
            free[count] = index;
            count += 1;
        }
        Ok((free, count))
    }
}

impl Load for Window {
    fn burst(&mut self, end: Instant) -> Result<u64> {
        self.keep_full(|wanted| if Instant::now() < end { wanted } else { 0 })
    }
}

/// Asks about each of the target's programs once.
pub(crate) fn ask_each(target: &Target) -> Result<()> {
    let mut left = usize::try_from(target.programs.count)?;
    let mut window = Window::new(Question::GetPort, SLOTS, target)?;
    window.keep_full(|wanted| {
        let granted = wanted.min(left);
        left -= granted;
        granted
    })?;
    Ok(())
}
