//! Recipients one by one: how often each was mailed, and to whom anything was ever delivered.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Levels, Moment, Turn};
use crate::policy::Limits;

/// A recipient, by a keyed hash of the address.
pub type RecipientHash = u64;

/// Recipients of whom levels are kept at once. One more waits until one of them is idle: who is forgotten could be mailed
/// too often.
const RECIPIENTS_MAX: usize = 100_000;

/// How often each recipient was mailed of late.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerRecipient {
    limits: Limits,
    levels: HashMap<RecipientHash, Levels>,
}

impl PerRecipient {
    /// Nobody was mailed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            levels: HashMap::new(),
        }
    }

    /// When the recipient may be mailed again.
    pub fn turn(&mut self, now: Moment, recipient: RecipientHash) -> Turn {
        let Some(shortest) = self.limits.rates().next() else {
            return Turn::Now;
        };
        if let Some(levels) = self.levels.get(&recipient) {
            return levels.turn(now, 1);
        }
        if self.levels.len() >= RECIPIENTS_MAX {
            self.levels.retain(|_, levels| !levels.is_idle(now));
        }
        if self.levels.len() >= RECIPIENTS_MAX {
            let wait = std::time::Duration::from_secs(shortest.seconds);
            return Turn::After(wait, shortest);
        }
        Turn::Now
    }

    /// The recipient is mailed.
    pub fn take(&mut self, now: Moment, recipient: RecipientHash) {
        if !self.limits.is_empty() {
            let levels = self.levels.entry(recipient);
            levels.or_insert_with(|| Levels::new(&self.limits)).take(now, 1);
        }
    }

    /// The recipient, taken at `taken`, was not mailed after all.
    pub fn give_back(&mut self, taken: Moment, now: Moment, recipient: RecipientHash) {
        if let Some(levels) = self.levels.get_mut(&recipient) {
            levels.give_back(taken, now, 1);
            if levels.is_idle(now) {
                self.levels.remove(&recipient);
            }
        }
    }

    /// Other limits over the same past.
    #[must_use]
    pub fn under(self, limits: Limits) -> Self {
        let levels = if limits.is_empty() {
            HashMap::new()
        } else {
            let under = |(recipient, levels): (RecipientHash, Levels)| (recipient, levels.under(&limits));
            self.levels.into_iter().map(under).collect()
        };
        Self { limits, levels }
    }

    /// As [`Levels::not_after`], of each recipient.
    #[must_use]
    pub fn not_after(self, now: Moment) -> Self {
        let levels = self.levels.into_iter();
        Self {
            limits: self.limits,
            levels: levels
                .map(|(recipient, levels)| (recipient, levels.not_after(now)))
                .collect(),
        }
    }

    /// Whether nobody's past counts any more.
    #[must_use]
    pub fn is_idle(&self, now: Moment) -> bool {
        self.levels.values().all(|levels| levels.is_idle(now))
    }
}

/// Recipients to whom something was delivered: exact, since a filter that errs would take strangers for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    /// Of the namespace, as the operator publishes them; in order.
    published: Vec<RecipientHash>,
    /// Learned here since.
    learned: HashSet<RecipientHash>,
}

/// Recipients that one sidecar learns at most; those beyond stay new, which stops no more than it should.
const LEARNED_MAX: usize = 250_000;

impl Known {
    /// Those that the operator publishes.
    #[must_use]
    pub fn new(mut published: Vec<RecipientHash>) -> Self {
        published.sort_unstable();
        published.dedup();
        Self {
            published,
            learned: HashSet::new(),
        }
    }

    /// Whether something was delivered to the recipient.
    #[must_use]
    pub fn contains(&self, recipient: RecipientHash) -> bool {
        self.learned.contains(&recipient) || self.published.binary_search(&recipient).is_ok()
    }

    /// Something was.
    pub fn learn(&mut self, recipient: RecipientHash) {
        if self.learned.len() < LEARNED_MAX && !self.contains(recipient) {
            self.learned.insert(recipient);
        }
    }

    /// What the operator publishes now, with what was learned here and is not among it.
    #[must_use]
    pub fn republished(self, published: Vec<RecipientHash>) -> Self {
        let mut known = Self::new(published);
        let learned = self.learned.into_iter();
        known.learned = learned
            .filter(|it| known.published.binary_search(it).is_err())
            .collect();
        known
    }
}
