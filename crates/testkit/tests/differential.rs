//! The harness of the differential test is sound: a port mapper does not differ from itself, and a difference is found.

use std::io;

use testkit::DaemonKind;
use testkit::differential::{Harness, Plan, Side};

fn debian(arguments: &[&str]) -> io::Result<Side> {
    Side::new(DaemonKind::debian().arguments(arguments), false)
}

#[test]
fn the_c_daemon_does_not_differ_from_itself() {
    testkit::require!(DaemonKind::DEBIAN);
    let plan = Plan { seed: 1, calls: 4_000 }.or_environment();
    let summary = Harness::new(debian(&["-f"]).unwrap(), debian(&["-f"]).unwrap(), &[])
        .run(plan)
        .unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{summary}");
    assert!(summary.calls >= plan.calls && summary.uses.is_empty());
}

#[test]
fn the_c_daemon_does_not_differ_from_itself_in_remote_calls() {
    testkit::require!(DaemonKind::DEBIAN);
    let plan = Plan { seed: 1, calls: 3_000 }.or_environment();
    let side = || debian(&["-f", "-r"]).unwrap().with_callees().unwrap();
    let summary = Harness::new(side(), side(), &[]).run(plan).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{summary}");
    assert!(summary.calls >= plan.calls && summary.uses.is_empty());
}

#[test]
fn a_difference_is_found_and_told_with_the_fewest_calls() {
    testkit::require!(DaemonKind::DEBIAN);
    // With -i everybody may register.
    let (reference, insecure) = (debian(&["-f"]).unwrap(), debian(&["-f", "-i"]).unwrap());
    let plan = Plan { seed: 1, calls: 4_000 };
    let found = Harness::new(reference, insecure, &[]).run(plan).unwrap_err().to_string();
    eprintln!("{found}");
    let calls = found.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    ")).count();
    assert_eq!(calls, 1, "{found}");
    assert!(found.contains("AuthError(TooWeak)"), "{found}");
}
