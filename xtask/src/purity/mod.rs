//! The purity line: above it no crate can reach a clock, a socket or a file, because there is no standard library.
//! Three proofs: what the crates depend on, what their sources name, and a compiler that has only core and alloc.

mod house;
mod sources;
mod sysroot;
#[cfg(test)]
mod tests;

use crate::command::{self, Failure, cargo, target_dir};
use sysroot::Sysroot;

/// The pure crates, from the wire up, with their folders.
const PURE: [(&str, &str); 3] =
    [("oncrpc-xdr", "xdr"), ("oncrpc", "oncrpc"), ("rpcbind-core", "rpcbind-core")];

/// `cargo xtask purity`
pub(crate) fn run() -> Result<(), Failure> {
    house::check()?;
    sources::check()?;
    let dir = target_dir().join("purity");
    let sysroot = Sysroot::without_std(&dir.join("sysroot"))?;
    let mut build = cargo(&["build", "--lib"]);
    for (package, _) in PURE {
        build.args(["--package", package]);
    }
    build.env("CARGO_TARGET_DIR", &dir).env("RUSTFLAGS", format!("--sysroot={}", sysroot.path().display()));
    command::run(&mut build)?;
    println!("purity: {} crates built with core and alloc alone", PURE.len());
    Ok(())
}
