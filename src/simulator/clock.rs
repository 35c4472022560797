//! The simulator's clock: the only place that reads the time.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall time for what the account remembers, elapsed time for what is limited.
///
/// Guarantees: [`Clock::now`] never goes back, whatever happens to the machine's own clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    started: Instant,
    origin: Timestamp,
}

impl Clock {
    /// A clock that starts at the machine's time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the simulator's clock, which shares nothing with ours"
    )]
    pub(super) fn system() -> Self {
        Self {
            started: Instant::now(),
            origin: Timestamp::now(),
        }
    }

    /// Time since the clock was made.
    #[must_use]
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The present time of the account.
    #[must_use]
    pub(super) fn now(&self) -> Timestamp {
        // Saturates at the end of representable time, 7,973 years from now.
        self.origin
            .saturating_add(self.started.elapsed())
            .unwrap_or(Timestamp::MAX)
    }
}
