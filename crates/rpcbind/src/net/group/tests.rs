use super::*;
use rpcbind_core::interfaces::{Interface, InterfaceAddress};

/// A socket with room for so many memberships, on a host without the last few links.
#[derive(Debug, Default)]
struct Pretended {
    members: BTreeSet<u32>,
    room: usize,
    absent: BTreeSet<u32>,
    calls: usize,
}

impl Member for &mut Pretended {
    fn join(&mut self, link: u32) -> Result<(), Errno> {
        self.calls += 1;
        if self.members.contains(&link) {
            return Err(Errno::ADDRINUSE);
        }
        if self.absent.contains(&link) {
            return Err(Errno::NODEV);
        }
        if self.members.len() >= self.room {
            return Err(Errno::NOMEM);
        }
        self.members.insert(link);
        Ok(())
    }

    fn leave(&mut self, link: u32) -> Result<(), Errno> {
        self.calls += 1;
        if self.members.remove(&link) { Ok(()) } else { Err(Errno::ADDRNOTAVAIL) }
    }
}

fn set(links: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    links.into_iter().collect()
}

#[test]
fn links_are_joined_as_they_come_and_left_as_they_go() {
    let mut socket = Pretended { room: 10, members: set([3]), ..Pretended::default() };
    let mut membership = Membership::new(&mut socket);
    // 3 is left over from before.
    for links in [set([2, 3]), set([3, 4, 5]), set([]), set([3])] {
        membership.follow(&links, &set([]));
        assert_eq!((&membership.joined, &membership.member.members), (&links, &links));
    }
}

#[test]
fn a_link_that_is_gone_again_is_joined_when_it_is_back() {
    let mut socket = Pretended { room: 10, absent: set([7]), ..Pretended::default() };
    let mut membership = Membership::new(&mut socket);
    membership.follow(&set([6, 7, 8]), &set([]));
    assert_eq!((&membership.joined, membership.said), (&set([6, 8]), None));
    membership.member.absent.clear();
    membership.follow(&set([6, 7, 8]), &set([]));
    assert_eq!(membership.joined, set([6, 7, 8]));
}

#[test]
fn a_link_that_was_gone_and_is_back_already_is_joined_anew() {
    let mut socket = Pretended { room: 10, ..Pretended::default() };
    let mut membership = Membership::new(&mut socket);
    membership.follow(&set([6, 7]), &set([]));
    // The kernel has ended it without a word.
    membership.member.members.remove(&7);
    membership.follow(&set([6, 7]), &set([7]));
    assert_eq!((&membership.joined, &membership.member.members), (&set([6, 7]), &set([6, 7])));
}

#[test]
fn where_there_is_no_room_the_others_stay_and_the_first_that_goes_makes_room() {
    let mut socket = Pretended { room: 300, ..Pretended::default() };
    let mut membership = Membership::new(&mut socket);
    membership.follow(&set(2..1002), &set([]));
    assert_eq!((membership.joined.len(), membership.said), (300, Some(Errno::NOMEM)));
    let before = membership.member.calls;
    membership.follow(&set(2..1003), &set([]));
    assert!(membership.member.calls - before <= 2, "the rest are not tried one by one");
    membership.follow(&set(102..1003), &set([]));
    assert_eq!(membership.joined, set(102..402));
}

#[test]
fn only_links_that_are_up_with_multicasts_and_ipv6_count() {
    let link =
        |index, up, multicast| Interface { index, up, multicast, loopback: false, point_to_point: false };
    let address = |interface, address: &str| InterfaceAddress {
        interface,
        address: address.parse().unwrap(),
        prefix_length: 64,
    };
    let interfaces = Interfaces {
        interfaces: vec![
            link(1, true, false),
            link(2, true, true),
            link(3, false, true),
            link(4, true, true),
        ],
        addresses: vec![
            address(1, "::1"),
            address(2, "fe80::1"),
            address(2, "fd00::1"),
            address(4, "10.0.0.1"),
        ],
        ..Interfaces::default()
    };
    assert_eq!(links(&interfaces), set([2]));
}
