//! A machine with very many interfaces: a look-up costs what it costs with one.

use std::time::{Duration, Instant};

use testkit::table;

use crate::{Scene, ask, calls, is_full};

/// Of a thousand answers for which the daemon looks at the addresses of this machine: the median and the 99th
/// percentile.
fn waits(client: &std::net::UdpSocket) -> [Duration; 2] {
    let look_up = calls::mapper(4, 3, &calls::row(100_000, 4, "udp", "127.0.0.1.3.9"));
    let mut waits: Vec<Duration> = (0..1_000)
        .map(|_| {
            let began = Instant::now();
            assert!(ask::results(&ask::over_udp(client, &look_up).unwrap()).ends_with(b"127.0.0.1.0.111\0"));
            began.elapsed()
        })
        .collect();
    waits.sort_unstable();
    [waits[500], waits[990]]
}

#[test]
fn with_a_thousand_interfaces_that_come_and_go_look_ups_are_answered_as_before() {
    testkit::require!();
    let _alone = crate::alone();
    let scene = Scene::new("");
    let client = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let rows = table::dump(&scene.home).unwrap();
    let before = waits(&client);
    // Two each.
    let [mut come, mut go] = [String::new(), String::new()];
    for number in 0..500 {
        let (high, low) = (number / 250, number % 250);
        come += &format!(
            "link add d{number} type veth peer name e{number}\naddr add 10.9{high}.{low}.1/24 dev d{number}\n"
        );
        if number < 100 {
            go += &format!("link del d{number}\n");
        }
    }
    let change = |lines: &str| {
        scene.home.write("/run/links", lines).unwrap();
        scene.home.expect("ip", &["-batch", "/run/links"]).unwrap();
    };
    change(&come);
    let with_many = waits(&client);
    println!("median and 99th percentile: {before:?}, with 1,000 interfaces {with_many:?}");
    assert!(!is_full() || with_many[0] <= before[0].mul_f64(1.1), "{before:?}, then {with_many:?}");
    change(&go);
    waits(&client);
    assert_eq!(table::dump(&scene.home).unwrap(), rows);
    scene.is_well();
}
