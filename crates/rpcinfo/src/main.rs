//! The tool's process: its words in, its exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    rpcinfo::run(&words)
}
