//! A configuration set and its event destinations.

use super::super::call::SesCall;
use super::super::desired::{DesiredSet, SetOptions, Suppression};
use super::super::memory::SetMemory;
use super::super::name::SetName;
use super::super::observed::ObservedSet;
use super::super::tags::{Owner, Ownership};
use super::difference::{Difference, OptionsDiffer};
use super::{Context, Finding, MAX_DESTINATIONS, Plan, Removal, may_change, not_removed};

/// What brings the set to what is wanted.
///
/// A new set is created with its switch as wanted, before its destinations stand. That is safe, and saves the third
/// call that opening it later would cost: nothing sends through a set before the sidecar's config names it, and the
/// caller writes that config only after the whole plan was applied.
#[must_use]
pub fn plan_set(desired: &DesiredSet, observed: Option<&ObservedSet>, context: &Context) -> Plan {
    let mut plan = Plan::default();
    let Some(observed) = observed else {
        create(&mut plan, desired, context);
        return plan;
    };
    let ownership = Ownership::of(&observed.record.tags, &desired.owner);
    let what = format!("configuration set {}", desired.name);
    let must_tag = match may_change(what, ownership, &desired.owner, &context.consent) {
        Ok(must_tag) => must_tag,
        Err(refused) => {
            plan.find(refused);
            return plan;
        }
    };
    if must_recreate(&observed.record.options, &desired.options) {
        if !context.default_of.is_empty() {
            plan.find(Finding::DefaultOfIdentities {
                set: desired.name.clone(),
                count: context.default_of.len(),
            });
        } else if context.consent.recreate && !is_paused(desired, observed.record.sending, context) {
            delete(&mut plan, observed, context);
            create(&mut plan, desired, context);
            return plan;
        } else {
            // Without consent; or paused in SES, which a new set would end.
            plan.find(Finding::RecreateNeeded {
                set: desired.name.clone(),
            });
        }
    }
    change(
        &mut plan,
        desired,
        &Difference::read(desired, observed),
        must_tag,
        context,
    );
    plan
}

/// What brings a set to what is wanted that stands as it is remembered, without reading it: a change costs exactly what
/// differs. `None` where memory does not tell enough and the set must be read.
#[must_use]
pub fn plan_set_change(desired: &DesiredSet, memory: &SetMemory, context: &Context) -> Option<Plan> {
    let difference = Difference::remembered(desired, memory)?;
    let mut plan = Plan::default();
    change(&mut plan, desired, &difference, false, context);
    Some(plan)
}

/// What becomes of the set when its object goes. Needs no valid policy, only whose the set is.
#[must_use]
pub fn plan_set_removal(owner: &Owner, observed: Option<&ObservedSet>, removal: Removal, context: &Context) -> Plan {
    let mut plan = Plan::default();
    let Some(observed) = observed else { return plan };
    let ownership = Ownership::of(&observed.record.tags, owner);
    if !ownership.may_change() {
        plan.find(not_removed(format!("configuration set {}", observed.name), ownership));
        return plan;
    }
    match removal {
        Removal::Delete if context.default_of.is_empty() => delete(&mut plan, observed, context),
        Removal::Delete => {
            switch_off(&mut plan, observed);
            plan.find(Finding::DefaultOfIdentities {
                set: observed.name.clone(),
                count: context.default_of.len(),
            });
        }
        Removal::Retain => switch_off(&mut plan, observed),
    }
    plan
}

fn must_recreate(observed: &SetOptions, desired: &SetOptions) -> bool {
    matches!(
        (&observed.suppression, &desired.suppression),
        (Suppression::Only(_), Suppression::Inherit)
    )
}

fn is_paused(desired: &DesiredSet, standing_sending: bool, context: &Context) -> bool {
    desired.sending && !standing_sending && context.intended_sending == Some(true)
}

fn create(plan: &mut Plan, desired: &DesiredSet, context: &Context) {
    let DesiredSet {
        name,
        owner,
        sending,
        options,
        destinations,
        tenant,
    } = desired;
    plan.step(SesCall::CreateSet {
        set: name.clone(),
        sending: *sending,
        options: Box::new(options.clone()),
        tags: owner.tags(),
    });
    if destinations.len() > MAX_DESTINATIONS {
        plan.find(Finding::TooManyDestinations {
            set: name.clone(),
            wanted: destinations.len(),
        });
    } else {
        for (destination_name, destination) in destinations {
            plan.step(SesCall::CreateDestination {
                set: name.clone(),
                name: destination_name.clone(),
                destination: destination.clone(),
            });
        }
    }
    if let Some(tenant) = tenant {
        plan.step(SesCall::Associate {
            tenant: tenant.clone(),
            resource: context.arns.set(name),
        });
    }
}

fn change(plan: &mut Plan, desired: &DesiredSet, difference: &Difference, must_tag: bool, context: &Context) {
    let DesiredSet {
        name,
        owner,
        sending,
        options,
        destinations,
        tenant,
    } = desired;
    let set = || name.clone();
    if !sending && difference.standing_sending {
        plan.step(SesCall::PutSending {
            set: set(),
            enabled: false,
        });
    }
    if must_tag {
        plan.step(SesCall::Tag {
            resource: context.arns.set(name),
            tags: owner.tags(),
        });
    }
    let too_many = destinations.len() > MAX_DESTINATIONS;
    if too_many {
        plan.find(Finding::TooManyDestinations {
            set: set(),
            wanted: destinations.len(),
        });
    } else {
        // Deletions first: at SES's limit of ten destinations a creation would fail while the old one stands.
        for stale in &difference.stale {
            plan.step(SesCall::DeleteDestination {
                set: set(),
                name: stale.clone(),
            });
        }
    }
    // The set is ours, so that a tenant which it should not belong to could send through it.
    for tenant in &difference.leave {
        plan.step(SesCall::Dissociate {
            tenant: tenant.clone(),
            resource: context.arns.set(name),
        });
    }
    change_options(plan, name, options, difference.options);
    if !too_many {
        for (name, destination) in destinations
            .iter()
            .filter(|(name, _)| difference.replaced.contains(*name))
        {
            plan.step(SesCall::UpdateDestination {
                set: set(),
                name: name.clone(),
                destination: destination.clone(),
            });
        }
        for (name, destination) in destinations
            .iter()
            .filter(|(name, _)| difference.missing.contains(*name))
        {
            plan.step(SesCall::CreateDestination {
                set: set(),
                name: name.clone(),
                destination: destination.clone(),
            });
        }
    }
    if let (Some(tenant), true) = (tenant, difference.join) {
        plan.step(SesCall::Associate {
            tenant: tenant.clone(),
            resource: context.arns.set(name),
        });
    }
    if *sending && !difference.standing_sending {
        if is_paused(desired, difference.standing_sending, context) {
            plan.find(Finding::SetPausedInSes { set: set() });
        } else {
            plan.step(SesCall::PutSending {
                set: set(),
                enabled: true,
            });
        }
    }
}

/// One call an option group that differs.
fn change_options(plan: &mut Plan, name: &SetName, desired: &SetOptions, differ: OptionsDiffer) {
    let SetOptions {
        delivery,
        reputation_metrics,
        tracking,
        suppression,
        vdm,
        archive,
        signing,
    } = desired;
    let set = || name.clone();
    if let (Suppression::Only(wanted), true) = (suppression, differ.suppression) {
        plan.step(SesCall::PutSuppression {
            set: set(),
            suppression: wanted.clone(),
        });
    }
    if differ.delivery {
        plan.step(SesCall::PutDelivery {
            set: set(),
            delivery: delivery.clone(),
        });
    }
    if differ.reputation_metrics {
        plan.step(SesCall::PutReputation {
            set: set(),
            metrics: *reputation_metrics,
        });
    }
    if differ.tracking {
        plan.step(SesCall::PutTracking {
            set: set(),
            tracking: tracking.clone(),
        });
    }
    if differ.vdm {
        plan.step(SesCall::PutVdm { set: set(), vdm: *vdm });
    }
    if differ.archive {
        plan.step(SesCall::PutArchiving {
            set: set(),
            archive: archive.clone(),
        });
    }
    if differ.signing {
        plan.step(SesCall::PutSigning {
            set: set(),
            signing: *signing,
        });
    }
}

fn switch_off(plan: &mut Plan, observed: &ObservedSet) {
    if observed.record.sending {
        plan.step(SesCall::PutSending {
            set: observed.name.clone(),
            enabled: false,
        });
    }
}

/// Off first; SES refuses to delete a set that still belongs to a tenant.
fn delete(plan: &mut Plan, observed: &ObservedSet, context: &Context) {
    let ObservedSet {
        name,
        record: _,
        destinations,
        tenants,
    } = observed;
    switch_off(plan, observed);
    for tenant in tenants.iter().flatten() {
        plan.step(SesCall::Dissociate {
            tenant: tenant.clone(),
            resource: context.arns.set(name),
        });
    }
    for destination in destinations.keys() {
        plan.step(SesCall::DeleteDestination {
            set: name.clone(),
            name: destination.clone(),
        });
    }
    plan.step(SesCall::DeleteSet { set: name.clone() });
}
