//! Several limits, taken together or not at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Mailed, Moment, gcra::Gcra, window::Window};
use crate::{api::Rate, policy::Limits};

/// What a limit has let through of late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Past {
    Second { gcra: Gcra },
    Longer { window: Window },
}

/// One limit and its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Level {
    rate: Rate,
    past: Past,
}

/// How many recipients a message has, as SES counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// On the rate a second: all.
    pub all: u64,
    /// On longer ones: all but the mailbox simulator's.
    pub longer: u64,
}

impl Count {
    /// Of these recipients.
    #[must_use]
    pub fn of(recipients: &[Mailed]) -> Self {
        Self {
            all: recipients.len() as u64,
            longer: recipients.iter().filter(|mailed| !mailed.simulated).count() as u64,
        }
    }
}

impl From<u64> for Count {
    fn from(all: u64) -> Self {
        Self { all, longer: all }
    }
}

/// When a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After this long, unless others come before it; the limit that makes it wait.
    After(Duration, Rate),
    /// Never: it has more recipients than this limit allows in its whole period.
    Never(Rate),
}

impl Turn {
    /// The later of two.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never(rate), _) | (_, Self::Never(rate)) => Self::Never(rate),
            (Self::Now, later) | (later, Self::Now) => later,
            (Self::After(one, _), Self::After(two, _)) if two > one => other,
            (Self::After(..), Self::After(..)) => self,
        }
    }
}

impl Level {
    /// A limit through which nothing has gone yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let past = if rate.seconds == 1 {
            Past::Second { gcra: Gcra::default() }
        } else {
            Past::Longer {
                window: Window::default(),
            }
        };
        Self { rate, past }
    }

    fn turn(&self, now: Moment, count: Count) -> Turn {
        let free_at = match &self.past {
            Past::Second { .. } if count.all == 0 => Some(now),
            Past::Second { gcra } => Some(gcra.free_at(now)),
            Past::Longer { .. } if count.longer == 0 => Some(now),
            Past::Longer { window } => window.free_at(self.rate, now, count.longer),
        };
        match free_at {
            None => Turn::Never(self.rate),
            Some(at) if at <= now => Turn::Now,
            Some(at) => Turn::After(now.until(at), self.rate),
        }
    }

    fn take(&mut self, now: Moment, count: Count) {
        match &mut self.past {
            Past::Second { gcra } => gcra.take(self.rate, now, count.all),
            Past::Longer { window } if count.longer > 0 => window.take(self.rate, now, count.longer),
            Past::Longer { .. } => {}
        }
    }

    fn give_back(&mut self, taken: Moment, now: Moment, count: Count) {
        match &mut self.past {
            Past::Second { gcra } => gcra.give_back(self.rate, taken, now, count.all),
            Past::Longer { window } => window.give_back(self.rate, taken, count.longer),
        }
    }

    /// How many recipients count now; of a rate a second, whether its next message must wait.
    fn used(&self, now: Moment) -> u64 {
        match &self.past {
            Past::Second { gcra } => u64::from(gcra.free_at(now) > now),
            Past::Longer { window } => window.used(self.rate, now),
        }
    }

    fn is_idle(&self, now: Moment) -> bool {
        match &self.past {
            Past::Second { gcra } => gcra.free_at(now) == now,
            Past::Longer { window } => window.is_empty_at(self.rate, now),
        }
    }
}

/// Limits that all hold, with their levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Levels(Vec<Level>);

impl Levels {
    /// Limits through which nothing has gone yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(limits.rates().map(Level::new).collect())
    }

    /// When a message of so many recipients may go.
    #[must_use]
    pub fn turn(&self, now: Moment, count: impl Into<Count>) -> Turn {
        let count = count.into();
        let turns = self.0.iter().map(|level| level.turn(now, count));
        turns.fold(Turn::Now, Turn::or_later)
    }

    /// A message of so many recipients goes. Whoever takes has asked [`Self::turn`] of everything that it takes from.
    pub fn take(&mut self, now: Moment, count: impl Into<Count>) {
        let count = count.into();
        self.0.iter_mut().for_each(|level| level.take(now, count));
    }

    /// So many recipients of a message that went at `taken` were not mailed after all.
    pub fn give_back(&mut self, taken: Moment, now: Moment, count: impl Into<Count>) {
        let count = count.into();
        self.0.iter_mut().for_each(|level| level.give_back(taken, now, count));
    }

    /// Other limits over the same past. A limit over a period that had none takes over what the longest of the others
    /// knows: a changed ceiling hands out nothing anew.
    #[must_use]
    pub fn under(&self, limits: &Limits) -> Self {
        let longest = self.0.iter().max_by_key(|level| level.rate.seconds);
        let level = |rate: Rate| {
            let same = self.0.iter().find(|level| level.rate.seconds == rate.seconds);
            let past = match same.or(longest).map(|level| (level.rate, &level.past)) {
                Some((old, Past::Longer { window })) if rate.seconds > 1 => Past::Longer {
                    window: window.under(old, rate),
                },
                Some((_, Past::Second { gcra })) if rate.seconds == 1 => Past::Second { gcra: *gcra },
                Some(_) | None => return Level::new(rate),
            };
            Level { rate, past }
        };
        Self(limits.rates().map(level).collect())
    }

    /// The same levels at a clock that may have been set back since they were kept: what lies after the present counts
    /// as of now.
    #[must_use]
    pub fn not_after(mut self, now: Moment) -> Self {
        for level in &mut self.0 {
            match &mut level.past {
                Past::Second { gcra } => gcra.not_after(now.after(super::SECOND)),
                Past::Longer { window } => window.not_after(level.rate, now),
            }
        }
        self
    }

    /// Whether there is no limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each limit, and how many recipients count on it now.
    pub fn usage(&self, now: Moment) -> impl Iterator<Item = (Rate, u64)> {
        self.0.iter().map(move |level| (level.rate, level.used(now)))
    }

    /// Whether everything that went through counts no more.
    #[must_use]
    pub fn is_idle(&self, now: Moment) -> bool {
        self.0.iter().all(|level| level.is_idle(now))
    }
}
