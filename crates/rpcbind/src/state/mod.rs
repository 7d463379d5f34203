//! What outlives the process: the journal of every accepted change.

pub mod beginning;
pub mod directory;
pub(crate) mod durable;
pub mod format;
pub mod journal;
pub mod life;
pub mod medium;
pub mod memory;
pub mod prepare;
pub mod reading;
#[cfg(test)]
mod tests;
