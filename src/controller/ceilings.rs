//! The ceilings of all namespaces of an account together, beside its quota.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{context::Context, world::Key};
use crate::{
    api::condition::{Finding, kind},
    policy::CompiledNamespace,
};

/// Between two sums: after a start every namespace has been compiled by then, and what changes often is not said each
/// time.
const EVERY: Duration = Duration::from_secs(15);

/// The recipients of a day that each namespace's ceilings allow, and their sums as they were last taken.
#[derive(Default)]
pub struct Ceilings {
    /// By namespace: its account, and the recipients.
    namespaces: Mutex<HashMap<String, (String, u64)>>,
    /// By account.
    sums: Mutex<BTreeMap<String, u64>>,
}

impl Ceilings {
    /// Notes what a namespace's mail may reach.
    pub fn note(&self, namespace: &str, compiled: &CompiledNamespace) {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        match &compiled.account {
            Some(account) => {
                let allowed = (account.value.clone(), compiled.recipients_per_day());
                namespaces.insert(namespace.to_owned(), allowed);
            }
            None => {
                namespaces.remove(namespace);
            }
        }
    }

    /// The namespace is gone.
    pub fn forget(&self, namespace: &str) {
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
    }

    /// The sum of an account's namespaces as it was last taken; `None` before the first time.
    #[must_use]
    pub fn per_day(&self, account: &str) -> Option<u64> {
        self.sums
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(account)
            .copied()
    }

    /// Takes the sums of these accounts; those whose sum has changed.
    fn take(&self, accounts: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut fresh: BTreeMap<String, u64> = accounts.into_iter().map(|account| (account, 0)).collect();
        for (account, allowed) in self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).values() {
            if let Some(sum) = fresh.get_mut(account) {
                *sum = sum.saturating_add(*allowed);
            }
        }
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = fresh.iter().filter(|(account, sum)| sums.get(*account) != Some(*sum));
        let changed = changed.map(|(account, _)| account.clone()).collect();
        *sums = fresh;
        changed
    }
}

/// Takes the sums for ever, and has the accounts say them.
pub async fn watch(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    // The first is at once, when no namespace has been compiled.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let accounts = context.world.accounts.keys().into_iter().map(|account| account.name);
        for name in context.ceilings.take(accounts) {
            context.queues.accounts.push(Key {
                namespace: String::new(),
                name,
            });
        }
    }
}

/// Whether so many recipients a day are within an account's quota of a day, which is negative where it is unlimited.
pub(super) fn within_quota(per_day: Option<u64>, quota: Option<i64>) -> Finding {
    let (Some(per_day), Some(quota)) = (per_day, quota) else {
        return Finding::unknown(
            kind::WITHIN_QUOTA,
            "NotSummedYet",
            "the ceilings of its namespaces, or its quota, are not known yet",
        );
    };
    match u64::try_from(quota) {
        Ok(quota) if per_day > quota => Finding::no(
            kind::WITHIN_QUOTA,
            "CeilingsExceedQuota",
            format!(
                "the ceilings of its namespaces allow {per_day} recipients a day together, the quota is {quota}: one \
                 namespace can use up what others need; lower ceilings in guardrails (where nobody says any, the \
                 ceiling is the whole quota)"
            ),
        ),
        Ok(_) | Err(_) => Finding::yes(
            kind::WITHIN_QUOTA,
            "WithinQuota",
            format!("the ceilings of its namespaces allow {per_day} recipients a day together, within the quota"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(ceilings: &Ceilings, namespace: &str, account: &str, per_day: u64) {
        let mut namespaces = ceilings.namespaces.lock().unwrap();
        namespaces.insert(namespace.to_owned(), (account.to_owned(), per_day));
    }

    #[test]
    fn an_account_is_told_where_the_sum_of_its_namespaces_has_changed() {
        let ceilings = Ceilings::default();
        let accounts = || ["a", "b"].map(ToOwned::to_owned);
        assert_eq!(ceilings.per_day("a"), None);
        noted(&ceilings, "shop", "a", 10);
        noted(&ceilings, "billing", "a", u64::MAX);
        assert_eq!(ceilings.take(accounts()), ["a", "b"]);
        assert_eq!(
            (ceilings.per_day("a"), ceilings.per_day("b")),
            (Some(u64::MAX), Some(0))
        );
        ceilings.forget("billing");
        assert_eq!(ceilings.take(accounts()), ["a"]);
        assert_eq!(ceilings.take(accounts()), [""; 0]);
        assert_eq!(ceilings.per_day("a"), Some(10));
    }

    #[test]
    fn ceilings_are_within_a_quota_that_is_as_large_or_unlimited() {
        let status = |per_day, quota| within_quota(per_day, quota).status;
        assert_eq!(status(Some(10), Some(10)), Some(true));
        assert_eq!(status(Some(11), Some(10)), Some(false));
        assert_eq!(status(Some(u64::MAX), Some(-1)), Some(true));
        assert_eq!((status(None, Some(10)), status(Some(10), None)), (None, None));
    }
}
