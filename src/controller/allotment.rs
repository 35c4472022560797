//! The allotment controller: one ceiling over many replicas. Hears every sidecar of a namespace, stores the ledger, then
//! writes each pod's share into its annotation.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod as KubePod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::PartialObjectMeta,
    runtime::controller::Action,
};
use serde_json::json;
use tracing::{debug, warn};

use super::{
    context::Context,
    error::Error,
    objects,
    publish::compiled,
    sidecars::{PUBLISHED, SidecarPod},
    world::Key,
};
use crate::{
    api::{MANAGER, MailPolicy, Parsed},
    clock,
    policy::{
        CompiledNamespace, Limits, Sourced,
        allotment::{ANNOTATION, Allotment, Farewell, Granted, Ledger, Pod, Word},
        ceiling::{NamespaceLimits, PolicyLimits},
    },
};

/// How the ledgers' ConfigMaps are named, in the operator's namespace: what app teams may edit is no ledger.
const LEDGER_PREFIX: &str = "mail-ledger-";
/// Their key.
const LEDGER_KEY: &str = "ledger.json";

/// Sidecars asked, and pods patched, at once.
const AT_ONCE: usize = 32;

/// How soon a pod that has just started is asked again, and for how long it counts as one: its first mail waits for it.
const STARTING_AGAIN: Duration = Duration::from_millis(500);
const STARTING: Duration = Duration::from_mins(1);

/// A ledger as it is stored.
#[derive(Clone, Debug, Default)]
struct Stored {
    ledger: Ledger,
    /// The version it was read or written with; `None` where there is none.
    version: Option<String>,
}

/// The ledgers of this leader, by namespace. What another leader stored meanwhile is seen when ours is refused.
#[derive(Default)]
pub struct Ledgers(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Stored>>>>>);

impl Ledgers {
    fn of(&self, namespace: &str) -> Arc<tokio::sync::Mutex<Option<Stored>>> {
        let mut ledgers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ledgers.entry(namespace.to_owned()).or_default())
    }

    /// The namespace is gone.
    pub fn forget(&self, namespace: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
    }
}

/// Farewells that are remembered of one namespace: those of one look; who is forgotten counts until its share expires.
const FAREWELLS_MAX: usize = 1_000;

/// The last words of sidecars, by namespace and pod's UID. A pod goes moments after its sidecar has left its message.
#[derive(Default)]
pub struct Farewells(Mutex<HashMap<String, HashMap<String, String>>>);

impl Farewells {
    /// Takes notice of a pod as the watch shows it.
    pub fn note(&self, namespace: &str, pod: SidecarPod) {
        let Some(message) = pod.farewell.filter(|_| pod.has_ended) else {
            return;
        };
        let mut farewells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let farewells = farewells.entry(namespace.to_owned()).or_default();
        if farewells.len() < FAREWELLS_MAX {
            farewells.insert(pod.uid, message);
        }
    }

    /// Those of a namespace, which are remembered no more.
    fn take(&self, namespace: &str) -> HashMap<String, String> {
        let mut farewells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        farewells.remove(namespace).unwrap_or_default()
    }
}

/// Reconciles the shares of one namespace.
pub fn reconcile(
    namespace: Arc<PartialObjectMeta<Namespace>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let name = namespace.name_any();
        let pods = context.world.pods.within(&name);
        tell_kubelet(&context, &name, &pods).await;
        if context.sidecars.changed(&name, &pods) {
            // Their statuses tell in how many pods a ceiling holds.
            let policies = context.world.policies.within(&name).into_iter();
            let policies = policies.filter(|policy| has_ceilings_per_recipient(policy));
            policies.for_each(|policy| context.queues.policies.push(Key::of(&*policy)));
        }
        let held = context.ledgers.of(&name);
        let mut held = held.lock().await;
        let stored = match held.take() {
            Some(stored) => stored,
            // Nothing was ever granted, and nobody asks.
            None if pods.is_empty() => return Ok(Action::await_change()),
            None => read(&context, &name).await?,
        };
        let limits = limits(&compiled(&context, &name, None).await?);
        let mut heard = hear(&context, &pods).await;
        // Of those that are gone already.
        let present: HashSet<&str> = pods.iter().map(|(_, pod)| pod.uid.as_str()).collect();
        let gone = context
            .farewells
            .take(&name)
            .into_iter()
            .filter(|(uid, _)| !present.contains(uid.as_str()));
        heard.extend(gone.map(|(uid, message)| Pod {
            uid,
            annotated: None,
            word: farewell(&message),
        }));
        let now = clock::now();
        let granted = stored.ledger.grant(&limits, &heard, now);
        if granted.beyond > 0 {
            warn!(
                namespace = name,
                pods = granted.beyond,
                "pods have no share: the namespace's ledger is full"
            );
        }
        let stored = if granted.store {
            store(&context, &name, stored.version, &granted).await?
        } else {
            Stored {
                ledger: granted.ledger.clone(),
                ..stored
            }
        };
        let is_over = stored.ledger.is_empty() && pods.is_empty();
        *held = Some(stored);
        write(&context, &pods, granted.patches).await?;
        if is_over {
            return Ok(Action::await_change());
        }
        Ok(Action::requeue(again(&pods, &heard, granted.next, now)))
    }
    .boxed()
}

fn has_ceilings_per_recipient(policy: &Parsed<MailPolicy>) -> bool {
    let ceilings = policy.readable().and_then(|policy| policy.spec.ceilings.as_ref());
    ceilings.is_some_and(|ceilings| ceilings.per_recipient.is_some())
}

/// When to look again.
fn again(pods: &[(Key, SidecarPod)], heard: &[Pod], next: Timestamp, now: Timestamp) -> Duration {
    let starts = |pod: &SidecarPod, heard: &Pod| {
        let is_young = pod.created.is_some_and(|at| clock::until(now, at) < STARTING);
        is_young && pod.allotment.is_none() && matches!(heard.word, Word::Silence)
    };
    if pods.iter().zip(heard).any(|((_, pod), heard)| starts(pod, heard)) {
        STARTING_AGAIN
    } else {
        clock::until(next, now).max(STARTING_AGAIN)
    }
}

/// What the namespace's ceilings are, whole.
fn limits(compiled: &CompiledNamespace) -> NamespaceLimits {
    let of = |limits: &Option<Sourced<Limits>>| limits.as_ref().map(|it| it.value.clone()).unwrap_or_default();
    let policies = compiled.policies.iter().map(|policy| {
        let effective = &policy.effective;
        let limits = PolicyLimits {
            recipients: effective.recipients.value.clone(),
            new_recipients: effective.new_recipients.value.clone(),
            per_recipient: Limits::default(),
        };
        (policy.name.clone(), limits)
    });
    NamespaceLimits {
        recipients: of(&compiled.bounds.recipients),
        new_recipients: of(&compiled.bounds.new_recipients),
        policies: policies.collect(),
    }
}

/// Asks every sidecar, in the order of the pods.
async fn hear(context: &Arc<Context>, pods: &[(Key, SidecarPod)]) -> Vec<Pod> {
    let ask = |(key, pod)| word(Arc::clone(context), key, pod);
    let asked: Vec<_> = pods.iter().cloned().map(ask).collect();
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

/// What is heard of one pod.
async fn word(context: Arc<Context>, key: Key, pod: SidecarPod) -> Pod {
    let word = match (pod.has_ended, pod.address) {
        (true, _) => pod.farewell.as_deref().map_or(Word::Ended, farewell),
        (false, None) => Word::Silence,
        (false, Some(address)) => match context.asker.ask(&address).await {
            Ok(report) => Word::Report(report),
            Err(error) => {
                debug!(pod = %key, %error, "nothing was heard of a sidecar");
                Word::Silence
            }
        },
    };
    Pod {
        uid: pod.uid,
        annotated: pod.allotment.as_deref().and_then(|text| Allotment::parse(text).ok()),
        word,
    }
}

fn farewell(text: &str) -> Word {
    match Farewell::parse(text) {
        Ok(farewell) => Word::Farewell(farewell),
        Err(error) => {
            debug!(%error, "a termination message is no farewell");
            Word::Ended
        }
    }
}

fn ledgers(context: &Context) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &context.namespace)
}

/// The ledger as it is stored. One that cannot be read grants nothing: what is out there is not known.
async fn read(context: &Context, namespace: &str) -> Result<Stored, Error> {
    let Some(object) = ledgers(context).get_opt(&format!("{LEDGER_PREFIX}{namespace}")).await? else {
        return Ok(Stored::default());
    };
    let version = object.resource_version();
    let text = object
        .data
        .and_then(|mut data| data.remove(LEDGER_KEY))
        .unwrap_or_default();
    Ok(Stored {
        ledger: Ledger::parse(&text)?,
        version,
    })
}

/// Stores the ledger, before anything is sent of it. Refused where another leader stored one meanwhile.
async fn store(
    context: &Context,
    namespace: &str,
    version: Option<String>,
    granted: &Granted,
) -> Result<Stored, Error> {
    // It outlives its namespace: one that is made anew under the same name begins with what was sent before.
    let name = format!("{LEDGER_PREFIX}{namespace}");
    let mut object = ConfigMap {
        data: Some(BTreeMap::from([(LEDGER_KEY.to_owned(), granted.ledger.text()?)])),
        ..ConfigMap::default()
    };
    object.metadata.name = Some(name.clone());
    object.metadata.labels = Some(BTreeMap::from([(
        "app.kubernetes.io/managed-by".to_owned(),
        MANAGER.to_owned(),
    )]));
    object.metadata.resource_version.clone_from(&version);
    let params = PostParams::default();
    let written = match version {
        Some(_) => ledgers(context).replace(&name, &params, &object).await?,
        None => ledgers(context).create(&params, &object).await?,
    };
    Ok(Stored {
        ledger: granted.ledger.clone(),
        version: written.resource_version(),
    })
}

/// Writes the allotments into the pods' annotations.
async fn write(
    context: &Arc<Context>,
    pods: &[(Key, SidecarPod)],
    patches: Vec<(String, Allotment)>,
) -> Result<(), Error> {
    let mut allotments: BTreeMap<String, Allotment> = patches.into_iter().collect();
    let mut texts = Vec::new();
    for (key, pod) in pods {
        if let Some(allotment) = allotments.remove(&pod.uid) {
            texts.push((key.clone(), ANNOTATION, allotment.text()?));
        }
    }
    annotate(context, texts).await;
    Ok(())
}

/// Lets kubelet read what it mounts anew, where that is other than it was told of: a stop reaches the sidecar within a
/// second then, and not within a minute.
async fn tell_kubelet(context: &Arc<Context>, namespace: &str, pods: &[(Key, SidecarPod)]) {
    let Some(published) = published(context, namespace) else {
        return;
    };
    let behind = pods
        .iter()
        .filter(|(_, pod)| !pod.has_ended && pod.published.as_ref() != Some(&published));
    let texts = behind.map(|(key, _)| (key.clone(), PUBLISHED, published.clone()));
    annotate(context, texts.collect()).await;
}

/// A word for what the namespace's pods mount.
fn published(context: &Context, namespace: &str) -> Option<String> {
    let known = |index: &super::world::Index<objects::Kept>, name: &str| {
        index.get(&Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    };
    let config = known(&context.world.sidecar_configs, objects::SIDECAR_CONFIG)?;
    let hashes = known(&context.world.suppression_hashes, objects::SUPPRESSION_HASHES);
    let hashes = hashes.map(|hashes| hashes.digest.to_string()).unwrap_or_default();
    Some(format!("{}{hashes}", config.digest))
}

/// Patches annotations.
async fn annotate(context: &Arc<Context>, texts: Vec<(Key, &'static str, String)>) {
    let write = |(key, name, text)| patch(Arc::clone(context), key, name, text);
    let patched: Vec<_> = texts.into_iter().map(write).collect();
    stream::iter(patched).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Patches one annotation. What does not arrive is tried again at the next look: a share that was not seen counts as given.
async fn patch(context: Arc<Context>, key: Key, name: &'static str, text: String) {
    let api: Api<KubePod> = Api::namespaced(context.client.clone(), &key.namespace);
    let patch = json!({ "metadata": { "annotations": { name: text } } });
    match api
        .patch_metadata(&key.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => debug!(pod = %key, "a pod is gone"),
        Err(error) => warn!(pod = %key, %error, "a pod's annotation was not written"),
    }
}
