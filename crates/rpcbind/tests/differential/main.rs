//! The same random calls to Debian's rpcbind and to ours: no reply differs but as `rules.rs` says.

mod predicates;
mod remote_rules;
mod rules;
mod world;

use testkit::DaemonKind;
use testkit::differential::{Harness, Plan, Side};

/// Calls of a run of which every rule has to be used.
const CALLS: usize = 20_000;

#[test]
fn ours_differs_from_the_c_daemon_only_as_the_rules_say() {
    testkit::require!(DaemonKind::DEBIAN);
    let reference = Side::new(DaemonKind::debian().arguments(["-f"]), false).unwrap();
    let ours = DaemonKind::ours(env!("CARGO_BIN_EXE_rpcbind")).arguments(["-f"]);
    let subject = Side::new(ours, true).unwrap();
    let plan = Plan { seed: 1, calls: CALLS }.or_environment();
    println!("seed {}, {} calls", plan.seed, plan.calls);
    let run = Harness::new(reference, subject, rules::RULES).run(plan);
    let summary = run.unwrap_or_else(|found| panic!("{found}"));
    println!("{summary}");
    assert!(
        plan.calls < CALLS || summary.unused().is_empty(),
        "rules that no case used: {:?}",
        summary.unused()
    );
}

/// Calls of a run about remote calls of which every rule for those has to be used.
const REMOTE_CALLS: usize = 6_000;

#[test]
fn ours_differs_from_the_c_daemon_in_remote_calls_only_as_the_rules_say() {
    testkit::require!(DaemonKind::DEBIAN);
    let side = |kind: DaemonKind, fragments| {
        Side::new(kind.arguments(["-f", "-r"]), fragments).unwrap().with_callees().unwrap()
    };
    let reference = side(DaemonKind::debian(), false);
    let subject = side(DaemonKind::ours(env!("CARGO_BIN_EXE_rpcbind")), true);
    let plan = Plan { seed: 1, calls: REMOTE_CALLS }.or_environment();
    println!("seed {}, {} calls", plan.seed, plan.calls);
    let rules = [remote_rules::RULES, rules::RULES].concat();
    let run = Harness::new(reference, subject, &rules).run(plan);
    let summary = run.unwrap_or_else(|found| panic!("{found}"));
    println!("{summary}");
    let unused =
        remote_rules::RULES.iter().map(|rule| rule.name).filter(|name| summary.uses.get(name) == Some(&0));
    let unused: Vec<_> = unused.collect();
    assert!(plan.calls < REMOTE_CALLS || unused.is_empty(), "rules that no case used: {unused:?}");
}
