//! The sidecar's side: obeying an allotment, and telling the operator what becomes of it.

use std::{collections::BTreeMap, num::NonZeroU64};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Allotment, CeilingKey, Counted, Farewell, GUARD_SECONDS, LIFETIME_SECONDS, Life, Report, Usage, demand::Demand,
    later,
};
use crate::{
    api::Rate,
    policy::{
        Limits,
        ceiling::{CeilingName, Count, Moment, NamespaceLimits, PolicyLimits},
    },
};

/// What a sidecar knows of its shares. Kept with its levels, and only together with them: who finds but a part of what
/// was kept begins a new [`Life`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allotted {
    pod: String,
    life: Life,
    obeyed: Option<Allotment>,
    demand: BTreeMap<CeilingKey, Demand>,
    /// Of rates a second: the largest share that time may still be taken up under, where it is not the present one.
    owed: BTreeMap<CeilingKey, u64>,
}

/// Why an allotment is not taken; what was obeyed before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// It is another pod's.
    #[error("the allotment is another pod's")]
    OtherPod,
    /// It was given to a past that is lost.
    #[error("the allotment was given to a past that this sidecar has lost")]
    OtherLife,
    /// A later one was obeyed.
    #[error("the allotment is older than the one obeyed")]
    Older,
    /// It expires later than any allotment does.
    #[error("the allotment expires in more than six hours: the clock here is slow, or it is not the operator's")]
    TooLong,
}

/// What became of a message that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took its room.
    Went,
    /// It was put off, or refused for a share that is too small.
    PutOff,
}

/// Why nothing may go at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// No allotment has come yet.
    NotYet,
    /// The last one has expired.
    Expired(Timestamp),
    /// This pod has no share of this ceiling.
    NoShare(Rate),
}

/// What a ceiling allows this pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareOf {
    /// This much.
    Limits(Limits),
    /// Nothing at present.
    Nothing(Closed),
}

/// What all ceilings allow this pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The limits to count by. Ceilings that are closed are among them, so that their past is kept.
    pub limits: NamespaceLimits,
    /// Ceilings of which nothing may go.
    pub closed: BTreeMap<CeilingKey, Closed>,
    /// Until when; absent, until something else comes.
    pub until: Option<Timestamp>,
}

impl InForce {
    /// What keeps a message of these policies from going, whatever the levels are; `new`: whether it has new recipients.
    #[must_use]
    pub fn closed_to(&self, policies: &[&str], new: bool) -> Option<(&CeilingKey, Closed)> {
        let concerns = |key: &CeilingKey| {
            let policy = key.policy.as_deref();
            policy.is_none_or(|policy| policies.contains(&policy)) && (new || key.of == Counted::Recipients)
        };
        let closed = self.closed.iter().find(|(key, _)| concerns(key));
        closed.map(|(key, closed)| (key, *closed))
    }
}

/// The ceiling's limit over more than a second that a message exceeds alone: it is refused for good. One that exceeds this
/// pod's share only may go later.
#[must_use]
pub fn never_fits(own: &Limits, recipients: u64) -> Option<Rate> {
    let mut longer = own.rates().filter(|rate| rate.seconds > 1);
    longer.find(|rate| rate.count.get() < recipients)
}

impl Allotted {
    /// A sidecar without a past and without a share.
    #[must_use]
    pub fn new(pod: String, life: Life) -> Self {
        Self {
            pod,
            life,
            obeyed: None,
            demand: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }

    /// Obeys an allotment from now on; whether it is another than before. `usage`: [`Ceilings::usage`] at this moment,
    /// under the limits before.
    ///
    /// [`Ceilings::usage`]: crate::policy::ceiling::Ceilings::usage
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(
        &mut self,
        allotment: Allotment,
        now: Timestamp,
        usage: impl Iterator<Item = (CeilingName, Rate, u64)>,
    ) -> Result<bool, NotTaken> {
        if allotment.pod != self.pod {
            return Err(NotTaken::OtherPod);
        }
        if allotment.life != self.life {
            return Err(NotTaken::OtherLife);
        }
        let revision = self.revision();
        if allotment.revision == revision {
            return Ok(false);
        }
        if allotment.revision < revision {
            return Err(NotTaken::Older);
        }
        if allotment.expires > later(now, LIFETIME_SECONDS + GUARD_SECONDS) {
            return Err(NotTaken::TooLong);
        }
        for (name, _, used) in usage.filter(|(_, rate, _)| rate.seconds == 1) {
            let Some(key) = CeilingKey::of(&name) else { continue };
            if used > 0 {
                let owed = self.owes(&key);
                self.owed.insert(key, owed);
            } else {
                self.owed.remove(&key);
            }
        }
        self.obeyed = Some(allotment);
        Ok(true)
    }

    /// What is obeyed of a ceiling: the smaller of the share and of what the configuration itself says.
    #[must_use]
    pub fn share(&self, key: &CeilingKey, own: &Limits, now: Timestamp) -> ShareOf {
        if own.is_empty() {
            return ShareOf::Limits(Limits::default());
        }
        let Some(obeyed) = &self.obeyed else {
            return ShareOf::Nothing(Closed::NotYet);
        };
        if obeyed.expires <= now {
            return ShareOf::Nothing(Closed::Expired(obeyed.expires));
        }
        let share = |rate: Rate| match NonZeroU64::new(obeyed.share(key, rate.seconds)) {
            Some(count) => Ok(Rate {
                count: count.min(rate.count),
                ..rate
            }),
            None => Err(Closed::NoShare(rate)),
        };
        match own.rates().map(share).collect() {
            Ok(limits) => ShareOf::Limits(limits),
            Err(closed) => ShareOf::Nothing(closed),
        }
    }

    /// What is obeyed of all ceilings.
    #[must_use]
    pub fn in_force(&self, own: &NamespaceLimits, now: Timestamp) -> InForce {
        let mut closed = BTreeMap::new();
        let mut limits = |key: CeilingKey, own: &Limits| match self.share(&key, own, now) {
            ShareOf::Limits(limits) => limits,
            ShareOf::Nothing(why) => {
                closed.insert(key, why);
                // The least, over the same periods: levels keep their past by period.
                let least = |rate: Rate| Rate {
                    count: NonZeroU64::MIN,
                    ..rate
                };
                own.rates().map(least).collect()
            }
        };
        let NamespaceLimits {
            recipients,
            new_recipients,
            policies,
        } = own;
        let limits = NamespaceLimits {
            recipients: limits(CeilingKey::namespace(Counted::Recipients), recipients),
            new_recipients: limits(CeilingKey::namespace(Counted::NewRecipients), new_recipients),
            policies: policies
                .iter()
                .map(|(name, own)| {
                    let PolicyLimits {
                        recipients,
                        new_recipients,
                        per_recipient,
                    } = own;
                    let policy = PolicyLimits {
                        recipients: limits(CeilingKey::policy(name, Counted::Recipients), recipients),
                        new_recipients: limits(CeilingKey::policy(name, Counted::NewRecipients), new_recipients),
                        per_recipient: per_recipient.clone(),
                    };
                    (name.clone(), policy)
                })
                .collect(),
        };
        let ends = self.obeyed.as_ref().map(|obeyed| obeyed.expires);
        InForce {
            limits,
            closed,
            until: ends.filter(|end| *end > now),
        }
    }

    /// A message was asked for of a ceiling. Of every ceiling that it concerns, and at once: what is owed is forgotten when
    /// a message goes, since it could not go before it was paid.
    pub fn asked(&mut self, key: &CeilingKey, count: Count, outcome: Outcome, now: Moment) {
        let went = outcome == Outcome::Went;
        if went && count.all > 0 {
            self.owed.remove(key);
        }
        match self.demand.get_mut(key) {
            Some(demand) => demand.ask(now, count, went),
            None => self.demand.entry(key.clone()).or_default().ask(now, count, went),
        }
    }

    /// The ceilings of other policies are forgotten: those are no more.
    pub fn keep(&mut self, own: &NamespaceLimits) {
        self.demand.retain(|key, _| key.limits(own).is_some());
        self.owed.retain(|key, _| key.limits(own).is_some());
    }

    /// What the operator is told. `usage`: [`Ceilings::usage`] at this moment.
    ///
    /// [`Ceilings::usage`]: crate::policy::ceiling::Ceilings::usage
    #[must_use]
    pub fn report(&self, usage: impl Iterator<Item = (CeilingName, Rate, u64)>, now: Moment) -> Report {
        let mut ceilings = BTreeMap::<CeilingKey, BTreeMap<u64, Usage>>::new();
        for (name, Rate { seconds, count: _ }, used) in usage {
            let Some(key) = CeilingKey::of(&name) else { continue };
            let used = match (seconds, used) {
                (1, 0) => 0,
                (1, _) => self.owes(&key),
                (_, used) => used,
            };
            let demand = self.demand.get(&key).copied().unwrap_or_default();
            let usage = demand.usage(now, seconds, used);
            ceilings.entry(key).or_default().insert(seconds, usage);
        }
        Report::new(self.pod.clone(), self.life, self.revision(), ceilings)
    }

    /// What is left behind when nothing will be sent any more. `usage`: [`Ceilings::usage`] at this moment.
    ///
    /// [`Ceilings::usage`]: crate::policy::ceiling::Ceilings::usage
    #[must_use]
    pub fn farewell(&self, usage: impl Iterator<Item = (CeilingName, Rate, u64)>) -> Farewell {
        let left = usage.filter_map(|(name, Rate { seconds, count: _ }, used)| {
            let key = CeilingKey::of(&name)?;
            let share = self.obeyed.as_ref().map_or(0, |obeyed| obeyed.share(&key, seconds));
            // Who sends nothing more owes no time.
            let used = if seconds == 1 { 0 } else { used };
            Some((key, seconds, share, used))
        });
        Farewell::fitting(self.pod.clone(), self.life, self.revision(), left.collect())
    }

    /// The revision that is obeyed, expired or not; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.obeyed.as_ref().map_or(0, |obeyed| obeyed.revision)
    }

    /// The largest share of a rate a second whose time may be taken up now.
    fn owes(&self, key: &CeilingKey) -> u64 {
        let share = self.obeyed.as_ref().map_or(0, |obeyed| obeyed.share(key, 1));
        share.max(self.owed.get(key).copied().unwrap_or(0))
    }
}
