//! What strangers try: nothing is reflected, nothing changes, nothing goes on by itself.

use crate::scene::{
    ETH0, USER, at, boolean, call, calls, ip, nic, pair, reasons, replies, rows, rpcb, settings, unix,
};
use oncrpc::bind::{self, V2, V4};
use oncrpc::{Answer, AuthStatus, Procedure, Reply};
use rpcbind_core::Settings;
use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::Reason;
use std::net::SocketAddr;
use testkit::world::{Event, Faults, HostId, LOOPBACK, What, World};

#[test]
fn two_port_mappers_pointed_at_each_other_never_go_on_by_themselves() {
    for port in [111, 1_111] {
        let (mut world, first, second, _) = pair(3, Faults { doubled_per_mille: 300, ..Faults::NONE });
        for host in [first, second] {
            world.serve(host, Settings { port, ..settings() });
        }
        let (a, b) = (SocketAddr::new(ip("192.0.2.1"), port), SocketAddr::new(ip("192.0.2.2"), port));
        let calls = calls();
        for call in &calls {
            world.forge(second, ETH0, a, b, call);
            world.forge(first, ETH0, b, a, call);
            world.forge(first, LOOPBACK, a, a, call);
            let mut reply = call.clone();
            reply[7] = 1;
            world.forge(second, ETH0, a, b, &reply);
        }
        world.run();
        let handled = reasons(&world, first).len() + reasons(&world, second).len();
        assert!(handled >= calls.len() * 4);
        if port == 111 {
            // A server's port: nothing leaves at all.
            assert_eq!(replies(&world), Vec::<&Event>::new());
        } else {
            // At most one reply to each, and none to a reply.
            let not_calls =
                |host| reasons(&world, host).into_iter().filter(|reason| *reason == Reason::NotACall);
            assert!(
                not_calls(first).count() + not_calls(second).count() >= calls.len() + replies(&world).len()
            );
            assert!(!replies(&world).is_empty());
        }
    }
}

#[test]
fn nothing_answers_what_was_sent_to_everybody() {
    let mut world = World::new(4);
    let link = world.link(Faults::NONE);
    let servers: Vec<HostId> = (1..=20_u8)
        .map(|number| {
            let host =
                world.host(vec![nic(link, &[&format!("192.0.2.{number}"), &format!("fe80::{number}")])]);
            world.serve(host, settings());
            host
        })
        .collect();
    let client = world.host(vec![nic(link, &["192.0.2.100", "fe80::100"])]);
    let v4 = world.bind(client, at("192.0.2.100:40000"), USER);
    let v6 = world.bind(client, at("[fe80::100]:40000"), USER);
    for call in calls() {
        world.send(v4, at("255.255.255.255:111"), &call);
        world.send(v4, at("192.0.2.255:111"), &call);
        world.send(v4, at("224.0.0.1:111"), &call);
        world.send(v6, at("[ff02::202]:111"), &call);
        world.send(v6, at("[ff02::1]:111"), &call);
    }
    world.run();
    for server in servers {
        let reasons = reasons(&world, server);
        assert_eq!(reasons.len(), calls().len() * 5);
        assert!(reasons.iter().all(|reason| *reason == Reason::Unanswerable));
    }
    assert_eq!(replies(&world), Vec::<&Event>::new());
    // The same calls to one of them are answered.
    world.send(v4, at("192.0.2.7:111"), &call(1, V4, Procedure(0), &[]));
    world.run();
    assert_eq!(world.inbox(v4).len(), 1);
}

#[test]
fn nothing_answers_a_servers_port() {
    let (mut world, server, client, _) = pair(5, Faults::NONE);
    for port in [0, 7, 13, 17, 19, 111] {
        let echo = world.bind(client, SocketAddr::new(ip("192.0.2.2"), port), 0);
        let local = world.bind(server, SocketAddr::new(ip("127.0.0.1"), port), 0);
        for call in calls() {
            world.send(echo, at("192.0.2.1:111"), &call);
            world.send(local, at("127.0.0.1:111"), &call);
        }
    }
    world.run();
    assert_eq!(replies(&world), Vec::<&Event>::new());
    assert!(reasons(&world, server).iter().all(|reason| *reason == Reason::Unanswerable));
    assert_eq!(rows(&world, server), []);
}

#[test]
fn a_loopback_source_from_the_wire_changes_nothing_and_reads_as_a_stranger() {
    let (mut world, server, _, _) = pair(6, Faults::NONE);
    // There is even a socket of root's at the port that the forger claims.
    let root = world.bind(server, at("127.0.0.1:600"), 0);
    let owner = unix(&world, server, USER);
    for version in 1..=20 {
        let set = rpcb(1, bind::SET, version, "udp", "0.0.0.0.20.1");
        assert!(boolean(&world.record(&owner, &set).unwrap()));
    }
    let before = rows(&world, server);
    let forged = [
        ("127.0.0.1:600", "127.0.0.1:111"),
        ("127.0.0.1:600", "192.0.2.1:111"),
        ("192.0.2.1:600", "192.0.2.1:111"),
        ("[::1]:600", "[::1]:111"),
        ("[::1]:600", "[2001:db8::1]:111"),
        ("[2001:db8::1]:600", "[2001:db8::1]:111"),
        ("[::ffff:127.0.0.1]:600", "[::1]:111"),
    ];
    let messages = [
        rpcb(2, bind::SET, 99, "udp", "0.0.0.0.20.1"),
        rpcb(3, bind::SET, 1, "udp", "0.0.0.0.20.2"),
        rpcb(4, bind::UNSET, 1, "", ""),
        call(5, V4, bind::DUMP, &[]),
        call(6, V2, bind::DUMP, &[]),
    ];
    for (from, to) in forged {
        for message in &messages {
            let seen = world.history().len();
            world.forge(server, ETH0, at(from), at(to), message);
            world.run();
            for event in &world.history()[seen..] {
                match &event.what {
                    What::Handled { why, .. } => {
                        assert!(matches!(why.reason, Reason::NotLocal | Reason::ReplyTooLong), "{event:?}");
                    }
                    What::Replied { to: back, len, .. } => {
                        assert_eq!(*back, at(from));
                        assert!(*len <= message.len());
                    }
                    What::Sent { .. } => {}
                    What::Called { .. } | What::Ended { .. } => panic!("remote calls are off"),
                }
            }
        }
    }
    assert_eq!(rows(&world, server), before);
    // The owner of that socket, on the loopback interface, is believed.
    world.send(root, at("127.0.0.1:111"), &rpcb(7, bind::UNSET, 1, "", ""));
    world.send(root, at("127.0.0.1:111"), &call(8, V4, bind::DUMP, &[]));
    world.run();
    assert_eq!(rows(&world, server).len(), 19);
    assert!(world.inbox(root).iter().any(|(_, reply)| reply.len() > 512));
}

#[test]
fn the_hosts_own_address_reads_as_the_host_and_writes_as_a_stranger() {
    let (mut world, server, _, _) = pair(7, Faults::NONE);
    let own = world.bind(server, at("192.0.2.1:600"), 0);
    world.send(own, at("192.0.2.1:111"), &rpcb(1, bind::SET, 1, "udp", "0.0.0.0.20.1"));
    world.send(own, at("192.0.2.1:111"), &call(2, V4, bind::DUMP, &[]));
    world.run();
    assert_eq!(rows(&world, server), []);
    let answers: Vec<_> =
        world.inbox(own).iter().map(|(_, reply)| Reply::decode(reply).unwrap().answer).collect();
    assert_eq!(answers[0], Answer::AuthError(AuthStatus::TooWeak));
    assert!(matches!(answers[1], Answer::Success(list) if list.len() > 200));
}

#[test]
fn whatever_a_stranger_sends_what_comes_back_is_one_datagram_and_not_longer() {
    for seed in 0..20 {
        let (mut world, server, client, socket) = pair(seed, Faults { lost_per_mille: 0, ..Faults::MANY });
        for (index, call) in calls().into_iter().enumerate() {
            for len in [call.len(), call.len() - index % 40, index % (call.len() + 1)] {
                world.send(socket, at("192.0.2.1:111"), &call[..len]);
            }
        }
        world.run();
        let mut asked = 0;
        let mut last = None;
        for event in world.history() {
            match &event.what {
                What::Handled { caller, len, .. } => {
                    assert!(matches!(caller, Caller::Datagram(_)));
                    (asked, last) = (asked + 1, Some(*len));
                }
                What::Replied { to, len, .. } => {
                    assert_eq!(event.host, server);
                    assert_eq!(*to, at("192.0.2.2:40000"));
                    let brought = last.take().expect("one reply to one datagram");
                    assert!(*len <= brought && *len <= 512);
                }
                What::Sent { .. } => assert_eq!(event.host, client),
                What::Called { .. } | What::Ended { .. } => panic!("remote calls are off"),
            }
        }
        assert!(asked > calls().len() * 3);
    }
}
