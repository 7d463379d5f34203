//! Our port mapper beside Debian's under the same load, in one run.

use crate::command::{Failure, cargo, run, target_dir};
use crate::packages;

/// `cargo xtask bench [--quick] [--rounds N]`
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    packages::install()?;
    run(&mut cargo(&["build", "--release", "--package", "rpcbind", "--package", "bench"]))?;
    let built = target_dir().join("release");
    run(std::process::Command::new(built.join("bench")).arg(built.join("rpcbind")).args(arguments))
}

/// Whether it runs at all; the figures of so short a run say nothing.
pub(crate) fn smoke() -> Result<(), Failure> {
    bench(&["--quick".to_owned()])
}
