//! What pods that are gone have sent, or may have.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Sums kept of one ceiling: the ledger's size does not grow with the number of a namespace's Jobs.
const SUMS_MAX: usize = 48;

/// Recipients that count on a ceiling, by until when, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Spent(Vec<(Timestamp, u64)>);

impl Spent {
    /// So many more count until then.
    pub fn add(&mut self, until: Timestamp, count: u64) {
        if count == 0 {
            return;
        }
        let at = self.0.partition_point(|(other, _)| *other < until);
        match self.0.get_mut(at) {
            Some((other, sum)) if *other == until => *sum = sum.saturating_add(count),
            Some(_) | None => self.0.insert(at, (until, count)),
        }
        while self.0.len() > SUMS_MAX {
            self.join();
        }
    }

    /// The two that end closest to each other become one, which counts until the later end.
    fn join(&mut self) {
        let gap = |pair: &[(Timestamp, u64)]| match pair {
            [(one, _), (two, _)] => two.duration_since(*one),
            _ => jiff::SignedDuration::MAX,
        };
        let closest = self.0.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair));
        let Some((first, _)) = closest else { return };
        let (_, count) = self.0.remove(first);
        if let Some((_, sum)) = self.0.get_mut(first) {
            *sum = sum.saturating_add(count);
        }
    }

    /// What counts no more is forgotten.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|(until, _)| *until > now);
    }

    /// How many count.
    pub fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// When there will be fewer.
    pub fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(until, _)| *until)
    }
}
