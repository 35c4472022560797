//! Why a message is refused, in words that a developer can act on, without an address.

use std::{fmt, time::Duration};

use crate::api::{Rate, policy::SuppressionReason};

/// A field, and whose word its value is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The field, like `allowed`.
    pub field: &'static str,
    /// Those who made it so, like `MailGuardrail/staging`.
    pub from: Vec<String>,
}

impl Rule {
    /// A field and whose word it is.
    #[must_use]
    pub fn of(field: &'static str, from: Vec<String>) -> Self {
        Self { field, from }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.from.join(", "))
    }
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no configuration, or none that was ever readable.
    NoConfig(String),
    /// The suppressions that the configuration names are not at hand.
    NoSuppressions,
    /// The pod has no share of the ceilings yet, or its share has ended.
    NoAllotment,
    /// No policy matches the message.
    NoPolicy,
    /// The whole namespace is closed, and why.
    Closed(String),
    /// The mode is Paused.
    Paused,
    /// The sender is none of those who may send.
    Sender,
    /// The recipient is not allowed.
    NotAllowed,
    /// The recipient's address or domain is suppressed.
    Suppressed(SuppressionReason),
    /// A ceiling is reached for so long.
    Ceiling(Rate, Duration),
    /// The message has more recipients than the ceiling allows in its whole period.
    TooManyRecipients(Rate),
    /// What the ceilings let through cannot be kept: without that a restart would hand it out anew.
    NotKept,
}

/// Why something is refused, and by whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// By whose word; empty where nobody's.
    pub rule: Rule,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(reason: Reason, rule: Rule) -> Self {
        Self { reason, rule }
    }

    /// Whether the same message may be let through later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match &self.reason {
            Reason::NoConfig(_)
            | Reason::NoSuppressions
            | Reason::NoAllotment
            | Reason::NoPolicy
            | Reason::Closed(_)
            | Reason::Paused
            | Reason::Ceiling(..)
            | Reason::NotKept => true,
            Reason::Sender | Reason::NotAllowed | Reason::Suppressed(_) | Reason::TooManyRecipients(_) => false,
        }
    }
}

impl Reason {
    /// The reason in a metric or an Event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoConfig(_) => "NoConfig",
            Self::NoSuppressions => "NoSuppressions",
            Self::NoAllotment => "NoAllotment",
            Self::NoPolicy => "NoPolicy",
            Self::Closed(_) => "Closed",
            Self::Paused => "Paused",
            Self::Sender => "Sender",
            Self::NotAllowed => "NotAllowed",
            Self::Suppressed(_) => "Suppressed",
            Self::Ceiling(..) => "Ceiling",
            Self::TooManyRecipients(_) => "TooManyRecipients",
            Self::NotKept => "NotKept",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfig(why) => write!(f, "mail waits: {why}"),
            Self::NoSuppressions => {
                f.write_str("mail waits: the list of suppressed addresses that the policy names is not here yet")
            }
            Self::NoAllotment => f.write_str("mail waits: this pod has no share of the namespace's ceilings yet"),
            Self::NoPolicy => f.write_str("mail is paused: no MailPolicy of the namespace is for this message"),
            Self::Closed(why) => write!(f, "mail is paused: {why}"),
            Self::Paused => f.write_str("mail is paused"),
            Self::Sender => f.write_str("this sender may not send: use one of the policy's senders"),
            Self::NotAllowed => {
                f.write_str("this recipient is not allowed in mode Restricted: mail one of the allowed domains")
            }
            Self::Suppressed(SuppressionReason::Bounce) => {
                f.write_str("this recipient is suppressed, since mail to it bounced: correct the address")
            }
            Self::Suppressed(SuppressionReason::Complaint) => {
                f.write_str("this recipient is suppressed after a complaint: do not mail it")
            }
            Self::Ceiling(rate, wait) => {
                // Rounded up: who comes back then is not too early.
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                write!(
                    f,
                    "the ceiling of {rate} recipients is reached: try again in {seconds} s"
                )
            }
            Self::TooManyRecipients(rate) => {
                write!(
                    f,
                    "the message has more recipients than the ceiling of {rate} allows: send it in parts"
                )
            }
            Self::NotKept => f.write_str("mail waits: the sidecar cannot write what its ceilings let through"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if self.rule.from.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.rule)
        }
    }
}
