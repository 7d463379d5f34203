//! All tests, with what they talk to installed first.

use crate::command::{self, Failure, cargo};
use crate::packages;

/// Arguments go to `cargo test`; without a package among them it runs the whole workspace. A failure does not keep the
/// tests after it from running.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    packages::install()?;
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    let mut command = cargo(&["test", "--no-fail-fast"]);
    if !for_cargo.into_iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
    {
        command.arg("--workspace");
    }
    command::run(command.args(arguments))
}
