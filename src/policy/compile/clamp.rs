//! Wishes that a bound made smaller.

use std::collections::BTreeSet;

use crate::policy::{Bounds, Meet, Sourced, terms::SetTerms};

/// A wish that a bound made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// The field.
    pub field: &'static str,
    /// What was asked, what is in force, and by whose word.
    pub message: String,
}

/// Notes where what is in force is less than what was asked.
pub(super) fn note<T: Meet>(
    clamps: &mut Vec<Clamp>,
    field: &'static str,
    asked: &T,
    effective: &Sourced<T>,
    show: impl Fn(&T) -> String,
) {
    if !asked.is_within(&effective.value) {
        let message = format!(
            "{field}: asked {}, in force {} ({})",
            show(asked),
            show(&effective.value),
            effective.from_words().join(", ")
        );
        clamps.push(Clamp { field, message });
    }
}

/// The options of the set, as far as the guardrails let the policy add to it.
pub(super) fn set(bounds: &Bounds, mut set: SetTerms, clamps: &mut Vec<Clamp>) -> SetTerms {
    let listed = |bound: &Option<Sourced<BTreeSet<String>>>, name: &str| {
        bound.as_ref().is_some_and(|bound| bound.value.contains(name))
    };
    if let Some(pool) = set.pool.take_if(|pool| !listed(&bounds.pools, pool)) {
        clamps.push(Clamp {
            field: "ses.pool",
            message: format!(
                "pool `{pool}` is not used: every guardrail that speaks of pools must list it, and one must"
            ),
        });
    }
    set.event_destinations.retain(|destination| {
        let allowed = listed(&bounds.event_destination_arns, &destination.arn);
        if !allowed {
            clamps.push(Clamp {
                field: "ses.eventDestinations",
                message: format!(
                    "{} gets no events: every guardrail that speaks of event destinations must list it, and one must",
                    destination.arn
                ),
            });
        }
        allowed
    });
    set
}
