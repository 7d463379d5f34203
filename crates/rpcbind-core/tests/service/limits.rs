//! How many replies a prefix of unverified sources gets from the whole port mapper, with a clock that is pushed.

use crate::callers::{ETH0, loopback_udp, own_udp, stranger_tcp, udp, unix};
use crate::calls::call;
use crate::host::{Host, settings};
use core::time::Duration;
use oncrpc::Procedure;
use oncrpc::bind::{self, V4};
use rpcbind_core::Settings;
use rpcbind_core::access::{AccessList, AccessRule, Action, ProcedureKind, ProcedureSet};
use rpcbind_core::caller::Caller;
use rpcbind_core::limiter::{Limits, Rate};
use rpcbind_core::outcome::Reason;
use rpcbind_core::settings::Policy;

const NULL: Procedure = Procedure(0);

fn limited() -> Host {
    let policy = Policy { limits: Some(Limits::default()), ..Policy::default() };
    Host::with(Settings { policy, seed: [1, 2], ..settings() })
}

/// Sends a message at a moment; whether it was answered.
fn answers(host: &mut Host, at: Duration, caller: &Caller, message: &[u8]) -> bool {
    host.monotonic = at;
    let ended = host.send(caller, message);
    assert_eq!(ended.why.reason == Reason::RateLimited, ended.reply.is_none());
    ended.reply.is_some()
}

fn from(address: &str) -> Caller {
    Caller::Datagram(udp(address, "192.0.2.2:111", ETH0))
}

#[test]
fn a_hundred_thousand_look_ups_a_second_get_two_hundred_and_the_burst_and_cost_nobody_else() {
    let mut host = limited();
    let null = call(V4, NULL, &[]);
    let mut answered = [0_u32; 2];
    let hosts: Vec<Caller> = (0..=255).map(|host| from(&format!("198.51.100.{host}:40000"))).collect();
    let neighbour = from("198.51.101.1:40000");
    for number in 0..1_000_000_u64 {
        let at = Duration::from_micros(number * 10);
        let caller = &hosts[usize::try_from(number % 256).unwrap()];
        answered[0] += u32::from(answers(&mut host, at, caller, &null));
        if number % 1_000 == 0 {
            for other in [&neighbour, &stranger_tcp(), &loopback_udp(40_000), &own_udp(), &unix(0)] {
                assert!(answers(&mut host, at, other, &null), "{other:?}");
            }
            answered[1] += 1;
        }
    }
    // The last one of ten seconds would be due at their end.
    assert_eq!(answered, [1_000 + 200 * 10 - 1, 1_000]);
}

#[test]
fn loopback_our_own_addresses_streams_and_unix_have_no_limit() {
    let mut host = limited();
    for message in [call(V4, NULL, &[]), call(V4, Procedure(99), &[])] {
        for caller in [loopback_udp(40_000), own_udp(), stranger_tcp(), unix(1_000)] {
            assert!((0..5_000).all(|_| answers(&mut host, Duration::ZERO, &caller, &message)), "{caller:?}");
        }
    }
}

#[test]
fn errors_and_refusals_have_a_share_of_their_own() {
    let dump = AccessRule {
        action: Action::Deny,
        from: Vec::new(),
        procedures: ProcedureSet::NONE.with(ProcedureKind::Dump),
        programs: Vec::new(),
    };
    let policy =
        Policy { limits: Some(Limits::default()), access: AccessList::new(vec![dump]), ..Policy::default() };
    for message in [call(V4, Procedure(99), &[]), call(V4, bind::DUMP, &[]), call(V4, bind::SET, &[])] {
        let mut host = Host::with(Settings { policy: policy.clone(), ..settings() });
        let caller = from("198.51.100.7:40000");
        let errors = (0..1_000).filter(|_| answers(&mut host, Duration::ZERO, &caller, &message)).count();
        let later = Duration::from_secs(1);
        let more = (0..1_000).filter(|_| answers(&mut host, later, &caller, &message)).count();
        assert_eq!((errors, more), (20, 5));
        assert!(answers(&mut host, later, &caller, &call(V4, NULL, &[])), "replies are left");
    }
}

#[test]
fn a_reload_changes_the_limits_and_keeps_what_was_used() {
    let mut host = limited();
    let null = call(V4, NULL, &[]);
    let caller = Caller::Datagram(udp("[2001:db8:0:100::7]:40000", "[2001:db8::2]:111", ETH0));
    let burst = |host: &mut Host, at| (0..5_000).filter(|_| answers(host, at, &caller, &null)).count();
    assert_eq!(burst(&mut host, Duration::ZERO), 1_000);
    let limits = Limits { replies: Rate::new(1, 1_000), ..Limits::default() };
    host.service.set_policy(Policy { limits: Some(limits), ..Policy::default() });
    assert_eq!(burst(&mut host, Duration::from_secs(5)), 1_000, "what it owed is paid");
    assert_eq!(burst(&mut host, Duration::from_secs(6)), 1);
    host.service.set_policy(Policy::default());
    assert_eq!(burst(&mut host, Duration::from_secs(6)), 5_000);
}
