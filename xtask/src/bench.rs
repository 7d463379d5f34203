//! Our port mapper beside Debian's and beside a server that only answers, under the same load, in one run.

use crate::command::{Failure, cargo, program, run, target_dir};
use crate::packages;

/// `cargo xtask bench [OPTIONS]`: they are the bench crate's, which `--help` lists.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    packages::install()?;
    run(&mut cargo(&["build", "--release", "--package", "rpcbind", "--package", "bench"]))?;
    let built = target_dir().join("release");
    let mut bench = program(&built.join("bench").to_string_lossy(), &["--rpcbind"]);
    run(bench.arg(built.join("rpcbind")).args(arguments))
}

/// Whether it runs at all; the figures of so short a run say nothing.
pub(crate) fn smoke() -> Result<(), Failure> {
    bench(&["--quick".to_owned()])
}
