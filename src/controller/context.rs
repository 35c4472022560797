//! What every reconciliation shares.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::Client;
use tokio_util::task::TaskTracker;

use super::{
    accounts::Accounts,
    allotment::{Farewells, Ledgers},
    ceilings::Ceilings,
    events::Events,
    feed::Queues,
    latest::Latest,
    list_memory::ListMemory,
    programmed::{Left, Programmed, Registry},
    publish::Publisher,
    sidecars::{Asker, Counts},
    skew::ClockTrust,
    world::{Key, World},
};
use crate::{
    api::{MailPolicy, MailSuppression, SendingAccount},
    clock,
    metrics::{Drift, Metrics},
    policy::windows::Clock,
    ses::plan::Plan,
};

/// What every reconciliation shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What it said last.
    pub world: World,
    /// What is to be reconciled.
    pub queues: Queues,
    /// SES, by account.
    pub accounts: Accounts,
    /// What ceilings allow, by namespace and by account.
    pub ceilings: Ceilings,
    /// Writes configurations.
    pub publisher: Publisher,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Whether windows may open.
    pub clock_trust: ClockTrust,
    /// Policies written and not seen again yet.
    pub written: Latest<MailPolicy>,
    /// Accounts likewise.
    pub written_accounts: Latest<SendingAccount>,
    /// Suppressions likewise.
    pub written_suppressions: Latest<MailSuppression>,
    /// Between two listings of an account.
    pub list_every: Duration,
    /// The operator's own namespace.
    pub namespace: String,
    /// Who holds what of ceilings, by namespace.
    pub ledgers: Ledgers,
    /// The last words of sidecars whose pods may be gone.
    pub farewells: Farewells,
    /// Asks sidecars.
    pub asker: Asker,
    /// How many there are.
    pub sidecars: Counts,
    /// Everything that may write: the lease is given up once all of it has ended.
    pub tasks: TaskTracker,
    /// What is known of suppressions' entries on SES's lists besides what is recorded.
    pub(super) lists: ListMemory,
    /// As what SES stands for each policy.
    pub programmed: Registry,
    doubted: Doubts,
}

/// Objects of one kind of which it must be read, not remembered, what stands in SES for them.
#[derive(Default)]
pub struct Doubts(Mutex<HashSet<Key>>);

impl Doubts {
    /// Whether this one must be read.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// From now on it must.
    pub fn insert(&self, key: Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// It was read, or is gone.
    pub fn remove(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Context {
    /// A context that knows nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        world: World,
        publisher: Publisher,
        metrics: Arc<Metrics>,
        (namespace, instance): (&str, &str),
        list_every: Duration,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            events: Events::new(client.clone(), instance),
            client,
            world,
            queues: Queues::default(),
            accounts: Accounts::default(),
            ceilings: Ceilings::default(),
            publisher,
            metrics,
            clock_trust: ClockTrust::default(),
            written: Latest::default(),
            written_accounts: Latest::default(),
            written_suppressions: Latest::default(),
            list_every,
            namespace: namespace.to_owned(),
            ledgers: Ledgers::default(),
            farewells: Farewells::default(),
            asker: Asker::default(),
            sidecars: Counts::default(),
            tasks,
            programmed: Registry::default(),
            doubted: Doubts::default(),
            lists: ListMemory::default(),
        }
    }

    /// Counts what was found changed behind our back (`vanished` or `changed`), and says what was done about it.
    #[must_use]
    pub fn drifted(&self, what: &'static str, plan: &Plan) -> String {
        self.metrics.drift.get_or_create(&Drift { what }).inc();
        let steps: Vec<String> = plan.steps().iter().map(ToString::to_string).collect();
        format!("{what} in SES; put right by: {}", steps.join(", "))
    }

    /// Whether the clock may open windows.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock_trust.verdict(clock::now(), clock::monotonic())
    }

    /// As what SES stood when the policy was last programmed: as this run left it, else as its status says.
    #[must_use]
    pub fn programmed(&self, policy: &Key) -> Option<Programmed> {
        match self.programmed.get(policy) {
            Some(Left::Programmed(programmed)) => Some(programmed),
            Some(Left::Stopped) => None,
            None => {
                let object = self.world.policies.get(policy)?;
                Programmed::from_status(object.readable()?.status.as_ref()?.ses.as_ref()?)
            }
        }
    }

    /// The policy is gone.
    pub fn forget_policy(&self, policy: &Key) {
        self.written.forget(policy);
        self.programmed.forget(policy);
        self.doubted.remove(policy);
        self.accounts
            .all()
            .iter()
            .for_each(|account| account.admission.forget(policy));
    }

    /// What stands in SES for the policy must be read, not remembered.
    pub fn doubt(&self, policy: &Key) {
        self.doubted.insert(policy.clone());
    }

    /// Whether what stands must be read.
    #[must_use]
    pub fn is_doubted(&self, policy: &Key) -> bool {
        self.doubted.contains(policy)
    }

    /// What stands was read.
    pub fn settle(&self, policy: &Key) {
        self.doubted.remove(policy);
    }
}
