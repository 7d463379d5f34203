//! Every key, every fault once, and what goes before what.

mod faults;
mod keys;
mod merging;

use super::*;
use crate::args::Args;
use std::io;
use std::path::Path;

/// Checks a text with arguments; host `host` has two addresses, user `alice` has number 1000.
fn check(args: &Args, text: impl AsRef<[u8]>) -> Result<Loaded, Faults> {
    let programs = ProgramNames::parse(b"portmapper 100000 rpcbind\nnfs 100003 nfsprog\n");
    let lookups = Lookups {
        programs: &programs,
        uid: &|name| uid_in(b"root:x:0:0::/:\nalice:x:1000:1000::/:\nnobody:x:65534:65534::/:\n", name),
        addresses: &|name| match name {
            "host" => Ok(["192.0.2.7", "2001:db8::7"].map(|text| text.parse().expect("an address")).to_vec()),
            "empty" => Ok(Vec::new()),
            _ => Err(io::Error::other("no such host")),
        },
    };
    settings(args, Path::new("/etc/rpcbind.toml"), text.as_ref(), &lookups)
}

fn right(text: impl AsRef<[u8]>) -> Settings {
    match check(&Args::default(), text) {
        Ok(loaded) => loaded.settings,
        Err(faults) => panic!("{faults}"),
    }
}

/// The faults of a text, a line each, without the name of the file.
fn wrong(text: impl AsRef<[u8]>) -> Vec<String> {
    let faults = check(&Args::default(), text).expect_err("the text is wrong");
    faults.to_string().lines().map(|line| line.trim_start_matches("/etc/rpcbind.toml ").to_owned()).collect()
}
