//! What is in force: the configuration and suppressions as they were read last.

use jiff::Timestamp;

use super::denial::Denial;
use crate::policy::{
    SidecarConfig,
    ceiling::{NamespaceLimits, PolicyLimits},
    gate::{Gate, Reason, Refusal, Rule},
};

/// What is in force.
#[derive(Debug)]
pub struct Rules {
    gate: Result<Gate, String>,
    read_at: Timestamp,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            gate: Err("the sidecar has no configuration yet".to_owned()),
            read_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Rules {
    /// Rules by a gate, or why there is none.
    #[must_use]
    pub fn new(gate: Result<Gate, String>, read_at: Timestamp) -> Self {
        Self { gate, read_at }
    }

    /// When they were read.
    #[must_use]
    pub fn read_at(&self) -> Timestamp {
        self.read_at
    }

    /// The gate.
    ///
    /// # Errors
    /// Why there is none.
    pub fn gate(&self) -> Result<&Gate, Denial> {
        self.gate
            .as_ref()
            .map_err(|why| Refusal::new(Reason::NoConfig(why.clone()), Rule::default()).into())
    }

    /// The limits that the configuration states; `None` without a configuration, where those before stay.
    #[must_use]
    pub fn limits(&self) -> Option<NamespaceLimits> {
        self.gate.as_ref().ok().map(|gate| limits(gate.config()))
    }
}

/// The limits that a configuration states.
fn limits(config: &SidecarConfig) -> NamespaceLimits {
    NamespaceLimits {
        recipients: config.ceilings.recipients.clone(),
        new_recipients: config.ceilings.new_recipients.clone(),
        policies: config
            .policies
            .iter()
            .map(|policy| {
                let limits = PolicyLimits {
                    recipients: policy.ceilings.recipients.clone(),
                    new_recipients: policy.ceilings.new_recipients.clone(),
                    per_recipient: policy.ceilings.per_recipient.clone(),
                };
                (policy.name.clone(), limits)
            })
            .collect(),
    }
}
