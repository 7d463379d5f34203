//! The promises of the message types, one file for each kind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

mod addresses;
mod binding_types;
mod exchange;
mod hex;
mod messages;
mod netids;
mod oracle;
mod records;
mod sockaddrs;
mod status;
mod vectors;
