//! Sidecars and an operator for tests: the real limiter under the real shares.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::Rate,
    policy::{
        Limits,
        allotment::{
            Allotment, Allotted, CeilingKey, Counted, Granted, Ledger, Life, NotTaken, Outcome, Pod, Report, ShareOf,
            Word,
        },
        ceiling::{CeilingName, CeilingOf, Count, Levels, Moment, NamespaceLimits, PolicyLimits, Turn},
    },
};

pub(super) const SECOND: u64 = 1_000_000_000;
/// When tests begin.
pub(super) const START: u64 = 1_790_000_000 * SECOND;

pub(super) fn limits(texts: &[&str]) -> Limits {
    texts.iter().map(|text| text.parse::<Rate>().unwrap()).collect()
}

/// A namespace's ceilings and those of one policy, on recipients.
pub(super) fn own(namespace: &[&str], policy: &[&str]) -> NamespaceLimits {
    let news = PolicyLimits {
        recipients: limits(policy),
        ..PolicyLimits::default()
    };
    NamespaceLimits {
        recipients: limits(namespace),
        policies: BTreeMap::from([("news".to_owned(), news)]),
        ..NamespaceLimits::default()
    }
}

pub(super) fn keys() -> [CeilingKey; 2] {
    [
        CeilingKey::namespace(Counted::Recipients),
        CeilingKey::policy("news", Counted::Recipients),
    ]
}

pub(super) fn timestamp(nanos: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap()
}

/// A sidecar all of whose mail is of one policy.
#[derive(Clone)]
pub(super) struct Sidecar {
    pub allotted: Allotted,
    pub levels: [Levels; 2],
}

impl Sidecar {
    pub fn new(uid: &str, life: u64) -> Self {
        Self {
            allotted: Allotted::new(uid.to_owned(), Life(life)),
            levels: Default::default(),
        }
    }

    pub fn usage(&self, now: u64) -> Vec<(CeilingName, Rate, u64)> {
        let each = keys().into_iter().zip(&self.levels).flat_map(|(key, levels)| {
            let name = CeilingName {
                policy: key.policy,
                of: CeilingOf::Recipients,
            };
            let usage: Vec<_> = levels.usage(Moment(now)).collect();
            usage.into_iter().map(move |(rate, used)| (name.clone(), rate, used))
        });
        each.collect()
    }

    pub fn report(&self, now: u64) -> Report {
        self.allotted.report(self.usage(now).into_iter(), Moment(now))
    }

    pub fn read(&mut self, own: &NamespaceLimits, allotment: Allotment, now: u64) -> Result<bool, NotTaken> {
        let usage = self.usage(now);
        let taken = self.allotted.take(allotment, timestamp(now), usage.into_iter());
        self.configure(own, now);
        taken
    }

    pub fn configure(&mut self, own: &NamespaceLimits, now: u64) {
        for (key, levels) in keys().iter().zip(&mut self.levels) {
            // Where there is no share the past stays as it is.
            if let ShareOf::Limits(limits) = self.allotted.share(key, key.limits(own).unwrap(), timestamp(now)) {
                *levels = levels.under(&limits);
            }
        }
    }

    /// What it may send at present of a ceiling over so many seconds.
    pub fn in_force(&self, own: &NamespaceLimits, key: &CeilingKey, seconds: u64, now: u64) -> u64 {
        match self.allotted.share(key, key.limits(own).unwrap(), timestamp(now)) {
            ShareOf::Limits(limits) => limits
                .rates()
                .find(|it| it.seconds == seconds)
                .map_or(0, |it| it.count.get()),
            ShareOf::Nothing(_) => 0,
        }
    }

    /// Sends a message, if its ceilings allow.
    pub fn send(&mut self, own: &NamespaceLimits, recipients: u64, now: u64) -> bool {
        let open = keys().iter().zip(&self.levels).all(|(key, levels)| {
            let share = self.allotted.share(key, key.limits(own).unwrap(), timestamp(now));
            matches!(share, ShareOf::Limits(_)) && levels.turn(Moment(now), recipients) == Turn::Now
        });
        if open {
            self.levels
                .iter_mut()
                .for_each(|levels| levels.take(Moment(now), recipients));
        }
        let outcome = if open { Outcome::Went } else { Outcome::PutOff };
        for key in keys() {
            self.allotted.asked(&key, Count::from(recipients), outcome, Moment(now));
        }
        open
    }
}

/// A namespace in which nothing fails.
pub(super) struct Fleet {
    pub now: u64,
    pub own: NamespaceLimits,
    pub ledger: Ledger,
    /// Each with its annotation.
    pub pods: BTreeMap<String, (Sidecar, Option<Allotment>)>,
    /// Patches so far.
    pub patches: usize,
}

impl Fleet {
    pub fn new(own: NamespaceLimits, pods: u64) -> Self {
        let mut fleet = Self {
            now: START,
            own,
            ledger: Ledger::default(),
            pods: BTreeMap::new(),
            patches: 0,
        };
        (0..pods).for_each(|number| fleet.start(number));
        fleet
    }

    pub fn start(&mut self, number: u64) {
        let uid = format!("pod-{number:03}");
        self.pods.insert(uid.clone(), (Sidecar::new(&uid, number), None));
    }

    pub fn heard(&self) -> Vec<Pod> {
        let pod = |(uid, (sidecar, annotated)): (&String, &(Sidecar, Option<Allotment>))| Pod {
            uid: uid.clone(),
            annotated: annotated.clone(),
            word: Word::Report(sidecar.report(self.now)),
        };
        self.pods.iter().map(pod).collect()
    }

    /// The operator looks once, and all it writes arrives.
    pub fn round(&mut self, seconds: u64) -> Granted {
        self.now += seconds * SECOND;
        let granted = self.ledger.grant(&self.own, &self.heard(), timestamp(self.now));
        self.ledger = granted.ledger.clone();
        self.patches += granted.patches.len();
        for (uid, allotment) in &granted.patches {
            let (sidecar, annotated) = self.pods.get_mut(uid).unwrap();
            *annotated = Some(allotment.clone());
            sidecar.read(&self.own, allotment.clone(), self.now).unwrap();
        }
        granted
    }

    pub fn shares(&self, key: &CeilingKey, seconds: u64) -> Vec<u64> {
        let share = |(sidecar, _): &(Sidecar, _)| sidecar.in_force(&self.own, key, seconds, self.now);
        self.pods.values().map(share).collect()
    }
}
