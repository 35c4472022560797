#![allow(clippy::unwrap_used)]

use super::super::desired::{
    DesiredSet, Reason, SetOptions, Suppression, SuppressionOverride, SuppressionScope, TlsPolicy,
};
use super::super::memory::SetMemory;
use super::super::name::{DestinationName, TenantName};
use super::super::test_support::{context, desired_set, feedback, in_sync, owner};
use super::*;

fn lines(plan: &Plan) -> Vec<String> {
    plan.to_string()
        .replace(desired_set().name.as_str(), "SET")
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

fn only(reasons: &[Reason]) -> Suppression {
    let reasons = reasons.iter().copied().collect();
    Suppression::Only(SuppressionOverride {
        reasons,
        scope: SuppressionScope::Account,
        validation: None,
    })
}

fn with_options(change: impl FnOnce(&mut SetOptions)) -> DesiredSet {
    let mut desired = desired_set();
    change(&mut desired.options);
    desired
}

#[test]
fn what_stands_as_wanted_needs_nothing_whether_read_or_remembered() {
    let desired = desired_set();
    assert_eq!(
        lines(&plan_set(&desired, Some(&in_sync(&desired)), &context())),
        ["nothing to do"]
    );
    let remembered = plan_set_change(&desired, &SetMemory::of(&desired), &context()).unwrap();
    assert_eq!(lines(&remembered), ["nothing to do"]);
}

#[test]
fn a_change_costs_exactly_what_differs_whether_read_or_remembered() {
    let standing = desired_set();
    let changes: [(DesiredSet, &str); 4] = [
        (
            with_options(|options| options.delivery.tls = TlsPolicy::Require),
            "set delivery options of SET",
        ),
        (
            with_options(|options| options.reputation_metrics = true),
            "switch reputation metrics on of SET",
        ),
        (
            with_options(|options| options.suppression = only(&[])),
            "suppress in SET only {} of Account",
        ),
        (
            DesiredSet {
                sending: false,
                ..desired_set()
            },
            "switch sending off of SET",
        ),
    ];
    for (desired, call) in changes {
        assert_eq!(
            lines(&plan_set(&desired, Some(&in_sync(&standing)), &context())),
            [call]
        );
        assert_eq!(
            lines(&plan_set_change(&desired, &SetMemory::of(&standing), &context()).unwrap()),
            [call]
        );
    }
}

#[test]
fn a_changed_destination_is_replaced_whole_and_an_unwanted_one_goes_before_a_new_one_comes() {
    let standing = desired_set();
    let mut desired = desired_set();
    desired
        .destinations
        .get_mut(&DestinationName::feedback())
        .unwrap()
        .events
        .clear();
    let changed = ["replace event destination mail-policy-feedback of SET"];
    assert_eq!(
        lines(&plan_set(&desired, Some(&in_sync(&standing)), &context())),
        changed
    );
    assert_eq!(
        lines(&plan_set_change(&desired, &SetMemory::of(&standing), &context()).unwrap()),
        changed
    );

    let (old, new) = (
        DestinationName::parse("old").unwrap(),
        DestinationName::parse("new").unwrap(),
    );
    let with = |name: &DestinationName| {
        let mut set = desired_set();
        set.destinations.insert(name.clone(), feedback());
        set
    };
    let swapped = [
        "delete event destination old of SET",
        "create event destination new of SET",
    ];
    assert_eq!(
        lines(&plan_set(&with(&new), Some(&in_sync(&with(&old))), &context())),
        swapped
    );
    assert_eq!(
        lines(&plan_set_change(&with(&new), &SetMemory::of(&with(&old)), &context()).unwrap()),
        swapped
    );
}

#[test]
fn from_only_back_to_inherit_the_set_is_made_anew_and_only_with_consent() {
    let standing = with_options(|options| options.suppression = only(&[Reason::Bounce]));
    let desired = desired_set();
    let plan = plan_set(&desired, Some(&in_sync(&standing)), &context());
    assert_eq!((plan.is_empty(), plan.findings()[0].reason()), (true, "RecreateNeeded"));
    assert_eq!(
        plan_set_change(&desired, &SetMemory::of(&standing), &context()),
        None,
        "it must be read"
    );
    let consent = Consent {
        recreate: true,
        take_over: None,
    };
    let plan = plan_set(&desired, Some(&in_sync(&standing)), &Context { consent, ..context() });
    assert_eq!(
        lines(&plan),
        [
            "switch sending off of SET",
            "delete event destination mail-policy-feedback of SET",
            "delete configuration set SET",
            "create configuration set SET, sending on",
            "create event destination mail-policy-feedback of SET",
        ]
    );
}

#[test]
fn the_set_of_an_object_made_anew_is_adopted_without_help() {
    let desired = desired_set();
    let mut before = owner("shop", "default");
    before.uid = "another".to_owned();
    let mut observed = in_sync(&desired);
    observed.record.tags = before.tags();
    let plan = plan_set(&desired, Some(&observed), &context());
    assert!(matches!(plan.steps(), [SesCall::Tag { .. }]), "{plan}");
    let remembered = SetMemory::of(&DesiredSet {
        owner: before,
        ..desired_set()
    });
    assert_eq!(
        plan_set_change(&desired, &remembered, &context()),
        None,
        "another owner's memory tells nothing"
    );
}

#[test]
fn memory_of_nothing_or_of_another_tenant_does_not_tell_enough() {
    let desired = desired_set();
    assert_eq!(plan_set_change(&desired, &SetMemory::default(), &context()), None);
    let elsewhere = DesiredSet {
        tenant: Some(TenantName::of_namespace("prod", "shop")),
        ..desired_set()
    };
    assert_eq!(plan_set_change(&desired, &SetMemory::of(&elsewhere), &context()), None);
}
