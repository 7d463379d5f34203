//! What the daemon says, and where it goes.

mod escaped;

pub use escaped::Escaped;
