//! Credentials of every flavour and length, over every way in: what is no credential gets twenty bytes.

use crate::{Scene, THERE4, UNLIMITED, ask, calls, here4};

const FLAVORS: [u32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 390_003, u32::MAX];
/// The longest body that there may be.
const LONGEST: usize = 400;

/// NULL with this credential.
fn null(flavor: u32, body: &[u8]) -> Vec<u8> {
    let head = calls::words(&[7, 0, 2, 100_000, 4, 0, flavor]);
    [head, calls::text(body), calls::words(&[0, 0])].concat()
}

/// A body of AUTH_SYS with a machine's name and groups.
fn auth_sys(name: usize, groups: u32) -> Vec<u8> {
    let groups: Vec<u32> = std::iter::once(groups).chain(0..groups).collect();
    [calls::words(&[1]), calls::text("n".repeat(name)), calls::words(&[0, 0]), calls::words(&groups)].concat()
}

#[test]
fn credentials_of_every_flavour_and_length_are_served_or_rejected_in_twenty_bytes() {
    testkit::require!();
    let scene = Scene::new(UNLIMITED);
    let far = ask::udp(&scene.other, THERE4, here4());
    let near = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let tcp = ask::tcp(&scene.other, &here4().to_string());
    let unix = ask::unix(&scene.home, testkit::daemon::SOCKET);
    let lengths = |message: &[u8]| {
        let by_datagram = [&far, &near].map(|client| ask::over_udp(client, message).unwrap().len());
        let by_stream = [ask::over(&tcp, message).unwrap().len(), ask::over(&unix, message).unwrap().len()];
        [by_datagram, by_stream].concat()
    };
    let mut asked = 0;
    for flavor in FLAVORS {
        for length in 0..=LONGEST + 1 {
            let is_served = flavor == 0 && length <= LONGEST;
            let body = vec![0xff; length];
            let expected = if is_served { 24 } else { 20 };
            assert_eq!(lengths(&null(flavor, &body)), [expected; 4], "flavour {flavor}, {length} bytes");
            asked += 4;
        }
    }
    for name in 0..=256 {
        for groups in [0, 1, 15, 16, 17] {
            let body = auth_sys(name, groups);
            let expected = if name < 256 && groups < 17 { 24 } else { 20 };
            assert_eq!(lengths(&null(1, &body)), [expected; 4], "a name of {name}, {groups} groups");
            asked += 4;
        }
    }
    println!("{asked} calls");
}
