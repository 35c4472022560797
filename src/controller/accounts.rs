//! What is kept of each SES account while the operator runs: its client, its budget, and what was last listed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use futures::StreamExt;
use tokio_util::task::AbortOnDropHandle;

use super::{defaults::Defaults, engine::AT_ONCE, listed::Listed, queue::KeyQueue, world::Key};
use crate::{
    api::SendingAccountSpec,
    metrics::{Called, Metrics, OfPriority},
    ses::{
        address::Identity,
        arn::ArnBase,
        aws::AwsWriter,
        budget::{Admission, Budget, CircuitPolicy, Meter, Priority, Rate},
        client::{Connection, Role, Timeouts, WriteSes},
        name::TenantName,
        plan::Finding,
        read::Reader,
    },
};

/// Plans at work at once under a budget as SES gives it: each waits for it between its calls, and more of them only spread
/// the waiting. Half of what is reconciled at once, so that waiting plans never keep the others from being looked at.
const PLANS_AT_WORK: usize = 32;
/// Under a budget of so many calls a second a plan waits for no more than half a second, even behind all that are
/// reconciled at once: then none is parked, since a parked one costs a status and a configuration that say so.
const WIDE_BUDGET: f64 = 256.0;
/// How long a slot is kept for an object whose turn it is.
const SLOT_KEPT: Duration = Duration::from_secs(30);

/// One account and region.
pub struct Account {
    /// The SendingAccount's name.
    pub name: String,
    /// Its spec.
    pub spec: SendingAccountSpec,
    /// SES.
    pub ses: Arc<dyn WriteSes>,
    /// Leave to call it.
    pub budget: Budget,
    /// Which objects' plans may be at work.
    pub admission: Admission<Key>,
    /// Queues the objects whose turn it is, as long as some version of the account is kept.
    turns: Arc<AbortOnDropHandle<()>>,
    /// What its ARNs begin with.
    pub arns: ArnBase,
    /// What stands there, as far as is known.
    pub listed: Arc<Listed>,
    /// The namespaces' tenants, one at a time each.
    pub tenants: Tenants,
    /// The identities' default configuration sets.
    pub defaults: Defaults,
    /// The sealed identity that was read last.
    seal_read: Mutex<Option<Identity>>,
    /// For which wish the account was last observed without a failure, and when.
    observed: Mutex<Option<(u64, Instant)>>,
}

impl Account {
    /// Connects to SES and asks whose account it is.
    pub async fn connect(
        name: &str,
        spec: &SendingAccountSpec,
        metrics: &Arc<Metrics>,
        queue: &KeyQueue<Key>,
        before: Option<&Self>,
    ) -> Result<Self, crate::ses::error::SesError> {
        let connection = connection(spec);
        let ses: Arc<dyn WriteSes> = Arc::new(AwsWriter::connect(&connection).await);
        let arns = ses.whose().await?;
        // The same account's budget goes on: a changed identity must not give a fresh burst.
        let budget = match before {
            Some(before)
                if before.spec.api_budget == spec.api_budget && self::connection(&before.spec) == connection =>
            {
                before.budget.clone()
            }
            Some(_) | None => {
                let rate = Rate::new(spec.api_budget.per_second, spec.api_budget.burst);
                Budget::new(
                    rate,
                    CircuitPolicy::default(),
                    Arc::new(CountedBy(Arc::clone(metrics))),
                    rand::random::<f64>,
                )
            }
        };
        // What stands in SES does not change with our wishes; another isolation lists more.
        let listed = before
            .filter(|before| self::connection(&before.spec) == connection && before.spec.isolation == spec.isolation)
            .map_or_else(Arc::default, |before| Arc::clone(&before.listed));
        let plans = plans_at_work(spec);
        let (admission, turns) = match before {
            Some(before) if plans_at_work(&before.spec) == plans => {
                (before.admission.clone(), Arc::clone(&before.turns))
            }
            // What is parked in another one is reconciled after the first listing, as every policy of the account is.
            Some(_) | None => {
                let admission = Admission::new(plans, SLOT_KEPT);
                let (mut freed, queue) = (admission.freed(), queue.clone());
                let turns = async move {
                    while let Some(key) = freed.next().await {
                        queue.push(key);
                    }
                };
                (admission, Arc::new(AbortOnDropHandle::new(tokio::spawn(turns))))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            spec: spec.clone(),
            ses,
            budget,
            admission,
            turns,
            arns,
            listed,
            tenants: Tenants::default(),
            defaults: Defaults::default(),
            seal_read: Mutex::default(),
            observed: Mutex::default(),
        })
    }

    /// When the account was last observed whole for this wish.
    #[must_use]
    pub fn observed_since(&self, wish: u64) -> Option<Instant> {
        let observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.filter(|(of, _)| *of == wish).map(|(_, at)| at)
    }

    /// Notes that the account was observed whole.
    pub fn note_observed(&self, wish: u64, at: Instant) {
        *self.observed.lock().unwrap_or_else(PoisonError::into_inner) = Some((wish, at));
    }

    /// A look begins: until it succeeds, another is due.
    pub fn forget_observed(&self) {
        *self.observed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The sealed identity whose turn it is to be read, chosen by the one that was read last.
    pub(super) fn next_seal(&self, choose: impl FnOnce(Option<&Identity>) -> Option<Identity>) -> Option<Identity> {
        let mut last = self.seal_read.lock().unwrap_or_else(PoisonError::into_inner);
        *last = choose(last.as_ref());
        last.clone()
    }

    /// A reader with this urgency.
    #[must_use]
    pub fn reader(&self, priority: Priority) -> Reader<'_> {
        Reader::new(&*self.ses, &self.budget, priority)
    }
}

/// How many plans may be at work at once.
fn plans_at_work(spec: &SendingAccountSpec) -> usize {
    if spec.api_budget.per_second < WIDE_BUDGET {
        PLANS_AT_WORK
    } else {
        usize::from(AT_ONCE)
    }
}

/// How the spec says SES is reached.
#[must_use]
pub fn connection(spec: &SendingAccountSpec) -> Connection {
    Connection {
        region: spec.region.clone(),
        endpoint_url: spec.endpoint_url.clone(),
        control_role: spec.control_role.as_ref().map(|role| Role {
            arn: role.arn.clone(),
            external_id: role.external_id.clone(),
        }),
        timeouts: Timeouts::default(),
    }
}

/// Tenants at work on one at a time each, with what each was last left as by this run: that is told without waiting for
/// a turn.
#[derive(Default)]
pub struct Tenants {
    turns: Mutex<HashMap<TenantName, Turn>>,
    left: Mutex<HashMap<TenantName, TenantLeft>>,
    doubted: Mutex<BTreeSet<TenantName>>,
}

/// One tenant's turn.
pub type Turn = Arc<tokio::sync::Mutex<()>>;

/// What this run left a tenant as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantLeft {
    /// Something was tried and did not succeed whole: only reading tells how it stands.
    Tried,
    /// As wanted.
    Settled {
        /// The hash of what was wanted.
        hash: String,
        /// What was found that no call mends.
        findings: Vec<Finding>,
    },
}

impl Tenants {
    /// The turn of one tenant.
    #[must_use]
    pub fn turn(&self, name: &TenantName) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.clone()).or_default())
    }

    /// What this run left the tenant as; `None` where it has not tried anything, or deleted it.
    #[must_use]
    pub fn left(&self, name: &TenantName) -> Option<TenantLeft> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.get(name).cloned()
    }

    /// Notes what the tenant is left as.
    pub fn note(&self, name: &TenantName, left: TenantLeft) {
        self.left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), left);
    }

    /// The tenant is gone.
    pub fn forget(&self, name: &TenantName) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// How the tenant stands must be read, not remembered.
    pub fn doubt(&self, name: TenantName) {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Whether it must be read.
    #[must_use]
    pub fn is_doubted(&self, name: &TenantName) -> bool {
        self.doubted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    /// It was read.
    pub fn settle(&self, name: &TenantName) {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Every account that could be reached.
#[derive(Default)]
pub struct Accounts {
    reached: RwLock<HashMap<String, Arc<Account>>>,
    /// Those that SES did not answer for when they were looked at last.
    failed: RwLock<HashSet<String>>,
}

impl Accounts {
    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.reached
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Account>> {
        self.reached
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Whether SES did not answer when the account was looked at last. Before the first look nothing is said of policies
    /// that wait for the account: it is a matter of moments, after which all of them are reconciled.
    #[must_use]
    pub fn has_failed(&self, name: &str) -> bool {
        self.failed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    /// Notes how a look at the account ended; whether it failed for the first time since it succeeded.
    pub fn note_failed(&self, name: &str, failed: bool) -> bool {
        let mut accounts = self.failed.write().unwrap_or_else(PoisonError::into_inner);
        if failed {
            accounts.insert(name.to_owned())
        } else {
            accounts.remove(name);
            false
        }
    }

    /// Keeps one.
    pub fn put(&self, account: Arc<Account>) {
        self.reached
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account.name.clone(), account);
    }

    /// Forgets one.
    pub fn remove(&self, name: &str) {
        self.note_failed(name, false);
        self.reached
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

/// Counts requests and waits.
struct CountedBy(Arc<Metrics>);

impl Meter for CountedBy {
    fn waited(&self, priority: Priority, time: Duration) {
        self.0
            .budget_wait_seconds
            .get_or_create(&OfPriority {
                priority: priority.label(),
            })
            .observe(time.as_secs_f64());
    }

    fn called(&self, operation: &'static str, outcome: &'static str) {
        self.0.ses_calls.get_or_create(&Called { operation, outcome }).inc();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_a_tenant_was_left_as_is_told_while_somebody_has_its_turn() {
        let (tenants, name) = (Tenants::default(), TenantName::of_namespace("a", "shop"));
        let settled = TenantLeft::Settled {
            hash: "1".to_owned(),
            findings: Vec::new(),
        };
        let turn = tenants.turn(&name);
        let _held = turn.lock().await;
        assert_eq!(tenants.left(&name), None);
        tenants.note(&name, settled.clone());
        assert_eq!(tenants.left(&name), Some(settled));
        tenants.forget(&name);
        assert_eq!(tenants.left(&name), None);
    }

    #[test]
    fn plans_are_parked_under_a_budget_that_makes_them_wait() {
        let plans = |per_second: f64| {
            let spec = json!({
                "region": "us-east-1", "clusterId": "a", "identities": [],
                "apiBudget": {"perSecond": per_second, "burst": 1}, "feedback": {"destination": {"eventBridge": {}}},
            });
            plans_at_work(&serde_json::from_value(spec).unwrap())
        };
        assert_eq!([1.0, 100.0].map(plans), [PLANS_AT_WORK; 2]);
        assert_eq!(plans(10_000.0), usize::from(AT_ONCE));
    }

    #[test]
    fn a_failure_is_news_once_until_the_account_answers_again() {
        let accounts = Accounts::default();
        assert!(!accounts.has_failed("a"));
        let looks = [true, true, false, true];
        assert_eq!(
            looks.map(|failed| accounts.note_failed("a", failed)),
            [true, false, false, true]
        );
        assert!(accounts.has_failed("a"));
    }
}
