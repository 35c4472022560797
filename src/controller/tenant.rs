//! The tenant of a namespace, with Tenant isolation: made before the namespace's first set, settled once for all of its
//! policies.

use std::collections::BTreeSet;

use kube::Resource;

use super::{
    accounts::Account,
    context::Context,
    desired::{desired_tenant, owner, tenant_name},
    error::Error,
    world::Key,
};
use crate::ses::{
    apply::apply,
    arn::{Arn, ResourceKind},
    budget::Priority,
    desired::DesiredTenant,
    name::TenantName,
    observed::SendingStatus,
    plan::{Consent, Context as PlanContext, Finding, Removal, plan_tenant, plan_tenant_removal},
};

/// What a namespace's policies need to know of its tenant.
#[derive(Debug, Default)]
pub struct Tenant {
    /// What is to be remembered of it; `None` without Tenant isolation.
    pub applied: Option<String>,
    /// What no call mends.
    pub findings: Vec<Finding>,
    /// What was found changed behind our back and put right, for people; `None` where nothing was.
    pub drift: Option<String>,
}

impl Tenant {
    fn as_left(applied: String) -> Self {
        Self {
            applied: Some(applied),
            ..Self::default()
        }
    }

    /// Whether it is somebody else's, so that no set of ours may belong to it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| matches!(finding, Finding::Refused { .. }))
    }
}

/// What of the namespace's tenant is known without asking: `None` where SES must be asked.
pub async fn known(
    context: &Context,
    account: &Account,
    namespace: &str,
    remembered: Option<&String>,
) -> Option<Tenant> {
    let Some(desired) = desired(context, account, namespace) else {
        return Some(Tenant::default());
    };
    let hash = desired.applied_hash();
    let settled = account.tenants.turn(&desired.name).lock().await.as_ref() == Some(&hash);
    let as_left = settled || remembered == Some(&hash);
    (as_left && stands_enabled(account, &desired.name)).then(|| Tenant::as_left(hash))
}

/// Whether the tenant stands and may send, as far as is known and nobody doubts it.
fn stands_enabled(account: &Account, name: &TenantName) -> bool {
    let disabled = listed(account, name) == Some(SendingStatus::Disabled);
    account.listed.has_tenant(name.as_str()) && !disabled && !account.tenants.is_doubted(name)
}

/// Makes the tenant stand. `remembered` is what the policy's status tells of it.
///
/// # Errors
/// What SES refused; the next try reads the tenant.
pub async fn settle(
    context: &Context,
    account: &Account,
    namespace: &str,
    remembered: Option<&String>,
    consent: &Consent,
    priority: Priority,
) -> Result<Tenant, Error> {
    let Some(desired) = desired(context, account, namespace) else {
        return Ok(Tenant::default());
    };
    let hash = desired.applied_hash();
    let turn = account.tenants.turn(&desired.name);
    let mut last = turn.lock().await;
    if last.as_ref() == Some(&hash) && stands_enabled(account, &desired.name) {
        return Ok(Tenant::as_left(hash));
    }
    let as_left = last.as_ref() == Some(&hash) || remembered == Some(&hash);
    let observed = if last.is_none() && !account.listed.has_tenant(desired.name.as_str()) {
        // Neither listed nor tried since: it does not stand, and reading it would only say so.
        None
    } else {
        account.reader(priority).tenant(&desired.name).await?
    };
    let plan_context = PlanContext {
        arns: account.arns.clone(),
        consent: consent.clone(),
        // We disable a tenant only while it is held, and there are no holds yet: whoever disabled it was not us.
        intended_sending: Some(true),
        default_of: BTreeSet::new(),
    };
    let plan = plan_tenant(&desired, observed.as_ref(), &plan_context);
    // Until it succeeds, something was tried: the next try reads.
    *last = Some(String::new());
    apply(&plan, &*account.ses, &account.budget, priority).await?;
    account.tenants.settle(&desired.name);
    account.listed.note_tenant(desired.name.as_str());
    if observed.is_none() {
        made(context, namespace);
    }
    let findings = plan.findings().to_vec();
    if findings.is_empty() {
        *last = Some(hash.clone());
    }
    let what = if observed.is_none() { "vanished" } else { "changed" };
    let drifted = as_left && !plan.is_empty();
    Ok(Tenant {
        applied: Some(hash),
        findings,
        drift: drifted.then(|| context.drifted(what, &plan)),
    })
}

/// A tenant that was made has no sets and an empty suppression list, whatever is remembered of one before it.
fn made(context: &Context, namespace: &str) {
    let key = |name| Key {
        namespace: namespace.to_owned(),
        name,
    };
    for policy in context.world.policies.names(namespace).into_iter().map(key) {
        let object = context.world.policies.get(&policy);
        let status = object.as_ref().and_then(|policy| policy.readable()?.status.as_ref());
        if status.is_some_and(|status| status.ses.as_ref().is_some_and(|ses| !ses.applied.is_empty())) {
            context.doubt(&policy);
            context.queues.policies.push(policy);
        }
    }
    for suppression in context.world.suppressions.names(namespace).into_iter().map(key) {
        context.lists.doubt(suppression.clone());
        context.queues.suppressions.push(suppression);
    }
}

fn desired(context: &Context, account: &Account, namespace: &str) -> Option<DesiredTenant> {
    let key = Key {
        namespace: String::new(),
        name: namespace.to_owned(),
    };
    let object = context.world.namespaces.get(&key);
    let uid = object
        .and_then(|object| object.metadata.uid.clone())
        .unwrap_or_default();
    desired_tenant(namespace, &uid, &account.spec, &account.arns)
}

fn listed(account: &Account, name: &TenantName) -> Option<SendingStatus> {
    Some(account.listed.inventory()?.tenants.get(name.as_str())?.sending)
}

/// Deletes the tenant when the last policy of its namespace has gone from the account and was to delete what it made.
/// `leaving` has left; where `others_stay`, the policies of its namespace that are not being deleted keep the tenant.
///
/// # Errors
/// What SES refused.
pub async fn remove(
    context: &Context,
    account: &Account,
    leaving: &Key,
    others_stay: bool,
) -> Result<Vec<Finding>, Error> {
    let Some(name) = tenant_name(&account.spec, &leaving.namespace) else {
        return Ok(Vec::new());
    };
    if others_stay && is_needed(context, leaving) {
        return Ok(Vec::new());
    }
    let turn = account.tenants.turn(&name);
    let mut last = turn.lock().await;
    let observed = account.reader(Priority::Tighten).tenant(&name).await?;
    // Sets that are retained keep it, and so do those of policies that are about to go: the last of them takes it along.
    let is_set = |resource: &Arn| resource.kind() == ResourceKind::ConfigurationSet;
    if observed
        .as_ref()
        .is_some_and(|tenant| tenant.resources.iter().any(is_set))
    {
        return Ok(Vec::new());
    }
    let owner = owner(&account.spec.cluster_id, &leaving.namespace, &leaving.namespace, "");
    let plan = plan_tenant_removal(&owner, observed.as_ref(), Removal::Delete);
    let applied = apply(&plan, &*account.ses, &account.budget, Priority::Tighten).await?;
    *last = None;
    account.listed.note_tenant_gone(name.as_str());
    for name in context.world.suppressions.names(&leaving.namespace) {
        let namespace = leaving.namespace.clone();
        context.queues.suppressions.push(Key { namespace, name });
    }
    Ok(applied.findings().to_vec())
}

/// Whether another policy of the namespace is there to stay.
fn is_needed(context: &Context, leaving: &Key) -> bool {
    let others = context.world.policies.within(&leaving.namespace);
    others.iter().any(|other| {
        let meta = other.meta();
        meta.name.as_ref() != Some(&leaving.name) && meta.deletion_timestamp.is_none()
    })
}
