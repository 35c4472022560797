//! The stop: what may send and should not is switched off at SES ahead of all else.
//!
//! Where it stands, as the status says, and unconfirmed: it waits for no listing, no turn among plans, no tenant, no valid
//! spec and no configuration that can be written. Whatever else fails, the switch is thrown.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::warn;

use super::{
    accounts::Account,
    context::Context,
    error::Error,
    policy::{Policy, write_status},
    programmed::Left,
    publish::compiled,
    queue::Listener,
    world::Key,
};
use crate::{
    api::{MailPolicyStatus, policy::SesStatus},
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{breakable::unless, budget::Priority, call::SesCall, error::ErrorKind, memory::SetMemory, name::SetName},
};

/// How long a stop waits for the API server before it goes on to SES: a connection that broke without a word is noticed
/// minutes later.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a stop.
#[allow(clippy::large_enum_variant)] // One at a time, for a moment.
pub(super) enum Stop {
    /// There is nothing to stop, or nobody to tell: an account that was never reached is told once it is.
    NotDue,
    /// The set is off; the status as it then stands.
    Done(MailPolicyStatus),
    /// SES refused or did not answer; it is tried again, and until then the status says that the switch is not known.
    Failed(MailPolicyStatus, Error),
}

/// Switches the policy's set off where mail of it must not leave by it.
///
/// # Errors
/// What the API server refused after SES had answered.
pub(super) async fn stop(
    context: &Context,
    policy: &Policy<'_>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Stop, Error> {
    let Some((status, ses)) = due(policy.status(), namespace, compiled) else {
        return Ok(Stop::NotDue);
    };
    let Some((account, set)) = target(context, ses) else {
        return Ok(Stop::NotDue);
    };
    context.programmed.note(policy.key(), Left::Stopped);
    let under_way = with_memory(status, SetMemory::with_switch_under_way);
    // The sidecars first, which takes a moment; but SES must not wait for what cannot be written.
    let told = async {
        if let Err(error) = context.publisher.publish(context, &policy.key().namespace).await {
            warn!(policy = %policy.key(), %error, "the stop is not published; it goes on to SES");
        }
        if let Err(error) = write_status(context, policy, &under_way).await {
            warn!(policy = %policy.key(), %error, "the intent is not remembered; the stop goes on to SES");
        }
    };
    if timeout(PATIENCE, told).await.is_err() {
        warn!(policy = %policy.key(), "the API server does not answer; the stop goes on to SES");
    }
    let call = SesCall::PutSending { set, enabled: false };
    let answer = account
        .budget
        .spend(Priority::Stop, call.operation(), account.ses.call(&call))
        .await;
    match answer {
        // A set that is gone sends nothing.
        Err(error) if error.kind != ErrorKind::NotFound => {
            context.doubt(policy.key());
            Ok(Stop::Failed(under_way, error.into()))
        }
        Ok(_) | Err(_) => {
            let stopped = with_memory(status, |memory| memory.with_sending(false));
            write_status(context, policy, &stopped).await?;
            Ok(Stop::Done(stopped))
        }
    }
}

/// Carries on with the work unless a stop of the policy becomes due meanwhile: then it is broken off wherever it waits, as
/// a death of the operator would, and `None` is left of it. The policy waits in its queue then. A read or a change of the
/// same policy may wait for SES's turn behind thousands: its stop must not wait behind that. Only what is under
/// way and makes a set or lets mail flow comes to its end first: SES might carry it out after the stop.
pub(super) async fn unless_stopped<T>(
    context: &Context,
    key: &Key,
    pushes: &Listener<Key>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let done = unless(becomes_due(context, key, pushes), work).await;
    if done.is_none() {
        // What the work has asked of SES is not known.
        context.doubt(key);
    }
    done
}

async fn becomes_due(context: &Context, key: &Key, pushes: &Listener<Key>) {
    loop {
        pushes.pushed().await;
        match is_due(context, key).await {
            Ok(true) => return,
            Ok(false) => {}
            // Whoever is next in the queue asks again.
            Err(error) => warn!(policy = %key, %error, "whether the policy must stop could not be told"),
        }
    }
}

/// Whether the policy as it is now must be stopped.
async fn is_due(context: &Context, key: &Key) -> Result<bool, Error> {
    let Some(object) = context.world.policies.get(key) else {
        return Ok(false);
    };
    let object = context.written.of(object, &context.world.policies);
    let namespace = compiled(context, &key.namespace, Some(&key.name)).await?;
    let policy = Policy::of(key, &object);
    Ok(namespace
        .policies
        .first()
        .is_some_and(|compiled| due(policy.status(), &namespace, compiled).is_some()))
}

/// What may still send by a set that it should not send by.
fn due<'a>(
    status: Option<&'a MailPolicyStatus>,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Option<(&'a MailPolicyStatus, &'a SesStatus)> {
    let status = status?;
    let ses = status.ses.as_ref()?;
    let present = namespace.account.as_ref().map(|account| account.value.as_str());
    let may_send = compiled.effective.mode.value.needs_sending() && present == Some(ses.account.as_str());
    let is_off = SetMemory::from(ses.applied.clone()).sending() == Some(false);
    (!may_send && !ses.applied.is_empty() && !is_off).then_some((status, ses))
}

fn target(context: &Context, ses: &SesStatus) -> Option<(Arc<Account>, SetName)> {
    Some((
        context.accounts.get(&ses.account)?,
        SetName::parse(&ses.configuration_set).ok()?,
    ))
}

/// The status with another memory of the set, which is meant to be off.
fn with_memory(status: &MailPolicyStatus, change: impl FnOnce(SetMemory) -> SetMemory) -> MailPolicyStatus {
    let mut status = status.clone();
    if let Some(ses) = &mut status.ses {
        ses.intended_sending = Some(false);
        ses.applied = change(SetMemory::from(std::mem::take(&mut ses.applied)))
            .as_map()
            .clone();
    }
    status
}
