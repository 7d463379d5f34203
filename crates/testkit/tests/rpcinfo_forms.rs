//! Debian's rpcinfo against Debian's rpcbind in every form: the same twice, hence fit to be compared with.

use std::path::Path;

use testkit::DaemonKind;
use testkit::programs::{COMPILER, TIRPC_HEADER};
use testkit::rpcinfo_forms::{Form, Outcome, Setting, broadcast_forms, differences, rpcinfo_forms, run};
use testkit::services::STATD;

const RPCINFO: &str = "/usr/sbin/rpcinfo";

fn debian(forms: &[Form]) -> std::io::Result<Vec<Outcome>> {
    run(Path::new(RPCINFO), &DaemonKind::debian(), forms)
}

#[test]
fn every_form_gives_the_same_twice() {
    testkit::require!(DaemonKind::DEBIAN, RPCINFO, STATD.program, COMPILER, TIRPC_HEADER);
    let forms = rpcinfo_forms();
    let (once, again) = (debian(&forms).unwrap(), debian(&forms).unwrap());
    assert_eq!(once.len(), forms.len());
    let different = differences(&once, &again);
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(once.iter().all(|outcome| outcome.status.is_some()), "ended by a signal");
}

#[test]
fn statistics_show_all_kinds_of_calls() {
    testkit::require!(DaemonKind::DEBIAN, RPCINFO, COMPILER, TIRPC_HEADER);
    let outcome =
        debian(&[Form { setting: Setting::Counted, uid: 0, arguments: &["-m"] }]).unwrap().remove(0);
    assert_eq!(outcome.stdout, include_str!("statistics.expected"));
}

#[test]
fn differences_are_found() {
    let form = Form { setting: Setting::Bare, uid: 0, arguments: &[] };
    let one =
        Outcome { form, status: Some(0), stdout: "a\n".into(), stderr: String::new(), table: Vec::new() };
    let other = Outcome { stdout: "b\n".into(), ..one.clone() };
    let (one, other) = ([one], [other]);
    assert_eq!(differences(&one, &one), Vec::<String>::new());
    assert_eq!(differences(&one, &other).len(), 1);
    assert_eq!(differences(&one, &[]), ["1 and 0"]);
}

#[test]
fn a_broadcast_finds_the_service_when_remote_calls_are_allowed() {
    testkit::require!(DaemonKind::DEBIAN, RPCINFO, STATD.program, COMPILER, TIRPC_HEADER);
    let outcomes = run(Path::new(RPCINFO), &DaemonKind::debian().argument("-r"), &broadcast_forms()).unwrap();
    for outcome in outcomes {
        let expected = match outcome.form.arguments {
            ["-b", "100000", _] => vec!["10.9.8.7.0.111\thome.example"],
            ["-b", "100024", _] => vec!["10.9.8.7.127.253\thome.example"],
            _ => vec![],
        };
        // The C tool prints an answer for each of its calls, so a line comes several times.
        let mut found: Vec<&str> = outcome.stdout.lines().collect();
        found.dedup();
        assert_eq!((outcome.status, found), (Some(0), expected), "{outcome}");
    }
}
