//! Who may depend on whom: a crate on those above its own line only, and the pure ones on nothing from outside.

use super::PURE;
use crate::command::{Failure, cargo, output};

/// Each crate of the house, and the others of the house that it may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("oncrpc-xdr", &[]),
    ("oncrpc", &["oncrpc-xdr"]),
    ("rpcbind-core", &["oncrpc-xdr", "oncrpc"]),
    ("rpcbind-client", &["oncrpc-xdr", "oncrpc"]),
    ("rpcbind", &["oncrpc-xdr", "oncrpc", "rpcbind-core"]),
    ("rpcinfo", &["oncrpc-xdr", "oncrpc", "rpcbind-client"]),
];

/// Asks cargo for what each crate is built from, on every platform and with every feature; tests are not looked at.
pub(super) fn check() -> Result<(), Failure> {
    for (package, may_use) in MAY_USE {
        let tree = output(&mut cargo(&[
            "tree",
            "--quiet",
            "--package",
            package,
            "--edges=normal,build",
            "--target=all",
            "--all-features",
            "--prefix=none",
            "--format={p}",
        ]))?;
        check_tree(package, may_use, &tree)?;
    }
    println!("purity: the crates depend on each other as the house has it");
    Ok(())
}

/// One line for each crate in the tree: its name, its version, its path when it is one of ours.
pub(super) fn check_tree(package: &str, may_use: &[&str], tree: &str) -> Result<(), Failure> {
    let is_pure = PURE.iter().any(|(name, _)| *name == package);
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let is_ours = MAY_USE.iter().any(|(ours, _)| *ours == name) || name == "testkit";
        if name != package && !may_use.contains(&name) && (is_ours || is_pure) {
            return Err(Failure::Found(format!("{package} may not depend on {name}")));
        }
    }
    Ok(())
}
