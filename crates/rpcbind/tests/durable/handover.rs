//! From Debian's rpcbind to ours and back, with everything that is registered.

use testkit::{Daemon, DaemonKind, Namespace};

use crate::registrar::{register, registered, service, services, shown};
use crate::{ours, start};

fn end(daemon: Daemon) {
    let stopped = daemon.stop().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
}

/// Debian's, ours, ours after a kill, Debian's, ours: the same is shown at each step.
fn there_and_back(first: &DaemonKind, count: u32) {
    let home = Namespace::new().unwrap();
    let debian = DaemonKind::debian();
    let daemon = Daemon::start(&home, first).unwrap();
    register(&home, &services(count));
    let before = shown(&home);
    let rows = usize::try_from(count).unwrap();
    assert_eq!(registered(&home).len(), rows);
    end(daemon);
    for (step, kind, kill) in [
        ("Debian's", &debian, false),
        ("ours", &ours(), true),
        ("ours again", &ours(), true),
        ("ours after two kills", &ours(), false),
        ("Debian's at last", &debian, false),
        ("ours at last", &ours(), false),
    ] {
        let daemon = Daemon::start(&home, kind).unwrap();
        assert!(shown(&home) == before, "{step}: not what was shown before, with {count} rows");
        if kill {
            daemon.kill().unwrap();
        } else {
            end(daemon);
        }
    }
}

#[test]
fn debians_and_ours_take_over_26_rows_from_each_other() {
    testkit::require!("/sbin/rpcbind", "/usr/sbin/rpcinfo");
    there_and_back(&DaemonKind::debian(), 26);
    there_and_back(&ours(), 26);
}

#[test]
fn debians_and_ours_take_over_1000_rows_from_each_other() {
    testkit::require!("/sbin/rpcbind", "/usr/sbin/rpcinfo");
    there_and_back(&DaemonKind::debian(), 1_000);
    there_and_back(&ours(), 1_000);
}

#[test]
fn what_was_registered_while_debians_ran_replaces_what_we_kept() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    let daemon = start(&home);
    register(&home, &services(5));
    end(daemon);
    let daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    register(&home, &[service(7)]);
    end(daemon);
    let daemon = start(&home);
    let mut expected = services(5);
    expected.push(service(7));
    assert_eq!(registered(&home), expected);
    end(daemon);
}

#[test]
fn after_debians_was_killed_our_journal_is_what_there_is() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    let daemon = start(&home);
    register(&home, &services(5));
    end(daemon);
    // It consumes the files, and leaves none.
    let daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    daemon.kill().unwrap();
    let daemon = start(&home);
    assert_eq!(registered(&home), services(5));
    let said = daemon.kill().unwrap().stderr;
    assert!(said.contains("5 of 5 registrations of the last run but one restored"), "{said}");
}

#[test]
fn a_run_without_a_state_directory_says_that_it_keeps_nothing() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    home.expect("/bin/sh", &["-c", "rmdir /run/rpcbind && : > /run/rpcbind"]).unwrap();
    let daemon = start(&home);
    register(&home, &services(1));
    let stopped = daemon.stop().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(stopped.stderr.contains("in memory only"), "{stopped:?}");
    let daemon = start(&home);
    assert_eq!(registered(&home), []);
    drop(daemon);
}
