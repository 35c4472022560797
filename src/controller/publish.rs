//! Writes a namespace's configuration: one at a time, and only what differs.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    context::Context,
    desired::tenant_name,
    error::{Error, is_terminating},
    objects::{self, Contents},
    world::{Key, Scene, Shelf},
};
use crate::{
    api::{MANAGER, Parsed, SendingAccountSpec},
    clock,
    metrics::OfKind,
    policy::{
        CompiledNamespace, SidecarConfig, compile,
        compile::LastGood,
        config::{ConfigAccount, SesFacts, render},
        suppressions::{Entries, HashKey},
    },
    ses::name::SetName,
};

/// Writes configurations.
pub struct Publisher {
    /// From which each namespace's hash key is derived.
    master_key: Vec<u8>,
    turns: Mutex<HashMap<String, Arc<Turn>>>,
    writings: Mutex<HashMap<(String, Key), Writing>>,
}

/// A namespace's turn to be published. Requests that come while one is carried out wait for the next, which is one for
/// all of them: a change of a hundred policies at once is not written a hundred times.
#[derive(Default)]
struct Turn {
    /// Requests so far.
    asked: AtomicU64,
    /// How many of them have been carried out.
    done: tokio::sync::Mutex<u64>,
}

/// What was written last, and what the watch showed at that time: until it shows something else, the writing stands. Once
/// the watch has shown the writing itself, only that stands.
struct Writing {
    wanted: String,
    seen: Option<String>,
}

/// What was published of a namespace.
#[derive(Debug, Default)]
pub struct Published {
    /// Whether anything was written.
    pub written: bool,
    /// Which entries cannot be read; while any, the suppressions that were published before stay.
    pub unreadable_suppressions: Vec<String>,
}

impl Publisher {
    /// A publisher whose hashes are keyed with this installation's key.
    #[must_use]
    pub fn new(master_key: Vec<u8>) -> Self {
        Self {
            master_key,
            turns: Mutex::default(),
            writings: Mutex::default(),
        }
    }

    fn turn(&self, namespace: &str) -> Arc<Turn> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(namespace.to_owned()).or_default())
    }

    /// Publishes what holds in the namespace at this moment.
    ///
    /// A namespace that has left its guardrails, and is kept no more, gets a configuration that lets nothing leave; one
    /// that never had a configuration gets none.
    ///
    /// # Errors
    /// When the API server does not take an object. A namespace that is being terminated needs none.
    pub async fn publish(&self, context: &Context, namespace: &str) -> Result<Published, Error> {
        let turn = self.turn(namespace);
        let request = turn.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut done = turn.done.lock().await;
        if *done >= request {
            // A publication that began after this request has carried it out.
            return Ok(Published::default());
        }
        let answered = turn.asked.load(Ordering::Relaxed);
        let published = self.publish_now(context, namespace).await?;
        *done = answered;
        Ok(published)
    }

    async fn publish_now(&self, context: &Context, namespace: &str) -> Result<Published, Error> {
        if !context.world.is_kept(namespace) && context.world.sidecar_configs.names(namespace).is_empty() {
            return Ok(Published::default());
        }
        let written = self.write(context, namespace).await;
        match written {
            Err(Error::Kube(error)) if is_terminating(&error) => Ok(Published::default()),
            written => written,
        }
    }

    async fn write(&self, context: &Context, namespace: &str) -> Result<Published, Error> {
        let scene = scene(context, namespace, None).await?;
        let compiled = compile(&scene.facts());
        let account = account_spec(context, &compiled);
        let (entries, unreadable) = suppressions(context, namespace).await?;
        let key = HashKey::for_namespace(&self.master_key, namespace);
        let (hashes, mut revision) = objects::suppression_hashes(namespace, &entries, &key);
        let mut written = false;
        if unreadable.is_empty() {
            written |= self.apply(context, &context.world.suppression_hashes, &hashes).await?;
        } else if let Some(before) = published_revision(context, namespace) {
            revision = before;
        }
        let region = account.as_ref().map(|(_, spec)| spec.region.as_str());
        written |= self
            .apply(
                context,
                &context.world.env_configs,
                &objects::env_config(namespace, region),
            )
            .await?;
        let config = render(
            namespace,
            &compiled,
            account.as_ref().map(config_account),
            revision,
            |policy| ses_facts(context, namespace, policy, account.as_ref().map(|(_, spec)| spec)),
        );
        let config = objects::sidecar_config(namespace, config.text()?, &compiled.guardrails);
        written |= self.apply(context, &context.world.sidecar_configs, &config).await?;
        Ok(Published {
            written,
            unreadable_suppressions: unreadable,
        })
    }

    /// Writes the object unless it stands so already; whether it was written.
    async fn apply<K>(&self, context: &Context, shelf: &Shelf<K>, object: &K) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Contents
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let key = Key::of(object);
        let wanted = objects::digest_of(object);
        let seen = shelf.get(&key).and_then(|standing| objects::digest(&*standing));
        let place = (K::kind(&()).into_owned(), key.clone());
        if self.stands(&place, &wanted, seen.as_ref()) {
            return Ok(false);
        }
        let api: Api<K> = Api::namespaced(context.client.clone(), &key.namespace);
        api.patch(&key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
            .await?;
        context
            .metrics
            .api_writes
            .get_or_create(&OfKind { kind: "managed-object" })
            .inc();
        let mut writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        // The watch may have been quicker than the answer.
        let now = shelf.get(&key).and_then(|standing| objects::digest(&*standing));
        let seen = if now.as_ref() == Some(&wanted) { now } else { seen };
        writings.insert(place, Writing { wanted, seen });
        Ok(true)
    }

    /// Whether the watch shows an object of the namespace that is neither what was written last nor what was seen then.
    #[must_use]
    pub fn was_edited(&self, context: &Context, namespace: &str) -> bool {
        let writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        let edited = |kind: &str, name: &str, seen: Option<String>| {
            let key = Key {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            let writing = writings.get(&(kind.to_owned(), key));
            writing.is_some_and(|writing| seen.as_ref() != Some(&writing.wanted) && seen != writing.seen)
        };
        let key = |name: &str| Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let world = &context.world;
        [
            (&world.sidecar_configs, objects::SIDECAR_CONFIG),
            (&world.env_configs, objects::ENV_CONFIG),
        ]
        .iter()
        .any(|(shelf, name)| {
            edited(
                "ConfigMap",
                name,
                shelf.get(&key(name)).and_then(|config| objects::digest(&*config)),
            )
        }) || {
            let name = objects::SUPPRESSION_HASHES;
            let seen = world
                .suppression_hashes
                .get(&key(name))
                .and_then(|secret| objects::digest(&*secret));
            edited("Secret", name, seen)
        }
    }

    /// The watch shows an object anew. From the moment it shows what was written, what it showed before that no longer
    /// excuses anything: an object that is deleted or changed back is put right.
    pub fn saw(&self, kind: &str, key: &Key, digest: Option<String>) {
        let mut writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writing) = writings.get_mut(&(kind.to_owned(), key.clone()))
            && digest.as_ref() == Some(&writing.wanted)
        {
            writing.seen = digest;
        }
    }

    fn stands(&self, place: &(String, Key), wanted: &String, seen: Option<&String>) -> bool {
        let writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        match writings.get(place) {
            Some(writing) => writing.wanted == *wanted && (seen == Some(wanted) || seen == writing.seen.as_ref()),
            None => seen == Some(wanted),
        }
    }
}

/// What decides over the namespace, with what was published before of policies that cannot be compiled now.
pub async fn scene(context: &Context, namespace: &str, policy: Option<&str>) -> Result<Scene, Error> {
    let scene = |last_good| {
        context
            .world
            .scene(namespace, policy, last_good, context.clock(), clock::now())
    };
    let first = scene(HashMap::new());
    if compile(&first.facts())
        .policies
        .iter()
        .all(|policy| policy.errors.is_empty())
    {
        return Ok(first);
    }
    Ok(scene(last_good(context, namespace).await?))
}

/// What is published now, by policy.
async fn last_good(context: &Context, namespace: &str) -> Result<HashMap<String, LastGood>, Error> {
    let configs: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let Some(config) = configs.get_opt(objects::SIDECAR_CONFIG).await? else {
        return Ok(HashMap::new());
    };
    let text = config
        .data
        .and_then(|mut data| data.remove(objects::SIDECAR_KEY))
        .unwrap_or_default();
    // What cannot be read is no last good one: then nothing may leave.
    let policies = SidecarConfig::parse(&text)
        .map(|config| config.policies)
        .unwrap_or_default();
    Ok(policies
        .into_iter()
        .filter_map(|policy| Some((policy.name.clone(), policy.last_good()?)))
        .collect())
}

/// The account in use.
pub fn account_spec(context: &Context, compiled: &CompiledNamespace) -> Option<(String, SendingAccountSpec)> {
    let name = &compiled.account.as_ref()?.value;
    let account = context.world.accounts.get(&Key {
        namespace: String::new(),
        name: name.clone(),
    })?;
    Some((name.clone(), account.readable()?.spec.clone()))
}

fn config_account((name, spec): &(String, SendingAccountSpec)) -> ConfigAccount {
    ConfigAccount {
        name: name.clone(),
        region: spec.region.clone(),
        endpoint_url: spec.endpoint_url.clone(),
    }
}

fn ses_facts(context: &Context, namespace: &str, policy: &str, account: Option<&SendingAccountSpec>) -> SesFacts {
    let key = Key {
        namespace: namespace.to_owned(),
        name: policy.to_owned(),
    };
    SesFacts {
        configuration_set: account
            .map(|account| SetName::of_policy(&account.cluster_id, namespace, policy).to_string())
            .unwrap_or_default(),
        tenant: account
            .and_then(|account| tenant_name(account, namespace))
            .map(|tenant| tenant.to_string()),
        programmed: context.is_programmed(&key),
    }
}

fn published_revision(context: &Context, namespace: &str) -> Option<String> {
    let key = Key {
        namespace: namespace.to_owned(),
        name: objects::SUPPRESSION_HASHES.to_owned(),
    };
    context
        .world
        .suppression_hashes
        .get(&key)?
        .annotations()
        .get(objects::REVISION)
        .cloned()
}

/// The namespace's entries in force, and which cannot be read.
async fn suppressions(context: &Context, namespace: &str) -> Result<(Entries, Vec<String>), Error> {
    let (mut entries, mut unreadable) = (Entries::default(), Vec::new());
    let suppressions = context.world.suppressions.within(namespace);
    let mut list = None;
    for suppression in &suppressions {
        let name = suppression.name_any();
        let Parsed::Readable(suppression) = &**suppression else {
            unreadable.push(name);
            continue;
        };
        let key = suppression.spec.from_secret.as_ref().map(|from| from.key.as_str());
        if key.is_some() && list.is_none() {
            let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
            list = Some(
                secrets
                    .get_opt(objects::SUPPRESSION_LIST)
                    .await?
                    .and_then(|secret| secret.data)
                    .unwrap_or_default(),
            );
        }
        let lines = key.map(|key| {
            list.as_ref()
                .and_then(|list| list.get(key))
                .map(|bytes| std::str::from_utf8(&bytes.0))
        });
        let lines = match lines {
            None => Ok(None),
            Some(Some(Ok(lines))) => Ok(Some(lines)),
            Some(None | Some(Err(_))) => Err(()),
        };
        match lines
            .ok()
            .and_then(|lines| Entries::read(&suppression.spec, lines).ok())
        {
            Some(read) => entries.extend(read),
            None => unreadable.push(name),
        }
    }
    Ok((entries.at(clock::now()), unreadable))
}
