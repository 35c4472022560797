//! The policy controller: from one MailPolicy to its configuration set and its status.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, header::ACCEPT};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::{PartialObjectMeta, Request},
    runtime::controller::Action,
};
use serde_json::json;

use super::{
    accounts::Account,
    context::Context,
    desired::{desired_set, owner},
    error::{Error, is_not_found},
    feed,
    program::{Outcome, program},
    publish::{account_spec, compiled},
    status::{self, Facts},
    world::Key,
};
use crate::{
    api::{MANAGER, MailPolicy, MailPolicyStatus, Parsed, policy::DeletionPolicy},
    clock,
    metrics::OfKind,
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{
        apply::apply,
        budget::{Admitted, Priority},
        name::SetName,
        plan::{Consent, Context as PlanContext, Removal, plan_set_removal},
    },
};

/// Keeps a policy until what it made in SES is settled.
const FINALIZER: &str = "mailpolicy.dev/ses";

/// Asks the API server to answer with an object's metadata alone.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// Reconciles one policy.
pub fn reconcile(policy: Arc<Parsed<MailPolicy>>, context: Arc<Context>) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*policy);
        let namespace = compiled(&context, &key.namespace, Some(&key.name)).await?;
        let Some(compiled) = namespace.policies.first() else {
            return Ok(Action::await_change());
        };
        if policy.meta().deletion_timestamp.is_some() {
            return leave(&context, &key, &policy, &namespace, compiled).await;
        }
        // An unreadable policy has no status that could be read and changed: its configuration is its last good one.
        let Parsed::Readable(object) = &*policy else {
            ensure_finalizer(&context, &policy).await?;
            context.publisher.publish(&context, &key.namespace).await?;
            return Ok(Action::await_change());
        };
        if account_is_untried(&context, &namespace) {
            return Ok(next(&namespace));
        }
        ensure_finalizer(&context, &policy).await?;
        let outcome = settle(&context, &key, object, &namespace, compiled).await;
        // Whatever SES says, the namespace has its configuration; what SES does not have yet is closed in it.
        context.publisher.publish(&context, &key.namespace).await?;
        report(&context, object, &namespace, compiled, &outcome?).await?;
        Ok(next(&namespace))
    }
    .boxed()
}

/// The policy of a window.
#[must_use]
pub fn key_of_window(context: &Context, window: &Key) -> Key {
    let object = context.world.windows.get(window);
    let name = object
        .and_then(|window| Some(window.readable()?.spec.policy_ref.name.clone()))
        .unwrap_or_default();
    Key {
        namespace: window.namespace.clone(),
        name,
    }
}

/// The next moment at which the result changes by itself.
fn next(namespace: &CompiledNamespace) -> Action {
    namespace.next_change.map_or_else(Action::await_change, |at| {
        Action::requeue(clock::until(at, clock::now()))
    })
}

/// Makes SES stand as compiled, and notes whether mail may be sent.
async fn settle(
    context: &Context,
    key: &Key,
    object: &MailPolicy,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Outcome, Error> {
    let Some(account) = account(context, namespace) else {
        return Ok(Outcome::AccountWaits);
    };
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let Some(desired) = desired_set(&key.namespace, uid, compiled, &account.spec, &account.arns) else {
        return Ok(Outcome::Kept);
    };
    let outcome = program(context, &account, key, object, compiled, &desired).await?;
    if let Outcome::Programmed { memory, findings, .. } = &outcome {
        let refused = findings
            .iter()
            .any(|finding| finding.reason() == "NotOurs" || finding.reason() == "TooManyDestinations");
        context.note_programmed(key, !refused && memory.sending() == Some(true));
    }
    Ok(outcome)
}

/// The account in use, once it was reached and listed.
fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    let account = context.accounts.get(&namespace.account.as_ref()?.value)?;
    account.inventory().is_some().then_some(account)
}

/// The account is there and was not looked at yet: all its policies are reconciled when it has been.
fn account_is_untried(context: &Context, namespace: &CompiledNamespace) -> bool {
    account_spec(context, namespace).is_some_and(|(name, _)| !context.accounts.is_tried(&name))
}

async fn report(
    context: &Context,
    object: &MailPolicy,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
    outcome: &Outcome,
) -> Result<(), Error> {
    let key = Key::of(object);
    let spec = account_spec(context, namespace);
    let reached = account(context, namespace);
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let desired = reached
        .as_ref()
        .and_then(|a| desired_set(&key.namespace, uid, compiled, &a.spec, &a.arns));
    let quota = spec.as_ref().and_then(|(name, _)| {
        let account = context.world.accounts.get(&Key {
            namespace: String::new(),
            name: name.clone(),
        })?;
        Some(account.readable()?.status.as_ref()?.quota?.max24_hours)
    });
    let status = status::build(&Facts {
        before: object.status.as_ref(),
        generation: object.metadata.generation,
        namespace,
        policy: compiled,
        account: spec.as_ref().map(|(_, spec)| spec),
        quota_per_day: quota,
        desired: desired.as_ref(),
        arn: desired
            .as_ref()
            .zip(reached.as_ref())
            .map(|(set, a)| a.arns.set(&set.name).as_str().to_owned()),
        outcome,
        now: clock::now(),
    });
    if let Outcome::Programmed { drift, .. } = outcome
        && !drift.is_empty()
    {
        context.events.warning(object, "Drifted", drift.clone()).await;
    }
    write_status(context, object, &status).await
}

/// Remembers which switch is meant, before SES is called.
pub(super) async fn remember_intent(context: &Context, object: &MailPolicy, sending: bool) -> Result<(), Error> {
    let Some(mut status) = object.status.clone() else {
        return Ok(());
    };
    let Some(ses) = &mut status.ses else { return Ok(()) };
    ses.intended_sending = Some(sending);
    write_status(context, object, &status).await
}

/// Writes the status by server-side apply, where it changed.
async fn write_status(context: &Context, object: &MailPolicy, status: &MailPolicyStatus) -> Result<(), Error> {
    if object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": MailPolicy::api_version(&()), "kind": MailPolicy::kind(&()),
        "metadata": {"name": object.name_any()}, "status": status,
    });
    let path = MailPolicy::url_path(&(), object.metadata.namespace.as_deref());
    let params = PatchParams::apply(MANAGER).force();
    let mut request = Request::new(path)
        .patch_subresource("status", &object.name_any(), &params, &Patch::Apply(&patch))
        .map_err(kube::Error::BuildRequest)?;
    // Of the answer only that it came is of interest, and the whole object is large.
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    match context.client.request::<PartialObjectMeta<MailPolicy>>(request).await {
        // It was deleted meanwhile.
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            context
                .metrics
                .api_writes
                .get_or_create(&OfKind { kind: "MailPolicy" })
                .inc();
            Ok(())
        }
    }
}

async fn ensure_finalizer(context: &Context, policy: &Parsed<MailPolicy>) -> Result<(), Error> {
    if policy.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    let mut finalizers = policy.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    if let Some(written) = write_finalizers(context, policy, &finalizers).await? {
        note_written(context, policy, written);
    }
    Ok(())
}

/// Writes the finalizers; `None` where the policy is gone.
async fn write_finalizers(
    context: &Context,
    policy: &Parsed<MailPolicy>,
    finalizers: &[String],
) -> Result<Option<PartialObjectMeta<MailPolicy>>, Error> {
    // The version makes a change by another controller meanwhile a conflict.
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": policy.resource_version()}});
    let namespace = policy.namespace().unwrap_or_default();
    let api: Api<MailPolicy> = Api::namespaced(context.client.clone(), &namespace);
    match api
        .patch_metadata(&policy.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(written) => {
            context
                .metrics
                .api_writes
                .get_or_create(&OfKind { kind: "MailPolicy" })
                .inc();
            Ok(Some(written))
        }
    }
}

/// The watch will show what was written here: that alone is no news. A change of the spec meanwhile is.
fn note_written(context: &Context, before: &Parsed<MailPolicy>, mut written: PartialObjectMeta<MailPolicy>) {
    feed::trim(&mut written);
    if written.metadata.generation == before.meta().generation && written.annotations() == before.annotations() {
        let shelf = &context.world.policies;
        shelf.note(&Key::of(before), feed::intent_mark(&written));
    }
}

/// The policy goes: nothing may be sent, then SES is settled, then the policy is let go. Needs no valid spec.
async fn leave(
    context: &Context,
    key: &Key,
    policy: &Parsed<MailPolicy>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Action, Error> {
    if !policy.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Action::await_change());
    }
    context.publisher.publish(context, &key.namespace).await?;
    let status = policy.readable().and_then(|policy| policy.status.as_ref());
    let made_something = status.is_some_and(|status| status.ses.as_ref().is_some_and(|ses| !ses.applied.is_empty()));
    let name = namespace
        .account
        .as_ref()
        .map(|a| a.value.clone())
        .or_else(|| status?.account.clone());
    match name.and_then(|name| context.accounts.get(&name)) {
        Some(account) => {
            let removed = remove(context, &account, key, policy, compiled).await?;
            if !removed {
                return Ok(Action::await_change());
            }
        }
        // Without the account nothing can be reached; what was made stays, switched as it is.
        None if made_something => {
            let note = "its SendingAccount is gone or cannot be reached: its configuration set stays in SES";
            context.events.warning(policy, "LeftInSES", note.to_owned()).await;
        }
        None => {}
    }
    let others: Vec<String> = policy
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned()
        .collect();
    write_finalizers(context, policy, &others).await?;
    Ok(Action::await_change())
}

/// Switches off, and deletes where the policy says so; `false` where its turn has not come.
async fn remove(
    context: &Context,
    account: &Account,
    key: &Key,
    policy: &Parsed<MailPolicy>,
    compiled: &CompiledPolicy,
) -> Result<bool, Error> {
    let Admitted::Now(_slot) = account.admission.admit(key, Priority::Tighten) else {
        return Ok(false);
    };
    let set = SetName::of_policy(&account.spec.cluster_id, &key.namespace, &key.name);
    let observed = account.reader(Priority::Tighten).set(&set, Some(&account.arns)).await?;
    let removal = match compiled.deletion.value {
        DeletionPolicy::Retain => Removal::Retain,
        DeletionPolicy::Delete => Removal::Delete,
    };
    let uid = policy.uid().unwrap_or_default();
    let owner = owner(&account.spec.cluster_id, &key.namespace, &key.name, &uid);
    let plan_context = PlanContext {
        arns: account.arns.clone(),
        consent: Consent::default(),
        intended_sending: None,
        default_of: std::collections::BTreeSet::new(),
    };
    let plan = plan_set_removal(&owner, observed.as_ref(), removal, &plan_context);
    let applied = apply(&plan, &*account.ses, &account.budget, Priority::Tighten).await?;
    for finding in applied.findings() {
        context
            .events
            .warning(policy, finding.reason(), finding.to_string())
            .await;
    }
    if removal == Removal::Delete {
        account.note_gone(set.as_str());
    }
    Ok(true)
}
