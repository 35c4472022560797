//! What a sidecar tells Prometheus. Every label is one of a fixed list; no address, no policy's name.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Buckets of seconds, from what a decision takes to a slow answer of SES.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// A way in and an outcome.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Came {
    /// `smtp` or `http`.
    pub way: &'static str,
    /// `sent`, `captured`, or the reason of a denial.
    pub outcome: &'static str,
}

/// What became of recipients.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Fared {
    /// The mode in force.
    pub mode: &'static str,
    /// `sent`, `replaced`, `captured` or `refused`.
    pub fate: &'static str,
}

/// A kind of answer of SES.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Answered {
    /// `accepted`, or the kind of error.
    pub outcome: &'static str,
}

/// A mounted folder.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Folder {
    /// `config`, `suppressions`, `credentials` or `allotment`.
    pub folder: &'static str,
}

/// Every metric of a sidecar.
pub struct Metrics {
    registry: Registry,
    /// Messages by way in and outcome.
    pub messages: Family<Came, Counter>,
    /// Recipients by mode and fate.
    pub recipients: Family<Fared, Counter>,
    /// Recipients that an enforced policy would have refused or changed.
    pub audited: Counter,
    /// Answers of SES.
    pub ses_answers: Family<Answered, Counter>,
    /// Time of SES's answers.
    pub ses_seconds: Histogram,
    /// Messages that wait for a ceiling.
    pub waiting: Gauge,
    /// Whether what is mounted can be read; the last that could stays in force.
    pub readable: Family<Folder, Gauge>,
    /// Captured messages that are kept.
    pub captured: Gauge,
    /// Whether SES's throttling holds messages back.
    pub braking: Gauge,
    /// When the configuration in force was read, in seconds since the epoch.
    pub config_read: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mail_policy_sidecar");
        let metrics = Self {
            messages: Family::default(),
            recipients: Family::default(),
            audited: Counter::default(),
            ses_answers: Family::default(),
            ses_seconds: Histogram::new(SECONDS),
            waiting: Gauge::<i64, AtomicI64>::default(),
            readable: Family::default(),
            captured: Gauge::default(),
            braking: Gauge::default(),
            config_read: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("messages", "Messages by way in and outcome", metrics.messages.clone());
        registry.register("recipients", "Recipients by mode and fate", metrics.recipients.clone());
        registry.register(
            "audited_recipients",
            "Recipients that an enforced policy would have refused or changed",
            metrics.audited.clone(),
        );
        registry.register("ses_answers", "Answers of SES by outcome", metrics.ses_answers.clone());
        registry.register(
            "ses_answer_seconds",
            "Time from a message's hand-over to SES's answer",
            metrics.ses_seconds.clone(),
        );
        registry.register(
            "waiting_messages",
            "Messages that wait for a ceiling",
            metrics.waiting.clone(),
        );
        registry.register(
            "mounted_readable",
            "Whether what is mounted can be read; what could be read last stays in force",
            metrics.readable.clone(),
        );
        registry.register(
            "captured_messages",
            "Captured messages that are kept",
            metrics.captured.clone(),
        );
        registry.register(
            "ses_throttles",
            "Whether SES's throttling holds messages back",
            metrics.braking.clone(),
        );
        registry.register(
            "config_read_timestamp_seconds",
            "When the configuration in force was read",
            metrics.config_read.clone(),
        );
        Self { registry, ..metrics }
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
}
