//! The C programs of `c/`, compiled once per test process: what old and new C clients of the port mapper do, one
//! line a step, so that two port mappers can be compared by text.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::daemon::{Daemon, DaemonKind};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::{table, wait};

/// What [`tirpc_steps`] prints with a port mapper that behaves as the C daemon does.
pub const TIRPC_STEPS: &str = include_str!("../c/tirpc_peer.expected");

/// What [`v2_steps`] prints, after the line that names the source port.
pub const V2_STEPS: &str = include_str!("../c/v2_peer.expected");

/// What [`remote_steps`] prints when every port mapper makes remote calls.
pub const REMOTE_STEPS: &str = include_str!("../c/remote_peer.expected");

/// The compiler that the tests need.
pub const COMPILER: &str = "/usr/bin/cc";

/// The program that [`serve_remotely`] registers.
pub const REMOTE_PROGRAM: u32 = 600_000_021;

/// The header that shows that libtirpc can be compiled against.
pub const TIRPC_HEADER: &str = "/usr/include/tirpc/rpc/rpc.h";

/// Puts the libtirpc service and client into the namespace; answers its path there.
///
/// # Errors
/// The compiler's words, or the file system's.
pub fn tirpc_peer(home: &Namespace) -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    install(home, &BUILT, "tirpc_peer")
}

/// Puts the program that speaks version 2 by hand into the namespace; answers its path there.
///
/// # Errors
/// As [`tirpc_peer`].
pub fn v2_peer(home: &Namespace) -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    install(home, &BUILT, "v2_peer")
}

/// Starts the service of libtirpc that is called remotely in each of these namespaces, in which a port mapper runs, and
/// waits until it is registered.
///
/// # Errors
/// Something could not be compiled or started, or never registered.
pub fn serve_remotely(hosts: &[Namespace]) -> io::Result<Vec<Process>> {
    let start = |home: &Namespace| {
        let service = home.spawn(Command::new(remote_peer(home)?).arg("serve"))?;
        wait::until("the service's rows", || {
            let rows = table::dump(home)?;
            Ok((rows.iter().filter(|row| row.program == REMOTE_PROGRAM).count() == 4).then_some(()))
        })?;
        Ok(service)
    };
    hosts.iter().map(start).collect()
}

/// Calls that service by every call of libtirpc: on the host with these two addresses, and by broadcast until so many
/// hosts have answered. Answers the output, which is [`REMOTE_STEPS`] when all is well.
///
/// # Errors
/// Something could not be compiled or started, or the program failed.
pub fn remote_steps(home: &Namespace, host: [&str; 2], hosts: u8) -> io::Result<String> {
    let program = remote_peer(home)?;
    home.expect(&program.to_string_lossy(), &["call", host[0], host[1], &hosts.to_string()])
}

fn remote_peer(home: &Namespace) -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    install(home, &BUILT, "remote_peer")
}

/// Runs all steps of the libtirpc program in a namespace of its own against `kind`; answers its output, which is
/// [`TIRPC_STEPS`] when all is well.
///
/// # Errors
/// Something could not be compiled or started, or the program failed.
pub fn tirpc_steps(kind: &DaemonKind) -> io::Result<String> {
    let home = Namespace::new()?;
    let program = tirpc_peer(&home)?;
    let _daemon = Daemon::start(&home, kind)?;
    home.expect(&program.to_string_lossy(), &[])
}

/// Runs all steps of the version 2 program against `kind`, as this user; answers its output, which is a line that
/// names the source port as `reserved` or `ordinary` and then [`V2_STEPS`] when all is well.
///
/// # Errors
/// As [`tirpc_steps`].
pub fn v2_steps(kind: &DaemonKind, uid: u32) -> io::Result<String> {
    let home = Namespace::new()?;
    let program = v2_peer(&home)?;
    let _daemon = Daemon::start(&home, kind)?;
    run_as(&home, uid, &program, &[])
}

/// Registers one row by libtirpc, over the unix socket, as this user: `netid`, program, version, address.
///
/// # Errors
/// The port mapper answered FALSE, or the program could not be compiled or started.
pub fn register(home: &Namespace, uid: u32, netid: &str, row: (u32, u32), address: &str) -> io::Result<()> {
    let (program, version) = (row.0.to_string(), row.1.to_string());
    run_as(home, uid, &tirpc_peer(home)?, &["set", netid, &program, &version, address]).map(|_| ())
}

/// Runs a program as a user (and the group of that number) inside and wants it to succeed; answers its output.
///
/// # Errors
/// It could not be started, or failed: with what it wrote.
pub fn run_as(home: &Namespace, uid: u32, program: &Path, arguments: &[&str]) -> io::Result<String> {
    let finished = home.run(Command::new(program).args(arguments).uid(uid).gid(uid))?;
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    Err(io::Error::other(format!("{} {}: {finished:?}", program.display(), arguments.join(" "))))
}

/// Copies a program to a path of the namespace, where any user may run it. Another process does it: a file that this
/// one has open for writing could not be run, should a thread fork now.
///
/// # Errors
/// What `install` said.
pub fn copy(home: &Namespace, program: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let [from, to] = [program.as_ref(), to.as_ref()].map(Path::to_string_lossy);
    home.expect("install", &["-D", &from, &to]).map(drop)
}

/// Any user may run what lies in the namespace's `/run`; the build's own directory may be closed to most.
fn install(home: &Namespace, once: &OnceLock<Result<PathBuf, String>>, name: &str) -> io::Result<PathBuf> {
    let built = once.get_or_init(|| compile(name).map_err(|error| error.to_string()));
    let built = built.clone().map_err(io::Error::other)?;
    let place = Path::new("/run/testkit").join(name);
    copy(home, built, &place)?;
    Ok(place)
}

/// Beside the test's own binary; renamed into place, since other test processes do the same.
fn compile(name: &str) -> io::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name).with_extension("c");
    let binary = std::env::current_exe()?;
    let target = binary.with_file_name(format!("testkit-{name}"));
    let fresh = binary.with_file_name(format!("testkit-{name}.{}", std::process::id()));
    let output = Command::new(COMPILER)
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-I/usr/include/tirpc", "-o"])
        .arg(&fresh)
        .arg(&source)
        .arg("-ltirpc")
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "{}: {}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    std::fs::rename(&fresh, &target)?;
    Ok(target)
}
