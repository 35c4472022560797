#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::BTreeSet;

use super::super::desired::{
    DesiredSet, EventType, Reason, SetOptions, SmimeSignature, Suppression, SuppressionOverride, SuppressionScope,
    TlsPolicy, Tracking, Vdm,
};
use super::super::name::{DestinationName, TenantName};
use super::super::observed::{ObservedDestination, ObservedSet};
use super::super::tags::Owner;
use super::super::test_support::{context, desired_set, feedback, in_sync};
use super::*;

/// The plan's text with the set's long name shortened.
fn shown(plan: &Plan) -> String {
    plan.to_string().replace(desired_set().name.as_str(), "SET")
}

fn plan_from(observed: &ObservedSet, desired: &DesiredSet) -> Plan {
    plan_set(desired, Some(observed), &context())
}

fn only(reasons: impl IntoIterator<Item = Reason>) -> Suppression {
    let reasons = reasons.into_iter().collect();
    Suppression::Only(SuppressionOverride {
        reasons,
        scope: SuppressionScope::Account,
        validation: None,
    })
}

fn with_suppression(suppression: Suppression) -> DesiredSet {
    DesiredSet {
        options: SetOptions {
            suppression,
            ..SetOptions::default()
        },
        ..desired_set()
    }
}

#[test]
fn a_set_that_is_as_wanted_costs_nothing() {
    assert_eq!(
        shown(&plan_from(&in_sync(&desired_set()), &desired_set())),
        "nothing to do\n"
    );
}

#[test]
fn a_new_set_costs_two_calls() {
    let expected = "create configuration set SET, sending on\n\
                    create event destination mail-policy-feedback of SET\n";
    assert_eq!(shown(&plan_set(&desired_set(), None, &context())), expected);
}

#[test]
fn a_new_set_of_a_tenant_costs_one_call_more() {
    let tenant = Some(TenantName::of_namespace("prod", "shop"));
    let plan = plan_set(
        &DesiredSet {
            tenant,
            ..desired_set()
        },
        None,
        &context(),
    );
    assert_eq!(plan.steps().len(), 3);
    assert!(matches!(plan.steps().last(), Some(SesCall::Associate { .. })));
}

#[test]
fn a_change_of_mode_costs_the_switch_alone() {
    let off = DesiredSet {
        sending: false,
        ..desired_set()
    };
    let stop = plan_from(&in_sync(&desired_set()), &off);
    assert_eq!(shown(&stop), "switch sending off of SET\n");
    assert!(stop.steps()[0].stops_mail());
    assert_eq!(
        shown(&plan_from(&in_sync(&off), &desired_set())),
        "switch sending on of SET\n"
    );
}

#[test]
fn each_option_group_that_differs_costs_one_call_between_the_switches() {
    let mut desired = with_suppression(only([Reason::Bounce]));
    desired.options.delivery.tls = TlsPolicy::Require;
    desired.options.reputation_metrics = true;
    desired.options.tracking = Some(Tracking {
        redirect_domain: "go.example.com".into(),
        https: super::super::desired::HttpsPolicy::default(),
    });
    desired.options.vdm = Some(Vdm {
        engagement_metrics: Some(true),
        optimized_shared_delivery: None,
    });
    desired.options.archive = Some(super::super::arn::Arn::new("arn:archive"));
    desired.options.signing = Some(SmimeSignature::Detached);
    let options = "suppress in SET only {Bounce} of Account\n\
                   set delivery options of SET\n\
                   switch reputation metrics on of SET\n\
                   track SET through go.example.com\n\
                   set VDM options of SET\n\
                   archive SET in arn:archive\n\
                   sign SET with S/MIME\n";
    let off = DesiredSet {
        sending: false,
        ..desired_set()
    };
    assert_eq!(
        shown(&plan_from(&in_sync(&off), &desired)),
        format!("{options}switch sending on of SET\n")
    );
    desired.sending = false;
    assert_eq!(
        shown(&plan_from(&in_sync(&desired_set()), &desired)),
        format!("switch sending off of SET\n{options}")
    );
}

#[test]
fn destinations_are_deleted_before_others_are_created_and_replaced_where_they_differ() {
    let mut desired = desired_set();
    desired
        .destinations
        .insert(DestinationName::parse("new").unwrap(), feedback());
    let mut observed = in_sync(&desired_set());
    observed
        .destinations
        .insert(DestinationName::feedback(), ObservedDestination::Other);
    observed
        .destinations
        .insert(DestinationName::parse("stale").unwrap(), ObservedDestination::Other);
    let expected = "delete event destination stale of SET\n\
                    replace event destination mail-policy-feedback of SET\n\
                    create event destination new of SET\n";
    assert_eq!(shown(&plan_from(&observed, &desired)), expected);
}

#[test]
fn the_order_of_event_types_does_not_matter() {
    let mut observed = in_sync(&desired_set());
    let mut reordered = feedback();
    reordered.events = [EventType::Delivery, EventType::Complaint, EventType::Bounce]
        .into_iter()
        .rev()
        .collect();
    observed
        .destinations
        .insert(DestinationName::feedback(), ObservedDestination::Known(reordered));
    assert!(plan_from(&observed, &desired_set()).is_empty());
}

#[test]
fn more_destinations_than_ses_allows_are_found_and_none_is_touched() {
    let mut desired = desired_set();
    for number in 0..MAX_DESTINATIONS {
        desired
            .destinations
            .insert(DestinationName::parse(format!("d{number}")).unwrap(), feedback());
    }
    let plan = plan_from(&in_sync(&desired_set()), &desired);
    assert!(plan.is_empty());
    assert_eq!(plan.findings()[0].reason(), "TooManyDestinations");
    assert_eq!(plan_set(&desired, None, &context()).steps().len(), 1);
}

#[test]
fn a_missing_suppression_block_means_inherit_and_an_empty_list_means_nothing() {
    let none = with_suppression(only([]));
    let plan = plan_from(&in_sync(&desired_set()), &none);
    assert_eq!(shown(&plan), "suppress in SET only {} of Account\n");
    assert!(plan_from(&in_sync(&none), &none).is_empty());
}

#[test]
fn from_only_back_to_inherit_no_call_is_planned_without_consent() {
    let plan = plan_from(&in_sync(&with_suppression(only([]))), &desired_set());
    assert!(plan.is_empty());
    assert_eq!(
        plan.findings(),
        [Finding::RecreateNeeded {
            set: desired_set().name
        }]
    );
}

#[test]
fn with_consent_the_set_is_made_anew() {
    let context = Context {
        consent: Consent {
            recreate: true,
            take_over: None,
        },
        ..context()
    };
    let plan = plan_set(&desired_set(), Some(&in_sync(&with_suppression(only([])))), &context);
    let expected = "switch sending off of SET\n\
                    delete event destination mail-policy-feedback of SET\n\
                    delete configuration set SET\n\
                    create configuration set SET, sending on\n\
                    create event destination mail-policy-feedback of SET\n";
    assert_eq!(shown(&plan), expected);
}

#[test]
fn a_set_that_is_paused_in_ses_is_not_made_anew() {
    let consent = Consent {
        recreate: true,
        take_over: None,
    };
    let context = Context {
        consent,
        intended_sending: Some(true),
        ..context()
    };
    let paused = in_sync(&DesiredSet {
        sending: false,
        ..with_suppression(only([]))
    });
    let plan = plan_set(&desired_set(), Some(&paused), &context);
    assert!(plan.is_empty());
    assert_eq!(
        plan.findings().iter().map(Finding::reason).collect::<Vec<_>>(),
        ["RecreateNeeded", "PausedInSES"]
    );
}

#[test]
fn a_set_that_we_had_switched_on_and_is_off_was_paused_by_somebody() {
    let off = in_sync(&DesiredSet {
        sending: false,
        ..desired_set()
    });
    let meant_on = Context {
        intended_sending: Some(true),
        ..context()
    };
    let plan = plan_set(&desired_set(), Some(&off), &meant_on);
    assert!(plan.is_empty());
    assert_eq!(
        plan.findings(),
        [Finding::SetPausedInSes {
            set: desired_set().name
        }]
    );
}

#[test]
fn a_set_that_we_meant_to_be_off_is_our_own_half_done_work() {
    let off = in_sync(&DesiredSet {
        sending: false,
        ..desired_set()
    });
    let meant_off = Context {
        intended_sending: Some(false),
        ..context()
    };
    assert_eq!(
        shown(&plan_set(&desired_set(), Some(&off), &meant_off)),
        "switch sending on of SET\n"
    );
}

#[test]
fn what_is_not_ours_is_refused_and_taken_over_only_with_consent() {
    let mut theirs = in_sync(&desired_set());
    theirs.record.tags.clear();
    theirs.record.options.reputation_metrics = true;
    let refused = plan_from(&theirs, &desired_set());
    assert!(refused.is_empty());
    assert_eq!(refused.findings()[0].reason(), "NotOurs");
    let consent = |word: &str| Context {
        consent: Consent {
            take_over: Some(word.to_owned()),
            recreate: false,
        },
        ..context()
    };
    let other = plan_set(&desired_set(), Some(&theirs), &consent("staging"));
    assert!(other.is_empty());
    let message = other.findings()[0].to_string();
    assert!(
        message.ends_with("must say nobody to take it over, and says \"staging\""),
        "{message}"
    );
    let expected = "tag arn:aws:ses:eu-west-1:123456789012:configuration-set/SET as ours\n\
                    switch reputation metrics off of SET\n";
    assert_eq!(
        shown(&plan_set(&desired_set(), Some(&theirs), &consent("nobody"))),
        expected
    );
}

#[test]
fn consent_names_the_cluster_from_which_a_set_is_taken() {
    let mut theirs = in_sync(&desired_set());
    theirs.record.tags = Owner {
        cluster_id: "staging".into(),
        ..desired_set().owner
    }
    .tags();
    let taken = |word: &str| {
        let consent = Consent {
            take_over: Some(word.to_owned()),
            recreate: false,
        };
        let plan = plan_set(&desired_set(), Some(&theirs), &Context { consent, ..context() });
        !plan.is_empty()
    };
    assert_eq!(
        ["staging", "nobody", "production", ""].map(taken),
        [true, false, false, false]
    );
}

#[test]
fn after_a_rebuild_a_set_is_tagged_anew_without_help() {
    let rebuilt = DesiredSet {
        owner: Owner {
            uid: "new".into(),
            ..desired_set().owner
        },
        ..desired_set()
    };
    let plan = plan_from(&in_sync(&desired_set()), &rebuilt);
    assert!(matches!(plan.steps(), [SesCall::Tag { .. }]), "{plan}");
}

#[test]
fn a_set_joins_its_tenant_and_leaves_every_other() {
    let [ours, other] = ["shop", "other"].map(|namespace| TenantName::of_namespace("prod", namespace));
    let desired = DesiredSet {
        tenant: Some(ours),
        ..desired_set()
    };
    let mut observed = in_sync(&desired_set());
    observed.tenants = Some(BTreeSet::from([other]));
    let plan = plan_from(&observed, &desired);
    assert!(
        matches!(plan.steps(), [SesCall::Dissociate { .. }, SesCall::Associate { .. }]),
        "{plan}"
    );
    observed.tenants = None;
    assert!(
        plan_from(&observed, &desired).is_empty(),
        "where nobody asked, nothing is known to differ"
    );
}

fn removal(observed: Option<&ObservedSet>, removal: Removal, context: &Context) -> Plan {
    plan_set_removal(&desired_set().owner, observed, removal, context)
}

#[test]
fn a_set_that_is_gone_needs_no_removal() {
    assert!(removal(None, Removal::Delete, &context()).is_empty());
}

#[test]
fn retained_is_switched_off_and_deleted_goes_off_first() {
    let observed = in_sync(&DesiredSet {
        tenant: Some(TenantName::of_namespace("prod", "shop")),
        ..desired_set()
    });
    let retained = removal(Some(&observed), Removal::Retain, &context());
    assert_eq!(shown(&retained), "switch sending off of SET\n");
    let deleted = removal(Some(&observed), Removal::Delete, &context());
    assert!(matches!(
        deleted.steps(),
        [
            SesCall::PutSending { enabled: false, .. },
            SesCall::Dissociate { .. },
            SesCall::DeleteDestination { .. },
            SesCall::DeleteSet { .. },
        ]
    ));
}

#[test]
fn the_default_of_an_identity_is_switched_off_but_not_deleted() {
    let default_of = BTreeSet::from([Identity::new("example.com")]);
    let plan = removal(
        Some(&in_sync(&desired_set())),
        Removal::Delete,
        &Context {
            default_of,
            ..context()
        },
    );
    assert!(matches!(plan.steps(), [SesCall::PutSending { enabled: false, .. }]));
    assert_eq!(
        plan.findings(),
        [Finding::DefaultOfIdentities {
            set: desired_set().name,
            count: 1
        }]
    );
}

#[test]
fn what_is_not_ours_is_not_removed_even_with_consent() {
    let mut theirs = in_sync(&desired_set());
    theirs.record.tags.clear();
    let context = Context {
        consent: Consent {
            take_over: Some("nobody".to_owned()),
            recreate: true,
        },
        ..context()
    };
    let plan = removal(Some(&theirs), Removal::Delete, &context);
    assert!(plan.is_empty());
    assert_eq!(plan.findings()[0].reason(), "NotOurs");
}
