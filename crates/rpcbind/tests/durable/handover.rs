//! From Debian's rpcbind to ours and back, with everything that is registered.

use testkit::{Daemon, DaemonKind, Namespace, wait};

use crate::registrar::{Registrar, Service, register, registered, service, services, shown};
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

#[test]
fn rows_that_nobody_may_register_are_not_taken_over_and_a_few_are_named() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    let garbage = |number| Service { address: "gar\nbage".into(), ..service(number) };
    let wrong: Vec<Service> = (0..20).map(garbage).collect();
    register(&home, &wrong);
    // NFS, by an ordinary user.
    register(&home, &[Service { program: 100_003, uid: 1_000, ..service(20) }, service(21)]);
    end(daemon);
    let daemon = start(&home);
    assert_eq!(registered(&home), [service(21)]);
    let said = daemon.kill().unwrap().stderr;
    assert_eq!(said.matches("is not restored: ").count(), 8, "{said}");
    assert!(said.contains("tcp gar\\x0abage is not restored: no address of the netid's family"), "{said}");
    assert!(said.contains("and 13 more"), "{said}");
    assert!(said.contains("1 of 22 registrations"), "{said}");
}

#[test]
fn rows_from_another_network_namespace_stay_its_own_across_kills_and_debians() {
    testkit::require!("/sbin/rpcbind");
    let (home, elsewhere) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let root = |number| Service { uid: 0, ..service(number) };
    let daemon = start(&home);
    register(&home, &[root(0)]);
    let mut container = Registrar::from(&elsewhere, &home);
    assert!(container.set(&root(1)).unwrap() && container.set(&root(2)).unwrap());
    daemon.kill().unwrap();
    let daemon = start(&home);
    assert_eq!(registered(&home), [root(0), root(1), root(2)]);
    let mut container = Registrar::from(&elsewhere, &home);
    // What is home's is not touched from there, what is its own goes.
    assert!(container.unset(&root(0)).unwrap() && container.unset(&root(1)).unwrap());
    assert_eq!(registered(&home), [root(0), root(2)]);
    end(daemon);
    let daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    register(&home, &[root(3)]);
    end(daemon);
    let daemon = start(&home);
    assert_eq!(registered(&home), [root(0), root(2), root(3)]);
    let mut container = Registrar::from(&elsewhere, &home);
    assert!(container.unset(&root(2)).unwrap() && container.unset(&root(3)).unwrap());
    assert_eq!(registered(&home), [root(0), root(3)]);
    end(daemon);
}

/// Runs our daemon's program with these arguments to its end; answers what it said.
fn by_hand(home: &Namespace, arguments: &[&str]) -> (bool, String) {
    let finished = home.run(std::process::Command::new(crate::RPCBIND).args(arguments)).unwrap();
    assert_eq!(finished.stdout, "");
    (finished.status.success(), finished.stderr)
}

#[test]
fn what_is_exported_by_hand_is_what_debians_starts_with_and_back() {
    testkit::require!("/sbin/rpcbind", "/usr/sbin/rpcinfo");
    let (here, there) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let daemon = start(&here);
    register(&here, &services(40));
    let before = shown(&here);
    let directory = tempfile::tempdir().unwrap();
    let files = |home: &Namespace, from: &str, to: &str| {
        let copy = format!("cp -p {from}/*.xdr {to}/");
        home.expect("/bin/sh", &["-c", &copy]).unwrap();
    };
    let shared = directory.path().to_str().unwrap();
    // From the daemon that runs, into a directory of the C daemon's user.
    here.expect("/bin/sh", &["-c", "mkdir /run/out && chown _rpc /run/out"]).unwrap();
    let (success, said) = by_hand(&here, &["--export", "/run/out"]);
    assert!(success && said.contains("40 registrations exported to /run/out"), "{said}");
    let owners =
        here.expect("stat", &["-c", "%U %a", "/run/out/rpcbind.xdr", "/run/out/portmap.xdr"]).unwrap();
    assert_eq!(owners, "_rpc 600\n_rpc 600\n");
    files(&here, "/run/out", shared);
    files(&there, shared, "/run/rpcbind");
    let debians = Daemon::start(&there, &DaemonKind::debian()).unwrap();
    assert_eq!(shown(&there), before);
    debians.stop().unwrap();
    // Without a daemon, from what it left; and into a journal that has other rows.
    let (success, said) = by_hand(&there, &["--export", "/run/rpcbind"]);
    assert!(success && said.contains("40 registrations exported"), "{said}");
    files(&there, "/run/rpcbind", shared);
    let running = by_hand(&here, &["--import", shared]);
    assert!(!running.0 && running.1.contains("another rpcbind is already running"), "{}", running.1);
    register(&here, &services(50)[40..]);
    end(daemon);
    let (success, said) = by_hand(&here, &["--import", shared]);
    assert!(success && said.contains("40 registrations"), "{said}");
    let daemon = start(&here);
    assert_eq!(shown(&here), before);
    daemon.kill().unwrap();
    drop(start(&here));
}

#[test]
fn an_imported_row_that_is_longer_than_ours_may_be_takes_none_with_it() {
    testkit::require!("/sbin/rpcbind");
    let (here, there) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let daemon = Daemon::start(&there, &DaemonKind::debian()).unwrap();
    let long = Service { netid: "local", address: format!("/{}", "x".repeat(200)), ..service(1) };
    register(&there, &[service(0), long, service(2)]);
    end(daemon);
    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().to_str().unwrap();
    there.expect("/bin/sh", &["-c", &format!("cp -p /run/rpcbind/*.xdr {shared}/")]).unwrap();
    let (success, said) = by_hand(&here, &["--import", shared]);
    assert!(success && said.contains("2 registrations"), "{said}");
    let daemon = start(&here);
    assert_eq!(registered(&here), [service(0), service(2)]);
    end(daemon);
}

#[test]
fn a_directory_without_files_is_not_imported_and_one_that_is_not_there_not_written_to() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    for (arguments, why) in [
        (["--import", "/run/lock"], "no files of an rpcbind in /run/lock"),
        (["--import", "/nowhere"], "/nowhere: No such file or directory"),
        (["--export", "/nowhere"], "/nowhere: No such file or directory"),
    ] {
        let (success, said) = by_hand(&home, &arguments);
        assert!(!success && said.contains(why), "{arguments:?}: {said}");
    }
}

/// Starts ours with `--adopt` beside another daemon, ends that one when ours says so, and answers ours when ready.
fn adopt(home: &Namespace, other: Daemon, count: usize, kill: bool) -> Daemon {
    let adopting =
        home.spawn(std::process::Command::new(crate::RPCBIND).args(["-f", "-d", "--adopt"])).unwrap();
    let said = format!("{count} registrations adopted from rpcbind (pid ");
    wait::until("adopted", || Ok(adopting.stderr().contains(&said).then_some(()))).unwrap();
    assert!(adopting.stderr().contains("now stop it, within 60 s: kill "), "{}", adopting.stderr());
    // What comes after the first look is seen, too.
    register(home, &[service(5_000)]);
    let again = format!("{} registrations to adopt now", count + 1);
    wait::until("looked at again", || Ok(adopting.stderr().contains(&again).then_some(()))).unwrap();
    if kill {
        other.kill().unwrap()
    } else {
        other.stop().unwrap()
    };
    wait::until("ready", || Ok(adopting.stderr().contains("ready: ").then_some(()))).unwrap();
    assert_eq!(registered(home).len(), count + 1);
    adopting.kill().unwrap();
    start(home)
}

#[test]
fn a_running_daemons_registrations_are_adopted_whether_it_writes_files_or_not() {
    testkit::require!("/sbin/rpcbind");
    for kill in [false, true] {
        let home = Namespace::new().unwrap();
        let other = Daemon::start(&home, &DaemonKind::debian()).unwrap();
        register(&home, &services(30));
        let mut expected = services(30);
        expected.push(service(5_000));
        let daemon = adopt(&home, other, 30, kill);
        assert_eq!(registered(&home), expected, "killed: {kill}");
        end(daemon);
    }
}

#[test]
fn a_daemon_that_went_to_the_background_is_named_by_the_process_that_is_left() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    home.expect("/sbin/rpcbind", &["-w"]).unwrap();
    wait::until("serving", || Ok(testkit::table::dump(&home).ok().map(drop))).unwrap();
    register(&home, &services(3));
    let pid = home.process_named("rpcbind").unwrap().unwrap();
    let adopting = home.spawn(std::process::Command::new(crate::RPCBIND).args(["-f", "--adopt"])).unwrap();
    let said = format!(
        "adopted from rpcbind (pid {0}); now stop it, within 60 s: kill {0},",
        testkit::proc::status(pid, "NSpid:").unwrap()
    );
    wait::until("adopted", || Ok(adopting.stderr().contains(&said).then_some(()))).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait::until("ready", || Ok(adopting.stderr().contains("ready: ").then_some(()))).unwrap();
    assert_eq!(registered(&home), services(3));
}

#[test]
fn adopting_from_nobody_is_a_plain_start() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &ours().argument("--adopt")).unwrap();
    let said = daemon.stop().unwrap().stderr;
    assert!(said.contains("nothing to adopt"), "{said}");
}
