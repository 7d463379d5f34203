//! The index of an interface by its name, asked of the kernel over a socket that stays open: a confined daemon can
//! neither read `/sys` nor make the socket that if_nametoindex(3) makes.

use std::io;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use netlink_packet_route::link::LinkHeader;

use super::socket::{Message, NetlinkSocket, Received};

/// The kernel answers at once; this ends the wait for one that does not.
const PATIENCE: Duration = Duration::from_secs(1);
const RTM_NEWLINK: u16 = 16;

/// Where interfaces are asked for by name. Open it before confinement.
#[derive(Debug)]
pub struct InterfaceNames {
    socket: NetlinkSocket,
}

impl InterfaceNames {
    /// Opens the socket, in the current network namespace.
    ///
    /// # Errors
    /// Netlink is refused.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: NetlinkSocket::open(None, 0)? })
    }

    /// The index of the interface that has this name now; `None` when none has.
    ///
    /// # Errors
    /// The kernel could not be asked, or does not answer.
    pub fn index(&mut self, name: &str) -> io::Result<Option<u32>> {
        let deadline = Instant::now().checked_add(PATIENCE).ok_or(io::ErrorKind::TimedOut)?;
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.socket.request(RouteNetlinkMessage::GetLink(request), 0)?;
        loop {
            let messages = match self.socket.receive()? {
                Received::Messages(messages) => messages,
                Received::Overrun => return Err(io::ErrorKind::TimedOut.into()),
                Received::Empty => {
                    self.socket.wait(deadline)?;
                    continue;
                }
            };
            for message in messages {
                match message {
                    Message::Answer { kind: RTM_NEWLINK, payload, .. } => {
                        let header = LinkHeader::parse(payload).map_err(io::Error::other)?;
                        return Ok(Some(header.index));
                    }
                    Message::Failed(libc::ENODEV) => return Ok(None),
                    Message::Failed(number) => return Err(io::Error::from_raw_os_error(number)),
                    Message::Answer { .. } | Message::Event { .. } | Message::End => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_number_one_and_nobody_has_a_name_that_is_not_there() {
        let mut names = InterfaceNames::open().unwrap();
        for _ in 0..2 {
            assert_eq!(names.index("lo").unwrap(), Some(1));
            assert_eq!(names.index("not-here").unwrap(), None);
        }
        // The kernel's limit is 15 bytes; it does not cut.
        assert!(names.index("a-name-that-is-longer-than-it-may-be").unwrap_or(None).is_none());
    }
}
