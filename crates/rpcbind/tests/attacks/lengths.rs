//! Lengths that lie, records without an end, and credentials that are not served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use oncrpc::{Answer, Reply};

use crate::{Scene, THERE4, UNLIMITED, ask, calls, count, here4};

/// What lengths claim.
const CLAIMS: [u32; 8] = [1 << 26, 1 << 31, u32::MAX, 0x7fff_ffff, 9_000, 401, u32::MAX - 3, 0x1000_0000];

/// Calls of every shape, each with one length that lies.
fn liars(claim: u32) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let call = calls::set(500_000, 1, "udp", "0.0.0.0.19.136");
    // Credential's length, verifier's, netid's, address's, owner's.
    for at in [28, 36, 48, 56, 76] {
        for version in [3_u32, 4] {
            for procedure in [1_u32, 2, 3, 9, 11] {
                let mut liar = call.clone();
                liar[16..20].copy_from_slice(&version.to_be_bytes());
                liar[20..24].copy_from_slice(&procedure.to_be_bytes());
                liar[at..at + 4].copy_from_slice(&claim.to_be_bytes());
                all.push(liar);
            }
        }
    }
    for procedure in [5, 7, 8, 10] {
        all.push(calls::mapper(4, procedure, &calls::words(&[claim, claim, claim, claim])));
    }
    all
}

#[test]
fn lengths_that_lie_are_errors_and_nothing_is_allocated_for_them() {
    testkit::require!();
    let scene = Scene::new(UNLIMITED);
    let udp = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    let far = ask::udp(&scene.other, THERE4, here4());
    let unix = ask::unix(&scene.home, testkit::daemon::SOCKET);
    let streams = [ask::tcp(&scene.home, "127.0.0.1:111"), ask::tcp(&scene.other, &here4().to_string())];
    scene.is_well();
    let before = scene.kilobytes("VmPeak");
    let mut asked = 0;
    let null = calls::with_xid(calls::null(4), 99);
    'all: loop {
        for claim in CLAIMS {
            for liar in liars(claim) {
                let refused = |reply: &[u8]| {
                    let answer = Reply::decode(reply).unwrap().answer;
                    assert!(!matches!(answer, Answer::Success(_)), "{answer:?} to {liar:02x?}");
                };
                for client in [&udp, &far] {
                    client.send(&liar).unwrap();
                    let mut reply = [0; 10_000];
                    client.send(&null).unwrap();
                    loop {
                        let len = client.recv(&mut reply).unwrap();
                        if reply[..4] == [0, 0, 0, 99] {
                            break;
                        }
                        refused(&reply[..len]);
                    }
                }
                if liar[23] != 5 && liar[23] != 10 {
                    refused(&ask::over(&unix, &liar).unwrap());
                    streams.iter().for_each(|stream| refused(&ask::over(stream, &liar).unwrap()));
                }
                asked += 5;
                if asked >= count(20_000, 2_000) {
                    break 'all;
                }
            }
        }
    }
    let grown = scene.kilobytes("VmPeak") - before;
    assert!(grown < 1_024, "{grown} kB more for {asked} messages");
    scene.is_well();
}

/// Writes these bytes for ever; answers how many went out before the other end closed.
fn until_closed(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut written = 0;
    loop {
        match stream.write(bytes) {
            Ok(len) => written += len,
            Err(error) => {
                let timed_out = matches!(error.kind(), std::io::ErrorKind::WouldBlock);
                assert!(!timed_out, "not closed after {written} bytes: {error}");
                return written;
            }
        }
    }
}

#[test]
fn records_without_an_end_are_closed_and_cost_nothing() {
    testkit::require!();
    let scene = Scene::new("");
    scene.is_well();
    let memory = scene.kilobytes("Rss");
    let not_last = [&4_000_u32.to_be_bytes()[..], &[0; 4_000]].concat();
    let longest = [&0xffff_ffff_u32.to_be_bytes()[..], &[0; 60_000]].concat();
    let long = [&0x7fff_ffff_u32.to_be_bytes()[..], &[0; 60_000]].concat();
    for _ in 0..count(100, 10) {
        for bytes in [&[0; 4_096][..], &not_last, &longest, &long] {
            let mut stream = ask::tcp(&scene.home, "127.0.0.1:111");
            until_closed(&mut stream, bytes);
            let mut stream = ask::tcp(&scene.other, &here4().to_string());
            until_closed(&mut stream, bytes);
            assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
        }
    }
    let grown = scene.kilobytes("Rss").saturating_sub(memory);
    assert!(grown <= 256, "{grown} kB more");
    scene.is_well();
}

#[test]
fn a_probe_for_tls_is_rejected_in_twenty_bytes_on_every_transport() {
    testkit::require!();
    let scene = Scene::new("");
    // MSG_DENIED, AUTH_ERROR, AUTH_REJECTEDCRED.
    let rejected = calls::words(&[7, 1, 1, 1, 2]);
    for version in 2..=4 {
        let probe = calls::null_with(version, 7);
        for (from, to) in [("127.0.0.1", "127.0.0.1:111"), ("::1", "[::1]:111")] {
            let udp = ask::udp(&scene.home, from, to.parse().unwrap());
            assert_eq!(ask::over_udp(&udp, &probe).unwrap(), rejected);
            assert_eq!(ask::over(ask::tcp(&scene.home, to), &probe).unwrap(), rejected);
        }
        assert_eq!(ask::over(ask::unix(&scene.home, testkit::daemon::SOCKET), &probe).unwrap(), rejected);
        let far = ask::udp(&scene.other, THERE4, here4());
        assert_eq!(ask::over_udp(&far, &probe).unwrap(), rejected);
        assert_eq!(ask::over(ask::tcp(&scene.other, &here4().to_string()), &probe).unwrap(), rejected);
    }
}
