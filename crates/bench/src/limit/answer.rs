//! Fixed replies: success with a result of the size that the procedure's has (RFC 5531 section 9, RFC 1833).

use oncrpc::bind;

/// Where the version and the procedure are in a call.
const VERSION: usize = 16;
const PROCEDURE: usize = 20;
/// An accepted reply up to its result.
const HEAD: [u8; 24] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PORT: [u8; 4] = [0, 0, 156, 64];
/// As long as the address of any service of these measurements.
const ADDRESS: &[u8; 16] = b"127.0.0.1.156.64";

/// A reply: the bytes to send, and whether the list of DUMP follows them.
pub(super) struct Answer<'a> {
    pub(super) head: &'a [u8],
    pub(super) list: bool,
}

/// The replies that there are.
pub(super) struct Answers {
    port: Vec<u8>,
    address: Vec<u8>,
    pub(super) list: Vec<u8>,
}

impl Answers {
    pub(super) fn new(dump_bytes: usize) -> Self {
        let port = [HEAD.as_slice(), &PORT].concat();
        let address = [HEAD.as_slice(), &[0, 0, 0, 16], ADDRESS].concat();
        // A list of nothing, in one piece of the right length.
        Self { port, address, list: vec![0; dump_bytes.saturating_sub(HEAD.len())] }
    }

    /// The reply to a call, its xid left out.
    pub(super) fn to(&self, call: &[u8]) -> Answer<'_> {
        let last = |at: usize| call.get(at + 3).copied().map(u32::from);
        let (version, procedure) = (last(VERSION), last(PROCEDURE));
        if procedure == Some(0) {
            Answer { head: &HEAD, list: false }
        } else if procedure == Some(bind::DUMP.0) {
            Answer { head: &HEAD, list: true }
        } else if procedure == Some(bind::GETADDR.0) && version != Some(bind::V2.0) {
            Answer { head: &self.address, list: false }
        } else {
            Answer { head: &self.port, list: false }
        }
    }
}

impl Answer<'_> {
    /// Writes it with the call's xid; its length.
    pub(super) fn write(&self, call: &[u8], reply: &mut [u8]) -> usize {
        let len = self.head.len();
        reply[..len].copy_from_slice(self.head);
        if let Some(xid) = call.get(..4) {
            reply[..4].copy_from_slice(xid);
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Programs, Question};
    use std::net::Ipv4Addr;

    #[test]
    fn every_look_up_gets_its_xid_and_a_result_of_the_right_size() {
        let answers = Answers::new(0);
        let lens =
            [(Question::GetPort, 28), (Question::GetAddr(bind::V3), 44), (Question::GetAddr(bind::V4), 44)];
        for (question, len) in lens {
            let mut call = question.call(Programs::registered(1).pick(0), Ipv4Addr::LOCALHOST).unwrap();
            call[..4].copy_from_slice(&[1, 2, 3, 4]);
            let mut reply = [0; 64];
            let written = answers.to(&call).write(&call, &mut reply);
            assert_eq!(written, len, "{question:?}");
            assert_eq!(wire::check(&reply[..written], true).unwrap(), 0x0102_0304);
        }
    }

    #[test]
    fn a_dump_is_as_long_as_it_has_to_be() {
        let answers = Answers::new(1_000);
        let answer = answers.to(&wire::dump().unwrap());
        assert!(answer.list);
        assert_eq!(answer.head.len() + answers.list.len(), 1_000);
    }
}
