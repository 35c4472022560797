//! A tenant: one namespace of the cluster.

use super::super::arn::ResourceKind;
use super::super::call::{SesCall, TenantRef};
use super::super::desired::{DesiredTenant, ReputationPolicy, TenantSending};
use super::super::observed::{ObservedTenant, SendingStatus};
use super::super::tags::{Owner, Ownership};
use super::{Context, Finding, Plan, Removal, may_change, not_removed};

/// What brings the tenant to what is wanted.
#[must_use]
pub fn plan_tenant(desired: &DesiredTenant, observed: Option<&ObservedTenant>, context: &Context) -> Plan {
    let mut plan = Plan::default();
    let Some(observed) = observed else {
        create(&mut plan, desired);
        return plan;
    };
    let ownership = Ownership::of(&observed.record.tags, &desired.owner);
    let what = format!("tenant {}", desired.name);
    let must_tag = match may_change(what, ownership, &desired.owner, &context.consent) {
        Ok(must_tag) => must_tag,
        Err(refused) => {
            plan.find(refused);
            return plan;
        }
    };
    let DesiredTenant {
        name,
        owner,
        suppression,
        reputation_policy,
        identities,
        sending: _,
    } = desired;
    hold(&mut plan, desired, observed);
    if must_tag {
        plan.step(SesCall::Tag {
            resource: observed.record.arn.clone(),
            tags: owner.tags(),
        });
    }
    let stale = |arn: &&_| !identities.contains(*arn);
    for identity in observed
        .resources
        .iter()
        .filter(|arn| arn.kind() == ResourceKind::Identity)
        .filter(stale)
    {
        plan.step(SesCall::Dissociate {
            tenant: name.clone(),
            resource: identity.clone(),
        });
    }
    if observed.record.suppression != *suppression {
        plan.step(SesCall::PutTenantSuppression {
            tenant: name.clone(),
            suppression: suppression.clone(),
        });
    }
    if observed.reputation.policy != Some(*reputation_policy) {
        let tenant = TenantRef::Known(observed.record.arn.clone());
        plan.step(SesCall::PutReputationPolicy {
            tenant,
            policy: *reputation_policy,
        });
    }
    for identity in identities.difference(&observed.resources) {
        plan.step(SesCall::Associate {
            tenant: name.clone(),
            resource: identity.clone(),
        });
    }
    release(&mut plan, desired, observed, context);
    plan
}

/// What becomes of the tenant when its namespace is no longer ours. Its sets go before it.
///
/// With [`Removal::Retain`] nothing: its sets are off, and a tenant is disabled only while held.
#[must_use]
pub fn plan_tenant_removal(owner: &Owner, observed: Option<&ObservedTenant>, removal: Removal) -> Plan {
    let mut plan = Plan::default();
    let (Some(observed), Removal::Delete) = (observed, removal) else {
        return plan;
    };
    let ObservedTenant {
        name,
        record,
        reputation: _,
        resources,
    } = observed;
    let ownership = Ownership::of(&record.tags, owner);
    if !ownership.may_change() {
        plan.find(not_removed(format!("tenant {name}"), ownership));
        return plan;
    }
    for resource in resources {
        plan.step(SesCall::Dissociate {
            tenant: name.clone(),
            resource: resource.clone(),
        });
    }
    plan.step(SesCall::DeleteTenant { tenant: name.clone() });
    plan
}

/// A new tenant has SES's standard policy and is enabled; only what differs costs a call.
fn create(plan: &mut Plan, desired: &DesiredTenant) {
    let DesiredTenant {
        name,
        owner,
        suppression,
        reputation_policy,
        identities,
        sending,
    } = desired;
    let created = || TenantRef::Created(name.clone());
    plan.step(SesCall::CreateTenant {
        tenant: name.clone(),
        tags: owner.tags(),
        suppression: suppression.clone(),
    });
    match sending {
        TenantSending::Held => plan.step(SesCall::PutTenantSending {
            tenant: created(),
            enabled: false,
        }),
        TenantSending::Enabled => {}
    }
    if *reputation_policy != ReputationPolicy::default() {
        plan.step(SesCall::PutReputationPolicy {
            tenant: created(),
            policy: *reputation_policy,
        });
    }
    for identity in identities {
        plan.step(SesCall::Associate {
            tenant: name.clone(),
            resource: identity.clone(),
        });
    }
}

fn hold(plan: &mut Plan, desired: &DesiredTenant, observed: &ObservedTenant) {
    if desired.sending == TenantSending::Held && observed.reputation.by_customer != SendingStatus::Disabled {
        let tenant = TenantRef::Known(observed.record.arn.clone());
        plan.step(SesCall::PutTenantSending { tenant, enabled: false });
    }
}

/// Enabling comes last, and only to end what we began: never against AWS, never against a person.
fn release(plan: &mut Plan, desired: &DesiredTenant, observed: &ObservedTenant, context: &Context) {
    let tenant = desired.name.clone();
    if observed.reputation.by_aws == SendingStatus::Disabled {
        plan.find(Finding::TenantDisabledByAws { tenant });
        return;
    }
    if desired.sending == TenantSending::Held {
        return;
    }
    match observed.reputation.by_customer {
        SendingStatus::Disabled if context.intended_sending == Some(true) => {
            plan.find(Finding::TenantPausedInSes { tenant });
        }
        SendingStatus::Disabled => {
            let tenant = TenantRef::Known(observed.record.arn.clone());
            plan.step(SesCall::PutTenantSending { tenant, enabled: true });
        }
        SendingStatus::Reinstated => plan.find(Finding::TenantReinstated { tenant }),
        SendingStatus::Enabled if observed.reputation.by_aws == SendingStatus::Reinstated => {
            plan.find(Finding::TenantReinstated { tenant });
        }
        SendingStatus::Enabled => {}
    }
}
