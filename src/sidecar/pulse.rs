//! The sidecar's time: the machine's clock, but never back while the process runs.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{clock, policy::ceiling::Moment};

/// Tells the time. A clock that is set back opens no window that was over, and no ceiling.
#[derive(Debug)]
pub struct Pulse {
    started: Instant,
    /// The machine's clock at the start, in nanoseconds since the epoch.
    base: u64,
    latest: Cell<Timestamp>,
}

impl Default for Pulse {
    fn default() -> Self {
        let now = clock::now();
        Self {
            started: clock::monotonic(),
            base: u64::try_from(now.as_nanosecond()).unwrap_or(0),
            latest: Cell::new(now),
        }
    }
}

impl Pulse {
    /// The time of day: the later of the machine's clock and of all that was told before.
    pub fn now(&self) -> Timestamp {
        let now = clock::now().max(self.latest.get());
        self.latest.set(now);
        now
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        clock::monotonic().duration_since(self.started)
    }

    /// The moment by which ceilings count: it goes as fast as time does, whatever is done to the clock.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(self.base).after(u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
