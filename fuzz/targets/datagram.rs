//! Messages from anybody through the port mapper's one entrance, several in a row. For a datagram whose source is not
//! verified at most as much leaves as came, never over 512 bytes, and the registry stays as it was.
//! The input is messages, each with two bytes that choose the caller and the facts, and a length.
#![no_main]

use fuzz::{CAPS, handle, is_unverified};
use libfuzzer_sys::fuzz_target;
use oncrpc::Reply;
use rpcbind_core::Service;
use rpcbind_core::caller::{Caller, Now};
use rpcbind_core::outcome::{Forward, Outcome};
use rpcbind_core::policy::{MAX_DATAGRAM_REPLY, MAX_UNVERIFIED_REPLY};
use rpcbind_core::registry::Row;
use rpcbind_core::settings::Policy;
use std::net::Ipv4Addr;
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let mut service = fuzz::service(Policy::default());
    for row in fuzz::rows() {
        assert_eq!(service.restore(row), Ok(()), "the row is one that can be there");
    }
    let mut rest = input;
    let mut elapsed = Duration::ZERO;
    while let Some(([who, facts, high, low], behind)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (message, behind) = behind.split_at(len);
        rest = behind;
        elapsed += Duration::from_millis(u64::from(*facts));
        let now = Now { monotonic: elapsed, unix_seconds: 1_000_000_000 };
        one_message(&mut service, now, &fuzz::caller(*who), *facts, message);
    }
});

fn one_message(service: &mut Service, now: Now, caller: &Caller, choice: u8, message: &[u8]) {
    let budget = service.budget(caller, message.len()).bytes();
    if is_unverified(caller) {
        assert!(budget <= message.len().min(MAX_UNVERIFIED_REPLY));
    }
    let before: Vec<Row> = service.registry().rows().cloned().collect();
    let mut reply = [0; MAX_DATAGRAM_REPLY];
    let reply = &mut reply[..budget];
    let handled = handle(service, now, caller, choice, message, reply);
    match &handled.outcome {
        Outcome::Silent => {}
        Outcome::Reply { len } => assert_is_reply(message, &reply[..*len]),
        Outcome::Table { len, body } => {
            assert!(!matches!(caller, Caller::Datagram(_)), "a datagram is answered with one datagram");
            assert_is_reply(message, &[&reply[..*len], &body[..]].concat());
        }
        Outcome::Commit { len, change } => {
            assert!(!is_unverified(caller));
            assert_is_reply(message, &reply[..*len]);
            assert!(change.removed.iter().all(|row| before.contains(row)));
        }
        Outcome::Need(_) => unreachable!("questions are answered"),
        Outcome::Forward(forward) => ends(service, now, caller, budget, message, forward),
    }
    let after: Vec<Row> = service.registry().rows().cloned().collect();
    let may_change = matches!(handled.outcome, Outcome::Commit { .. });
    assert!(may_change || before == after, "the registry changed without saying so");
    assert!(after.len() <= CAPS.rows);
    let own = |rows: &[Row]| rows.iter().filter(|row| row.program == oncrpc::bind::PROGRAM).count();
    assert_eq!(own(&before), own(&after), "nobody registers or unregisters the port mapper");
}

/// The service answers a remote call with what is left of the message.
fn ends(service: &mut Service, now: Now, caller: &Caller, budget: usize, message: &[u8], forward: &Forward) {
    assert!(forward.to.port() != 111, "{forward:?}");
    let (xid, rest) = (&forward.message[..4], message.get(8..).unwrap_or_default());
    let answer = [xid, &1_u32.to_be_bytes(), rest].concat();
    let mut reply = [0; MAX_DATAGRAM_REPLY];
    let elsewhere = (Ipv4Addr::new(198, 51, 100, 1), forward.to.port()).into();
    assert!(service.answered(now, elsewhere, &answer, &mut reply).is_none());
    let end = service.answered(now, forward.to, &answer, &mut reply).expect("it is under way");
    assert_eq!((end.call, end.caller), (forward.call, *caller));
    if let Some(late) = end.reply {
        assert!(late.len <= budget && late.budget.bytes() <= budget);
        assert_is_reply(message, &reply[..late.len]);
    }
    assert_eq!(service.calls_under_way(), 0);
}

fn assert_is_reply(message: &[u8], reply: &[u8]) {
    let decoded = Reply::decode(reply).expect("what leaves is a reply");
    assert_eq!(decoded.xid.0.to_be_bytes(), message[..4]);
}
