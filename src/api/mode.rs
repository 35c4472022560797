//! The send mode.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a message, from most restrictive to most permissive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Refused with a temporary error.
    Paused,
    /// Accepted into the capture store; goes nowhere.
    Capture,
    /// Sent with each recipient replaced by a mailbox-simulator address.
    Simulate,
    /// Allowed recipients as they are, the rest by `otherRecipients`.
    Restricted,
    /// Sent to everyone, within ceilings, senders and suppression.
    Live,
}

impl Mode {
    /// Whether SES must accept mail for this mode to work: the configuration set's sending switch.
    #[must_use]
    pub fn needs_sending(self) -> bool {
        match self {
            Self::Paused | Self::Capture => false,
            Self::Simulate | Self::Restricted | Self::Live => true,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "Paused",
            Self::Capture => "Capture",
            Self::Simulate => "Simulate",
            Self::Restricted => "Restricted",
            Self::Live => "Live",
        })
    }
}
