//! From watches to stores and queues: which change concerns which objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::Hash,
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, reflector::store::Writer, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{
    context::Context,
    publish::shown,
    queue::KeyQueue,
    world::{Index, Key, World, mark},
};
use crate::{
    api::{
        MailGuardrail, MailPolicy, MailSuppression, MailWindow, Parsed, SendingAccount,
        condition::{is_false, kind},
    },
    metrics::OfKind,
};

/// Keys to reconcile, by kind.
#[derive(Clone, Default)]
pub struct Queues {
    /// Accounts.
    pub accounts: KeyQueue<Key>,
    /// Guardrails.
    pub guardrails: KeyQueue<Key>,
    /// Namespaces, by name.
    pub namespaces: KeyQueue<Key>,
    /// Policies.
    pub policies: KeyQueue<Key>,
    /// Windows.
    pub windows: KeyQueue<Key>,
    /// Suppressions.
    pub suppressions: KeyQueue<Key>,
    /// Namespaces, by name, whose pods share ceilings.
    pub allotments: KeyQueue<Key>,
}

/// Objects of one page of a first list. A page is held as text and as objects at once, of every kind at the same time, and
/// an object has some 10 KB.
pub const PAGE: u32 = 100;

/// A watch of one kind: what it fills, and what its changes concern.
pub struct Feed<K: Resource<DynamicType = ()> + Clone + 'static, V> {
    /// The kind, for metrics.
    pub kind: &'static str,
    /// What to watch.
    pub api: Api<K>,
    /// How to watch it.
    pub config: watcher::Config,
    /// Cuts away what nobody reads.
    pub trim: fn(&mut K),
    /// Fills the store, of a kind whose objects are kept.
    pub writer: Option<Writer<K>>,
    /// Where the index stands.
    pub index: fn(&World) -> &Index<V>,
    /// What the index knows of an object.
    pub known: fn(&K) -> V,
    /// Takes notice of an object that the store shows.
    pub shown: fn(&Context, &K),
    /// Queues what a change concerns.
    pub concerns: fn(&Context, &Key),
}

impl<K, V> Feed<K, V>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    V: Clone + PartialEq,
{
    /// Feeds store and index until the watch ends, which it does not: it begins again after each error, waiting longer.
    pub async fn run(mut self, context: Arc<Context>) {
        let trim = self.trim;
        let mut events = watcher(self.api.clone(), self.config.clone())
            .modify(trim)
            .default_backoff()
            .boxed();
        let mut listed = BTreeMap::new();
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    let index = (self.index)(&context.world);
                    let concerned = take(self.writer.as_mut(), index, self.known, &event, &mut listed);
                    if let watcher::Event::Apply(object) = &event {
                        (self.shown)(&context, object);
                    }
                    concerned.iter().for_each(|key| (self.concerns)(&context, key));
                }
                Ok(None) => return,
                Err(error) => {
                    context
                        .metrics
                        .watch_errors
                        .get_or_create(&OfKind { kind: self.kind.into() })
                        .inc();
                    warn!(kind = self.kind, %error, "the watch broke and begins again");
                }
            }
        }
    }
}

/// Takes an event into the store and the index; the keys whose objects changed, once the store shows them as they are.
///
/// A list is shown only when it is complete. Whoever looked at a key before would see the past, and would not be told
/// again. `listed` keeps what is known of a list that is under way.
fn take<K: Resource<DynamicType = ()> + Clone + 'static, V: Clone + PartialEq>(
    writer: Option<&mut Writer<K>>,
    index: &Index<V>,
    known: fn(&K) -> V,
    event: &watcher::Event<K>,
    listed: &mut BTreeMap<Key, V>,
) -> Vec<Key> {
    let concerned = match event {
        watcher::Event::Init => {
            listed.clear();
            Vec::new()
        }
        watcher::Event::InitApply(object) => {
            listed.insert(Key::of(object), known(object));
            Vec::new()
        }
        watcher::Event::InitDone => {
            let listed = std::mem::take(listed);
            let mut concerned: Vec<Key> = index
                .keys()
                .into_iter()
                .filter(|key| !listed.contains_key(key))
                .collect();
            concerned.iter().for_each(|gone| index.forget(gone));
            concerned.extend(
                listed
                    .into_iter()
                    .filter_map(|(key, known)| index.note(&key, known).then_some(key)),
            );
            concerned
        }
        watcher::Event::Apply(object) => {
            let key = Key::of(object);
            if index.note(&key, known(object)) {
                vec![key]
            } else {
                Vec::new()
            }
        }
        watcher::Event::Delete(object) => {
            let key = Key::of(object);
            index.forget(&key);
            vec![key]
        }
    };
    if let Some(writer) = writer {
        writer.apply_watcher_event(event);
    }
    // Who waits for the first list finds store and index whole.
    if matches!(event, watcher::Event::InitDone) {
        index.note_listed();
    }
    concerned
}

/// What of any object calls for a reconciliation: not the status, which is ours.
///
/// Whether it can be read belongs to it: a changed definition can make the same object readable.
fn intent<K: Resource>(object: &Parsed<K>) -> impl Hash + use<K> {
    let error = match object {
        Parsed::Readable(_) => None,
        Parsed::Unreadable(unreadable) => Some(unreadable.error.clone()),
    };
    intent_of(object.meta(), error)
}

fn intent_of(meta: &ObjectMeta, error: Option<String>) -> impl Hash + use<> {
    (
        error,
        meta.uid.clone(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
        meta.annotations.clone(),
        meta.finalizers.clone(),
    )
}

/// The mark of an object that can be read, of which nothing but that matters.
pub(super) fn intent_mark(object: &impl Resource) -> u64 {
    mark(intent_of(object.meta(), None))
}

/// Everything of a namespace.
fn concern_namespace(context: &Context, namespace: &str) {
    let key = |name: String| Key {
        namespace: namespace.to_owned(),
        name,
    };
    context.queues.namespaces.push(Key {
        namespace: String::new(),
        name: namespace.to_owned(),
    });
    context
        .world
        .policies
        .names(namespace)
        .into_iter()
        .for_each(|name| context.queues.policies.push(key(name)));
    context
        .world
        .windows
        .names(namespace)
        .into_iter()
        .for_each(|name| context.queues.windows.push(key(name)));
    context
        .world
        .suppressions
        .names(namespace)
        .into_iter()
        .for_each(|name| context.queues.suppressions.push(key(name)));
}

pub(super) fn account_mark(account: &Parsed<SendingAccount>) -> u64 {
    // The quota is the operator's own finding, and decides where nobody says ceilings.
    let status = account.readable().and_then(|account| account.status.as_ref());
    let quota = status.and_then(|status| status.quota);
    let quota = quota.map(|quota| (quota.max24_hours, quota.max_per_second.to_bits()));
    // So is whether all ceilings together are within it, which policies repeat.
    let exceeded = status.is_some_and(|status| is_false(&status.conditions, kind::WITHIN_QUOTA));
    mark((intent(account), quota, exceeded))
}

pub(super) fn account_concerns(context: &Context, key: &Key) {
    context.queues.accounts.push(key.clone());
    if context.world.accounts.get(key).is_none() {
        context.written_accounts.forget(key);
    }
    for guardrail in context.world.guardrails.within("") {
        let names_it = match &*guardrail {
            Parsed::Readable(guardrail) => guardrail
                .spec
                .account_ref
                .as_ref()
                .is_some_and(|named| named.name == key.name),
            Parsed::Unreadable(_) => true,
        };
        if names_it {
            let namespaces = context.world.namespaces_under(&Key::of(&*guardrail));
            namespaces
                .iter()
                .for_each(|namespace| concern_namespace(context, namespace));
        }
    }
}

pub(super) fn guardrail_mark(guardrail: &Parsed<MailGuardrail>) -> u64 {
    mark(intent(guardrail))
}

pub(super) fn guardrail_concerns(context: &Context, key: &Key) {
    context.queues.guardrails.push(key.clone());
    // Whom it bound before is not known for certain: the present configurations tell, but a watch may lag behind. Every
    // namespace looks again, which writes nothing where nothing changed.
    let world = &context.world;
    let kept = world
        .sidecar_configs
        .keys()
        .into_iter()
        .chain(world.policies.keys())
        .map(|key| key.namespace);
    let bound: BTreeSet<String> = kept.chain(world.namespaces_under(key)).collect();
    bound.iter().for_each(|namespace| concern_namespace(context, namespace));
    // An account in use cannot be deleted: whoever names it has changed.
    context
        .world
        .accounts
        .keys()
        .into_iter()
        .for_each(|account| context.queues.accounts.push(account));
}

pub(super) fn policy_mark(policy: &Parsed<MailPolicy>) -> u64 {
    mark(intent(policy))
}

pub(super) fn policy_concerns(context: &Context, key: &Key) {
    context.queues.policies.push(key.clone());
    context.queues.namespaces.push(Key {
        namespace: String::new(),
        name: key.namespace.clone(),
    });
    if context.world.policies.get(key).is_none() {
        context.forget_policy(key);
    }
    for window in context.world.windows.within(&key.namespace) {
        if window
            .readable()
            .is_none_or(|window| window.spec.policy_ref.name == key.name)
        {
            context.queues.windows.push(Key::of(&*window));
        }
    }
}

pub(super) fn window_mark(window: &Parsed<MailWindow>) -> u64 {
    // That it was seen open decides while the clock is doubted.
    let opened = window
        .readable()
        .is_some_and(|window| window.status.as_ref().is_some_and(|s| s.opened.is_some()));
    mark((intent(window), opened))
}

pub(super) fn window_concerns(context: &Context, key: &Key) {
    context.queues.windows.push(key.clone());
    // Whose window it was is not known any more once it is gone: each policy looks again, which costs no call.
    concern_namespace(context, &key.namespace);
}

pub(super) fn suppression_mark(suppression: &Parsed<MailSuppression>) -> u64 {
    mark(intent(suppression))
}

pub(super) fn suppression_concerns(context: &Context, key: &Key) {
    context.queues.suppressions.push(key.clone());
    context.queues.namespaces.push(Key {
        namespace: String::new(),
        name: key.namespace.clone(),
    });
    if context.world.suppressions.get(key).is_none() {
        context.lists.forget(key);
        context.written_suppressions.forget(key);
    }
}

pub(super) fn namespace_mark(namespace: &impl Resource) -> u64 {
    mark((
        namespace.meta().labels.clone(),
        namespace.meta().deletion_timestamp.is_some(),
    ))
}

pub(super) fn namespace_concerns(context: &Context, key: &Key) {
    if context.world.namespaces.get(key).is_none() {
        context.publisher.forget(&key.name);
        context.ceilings.forget(&key.name);
        context.ledgers.forget(&key.name);
    }
    concern_namespace(context, &key.name);
    context
        .world
        .guardrails
        .keys()
        .into_iter()
        .for_each(|guardrail| context.queues.guardrails.push(guardrail));
}

/// What pods mount, and what of it is theirs.
fn concern_pods(context: &Context, namespace: &str) {
    if !context.world.pods.names(namespace).is_empty() {
        context.queues.allotments.push(Key {
            namespace: String::new(),
            name: namespace.to_owned(),
        });
    }
}

pub(super) fn pod_concerns(context: &Context, key: &Key) {
    context.queues.allotments.push(Key {
        namespace: String::new(),
        name: key.namespace.clone(),
    });
}

pub(super) fn managed_concerns(context: &Context, key: &Key) {
    concern_pods(context, &key.namespace);
    if context.publisher.is_own(key, shown(context, key)) {
        return;
    }
    context.queues.namespaces.push(Key {
        namespace: String::new(),
        name: key.namespace.clone(),
    });
}

pub(super) fn list_concerns(context: &Context, key: &Key) {
    concern_namespace(context, &key.namespace);
}

/// Takes away what nobody reads of an object.
pub(super) fn trim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// As [`trim`], for pods, of which only what [`SidecarPod`](super::sidecars::SidecarPod) keeps matters.
pub(super) fn trim_to_sidecar(pod: &mut Pod) {
    trim(pod);
    pod.spec = None;
}

/// As [`trim`], for objects of which only the labels matter, and that they go.
pub(super) fn trim_to_labels<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    *meta = ObjectMeta {
        name: meta.name.take(),
        uid: meta.uid.take(),
        labels: meta.labels.take(),
        deletion_timestamp: meta.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use kube::runtime::{reflector, watcher::Event};
    use serde_json::json;

    use super::*;
    use crate::controller::world::Shelf;

    struct Bench {
        writer: Writer<Parsed<MailGuardrail>>,
        shelf: Shelf<Parsed<MailGuardrail>>,
        listed: BTreeMap<Key, u64>,
    }

    impl Bench {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self {
                writer,
                shelf: Shelf::new(store),
                listed: BTreeMap::new(),
            }
        }

        /// Takes the events; the names that changed, each with what the store shows of it at that moment.
        fn take(&mut self, events: impl IntoIterator<Item = Event<Parsed<MailGuardrail>>>) -> Vec<(String, bool)> {
            let mut told = Vec::new();
            for event in events {
                let (writer, index) = (&mut self.writer, self.shelf.index());
                let keys = take(Some(writer), index, guardrail_mark, &event, &mut self.listed);
                told.extend(keys.into_iter().map(|key| {
                    let there = self.shelf.get(&key).is_some();
                    (key.name, there)
                }));
            }
            told
        }
    }

    fn guardrail(name: &str, mode: &str) -> Parsed<MailGuardrail> {
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailGuardrail",
            "metadata": {"name": name, "generation": 1}, "spec": {"maxMode": mode},
        }))
        .unwrap()
    }

    fn list<const N: usize>(objects: [Parsed<MailGuardrail>; N]) -> Vec<Event<Parsed<MailGuardrail>>> {
        let objects = objects.into_iter().map(Event::InitApply);
        [Event::Init]
            .into_iter()
            .chain(objects)
            .chain([Event::InitDone])
            .collect()
    }

    fn told<const N: usize>(names: [(&str, bool); N]) -> Vec<(String, bool)> {
        names.map(|(name, there)| (name.to_owned(), there)).into()
    }

    #[test]
    fn what_a_new_list_adds_or_lacks_is_told_once_the_store_shows_it() {
        let mut bench = Bench::new();
        let first = list([guardrail("a", "Live"), guardrail("b", "Live")]);
        assert_eq!(bench.take(first), told([("a", true), ("b", true)]));

        let second = list([guardrail("a", "Live"), guardrail("c", "Live")]);

        assert_eq!(bench.take(second), told([("b", false), ("c", true)]));
    }

    #[test]
    fn an_object_that_can_be_read_no_more_is_told_of_although_nothing_else_of_it_changed() {
        let mut bench = Bench::new();
        bench.take(list([guardrail("a", "Live")]));
        assert_eq!(bench.take([Event::Apply(guardrail("a", "Live"))]), told([]));
        assert_eq!(
            bench.take([Event::Apply(guardrail("a", "Everything"))]),
            told([("a", true)])
        );
    }

    #[test]
    fn a_deleted_object_is_told_of_when_it_is_gone() {
        let mut bench = Bench::new();
        bench.take([Event::Apply(guardrail("a", "Live"))]);
        assert_eq!(
            bench.take([Event::Delete(guardrail("a", "Live"))]),
            told([("a", false)])
        );
    }
}
