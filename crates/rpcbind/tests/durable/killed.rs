//! Killed before every system call of a SET, of a start, and of an end; also when the journal is written anew.

use std::io;
use std::path::Path;

use testkit::journal::grow_to_the_brink;
use testkit::proc::is_gone;
use testkit::strace::STRACE;
use testkit::{Daemon, Namespace, Process, wait};

use crate::registrar::{Registrar, Service, register, registered, service, services};
use crate::{DIRECTORY, JOURNAL, ours, start, strace};

/// Where system calls are written to.
const TRACE: &str = "/run/trace";
/// More steps than anything here has.
const STEPS_MAX: usize = 200;

/// The names of the system calls that `work` causes, in order.
fn traced(home: &Namespace, daemon: &Daemon, work: impl FnOnce()) -> Vec<String> {
    let tracer = strace(home, daemon, &["-o", TRACE]);
    work();
    tracer.terminate().unwrap();
    let lines = home.within(|| std::fs::read_to_string(TRACE)).unwrap().unwrap();
    let name = |line: &str| {
        // `PID name(arguments) = result`; what strace interrupted by attaching is not a call of ours.
        let (_, call) = line.split_once(char::is_whitespace)?;
        let (name, _) = call.trim_start().split_once('(')?;
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_').then(|| name.to_owned())
    };
    lines.lines().filter_map(name).collect()
}

/// One SET over a new connection of root's; whether it was acknowledged.
fn set(home: &Namespace, service: &Service) -> io::Result<bool> {
    home.within(|| Registrar::connect(0)?.set(service)).unwrap()
}

/// Waits for the end of a daemon that is to be killed.
fn dead(daemon: Daemon, tracer: Process) {
    tracer.finish().unwrap();
    let stopped = daemon.kill().unwrap();
    assert!(!stopped.status.success(), "it was not killed: {stopped:?}");
}

/// Kills the daemon before each system call of a SET in turn, in machines that `prepare` has made ready. Answers how
/// many calls there were.
fn at_every_call_of_a_set(prepare: impl Fn(&Namespace, &Daemon) -> Vec<Service>) -> Vec<String> {
    let new = Service { uid: 0, ..service(9_999) };
    let home = Namespace::new().unwrap();
    let daemon = start(&home);
    prepare(&home, &daemon);
    let calls = traced(&home, &daemon, || assert!(set(&home, &new).unwrap()));
    drop((daemon, home));
    assert!(calls.iter().any(|call| call == "fdatasync"), "{calls:?}");
    let (mut acknowledged, mut kept) = (0, 0);
    for (index, call) in calls.iter().enumerate() {
        let ordinal = calls[..=index].iter().filter(|earlier| *earlier == call).count();
        let home = Namespace::new().unwrap();
        let daemon = start(&home);
        let mut expected = prepare(&home, &daemon);
        let kill = format!("inject={call}:signal=KILL:when={ordinal}");
        let tracer = strace(&home, &daemon, &["-o", "/dev/null", "-e", &kill]);
        let answer = set(&home, &new);
        if answer.is_err() {
            dead(daemon, tracer);
        } else {
            // Killed afterwards, or soon: which calls follow the reply depends on when strace came.
            daemon.kill().unwrap();
            drop(tracer);
        }
        let daemon = start(&home);
        let after = registered(&home);
        let is_kept = after.last() == Some(&new);
        if let Ok(answer) = answer {
            assert!(answer, "a SET is answered TRUE");
            assert!(is_kept, "acknowledged, and lost by a kill before {call} {ordinal}");
            acknowledged += 1;
        }
        kept += usize::from(is_kept);
        if is_kept {
            expected.push(new.clone());
        }
        assert_eq!(after, expected, "killed before {call} {ordinal}");
        drop(daemon);
    }
    println!(
        "killed before each of the {} system calls of a SET: {kept} rows kept, {acknowledged} of them acknowledged",
        calls.len()
    );
    assert!(kept >= acknowledged && kept < calls.len(), "there are calls before the row is on disk");
    calls
}

#[test]
fn a_kill_before_any_system_call_of_a_set_loses_nothing_that_was_acknowledged() {
    testkit::require!(STRACE);
    at_every_call_of_a_set(|home, _| {
        register(home, &services(10));
        services(10)
    });
}

#[test]
fn a_kill_while_the_journal_is_written_anew_loses_nothing_that_was_acknowledged() {
    testkit::require!(STRACE);
    let calls = at_every_call_of_a_set(|home, _| {
        register(home, &services(10));
        let stays = home.within(nearly_full).unwrap();
        services(10).into_iter().chain(stays).collect()
    });
    assert!(calls.iter().any(|call| call.starts_with("renameat")), "{calls:?}");
}

/// Registers and unregisters until one more SET has the journal written anew; answers what stays registered.
fn nearly_full() -> Option<Service> {
    let passing = Service { uid: 0, ..service(9_998) };
    let mut registrar = Registrar::connect(0).unwrap();
    let len = || std::fs::metadata(JOURNAL).unwrap().len();
    let stays = grow_to_the_brink(len, |is_set| {
        let done = if is_set { registrar.set(&passing) } else { registrar.unset(&passing) };
        assert!(done.unwrap());
    });
    stays.then_some(passing)
}

#[test]
fn a_kill_while_recovering_from_a_failed_fsync_loses_nothing_that_was_durable() {
    testkit::require!(STRACE);
    let new = Service { uid: 0, ..service(9_999) };
    let mut kills = 0;
    for call in ["openat", "write", "renameat", "fsync"] {
        for ordinal in 1..STEPS_MAX {
            let home = Namespace::new().unwrap();
            let daemon = start(&home);
            register(&home, &services(10));
            let kill = format!("inject={call}:signal=KILL:when={ordinal}");
            let fail = "inject=fdatasync:error=EIO:when=1";
            let tracer = strace(&home, &daemon, &["-o", "/dev/null", "-e", fail, "-e", &kill]);
            let answer = set(&home, &new);
            let over = || {
                let again = daemon.stderr().contains("registrations are durable again");
                let gone = is_gone(daemon.pid());
                Ok((again || gone).then_some(again && !gone))
            };
            let recovered = wait::until("recovered or killed", over).unwrap();
            drop(tracer);
            daemon.kill().unwrap();
            let daemon = start(&home);
            let after = registered(&home);
            assert_eq!(after[..10], services(10), "killed before {call} {ordinal}");
            assert!(after[10..].is_empty() || after[10..] == [new.clone()], "killed before {call} {ordinal}");
            drop(daemon);
            if recovered {
                assert!(
                    answer.unwrap() && after.len() == 11,
                    "durable again, and lost after {call} {ordinal}"
                );
                break;
            }
            kills += 1;
        }
    }
    println!("killed at {kills} steps of a SET whose fsync fails, and of the recovery");
    assert!(kills >= 5, "{kills} kills");
}

#[test]
fn a_kill_at_any_step_of_a_start_loses_nothing() {
    testkit::require!(STRACE);
    let home = Namespace::new().unwrap();
    let daemon = start(&home);
    register(&home, &services(50));
    daemon.kill().unwrap();
    let mut kills = 0;
    for call in ["fdatasync", "renameat", "fsync", "write", "unlinkat"] {
        for ordinal in 1..STEPS_MAX {
            let inject = format!("inject={call}:signal=KILL:when={ordinal}");
            let kind = ours().arguments(["-f"]);
            match Daemon::start(&home, &kind.traced(["-f", "-q", "-o", "/dev/null", "-e", &inject])) {
                Ok(daemon) => {
                    // It has fewer of these calls before it is ready; one that comes later may end it all the same.
                    end_traced(daemon);
                    break;
                }
                Err(error) => {
                    // Killed.
                    assert!(error.to_string().contains("wait_status(9)"), "{call} {ordinal}: {error:?}");
                    kills += 1;
                }
            }
        }
    }
    assert!(kills >= 5, "{kills} kills");
    println!("killed at {kills} steps of a start, with 50 rows");
    let daemon = start(&home);
    assert_eq!(registered(&home), services(50));
    drop(daemon);
}

/// Kills a daemon that runs under strace.
fn end_traced(strace: Daemon) {
    let tracer = strace.pid();
    let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
    let child = children.split_whitespace().next().map(|child| child.parse::<u32>().unwrap());
    if let Some(child) = child {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
        // It fails when the process has ended meanwhile.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        wait::until("the traced daemon's end", || Ok(is_gone(child).then_some(()))).unwrap();
    }
    strace.kill().unwrap();
}

#[test]
fn a_kill_at_any_step_of_an_end_in_order_loses_nothing() {
    testkit::require!(STRACE);
    let home = Namespace::new().unwrap();
    let mut kills = 0;
    let mut expected = Vec::new();
    for call in ["openat", "write", "fdatasync", "unlinkat", "renameat", "fsync"] {
        for ordinal in 1..STEPS_MAX {
            let daemon = start(&home);
            assert_eq!(registered(&home), expected, "before {call} {ordinal}");
            // Each end writes other files than the one before.
            let new = service(u32::try_from(expected.len()).unwrap());
            register(&home, std::slice::from_ref(&new));
            expected.push(new);
            let inject = format!("inject={call}:signal=KILL:when={ordinal}");
            let tracer = strace(&home, &daemon, &["-o", "/dev/null", "-e", &inject]);
            let stopped = daemon.stop().unwrap();
            drop(tracer);
            if stopped.status.success() {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 10, "{kills} kills");
    println!("killed at {kills} steps of an end in order");
    let daemon = start(&home);
    assert_eq!(registered(&home), expected);
    drop(daemon);
    let left = home.within(|| std::fs::read_dir(Path::new(DIRECTORY)).unwrap().count()).unwrap();
    assert!(left <= 6, "{left} files");
}
