//! The policy controller: from one MailPolicy to its configuration set and its status.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta, runtime::controller::Action};

use super::{
    accounts::Account,
    context::Context,
    desired::desired_set,
    error::Error,
    feed,
    finalizer::Finalizer,
    former::{Former, Retirement, retire, silence},
    program::{Drift, Outcome, program},
    programmed::{Left, Programmed},
    publish::{account_spec, compiled},
    status::{self, Facts},
    status_write,
    stop::{Stop, stop, unless_stopped},
    window,
    world::Key,
};
use crate::{
    api::{
        MailPolicy, MailPolicyStatus, Parsed,
        condition::{is_false, kind},
        policy::DeletionPolicy,
    },
    clock,
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{
        budget::Priority,
        memory::SetMemory,
        name::{SetName, TenantName},
        plan::Removal,
    },
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
        // From before the look at the world, so that no change after it is missed.
        let pushes = context.queues.policies.listen(key.clone());
        let policy = context.written.of(policy, &context.world.policies);
        let namespace = compiled(&context, &key.namespace, Some(&key.name)).await?;
        let Some(compiled) = namespace.policies.first() else {
            return Ok(Action::await_change());
        };
        let policy = Policy::of(&key, &policy);
        let policy = match stop(&context, &policy, &namespace, compiled).await? {
            Stop::NotDue => policy,
            Stop::Done(status) => policy.with(Some(status)),
            Stop::Failed(status, error) => {
                let outcome = Outcome::Failed {
                    error,
                    switch_under_way: true,
                    options_under_way: false,
                };
                return ended(&context, &policy.with(Some(status)), &namespace, compiled, outcome).await;
            }
        };
        if policy.object.meta().deletion_timestamp.is_some() {
            return leave(&context, &policy, &namespace, compiled).await;
        }
        if policy.object.readable().is_some() && is_soon_known(&context, &namespace) {
            return Ok(next(&namespace));
        }
        let api = metadata(&context, &key.namespace);
        if let Some(written) = FINALIZER.add(&context, &api, policy.object).await? {
            note_written(&context, policy.object, written);
        }
        // An unreadable policy is told by its namespace's configuration, its last good one; it is asked nothing else.
        let Parsed::Readable(object) = policy.object else {
            context.publisher.publish(&context, &key.namespace).await?;
            return Ok(next(&namespace));
        };
        let (policy, outcome) = match silence(&context, &policy, object, &namespace, compiled).await? {
            Former::Quiet(before) => {
                let policy = policy.with(before);
                let settling = Box::pin(settle(&context, &policy, object, &namespace, compiled));
                let Some(outcome) = unless_stopped(&context, &key, &pushes, settling).await else {
                    return Ok(Action::await_change());
                };
                (policy, outcome?)
            }
            Former::Waits(outcome) => (policy, outcome),
        };
        let outcome = match context.publisher.publish(&context, &key.namespace).await {
            Ok(_) => outcome,
            Err(error) => Outcome::refused(error),
        };
        ended(&context, &policy, &namespace, compiled, outcome).await
    }
    .boxed()
}

/// Says what became of it, where it can be said, and when to look again.
async fn ended(
    context: &Context,
    policy: &Policy<'_>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
    outcome: Outcome,
) -> Result<Action, Error> {
    if let Parsed::Readable(object) = policy.object {
        report(context, policy, object, namespace, compiled, &outcome).await?;
    }
    match outcome {
        Outcome::Failed { error, .. } => Err(error),
        _ => Ok(next(namespace)),
    }
}

/// A policy, readable or not, and what its status says.
pub(super) struct Policy<'a> {
    key: &'a Key,
    /// The object.
    pub object: &'a Parsed<MailPolicy>,
    status: Option<MailPolicyStatus>,
}

impl<'a> Policy<'a> {
    /// The policy as it is seen. What cannot be read of an unreadable one is its spec; its status is ours.
    pub fn of(key: &'a Key, object: &'a Parsed<MailPolicy>) -> Self {
        let status = match object {
            Parsed::Readable(object) => object.status.clone(),
            Parsed::Unreadable(unreadable) => serde_json::from_value(unreadable.status.clone()).ok(),
        };
        Self { key, object, status }
    }

    /// The same with a status that was written since.
    fn with(self, status: Option<MailPolicyStatus>) -> Self {
        Self { status, ..self }
    }

    /// Its namespace and name.
    pub fn key(&self) -> &Key {
        self.key
    }

    /// What was written of it last.
    pub fn status(&self) -> Option<&MailPolicyStatus> {
        self.status.as_ref()
    }
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

/// Makes SES stand as compiled, and notes as what it stands.
async fn settle(
    context: &Context,
    policy: &Policy<'_>,
    object: &MailPolicy,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Outcome, Error> {
    let Some(account) = account(context, namespace) else {
        return Ok(Outcome::AccountWaits);
    };
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let Some(desired) = desired_set(&policy.key.namespace, uid, compiled, &account.spec, &account.arns) else {
        return Ok(Outcome::Kept);
    };
    let outcome = program(context, &account, policy, object, compiled, &desired).await?;
    if let Outcome::Programmed { memory, findings, .. } = &outcome {
        if findings.iter().any(status::stops) {
            context.programmed.note(policy.key, Left::Stopped);
        } else if !findings.iter().any(status::blocks) {
            let tenant = desired.tenant.as_ref().map(TenantName::as_str);
            let mode = compiled.effective.mode.value;
            let programmed = Programmed::new(&account.name, desired.name.as_str(), tenant, memory, mode);
            context.programmed.note(policy.key, Left::Programmed(programmed));
        }
    }
    Ok(outcome)
}

/// The account in use, once it was reached and listed, and its quota was seen: without a quota the policy may be closed
/// for lack of a ceiling, and its set would be made switched off, only to be switched on a moment later.
fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    namespace.quota?;
    let name = &namespace.account.as_ref()?.value;
    let account = context.accounts.get(name)?;
    account.listed.inventory().is_some().then_some(account)
}

/// The account is there and is being looked at for the first time: all its policies are reconciled when that is over.
/// What would be said of them until then, and written to thousands, is outdated in moments.
fn is_soon_known(context: &Context, namespace: &CompiledNamespace) -> bool {
    account_spec(context, namespace)
        .is_some_and(|(name, _)| account(context, namespace).is_none() && !context.accounts.has_failed(&name))
}

async fn report(
    context: &Context,
    policy: &Policy<'_>,
    object: &MailPolicy,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
    outcome: &Outcome,
) -> Result<(), Error> {
    let spec = account_spec(context, namespace);
    let reached = account(context, namespace);
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let desired = reached
        .as_ref()
        .and_then(|a| desired_set(&policy.key.namespace, uid, compiled, &a.spec, &a.arns));
    let status = status::build(&Facts {
        before: policy.status(),
        generation: object.metadata.generation,
        namespace,
        policy: compiled,
        account: spec.as_ref().map(|(name, spec)| (name.as_str(), spec)),
        account_exceeds_quota: exceeds_quota(context, namespace),
        windows: window::of_policy(context, policy.key, &namespace.windows),
        sidecars: context.sidecars.of(&policy.key.namespace),
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
    write_status(context, policy, &status).await
}

/// Whether the account in use says that the ceilings of all its namespaces exceed its quota.
fn exceeds_quota(context: &Context, namespace: &CompiledNamespace) -> bool {
    let account = namespace.account.as_ref().and_then(|account| {
        let namespace = String::new();
        let name = account.value.clone();
        context.world.accounts.get(&Key { namespace, name })
    });
    let status = account.as_ref().and_then(|account| account.readable()?.status.as_ref());
    status.is_some_and(|status| is_false(&status.conditions, kind::WITHIN_QUOTA))
}

/// Remembers which switch is meant, before SES is called, and that nobody knows how it stands until the call is over.
pub(super) async fn remember_intent(context: &Context, policy: &Policy<'_>, sending: bool) -> Result<(), Error> {
    let Some(mut status) = policy.status.clone() else {
        return Ok(());
    };
    let Some(ses) = &mut status.ses else { return Ok(()) };
    ses.intended_sending = Some(sending);
    if !ses.applied.is_empty() {
        let memory = SetMemory::from(std::mem::take(&mut ses.applied)).with_switch_under_way();
        ses.applied = memory.as_map().clone();
    }
    write_status(context, policy, &status).await
}

/// Writes the status, and remembers it until the watch shows it.
pub(super) async fn write_status(
    context: &Context,
    policy: &Policy<'_>,
    status: &MailPolicyStatus,
) -> Result<(), Error> {
    let Key { namespace, name } = policy.key;
    // Of an unreadable policy the answer is unreadable, too.
    let api: Api<Parsed<MailPolicy>> = Api::namespaced(context.client.clone(), namespace);
    if let Some(Parsed::Readable(written)) =
        status_write::write_status(context, &api, name, policy.status(), status).await?
    {
        context.written.put(&written, &context.world.policies);
    }
    Ok(())
}

/// The watch will show what was written here: that alone is no news. A change of the spec meanwhile is.
fn note_written(context: &Context, before: &Parsed<MailPolicy>, mut written: impl Resource) {
    feed::trim(&mut written);
    if written.meta().generation == before.meta().generation && written.annotations() == before.annotations() {
        let index = context.world.policies.index();
        index.note(&Key::of(before), feed::intent_mark(&written));
    }
}

fn metadata(context: &Context, namespace: &str) -> Api<PartialObjectMeta<MailPolicy>> {
    Api::namespaced(context.client.clone(), namespace)
}

/// The policy goes: nothing may be sent, then SES is settled, then the policy is let go. Needs no valid spec.
async fn leave(
    context: &Context,
    policy: &Policy<'_>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Action, Error> {
    let (key, object) = (policy.key, policy.object);
    if !FINALIZER.is_on(object) {
        return Ok(Action::await_change());
    }
    // What cannot be published does not keep SES from being settled.
    let published = context.publisher.publish(context, &key.namespace).await;
    let made = policy
        .status()
        .and_then(|status| status.ses.as_ref())
        .filter(|ses| !ses.applied.is_empty());
    let name = match made {
        // Where it was made, which is not always where it would be made now.
        Some(ses) => Some(ses.account.clone()),
        None => namespace.account.as_ref().map(|account| account.value.clone()),
    };
    match name.as_ref().and_then(|name| context.accounts.get(name)) {
        Some(account) => {
            let made = made.and_then(|ses| SetName::parse(&ses.configuration_set).ok());
            let set = made.unwrap_or_else(|| SetName::of_policy(&account.spec.cluster_id, &key.namespace, &key.name));
            let uid = object.uid().unwrap_or_default();
            let retirement = Retirement {
                key,
                uid: &uid,
                set: &set,
                removal: removal_of(compiled),
                priority: Priority::Tighten,
                others_stay: true,
            };
            if !retire(context, &account, object, &retirement).await? {
                return Ok(Action::await_change());
            }
        }
        // After a restart, or while SES refuses us: it goes once the account was listed. Otherwise its set would stay.
        None if name.as_ref().is_some_and(|name| account_exists(context, name)) => {
            return Ok(Action::await_change());
        }
        // Without the account nothing can be reached; what was made stays, switched as it is.
        None if made.is_some() => {
            context
                .events
                .warning(object, "LeftInSES", LEFT_BEHIND.to_owned())
                .await;
        }
        None => {}
    }
    published?;
    FINALIZER
        .remove(context, &metadata(context, &key.namespace), object)
        .await?;
    Ok(Action::await_change())
}

/// What is said where an account is gone before what was made in it.
pub(super) const LEFT_BEHIND: &str = "its SendingAccount is gone: its configuration set stays in SES";

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
