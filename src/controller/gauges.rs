//! Gauges that are read off what is known, every few seconds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::context::Context;
use crate::{
    api::condition::kind,
    metrics::{OfCondition, OfPriority},
    ses::budget::{CircuitState, Priority},
};

/// Between two looks: a scrape is rarely more often.
const EVERY: Duration = Duration::from_secs(15);

/// The conditions that are counted, each by its status: labels stay few.
const KINDS: [&str; 12] = [
    kind::READY,
    kind::ACCEPTED,
    kind::CLAMPED,
    kind::PROGRAMMED,
    kind::SENDING_ENABLED,
    kind::WITHIN_QUOTA,
    kind::HEALTHY,
    kind::IDENTITIES_VERIFIED,
    kind::IDENTITIES_SEALED,
    kind::DRIFTED,
    kind::REINSTATED,
    kind::STALLED,
];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

/// Sets the gauges for ever.
pub async fn watch(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        budgets(&context);
        conditions(&context);
    }
}

fn budgets(context: &Context) {
    let accounts = context.accounts.all();
    let mut waiting = [0_usize; Priority::ALL.len()];
    let mut parked = waiting;
    let mut open = 0;
    for account in &accounts {
        let snapshot = account.budget.snapshot();
        let each = snapshot.waiting.iter().zip(account.admission.parked());
        for (place, (requests, plans)) in each.enumerate() {
            waiting[place] += requests;
            parked[place] += plans;
        }
        open += i64::from(snapshot.circuit != CircuitState::Closed);
    }
    context.metrics.circuit_open.set(open);
    for (priority, (requests, plans)) in Priority::ALL.iter().zip(waiting.into_iter().zip(parked)) {
        let label = OfPriority {
            priority: priority.label(),
        };
        context
            .metrics
            .budget_waiting
            .get_or_create(&label)
            .set(i64::try_from(requests).unwrap_or(i64::MAX));
        context
            .metrics
            .plans_waiting
            .get_or_create(&label)
            .set(i64::try_from(plans).unwrap_or(i64::MAX));
    }
}

fn conditions(context: &Context) {
    let mut counts = HashMap::<(&'static str, &'static str, &'static str), i64>::new();
    let mut count = |of: &'static str, conditions: &[Condition]| {
        for condition in conditions {
            let kind = KINDS.iter().find(|kind| **kind == condition.type_);
            let status = STATUSES.iter().find(|status| **status == condition.status);
            if let (Some(kind), Some(status)) = (kind, status) {
                *counts.entry((of, kind, status)).or_default() += 1;
            }
        }
    };
    let world = &context.world;
    for key in world.policies.keys() {
        if let Some(policy) = world.policies.get(&key) {
            let status = policy.readable().and_then(|policy| policy.status.as_ref());
            count("MailPolicy", status.map_or(&[][..], |status| &status.conditions));
        }
    }
    for account in world.accounts.within("") {
        let status = account.readable().and_then(|account| account.status.as_ref());
        count("SendingAccount", status.map_or(&[][..], |status| &status.conditions));
    }
    for guardrail in world.guardrails.within("") {
        let status = guardrail.readable().and_then(|guardrail| guardrail.status.as_ref());
        count("MailGuardrail", status.map_or(&[][..], |status| &status.conditions));
    }
    for kind in ["MailPolicy", "SendingAccount", "MailGuardrail"] {
        for condition in KINDS {
            for status in STATUSES {
                let number = counts.get(&(kind, condition, status)).copied().unwrap_or_default();
                context
                    .metrics
                    .conditions
                    .get_or_create(&OfCondition {
                        kind,
                        condition,
                        status,
                    })
                    .set(number);
            }
        }
    }
}
