//! Starting other programs, and why a command of ours failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why a command of ours failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program could not be started.
    Start(String, io::Error),
    /// A program ended with a failure.
    Status(String, ExitStatus),
    /// A file or directory could not be used.
    File(PathBuf, io::Error),
    /// A check found something, in words.
    Found(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, error) => write!(f, "{program} cannot be started: {error}"),
            Self::Status(command, status) => write!(f, "{command}: {status}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Found(what) => f.write_str(what),
        }
    }
}

/// Says what is left out and why. Fails where nothing may be: where the variable `CI` or `PORTMAP_NO_SKIP` is set and
/// not empty, as for tests.
pub(crate) fn skipped(why: &str) -> Result<(), Failure> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if ["CI", "PORTMAP_NO_SKIP"].into_iter().any(is_set) {
        return Err(Failure::Found(format!("SKIPPED, which is forbidden here: {why}")));
    }
    println!("SKIPPED: {why}");
    Ok(())
}

/// The workspace's directory.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that started us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Any other program.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with our output, its line printed first.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = line(command);
    println!("$ {line}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Status(line, status)),
        Err(error) => Err(Failure::Start(line, error)),
    }
}

/// Runs a command for what it prints; its errors go to ours.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::Start(line(command), error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::Status(line(command), output.status))
    }
}

/// Whether a program is there and its `--version` succeeds.
pub(crate) fn answers(command: &mut Command) -> bool {
    let quiet = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as one would type it, without the directories of the program.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Makes a file or directory error say which one.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    |error| Failure::File(path.to_path_buf(), error)
}
