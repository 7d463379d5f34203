//! Starting a program with descriptors from 3 on, `LISTEN_PID` being its own process id (sd_listen_fds(3)), and with
//! nothing in its environment that a service manager would not put there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::io::FdFlags;

use crate::Namespace;
use crate::process::Process;

/// What the shell does after it has put the descriptors in place: it closes all others, also what the test process
/// itself was started with, and becomes `env`, which becomes the program. The process id stays; the shell's own
/// variables go.
const BECOME: &str = r#"for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -gt "$last" ] && eval "exec $fd<&-"; done
unset last fd; exec env -u _ -u SHLVL -u PWD -u OLDPWD "#;
/// Copies of the descriptors for the shell lie from here on, out of the way of those it makes.
const COPIES: i32 = 200;

/// Starts `command` in `namespace` with these descriptors and this environment, and no other.
pub(super) fn start(
    namespace: &Namespace,
    command: &[String],
    environment: &BTreeMap<String, String>,
    passed: &[BorrowedFd<'_>],
) -> io::Result<Process> {
    let name = command.first().cloned().unwrap_or_default();
    let (stdout, to_stdout) = io::pipe()?;
    let (stderr, to_stderr) = io::pipe()?;
    let mut shell = Command::new("/bin/bash");
    shell.args(["--norc", "--noprofile", "-c"]);
    shell.env_clear().envs(environment);
    shell.stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr);
    let child = namespace.within(|| {
        // This thread's table of descriptors is its own from here on and ends with it: the copies, which an exec
        // does not close, are in no other child of the test process.
        unshare(CloneFlags::CLONE_FILES)?;
        let mut copies = Vec::new();
        for descriptor in passed {
            let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, COPIES)?;
            rustix::io::fcntl_setfd(&copy, FdFlags::empty())?;
            copies.push(copy);
        }
        shell.arg(script(&copies, environment.contains_key("WATCHDOG_USEC"))).arg("activator").args(command);
        shell.spawn()
    })?;
    let child = child.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    Process::adopt(name, child, [stdout, stderr])
}

/// Moves the copies to 3, 4, 5 and so on.
fn script(copies: &[OwnedFd], watched: bool) -> String {
    let mut script = String::new();
    for (place, copy) in (3..).zip(copies) {
        script.push_str(&format!("exec {place}<&{}; ", copy.as_raw_fd()));
    }
    script.push_str(&format!("last={}; {BECOME}", copies.len().saturating_add(2)));
    if !copies.is_empty() {
        script.push_str("LISTEN_PID=$$ ");
    }
    if watched {
        script.push_str("WATCHDOG_PID=$$ ");
    }
    script.push_str(r#""$@""#);
    script
}
