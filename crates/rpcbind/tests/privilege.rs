//! What is left of a process's privileges, as the kernel shows it. The test starts itself again for each case: what
//! is given up is gone for the whole process.

#![expect(clippy::expect_used, reason = "a test's own functions are tests too")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rpcbind::privilege::{self, User};

/// What the child is to do; it then prints its status.
const CASE: &str = "PRIVILEGE_CASE";

#[test]
fn as_root_it_becomes_the_user_for_good() {
    testkit::require!("/usr/bin/setpriv");
    let status = after("user", &["setpriv", "--groups=0,4,27"]);
    let user = User::find(false, None).expect("a user");
    assert_eq!(status["Uid"], [user.uid; 4].map(|uid| uid.to_string()).join("\t"));
    assert_eq!(status["Gid"], [user.gid; 4].map(|gid| gid.to_string()).join("\t"));
    assert_eq!(status["Groups"], "");
    nothing_is_left(&status);
    assert_eq!(status["CapBnd"], "0000000000000000");
}

#[test]
fn capabilities_that_the_uid_does_not_take_along_go_too() {
    testkit::require!("/usr/bin/setpriv");
    // A user with capabilities to keep: permitted, effective, inheritable and ambient.
    let how = [
        "setpriv",
        "--reuid=1000",
        "--clear-groups",
        "--inh-caps=+net_bind_service,+setpcap",
        "--ambient-caps=+net_bind_service,+setpcap",
    ];
    let status = after("stay", &how);
    assert_eq!(status["Uid"], ["1000"; 4].join("\t"));
    nothing_is_left(&status);
    assert_eq!(status["CapBnd"], "0000000000000000");
}

#[test]
fn without_the_right_to_it_the_bounding_set_stays() {
    testkit::require!("/usr/bin/setpriv");
    let status = after("stay", &["setpriv", "--reuid=1000", "--clear-groups"]);
    nothing_is_left(&status);
    assert_ne!(status["CapBnd"], "0000000000000000");
}

#[test]
fn a_step_that_the_kernel_refuses_is_named() {
    testkit::require!("/usr/bin/setpriv");
    assert_eq!(
        after("user", &["setpriv", "--bounding-set=-setgid"])["error"],
        "privileges are not dropped: supplementary groups: Operation not permitted (os error 1)"
    );
    assert_eq!(
        after("user", &["setpriv", "--bounding-set=-setuid"])["error"],
        "privileges are not dropped: uid: Operation not permitted (os error 1)"
    );
}

#[test]
fn ports_that_say_that_root_sent_it_end_where_the_kernel_lets_everybody_in() {
    testkit::require!();
    let space = testkit::Namespace::new().expect("a private namespace");
    let below = || space.within(privilege::privileged_ports_below).expect("entered");
    let set = |port: &str| {
        let file = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        space.within(|| std::fs::write(file, port)).expect("entered").expect("written");
    };
    assert_eq!(below(), 1024);
    for (start, expected) in [("512", 512), ("0", 0), ("5000", 1024)] {
        set(start);
        assert_eq!(below(), expected, "{start}");
    }
}

#[test]
#[ignore = "the child's side of the others"]
fn child() {
    let case = std::env::var(CASE).expect("started by another test");
    let user = User::find(false, None).expect("a user");
    // Tests run on threads; capabilities are this thread's, and so is the status that is shown.
    match privilege::drop_to((case == "user").then_some(&user)) {
        Ok(()) => print!("\n{}", std::fs::read_to_string("/proc/thread-self/status").expect("status")),
        Err(error) => println!("\nerror:\t{error}"),
    }
}

/// The status of a process that has dropped its privileges, or the error, started by way of `how`.
fn after(case: &str, how: &[&str]) -> BTreeMap<String, String> {
    // A copy, where every user can read it; written by another process, since a file that a child of this one may
    // still hold open for writing cannot be run.
    let place = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).expect("for all");
    let program = place.path().join("child");
    let this = std::env::current_exe().expect("this program");
    assert!(Command::new("cp").arg(this).arg(&program).status().expect("cp").success());
    let child = Command::new(how[0])
        .args(&how[1..])
        .arg(program)
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .output()
        .expect("started");
    assert!(child.status.success(), "{child:?}");
    let text = String::from_utf8(child.stdout).expect("text");
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.into(), value.trim().into()))
        .collect()
}

fn nothing_is_left(status: &BTreeMap<String, String>) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!(status["NoNewPrivs"], "1");
}
