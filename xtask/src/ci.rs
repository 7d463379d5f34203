//! Everything that is checked before a change is taken: the same here and on the machine that checks for all.

use crate::command::{Failure, answers, cargo, program, run as start};
use crate::steps::Steps;
use crate::{bench, fuzz, instructions, packages, purity, test, texts};

/// One check.
type Step = fn() -> Result<(), Failure>;

/// The checks, cheap ones first.
const STEPS: [(&str, Step); 11] = [
    ("fmt", fmt),
    ("scripts", scripts),
    ("clippy", clippy),
    ("purity", purity::run),
    ("test", || test::run(&[])),
    ("doc", doc),
    ("texts", texts::compare),
    ("deny", deny),
    ("bench", bench::smoke),
    ("instructions", || instructions::count(&[])),
    ("fuzz", || fuzz::run(&[])),
];

/// The version that is installed when there is none.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// The names of the steps.
pub(crate) fn names() -> String {
    STEPS.map(|(name, _)| name).join(", ")
}

/// `cargo xtask ci [--skip STEP]... [--only STEP]...`
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (skip, only) = parse(arguments)?;
    let mut steps = Steps::default();
    for (name, step) in STEPS {
        let is_asked = only.is_empty() || only.contains(&name);
        if is_asked && !skip.contains(&name) {
            steps.run(name, step);
        }
    }
    steps.finish()
}

fn parse(arguments: &[String]) -> Result<(Vec<&str>, Vec<&str>), Failure> {
    let (mut skip, mut only) = (Vec::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let list = match option.as_str() {
            "--skip" => &mut skip,
            "--only" => &mut only,
            _ => return Err(Failure::Found(format!("unknown option {option}"))),
        };
        let name = arguments.next().map(String::as_str).unwrap_or_default();
        if !STEPS.iter().any(|(step, _)| *step == name) {
            return Err(Failure::Found(format!("{option} wants one of {}", names())));
        }
        list.push(name);
    }
    Ok((skip, only))
}

fn fmt() -> Result<(), Failure> {
    start(&mut cargo(&["fmt", "--all", "--check"]))?;
    start(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn scripts() -> Result<(), Failure> {
    packages::install()?;
    start(&mut program("shellcheck", &["run", "test", ".ci/run"]))
}

fn clippy() -> Result<(), Failure> {
    start(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    fuzz::clippy()
}

/// Twice: what users read may not point at what they cannot see, and what developers read may not point nowhere.
fn doc() -> Result<(), Failure> {
    let doc = |more: &[&str]| {
        let mut command = cargo(&["doc", "--workspace", "--no-deps"]);
        start(command.args(more).env("RUSTDOCFLAGS", "-D warnings"))
    };
    doc(&[])?;
    doc(&["--document-private-items"])
}

/// Licences, duplicates and sources are checked from what is here. Advisories come from a database elsewhere: where it
/// cannot be fetched, that is said and is no failure.
fn deny() -> Result<(), Failure> {
    if !answers(&mut cargo(&["deny"])) {
        start(&mut cargo(&["install", "--locked", CARGO_DENY]))?;
    }
    start(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    if let Err(failure) = start(&mut cargo(&["deny", "fetch", "db"])) {
        println!("SKIPPED: advisories: the database cannot be fetched from here: {failure}");
        return Ok(());
    }
    start(&mut cargo(&["deny", "check", "--disable-fetch", "advisories"]))
}
