//! The daemon under strace(1), which counts its system calls, has them fail, or kills it before one: from its start, or
//! from some moment on.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use crate::daemon::DaemonKind;
use crate::namespace::Namespace;
use crate::proc::{is_gone, status};
use crate::process::Process;
use crate::wait;

/// Where strace is.
pub const STRACE: &str = "/usr/bin/strace";

impl DaemonKind {
    /// The same as the child of strace with these arguments. What is then started, signalled and stopped is strace.
    #[must_use]
    pub fn traced<T: Into<OsString>>(self, arguments: impl IntoIterator<Item = T>) -> Self {
        let words = arguments.into_iter().map(Into::into);
        let arguments = words.chain([self.program.into_os_string()]).chain(self.arguments).collect();
        Self { program: STRACE.into(), arguments, ..self }
    }
}

/// Traces a process of `home`, whose number is `pid` as the test sees it, with these arguments; waits until that has
/// begun, or the process has ended: a call that strace interrupts is made again, and may be the one that kills.
///
/// # Errors
/// There is no such process, or strace cannot be started.
pub fn attach(home: &Namespace, pid: u32, arguments: &[&str]) -> io::Result<Process> {
    let mut strace = Command::new(STRACE);
    strace.args(["-f", "-q"]).args(arguments).args(["-p", &status(pid, "NSpid:")?]);
    let tracer = home.spawn(&mut strace)?;
    wait::until("traced", || {
        let is_traced = status(pid, "TracerPid:").is_ok_and(|tracer| tracer != "0");
        Ok((is_traced || is_gone(pid)).then_some(()))
    })?;
    Ok(tracer)
}
