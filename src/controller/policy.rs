//! The policy controller: from one MailPolicy to its configuration set and its status.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::controller::Action,
};
use serde_json::json;

use super::{
    accounts::Account,
    context::Context,
    desired::desired_set,
    error::{Error, is_not_found},
    feed,
    finalizer::Finalizer,
    former::{Former, Retirement, retire, silence},
    program::{Drift, Outcome, program},
    publish::{account_spec, compiled},
    status::{self, Facts},
    world::Key,
};
use crate::{
    api::{MANAGER, MailPolicy, MailPolicyStatus, Parsed, policy::DeletionPolicy},
    clock,
    metrics::OfKind,
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{budget::Priority, memory::SetMemory, name::SetName, plan::Removal},
};

/// Keeps a policy until what it made in SES is settled.
const FINALIZER: Finalizer = Finalizer {
    name: "mailpolicy.dev/ses",
    kind: "MailPolicy",
};

/// Reconciles one policy.
pub fn reconcile(policy: Arc<Parsed<MailPolicy>>, context: Arc<Context>) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*policy);
        let policy = context.written.or(policy);
        let namespace = compiled(&context, &key.namespace, Some(&key.name)).await?;
        let Some(compiled) = namespace.policies.first() else {
            return Ok(Action::await_change());
        };
        if policy.meta().deletion_timestamp.is_some() {
            return leave(&context, &key, &policy, &namespace, compiled).await;
        }
        if policy.readable().is_some() && is_soon_known(&context, &namespace) {
            return Ok(next(&namespace));
        }
        let api = metadata(&context, &key.namespace);
        if let Some(written) = FINALIZER.add(&context, &api, &*policy).await? {
            note_written(&context, &policy, written);
        }
        // An unreadable policy has no status that could be read and changed: its configuration is its last good one.
        let Parsed::Readable(object) = &*policy else {
            context.publisher.publish(&context, &key.namespace).await?;
            return Ok(Action::await_change());
        };
        let (before, outcome) = match silence(&context, &key, object, &namespace, compiled).await? {
            Former::Quiet(before) => (before, settle(&context, &key, object, &namespace, compiled).await?),
            Former::Waits(outcome) => (object.status.clone(), outcome),
        };
        context.publisher.publish(&context, &key.namespace).await?;
        report(&context, object, before.as_ref(), &namespace, compiled, &outcome).await?;
        match outcome {
            Outcome::Failed { error, .. } => Err(error),
            _ => Ok(next(&namespace)),
        }
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
        let may_send = !findings
            .iter()
            .any(|finding| status::blocks(finding) || status::pauses(finding));
        context.note_programmed(key, may_send && memory.sending() == Some(true));
    }
    Ok(outcome)
}

/// The account in use, once it was reached and listed, and its quota was seen: without a quota the policy may be closed
/// for lack of a ceiling, and its set would be made switched off, only to be switched on a moment later.
fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    namespace.quota?;
    let name = &namespace.account.as_ref()?.value;
    let account = context.accounts.get(name)?;
    account.inventory().is_some().then_some(account)
}

/// The account is there and is being looked at for the first time: all its policies are reconciled when that is over.
/// What would be said of them until then, and written to thousands, is outdated in moments.
fn is_soon_known(context: &Context, namespace: &CompiledNamespace) -> bool {
    account_spec(context, namespace)
        .is_some_and(|(name, _)| account(context, namespace).is_none() && !context.accounts.has_failed(&name))
}

async fn report(
    context: &Context,
    object: &MailPolicy,
    before: Option<&MailPolicyStatus>,
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
    let status = status::build(&Facts {
        before,
        generation: object.metadata.generation,
        namespace,
        policy: compiled,
        account: spec.as_ref().map(|(name, spec)| (name.as_str(), spec)),
        quota_per_day: namespace.quota.map(|quota| quota.max24_hours),
        desired: desired.as_ref(),
        arn: desired
            .as_ref()
            .zip(reached.as_ref())
            .map(|(set, a)| a.arns.set(&set.name).as_str().to_owned()),
        outcome,
        now: clock::now(),
    });
    if let Outcome::Programmed {
        drift: Drift::Corrected(drift),
        ..
    } = outcome
    {
        context.events.warning(object, "Drifted", drift.clone()).await;
    }
    write_status(context, object, &status).await
}

/// Remembers which switch is meant, before SES is called, and that nobody knows how it stands until the call is over.
pub(super) async fn remember_intent(context: &Context, object: &MailPolicy, sending: bool) -> Result<(), Error> {
    let Some(mut status) = object.status.clone() else {
        return Ok(());
    };
    let Some(ses) = &mut status.ses else { return Ok(()) };
    ses.intended_sending = Some(sending);
    if !ses.applied.is_empty() {
        let memory = SetMemory::from(std::mem::take(&mut ses.applied)).with_switch_under_way();
        ses.applied = memory.as_map().clone();
    }
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
    let api: Api<MailPolicy> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let params = PatchParams::apply(MANAGER).force();
    match api
        .patch_status(&object.name_any(), &params, &Patch::Apply(&patch))
        .await
    {
        // It was deleted meanwhile.
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(written) => {
            context.written.put(written);
            context
                .metrics
                .api_writes
                .get_or_create(&OfKind { kind: "MailPolicy" })
                .inc();
            Ok(())
        }
    }
}

/// The watch will show what was written here: that alone is no news. A change of the spec meanwhile is.
fn note_written(context: &Context, before: &Parsed<MailPolicy>, mut written: impl Resource) {
    feed::trim(&mut written);
    if written.meta().generation == before.meta().generation && written.annotations() == before.annotations() {
        let shelf = &context.world.policies;
        shelf.note(&Key::of(before), feed::intent_mark(&written));
    }
}

fn metadata(context: &Context, namespace: &str) -> Api<PartialObjectMeta<MailPolicy>> {
    Api::namespaced(context.client.clone(), namespace)
}

/// The policy goes: nothing may be sent, then SES is settled, then the policy is let go. Needs no valid spec.
async fn leave(
    context: &Context,
    key: &Key,
    policy: &Parsed<MailPolicy>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Action, Error> {
    if !FINALIZER.is_on(policy) {
        return Ok(Action::await_change());
    }
    context.publisher.publish(context, &key.namespace).await?;
    let status = policy.readable().and_then(|policy| policy.status.as_ref());
    let made_something = status.is_some_and(|status| status.ses.as_ref().is_some_and(|ses| !ses.applied.is_empty()));
    let name = namespace
        .account
        .as_ref()
        .map(|a| a.value.clone())
        .or_else(|| Some(status?.ses.as_ref()?.account.clone()));
    match name.as_ref().and_then(|name| context.accounts.get(name)) {
        Some(account) => {
            let set = SetName::of_policy(&account.spec.cluster_id, &key.namespace, &key.name);
            let uid = policy.uid().unwrap_or_default();
            let retirement = Retirement {
                key,
                uid: &uid,
                set: &set,
                removal: removal_of(compiled),
                priority: Priority::Tighten,
                others_stay: true,
            };
            if !retire(context, &account, policy, &retirement).await? {
                return Ok(Action::await_change());
            }
        }
        // After a restart, or while SES refuses us: it goes once the account was listed. Otherwise its set would stay.
        None if name.as_ref().is_some_and(|name| account_exists(context, name)) => {
            return Ok(Action::await_change());
        }
        // Without the account nothing can be reached; what was made stays, switched as it is.
        None if made_something => {
            let note = "its SendingAccount is gone: its configuration set stays in SES";
            context.events.warning(policy, "LeftInSES", note.to_owned()).await;
        }
        None => {}
    }
    FINALIZER
        .remove(context, &metadata(context, &key.namespace), policy)
        .await?;
    Ok(Action::await_change())
}

/// Whether there is such a SendingAccount, reached or not.
pub(super) fn account_exists(context: &Context, account: &str) -> bool {
    let key = Key {
        namespace: String::new(),
        name: account.to_owned(),
    };
    context.world.accounts.get(&key).is_some()
}

/// What becomes of a policy's set in the end.
pub(super) fn removal_of(compiled: &CompiledPolicy) -> Removal {
    match compiled.deletion.value {
        DeletionPolicy::Retain => Removal::Retain,
        DeletionPolicy::Delete => Removal::Delete,
    }
}
