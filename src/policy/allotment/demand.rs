//! What is asked of a ceiling in one sidecar: by this the operator decides who grows.

use serde::{Deserialize, Serialize};

use super::Usage;
use crate::policy::ceiling::{Count, Moment};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// What is asked is forgotten after one to two of these: 5 to 10 minutes.
const GENERATION: u64 = 300 * SECOND;

/// A rate a second is wanted as it is over so many seconds: the longest that a message usually waits for its turn.
const BURST_SECONDS: u64 = 10;

/// What was asked in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Generation {
    /// Recipients, without the mailbox simulator's.
    asked: u64,
    /// The most recipients, of any kind, in [`BURST_SECONDS`].
    burst: u64,
    /// The largest message that was put off.
    largest: u64,
}

/// What was asked of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Demand {
    /// The number of the present generation since the epoch.
    number: u64,
    present: Generation,
    before: Generation,
    /// The number of the present burst since the epoch, and what was asked in it.
    burst: (u64, u64),
}

impl Demand {
    /// A message was asked for, and went or was put off.
    pub fn ask(&mut self, now: Moment, count: Count, went: bool) {
        *self = self.at(now);
        let number = now.0 / (BURST_SECONDS * SECOND);
        if number != self.burst.0 {
            self.burst = (number, 0);
        }
        self.burst.1 = self.burst.1.saturating_add(count.all);
        let Generation { asked, burst, largest } = &mut self.present;
        *asked = asked.saturating_add(count.longer);
        *burst = self.burst.1.max(*burst);
        if !went {
            *largest = count.longer.max(*largest);
        }
    }

    /// What is wanted of a ceiling over so many seconds, of which so much counts.
    pub fn usage(&self, now: Moment, seconds: u64, used: u64) -> Usage {
        let Self { present, before, .. } = self.at(now);
        let wanted = if seconds == 1 {
            present.burst.max(before.burst).div_ceil(BURST_SECONDS)
        } else {
            present.asked.saturating_add(before.asked)
        };
        let largest = present.largest.max(before.largest);
        Usage { used, wanted, largest }
    }

    /// The same with what is too old forgotten.
    fn at(self, now: Moment) -> Self {
        let number = now.0 / GENERATION;
        match number.checked_sub(self.number) {
            // Of a clock that was set back too: what is wanted is no promise.
            None | Some(0) => self,
            Some(1) => Self {
                number,
                present: Generation::default(),
                before: self.present,
                ..self
            },
            Some(_) => Self {
                number,
                ..Self::default()
            },
        }
    }
}
