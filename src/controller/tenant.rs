//! The tenant of a namespace, with Tenant isolation: made before the namespace's first set, settled once for all of its
//! policies.

use std::collections::BTreeSet;

use super::{
    accounts::Account,
    context::Context,
    desired::{desired_tenant, owner, tenant_name},
    error::Error,
    world::Key,
};
use crate::ses::{
    apply::apply,
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
}

impl Tenant {
    /// Whether mail may go through it.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| matches!(finding, Finding::TenantReinstated { .. }))
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
    let turn = account.tenants.turn(&desired.name);
    let settled = turn.lock().await.as_ref() == Some(&hash);
    let listed = listed(account, &desired.name);
    // What this run settled stands until a listing shows a tenant that may not send.
    let stands = settled || (listed.is_some() && remembered == Some(&hash));
    let enabled = listed.is_none_or(|sending| sending != SendingStatus::Disabled);
    (stands && enabled).then(|| Tenant {
        applied: Some(hash),
        findings: Vec::new(),
    })
}

/// Makes the tenant stand.
///
/// # Errors
/// What SES refused; the next try reads the tenant.
pub async fn settle(
    context: &Context,
    account: &Account,
    namespace: &str,
    consent: Consent,
    priority: Priority,
) -> Result<Tenant, Error> {
    let Some(desired) = desired(context, account, namespace) else {
        return Ok(Tenant::default());
    };
    let hash = desired.applied_hash();
    let turn = account.tenants.turn(&desired.name);
    let mut last = turn.lock().await;
    if last.as_ref() == Some(&hash) && listed(account, &desired.name) != Some(SendingStatus::Disabled) {
        return Ok(Tenant {
            applied: Some(hash),
            findings: Vec::new(),
        });
    }
    let observed = if last.is_none() && listed(account, &desired.name).is_none() {
        // Neither listed nor tried since: it does not stand, and reading it would only say so.
        None
    } else {
        account.reader(priority).tenant(&desired.name).await?
    };
    let plan_context = PlanContext {
        arns: account.arns.clone(),
        consent,
        // We disable a tenant only while it is held, and there are no holds yet: whoever disabled it was not us.
        intended_sending: Some(true),
        default_of: BTreeSet::new(),
    };
    let plan = plan_tenant(&desired, observed.as_ref(), &plan_context);
    // Until it succeeds, something was tried: the next try reads.
    *last = Some(String::new());
    apply(&plan, &*account.ses, &account.budget, priority).await?;
    let findings = plan.findings().to_vec();
    if findings.is_empty() {
        *last = Some(hash.clone());
    }
    Ok(Tenant {
        applied: Some(hash),
        findings,
    })
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
    Some(account.inventory()?.tenants.get(name.as_str())?.sending)
}

/// Deletes the tenant when the namespace's last policy goes and was to delete what it made.
///
/// # Errors
/// What SES refused.
pub async fn remove(context: &Context, account: &Account, leaving: &Key) -> Result<Vec<Finding>, Error> {
    let Some(name) = tenant_name(&account.spec, &leaving.namespace) else {
        return Ok(Vec::new());
    };
    if context
        .world
        .policies
        .names(&leaving.namespace)
        .iter()
        .any(|other| *other != leaving.name)
    {
        return Ok(Vec::new());
    }
    let turn = account.tenants.turn(&name);
    let mut last = turn.lock().await;
    let observed = account.reader(Priority::Tighten).tenant(&name).await?;
    let owner = owner(&account.spec.cluster_id, &leaving.namespace, &leaving.namespace, "");
    let plan = plan_tenant_removal(&owner, observed.as_ref(), Removal::Delete);
    let applied = apply(&plan, &*account.ses, &account.budget, Priority::Tighten).await?;
    *last = None;
    account.note_tenant_gone(name.as_str());
    Ok(applied.findings().to_vec())
}
