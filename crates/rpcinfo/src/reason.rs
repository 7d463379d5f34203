//! Why a call failed, in the words that users of the classic tool and their scripts know.

use std::io;

use oncrpc::{AuthStatus, bind};
use rpcbind_client::{CallError, ConnectError, LookupError};

/// A failed call.
#[must_use]
pub fn of_call(error: &CallError) -> String {
    let name = name(error);
    match error {
        CallError::Send(why) | CallError::Receive(why) => format!("{name}; errno = {}", errno(why)),
        CallError::Closed => format!("{name}; errno = Connection reset by peer"),
        CallError::ProgramMismatch { low, high } | CallError::RpcMismatch { low, high } => {
            format!("{name}; low version = {low}, high version = {high}")
        }
        CallError::Rejected(status) => format!("{name}; why = {}", why(*status)),
        _ => name.to_owned(),
    }
}

/// A connection that did not come about.
#[must_use]
pub fn of_connect(error: &ConnectError) -> String {
    match error {
        ConnectError::UnknownHost(_) => "RPC: Unknown host".into(),
        ConnectError::Refused { error, .. } | ConnectError::Resolver { error, .. } => {
            format!("RPC: Remote system error - {}", errno(error))
        }
        ConnectError::TimedOut { .. } => "RPC: Remote system error - Connection timed out".into(),
    }
}

/// A failed look-up.
#[must_use]
pub fn of_lookup(error: &LookupError) -> String {
    match error {
        LookupError::UnknownNetid(_) | LookupError::Unsupported(_) => "RPC: Unknown protocol".into(),
        LookupError::Connect(error) => of_connect(error),
        LookupError::Address(_) => "RPC: (unknown error code)".into(),
        LookupError::Call { error: error @ CallError::ProgramMismatch { low: 5.., .. }, .. } => {
            of_call(error)
        }
        LookupError::Call { version, error } if *version == bind::V2 => {
            let name = name(error).trim_start_matches("RPC: ");
            match error {
                CallError::Send(why) | CallError::Receive(why) => {
                    let number = why.raw_os_error().unwrap_or_default();
                    format!("RPC: Port mapper failure - {name}: errno {number} ({})", errno(why))
                }
                CallError::Closed => {
                    let number = rustix::io::Errno::CONNRESET.raw_os_error();
                    format!("RPC: Port mapper failure - {name}: errno {number} (Connection reset by peer)")
                }
                _ => format!("RPC: Port mapper failure - {name}"),
            }
        }
        LookupError::Call { error, .. } if error.is_about_version() => NOT_REGISTERED.into(),
        LookupError::Call { error: CallError::SystemError, .. } => {
            "RPC: Remote system error - Success".into()
        }
        LookupError::Call { error, .. } => name(error).into(),
    }
}

/// A look-up that found nothing.
pub const NOT_REGISTERED: &str = "RPC: Program not registered";

/// The system's words for an error.
fn errno(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

const fn name(error: &CallError) -> &'static str {
    match error {
        CallError::Arguments { .. } => "RPC: Can't encode arguments",
        CallError::Send(_) => "RPC: Unable to send",
        CallError::Receive(_) | CallError::Closed => "RPC: Unable to receive",
        CallError::TimedOut { .. } => "RPC: Timed out",
        CallError::Record(_) | CallError::Results(_) | CallError::TooMany { .. } => {
            "RPC: Can't decode result"
        }
        CallError::ProgramUnavailable => "RPC: Program unavailable",
        CallError::ProgramMismatch { .. } => "RPC: Program/version mismatch",
        CallError::ProcedureUnavailable => "RPC: Procedure unavailable",
        CallError::GarbageArguments => "RPC: Server can't decode arguments",
        CallError::SystemError => "RPC: Remote system error",
        CallError::RpcMismatch { .. } => "RPC: Incompatible versions of RPC",
        CallError::Rejected(_) => "RPC: Authentication error",
    }
}

fn why(status: AuthStatus) -> String {
    let text = match status.number() {
        0 => "Authentication OK",
        1 => "Invalid client credential",
        2 => "Server rejected credential",
        3 => "Invalid client verifier",
        4 => "Server rejected verifier",
        5 => "Client credential too weak",
        6 => "Invalid server verifier",
        7 => "Failed (unspecified error)",
        other => return format!("(unknown authentication error - {})", other.cast_signed()),
    };
    text.to_owned()
}
