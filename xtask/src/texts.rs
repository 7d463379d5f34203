//! The texts that are made from the definitions behind `--help`: written, and compared with what is in the tree.

use crate::command::{Failure, cargo, program, run};

/// What has to be good roff.
const PAGES: [&str; 3] = ["docs/man/rpcbind.8", "docs/man/rpcinfo.8", "docs/man/rpcbind.toml.5"];

/// `cargo xtask dist`
pub(crate) fn write() -> Result<(), Failure> {
    run(&mut cargo(&["run", "--quiet", "--package", "texts"]))
}

/// Fails when the tree holds other texts than would be written, or a page is not good roff.
pub(crate) fn compare() -> Result<(), Failure> {
    run(&mut cargo(&["run", "--quiet", "--package", "texts", "--", "--check"]))?;
    run(program("mandoc", &["-T", "lint", "-W", "error"]).args(PAGES))
}
