//! The Debian and Ubuntu packages that building and testing need, in one place, and their installation.
//! Nothing that is installed may start by itself: the tests start what they need, in namespaces of their own.

use crate::command::{Failure, at, output, program, run};
use std::path::Path;

/// What is needed, and what for.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("linkers: Rust's, and the fuzzer's C++", &["gcc", "g++", "libc6-dev"]),
    ("the C port mapper and its library, to compare with", &["rpcbind", "libtirpc-dev", "rpcsvc-proto"]),
    (
        "services that register",
        &[
            "nfs-common",
            "nfs-kernel-server",
            "nfs-ganesha",
            "nfs-ganesha-vfs",
            "quota",
            "nis",
            "ypserv",
            "bootparamd",
            "rusersd",
            "rwalld",
            "openbsd-inetd",
        ],
    ),
    ("clients that look up", &["libnfs-utils", "rusers", "rwall", "nmap"]),
    (
        "namespaces, traces, captures, access lists",
        &["iproute2", "procps", "util-linux", "strace", "tshark", "tcpd"],
    ),
    ("a service that notifies its manager", &["systemd"]),
    ("counts of instructions", &["valgrind"]),
    ("checks of texts and scripts", &["mandoc", "shellcheck"]),
];

/// While this exists and says no, packages do not start their services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing when we are root; otherwise says what is missing and goes on, since the tests that need
/// it say so themselves.
pub(crate) fn install() -> Result<(), Failure> {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        println!("packages: not a Debian or Ubuntu system, nothing is installed");
        return Ok(());
    }
    let missing = missing()?;
    if missing.is_empty() {
        println!("packages: all {} are installed", all().count());
        return Ok(());
    }
    let is_root = output(&mut program("id", &["-u"]))?.trim() == "0";
    if !is_root {
        println!("packages: not root, so these stay missing: {}", missing.join(" "));
        return Ok(());
    }
    println!("packages: {} are missing", missing.len());
    let policy = Policy::forbid_services()?;
    let outcome = apt(&missing);
    policy.remove()?;
    outcome
}

fn all() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().flat_map(|(_, names)| names.iter().copied())
}

fn missing() -> Result<Vec<&'static str>, Failure> {
    let listed = output(&mut program("dpkg-query", &["-W", "-f=${db:Status-Status} ${Package}\n"]))?;
    let is_installed = |name: &str| listed.lines().any(|line| line.strip_prefix("installed ") == Some(name));
    Ok(all().filter(|name| !is_installed(name)).collect())
}

/// Installs all at once; when that fails, after reading the lists of packages again.
fn apt(names: &[&str]) -> Result<(), Failure> {
    let install = || {
        let options = ["-o", "Dpkg::Use-Pty=0", "install", "--yes", "--quiet", "--no-install-recommends"];
        let mut command = program("apt-get", &options);
        command.args(names).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    if install().is_ok() {
        return Ok(());
    }
    run(&mut program("apt-get", &["update", "--quiet"]))?;
    install()
}

/// The policy file, when it is ours.
struct Policy {
    is_ours: bool,
}

impl Policy {
    fn forbid_services() -> Result<Self, Failure> {
        let path = Path::new(POLICY);
        if path.exists() {
            return Ok(Self { is_ours: false });
        }
        std::fs::write(path, "#!/bin/sh\nexit 101\n").map_err(at(path))?;
        run(&mut program("chmod", &["755", POLICY]))?;
        Ok(Self { is_ours: true })
    }

    fn remove(self) -> Result<(), Failure> {
        if self.is_ours { std::fs::remove_file(POLICY).map_err(at(Path::new(POLICY))) } else { Ok(()) }
    }
}
