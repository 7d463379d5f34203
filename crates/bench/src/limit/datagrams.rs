//! Datagrams of the limit server: received and sent in batches, each reply from the address that was asked.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::in_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt,
    sockopt,
};
use oncrpc::bind::MAX_MESSAGE;

use super::answer::Answers;

/// Datagrams that one system call moves, and batches in one turn, as in the daemon.
const BATCH: usize = 32;
const BATCHES_MAX: usize = 4;
/// Longer than any reply to a datagram here.
const REPLY_MAX: usize = 64;

/// The socket with all buffers that a batch needs.
pub(super) struct Datagrams {
    socket: UdpSocket,
    receive: MultiHeaders<SockaddrIn>,
    send: MultiHeaders<SockaddrIn>,
    messages: Vec<[u8; MAX_MESSAGE]>,
    replies: [[u8; REPLY_MAX]; BATCH],
    lens: [usize; BATCH],
    from: [Option<SockaddrIn>; BATCH],
}

impl Datagrams {
    pub(super) fn new(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        Ok(Self {
            socket,
            receive: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in_pktinfo))),
            send: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in_pktinfo))),
            messages: vec![[0; MAX_MESSAGE]; BATCH],
            replies: [[0; REPLY_MAX]; BATCH],
            lens: [0; BATCH],
            from: [None; BATCH],
        })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Answers what is there, a few batches at most.
    pub(super) fn answer(&mut self, answers: &Answers) -> nix::Result<()> {
        for _ in 0..BATCHES_MAX {
            let (received, info) = match self.receive(answers) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            self.send(received, info)?;
            if received < BATCH {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Receives a batch and prepares the replies. All of them leave with the packet information of the last: all
    /// clients of these measurements ask the same address.
    fn receive(&mut self, answers: &Answers) -> nix::Result<(usize, in_pktinfo)> {
        let mut messages = self.messages.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] = array::from_fn(|_| {
            [IoSliceMut::new(messages.next().map_or(&mut [], |message| message.as_mut_slice()))]
        });
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let datagrams = recvmmsg(socket, &mut self.receive, parts.iter_mut(), flags, None)?;
        let (mut received, mut info) = (0, in_pktinfo_of_nothing());
        for datagram in datagrams {
            let call = datagram.iovs().next().unwrap_or_default();
            self.lens[received] = answers.to(call).write(call, &mut self.replies[received]);
            self.from[received] = datagram.address;
            for message in datagram.cmsgs()? {
                if let ControlMessageOwned::Ipv4PacketInfo(received) = message {
                    info.ipi_spec_dst = received.ipi_spec_dst;
                }
            }
            received += 1;
        }
        Ok((received, info))
    }

    fn send(&mut self, count: usize, info: in_pktinfo) -> nix::Result<()> {
        let (replies, lens) = (&self.replies, &self.lens);
        let parts: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|index| [IoSlice::new(&replies[index][..lens[index]])]);
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let (socket, to) = (self.socket.as_raw_fd(), &self.from[..count]);
        let flags = MsgFlags::MSG_DONTWAIT;
        sendmmsg(socket, &mut self.send, parts.iter().take(count), to, control, flags)?;
        Ok(())
    }
}

fn in_pktinfo_of_nothing() -> in_pktinfo {
    let nowhere = nix::libc::in_addr { s_addr: 0 };
    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: nowhere, ipi_addr: nowhere }
}
