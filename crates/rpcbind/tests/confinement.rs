//! What is left to the running daemon: nothing of root, few files, few system calls; and that it does its work all the
//! same. The other tests of the daemon run it confined like this too.

#![expect(clippy::unwrap_used, reason = "a test's own functions are tests too")]

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use oncrpc::bind;
use rustix::process::Signal;
use testkit::strace::STRACE;
use testkit::{Daemon, DaemonKind, Finished, Namespace, ask, programs, wait};

const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");

#[test]
fn nothing_is_left_of_root_and_the_filter_is_on() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let user = testkit::namespace::uid_of("_rpc").expect("the package that brings the user");
    assert_eq!(field("Uid:"), [user; 4].map(|uid| uid.to_string()).join("\t"));
    assert_eq!(field("Groups:"), "");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
    assert!(field("Threads:").parse::<u32>().unwrap() <= 2);
    assert!(!daemon.stderr().contains("not confined"), "{}", daemon.stderr());
}

#[test]
fn the_self_test_shows_each_refusal() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    for user in ["", "setpriv --reuid 1000 --regid 1000 --clear-groups "] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let program = directory.path().join("rpcbind");
        programs::copy(&home, RPCBIND, &program).unwrap();
        let end = shell(&home, &format!("exec {user}{} --self-test", program.display()));
        assert!(end.status.success(), "{end:?}");
        let rows: Vec<(&str, &str)> = end
            .stdout
            .lines()
            .map(|line| line.split_once("  ").map(|(what, end)| (what, end.trim())).unwrap())
            .collect();
        let (denied, killed) = ("refused: Permission denied (os error 13)", "refused: killed (SIGSYS)");
        let files =
            ["open /proc/1/environ", "open /usr/bin/env", "open /root", "write to /etc", "write to /tmp"];
        let calls = ["socket", "bind", "connect", "execve", "fork", "ioctl", "kill"];
        let wanted: Vec<(&str, &str)> =
            files.map(|what| (what, denied)).into_iter().chain(calls.map(|what| (what, killed))).collect();
        assert_eq!(rows, wanted);
        assert!(!home.within(|| left_behind("/etc") || left_behind("/tmp")).unwrap());
    }
}

fn left_behind(directory: &str) -> bool {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(".rpcbind-self-test"))
}

/// A kernel without the one or the other, played by a tracer that has the call fail.
const WITHOUT: [(&str, &str); 2] = [
    (
        "landlock_create_ruleset",
        "not confined: files outside the state directory and /etc (Landlock): the kernel does not have it, or has it \
         switched off",
    ),
    ("seccomp", "not confined: system calls (seccomp): Function not implemented (os error 38)"),
];

#[test]
fn without_landlock_or_seccomp_it_says_what_is_missing_and_serves() {
    testkit::require!(STRACE, "/usr/sbin/rpcinfo");
    for (call, missing) in WITHOUT {
        let home = Namespace::new().unwrap();
        let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND).traced(tracing(call))).unwrap();
        let warning = format!("rpcbind: warning: {missing}; going on without it\n");
        wait::until(&warning, || Ok(daemon.stderr().contains(&warning).then_some(()))).unwrap();
        home.expect("rpcinfo", &["-T", "tcp", "127.0.0.1", "100000", "4"]).unwrap();
    }
}

#[test]
fn without_landlock_or_seccomp_it_refuses_where_a_sandbox_is_required() {
    testkit::require!(STRACE);
    for (call, missing) in WITHOUT {
        let home = Namespace::new().unwrap();
        let words = [RPCBIND, "-f", "--require-sandbox"];
        let end = home.run(Command::new(STRACE).args(tracing(call)).args(words)).unwrap();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(
            end.stderr.contains(&format!("rpcbind: error: {missing}, and --require-sandbox is set\n")),
            "{end:?}"
        );
        assert!(!end.stderr.contains("ready: "), "{end:?}");
    }
    let home = Namespace::new().unwrap();
    let _daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND).argument("--require-sandbox")).unwrap();
}

#[test]
fn the_self_test_fails_where_something_is_not_refused() {
    testkit::require!(STRACE);
    for (call, missing) in WITHOUT {
        let home = Namespace::new().unwrap();
        let words = [RPCBIND, "--self-test"];
        let end = home.run(Command::new(STRACE).arg("-f").args(tracing(call)).args(words)).unwrap();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.stderr.contains(missing), "{end:?}");
        assert!(end.stdout.contains("NOT REFUSED"), "{end:?}");
    }
}

/// The arguments of strace that have one system call fail as on a kernel without it.
fn tracing(call: &str) -> Vec<String> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=ENOSYS"));
    ["-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).to_vec()
}

#[test]
fn who_registers_is_known_while_confined() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let _daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    for (program, uid) in [(400_000, 1000), (400_001, 1001)] {
        programs::register(&home, uid, "tcp", (program, 1), "0.0.0.0.200.1").unwrap();
        let rows = testkit::table::dump(&home).unwrap();
        let row = rows.iter().find(|row| row.program == program).unwrap();
        assert_eq!(row.owner, uid.to_string());
    }
}

#[test]
fn a_reload_names_interfaces_that_are_not_there_and_asks_nobody_for_names_of_hosts() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    home.write("/etc/hosts", "127.0.0.1 localhost\n127.0.0.2 our-second-address\n").unwrap();
    let kind = DaemonKind::ours(RPCBIND).argument("-h").argument("our-second-address");
    let daemon = Daemon::start(&home, &kind).unwrap();
    let rules = "[[udp-full]]\nprefix = \"192.0.2.0/24\"\ninterface = \"lo\"\n\n[[udp-full]]\nprefix = \
                 \"192.0.2.0/24\"\ninterface = \"not-here\"\n";
    home.write("/etc/rpcbind.new", rules).unwrap();
    home.within(|| std::fs::rename("/etc/rpcbind.new", "/etc/rpcbind.toml")).unwrap().unwrap();
    daemon.signal(Signal::HUP).unwrap();
    wait::until("the rules", || Ok(daemon.stderr().contains("the rules were read again").then_some(())))
        .unwrap();
    let said = daemon.stderr();
    assert!(said.contains("udp-full: there is no interface not-here; until there is"), "{said}");
    assert!(!said.contains("interface lo"), "{said}");
    assert!(!said.contains("only a restart changes"), "{said}");
    home.within(|| TcpStream::connect("127.0.0.2:111")).unwrap().unwrap();
}

#[test]
fn whole_replies_follow_the_name_of_an_interface_that_is_made_renamed_and_made_again() {
    testkit::require!("/usr/sbin/ip");
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let rule = "[[udp-full]]\nprefix = \"10.9.8.0/24\"\ninterface = \"wan\"\n";
    home.write("/etc/rpcbind.toml", rule).unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    assert!(daemon.stderr().contains("udp-full: there is no interface wan"), "{}", daemon.stderr());
    let cable = || home.cable(&other, &["10.9.8.7/24"], &["10.9.8.1/24"]).unwrap();
    let rename = |from: &str, to: &str| {
        let lines = format!("ip link set {from} down && ip link set {from} name {to} && ip link set {to} up");
        home.expect("sh", &["-c", &lines]).unwrap();
    };
    let message = ask::message(bind::V4, bind::DUMP, &[]);
    let replies_are = |whole: bool, when: &str| {
        let asked = || {
            let client = ask::udp(&other, "10.9.8.1", "10.9.8.7:111".parse().unwrap());
            client.set_read_timeout(Some(Duration::from_secs(1)))?;
            let reply = ask::over_udp(&client, &message);
            Ok(reply.ok().filter(|reply| (reply.len() > message.len()) == whole))
        };
        wait::until(when, asked).unwrap();
    };
    let name = cable();
    replies_are(false, "it has another name");
    rename(&name, "wan");
    replies_are(true, "it has the name");
    rename("wan", "lan");
    replies_are(false, "it has the name no more");
    home.expect("ip", &["link", "del", "lan"]).unwrap();
    rename(&cable(), "wan");
    replies_are(true, "another has the name");
}

#[test]
fn a_file_that_a_reload_cannot_reach_is_named_at_the_start() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    home.write("/run/elsewhere.toml", "").unwrap();
    let daemon =
        Daemon::start(&home, &DaemonKind::ours(RPCBIND).argument("--config=/run/elsewhere.toml")).unwrap();
    let wanted = "warning: /run/elsewhere.toml is not under /etc: after the start it cannot be read again";
    wait::until(wanted, || Ok(daemon.stderr().contains(wanted).then_some(()))).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    wait::until("a word", || Ok(daemon.stderr().contains("the older configuration stays").then_some(())))
        .unwrap();
}

fn shell(home: &Namespace, line: &str) -> Finished {
    home.run(Command::new("/bin/sh").args(["-c", line])).unwrap()
}
