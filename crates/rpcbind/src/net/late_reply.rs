//! A reply to a datagram that leaves by itself, after the batch that its request came in. It must never send what no
//! [`Budget`] was handed in for. (RFC 3542 section 6 for packet information.)

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use rpcbind_core::Budget;
use rpcbind_core::caller::Datagram;

use super::os::link_of;

/// Sends the reply: to the sender of the request, from the address that was asked.
///
/// # Errors
/// The system call's; and it is longer than what the budget allows.
#[expect(clippy::needless_pass_by_value, reason = "the budget is used up")]
pub(crate) fn reply_later(
    socket: &impl AsRawFd,
    caller: &Datagram,
    reply: &[u8],
    budget: Budget,
) -> io::Result<()> {
    if reply.len() > budget.bytes() {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let to = match caller.from {
        SocketAddr::V4(v4) if caller.mapped => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        from => from,
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(octets(caller.local.ip())) };
    let inet =
        libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: libc::in_addr { s_addr: 0 } };
    let inet6;
    let control = match caller.local.ip() {
        IpAddr::V4(_) => ControlMessage::Ipv4PacketInfo(&inet),
        IpAddr::V6(v6) => {
            let ipi6_addr = libc::in6_addr { s6_addr: v6.octets() };
            inet6 = libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: link_of(caller) as _ };
            ControlMessage::Ipv6PacketInfo(&inet6)
        }
    };
    let (parts, flags) = ([io::IoSlice::new(reply)], MsgFlags::MSG_DONTWAIT);
    sendmsg(socket.as_raw_fd(), &parts, &[control], flags, Some(&SockaddrStorage::from(to)))?;
    Ok(())
}
