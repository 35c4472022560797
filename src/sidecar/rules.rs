//! What is in force: the configuration and suppressions as they were read last, and the pod's share of the ceilings.

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
    share: Share,
    read_at: Timestamp,
}

/// Which part of the namespace's ceilings is this pod's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// None yet.
    #[default]
    None,
    /// All: the pod is the only one.
    Whole,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            gate: Err("the sidecar has no configuration yet".to_owned()),
            share: Share::None,
            read_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Rules {
    /// Rules by a gate, or why there is none.
    #[must_use]
    pub fn new(gate: Result<Gate, String>, share: Share, read_at: Timestamp) -> Self {
        Self { gate, share, read_at }
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

    /// The limits that this pod keeps; `None` without a configuration, where those before stay.
    #[must_use]
    pub fn limits(&self) -> Option<NamespaceLimits> {
        self.gate.as_ref().ok().map(|gate| limits(gate.config()))
    }

    /// Whether the pod has a share of the ceilings at this moment.
    #[must_use]
    pub fn is_allotted(&self, _now: Timestamp) -> bool {
        self.share == Share::Whole
    }

    /// Whether it ever had one.
    #[must_use]
    pub fn was_allotted(&self) -> bool {
        false
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
