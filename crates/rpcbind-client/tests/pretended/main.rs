//! The client against port mappers that this process pretends to be.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod pretender;
mod versions;
