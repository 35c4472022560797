//! What the API server says, as it was seen last: one store a kind, and an index by namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::LabelSelector};
use kube::{
    Resource, ResourceExt,
    core::{PartialObjectMeta, SelectorExt},
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::watch;

use super::{objects::Kept, sidecars::SidecarPod};
use crate::{
    api::{
        MailGuardrail, MailPolicy, MailPolicySpec, MailSuppression, MailWindow, Parsed, SendingAccount,
        guardrail::read_selector,
    },
    policy::{
        NamespaceFacts,
        compile::{AccountFacts, GuardrailFacts, PolicyFacts, UnreadSpec},
        windows::{Clock, WindowFacts},
    },
};

/// A namespace and a name; the namespace is empty for kinds of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    pub fn of(object: &impl Resource) -> Self {
        Self {
            namespace: object.meta().namespace.clone().unwrap_or_default(),
            name: object.meta().name.clone().unwrap_or_default(),
        }
    }

    /// The store's word for it.
    #[must_use]
    pub fn reference<K: Resource<DynamicType = ()>>(&self) -> ObjectRef<K> {
        let reference = ObjectRef::new(&self.name);
        if self.namespace.is_empty() {
            reference
        } else {
            reference.within(&self.namespace)
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// What is known of one kind's objects, by key: a mark of what matters in each, or all that is kept of it.
pub struct Index<V> {
    /// Ordered, so that a namespace's objects stand together: most namespaces have one of a kind.
    objects: RwLock<BTreeMap<Key, V>>,
    is_listed: watch::Sender<bool>,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
            is_listed: watch::Sender::default(),
        }
    }
}

impl<V: Clone + PartialEq> Index<V> {
    /// What is known of one object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<V> {
        self.read().get(key).cloned()
    }

    /// The names in a namespace (empty for kinds of the cluster), in their order.
    #[must_use]
    pub fn names(&self, namespace: &str) -> Vec<String> {
        let first = Key {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        self.read()
            .range(first..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(key, _)| key.name.clone())
            .collect()
    }

    /// What is known of a namespace's objects, in the order of their names.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Vec<(Key, V)> {
        let first = Key {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let objects = self.read();
        let there = objects.range(first..).take_while(|(key, _)| key.namespace == namespace);
        there.map(|(key, known)| (key.clone(), known.clone())).collect()
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        self.read().keys().cloned().collect()
    }

    /// Notes what is known of an object; whether it is new.
    pub fn note(&self, key: &Key, known: V) -> bool {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = objects.get(key) != Some(&known);
        if is_new {
            objects.insert(key.clone(), known);
        }
        is_new
    }

    /// Notes that an object is gone.
    pub fn forget(&self, key: &Key) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.remove(key);
    }

    /// Notes that the kind was listed whole.
    pub fn note_listed(&self) {
        self.is_listed.send_replace(true);
    }

    /// Waits until the kind was listed whole.
    pub async fn listed(&self) {
        let mut is_listed = self.is_listed.subscribe();
        // It cannot fail: the sender stands as long as this does.
        let _listed = is_listed.wait_for(|is_listed| *is_listed).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Key, V>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store, and an index over it.
pub struct Shelf<K: Resource + 'static>
where
    K::DynamicType: Eq + Hash + Clone,
{
    store: Store<K>,
    index: Index<u64>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Shelf<K> {
    /// A shelf over this store.
    #[must_use]
    pub fn new(store: Store<K>) -> Self {
        Self {
            store,
            index: Index::default(),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// The index, with a mark of what matters in each object.
    #[must_use]
    pub fn index(&self) -> &Index<u64> {
        &self.index
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.store.get(&key.reference())
    }

    /// All objects of a namespace (empty for kinds of the cluster), in the order of their names.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Vec<Arc<K>> {
        self.names(namespace)
            .into_iter()
            .filter_map(|name| {
                self.get(&Key {
                    namespace: namespace.to_owned(),
                    name,
                })
            })
            .collect()
    }

    /// The names in a namespace.
    #[must_use]
    pub fn names(&self, namespace: &str) -> Vec<String> {
        self.index.names(namespace)
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        self.index.keys()
    }
}

/// A mark of what matters: equal marks, nothing to do.
pub fn mark(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Every store.
pub struct World {
    /// Namespaces: labels only.
    pub namespaces: Shelf<PartialObjectMeta<Namespace>>,
    /// Accounts.
    pub accounts: Shelf<Parsed<SendingAccount>>,
    /// Guardrails.
    pub guardrails: Shelf<Parsed<MailGuardrail>>,
    /// Policies.
    pub policies: Shelf<Parsed<MailPolicy>>,
    /// Windows.
    pub windows: Shelf<Parsed<MailWindow>>,
    /// Suppressions.
    pub suppressions: Shelf<Parsed<MailSuppression>>,
    /// ConfigMaps `mail-sidecar`.
    pub sidecar_configs: Index<Kept>,
    /// ConfigMaps `mail-env`.
    pub env_configs: Index<Kept>,
    /// Secrets `mail-suppressions`.
    pub suppression_hashes: Index<Kept>,
    /// Secrets `mail-suppression-list`.
    pub suppression_lists: Index<Kept>,
    /// Pods with a sidecar.
    pub pods: Index<SidecarPod>,
}

/// What decides over one namespace, at one moment.
pub struct Scene {
    /// Guardrails that select the namespace, and unreadable ones that may.
    pub guardrails: Vec<Arc<Parsed<MailGuardrail>>>,
    accounts: Vec<Arc<Parsed<SendingAccount>>>,
    policies: Vec<Arc<Parsed<MailPolicy>>>,
    windows: Vec<Arc<Parsed<MailWindow>>>,
    last_good: BTreeMap<String, MailPolicySpec>,
    clock: Clock,
    now: jiff::Timestamp,
}

impl World {
    /// What decides over the namespace now; over one policy of it where one is named.
    #[must_use]
    pub fn scene(
        &self,
        namespace: &str,
        policy: Option<&str>,
        last_good: BTreeMap<String, MailPolicySpec>,
        clock: Clock,
        now: jiff::Timestamp,
    ) -> Scene {
        let policies = match policy {
            Some(name) => {
                let key = Key {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                };
                self.policies.get(&key).into_iter().collect()
            }
            None => self.policies.within(namespace),
        };
        let about = |window: &Arc<Parsed<MailWindow>>| match (policy, window.readable()) {
            (Some(name), Some(window)) => window.spec.policy_ref.name == name,
            (None, _) | (_, None) => true,
        };
        Scene {
            guardrails: self.guardrails_of(namespace),
            accounts: self.accounts.within(""),
            policies,
            windows: self.windows.within(namespace).into_iter().filter(about).collect(),
            last_good,
            clock,
            now,
        }
    }

    /// The guardrails that select the namespace, and unreadable ones that may.
    #[must_use]
    pub fn guardrails_of(&self, namespace: &str) -> Vec<Arc<Parsed<MailGuardrail>>> {
        let key = Key {
            namespace: String::new(),
            name: namespace.to_owned(),
        };
        let Some(object) = self.namespaces.get(&key) else {
            return Vec::new();
        };
        let mut guardrails = self.guardrails.within("");
        guardrails.retain(|guardrail| match selects(guardrail, object.labels()) {
            Selects::Yes => true,
            Selects::No => false,
            Selects::Unreadable => self.may_be_under(namespace, &guardrail.name_any()),
        });
        guardrails
    }

    /// Whether a guardrail whose selector cannot be read may be meant for the namespace: it was until now, or nobody has
    /// said yet what its policies may do.
    fn may_be_under(&self, namespace: &str, guardrail: &str) -> bool {
        let is_new = self.sidecar_configs.names(namespace).is_empty();
        (is_new && !self.policies.names(namespace).is_empty())
            || self.published_guardrails(namespace).contains(guardrail)
    }

    /// The guardrails that the namespace's present configuration names.
    #[must_use]
    pub fn published_guardrails(&self, namespace: &str) -> BTreeSet<String> {
        let key = Key {
            namespace: namespace.to_owned(),
            name: super::objects::SIDECAR_CONFIG.to_owned(),
        };
        let Some(config) = self.sidecar_configs.get(&key) else {
            return BTreeSet::new();
        };
        config
            .guardrails
            .split(',')
            .filter(|name| !name.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Namespaces that a guardrail selects now, or whose present configuration names it.
    #[must_use]
    pub fn namespaces_under(&self, guardrail: &Key) -> Vec<String> {
        let object = self.guardrails.get(guardrail);
        self.namespaces
            .names("")
            .into_iter()
            .filter(|namespace| {
                let key = Key {
                    namespace: String::new(),
                    name: namespace.clone(),
                };
                let labels = self.namespaces.get(&key);
                let selected = object
                    .as_ref()
                    .zip(labels)
                    .is_some_and(|(guardrail, namespace)| selects(guardrail, namespace.labels()) == Selects::Yes);
                selected || self.published_guardrails(namespace).contains(&guardrail.name)
            })
            .collect()
    }

    /// Whether the operator keeps objects in the namespace: a guardrail selects it, or it has a policy.
    #[must_use]
    pub fn is_kept(&self, namespace: &str) -> bool {
        !self.guardrails_of(namespace).is_empty() || !self.policies.names(namespace).is_empty()
    }
}

/// Whether a guardrail selects a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Selects {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Its selector cannot be read.
    Unreadable,
}

/// Whether the guardrail selects a namespace with these labels. No selector selects nothing, `{}` everything.
#[must_use]
pub fn selects(guardrail: &Parsed<MailGuardrail>, labels: &BTreeMap<String, String>) -> Selects {
    let selector = match guardrail {
        Parsed::Readable(guardrail) => Ok(guardrail.spec.namespace_selector.clone()),
        Parsed::Unreadable(unreadable) => match unreadable.spec.get("namespaceSelector") {
            None => Ok(None),
            Some(selector) => serde_json::from_value::<LabelSelector>(selector.clone()).map(Some),
        },
    };
    let Ok(selector) = selector else {
        return Selects::Unreadable;
    };
    let Some(selector) = selector else { return Selects::No };
    match read_selector(&selector) {
        Ok(selector) if selector.matches(labels) => Selects::Yes,
        Ok(_) => Selects::No,
        Err(_) => Selects::Unreadable,
    }
}

impl Scene {
    /// The facts to compile.
    #[must_use]
    pub fn facts(&self) -> NamespaceFacts<'_> {
        NamespaceFacts {
            guardrails: self
                .guardrails
                .iter()
                .map(|guardrail| guardrail_facts(guardrail))
                .collect(),
            accounts: self.accounts.iter().map(|account| account_facts(account)).collect(),
            policies: self.policies.iter().map(|policy| self.policy_facts(policy)).collect(),
            windows: self
                .windows
                .iter()
                .filter_map(|window| window_facts(window.readable()?))
                .collect(),
            holds: Vec::new(),
            clock: self.clock,
            now: self.now,
        }
    }

    /// One of its policies.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&Arc<Parsed<MailPolicy>>> {
        self.policies
            .iter()
            .find(|policy| policy.meta().name.as_deref() == Some(name))
    }

    /// Its policies.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Parsed<MailPolicy>>] {
        &self.policies
    }

    fn policy_facts<'a>(&'a self, policy: &'a Parsed<MailPolicy>) -> PolicyFacts<'a> {
        let name = policy.meta().name.as_deref().unwrap_or_default();
        let spec = match policy {
            Parsed::Readable(policy) => Ok(&policy.spec),
            Parsed::Unreadable(unreadable) => Err(UnreadSpec {
                error: &unreadable.error,
                stored: &unreadable.spec,
            }),
        };
        let deleting = policy.meta().deletion_timestamp.is_some();
        PolicyFacts {
            name,
            spec,
            deleting,
            last_good: self.last_good.get(name),
        }
    }
}

fn guardrail_facts(guardrail: &Parsed<MailGuardrail>) -> GuardrailFacts<'_> {
    let name = guardrail.meta().name.as_deref().unwrap_or_default();
    let spec = match guardrail {
        Parsed::Readable(guardrail) => Ok(&guardrail.spec),
        Parsed::Unreadable(unreadable) => Err(unreadable.error.as_str()),
    };
    GuardrailFacts { name, spec }
}

fn account_facts(account: &Parsed<SendingAccount>) -> (&str, AccountFacts<'_>) {
    let facts = match account {
        Parsed::Readable(account) => {
            let quota = account.status.as_ref().and_then(|status| status.quota);
            AccountFacts::Known {
                spec: &account.spec,
                quota,
            }
        }
        Parsed::Unreadable(unreadable) => AccountFacts::Unreadable(&unreadable.error),
    };
    (account.meta().name.as_deref().unwrap_or_default(), facts)
}

/// What is known of a window; `None` before the API server has given it a time of creation.
fn window_facts(window: &MailWindow) -> Option<WindowFacts> {
    Some(WindowFacts {
        name: window.metadata.name.clone()?,
        created: window.metadata.creation_timestamp.as_ref()?.0,
        policy: window.spec.policy_ref.name.clone(),
        mode: window.spec.mode,
        from: window.spec.from.0,
        until: window.spec.until.0,
        opened: window.status.as_ref().is_some_and(|status| status.opened.is_some()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_namespace_are_its_own_and_in_order() {
        let index = Index::default();
        let key = |namespace: &str, name: &str| Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        for (namespace, name) in [("a", "z"), ("a", "b"), ("a-b", "c"), ("", "a"), ("b", "a")] {
            assert!(index.note(&key(namespace, name), 1));
        }
        assert!(!index.note(&key("a", "b"), 1));
        assert_eq!(index.names("a"), ["b", "z"]);
        index.forget(&key("a", "z"));
        assert_eq!((index.names("a").len(), index.keys().len()), (1, 4));
    }
}
