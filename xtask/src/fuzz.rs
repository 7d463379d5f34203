//! The fuzz targets: built with the stable toolchain alone, run side by side on the processors there are.

use crate::command::{self, Failure, at, cargo, output, program, root, target_dir};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What makes LLVM count the edges and comparisons that libFuzzer steers by. No sanitizer: those need a nightly
/// compiler, and the code under test has no unsafe code.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// How long all targets together take without `--seconds`, and how long each runs at least.
const ALL_SECONDS: usize = 100;
const LEAST_SECONDS: usize = 10;

/// `cargo xtask fuzz [--seconds N] [TARGET]...`
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (seconds, mut names) = parse(arguments)?;
    let known = targets()?;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Failure::Found(format!("no fuzz target {unknown}: there are {}", known.join(", "))));
    }
    if names.is_empty() {
        names = known;
    }
    let binaries = build()?;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let share = (ALL_SECONDS / names.len().div_ceil(at_once).max(1)).max(LEAST_SECONDS);
    // A check tries the same each time; what is found by chance is for who looks for it.
    let seed = if seconds.is_none() { 1 } else { 0 };
    let seconds = seconds.unwrap_or(share);
    let mut failed = Vec::new();
    for batch in names.chunks(at_once) {
        println!("running {} for {seconds} s", batch.join(" and "));
        let running: Result<Vec<Run>, Failure> =
            batch.iter().map(|name| Run::start(&binaries, name, seconds, seed)).collect();
        for run in running? {
            failed.extend(run.finish()?);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Found(format!("failed: {}", failed.join(", ")))) }
}

fn parse(arguments: &[String]) -> Result<(Option<usize>, Vec<String>), Failure> {
    let mut seconds = None;
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            seconds = Some(number.ok_or_else(|| Failure::Found("--seconds wants a number".into()))?);
        } else if argument.starts_with('-') {
            return Err(Failure::Found(format!("unknown option {argument}")));
        } else {
            names.push(argument.clone());
        }
    }
    Ok((seconds, names))
}

/// One target for each file.
fn targets() -> Result<Vec<String>, Failure> {
    let dir = root().join("fuzz/targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(at(&dir))? {
        let path = entry.map_err(at(&dir))?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds all targets and says where they are.
fn build() -> Result<PathBuf, Failure> {
    cargo_with_coverage("build", &[])?;
    Ok(build_dir().join(host()?).join("release"))
}

/// Checks the sources of the targets as the build sees them.
pub(crate) fn clippy() -> Result<(), Failure> {
    cargo_with_coverage("clippy", &["--", "-D", "warnings"])
}

/// The flags must not reach build scripts, hence the explicit `--target`.
fn cargo_with_coverage(verb: &str, more: &[&str]) -> Result<(), Failure> {
    let mut command =
        cargo(&[verb, "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target"]);
    command.arg(host()?).args(more).env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", build_dir());
    command::run(&mut command)
}

fn build_dir() -> PathBuf {
    target_dir().join("fuzz")
}

/// The triple of this machine.
pub(crate) fn host() -> Result<String, Failure> {
    let version = output(&mut program("rustc", &["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::Found("rustc does not say its host".into()))
}

/// A target that is running, its output in a file.
struct Run {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Run {
    /// What is found is kept beside the build; the seeds in the tree stay as they are. Seed 0 is another each time.
    fn start(binaries: &Path, name: &str, seconds: usize, seed: u32) -> Result<Self, Failure> {
        let found = build_dir().join("corpus").join(name);
        let artifacts = root().join("fuzz/artifacts").join(name);
        for dir in [&found, &artifacts] {
            std::fs::create_dir_all(dir).map_err(at(dir))?;
        }
        let log = build_dir().join(format!("{name}.log"));
        let file = File::create(&log).map_err(at(&log))?;
        let mut command = Command::new(binaries.join(name));
        command
            .args([format!("-max_total_time={seconds}"), format!("-seed={seed}")])
            .args(["-max_len=10000", "-timeout=20", "-rss_limit_mb=512", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(&found);
        let seeds = root().join("fuzz/corpus").join(name);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().map_err(|error| Failure::Start(name.into(), error))?;
        Ok(Self { name: name.into(), child, log })
    }

    /// Prints how much ran; gives the name back when it failed.
    fn finish(mut self) -> Result<Option<String>, Failure> {
        let status = self.child.wait().map_err(|error| Failure::Start(self.name.clone(), error))?;
        let log = std::fs::read(&self.log).map_err(at(&self.log))?;
        let log = String::from_utf8_lossy(&log);
        let stat = |name: &str| {
            log.lines()
                .find_map(|line| line.strip_prefix(name))
                .map_or_else(|| "?".into(), |rest| rest.trim().to_owned())
        };
        let executions = stat("stat::number_of_executed_units:");
        let each_second = stat("stat::average_exec_per_sec:");
        if status.success() && executions != "?" {
            println!("{}: {executions} executions, {each_second} a second, nothing found", self.name);
            return Ok(None);
        }
        let lines: Vec<&str> = log.lines().collect();
        println!("{}: {status}; the end of its output:", self.name);
        for line in lines.iter().skip(lines.len().saturating_sub(60)) {
            println!("  {line}");
        }
        Ok(Some(self.name))
    }
}
