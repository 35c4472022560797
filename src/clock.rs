//! The one place that asks what time it is. Everything else gets the time as an argument.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The present moment by this machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A moment that only goes forward, for durations and deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A moment of the runtime's clock, which tests can turn, for waits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn runtime() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// How long until a moment; nothing where it has passed.
#[must_use]
pub fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO)
}
