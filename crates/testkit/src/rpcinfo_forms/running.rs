//! Runs forms, each in a fresh namespace, so that statistics and order do not depend on what ran before.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Form, Outcome, Setting, USER};
use crate::daemon::{Daemon, DaemonKind};
use crate::namespace::Namespace;
use crate::programs::{copy, register, run_as, v2_peer};
use crate::services::{STATD, Service, ServiceKind};
use crate::table;

/// How many forms run at the same time: they mostly wait.
const THREADS: usize = 4;

/// Runs each form with `rpcinfo` against `kind`, several at a time; answers in the order given.
///
/// # Errors
/// Something could not be started; a tool that fails is an outcome.
pub fn run(rpcinfo: &Path, kind: &DaemonKind, forms: &[Form]) -> io::Result<Vec<Outcome>> {
    let public = tempfile::tempdir()?;
    let rpcinfo = &everybodys(rpcinfo, public.path())?;
    let share = forms.len().div_ceil(THREADS).max(1);
    let one_after_the_other =
        |some: &[Form]| some.iter().map(|form| run_one(rpcinfo, kind, *form)).collect::<io::Result<Vec<_>>>();
    let shares: io::Result<Vec<Vec<Outcome>>> = std::thread::scope(|scope| {
        let work = |some| scope.spawn(move || one_after_the_other(some));
        let running: Vec<_> = forms.chunks(share).map(work).collect();
        running.into_iter().map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    Ok(shares?.concat())
}

/// The tool where every user can start it: where it was built only its owner may be let in.
fn everybodys(tool: &Path, directory: &Path) -> io::Result<PathBuf> {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    let place = directory.join("rpcinfo");
    copy(&Namespace::new()?, tool.canonicalize()?, &place)?;
    Ok(place)
}

/// What differs between two runs of the same forms, form by form, in a form to be read; empty when nothing does.
#[must_use]
pub fn differences(one: &[Outcome], other: &[Outcome]) -> Vec<String> {
    let length =
        if one.len() == other.len() { None } else { Some(format!("{} and {}", one.len(), other.len())) };
    let pairs = one.iter().zip(other).filter(|(one, other)| one != other);
    length.into_iter().chain(pairs.map(|(one, other)| format!("{one}\nbut\n{other}"))).collect()
}

fn run_one(rpcinfo: &Path, kind: &DaemonKind, form: Form) -> io::Result<Outcome> {
    let (home, neighbour) = (Namespace::new()?, Namespace::new()?);
    home.connect(&neighbour, &["10.9.8.7/24", "fd00::7/64"], &["10.9.8.1/24", "fd00::1/64"])?;
    for machine in [&home, &neighbour] {
        // No name is looked up outside; the address gets a name, which -b prints.
        machine.write("/etc/resolv.conf", "")?;
        machine.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n10.9.8.7 home.example\n")?;
    }
    let daemon = match form.setting {
        Setting::Nobody => None,
        Setting::Registered | Setting::Counted | Setting::Bare | Setting::Elsewhere => {
            Some(Daemon::start(&home, kind)?)
        }
    };
    let _service = match form.setting {
        Setting::Registered | Setting::Elsewhere => Some(prepare(&home)?),
        Setting::Counted => {
            count(&home)?;
            None
        }
        Setting::Bare | Setting::Nobody => None,
    };
    let mut command = Command::new(rpcinfo);
    // The name that complaints begin with is the same wherever the binary is.
    command.arg0("rpcinfo").args(form.arguments).uid(form.uid).gid(form.uid);
    let machine = if form.setting == Setting::Elsewhere { &neighbour } else { &home };
    let finished = machine.run(&mut command)?;
    let rows = if daemon.is_some() { table::dump(&home)? } else { Vec::new() };
    let table = rows.iter().filter(|row| row.program != 100_000).map(ToString::to_string).collect();
    Ok(Outcome {
        form,
        status: finished.status.code(),
        stdout: finished.stdout,
        stderr: finished.stderr,
        table,
    })
}

/// The calls that [`Setting::Counted`] stands for, made by Debian's own programs. Only what is registered is looked up:
/// a port mapper need not count each question about anything else on its own.
fn count(home: &Namespace) -> io::Result<()> {
    rows(home)?;
    let v2 = v2_peer(home)?;
    for step in ["set", "set", "find"] {
        run_as(home, 0, &v2, &[step])?;
    }
    for arguments in [
        &["-T", "udp", "127.0.0.1", "100000", "4"][..],
        &["-T", "udp6", "::1", "100000", "3"],
        &["-T", "tcp", "127.0.0.1", "100000", "2"],
        &["-t", "127.0.0.1", "700000001", "1"],
        &["-l", "127.0.0.1", "700000001", "1"],
        &["-p", "127.0.0.1"],
        &["-d", "700000003", "1"],
        &["-d", "299999", "1"],
        &["-s"],
    ] {
        // Some of them fail, which is counted too.
        home.run(Command::new("/usr/sbin/rpcinfo").args(arguments))?;
    }
    Ok(())
}

/// The registrations that [`Setting::Registered`] stands for: `rpc.statd` on fixed ports, which answers, and rows
/// of root and of a user that nobody answers for. Answers the running service.
///
/// # Errors
/// Something could not be registered or started.
pub fn prepare(home: &Namespace) -> io::Result<Service> {
    rows(home)?;
    let statd = ServiceKind { arguments: &["-F", "--no-notify", "-p", "32765"], ..STATD };
    statd.start(home)
}

fn rows(home: &Namespace) -> io::Result<()> {
    register(home, 0, "udp", (700_000_001, 1), "0.0.0.0.200.1")?;
    register(home, 0, "tcp", (700_000_001, 10), "0.0.0.0.200.1")?;
    register(home, 0, "local", (700_000_001, 1), "/run/nobody.sock")?;
    register(home, USER, "tcp", (700_000_002, 1), "0.0.0.0.200.2")?;
    register(home, USER, "udp", (700_000_003, 1), "0.0.0.0.200.3")?;
    register(home, USER, "tcp", (700_000_003, 1), "0.0.0.0.200.3")?;
    register(home, USER, "tcp6", (700_000_003, 1), "::.200.3")?;
    register(home, 0, "udp6", (700_000_003, 2), "fd00::7.200.4")
}
