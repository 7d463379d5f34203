//! Sources that are lies: whatever a packet says, it changes nothing.

use testkit::wait;

use crate::ask;
use crate::frames::{self, Ends, answers_to, datagram};
use crate::{HERE4, HERE6, Scene, THERE4, THERE6, UNLIMITED, calls, count, here4, here6};

/// SET and UNSET in both forms.
fn changes() -> [Vec<u8>; 4] {
    [
        calls::mapper(2, 1, &calls::mapping(500_000, 1, 17, 5_000)),
        calls::set(500_001, 1, "udp", "0.0.0.0.19.136"),
        calls::mapper(2, 2, &calls::mapping(400_000, 1, 17, 0)),
        calls::unset(400_000, 1, ""),
    ]
}

fn forged_changes_change_nothing(lax: bool) {
    let scene = Scene::new(UNLIMITED);
    if lax {
        let settings: String = ["all", "default", "lo", &scene.cable]
            .iter()
            .flat_map(|link| {
                ["route_localnet=1", "accept_local=1", "rp_filter=0"]
                    .map(|setting| format!("sysctl -qw net.ipv4.conf.{link}.{setting} && "))
            })
            .collect();
        scene.home.expect("/bin/sh", &["-c", &format!("{settings} true")]).unwrap();
    }
    scene.register(3);
    let before = testkit::table::dump(&scene.home).unwrap();
    let to = frames::hardware(&scene);
    let mut sent = Vec::new();
    let v4 = ["127.0.0.1", "127.1.2.3", HERE4, THERE4, "198.51.100.7"];
    let v6 = ["::1", "::ffff:127.0.0.1", HERE6, THERE6, "2001:db8::7", "::127.0.0.1"];
    let ends = v4.iter().flat_map(|from| [HERE4, "127.0.0.1"].map(|to| (*from, to)));
    let ends6 = v6.iter().flat_map(|from| [HERE6, "::1", "::ffff:127.0.0.1"].map(|to| (*from, to)));
    for (from, here) in ends.chain(ends6) {
        for port in [700, 40_000] {
            for message in changes() {
                sent.push(datagram(Ends::new(from, port, here), &message, to));
            }
        }
    }
    for answer in answers_to(&scene, sent) {
        // A refusal: accepted replies have the word 0 behind REPLY, these 1.
        assert!(answer.contains("000000070000000100000001"), "{answer}");
    }
    assert_eq!(testkit::table::dump(&scene.home).unwrap(), before);
    // Some of them did reach the daemon.
    let reached = if lax { "connect from 127.0.0.1 to set" } else { "declined (non-loopback sender)" };
    wait::until(reached, || Ok(scene.daemon.stderr().contains(reached).then_some(()))).unwrap();
}

#[test]
fn forged_datagrams_change_nothing() {
    testkit::require!("/usr/bin/python3");
    let _alone = crate::alone();
    forged_changes_change_nothing(false);
}

#[test]
fn forged_datagrams_change_nothing_where_the_kernel_lets_loopback_addresses_in_from_outside() {
    testkit::require!("/usr/bin/python3");
    let _alone = crate::alone();
    forged_changes_change_nothing(true);
}

#[test]
fn a_stranger_changes_nothing_over_tcp_either() {
    testkit::require!();
    let scene = Scene::new("");
    scene.register(1);
    let before = testkit::table::dump(&scene.home).unwrap();
    for to in [here4(), here6()] {
        for change in changes() {
            let reply = ask::over(ask::tcp(&scene.other, &to.to_string()), &change).unwrap();
            assert_eq!(reply[4..], calls::words(&[1, 1, 1, 5]), "{to}");
        }
    }
    // Nor this host itself, when it calls by an address that is not loopback.
    for (from, to) in [(HERE4, here4()), (HERE6, here6())] {
        for change in changes() {
            let reply = ask::over_udp(&ask::udp(&scene.home, from, to), &change).unwrap();
            assert_eq!(reply[4..], calls::words(&[1, 1, 1, 5]), "{to}");
            let reply = ask::over(ask::tcp(&scene.home, &to.to_string()), &change).unwrap();
            assert_eq!(reply[4..], calls::words(&[1, 1, 1, 5]), "{to}");
        }
    }
    assert_eq!(testkit::table::dump(&scene.home).unwrap(), before);
}

#[test]
fn complaints_about_closed_ports_cost_nothing() {
    testkit::require!("/usr/bin/python3");
    let _alone = crate::alone();
    let scene = Scene::new("");
    let to = frames::hardware(&scene);
    scene.is_well();
    let memory = scene.kilobytes("Rss");
    let sent = (0..count(100_000, 3_000))
        .map(|number| frames::unreachable(to, u16::try_from(1_024 + number % 60_000).unwrap()))
        .collect();
    let answers = answers_to(&scene, sent);
    assert!(answers.is_empty(), "{answers:?}");
    let grown = scene.kilobytes("Rss").saturating_sub(memory);
    assert!(grown <= 64, "{grown} kB more");
    scene.is_well();
}
