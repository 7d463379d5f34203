//! What outlives the process: the journal of every accepted change.

pub mod directory;
pub mod format;
pub mod journal;
pub mod prepare;
#[cfg(test)]
mod tests;
