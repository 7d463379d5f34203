//! What program 100000 promises, one file for each subject.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

mod allocations;
mod callers;
mod calls;
mod caps;
mod clock;
mod credentials;
mod forwarding;
mod host;
mod limits;
mod lists;
mod liveness;
mod lookups;
mod merging;
mod model;
mod namespaces;
mod owners;
mod permission;
mod procedures;
mod random_calls;
mod reflection;
mod remote_calls;
mod restored;
mod seeded;
mod set;
mod statistics;
mod status;
mod translations;
mod truncation;
mod unset;
