//! Real services and real clients with our port mapper, exactly as with the C one: what users must not notice.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::path::Path;
use std::sync::OnceLock;
use testkit::programs::{self, COMPILER, TIRPC_HEADER, TIRPC_STEPS, V2_STEPS, tirpc_steps, v2_steps};
use testkit::rpcinfo_forms::{Form, Outcome, differences, rpcinfo_forms, run};
use testkit::services::{self, ALONE, STATD, TOGETHER, all_services_register, ganesha_is_found_and_read};
use testkit::{Daemon, DaemonKind, Namespace, table};

const OURS: &str = env!("CARGO_BIN_EXE_rpcbind");
const RPCINFO: &str = "/usr/sbin/rpcinfo";

fn ours() -> DaemonKind {
    DaemonKind::ours(OURS)
}

#[test]
fn all_services_register_with_their_owners_and_leave() {
    for service in TOGETHER.iter().chain(ALONE) {
        if !service.is_installed() {
            testkit::skip!("{} is not installed", service.program);
        }
    }
    all_services_register(&ours()).unwrap();
}

#[test]
fn ganesha_is_found_by_showmount_and_read_by_libnfs() {
    testkit::require!(OURS, services::GANESHA.program, "/sbin/showmount", "/usr/bin/nfs-ls");
    ganesha_is_found_and_read(&ours()).unwrap();
}

#[test]
fn a_libtirpc_program_goes_through_all_its_steps() {
    testkit::require!(OURS, COMPILER, TIRPC_HEADER);
    assert_eq!(tirpc_steps(&ours()).unwrap(), TIRPC_STEPS);
}

#[test]
fn an_old_program_goes_through_all_its_steps_from_a_reserved_port_and_from_another() {
    testkit::require!(OURS, COMPILER);
    for (uid, port) in [(0, "reserved"), (1000, "ordinary")] {
        let expected = format!("source port: {port}\n{V2_STEPS}");
        assert_eq!(v2_steps(&ours(), uid).unwrap(), expected);
    }
}

#[test]
fn owners_are_what_the_kernel_says_of_the_caller_over_every_transport() {
    testkit::require!(OURS, COMPILER, TIRPC_HEADER);
    let home = Namespace::new().unwrap();
    let _daemon = Daemon::start(&home, &ours()).unwrap();
    programs::register(&home, 0, "udp", (700_000_001, 1), "0.0.0.0.200.1").unwrap();
    programs::register(&home, 1000, "tcp", (700_000_002, 1), "0.0.0.0.200.2").unwrap();
    let v2 = programs::v2_peer(&home).unwrap();
    programs::run_as(&home, 1000, &v2, &["set"]).unwrap();
    let rows: Vec<String> = table::dump(&home).unwrap().iter().skip(12).map(ToString::to_string).collect();
    let expected = [
        "700000001 1 udp 0.0.0.0.200.1 superuser",
        "700000002 1 tcp 0.0.0.0.200.2 1000",
        "600000011 1 udp 0.0.0.0.195.83 1000",
    ];
    assert_eq!(rows, expected);
}

/// Debian's tool with our port mapper.
fn debians_with_ours() -> &'static [Outcome] {
    static RUN: OnceLock<Vec<Outcome>> = OnceLock::new();
    RUN.get_or_init(|| run(Path::new(RPCINFO), &ours(), &rpcinfo_forms()).unwrap())
}

#[test]
fn debians_rpcinfo_prints_in_every_form_what_it_prints_with_debians_rpcbind() {
    testkit::require!(DaemonKind::DEBIAN, RPCINFO, STATD.program, COMPILER, TIRPC_HEADER);
    let theirs = run(Path::new(RPCINFO), &DaemonKind::debian(), &rpcinfo_forms()).unwrap();
    let different = differences(&theirs, debians_with_ours());
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn our_rpcinfo_prints_in_every_form_what_debians_prints() {
    // It is built beside the daemon.
    let our_rpcinfo = Path::new(OURS).with_file_name("rpcinfo");
    testkit::require!(&our_rpcinfo, RPCINFO, STATD.program, COMPILER, TIRPC_HEADER);
    let same: Vec<Form> = rpcinfo_forms().into_iter().filter(Form::is_classic).collect();
    let mut outcomes = run(&our_rpcinfo, &ours(), &same).unwrap();
    let mut theirs: Vec<Outcome> =
        debians_with_ours().iter().filter(|one| one.form.is_classic()).cloned().collect();
    outcomes.iter_mut().chain(&mut theirs).for_each(leave_out_liveness);
    let different = differences(&theirs, &outcomes);
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Ours has one column more when the daemon has found a service dead by then, and blanks before it.
fn leave_out_liveness(outcome: &mut Outcome) {
    let head = outcome.stdout.lines().next().unwrap_or_default();
    // The second one in the list of programs.
    let at = [" liveness", " dead"].iter().find_map(|title| head.find(title)).unwrap_or(usize::MAX);
    let lines = outcome.stdout.lines().map(|line| line.get(..at).unwrap_or(line).trim_end());
    outcome.stdout = lines.collect::<Vec<_>>().join("\n");
}
