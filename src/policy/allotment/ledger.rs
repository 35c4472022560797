//! The ledger of a namespace, and how it grants.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Allotment, CeilingKey, LIFETIME_SECONDS, Pod, RENEW_SECONDS, Report, Usage, Word,
    holder::{Gone, Holder},
    later,
    spent::Spent,
    split::{Claim, split},
};
use crate::policy::ceiling::NamespaceLimits;

/// The version of this format.
const VERSION: u32 = 1;

/// Pods times ceilings of one ledger: about 60 bytes each, of the mebibyte that an object may have. Further pods get no
/// share.
const PARTS_MAX: usize = 10_000;

/// The largest text: what an object of Kubernetes holds, less its other fields.
const TEXT_MAX: usize = 1_000_000;

/// When to look again, in seconds: while a pod has not been heard of at all (its first message waits up to 5 s); while
/// something else is awaited; and while nothing is, where what a pod wants is seen soon enough for a client that tries
/// again after half a minute.
const AT_ONCE_SECONDS: i64 = 1;
const SOON_SECONDS: i64 = 5;
const LATE_SECONDS: i64 = 30;

/// Who holds what of a namespace's ceilings, and what counts of those that are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ledger {
    version: u32,
    /// Of the latest allotment.
    revision: u64,
    /// By the pod's UID.
    holders: BTreeMap<String, Holder>,
    /// By ceiling and period in seconds.
    spent: BTreeMap<CeilingKey, BTreeMap<u64, Spent>>,
}

/// Why a ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// It is not JSON of this format.
    #[error("the ledger cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version.
    #[error("the ledger has version {0}, this program reads {VERSION}")]
    Version(u32),
    /// Larger than an object can hold.
    #[error("the ledger has {0} bytes, an object holds {TEXT_MAX}: fewer pods or policies in this namespace")]
    TooLarge(usize),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The ledger from now on.
    pub ledger: Ledger,
    /// Whether it must be stored, with the version from which it was read, before anything is sent. If that fails,
    /// nothing of this counts. It may be kept in memory otherwise.
    pub store: bool,
    /// The allotments to write into annotations, by the pod's UID. Those whose patch was lost are among them.
    pub patches: Vec<(String, Allotment)>,
    /// When to look again, unless something happens.
    pub next: Timestamp,
    /// Pods for which the ledger has no room.
    pub beyond: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: VERSION,
            revision: 0,
            holders: BTreeMap::new(),
            spent: BTreeMap::new(),
        }
    }
}

impl Ledger {
    /// Reads a stored ledger.
    ///
    /// # Errors
    /// [`LedgerError`]: nobody is given anything until it can be read.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        match serde_json::from_str(text)? {
            Versioned { version: VERSION } => Ok(serde_json::from_str(text)?),
            Versioned { version } => Err(LedgerError::Version(version)),
        }
    }

    /// The text that is stored.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`]: nothing is sent.
    pub fn text(&self) -> Result<String, LedgerError> {
        let text = serde_json::to_string(self)?;
        if text.len() > TEXT_MAX {
            Err(LedgerError::TooLarge(text.len()))
        } else {
            Ok(text)
        }
    }

    /// Whether it says nothing of the present or the past.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty() && self.spent.is_empty()
    }

    /// Hears what pods say, and gives out what may be given.
    ///
    /// `limits` are the namespace's whole ceilings; `pods` all pods of the namespace whose sidecar has started, but for
    /// those that were never heard of. One that is in the ledger and not among them is gone: a listing that is not whole
    /// is none.
    #[must_use]
    pub fn grant(&self, limits: &NamespaceLimits, pods: &[Pod], now: Timestamp) -> Granted {
        let mut ledger = self.clone();
        let ceilings = CeilingKey::all(limits);
        let ceilings: Vec<(CeilingKey, u64, u64)> = ceilings
            .into_iter()
            .flat_map(|(key, limits)| limits.rates().map(move |it| (key.clone(), it.seconds, it.count.get())))
            .collect();

        let buried = ledger.bury_absent(pods, now);
        let heard = ledger.hear(pods, ceilings.len(), now);
        ledger.lapse(now);

        let mut changed = BTreeSet::new();
        let mut unmet = false;
        for (key, seconds, ceiling) in &ceilings {
            unmet |= ledger.settle(key, *seconds, *ceiling, &heard.reports, &mut changed, now);
        }
        let renewed = ledger.renew(&ceilings, &heard.reports, now);
        let store = buried || heard.buried || !changed.is_empty() || !renewed.is_empty();
        ledger.write(changed.iter().chain(&renewed), now);

        let (patches, awaited) = ledger.patches(pods);
        let next = ledger.next(pods, unmet || awaited, now);
        Granted {
            ledger,
            store,
            patches,
            next,
            beyond: heard.beyond,
        }
    }

    /// Buries who is not among the pods; whether anybody was.
    fn bury_absent(&mut self, pods: &[Pod], now: Timestamp) -> bool {
        let present: BTreeSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
        let absent = self.holders.keys().filter(|uid| !present.contains(uid.as_str()));
        let absent: Vec<String> = absent.cloned().collect();
        for uid in &absent {
            self.bury(uid, Gone::Unheard, now);
        }
        !absent.is_empty()
    }

    fn bury(&mut self, uid: &str, gone: Gone<'_>, now: Timestamp) {
        let Some(holder) = self.holders.remove(uid) else { return };
        for (key, seconds, until, count) in holder.remains(gone, now) {
            let periods = self.spent.entry(key).or_default();
            periods.entry(seconds).or_default().add(until, count);
        }
    }

    /// Hears what pods say.
    fn hear<'a>(&mut self, pods: &'a [Pod], ceilings: usize, now: Timestamp) -> Heard<'a> {
        let mut heard = Heard::default();
        for Pod { uid, annotated, word } in pods {
            let room = (self.holders.len() + 1).saturating_mul(ceilings) <= PARTS_MAX;
            let known = self.holders.get(uid);
            match word {
                // A ledger that was lost is made again from what pods hold.
                Word::Silence => {
                    let theirs = annotated.as_ref().filter(|it| it.pod == *uid && it.expires > now);
                    if let (None, Some(annotated), true) = (known, theirs, room) {
                        let holder = Holder::new(annotated.life, now);
                        self.holders.insert(uid.clone(), holder);
                    }
                }
                Word::Farewell(_) | Word::Ended if known.is_none() => {}
                Word::Ended => {
                    self.bury(uid, Gone::Unheard, now);
                    heard.buried = true;
                }
                Word::Farewell(farewell) => {
                    let last = known.is_some_and(|holder| holder.is_last_word(farewell)) && farewell.pod == *uid;
                    let gone = if last { Gone::Ended(farewell) } else { Gone::Unheard };
                    self.bury(uid, gone, now);
                    heard.buried = true;
                }
                Word::Report(report) if report.pod != *uid => {}
                Word::Report(report) => {
                    if known.is_some_and(|holder| holder.life != report.life) {
                        self.bury(uid, Gone::Replaced, now);
                        heard.buried = true;
                    }
                    if !room && !self.holders.contains_key(uid) {
                        heard.beyond += 1;
                        continue;
                    }
                    let holder = self.holders.entry(uid.clone());
                    holder
                        .or_insert_with(|| Holder::new(report.life, now))
                        .hear(report, now);
                    heard.reports.insert(uid, report);
                }
            }
            if let (Some(holder), Some(annotated)) = (self.holders.get_mut(uid), annotated) {
                holder.adopt(annotated, now);
                self.revision = self.revision.max(holder.revision);
            }
        }
        heard
    }

    fn lapse(&mut self, now: Timestamp) {
        self.holders.values_mut().for_each(|holder| holder.lapse(now));
        for periods in self.spent.values_mut() {
            periods.values_mut().for_each(|spent| spent.forget(now));
            periods.retain(|_, spent| spent.next().is_some());
        }
        self.spent.retain(|_, periods| !periods.is_empty());
    }

    /// Splits one ceiling; who has another share, and whether somebody wants more than there is at present.
    fn settle(
        &mut self,
        key: &CeilingKey,
        seconds: u64,
        ceiling: u64,
        reports: &BTreeMap<&str, &Report>,
        changed: &mut BTreeSet<String>,
        now: Timestamp,
    ) -> bool {
        let spent = self.spent.get(key).and_then(|periods| periods.get(&seconds));
        let spent = spent.map_or(0, Spent::sum);
        let claim = |(uid, holder): (&String, &Holder)| {
            let report = reports.get(uid.as_str());
            let usage = report.and_then(|report| report.usage(key, seconds)).unwrap_or_default();
            let part = holder.parts.get(key).and_then(|periods| periods.get(&seconds));
            let silent = report.is_none();
            let Some(part) = part else {
                return claimed(
                    usage,
                    seconds,
                    ceiling,
                    Claim {
                        silent,
                        ..Claim::default()
                    },
                );
            };
            let base = Claim {
                share: part.share,
                counts: part.counts(seconds, holder.heard, now),
                // Time that is owed is paid soon.
                used: if seconds == 1 {
                    0
                } else {
                    part.used_at(seconds, holder.heard, now)
                },
                silent,
                ..Claim::default()
            };
            claimed(usage, seconds, ceiling, base)
        };
        let claims: Vec<Claim> = self.holders.iter().map(claim).collect();
        let shares = split(ceiling, spent, &claims);
        let mut unmet = false;
        for (((uid, holder), claim), share) in self.holders.iter_mut().zip(&claims).zip(shares) {
            if share != claim.share {
                holder.part(key, seconds).share = share;
                changed.insert(uid.clone());
            }
            unmet |= !claim.silent && share < claim.wanted.min(ceiling);
        }
        unmet
    }

    /// Whose allotment is to be renewed; what there is no ceiling for any more is not. Who is not heard of is not either:
    /// nobody could say what it has of it.
    fn renew(
        &mut self,
        ceilings: &[(CeilingKey, u64, u64)],
        reports: &BTreeMap<&str, &Report>,
        now: Timestamp,
    ) -> BTreeSet<String> {
        let due = |uid: &str, holder: &Holder| {
            holder.revision > 0 && now >= later(holder.granted, RENEW_SECONDS) && reports.contains_key(uid)
        };
        let mut renewed = BTreeSet::new();
        for (uid, holder) in self.holders.iter_mut().filter(|(uid, holder)| due(uid, holder)) {
            for (key, periods) in &mut holder.parts {
                for (seconds, part) in periods {
                    if !ceilings
                        .iter()
                        .any(|(other, period, _)| (other, period) == (key, seconds))
                    {
                        part.share = 0;
                    }
                }
            }
            renewed.insert(uid.clone());
        }
        renewed
    }

    /// These hold another allotment from now on.
    fn write<'a>(&mut self, changed: impl Iterator<Item = &'a String>, now: Timestamp) {
        let changed: BTreeSet<&String> = changed.collect();
        if changed.is_empty() {
            return;
        }
        self.revision = self.revision.saturating_add(1);
        for uid in changed {
            let Some(holder) = self.holders.get_mut(uid) else {
                continue;
            };
            holder.revision = self.revision;
            holder.granted = now;
            holder.expires = holder.expires.max(later(now, LIFETIME_SECONDS));
            for part in holder.parts.values_mut().flat_map(BTreeMap::values_mut) {
                part.held = part.held.max(part.share);
            }
        }
    }

    /// What is not in the annotations yet, and whether anything is awaited.
    fn patches(&self, pods: &[Pod]) -> (Vec<(String, Allotment)>, bool) {
        let mut patches = Vec::new();
        let mut awaited = false;
        for Pod { uid, annotated, .. } in pods {
            let Some(holder) = self.holders.get(uid).filter(|holder| holder.revision > 0) else {
                continue;
            };
            awaited |= holder.seen != holder.revision;
            // A higher one was written by who has a later ledger.
            let there = annotated
                .as_ref()
                .filter(|there| there.pod == *uid && there.life == holder.life);
            if there.is_none_or(|there| there.revision < holder.revision) {
                patches.push((uid.clone(), holder.allotment(uid)));
            }
        }
        (patches, awaited)
    }

    fn next(&self, pods: &[Pod], soon: bool, now: Timestamp) -> Timestamp {
        let unheard = |pod: &Pod| matches!(pod.word, Word::Silence) && !self.holders.contains_key(&pod.uid);
        if pods.iter().any(unheard) {
            return later(now, AT_ONCE_SECONDS);
        }
        if self.holders.is_empty() {
            let spent = self.spent.values().flat_map(BTreeMap::values);
            return spent.filter_map(Spent::next).min().unwrap_or(Timestamp::MAX);
        }
        later(now, if soon { SOON_SECONDS } else { LATE_SECONDS })
    }
}

/// What was heard.
#[derive(Default)]
struct Heard<'a> {
    reports: BTreeMap<&'a str, &'a Report>,
    buried: bool,
    beyond: usize,
}

/// A claim with what the pod wants: what counts of it, which it will want again, and twice what was asked of late.
fn claimed(usage: Usage, seconds: u64, ceiling: u64, claim: Claim) -> Claim {
    let Usage { used, wanted, largest } = usage;
    let asked = wanted.saturating_mul(2);
    let wanted = if seconds == 1 {
        asked
    } else {
        asked.saturating_add(used)
    };
    Claim {
        wanted: wanted.min(ceiling),
        largest: if seconds == 1 { 0 } else { largest },
        ..claim
    }
}
