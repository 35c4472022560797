//! Ceilings: how many recipients may be mailed at this moment. Pure; the time comes in.
//!
//! A rate per second is kept by GCRA, which spaces messages evenly. A rate over a longer period is kept by a window of
//! sub-buckets that is true over any stretch of that length, wherever it begins: a fixed window, or GCRA with a burst,
//! lets through up to twice the rate around its border.

mod ceilings;
mod gcra;
mod level;
mod recipients;
mod window;

pub use ceilings::{CeilingName, CeilingOf, Ceilings, Hindrance, Mailed, NamespaceLimits, PolicyLimits, Ticket};
pub use level::{Count, Level, Levels, Turn};
pub use recipients::{Known, PerRecipient, RecipientHash};

/// Nanoseconds since the epoch, as a clock tells them that never goes back while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// This much later.
    #[must_use]
    pub fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// How long until then; nothing where it is past.
    #[must_use]
    pub fn until(self, then: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(then.0.saturating_sub(self.0))
    }
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests;
