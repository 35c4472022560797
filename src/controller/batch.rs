//! What is to be done next on SES's lists for one MailSuppression, a bounded number of entries at a time. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    record::{Place, Record, Standing},
    records::Claims,
};
use crate::ses::{
    desired::{DesiredEntries, Reason},
    observed::{EntryOrigin, ObservedEntries},
    plan::{Plan, plan_entries},
};

/// Entries that one reconciliation looks at, two calls each at most: another object's turn comes within two minutes at
/// SES's one call a second, and a bulk that is cut is resumed from its last batch.
pub(super) const BATCH: usize = 50;

/// What shall stand: entries with their reasons, and what is to be released.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Entries.
    pub listed: BTreeMap<Place, Reason>,
    /// What is to be taken off once, whoever put it there.
    pub released: BTreeSet<Place>,
}

impl Wanted {
    /// Whether nothing is to stand.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.released.is_empty()
    }
}

/// What is done in one go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Entries that must stand.
    list: BTreeMap<Place, Reason>,
    /// Entries that are released.
    release: BTreeSet<Place>,
    /// Entries of ours that are wanted no more.
    retire: BTreeSet<Place>,
    /// Entries that are wanted no more and not ours to take off.
    let_go: BTreeSet<Place>,
    /// Releases that were done and are asked for no more.
    forget: BTreeSet<Place>,
    /// Whether more waits behind it.
    pub more: bool,
    /// Whether there is nothing in it but comparisons of what should stand.
    pub only_compares: bool,
}

/// A batch that was looked at: what to record and to call, in this order.
pub(super) struct Step {
    /// What may stand once calls are under way; `None` where no call lists anything.
    pub before: Option<Record>,
    /// The calls.
    pub plan: Plan,
    /// What stands after them.
    pub after: Record,
    /// Whether entries stay because it is not known who else wants them.
    pub withheld: bool,
}

impl Batch {
    /// The next entries to look at. Those of `compare` are read although they are recorded as standing.
    ///
    /// Additions, which suppress, and removals, for which a person may wait, share a batch in halves.
    pub fn between(record: &Record, wanted: &Wanted, compare: &BTreeSet<Place>) -> Self {
        let settled = |place: &Place, reason: Reason| {
            let standing = record.listed.get(place);
            standing.is_some_and(|standing| standing.reason == reason && !standing.under_way)
        };
        let due = |(place, reason): &(&Place, &Reason)| !settled(place, **reason) || compare.contains(*place);
        let list: Vec<_> = wanted.listed.iter().filter(due).collect();
        let release: Vec<_> = wanted.released.difference(&record.released).cloned().collect();
        let unwanted = record
            .listed
            .iter()
            .filter(|(place, _)| !wanted.listed.contains_key(*place));
        let (retire, let_go): (Vec<_>, Vec<_>) = unwanted.partition(|(_, standing)| standing.ours);
        let removals = release.len() + retire.len();
        let (adding, removing) = shares(list.len(), removals);
        let releasing = removing.min(release.len());
        Self {
            more: list.len() + removals > adding + removing,
            only_compares: removals == 0 && list.iter().all(|(place, reason)| settled(place, **reason)),
            list: list
                .into_iter()
                .take(adding)
                .map(|(place, reason)| (place.clone(), *reason))
                .collect(),
            release: release.into_iter().take(releasing).collect(),
            retire: retire
                .into_iter()
                .take(removing - releasing)
                .map(|(place, _)| place.clone())
                .collect(),
            let_go: let_go.into_iter().map(|(place, _)| place.clone()).collect(),
            forget: record.released.difference(&wanted.released).cloned().collect(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self {
            list,
            release,
            retire,
            let_go,
            forget,
            more: _,
            only_compares: _,
        } = self;
        list.is_empty() && [release, retire, let_go, forget].iter().all(|places| places.is_empty())
    }

    /// Whether there is anything in it that does not depend on what others want.
    pub fn adds_or_releases(&self) -> bool {
        !self.list.is_empty() || !self.release.is_empty()
    }

    /// The entries that must be read.
    pub fn places(&self) -> BTreeSet<Place> {
        let all = self.list.keys().chain(&self.release).chain(&self.retire);
        all.cloned().collect()
    }

    /// The entries of which it must be known whether others want them: what we would take off, and what we find although
    /// we do not know of having made it.
    pub fn shared<'a>(&'a self, record: &Record, observed: &'a ObservedEntries) -> BTreeSet<&'a Place> {
        let found = |place: &&Place| is_manual(observed, place) && !record.is_ours(place);
        self.retire.iter().chain(self.list.keys().filter(found)).collect()
    }

    /// What to do, by what stands, in the lists of this account.
    pub fn step(&self, account: &str, record: &Record, observed: &ObservedEntries, claims: &Claims) -> Step {
        let withheld = claims.unreadable.is_some() && !self.retire.is_empty();
        let retire = if withheld { BTreeSet::new() } else { self.retire.clone() };
        let desired = DesiredEntries {
            listed: self.list.clone(),
            released: self.release.clone(),
            retired: retire
                .iter()
                .filter(|place| !claims.listed.contains_key(*place))
                .cloned()
                .collect(),
        };
        let plan = plan_entries(&desired, observed);
        let is_ours = |place: &Place| {
            let known = || record.is_ours(place) || claims.listed.get(place) == Some(&true);
            !observed.contains_key(place) || (is_manual(observed, place) && known())
        };
        let standing = |under_way| {
            self.list.iter().map(move |(place, reason)| {
                let standing = Standing {
                    reason: *reason,
                    ours: is_ours(place),
                    under_way,
                };
                (place.clone(), standing)
            })
        };
        let mut after = record.clone();
        after.account = Some(account.to_owned());
        let lists = self.list.keys().any(|place| !observed.contains_key(place));
        let before = lists.then(|| {
            let mut before = after.clone();
            before.listed.extend(standing(true));
            before
        });
        after.listed.extend(standing(false));
        after
            .listed
            .retain(|place, _| !retire.contains(place) && !self.let_go.contains(place));
        after.released.extend(self.release.iter().cloned());
        after.released.retain(|place| !self.forget.contains(place));
        if after.is_empty() {
            after.account = None;
        }
        Step {
            before,
            plan,
            after,
            withheld,
        }
    }
}

fn is_manual(observed: &ObservedEntries, place: &Place) -> bool {
    observed
        .get(place)
        .is_some_and(|entry| entry.origin == EntryOrigin::Manual)
}

/// How many additions and removals go into one batch: half of it each, and what one does not need the other has.
fn shares(additions: usize, removals: usize) -> (usize, usize) {
    let removing = removals.min(BATCH.saturating_sub(additions).max(BATCH / 2));
    (additions.min(BATCH - removing), removing)
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
