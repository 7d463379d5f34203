//! Owners of sockets and dead services, asked of the kernel about real sockets of other users.
//! A thread that changes its file-system uid makes sockets of that user, as a process of that user does.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own functions are tests too")]

mod owners;
mod services;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::unistd::{Uid, setfsuid};
use rpcbind::netlink::SockDiag;
use rpcbind::peer;
use rpcbind_core::caller::Transport::Udp;
use rpcbind_core::facts::BoundFact::{Bound, Unknown};
use rpcbind_core::facts::{Facts, OwnerFact, Question, Socket};
use testkit::Namespace;

const USER: u32 = 1000;
const NOBODY: u32 = 65534;

#[test]
fn a_socket_in_another_namespace_knows_nothing_of_home() {
    testkit::require!();
    let (home, elsewhere) = (Namespace::new().expect("home"), Namespace::new().expect("elsewhere"));
    let service = home.within(|| UdpSocket::bind("0.0.0.0:111").expect("bound")).expect("entered");
    let cookie = peer::namespace(service.as_fd());
    assert!(cookie.is_some());
    let test = |space: &Namespace, home_cookie| {
        space
            .within(|| {
                let mut diag = SockDiag::open(home_cookie, &[]).expect("netlink");
                let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 111));
                (diag.is_home(), diag.owner(Udp, at, at), diag.bound("udp", "0.0.0.0.0.111"))
            })
            .expect("entered")
    };
    for (space, cookie) in [(&elsewhere, cookie), (&home, None)] {
        assert_eq!(test(space, cookie), (false, OwnerFact::Unknown, Unknown));
    }
    let (is_home, owner, bound) = test(&home, cookie);
    assert!(is_home && sockets(owner).len() == 1 && bound == Bound);
}

#[test]
fn a_question_of_the_core_is_answered_in_its_place() {
    inside(|diag| {
        let service = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let at = service.local_addr().expect("bound");
        let mut facts = Facts::default();
        diag.answer(&Question::Owner { transport: Udp, local: at, remote: at }, &mut facts);
        assert!(facts.owner.is_some() && facts.bound.is_none());
        diag.answer(&Question::Bound { netid: "udp".into(), address: universal(at) }, &mut facts);
        assert_eq!(facts.bound, Some(Bound));
    });
}

fn inside(test: impl FnOnce(&mut SockDiag) + Send) {
    testkit::require!();
    let inner = || {
        raise_loopback();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let mut diag = SockDiag::open(peer::namespace(socket.as_fd()), &[]).expect("netlink");
        drop(socket);
        assert!(diag.is_home());
        test(&mut diag);
    };
    Namespace::new().expect("a private namespace").within(inner).expect("entered");
}

/// The namespace comes with it up; a test that could not reach itself would prove nothing.
fn raise_loopback() {
    assert!(UdpSocket::bind("[::1]:0").is_ok(), "IPv6 loopback");
}

fn as_user<T>(uid: u32, make: impl FnOnce() -> T) -> T {
    let before = setfsuid(Uid::from_raw(uid));
    let made = make();
    setfsuid(before);
    made
}

fn sockets(fact: OwnerFact) -> Vec<Socket> {
    match fact {
        OwnerFact::Sockets(sockets) => sockets,
        OwnerFact::Unknown => panic!("the kernel did not say"),
    }
}

fn one(fact: OwnerFact) -> Socket {
    let sockets = sockets(fact);
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    sockets[0]
}

fn universal(address: SocketAddr) -> String {
    format!("{}.{}.{}", address.ip(), address.port() >> 8, address.port() & 0xff)
}
