//! The tenant of a namespace, with Tenant isolation: made before the namespace's first set, settled once for all of its
//! policies.

use std::collections::BTreeSet;

use kube::Resource;

use super::{
    accounts::{Account, TenantLeft},
    context::Context,
    desired::{desired_tenant, owner, tenant_name},
    error::Error,
    status::pauses,
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
    /// Whether it is somebody else's, so that no set of ours may belong to it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| matches!(finding, Finding::Refused { .. }))
    }
}

/// What of the namespace's tenant is known without asking or waiting: `None` where SES must be asked.
pub fn known(context: &Context, account: &Account, namespace: &str, remembered: Option<&String>) -> Option<Tenant> {
    let Some(desired) = desired(context, account, namespace) else {
        return Some(Tenant::default());
    };
    let (name, hash) = (&desired.name, desired.applied_hash());
    match account.tenants.left(name) {
        Some(left) => settled(account, name, &hash, &left),
        None if remembered == Some(&hash) && stands(account, name) => {
            let left = TenantLeft::Settled {
                findings: told_by(name, listed(account, name)),
                hash,
            };
            settled(account, name, &desired.applied_hash(), &left)
        }
        None => None,
    }
}

/// The tenant as this run left it, as far as nothing speaks against that: it stands, nobody doubts it, and the listing
/// shows it sending as it was found.
fn settled(account: &Account, name: &TenantName, hash: &str, left: &TenantLeft) -> Option<Tenant> {
    let TenantLeft::Settled { hash: of, findings } = left else {
        return None;
    };
    let as_left = of == hash && stands(account, name) && listed(account, name) == sending_after(findings);
    as_left.then(|| Tenant {
        applied: Some(hash.to_owned()),
        findings: findings.clone(),
        drift: None,
    })
}

/// Whether the tenant stands, as far as is known and nobody doubts it.
fn stands(account: &Account, name: &TenantName) -> bool {
    account.listed.has_tenant(name.as_str()) && !account.tenants.is_doubted(name)
}

/// What a listing tells of a tenant that stands as wanted; who disabled one it does not tell.
fn told_by(name: &TenantName, listed: SendingStatus) -> Vec<Finding> {
    match listed {
        SendingStatus::Reinstated => vec![Finding::TenantReinstated { tenant: name.clone() }],
        SendingStatus::Enabled | SendingStatus::Disabled => Vec::new(),
    }
}

/// How a listing shows a tenant that was found so.
fn sending_after(findings: &[Finding]) -> SendingStatus {
    let found = |wanted: fn(&Finding) -> bool| findings.iter().any(wanted);
    if found(pauses) {
        SendingStatus::Disabled
    } else if found(|finding| matches!(finding, Finding::TenantReinstated { .. })) {
        SendingStatus::Reinstated
    } else {
        SendingStatus::Enabled
    }
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
    let (name, hash) = (&desired.name, desired.applied_hash());
    let turn = account.tenants.turn(name);
    let _turn = turn.lock().await;
    let left = account.tenants.left(name);
    // Another policy of the namespace may have settled it meanwhile.
    if let Some(settled) = left.as_ref().and_then(|left| settled(account, name, &hash, left)) {
        return Ok(settled);
    }
    let left_so = matches!(&left, Some(TenantLeft::Settled { hash: of, .. }) if *of == hash);
    let as_left = left_so || remembered == Some(&hash);
    let observed = if left.is_none() && !account.listed.has_tenant(name.as_str()) {
        // Neither listed nor tried since: it does not stand, and reading it would only say so.
        None
    } else {
        account.reader(priority).tenant(name).await?
    };
    let plan_context = PlanContext {
        arns: account.arns.clone(),
        consent: consent.clone(),
        // We disable a tenant only while it is held, and there are no holds yet: whoever disabled it was not us.
        intended_sending: Some(true),
        default_of: BTreeSet::new(),
    };
    let plan = plan_tenant(&desired, observed.as_ref(), &plan_context);
    account.tenants.note(name, TenantLeft::Tried);
    apply(&plan, &*account.ses, &account.budget, priority).await?;
    account.tenants.settle(name);
    account.listed.note_tenant(name.as_str());
    if observed.is_none() {
        made(context, namespace);
    }
    let what = if observed.is_none() { "vanished" } else { "changed" };
    let drifted = as_left && !plan.is_empty();
    let tenant = Tenant {
        applied: Some(hash.clone()),
        findings: plan.findings().to_vec(),
        drift: drifted.then(|| context.drifted(what, &plan)),
    };
    if !tenant.is_refused() {
        let findings = tenant.findings.clone();
        account.tenants.note(name, TenantLeft::Settled { hash, findings });
    }
    Ok(tenant)
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

/// How the tenant was listed last; one that was made since may send.
fn listed(account: &Account, name: &TenantName) -> SendingStatus {
    let inventory = account.listed.inventory();
    let tenant = inventory.as_ref().and_then(|all| all.tenants.get(name.as_str()));
    tenant.map(|tenant| tenant.sending).unwrap_or_default()
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
    let turn = account.tenants.turn(&name);
    let _turn = turn.lock().await;
    // Asked when the turn has come: a policy may have come meanwhile, and had the tenant settled for itself.
    if others_stay && is_needed(context, leaving) {
        return Ok(Vec::new());
    }
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
    account.tenants.forget(&name);
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
