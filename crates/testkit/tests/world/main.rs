//! Port mappers in the virtual network.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

mod attacks;
mod remote_calls;
mod scene;
mod service;
