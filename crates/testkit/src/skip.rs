//! Tests that cannot run here say so by name, in one form, and where skipping is forbidden they fail.
//! Skipping is forbidden where the variable `CI` or `PORTMAP_NO_SKIP` is set and not empty.

use std::io::Write;
use std::path::Path;

/// Whether a test that cannot run has to fail.
#[must_use]
pub fn is_forbidden() -> bool {
    ["CI", "PORTMAP_NO_SKIP"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// What has to be there for tests with namespaces: root.
///
/// # Errors
/// Why not, in words.
pub fn root() -> Result<(), String> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err("needs root, for network namespaces".into()) }
}

/// What has to be there for tests with real programs: the file at `path`.
///
/// # Errors
/// Why not, in words.
pub fn program(path: impl AsRef<Path>) -> Result<(), String> {
    let path = path.as_ref();
    if path.exists() { Ok(()) } else { Err(format!("{} is not installed", path.display())) }
}

/// Prints `SKIPPED: why` with the test's name: past the capture of what tests print, which nobody sees when they pass.
/// By itself it is for a part of a test, left out on a machine that cannot be expected to have what that part needs.
pub fn say(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("test"));
    // Where standard error is closed there is nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Prints `SKIPPED: why` with the test's name and returns from the test; where skipping is forbidden, panics.
#[macro_export]
macro_rules! skip {
    ($($why:tt)+) => {{
        let why = format!($($why)+);
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        assert!(!$crate::skip::is_forbidden(), "SKIPPED, which is forbidden here: {test}: {why}");
        $crate::skip::say(&why);
        return;
    }};
}

/// Skips the test unless it runs as root and all the files named exist.
///
/// ```
/// # fn test() {
/// testkit::require!("/sbin/rpcbind", "/usr/sbin/rpcinfo");
/// # }
/// ```
#[macro_export]
macro_rules! require {
    ($($path:expr),* $(,)?) => {
        if let Err(why) = $crate::skip::root() {
            $crate::skip!("{why}");
        }
        $(if let Err(why) = $crate::skip::program($path) {
            $crate::skip!("{why}");
        })*
    };
}
