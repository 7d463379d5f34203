//! What clients get, whatever the network does.

use crate::scene::{USER, at, boolean, call, getport, nic, pair, reasons, rows, rpcb, settings, text, unix};
use oncrpc::bind::{self, V4};
use oncrpc::{Answer, AuthStatus, Reply};
use rpcbind_core::outcome::{Reason, Refusal};
use rpcbind_core::registry::Owner;
use std::time::Duration;
use testkit::world::{Faults, World};

#[test]
fn the_same_seed_has_the_same_history_and_another_has_another() {
    let history = |seed| {
        let (mut world, _, _, socket) = pair(seed, Faults::MANY);
        world.script(socket, (0..50).map(|xid| (at("192.0.2.1:111"), getport(xid, 1))).collect());
        world.run();
        world.history().to_vec()
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

#[test]
fn look_ups_are_answered_through_loss_doubles_and_delays() {
    for seed in 0..50 {
        let (mut world, server, client, _) = pair(seed, Faults::MANY);
        for version in 1..=9 {
            let stream = unix(&world, server, USER);
            let set = rpcb(1, bind::SET, version, "udp", &format!("0.0.0.0.20.{version}"));
            assert!(boolean(&world.record(&stream, &set).unwrap()));
        }
        let scripts: Vec<_> = (0..5)
            .map(|index| {
                let socket = world.bind(client, at(&format!("192.0.2.2:{}", 40_001 + index)), USER);
                let calls =
                    (1..=9).map(|version| (at("192.0.2.1:111"), getport(version * 16 + index, version)));
                world.script(socket, calls.collect())
            })
            .collect();
        world.run();
        for script in scripts {
            for (version, reply) in (1..).zip(world.replies(script)) {
                // Whoever gives up was unlucky; whoever was answered was answered right.
                let Some(reply) = reply else { continue };
                let port: u32 = 20 * 256 + version;
                assert_eq!(Reply::decode(reply).unwrap().answer, Answer::Success(&port.to_be_bytes()));
            }
            let answered = world.replies(script).iter().filter(|reply| reply.is_some()).count();
            assert!(answered >= 8, "{answered} of 9 answered");
        }
    }
}

#[test]
fn a_registration_that_is_sent_again_and_doubled_is_one_row() {
    for seed in 0..50 {
        let (mut world, server, _, _) = pair(seed, Faults::NONE);
        world.set_loopback_faults(Faults::MANY);
        let socket = world.bind(server, at("127.0.0.1:40000"), USER);
        let calls = (1..=5)
            .map(|version| (at("127.0.0.1:111"), rpcb(version, bind::SET, version, "udp", "0.0.0.0.20.1")));
        let script = world.script(socket, calls.collect());
        world.run();
        let rows = rows(&world, server);
        assert!(rows.iter().all(|row| row.owner == Owner::Uid(USER)));
        let mut versions: Vec<u32> = rows.iter().map(|row| row.version.0).collect();
        versions.dedup();
        assert_eq!(versions.len(), rows.len());
        for (version, reply) in (1..).zip(world.replies(script)) {
            let registered = versions.contains(&version);
            assert!(reply.as_ref().is_none_or(|reply| boolean(reply) && registered));
        }
    }
}

#[test]
fn a_host_with_two_links_answers_from_and_with_the_address_that_was_asked() {
    let mut world = World::new(8);
    let (first, second) = (world.link(Faults::NONE), world.link(Faults::NONE));
    let server = world.host(vec![
        nic(first, &["192.0.2.1", "2001:db8:1::1"]),
        nic(second, &["198.51.100.1", "198.51.100.2", "2001:db8:2::1"]),
    ]);
    world.serve(server, settings());
    let stream = unix(&world, server, USER);
    for (netid, address) in [("udp", "0.0.0.0.20.1"), ("udp6", "::.20.1")] {
        assert!(boolean(&world.record(&stream, &rpcb(1, bind::SET, 1, netid, address)).unwrap()));
    }
    let near = world.host(vec![nic(first, &["192.0.2.9", "2001:db8:1::9"])]);
    let far = world.host(vec![nic(second, &["198.51.100.9", "2001:db8:2::9"])]);
    let clients = [
        (near, "192.0.2.9:40000", "[2001:db8:1::9]:40000"),
        (far, "198.51.100.9:40000", "[2001:db8:2::9]:40000"),
    ];
    for (client, v4, v6) in clients {
        let (v4, v6) = (world.bind(client, at(v4), USER), world.bind(client, at(v6), USER));
        let asked = [
            (v4, "192.0.2.1:111", "192.0.2.1.20.1"),
            (v4, "198.51.100.1:111", "198.51.100.1.20.1"),
            (v4, "198.51.100.2:111", "198.51.100.2.20.1"),
            (v6, "[2001:db8:1::1]:111", "2001:db8:1::1.20.1"),
            (v6, "[2001:db8:2::1]:111", "2001:db8:2::1.20.1"),
        ];
        for (socket, to, expected) in asked {
            let hint = "";
            world.send(socket, at(to), &rpcb(2, bind::GETADDR, 1, "", hint));
            world.run();
            let (from, reply) = world.inbox(socket).last().unwrap();
            assert_eq!(*from, at(to), "a reply leaves from the address that was asked");
            assert_eq!(text(reply), expected);
        }
    }
}

#[test]
fn streams_are_who_the_kernel_says_they_are() {
    let (mut world, server, client, _) = pair(9, Faults::NONE);
    let set = |version| rpcb(version, bind::SET, version, "tcp", "0.0.0.0.20.1");
    let here = world.connect(server, at("127.0.0.1:40000"), at("127.0.0.1:111"), USER).unwrap();
    let root = world.connect(server, at("127.0.0.1:40001"), at("127.0.0.1:111"), 0).unwrap();
    let own = world.connect(server, at("192.0.2.1:40002"), at("192.0.2.1:111"), 0).unwrap();
    let there = world.connect(client, at("192.0.2.2:40003"), at("192.0.2.1:111"), 0).unwrap();
    assert!(world.connect(client, at("192.0.2.2:40004"), at("192.0.2.1:112"), 0).is_none());
    assert!(world.connect(client, at("192.0.2.2:40004"), at("192.0.2.9:111"), 0).is_none());
    assert!(boolean(&world.record(&here, &set(1)).unwrap()));
    assert!(boolean(&world.record(&root, &set(2)).unwrap()));
    for stranger in [own, there] {
        let reply = world.record(&stranger, &set(3)).unwrap();
        assert_eq!(Reply::decode(&reply).unwrap().answer, Answer::AuthError(AuthStatus::TooWeak));
    }
    let owners: Vec<Owner> = rows(&world, server).iter().map(|row| row.owner).collect();
    assert_eq!(owners, [Owner::Uid(USER), Owner::ROOT]);
    // The whole table over a stream, to anybody.
    let dump = world.record(&there, &call(1, V4, bind::DUMP, &[])).unwrap();
    assert!(matches!(Reply::decode(&dump).unwrap().answer, Answer::Success(list) if list.len() > 400));
}

#[test]
fn a_service_that_died_is_replaced_and_one_that_lives_is_not() {
    let (mut world, server, _, _) = pair(10, Faults::NONE);
    for (netid, alive) in [
        ("tcp", world.listen(server, at("0.0.0.0:5121"), USER)),
        ("udp", world.bind(server, at("0.0.0.0:5121"), USER)),
    ] {
        let stream = unix(&world, server, USER);
        let set = |world: &mut World, address| {
            boolean(&world.record(&stream, &rpcb(1, bind::SET, 1, netid, address)).unwrap())
        };
        assert!(set(&mut world, "0.0.0.0.20.1"));
        assert!(!set(&mut world, "0.0.0.0.20.2"));
        assert_eq!(reasons(&world, server).last(), Some(&Reason::Refused(Refusal::Conflict)));
        world.close(alive);
        assert!(set(&mut world, "0.0.0.0.20.2"));
    }
    let addresses: Vec<_> = rows(&world, server).into_iter().map(|row| row.address).collect();
    assert_eq!(addresses, ["0.0.0.0.20.2".into(), "0.0.0.0.20.2".into()]);
}

#[test]
fn the_wall_clock_goes_where_it_is_pushed() {
    let (mut world, _, _, socket) = pair(11, Faults::NONE);
    let ask = |world: &mut World| {
        world.send(socket, at("192.0.2.1:111"), &call(1, V4, bind::GETTIME, &[]));
        world.run();
        match Reply::decode(&world.inbox(socket).last().unwrap().1).unwrap().answer {
            Answer::Success(seconds) => u32::from_be_bytes(seconds.try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut world), 1_700_000_000);
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(ask(&mut world), 1_700_003_600);
    world.set_wall_clock(5);
    assert_eq!(ask(&mut world), 5);
    assert_eq!(world.now().as_secs(), 3_600);
}
