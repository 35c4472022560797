//! What the operator tells Prometheus. Every label is one of a fixed list.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Buckets of seconds, from a millisecond to a quarter of an hour: a wait for SES's budget may be long.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 420.0, 900.0];

/// A kind and an outcome.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reconciled {
    /// The kind of object.
    pub kind: &'static str,
    /// `ok`, or the error's reason.
    pub outcome: &'static str,
}

/// A kind.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct OfKind {
    /// The kind of object.
    pub kind: Cow<'static, str>,
}

/// An operation of SES and its outcome.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Called {
    /// SES's operation.
    pub operation: &'static str,
    /// `ok`, or the error's reason.
    pub outcome: &'static str,
}

/// A priority of the budget.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct OfPriority {
    /// The priority.
    pub priority: &'static str,
}

/// What was found changed behind our back.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Drift {
    /// `vanished`, `changed` or `managed-object`.
    pub what: &'static str,
}

/// A condition of a kind.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct OfCondition {
    /// The kind of object.
    pub kind: &'static str,
    /// The condition's type.
    pub condition: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
}

/// Every metric of the operator. Clones share the values.
pub struct Metrics {
    registry: Registry,
    /// Time of one reconciliation, waits for SES included.
    pub reconcile_seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    /// Reconciliations by outcome.
    pub reconciled: Family<Reconciled, Counter>,
    /// Requests to SES.
    pub ses_calls: Family<Called, Counter>,
    /// Waits for the budget.
    pub budget_wait_seconds: Family<OfPriority, Histogram, fn() -> Histogram>,
    /// Requests that wait for the budget now.
    pub budget_waiting: Family<OfPriority, Gauge>,
    /// Plans whose turn has not come.
    pub plans_waiting: Family<OfPriority, Gauge>,
    /// Whether the circuit breaker of some account is open.
    pub circuit_open: Gauge,
    /// Changes found that were not ours.
    pub drift: Family<Drift, Counter>,
    /// Objects by condition.
    pub conditions: Family<OfCondition, Gauge>,
    /// Writes to the API server.
    pub api_writes: Family<OfKind, Counter>,
    /// Watches that broke and began again.
    pub watch_errors: Family<OfKind, Counter>,
    /// Whether this replica leads.
    pub leader: Gauge,
    /// The operator's clock minus the API server's.
    pub clock_skew_seconds: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix("mail_policy"),
            reconcile_seconds: Family::new_with_constructor(histogram),
            reconciled: Family::default(),
            ses_calls: Family::default(),
            budget_wait_seconds: Family::new_with_constructor(histogram),
            budget_waiting: Family::default(),
            plans_waiting: Family::default(),
            circuit_open: Gauge::<i64, AtomicI64>::default(),
            drift: Family::default(),
            conditions: Family::default(),
            api_writes: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
            clock_skew_seconds: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "reconcile_duration_seconds",
            "Time of one reconciliation, waits for SES included",
            metrics.reconcile_seconds.clone(),
        );
        registry.register("reconciles", "Reconciliations by outcome", metrics.reconciled.clone());
        registry.register(
            "ses_calls",
            "Requests to SES by operation and outcome",
            metrics.ses_calls.clone(),
        );
        registry.register(
            "ses_budget_wait_seconds",
            "Waits for the budget of calls to SES",
            metrics.budget_wait_seconds.clone(),
        );
        registry.register(
            "ses_budget_waiting",
            "Requests that wait for the budget",
            metrics.budget_waiting.clone(),
        );
        registry.register(
            "ses_plans_waiting",
            "Objects whose turn to change SES has not come",
            metrics.plans_waiting.clone(),
        );
        registry.register(
            "ses_circuit_open",
            "Accounts whose circuit breaker is open",
            metrics.circuit_open.clone(),
        );
        registry.register(
            "drift",
            "Changes found that were not the operator's",
            metrics.drift.clone(),
        );
        registry.register(
            "objects",
            "Objects by condition and its status",
            metrics.conditions.clone(),
        );
        registry.register(
            "api_writes",
            "Writes to the API server by kind",
            metrics.api_writes.clone(),
        );
        registry.register(
            "watch_errors",
            "Watches that broke and began again",
            metrics.watch_errors.clone(),
        );
        registry.register("leader", "Whether this replica leads", metrics.leader.clone());
        registry.register(
            "clock_skew_seconds",
            "The operator's clock minus the API server's; beyond 5 no window opens",
            metrics.clock_skew_seconds.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Everything in Prometheus's text format.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Notes one reconciliation.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.reconcile_seconds
            .get_or_create(&OfKind { kind: kind.into() })
            .observe(took.as_secs_f64());
        self.reconciled.get_or_create(&Reconciled { kind, outcome }).inc();
    }
}
