//! Waiting for a condition that no event announces: asked again every few milliseconds, with a deadline.

use std::io;
use std::time::{Duration, Instant};

/// How long anything may take before the test is given up: generous, for busy machines.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(3);

/// Asks `condition` until it answers something, for at most [`DEADLINE`].
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] with `what` when it never did; whatever `condition` failed with.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what}: not within {DEADLINE:?}")));
        }
        std::thread::sleep(PAUSE);
    }
}
