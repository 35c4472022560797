//! Writes a namespace's configuration: one at a time, and only what differs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use data_encoding::HEXLOWER;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use tracing::warn;

use super::{
    context::Context,
    desired::{desired_set, tenant_name},
    error::{Error, is_immutable, is_terminating},
    objects::{self, ContentDigest, Contents, Kept},
    record::RecordKey,
    suppressed::{self, Suppressed},
    world::{Index, Key},
};
use crate::{
    api::{MANAGER, MailPolicySpec, Mode, SendingAccountSpec},
    clock,
    metrics::OfKind,
    policy::{
        CompiledNamespace, CompiledPolicy, compile,
        config::{ConfigAccount, ConfigError, SesFacts, TEXT_MAX, render},
        keyed::mac,
        last_accepted::{self, SealKey},
        suppressions::HashKey,
    },
    ses::{address::Identity, name::SetName},
};

/// Writes configurations.
pub struct Publisher {
    /// From which the keys of hashes, seals and records are derived.
    master_key: Vec<u8>,
    turns: Mutex<HashMap<String, Arc<Turn>>>,
    /// By object: the names of what is written differ.
    writings: Mutex<HashMap<Key, Writing>>,
}

/// A namespace's turn to be published. Requests that come while one is carried out wait for the next, which is one for
/// all of them: a change of a hundred policies at once is not written a hundred times.
#[derive(Default)]
struct Turn {
    /// Requests so far.
    asked: AtomicU64,
    /// How many of them have been carried out, and what came of the last.
    done: tokio::sync::Mutex<(u64, Published)>,
}

/// What was written last, and what the watch may still show from before it: until it shows something else, the writing
/// stands.
struct Writing {
    wanted: ContentDigest,
    /// What was seen at that time and what was written since then; empty once the watch has shown what was written.
    earlier: Vec<Option<ContentDigest>>,
}

impl Writing {
    /// A writing while the watch shows `seen`, perhaps not yet the one before.
    fn new(wanted: ContentDigest, seen: Option<ContentDigest>, before: Option<Self>) -> Self {
        let mut earlier = vec![seen];
        if let Some(before) = before.filter(|before| !before.earlier.is_empty()) {
            earlier.push(Some(before.wanted));
            earlier.extend(before.earlier);
            earlier.truncate(EARLIER_MAX);
        }
        Self { wanted, earlier }
    }

    /// Whether the watch shows this writing, or has not come to it yet.
    fn explains(&self, seen: Option<ContentDigest>) -> bool {
        seen == Some(self.wanted) || self.earlier.contains(&seen)
    }
}

/// What is noted as written and is not yet: dropped so, also where the writing is broken off, nothing is known of it.
struct Unwritten<'a>(&'a Publisher, &'a Key);

impl Unwritten<'_> {
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.0.note(self.1, None);
    }
}

/// A revision that no Secret has.
const UNPUBLISHED: &str = "unpublished";

/// So far behind a watch may be; one that is further behind costs a writing too many.
const EARLIER_MAX: usize = 8;

/// What was published of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The MailSuppressions whose entries do not fit beside the others'.
    pub left_out: BTreeSet<String>,
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

    /// The key that authenticates the record of one suppression.
    pub(super) fn record_key(&self, suppression: &Key) -> RecordKey {
        RecordKey::new(&self.master_key, suppression)
    }

    /// By what a status remembers an identity of an account, which may be an address.
    pub(super) fn seal_hash(&self, account: &str, identity: &Identity) -> String {
        let parts = [b"identity-seal", account.as_bytes(), identity.as_str().as_bytes()];
        HEXLOWER.encode(&mac(&self.master_key, &parts)[..16])
    }

    /// The key of the seal on what is kept of a namespace's policies.
    fn seal_key(&self, namespace: &str) -> SealKey {
        SealKey::for_namespace(&self.master_key, namespace)
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
        let (answered, published) = &mut *done;
        if *answered < request {
            let asked = turn.asked.load(Ordering::Relaxed);
            let before = std::mem::replace(published, self.publish_now(context, namespace).await?);
            // Whoever fits now, or fits no more, says so.
            let changed = before.left_out.symmetric_difference(&published.left_out);
            for name in changed.cloned() {
                let namespace = namespace.to_owned();
                context.queues.suppressions.push(Key { namespace, name });
            }
            // Also those that came before it began.
            *answered = asked;
        }
        Ok(published.clone())
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
        let compiled = compiled(context, namespace, None).await?;
        context.ceilings.note(namespace, &compiled);
        let mut suppressed = suppressed::of_namespace(context, namespace).await?;
        let account = account_spec(context, &compiled);
        let revision = self.publish_suppressed(context, namespace, &mut suppressed).await?;
        let region = account.as_ref().map(|(_, spec)| spec.region.as_str());
        let env = objects::env_config(namespace, region);
        self.apply(context, &context.world.env_configs, &env).await?;
        let config = render(
            namespace,
            &compiled,
            account.as_ref().map(config_account),
            revision,
            |policy| ses_facts(context, namespace, policy, account.as_ref()),
        );
        // What is too large is published closed: nothing leaves, and the error says why.
        let (text, too_large) = match config.text() {
            Ok(text) => (text, None),
            Err(error) => (config.closed(&error).text()?, Some(error)),
        };
        let accepted = last_accepted::text(&compiled.policies, &self.seal_key(namespace)).map_err(ConfigError::from)?;
        // Both in one object, so that one write tells of both. Where they do not fit, the configuration comes first.
        let room = TEXT_MAX.saturating_sub(text.len());
        let accepted = accepted.filter(|accepted| fits(namespace, accepted, room));
        let config = objects::sidecar_config(namespace, text, accepted, &compiled.guardrails);
        self.apply(context, &context.world.sidecar_configs, &config).await?;
        if let Some(error) = too_large {
            return Err(error.into());
        }
        Ok(Published {
            left_out: suppressed.left_out,
        })
    }

    /// Writes the hashes of who is suppressed; their revision. Of what cannot be read now what stands stays; where it would
    /// be lost nothing is written, and without a Secret that has it nothing may be sent.
    async fn publish_suppressed(
        &self,
        context: &Context,
        namespace: &str,
        suppressed: &mut Suppressed,
    ) -> Result<String, Error> {
        let standing = if suppressed.is_whole() {
            None
        } else {
            let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
            secrets.get_opt(objects::SUPPRESSION_HASHES).await?
        };
        let is_lost = standing.is_none() && suppressed.lacks_published;
        let key = HashKey::for_namespace(&self.master_key, namespace);
        let hashes = objects::suppression_hashes(namespace, &suppressed.entries, &key, standing.as_ref());
        let Some((hashes, revision)) = hashes.filter(|_| !is_lost) else {
            warn!(
                namespace,
                "the hashes of suppressed addresses stay as they are: some of them cannot be read now"
            );
            suppressed.leave_out_all();
            let revision = standing.and_then(|standing| standing.annotations().get(objects::REVISION).cloned());
            return Ok(revision.unwrap_or_else(|| UNPUBLISHED.to_owned()));
        };
        self.apply(context, &context.world.suppression_hashes, &hashes).await?;
        Ok(revision)
    }

    /// Writes the object unless it stands so already.
    async fn apply<K>(&self, context: &Context, index: &Index<Kept>, object: &K) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Contents
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let key = Key::of(object);
        let wanted = ContentDigest::of(object);
        let seen = index.get(&key).map(|standing| standing.digest);
        if self.stands(&key, wanted, seen) {
            return Ok(());
        }
        let api: Api<K> = Api::namespaced(context.client.clone(), &key.namespace);
        // Noted before the watch can show it.
        self.note(&key, Some((wanted, seen)));
        let unwritten = Unwritten(self, &key);
        let params = PatchParams::apply(MANAGER).force();
        // Of the answer only that it came is of interest: its metadata is the least of it.
        let mut written = api.patch_metadata(&key.name, &params, &Patch::Apply(object)).await;
        if written.as_ref().is_err_and(is_immutable) {
            api.delete(&key.name, &DeleteParams::default()).await?;
            written = api.patch_metadata(&key.name, &params, &Patch::Apply(object)).await;
        }
        written?;
        unwritten.done();
        context
            .metrics
            .api_writes
            .get_or_create(&OfKind {
                kind: "managed-object".into(),
            })
            .inc();
        Ok(())
    }

    /// Notes what is written while the watch shows this, or that nothing is known to be written.
    fn note(&self, key: &Key, writing: Option<(ContentDigest, Option<ContentDigest>)>) {
        let mut writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = writings.remove(key);
        if let Some((wanted, seen)) = writing {
            writings.insert(key.clone(), Writing::new(wanted, seen, before));
        }
    }

    /// Whether what the watch shows of an object is but what was written here: then there is nothing to do.
    ///
    /// Once the last writing was shown, whatever else the watch shows is somebody's edit; so it is once the object is gone.
    pub fn is_own(&self, key: &Key, seen: Option<ContentDigest>) -> bool {
        let mut writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writing) = writings.get_mut(key) else {
            return false;
        };
        let own = seen.is_some() && writing.explains(seen);
        if seen.is_none_or(|seen| seen == writing.wanted) {
            writing.earlier = Vec::new();
        }
        own
    }

    /// Whether this run has written the namespace's configuration: one that is not there then was deleted.
    #[must_use]
    pub fn has_written(&self, namespace: &str) -> bool {
        let key = Key {
            namespace: namespace.to_owned(),
            name: objects::SIDECAR_CONFIG.to_owned(),
        };
        self.writings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&key)
    }

    /// The namespace is gone.
    pub fn forget(&self, namespace: &str) {
        self.turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
        for name in [
            objects::SIDECAR_CONFIG,
            objects::ENV_CONFIG,
            objects::SUPPRESSION_HASHES,
        ] {
            let key = Key {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            self.note(&key, None);
        }
    }

    /// Whether the watch shows an object of the namespace that is neither what was written last nor what was seen then.
    #[must_use]
    pub fn was_edited(&self, context: &Context, namespace: &str) -> bool {
        let writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        let edited = |name: &str| {
            let key = Key {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            let seen = shown(context, &key);
            writings.get(&key).is_some_and(|writing| !writing.explains(seen))
        };
        [
            objects::SIDECAR_CONFIG,
            objects::ENV_CONFIG,
            objects::SUPPRESSION_HASHES,
        ]
        .into_iter()
        .any(edited)
    }

    fn stands(&self, key: &Key, wanted: ContentDigest, seen: Option<ContentDigest>) -> bool {
        let writings = self.writings.lock().unwrap_or_else(PoisonError::into_inner);
        match writings.get(key) {
            Some(writing) => writing.wanted == wanted && writing.explains(seen),
            None => seen == Some(wanted),
        }
    }
}

/// The digest of a managed object as the watch shows it.
pub fn shown(context: &Context, key: &Key) -> Option<ContentDigest> {
    let world = &context.world;
    let index = match key.name.as_str() {
        objects::SIDECAR_CONFIG => &world.sidecar_configs,
        objects::ENV_CONFIG => &world.env_configs,
        objects::SUPPRESSION_HASHES => &world.suppression_hashes,
        _ => return None,
    };
    index.get(key).map(|kept| kept.digest)
}

/// What holds in the namespace now (for one policy of it where one is named), with what was published before of policies
/// that cannot be compiled now.
pub async fn compiled(context: &Context, namespace: &str, policy: Option<&str>) -> Result<CompiledNamespace, Error> {
    let compiled = |last_good| {
        let scene = context
            .world
            .scene(namespace, policy, last_good, context.clock(), clock::now());
        compile(&scene.facts())
    };
    let first = compiled(BTreeMap::new());
    if first.policies.iter().all(|policy| policy.errors.is_empty()) {
        return Ok(first);
    }
    Ok(compiled(last_good(context, namespace).await?))
}

/// The specs that were accepted last, by policy, as they are kept beside the configuration.
async fn last_good(context: &Context, namespace: &str) -> Result<BTreeMap<String, MailPolicySpec>, Error> {
    let configs: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let data = configs
        .get_opt(objects::SIDECAR_CONFIG)
        .await?
        .and_then(|config| config.data);
    let Some(text) = data.and_then(|mut data| data.remove(objects::LAST_ACCEPTED_KEY)) else {
        return Ok(BTreeMap::new());
    };
    let read = last_accepted::read(&text, &context.publisher.seal_key(namespace));
    // What is not taken is no last good one: then nothing may leave.
    Ok(read.unwrap_or_else(|error| {
        warn!(namespace, %error, "policies that cannot be compiled have no last good one and are Paused");
        BTreeMap::new()
    }))
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

fn ses_facts(
    context: &Context,
    namespace: &str,
    policy: &CompiledPolicy,
    account: Option<&(String, SendingAccountSpec)>,
) -> SesFacts {
    let key = Key {
        namespace: namespace.to_owned(),
        name: policy.name.clone(),
    };
    let Some((name, spec)) = account else {
        return SesFacts {
            configuration_set: String::new(),
            tenant: None,
            at_most: Mode::Paused,
        };
    };
    let set = SetName::of_policy(&spec.cluster_id, namespace, &policy.name).to_string();
    let tenant = tenant_name(spec, namespace).map(|tenant| tenant.to_string());
    let at_most = context.programmed(&key).map_or(Mode::Paused, |programmed| {
        let uid = context.world.policies.get(&key).and_then(|object| object.uid());
        let wanted = context.accounts.get(name).and_then(|account| {
            let uid = uid.as_deref().unwrap_or_default();
            desired_set(namespace, uid, policy, &account.spec, &account.arns)
        });
        programmed.bound(name, &set, tenant.as_deref(), wanted.as_ref())
    });
    SesFacts {
        configuration_set: set,
        tenant,
        at_most,
    }
}

/// Whether the specs that were accepted last fit beside the configuration. Without them a policy that cannot be compiled
/// later is Paused.
fn fits(namespace: &str, accepted: &str, room: usize) -> bool {
    let fits = accepted.len() <= room;
    if !fits {
        warn!(
            namespace,
            octets = accepted.len(),
            room,
            "the specs that were accepted last are not kept: they do not fit beside the configuration"
        );
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        }
    }

    fn digest(contents: &str) -> ContentDigest {
        ContentDigest::of(&objects::sidecar_config("shop", contents.to_owned(), None, []))
    }

    #[test]
    fn what_was_written_is_no_news_and_once_it_was_shown_all_else_is_an_edit() {
        let (publisher, key) = (Publisher::new(Vec::new()), key(objects::SIDECAR_CONFIG));
        let own = |seen: &str| publisher.is_own(&key, Some(digest(seen)));
        publisher.note(&key, Some((digest("b"), Some(digest("a")))));
        publisher.note(&key, Some((digest("c"), Some(digest("a")))));
        assert!(publisher.stands(&key, digest("c"), Some(digest("a"))));
        assert_eq!(["b", "edited", "c"].map(own), [true, false, true]);
        // Put back by hand to what it was before: that is an edit too.
        assert_eq!(["a", "b"].map(own), [false, false]);
        assert!(!publisher.stands(&key, digest("c"), Some(digest("a"))));
    }

    #[test]
    fn an_object_that_was_deleted_does_not_stand() {
        let (publisher, key) = (Publisher::new(Vec::new()), key(objects::SIDECAR_CONFIG));
        publisher.note(&key, Some((digest("a"), None)));
        assert!(publisher.stands(&key, digest("a"), None));
        assert!(!publisher.is_own(&key, None));
        assert!(!publisher.stands(&key, digest("a"), None));
    }

    #[test]
    fn nothing_is_kept_of_a_namespace_that_is_gone() {
        let publisher = Publisher::new(Vec::new());
        let _turn = publisher.turn("shop");
        for name in [
            objects::SIDECAR_CONFIG,
            objects::ENV_CONFIG,
            objects::SUPPRESSION_HASHES,
        ] {
            publisher.note(&key(name), Some((digest("a"), None)));
        }
        publisher.forget("shop");
        assert!(publisher.turns.lock().unwrap().is_empty() && publisher.writings.lock().unwrap().is_empty());
    }
}
