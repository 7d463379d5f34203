//! The checks fail when they should.

use super::house::check_tree;
use super::sources::names_std;
use super::sysroot::Sysroot;
use std::path::PathBuf;
use std::process::Command;

/// A directory of this process, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory that stays behind in the machine's temporary one harms nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn without_std_a_pure_crate_compiles_and_any_use_of_std_is_e0463() {
    let scratch = Scratch::new("sysroot");
    let sysroot = Sysroot::without_std(&scratch.0.join("sysroot")).unwrap();
    let table = [
        ("#![no_std] extern crate alloc; pub fn list() -> alloc::vec::Vec<u8> { alloc::vec![1] }", true),
        ("#![no_std] pub fn host() -> core::net::Ipv6Addr { core::net::Ipv6Addr::LOCALHOST }", true),
        (
            "#![no_std] extern crate std; pub fn now() -> std::time::Instant { std::time::Instant::now() }",
            false,
        ),
        ("#![no_std] #[cfg(unix)] extern crate std as other;", false),
        ("pub fn time() -> u64 { 0 }", false),
    ];
    for (source, is_pure) in table {
        let file = scratch.0.join("lib.rs");
        std::fs::write(&file, source).unwrap();
        let output = Command::new("rustc")
            .args(["--crate-type=lib", "--edition=2024", "--out-dir"])
            .arg(&scratch.0)
            .arg("--sysroot")
            .arg(sysroot.path())
            .arg(&file)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_pure, "{source}\n{errors}");
        assert_eq!(
            errors.contains("error[E0463]: can't find crate for `std`"),
            !is_pure,
            "{source}\n{errors}"
        );
    }
}

#[test]
fn a_source_that_names_std_is_found_by_its_line() {
    let table = [
        ("use std::time::Instant;", Some(1)),
        ("use core::fmt;\n\nextern crate std;", Some(3)),
        ("fn f() -> ::std::string::String", Some(1)),
        ("#[cfg(feature = \"std\")]\nmod clock;", Some(1)),
        ("#![no_std]\nuse core::fmt;", None),
        ("//! std is not used\n/// nor `std::net` here\nfn f() {} // std", None),
        ("let stdin = 1; let my_std = 2; let std_dev = 3;", None),
        ("fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::vec;\n}", None),
        ("#[cfg(test)]\nmod tests;\nuse std::vec;", Some(3)),
    ];
    for (source, line) in table {
        assert_eq!(names_std(source), line, "{source}");
    }
}

#[test]
fn a_dependency_against_the_house_is_named() {
    let core =
        "rpcbind-core v0.1.0 (/src/rpcbind-core)\noncrpc v0.1.0 (/src/oncrpc)\noncrpc-xdr v0.1.0 (/src/xdr)";
    assert!(check_tree("rpcbind-core", &["oncrpc-xdr", "oncrpc"], core).is_ok());
    let with_libc = format!("{core}\nlibc v0.2.191");
    let error = check_tree("rpcbind-core", &["oncrpc-xdr", "oncrpc"], &with_libc).unwrap_err();
    assert_eq!(error.to_string(), "rpcbind-core may not depend on libc");
    let rpcinfo = "rpcinfo v0.1.0 (/src/rpcinfo)\nserde v1.0.229\nrpcbind-core v0.1.0 (/src/rpcbind-core)";
    let error = check_tree("rpcinfo", &["oncrpc"], rpcinfo).unwrap_err();
    assert_eq!(error.to_string(), "rpcinfo may not depend on rpcbind-core");
}
