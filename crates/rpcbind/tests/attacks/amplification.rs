//! What a stranger's datagram brings out of the daemon: never more than it brought, in bytes or packets.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::frames::{self, Ends, answers_to, datagram};
use crate::{HERE4, HERE6, Scene, THERE4, THERE6, UNLIMITED, ask, calls, count, here4, here6, is_full};

/// Datagrams on their way at a time.
const AT_ONCE: usize = 32;

/// Sends each message and then NULL; answers the length of each message's reply, by its place.
fn replies(client: &UdpSocket, messages: &[(String, Vec<u8>)]) -> HashMap<usize, usize> {
    let mut lengths = HashMap::new();
    for (chunk, part) in messages.chunks(AT_ONCE).enumerate() {
        let first = chunk * AT_ONCE;
        for (place, (_, message)) in part.iter().enumerate() {
            let xid = u32::try_from(first + place).unwrap();
            let message =
                if message.len() < 4 { message.clone() } else { calls::with_xid(message.clone(), xid) };
            client.send(&message).unwrap();
        }
        client.send(&calls::with_xid(calls::null(4), u32::MAX)).unwrap();
        loop {
            let mut reply = [0; 10_000];
            let len = client.recv(&mut reply).unwrap();
            let xid = u32::from_be_bytes(reply[..4].try_into().unwrap());
            if xid == u32::MAX {
                break;
            }
            let twice = lengths.insert(usize::try_from(xid).unwrap(), len);
            assert_eq!(twice, None, "{} got two replies", messages[usize::try_from(xid).unwrap()].0);
        }
    }
    lengths
}

#[test]
fn no_request_of_a_stranger_gets_a_longer_reply() {
    testkit::require!();
    let scene = Scene::new(UNLIMITED);
    scene.register(23);
    let messages = calls::all();
    for (from, to, headers) in [(THERE4, here4(), 28), (THERE6, here6(), 48)] {
        let client = ask::udp(&scene.other, from, to);
        let lengths = replies(&client, &messages);
        for (place, (name, message)) in messages.iter().enumerate() {
            let len = lengths.get(&place).copied();
            println!("{to} {name}: {} bytes, {len:?}", message.len());
            let len = len.unwrap_or(0);
            assert!(len <= message.len() && len <= 512, "{name}: {len} bytes for {}", message.len());
            let on_the_wire = if len == 0 { 0 } else { len + headers };
            assert!(on_the_wire <= message.len() + headers, "{name}");
            let is_list = ["DUMP", "GETSTAT", "GETADDRLIST"].iter().any(|list| name.starts_with(list));
            assert!(!is_list || len == 20, "{name}: {len} bytes");
        }
        assert!(lengths.len() > messages.len() / 2, "only {} were answered", lengths.len());
    }
}

#[test]
fn a_flood_brings_out_fewer_packets_and_bytes_than_it_brings() {
    testkit::require!();
    let _alone = crate::alone();
    let messages: Vec<_> = calls::all().into_iter().cycle().take(count(1_000_000, 20_000)).collect();
    for configuration in [UNLIMITED, ""] {
        let scene = Scene::new(configuration);
        scene.register(23);
        let before = frames::counters(&scene);
        if configuration.is_empty() {
            // With the limits most of it is dropped: what is sent is not waited for.
            let client = ask::udp(&scene.other, THERE4, here4());
            let stream = ask::tcp(&scene.other, &here4().to_string());
            for part in messages.chunks(AT_ONCE) {
                for (_, message) in part {
                    client.send(message).unwrap();
                }
                // Over TCP nothing is dropped: as far as here all was looked at.
                assert_eq!(ask::over(&stream, &calls::null(4)).unwrap().len(), 24);
            }
        } else {
            for (from, to) in [(THERE4, here4()), (THERE6, here6())] {
                let lengths = replies(&ask::udp(&scene.other, from, to), &messages[..messages.len() / 2]);
                for (place, len) in lengths {
                    assert!(len <= messages[place].1.len(), "{}", messages[place].0);
                }
            }
        }
        let after = frames::counters(&scene);
        let [bytes_in, packets_in, bytes_out, packets_out] =
            std::array::from_fn(|place| after[place] - before[place]);
        println!("in {packets_in} packets, {bytes_in} bytes; out {packets_out}, {bytes_out}");
        assert!(packets_in >= u64::try_from(messages.len()).unwrap());
        assert!(packets_out > 500 && packets_out <= packets_in, "{packets_out} for {packets_in} packets");
        assert!(bytes_out <= bytes_in, "{bytes_out} for {bytes_in} bytes");
    }
}

#[test]
fn groups_and_servers_ports_and_replies_are_never_answered() {
    testkit::require!("/usr/bin/python3");
    let scene = Scene::new(UNLIMITED);
    let to = frames::hardware(&scene);
    let (null, dump) = (calls::null(4), calls::mapper(2, 4, &[]));
    let reply = calls::words(&[7, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut sent = Vec::new();
    for message in [&null, &dump] {
        for group in ["10.1.0.255", "255.255.255.255", "224.0.0.1"] {
            sent.push(datagram(Ends::new(THERE4, 40_000, group), message, to));
        }
        for group in ["ff02::1", "ff02::202"] {
            sent.push(datagram(Ends::new(THERE6, 40_000, group), message, to));
        }
        for port in [0, 7, 13, 17, 19, 111] {
            sent.push(datagram(Ends::new(THERE4, port, HERE4), message, to));
            sent.push(datagram(Ends::new(THERE6, port, HERE6), message, to));
        }
        for group in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "10.1.0.255"] {
            sent.push(datagram(Ends::new(group, 40_000, HERE4), message, to));
        }
        for group in ["::", "ff02::1"] {
            sent.push(datagram(Ends::new(group, 40_000, HERE6), message, to));
        }
    }
    sent.push(datagram(Ends::new(THERE4, 40_000, HERE4), &reply, to));
    sent.push(datagram(Ends::new(THERE6, 40_000, HERE6), &reply, to));
    let answers = answers_to(&scene, sent);
    assert!(answers.is_empty(), "{answers:?}");
    // The tool sees what is answered.
    let legal = vec![datagram(Ends::new(THERE4, 40_000, HERE4), &null, to)];
    assert_eq!(answers_to(&scene, legal).len(), 1);
}

#[test]
fn two_daemons_pointed_at_each_other_say_nothing() {
    testkit::require!("/usr/bin/python3");
    let scene = Scene::new(UNLIMITED);
    let _other = testkit::Daemon::start(&scene.other, &testkit::DaemonKind::ours(crate::RPCBIND)).unwrap();
    let to = frames::hardware(&scene);
    let sent = (0..20).map(|_| datagram(Ends::new(THERE4, 111, HERE4), &calls::null(4), to)).collect();
    let answers = answers_to(&scene, sent);
    assert!(answers.is_empty(), "{answers:?}");
}

#[test]
fn look_ups_of_a_million_programs_leave_nothing_behind() {
    testkit::require!();
    let _alone = crate::alone();
    let scene = Scene::new(UNLIMITED);
    let client = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let look_up = |program: u32| {
        let began = Instant::now();
        let reply = ask::over_udp(&client, &calls::mapper(2, 3, &calls::mapping(program, 1, 17, 0))).unwrap();
        assert_eq!(reply.len(), 28);
        began.elapsed()
    };
    let mut before: Vec<Duration> = (0..2_000).map(|program| look_up(300_000 + program)).collect();
    let memory = scene.kilobytes("Rss");
    let programs = u32::try_from(count(1_000_000, 20_000)).unwrap();
    let mut after: Vec<Duration> = (0..programs).map(|program| look_up(500_000 + program)).collect();
    let grown = scene.kilobytes("Rss").saturating_sub(memory);
    let mut after = after.split_off(after.len() - 2_000);
    let median = |all: &mut Vec<Duration>| {
        all.sort();
        all[all.len() / 2]
    };
    let (before, after) = (median(&mut before), median(&mut after));
    println!("{programs} programs: {grown} kB more; {before:?}, then {after:?}");
    assert!(grown <= 64, "{grown} kB more");
    assert!(!is_full() || after <= before.mul_f64(1.1), "{before:?}, then {after:?}");
    let statistics = ask::over(ask::tcp(&scene.home, "127.0.0.1:111"), &calls::mapper(4, 12, &[])).unwrap();
    assert!(statistics.len() < 8_800, "{} bytes", statistics.len());
}

#[test]
fn a_prefix_gets_its_share_and_others_loopback_and_tcp_lose_nothing() {
    testkit::require!();
    let _alone = crate::alone();
    let scene = Scene::new("");
    let flood = ask::udp(&scene.other, THERE4, here4());
    let neighbour = ask::udp(&scene.other, "10.2.0.9", here4());
    let local = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let stream = ask::tcp(&scene.other, &here4().to_string());
    let null = calls::null(4);
    flood.set_nonblocking(true).unwrap();
    let (began, mut answered, seconds) = (Instant::now(), 0_u32, count(10, 1));
    let enough = Duration::from_secs(u64::try_from(seconds).unwrap());
    // On a busy machine it takes longer until the burst is used up.
    while began.elapsed() < enough || (answered < 1_000 && began.elapsed() < testkit::wait::DEADLINE) {
        for _ in 0..64 {
            // A full queue is a full queue.
            let _ = flood.send(&null);
        }
        for client in [&local, &neighbour] {
            assert_eq!(ask::over_udp(client, &null).unwrap().len(), 24);
        }
        assert_eq!(ask::over(&stream, &null).unwrap().len(), 24);
        while flood.recv(&mut [0; 64]).is_ok() {
            answered += 1;
        }
        // The neighbour has its own limit: it stays below.
        std::thread::sleep(Duration::from_millis(6));
    }
    let most = 1_000.0 + 200.0 * began.elapsed().as_secs_f64() + 1.0;
    println!("{answered} answers in {:?}", began.elapsed());
    assert!(answered >= 1_000 && f64::from(answered) <= most, "{answered} answers, {most} at most");
}

#[test]
fn the_configuration_sets_the_share_and_a_reload_changes_it() {
    testkit::require!();
    let tight =
        "[limits]\nreplies-per-second = 1\nreplies-burst = 5\nerrors-per-second = 1\nerrors-burst = 2\n";
    let scene = Scene::new(tight);
    let began = Instant::now();
    let client = ask::udp(&scene.other, THERE4, here4());
    let fence = ask::tcp(&scene.other, &here4().to_string());
    // How many of fifty are answered: at least so many, however late.
    let answered = |message: &[u8], at_least: u32| {
        for _ in 0..50 {
            client.send(message).unwrap();
        }
        for _ in 0..at_least {
            client.recv(&mut [0; 64]).unwrap();
        }
        // The daemon has looked at all of them by the turn after the one in which it looks at this.
        for _ in 0..2 {
            assert_eq!(ask::over(&fence, &calls::null(4)).unwrap().len(), 24);
        }
        client.set_nonblocking(true).unwrap();
        let mut more = 0;
        while client.recv(&mut [0; 64]).is_ok() {
            more += 1;
        }
        client.set_nonblocking(false).unwrap();
        at_least + more
    };
    // One more each second.
    let most = |burst: u32| burst + u32::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let errors = answered(&calls::mapper(4, 99, &[]), 2);
    assert!(errors <= most(2), "{errors} errors, {} at most", most(2));
    // An error is a reply, too.
    let replies = answered(&calls::null(4), 3);
    assert!(errors + replies <= most(5), "{errors} errors and {replies} replies, {} at most", most(5));
    scene.home.write("/etc/rpcbind.toml", UNLIMITED).unwrap();
    scene.daemon.signal(rustix::process::Signal::HUP).unwrap();
    testkit::wait::until("the new limits", || Ok((answered(&calls::null(4), 0) == 50).then_some(())))
        .unwrap();
}

#[test]
fn a_refused_call_over_udp_ends_at_once_with_an_authentication_error() {
    testkit::require!("/usr/sbin/rpcinfo");
    let scene = Scene::new("");
    scene.home.write("/etc/hosts.deny", "rpcbind: ALL\n").unwrap();
    let client = ask::udp(&scene.other, THERE4, here4());
    testkit::wait::until("a refusal", || {
        Ok((ask::over_udp(&client, &calls::null(4))?.len() == 20).then_some(()))
    })
    .unwrap();
    let began = Instant::now();
    let end =
        scene.other.run(Command::new("/usr/sbin/rpcinfo").args(["-n", "111", "-u", HERE4, "100000", "4"]));
    let (end, took) = (end.unwrap(), began.elapsed());
    assert!(!end.status.success() && end.stderr.contains("Authentication error"), "{end:?}");
    // Before the tool would have asked again.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
