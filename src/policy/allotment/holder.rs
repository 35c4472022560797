//! What the ledger knows of one pod.

use std::{collections::BTreeMap, num::NonZeroU64};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Allotment, CeilingKey, Farewell, GUARD_SECONDS, LIFETIME_SECONDS, Life, Report, later, lookback};
use crate::{api::Rate, policy::Limits};

/// One pod's part of one ceiling, in recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part {
    /// The share as it was written last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub share: u64,
    /// The largest share that the pod may obey, or have obeyed since it was last heard of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// What counted when the pod was last heard of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub used: u64,
    /// The most that was reported inside the period, and when it is a period old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<(u64, Timestamp)>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Part {
    /// Heard: so much counts, and whether the share written last is obeyed.
    fn hear(&mut self, used: u64, confirmed: bool, seconds: u64, now: Timestamp) {
        if seconds > 1 {
            let known = self.peak.filter(|(_, until)| *until > now);
            let higher = known.is_none_or(|(peak, _)| used > peak);
            self.peak = if higher {
                (used > 0).then(|| (used, over(seconds, now)))
            } else {
                known
            };
        }
        self.used = used;
        if confirmed {
            self.held = self.share;
        }
    }

    /// The share written last is obeyed, but nothing was said of this ceiling: the sidecar's configuration has it no more,
    /// or not yet. What may have been sent counts until it is a period old.
    fn hear_nothing(&mut self, seconds: u64, heard: Timestamp, now: Timestamp) {
        if self.held > self.share || self.used > 0 {
            self.peak = Some((self.counts(seconds, heard, now), over(seconds, now)));
            (self.held, self.used) = (self.share, 0);
        }
    }

    /// What counts however small the share becomes.
    pub fn used_at(&self, seconds: u64, heard: Timestamp, now: Timestamp) -> u64 {
        let used = if now < over(seconds, heard) { self.used } else { 0 };
        self.peak_at(now).max(used)
    }

    fn peak_at(&self, now: Timestamp) -> u64 {
        self.peak.filter(|(_, until)| now < *until).map_or(0, |(peak, _)| peak)
    }

    /// What the part counts as: the module's `C`.
    pub fn counts(&self, seconds: u64, heard: Timestamp, now: Timestamp) -> u64 {
        self.held.max(self.share).max(self.used_at(seconds, heard, now))
    }
}

/// When what was sent or obeyed until `at` counts no more.
fn over(seconds: u64, at: Timestamp) -> Timestamp {
    later(at, lookback(seconds).saturating_add(GUARD_SECONDS))
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Holder {
    pub life: Life,
    /// Of the allotment that was written last; 0 before the first.
    pub revision: u64,
    /// Of the latest that it was seen to obey.
    pub seen: u64,
    /// When the last one was written.
    pub granted: Timestamp,
    /// When the last of all that were written expires.
    pub expires: Timestamp,
    /// When it was last heard of.
    pub heard: Timestamp,
    /// By ceiling and period in seconds.
    pub parts: BTreeMap<CeilingKey, BTreeMap<u64, Part>>,
}

impl Holder {
    /// A pod that holds nothing.
    pub fn new(life: Life, now: Timestamp) -> Self {
        Self {
            life,
            revision: 0,
            seen: 0,
            granted: now,
            expires: now,
            heard: now,
            parts: BTreeMap::new(),
        }
    }

    /// The part of a ceiling.
    pub fn part(&mut self, key: &CeilingKey, seconds: u64) -> &mut Part {
        self.parts.entry(key.clone()).or_default().entry(seconds).or_default()
    }

    /// Heard of it. A report that is older than another that was heard is none.
    pub fn hear(&mut self, report: &Report, now: Timestamp) {
        if report.revision < self.seen {
            return;
        }
        let before = std::mem::replace(&mut self.heard, now);
        self.seen = report.revision;
        let confirmed = report.revision == self.revision;
        for (key, periods) in &report.ceilings {
            for (&seconds, usage) in periods {
                let known = self
                    .parts
                    .get(key)
                    .is_some_and(|periods| periods.contains_key(&seconds));
                // What was sent under a share that this ledger does not know counts too.
                if known || usage.used > 0 {
                    self.part(key, seconds).hear(usage.used, confirmed, seconds, now);
                }
            }
        }
        for (key, periods) in self.parts.iter_mut().filter(|_| confirmed) {
            for (&seconds, part) in periods {
                if report.usage(key, seconds).is_none() {
                    part.hear_nothing(seconds, before, now);
                }
            }
        }
    }

    /// The pod's annotation holds an allotment that this ledger did not write: the ledger was lost, or somebody else wrote
    /// it. What is in it counts.
    pub fn adopt(&mut self, annotated: &Allotment, now: Timestamp) {
        if annotated.life != self.life || annotated.revision <= self.revision {
            return;
        }
        self.revision = annotated.revision;
        // No sidecar obeys one that expires later.
        let latest = later(now, LIFETIME_SECONDS + 2 * GUARD_SECONDS);
        self.expires = self.expires.max(annotated.expires.min(latest));
        // To be written anew, soon.
        self.granted = Timestamp::MIN;
        for (key, limits) in &annotated.shares {
            for Rate { seconds, count } in limits.rates() {
                let part = self.part(key, seconds);
                part.share = count.get();
                part.held = part.held.max(part.share);
            }
        }
    }

    /// An allotment that expired so long ago that nothing sent under it counts is none.
    pub fn lapse(&mut self, now: Timestamp) {
        for periods in self.parts.values_mut() {
            for (&seconds, part) in periods {
                if now >= over(seconds, later(self.expires, GUARD_SECONDS)) {
                    (part.share, part.held) = (0, 0);
                }
            }
        }
        let heard = self.heard;
        for periods in self.parts.values_mut() {
            periods.retain(|&seconds, part| part.counts(seconds, heard, now) > 0);
        }
        self.parts.retain(|_, periods| !periods.is_empty());
    }

    /// The allotment that was written last.
    pub fn allotment(&self, pod: &str) -> Allotment {
        let limits = |periods: &BTreeMap<u64, Part>| -> Limits {
            let rate = |(&seconds, part): (&u64, &Part)| {
                let count = NonZeroU64::new(part.share)?;
                Some(Rate { seconds, count })
            };
            periods.iter().filter_map(rate).collect()
        };
        let shares = self.parts.iter().map(|(key, periods)| (key.clone(), limits(periods)));
        let shares = shares.filter(|(_, limits)| !limits.is_empty()).collect();
        Allotment::new(pod.to_owned(), self.life, self.revision, self.expires, shares)
    }

    /// What still counts of a pod that is gone: of which ceiling, over how many seconds, until when and how much.
    pub fn remains(&self, gone: Gone<'_>, now: Timestamp) -> Vec<(CeilingKey, u64, Timestamp, u64)> {
        let unheard = over_after_expiry(self.expires);
        let mut remains = Vec::new();
        for (key, periods) in &self.parts {
            for (&seconds, part) in periods {
                let counts = part.counts(seconds, self.heard, now);
                let said = match gone {
                    Gone::Ended(farewell) => farewell.used.get(key).and_then(|periods| periods.get(&seconds)),
                    Gone::Unheard | Gone::Replaced => None,
                };
                let (until, count) = match (gone, said) {
                    // It sends nothing more, so that its debt is nobody's.
                    (_, Some(_)) if seconds == 1 => continue,
                    (_, Some(used)) => (over(seconds, now), part.peak_at(now).max(*used)),
                    (Gone::Replaced, None) => (over(seconds, now), counts),
                    (Gone::Ended(_) | Gone::Unheard, None) => (over(seconds, unheard.max(now)), counts),
                };
                remains.push((key.clone(), seconds, until, count));
            }
        }
        remains
    }

    /// Whether it may have ended with this: a farewell of an earlier run of the container is none.
    pub fn is_last_word(&self, farewell: &Farewell) -> bool {
        farewell.life == self.life && farewell.revision >= self.seen
    }
}

/// When nobody obeys an allotment any more that expires then.
fn over_after_expiry(expires: Timestamp) -> Timestamp {
    later(expires, GUARD_SECONDS)
}

/// How a pod went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gone<'a> {
    /// With a farewell.
    Ended(&'a Farewell),
    /// Without: it may send on until its last allotment expires.
    Unheard,
    /// Its sidecar runs, and has begun a new life.
    Replaced,
}
