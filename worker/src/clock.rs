//! The one place where this crate reads a clock.

use std::time::Instant;

/// The monotonic clock: for deadlines and intervals, never for what is stored.
#[expect(clippy::disallowed_methods, reason = "the edge where this crate reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
