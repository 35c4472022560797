//! The configuration set of an account that the policy is no longer under: nothing may be sent through it any more.

use std::collections::BTreeSet;

use kube::Resource;

use super::{
    accounts::Account,
    context::Context,
    desired::owner,
    error::Error,
    policy::{LEFT_BEHIND, Policy, account_exists, removal_of},
    program::Outcome,
    tenant,
    world::Key,
};
use crate::{
    api::{MailPolicy, MailPolicyStatus, policy::SesStatus},
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{
        apply::apply,
        budget::{Admitted, Priority},
        memory::SetMemory,
        name::SetName,
        plan::{Consent, Context as PlanContext, Removal, plan_set_removal},
    },
};

/// What is to be done with a set, and whose it is.
pub(super) struct Retirement<'a> {
    /// The policy.
    pub key: &'a Key,
    /// Its UID.
    pub uid: &'a str,
    /// The set.
    pub set: &'a SetName,
    /// Whether it stays, switched off.
    pub removal: Removal,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether the namespace stays under the account, and with it the policies that are not being deleted.
    pub others_stay: bool,
}

/// What became of the set.
#[allow(clippy::large_enum_variant)] // One at a time, for a moment.
pub(super) enum Former {
    /// Nothing of it may send; the status as it then stands.
    Quiet(Option<MailPolicyStatus>),
    /// It may still send, and nothing is done elsewhere before.
    Waits(Outcome),
}

/// Switches off the set that the policy left in an account which no guardrail gives it any more. Where another account
/// took its place, the set goes as the policy says; in a namespace that is closed it stays, since the account may come
/// back.
pub(super) async fn silence(
    context: &Context,
    policy: &Policy<'_>,
    object: &MailPolicy,
    namespace: &CompiledNamespace,
    compiled: &CompiledPolicy,
) -> Result<Former, Error> {
    let status = policy.status().cloned();
    let present = namespace.account.as_ref().map(|account| account.value.as_str());
    let moved = present.is_some();
    let ses = status.as_ref().and_then(|status| status.ses.as_ref());
    let Some(ses) = ses.filter(|ses| present != Some(&ses.account) && made_something(ses) && (moved || !is_off(ses)))
    else {
        return Ok(Former::Quiet(status));
    };
    let Some(account) = context.accounts.get(&ses.account) else {
        if account_exists(context, &ses.account) {
            return Ok(Former::Waits(Outcome::AccountWaits));
        }
        context
            .events
            .warning(object, "LeftInSES", LEFT_BEHIND.to_owned())
            .await;
        return Ok(Former::Quiet(status));
    };
    let Ok(set) = SetName::parse(&ses.configuration_set) else {
        return Ok(Former::Quiet(status));
    };
    let retirement = Retirement {
        key: policy.key(),
        uid: object.metadata.uid.as_deref().unwrap_or_default(),
        set: &set,
        removal: if moved { removal_of(compiled) } else { Removal::Retain },
        priority: Priority::Stop,
        others_stay: !moved,
    };
    match retire(context, &account, object, &retirement).await {
        Ok(true) => Ok(Former::Quiet(status.map(|status| after(status, moved)))),
        Ok(false) => Ok(Former::Waits(Outcome::Parked(Priority::Stop))),
        Err(error @ Error::Kube(_)) => Err(error),
        Err(error) => Ok(Former::Waits(Outcome::Failed {
            error,
            switch_under_way: true,
            options_under_way: false,
        })),
    }
}

fn made_something(ses: &SesStatus) -> bool {
    !ses.applied.is_empty()
}

fn is_off(ses: &SesStatus) -> bool {
    SetMemory::from(ses.applied.clone()).sending() == Some(false)
}

/// The status after its set was switched off, or left behind for good.
fn after(mut status: MailPolicyStatus, moved: bool) -> MailPolicyStatus {
    if moved {
        status.ses = None;
    } else if let Some(ses) = &mut status.ses {
        let memory = SetMemory::from(std::mem::take(&mut ses.applied)).with_sending(false);
        ses.applied = memory.as_map().clone();
        ses.intended_sending = Some(false);
    }
    status
}

/// Switches a set off, and deletes it where that is wanted; `false` where its turn has not come. A set that must stay is
/// told of by an Event, and then as settled as one that is retained.
pub(super) async fn retire<K: Resource<DynamicType = ()>>(
    context: &Context,
    account: &Account,
    policy: &K,
    retirement: &Retirement<'_>,
) -> Result<bool, Error> {
    let Retirement {
        key,
        uid,
        set,
        removal,
        priority,
        others_stay,
    } = *retirement;
    let Admitted::Now(_slot) = account.admission.admit(key, priority) else {
        return Ok(false);
    };
    let observed = account.reader(priority).set(set, Some(&account.arns)).await?;
    let owner = owner(&account.spec.cluster_id, &key.namespace, &key.name, uid);
    let planned = |default_of| {
        let plan_context = PlanContext {
            arns: account.arns.clone(),
            consent: Consent::default(),
            intended_sending: None,
            default_of,
        };
        plan_set_removal(&owner, observed.as_ref(), removal, &plan_context)
    };
    let mut plan = planned(BTreeSet::new());
    if plan.deletes_set() {
        // One that is an identity's default stays, switched off: without it SES refuses mail of others.
        plan = planned(account.defaults.of(account, set, priority).await?);
    }
    let applied = apply(&plan, &*account.ses, &account.budget, priority).await?;
    for finding in applied.findings() {
        context
            .events
            .warning(policy, finding.reason(), finding.to_string())
            .await;
    }
    if removal == Removal::Delete {
        if applied.findings().is_empty() {
            account.listed.note_gone(set.as_str());
        }
        for finding in tenant::remove(context, account, key, others_stay).await? {
            context
                .events
                .warning(policy, finding.reason(), finding.to_string())
                .await;
        }
    }
    Ok(true)
}
