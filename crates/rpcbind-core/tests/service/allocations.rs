//! What the core takes from the heap: nothing for a question, a bounded number of bytes for a row.

use crate::callers::{ETH0, loopback_tcp, loopback_udp, one_each, stranger_udp, udp, unix};
use crate::calls::{call, mapping, netbuf, opaque, remote, rpcb, set, unset};
use crate::forwarding;
use crate::host::{Host, settings};
use allocation_counter::measure;
use core::time::Duration;
use oncrpc::Procedure;
use oncrpc::bind::{self, V2, V3, V4};
use rpcbind_core::access::{
    AccessList, AccessRule, Action, ClientPattern, HostRule, HostRules, ProcedureSet,
};
use rpcbind_core::caller::{Caller, Now};
use rpcbind_core::facts::Facts;
use rpcbind_core::limiter::{Limits, Rate};
use rpcbind_core::outcome::{Outcome, Reason};
use rpcbind_core::settings::{Forwarding, Policy};
use rpcbind_core::{Service, Settings};

const PROGRAM: u32 = 200_001;

/// Handles a message as the daemon's loop does, and tells how it ended and how often something was allocated.
fn handle(service: &mut Service, caller: &Caller, message: &[u8], buffer: &mut [u8]) -> (Reason, u64) {
    let now = Now { monotonic: Duration::from_secs(1), unix_seconds: 1_700_000_000 };
    let facts = Facts::default();
    let mut reason = None;
    let allocated = measure(|| {
        let budget = service.budget(caller, message.len());
        let handled = service.handle(now, caller, &facts, message, &mut buffer[..budget.bytes()]);
        reason = Some(handled.why.reason);
    });
    (reason.unwrap(), allocated.count_total)
}

/// Limits and rules that everything has to pass.
fn guarded() -> Policy {
    let rate = Rate::new(1_000_000_000, 1_000_000_000);
    let clients = ["10.", "::1.2.3."].map(|start| vec![ClientPattern::Starts(start.into())]);
    let from = vec!["203.0.113.0/24".parse().unwrap()];
    let rule =
        AccessRule { action: Action::Deny, from, procedures: ProcedureSet::ALL, programs: vec![1..=2] };
    Policy {
        limits: Some(Limits { replies: rate, errors: rate }),
        hosts: HostRules::new(vec![HostRule { clients: clients.to_vec(), admit: true }], vec![]),
        access: AccessList::new(vec![rule]),
        ..Policy::default()
    }
}

/// A port mapper with a service on every transport in three versions.
fn host() -> Host {
    let mut host = Host::with_policy(guarded());
    for version in 1..=3 {
        for (netid, address) in [
            ("udp", "0.0.0.0.8.8"),
            ("tcp", "0.0.0.0.8.9"),
            ("udp6", "::.8.8"),
            ("tcp6", "::.8.9"),
            ("local", "/run/x"),
        ] {
            assert!(host.send(&unix(0), &set(PROGRAM, version, netid, address)).is_true());
        }
    }
    host
}

/// Every kind of question, with and without an answer.
fn questions() -> Vec<Vec<u8>> {
    let mut questions = vec![
        call(V3, bind::GETTIME, &[]),
        call(V3, bind::UADDR2TADDR, &opaque(b"192.0.2.1.8.8")),
        call(V3, bind::TADDR2UADDR, &netbuf(&[2, 0, 8, 8, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        call(V4, bind::GETSTAT, &[]),
    ];
    questions.extend([V2, V3, V4].map(|version| call(version, Procedure::NULL, &[])));
    for (program, version) in [(PROGRAM, 3), (PROGRAM, 9), (1, 1)] {
        questions.push(mapping(bind::GETPORT, program, version, 17, 0));
        for hint in ["", "127.0.0.1.0.111", "192.0.2.2.0.111", "nonsense"] {
            for (called, procedure) in [
                (V3, bind::GETADDR),
                (V4, bind::GETADDR),
                (V4, bind::GETVERSADDR),
                (V4, bind::GETADDRLIST),
                (V4, bind::INDIRECT),
                (V3, bind::CALLIT),
            ] {
                questions.push(rpcb(called, procedure, program, version, "udp", hint));
            }
        }
    }
    questions
}

#[test]
fn no_question_takes_anything_from_the_heap() {
    let mut host = host();
    let mut buffer = vec![0; 65_536];
    let mut callers = one_each().map(|(_, caller)| caller).to_vec();
    callers.extend([stranger_udp(), Caller::Datagram(udp("10.1.2.3:40000", "192.0.2.2:111", ETH0))]);
    for round in 0..2 {
        for caller in &callers {
            for question in questions() {
                // Padded, so that strangers get an answer, too.
                let question = [question, vec![0; 400]].concat();
                let (reason, allocations) = handle(&mut host.service, caller, &question, &mut buffer);
                // A program's first question makes a row of the statistics, of which there are at most 128.
                assert!(allocations == 0 || round == 0, "{allocations} for {reason:?} to {caller:?}");
            }
        }
    }
}

#[test]
fn no_refusal_takes_anything_from_the_heap() {
    let mut host = host();
    let mut buffer = vec![0; 65_536];
    let whole = rpcb(V4, bind::GETADDR, PROGRAM, 1, "udp", "");
    let word = |at: usize, value: u32| {
        let mut message = whole.clone();
        message[at..at + 4].copy_from_slice(&value.to_be_bytes());
        message
    };
    let refused = [
        (word(4, 1), Reason::NotACall),
        (word(8, 3), Reason::RpcMismatch),
        (word(12, 100_003), Reason::ProgramUnavailable),
        (word(16, 5), Reason::VersionMismatch),
        (word(20, 99), Reason::ProcedureUnavailable),
        (word(24, 6), Reason::RejectedCredential),
        (word(24, 1), Reason::BadCredential),
        (whole[..60].to_vec(), Reason::GarbageArguments),
        (set(PROGRAM, 1, "udp", "0.0.0.0.8.8"), Reason::NotLocal),
        (unset(PROGRAM, 1, "udp"), Reason::NotLocal),
        (call(V4, bind::DUMP, &[0; 8]), Reason::ReplyTooLong),
    ];
    // The list of DUMP is made once and kept.
    handle(&mut host.service, &stranger_udp(), &call(V4, bind::DUMP, &[]), &mut buffer);
    for (message, expected) in refused {
        let (reason, allocations) = handle(&mut host.service, &stranger_udp(), &message, &mut buffer);
        assert_eq!((reason, allocations), (expected, 0));
    }
    for (caller, expected) in
        [("203.0.113.9:40000", Reason::AccessDenied), ("192.0.2.9:7", Reason::Unanswerable)]
    {
        let caller = Caller::Datagram(udp(caller, "192.0.2.2:111", ETH0));
        let about = mapping(bind::GETPORT, 1, 1, 17, 0);
        assert_eq!(handle(&mut host.service, &caller, &about, &mut buffer), (expected, 0));
    }
}

#[test]
fn no_remote_call_that_is_not_made_takes_anything_from_the_heap() {
    let limits = Limits { replies: Rate::new(1, 2), errors: Rate::new(1, 2) };
    let policy = Policy { limits: Some(limits), ..Policy::default() };
    let forwarding = Some(Forwarding { calls: 2, ..forwarding::FORWARDING });
    let mut host = Host::with(Settings { forwarding, policy, ..settings() }).take_rows(&forwarding::host());
    let mut buffer = vec![0; 9_000];
    let message = call(V3, bind::CALLIT, &remote(forwarding::PROGRAM, 5, 1, b""));
    let from = |address: &str| Caller::Datagram(udp(address, "192.0.2.2:111", ETH0));
    let (busy, other) = (from("198.51.100.7:40000"), from("198.51.101.7:40000"));
    for caller in [&busy, &from("198.51.100.7:40001")] {
        let (reason, _) = handle(&mut host.service, caller, &message, &mut buffer);
        assert_eq!(reason, Reason::Forwarded);
    }
    for _ in 0..2 {
        let (reason, _) = handle(&mut host.service, &other, &call(V4, Procedure::NULL, &[]), &mut buffer);
        assert_eq!(reason, Reason::Answered);
    }
    for (caller, expected) in [
        (busy, Reason::AlreadyForwarded),
        (from("198.51.100.7:40002"), Reason::RemoteCallsFull),
        (other, Reason::RateLimited),
    ] {
        assert_eq!(handle(&mut host.service, &caller, &message, &mut buffer), (expected, 0));
    }
}

#[test]
fn a_list_is_made_once_after_a_change_and_shared_by_whoever_asks() {
    let mut host = host();
    let mut buffer = vec![0; 65_536];
    for version in [V2, V3, V4] {
        handle(&mut host.service, &unix(0), &call(version, bind::DUMP, &[]), &mut buffer);
    }
    for caller in [unix(0), loopback_tcp(40_000), loopback_udp(40_000)] {
        for version in [V2, V3, V4] {
            let message = call(version, bind::DUMP, &[]);
            assert_eq!(handle(&mut host.service, &caller, &message, &mut buffer), (Reason::Answered, 0));
        }
    }
    assert!(host.send(&unix(0), &unset(PROGRAM, 1, "udp")).is_true());
    let (_, allocations) = handle(&mut host.service, &unix(0), &call(V4, bind::DUMP, &[]), &mut buffer);
    assert!(allocations > 0, "the row that went is not listed any more");
}

#[test]
fn a_row_takes_less_than_600_bytes_with_the_longest_address() {
    let address = format!("/{}", "x".repeat(106));
    let mut host = Host::with(Settings { own: vec![], ..settings() });
    let (mut rows, mut held) = (0, 0);
    let mut buffer = vec![0; 256];
    while rows < 16_384 {
        let message = set(PROGRAM + rows, 1, "local", &address);
        let now = Now { monotonic: Duration::ZERO, unix_seconds: 0 };
        let allocated = measure(|| {
            let handled = host.service.handle(now, &unix(0), &Facts::default(), &message, &mut buffer);
            assert!(matches!(handled.outcome, Outcome::Commit { .. }));
        });
        held += allocated.bytes_current;
        rows += 1;
        // The last row that fits before an index doubles, and the first one after it.
        if (rows + 1).is_power_of_two() || rows.is_power_of_two() || rows == 16_384 {
            let of_a_row = held / i64::from(rows);
            assert!(rows < 1_024 || (1..=600).contains(&of_a_row), "{of_a_row} bytes a row at {rows}");
        }
    }
    println!("{} bytes a row", held / 16_384);
}
