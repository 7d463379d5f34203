//! The registry's caps: what happens when it is full.

use crate::callers::{USER, loopback_udp, unix, unix_elsewhere};
use crate::calls::{set, unset};
use crate::host::{Host, settings};
use rpcbind_core::Settings;
use rpcbind_core::caller::Caller;
use rpcbind_core::facts::BoundFact;
use rpcbind_core::outcome::{Reason, Refusal};
use rpcbind_core::settings::Caps;

const PROGRAM: u32 = 200_001;

/// Sends SETs of new versions until one is refused, and tells how many were not.
fn fill(host: &mut Host, caller: &Caller, program: u32) -> (usize, Refusal) {
    for version in 0.. {
        let ended = host.send(caller, &set(program, version, "udp", "0.0.0.0.8.8"));
        if let Reason::Refused(refusal) = ended.why.reason {
            ended.is_refused(refusal);
            return (usize::try_from(version).unwrap(), refusal);
        }
        assert!(ended.is_true());
    }
    unreachable!("versions end before the table does")
}

fn small(rows: usize, rows_per_uid: usize, rows_for_root: usize) -> Host {
    Host::with(Settings { caps: Caps { rows, rows_per_uid, rows_for_root }, ..settings() })
}

/// The rows of the port mapper itself.
fn own() -> usize {
    Host::new().service.registry().len()
}

#[test]
fn the_caps_are_16384_rows_256_a_uid_and_1024_for_root() {
    let mut host = Host::new();
    let own = own();
    assert_eq!(fill(&mut host, &unix(USER), 300_000), (256, Refusal::OwnerFull));
    let mut users = 256;
    for uid in 1_001..1_200 {
        let (filled, refusal) = fill(&mut host, &unix(uid), 300_000 + uid);
        users += filled;
        if refusal == Refusal::TableFull {
            break;
        }
        assert_eq!((filled, refusal), (256, Refusal::OwnerFull));
    }
    assert_eq!(users + own, 16_384 - 1_024);
    assert_eq!(fill(&mut host, &unix(0), 400_000), (1_024, Refusal::TableFull));
    assert_eq!(host.service.registry().len(), 16_384);
}

#[test]
fn root_has_no_limit_but_the_whole() {
    let mut host = small(1_000, 10, 50);
    assert_eq!(fill(&mut host, &unix(0), PROGRAM), (1_000 - own(), Refusal::TableFull));
}

#[test]
fn system_users_and_unknown_have_the_limit_of_a_uid() {
    for caller in [unix(999), unix(65_534), unix_elsewhere(USER), loopback_udp(40_000)] {
        let mut host = small(1_000, 10, 50);
        assert_eq!(fill(&mut host, &caller, PROGRAM), (10, Refusal::OwnerFull), "{caller:?}");
    }
}

#[test]
fn a_full_user_still_gets_true_for_what_is_there_and_room_for_what_it_removes() {
    let mut host = small(1_000, 10, 50);
    fill(&mut host, &unix(USER), PROGRAM);
    assert!(host.send(&unix(USER), &set(PROGRAM, 3, "udp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(USER), &unset(PROGRAM, 3, "")).is_true());
    assert!(host.send(&unix(USER), &set(PROGRAM, 99, "udp", "0.0.0.0.8.8")).is_true());
    let ended = host.send(&unix(USER), &set(PROGRAM, 3, "udp", "0.0.0.0.8.8"));
    ended.is_refused(Refusal::OwnerFull);
}

#[test]
fn what_is_taken_over_from_another_counts_for_whoever_took_it() {
    let mut host = small(1_000, 10, 50);
    assert!(host.send(&loopback_udp(40_000), &set(PROGRAM + 1, 1, "udp", "0.0.0.0.8.8")).is_true());
    fill(&mut host, &unix(USER), PROGRAM);
    let ended = host.send(&unix(USER), &set(PROGRAM + 1, 1, "udp", "0.0.0.0.8.9"));
    ended.is_refused(Refusal::OwnerFull);
    assert!(host.send(&unix(USER), &unset(PROGRAM, 0, "")).is_true());
    assert!(host.send(&unix(USER), &set(PROGRAM + 1, 1, "udp", "0.0.0.0.8.9")).is_true());
}

#[test]
fn a_row_that_takes_the_place_of_another_needs_no_room() {
    // The table is full to the last row, root's share included.
    let mut host = small(50, 10, 5);
    host.bound = BoundFact::Free;
    fill(&mut host, &unix(USER), PROGRAM);
    fill(&mut host, &unix(0), PROGRAM + 1);
    assert_eq!(host.service.registry().len(), 50);
    assert!(host.send(&unix(USER), &set(PROGRAM, 3, "udp", "0.0.0.0.8.9")).is_true());
    assert!(host.send(&unix(0), &set(PROGRAM, 4, "udp", "0.0.0.0.8.9")).is_true());
    assert!(host.send(&unix(0), &set(PROGRAM + 1, 4, "udp", "0.0.0.0.8.9")).is_true());
    assert_eq!(host.service.registry().len(), 50);
}
