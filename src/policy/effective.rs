//! What a policy may do in effect.

use std::{collections::BTreeMap, time::Duration};

use super::{Limits, Other, Source, Sourced, Step, Steps};
use crate::api::{AddressSet, Mode, condition::bounded, guardrail::Enforcement, policy::EffectiveValue};

/// A value in a status is cut to this many bytes.
const VALUE_MAX: usize = 512;

/// What a policy may do in effect: every value met with all that bound it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The mode now.
    pub mode: Sourced<Mode>,
    /// What follows the mode as open windows end. A window that has not opened is never foretold.
    pub then: Steps,
    /// Whether the sidecar enforces.
    pub enforcement: Sourced<Enforcement>,
    /// Who may be mailed in Restricted.
    pub allowed: Sourced<AddressSet>,
    /// What becomes of the others.
    pub other_recipients: Sourced<Other>,
    /// Who may send.
    pub senders: Sourced<AddressSet>,
    /// Ceilings of all recipients; the namespace's stand beside.
    pub recipients: Sourced<Limits>,
    /// Ceilings of new recipients.
    pub new_recipients: Sourced<Limits>,
    /// Ceilings of any one recipient, per pod.
    pub per_recipient: Sourced<Limits>,
    /// How long a message may wait for its turn.
    pub max_wait: Sourced<Duration>,
}

impl Effective {
    /// What nobody may do anything under.
    #[must_use]
    pub fn closed(source: &Source) -> Self {
        let nobody = || Sourced::new(AddressSet::default(), source.clone());
        let unlimited = || Sourced::new(Limits::default(), source.clone());
        Self {
            mode: Sourced::new(Mode::Paused, source.clone()),
            then: Steps::default(),
            enforcement: Sourced::new(Enforcement::Enforce, source.clone()),
            allowed: nobody(),
            other_recipients: Sourced::new(Other::Reject, source.clone()),
            senders: nobody(),
            recipients: unlimited(),
            new_recipients: unlimited(),
            per_recipient: unlimited(),
            max_wait: Sourced::new(Duration::ZERO, source.clone()),
        }
    }

    /// The meet of two: of several policies that a message belongs to, or of a last good one and the bounds of now.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        let Self {
            mode,
            then,
            enforcement,
            allowed,
            other_recipients,
            senders,
            recipients,
            new_recipients,
            per_recipient,
            max_wait,
        } = other;
        Self {
            then: Steps::meet((self.mode.value, &self.then), (mode.value, &then)),
            mode: self.mode.and(mode),
            enforcement: self.enforcement.and(enforcement),
            allowed: self.allowed.and(allowed),
            other_recipients: self.other_recipients.and(other_recipients),
            senders: self.senders.and(senders),
            recipients: self.recipients.and(recipients),
            new_recipients: self.new_recipients.and(new_recipients),
            per_recipient: self.per_recipient.and(per_recipient),
            max_wait: self.max_wait.and(max_wait),
        }
    }

    /// Bounds the mode, now and later.
    #[must_use]
    pub fn at_most(mut self, mode: Mode, source: Source) -> Self {
        self.then = Steps::meet((self.mode.value, &self.then), (mode, &Steps::default()));
        self.mode = self.mode.and(Sourced::new(mode, source));
        self
    }

    /// Every value as a status shows it, with whose word it is. Mailboxes are counted, not named.
    #[must_use]
    pub fn values(&self) -> Vec<EffectiveValue> {
        let Self {
            mode,
            then,
            enforcement,
            allowed,
            other_recipients,
            senders,
            recipients,
            new_recipients,
            per_recipient,
            max_wait,
        } = self;
        let mode_text = then.iter().fold(mode.value.to_string(), |text, Step { from, mode }| {
            format!("{text} until {from}, then {mode}")
        });
        vec![
            shown("mode", mode, mode_text),
            shown("enforcement", enforcement, format!("{:?}", enforcement.value)),
            shown("allowed", allowed, allowed.value.summary()),
            shown("otherRecipients", other_recipients, other_recipients.value.to_string()),
            shown("senders", senders, senders.value.summary()),
            shown("ceilings.recipients", recipients, recipients.value.to_string()),
            shown(
                "ceilings.newRecipients",
                new_recipients,
                new_recipients.value.to_string(),
            ),
            shown("ceilings.perRecipient", per_recipient, per_recipient.value.to_string()),
            shown("ceilings.maxWait", max_wait, format!("{:?}", max_wait.value)),
        ]
    }

    /// Whose word each value is, by field, as the sidecar's answers quote it.
    #[must_use]
    pub fn provenance(&self) -> BTreeMap<String, Vec<String>> {
        self.values()
            .into_iter()
            .map(|value| (value.field, value.from))
            .collect()
    }
}

/// One value of a status.
pub(super) fn shown<T>(field: &str, sourced: &Sourced<T>, value: String) -> EffectiveValue {
    EffectiveValue {
        field: field.to_owned(),
        value: bounded(value, VALUE_MAX),
        from: sourced.from_words(),
    }
}
