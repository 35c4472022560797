//! A rate per second: GCRA without a burst.

use serde::{Deserialize, Serialize};

use super::{Moment, SECOND};
use crate::api::Rate;

/// The time that one recipient takes up, rounded up: never more than the rate.
fn spacing(rate: Rate) -> u64 {
    rate.seconds.saturating_mul(SECOND).div_ceil(rate.count.get())
}

/// Recipients one after the other. A message goes when those before it have taken up their time; what it takes up beyond
/// that is debt, so that in any stretch of time no more go than the rate allows, and one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Gcra {
    /// When the next message may go.
    free_at: Moment,
}

impl Gcra {
    /// When a message may go, which is not before `now`.
    pub fn free_at(self, now: Moment) -> Moment {
        self.free_at.max(now)
    }

    /// A message of so many recipients goes.
    pub fn take(&mut self, rate: Rate, now: Moment, count: u64) {
        self.free_at = self.free_at(now).after(spacing(rate).saturating_mul(count));
    }

    /// So many recipients of a message that went at `taken` were not mailed. Time that has passed since is not given
    /// back: nobody may use it later.
    pub fn give_back(&mut self, rate: Rate, taken: Moment, now: Moment, count: u64) {
        // Only the last message's time may lie ahead: a later one would have waited for it.
        let ahead = self.free_at.0.saturating_sub(now.max(taken).0);
        let back = spacing(rate).saturating_mul(count).min(ahead);
        self.free_at = Moment(self.free_at.0 - back);
    }

    /// The clock was set back while nobody looked: nothing waits longer than a message of one recipient more would.
    pub fn not_after(&mut self, latest: Moment) {
        self.free_at = self.free_at.min(latest);
    }
}
