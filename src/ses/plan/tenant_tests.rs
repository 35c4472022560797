#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::BTreeSet;

use super::super::arn::Arn;
use super::super::desired::{DesiredTenant, ReputationPolicy, SuppressionScope, TenantSending, TenantSuppression};
use super::super::observed::{ObservedTenant, Reputation, SendingStatus, TenantRecord};
use super::super::test_support::{context, desired_tenant, identity};
use super::*;

fn observed() -> ObservedTenant {
    let desired = desired_tenant();
    ObservedTenant {
        record: TenantRecord {
            arn: Arn::new("arn:aws:ses:eu-west-1:123456789012:tenant/t/tn-1"),
            tags: desired.owner.tags(),
            suppression: None,
            sending: SendingStatus::Enabled,
        },
        reputation: Reputation::of_new_tenant(),
        resources: desired.identities,
        name: desired.name,
    }
}

fn with_status(by_customer: SendingStatus, by_aws: SendingStatus) -> ObservedTenant {
    ObservedTenant {
        reputation: Reputation {
            by_customer,
            by_aws,
            ..Reputation::of_new_tenant()
        },
        ..observed()
    }
}

fn held() -> DesiredTenant {
    DesiredTenant {
        sending: TenantSending::Held,
        ..desired_tenant()
    }
}

fn shown(plan: &Plan) -> String {
    plan.to_string().replace(desired_tenant().name.as_str(), "TENANT")
}

#[test]
fn a_tenant_that_is_as_wanted_costs_nothing() {
    assert_eq!(
        shown(&plan_tenant(&desired_tenant(), Some(&observed()), &context())),
        "nothing to do\n"
    );
}

#[test]
fn a_new_tenant_costs_itself_and_its_identities() {
    let expected = "create tenant TENANT\n\
                    give arn:aws:ses:eu-west-1:123456789012:identity/example.com to tenant TENANT\n";
    assert_eq!(shown(&plan_tenant(&desired_tenant(), None, &context())), expected);
}

#[test]
fn a_new_tenant_that_is_held_is_disabled_before_it_can_send() {
    let strict = DesiredTenant {
        reputation_policy: ReputationPolicy::Strict,
        ..held()
    };
    let expected = "create tenant TENANT\n\
                    switch sending off of the new tenant TENANT\n\
                    judge the new tenant TENANT by the policy Strict\n\
                    give arn:aws:ses:eu-west-1:123456789012:identity/example.com to tenant TENANT\n";
    assert_eq!(shown(&plan_tenant(&strict, None, &context())), expected);
}

#[test]
fn a_change_costs_what_differs_and_leaves_sets_and_templates_alone() {
    let suppression = Some(TenantSuppression {
        reasons: BTreeSet::new(),
        scope: SuppressionScope::Tenant,
    });
    let desired = DesiredTenant {
        suppression,
        reputation_policy: ReputationPolicy::None,
        ..desired_tenant()
    };
    let mut observed = observed();
    observed.resources = [
        identity("old.example"),
        Arn::new("arn:aws:ses:eu-west-1:123456789012:configuration-set/s"),
        Arn::new("arn:aws:ses:eu-west-1:123456789012:template/t"),
    ]
    .into();
    let expected = "take arn:aws:ses:eu-west-1:123456789012:identity/old.example from tenant TENANT\n\
                    suppress in tenant TENANT only {} of Tenant\n\
                    judge arn:aws:ses:eu-west-1:123456789012:tenant/t/tn-1 by the policy None\n\
                    give arn:aws:ses:eu-west-1:123456789012:identity/example.com to tenant TENANT\n";
    assert_eq!(shown(&plan_tenant(&desired, Some(&observed), &context())), expected);
}

#[test]
fn suppression_that_is_no_longer_wanted_is_cleared() {
    let mut observed = observed();
    observed.record.suppression = Some(TenantSuppression {
        reasons: BTreeSet::new(),
        scope: SuppressionScope::Tenant,
    });
    let plan = plan_tenant(&desired_tenant(), Some(&observed), &context());
    assert_eq!(shown(&plan), "suppress in tenant TENANT as the account does\n");
}

#[test]
fn a_tenant_is_disabled_while_held_and_enabled_after() {
    let stop = plan_tenant(&held(), Some(&observed()), &context());
    assert!(stop.steps()[0].stops_mail());
    let disabled = with_status(SendingStatus::Disabled, SendingStatus::Enabled);
    assert!(plan_tenant(&held(), Some(&disabled), &context()).is_empty());
    let release = plan_tenant(&desired_tenant(), Some(&disabled), &context());
    assert!(matches!(
        release.steps(),
        [SesCall::PutTenantSending { enabled: true, .. }]
    ));
}

#[test]
fn reinstated_is_in_sync_with_enabled() {
    for (by_customer, by_aws) in [
        (SendingStatus::Reinstated, SendingStatus::Enabled),
        (SendingStatus::Enabled, SendingStatus::Reinstated),
    ] {
        let plan = plan_tenant(&desired_tenant(), Some(&with_status(by_customer, by_aws)), &context());
        assert!(plan.is_empty());
        assert_eq!(
            plan.findings(),
            [Finding::TenantReinstated {
                tenant: desired_tenant().name
            }]
        );
    }
}

#[test]
fn what_aws_disabled_is_never_fought() {
    for by_customer in [SendingStatus::Enabled, SendingStatus::Disabled] {
        let plan = plan_tenant(
            &desired_tenant(),
            Some(&with_status(by_customer, SendingStatus::Disabled)),
            &context(),
        );
        assert!(plan.is_empty());
        assert_eq!(
            plan.findings(),
            [Finding::TenantDisabledByAws {
                tenant: desired_tenant().name
            }]
        );
    }
}

#[test]
fn what_a_person_disabled_is_respected() {
    let context = Context {
        intended_sending: Some(true),
        ..context()
    };
    let disabled = with_status(SendingStatus::Disabled, SendingStatus::Enabled);
    let plan = plan_tenant(&desired_tenant(), Some(&disabled), &context);
    assert!(plan.is_empty());
    assert_eq!(
        plan.findings(),
        [Finding::TenantPausedInSes {
            tenant: desired_tenant().name
        }]
    );
}

#[test]
fn a_tenant_that_is_not_ours_is_refused() {
    let mut theirs = observed();
    theirs.record.tags.clear();
    for plan in [
        plan_tenant(&held(), Some(&theirs), &context()),
        plan_tenant_removal(&held().owner, Some(&theirs), Removal::Delete),
    ] {
        assert!(plan.is_empty());
        assert_eq!(plan.findings()[0].reason(), "NotOurs");
    }
}

#[test]
fn a_tenant_goes_after_its_associations_and_a_retained_one_stays_as_it_is() {
    let owner = desired_tenant().owner;
    let plan = plan_tenant_removal(&owner, Some(&observed()), Removal::Delete);
    assert!(matches!(
        plan.steps(),
        [SesCall::Dissociate { .. }, SesCall::DeleteTenant { .. }]
    ));
    assert!(plan_tenant_removal(&owner, Some(&observed()), Removal::Retain).is_empty());
    assert!(plan_tenant_removal(&owner, None, Removal::Delete).is_empty());
}
