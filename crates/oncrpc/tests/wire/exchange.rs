//! The client's side of one call: which messages answer it, when it is sent again, when it is given up.

use crate::hex::encoded;
use oncrpc::{Answer, AuthStatus, Exchange, Reply, Schedule, Step, Xid};
use proptest::prelude::*;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Steps at each deadline, and the times at which the call is sent again and given up.
fn on_time(start: Duration, schedule: Schedule) -> (Vec<Duration>, Duration) {
    let mut exchange = Exchange::new(start, Xid(1), schedule);
    let mut sent = Vec::new();
    loop {
        let now = exchange.deadline();
        match exchange.step(now) {
            Step::Retransmit => sent.push(now - start),
            Step::GiveUp => return (sent, now - start),
            Step::Wait => panic!("nothing to do at the deadline"),
        }
    }
}

#[test]
fn the_wait_doubles_up_to_the_longest_and_the_end_comes_on_time() {
    let schedule = Schedule { first: ms(1_000), longest: ms(4_000), total: ms(15_000) };
    let (sent, end) = on_time(ms(77), schedule);
    assert_eq!(sent, [ms(1_000), ms(3_000), ms(7_000), ms(11_000)]);
    assert_eq!(end, ms(15_000));
}

#[test]
fn a_total_shorter_than_the_first_wait_sends_once() {
    let schedule = Schedule { first: ms(5_000), longest: ms(5_000), total: ms(300) };
    assert_eq!(on_time(ms(0), schedule), (vec![], ms(300)));
}

#[test]
fn a_first_wait_over_the_longest_is_kept_once() {
    let schedule = Schedule { first: ms(800), longest: ms(100), total: ms(1_050) };
    assert_eq!(on_time(ms(0), schedule), (vec![ms(800), ms(900), ms(1_000)], ms(1_050)));
}

#[test]
fn times_near_the_end_of_time_do_not_overflow() {
    let schedule = Schedule { first: Duration::MAX, longest: Duration::MAX, total: Duration::MAX };
    let mut exchange = Exchange::new(Duration::MAX - ms(1), Xid(1), schedule);
    assert_eq!(exchange.step(Duration::MAX - ms(1)), Step::Wait);
    assert_eq!(exchange.step(Duration::MAX), Step::GiveUp);
}

fn duration(max_ms: u64) -> impl Strategy<Value = Duration> {
    let nanoseconds = (0..9_u64).prop_map(Duration::from_nanos);
    prop_oneof![3 => (0..max_ms).prop_map(ms), 1 => Just(Duration::ZERO), 1 => nanoseconds]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn at_any_times_it_waits_before_its_deadline_and_moves_on_at_it(
        start in duration(1_000_000),
        first in duration(3_000),
        longest in duration(6_000),
        total in duration(20_000),
        pauses in prop::collection::vec(duration(4_000), 0..40),
    ) {
        let end = start + total;
        let mut exchange = Exchange::new(start, Xid(1), Schedule { first, longest, total });
        let mut now = start;
        for pause in pauses {
            now += pause;
            let deadline = exchange.deadline();
            prop_assert!(deadline <= end, "the deadline is never after the end");
            let step = exchange.step(now);
            let expected = match () {
                () if now >= end => Step::GiveUp,
                () if now < deadline => Step::Wait,
                () => Step::Retransmit,
            };
            prop_assert_eq!(step, expected, "{:?} after the start", now - start);
            match step {
                Step::Retransmit => prop_assert!(exchange.deadline() > now, "sent without a wait after it"),
                _ => prop_assert_eq!(exchange.deadline(), deadline),
            }
        }
    }
}

#[test]
fn only_a_whole_reply_with_its_xid_is_accepted() {
    let schedule = Schedule { first: ms(1), longest: ms(1), total: ms(1) };
    let exchange = Exchange::new(ms(0), Xid(7), schedule);
    let answers = [
        Answer::Success(b"\0\0\0\x01"),
        Answer::ProgramMismatch { low: 2, high: 4 },
        Answer::RpcMismatch { low: 2, high: 2 },
        Answer::AuthError(AuthStatus::TooWeak),
    ];
    for answer in answers {
        let ours = Reply { xid: Xid(7), answer };
        assert_eq!(exchange.accept(&encoded(&ours)), Some(ours));
        assert_eq!(exchange.accept(&encoded(&Reply { xid: Xid(8), answer })), None, "somebody else's");
        assert_eq!(exchange.accept(&encoded(&ours)[..12]), None, "cut");
    }
    assert_eq!(exchange.accept(b""), None);
}
