//! How many instructions one call costs inside the port mapper, counted by callgrind: figures that do not depend on the
//! machine's mood. Each count is held against the one in `crates/bench/instructions.txt`, and calls against themselves
//! with a table a thousand times as long.

use crate::command::{Failure, at, cargo, output, program, root, run, skipped, target_dir};
use crate::packages;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The counts that are written down, and what they were counted with.
const FILE: &str = "crates/bench/instructions.txt";
/// Calls in the two runs whose difference is counted.
const CALLS: (u64, u64) = (500, 1_500);
/// Per cent over the count written down that still pass; with a compiler or a processor that it was not counted with.
const HEADROOM: (u64, u64) = (10, 30);
/// Per cent that a call may cost more than itself with a shorter table: keys share cells by chance.
const GROWTH: u64 = 10;
/// A few instructions are nothing to speak of, however few there are.
const FEW: u64 = 30;

/// One line of the file.
struct Line {
    call: String,
    rows: u64,
    strange: u64,
    instructions: u64,
}

/// `cargo xtask instructions [--write]`
pub(crate) fn count(arguments: &[String]) -> Result<(), Failure> {
    let is_to_write = match arguments {
        [] => false,
        [only] if only == "--write" => true,
        _ => return Err(Failure::Found("instructions takes --write or nothing".to_owned())),
    };
    packages::install()?;
    if !Path::new("/usr/bin/valgrind").exists() {
        return skipped("instructions are not counted: valgrind is not installed");
    }
    run(&mut cargo(&["build", "--release", "--package", "bench", "--bin", "instructions"]))?;
    let path = root().join(FILE);
    let text = std::fs::read_to_string(&path).map_err(at(&path))?;
    let with = counted_with()?;
    let is_same = text.lines().any(|line| line.strip_prefix("# with ") == Some(with.as_str()));
    let percent = if is_same { HEADROOM.0 } else { HEADROOM.1 };
    println!("{:<14} {:>6} {:>8} {:>12} {:>12}", "call", "rows", "strange", "instructions", "written down");
    let (mut counted, mut faults) = (Vec::new(), Vec::new());
    for line in lines(&text)? {
        let instructions = of_one_call(&line)?;
        let Line { call, rows, strange, instructions: limit } = &line;
        println!("{call:<14} {rows:>6} {strange:>8} {instructions:>12} {limit:>12}");
        if exceeds(instructions, *limit, percent) {
            faults.push(format!("{call} with {rows} rows costs {instructions} instructions, not {limit}"));
        } else if exceeds(*limit, instructions, percent) {
            println!("  less than is written down: cargo xtask instructions --write");
        }
        counted.push(Line { instructions, ..line });
    }
    faults.extend(growing(&counted));
    if is_to_write {
        std::fs::write(&path, written(&text, &with, &counted)).map_err(at(&path))?;
    }
    if faults.is_empty() || is_to_write { Ok(()) } else { Err(Failure::Found(faults.join("; "))) }
}

fn exceeds(count: u64, limit: u64, percent: u64) -> bool {
    count > limit.saturating_add(FEW.max(limit.saturating_mul(percent) / 100))
}

/// What is said about calls that cost more where there is more, by the first line of the same call.
fn growing(counted: &[Line]) -> Vec<String> {
    let first =
        |line: &Line| counted.iter().find(|first| first.call == line.call).map(|first| first.instructions);
    let grown = counted.iter().filter_map(|line| {
        let short = first(line)?;
        exceeds(line.instructions, short, GROWTH).then(|| {
            let Line { call, rows, strange, instructions } = line;
            format!(
                "{call} costs {instructions} instructions with {rows} rows after {strange} strange calls, \
                 {short} before"
            )
        })
    });
    grown.collect()
}

/// The difference of two runs is that of their calls: starting and filling the table cost both the same.
fn of_one_call(line: &Line) -> Result<u64, Failure> {
    let (few, many) = CALLS;
    let more = of_run(line, many)?.saturating_sub(of_run(line, few)?);
    Ok(more / many.saturating_sub(few))
}

fn of_run(line: &Line, calls: u64) -> Result<u64, Failure> {
    let built: PathBuf = target_dir().join("release/instructions");
    let mut command = program("valgrind", &["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command
        .arg(built)
        .arg(&line.call)
        .args([line.rows, line.strange, calls].map(|number| number.to_string()));
    let said = said(&mut command)?;
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| Failure::Found(format!("callgrind says no count: {said}")))
}

/// What a program says on its standard error, when it succeeds.
fn said(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Start("valgrind".to_owned(), error))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(Failure::Found(format!("valgrind: {said}"))) }
}

/// The compiler and the kind of machine.
fn counted_with() -> Result<String, Failure> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&mut program(&rustc, &["--version"]))?;
    Ok(format!("{} on {}", version.trim(), std::env::consts::ARCH))
}

fn lines(text: &str) -> Result<Vec<Line>, Failure> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| parse(line).ok_or_else(|| Failure::Found(format!("{FILE}: not a count: {line}"))))
        .collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split_whitespace();
    let call = fields.next()?.to_owned();
    let mut number = || fields.next()?.parse().ok();
    Some(Line { call, rows: number()?, strange: number()?, instructions: number()? })
}

/// The file with its comments, what was counted, and what it was counted with.
fn written(text: &str, with: &str, counted: &[Line]) -> String {
    let comments = text.lines().take_while(|line| line.starts_with('#') && !line.starts_with("# with "));
    let mut new: String = comments.flat_map(|line| [line, "\n"]).collect();
    // Writing to a string does not fail.
    let _ = writeln!(new, "# with {with}");
    for Line { call, rows, strange, instructions } in counted {
        let _ = writeln!(new, "{call:<14} {rows:>6} {strange:>8} {instructions:>12}");
    }
    new
}
