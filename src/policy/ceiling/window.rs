//! A rate over a longer period: a window of sub-buckets.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Moment, SECOND};
use crate::api::Rate;

/// Sub-buckets of an hour and less, and of more: what is given up of the rate under constant load is one part of so many.
const FEW: u64 = 60;
const MANY: u64 = 96;
/// From this period on there are many.
const LONG_SECONDS: u64 = 3_601;

/// A sub-bucket's length.
fn width(rate: Rate) -> u64 {
    let buckets = if rate.seconds < LONG_SECONDS { FEW } else { MANY };
    // Rounded up: the buckets together are never shorter than the period.
    rate.seconds.saturating_mul(SECOND).div_ceil(buckets)
}

/// How many buckets before the present one may hold something of the period that ends now.
fn reach(rate: Rate) -> u64 {
    rate.seconds.saturating_mul(SECOND).div_ceil(width(rate))
}

/// What was sent of late, by sub-bucket. The present bucket and all that the period before it touches count whole, so that
/// no stretch of the period's length, wherever it begins, holds more than the rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window {
    /// The number of each bucket that holds something since the epoch, and what it holds; oldest first.
    buckets: VecDeque<(u64, u64)>,
}

impl Window {
    /// How many recipients count now.
    pub fn used(&self, rate: Rate, now: Moment) -> u64 {
        let oldest = (now.0 / width(rate)).saturating_sub(reach(rate));
        let counted = self.buckets.iter().filter(|(bucket, _)| *bucket >= oldest);
        counted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// When so many more fit, which is not before `now`; `None` where they never do.
    pub fn free_at(&self, rate: Rate, now: Moment, count: u64) -> Option<Moment> {
        let room = rate.count.get().checked_sub(count)?;
        let mut used = self.used(rate, now);
        if used <= room {
            return Some(now);
        }
        let (width, reach) = (width(rate), reach(rate));
        let oldest = (now.0 / width).saturating_sub(reach);
        for (bucket, held) in self.buckets.iter().filter(|(bucket, _)| *bucket >= oldest) {
            used = used.saturating_sub(*held);
            if used <= room {
                // The bucket counts no more once the present one is further from it than the period reaches.
                return Some(Moment((bucket + reach + 1).saturating_mul(width)).max(now));
            }
        }
        Some(now)
    }

    /// So many go.
    pub fn take(&mut self, rate: Rate, now: Moment, count: u64) {
        let bucket = now.0 / width(rate);
        let oldest = bucket.saturating_sub(reach(rate));
        while self.buckets.front().is_some_and(|(first, _)| *first < oldest) {
            self.buckets.pop_front();
        }
        match self.buckets.back_mut() {
            // A clock that was set back while nobody looked: what is held stays held.
            Some((last, held)) if *last >= bucket => *held = held.saturating_add(count),
            Some(_) | None => self.buckets.push_back((bucket, count)),
        }
    }

    /// So many of those that went at `taken` were not mailed.
    pub fn give_back(&mut self, rate: Rate, taken: Moment, count: u64) {
        let bucket = taken.0 / width(rate);
        // A bucket that is gone counts no more: nothing is to be given back.
        if let Some((_, held)) = self.buckets.iter_mut().find(|(at, _)| *at == bucket) {
            *held = held.saturating_sub(count);
        }
        self.buckets.retain(|(_, held)| *held > 0);
    }

    /// The clock was set back while nobody looked: what was put after the present counts as put now.
    pub fn not_after(&mut self, rate: Rate, now: Moment) {
        let present = now.0 / width(rate);
        let mut later = 0_u64;
        while let Some((_, held)) = self.buckets.pop_back_if(|(bucket, _)| *bucket >= present) {
            later = later.saturating_add(held);
        }
        if later > 0 {
            self.buckets.push_back((present, later));
        }
    }

    /// The same history under another rate: what a bucket holds counts from its end on, never shorter than it would have.
    pub fn under(&self, old: Rate, new: Rate) -> Self {
        if width(old) == width(new) {
            return self.clone();
        }
        let mut buckets = VecDeque::<(u64, u64)>::new();
        for (bucket, held) in &self.buckets {
            let last_moment = (bucket + 1).saturating_mul(width(old)).saturating_sub(1);
            let bucket = last_moment / width(new);
            match buckets.back_mut() {
                Some((last, sum)) if *last == bucket => *sum = sum.saturating_add(*held),
                Some(_) | None => buckets.push_back((bucket, *held)),
            }
        }
        Self { buckets }
    }

    /// Whether nothing counts any more.
    pub fn is_empty_at(&self, rate: Rate, now: Moment) -> bool {
        self.used(rate, now) == 0
    }
}
