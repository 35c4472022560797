//! The policies that govern a message, as one: their meet.

use jiff::Timestamp;

use super::{Reason, Refusal, Rule};
use crate::{
    api::{Address, Mode, guardrail::Enforcement},
    policy::{
        Meet, Other, SidecarConfig,
        config::{ConfigOther, ConfigPolicy},
    },
};

/// The meet of the policies that govern a message; of what is unmatched where there is none.
pub(super) struct Governing<'a> {
    config: &'a SidecarConfig,
    /// By name.
    pub policies: Vec<&'a ConfigPolicy>,
    pub mode: Mode,
    pub enforcement: Enforcement,
}

impl<'a> Governing<'a> {
    pub fn new(config: &'a SidecarConfig, policies: Vec<&'a ConfigPolicy>, now: Timestamp) -> Self {
        let modes = policies.iter().map(|policy| mode_of(policy, now));
        let mode = match modes.min() {
            // What no policy speaks of is never sent, whatever the configuration says.
            None => config.unmatched.mode.min(Mode::Capture),
            Some(mode) if mode.needs_sending() && config.account.is_none() => Mode::Paused,
            Some(mode) => mode,
        };
        let enforcements = policies.iter().map(|policy| policy.enforcement);
        Self {
            config,
            mode,
            enforcement: enforcements.min().unwrap_or(Enforcement::Enforce),
            policies,
        }
    }

    /// Whose word a field is: that of the first policy which has it most restrictive.
    pub fn rule(&self, field: &'static str) -> Rule {
        let deciding = match field {
            "enforcement" => self.policies.iter().find(|it| it.enforcement == self.enforcement),
            "otherRecipients" => {
                let other = self.other();
                self.policies.iter().find(|it| it.other_recipients == other)
            }
            _ => None,
        };
        let policy = deciding.or_else(|| self.policies.iter().min_by_key(|policy| policy.mode));
        let from = match policy {
            Some(policy) => policy.from.get(field).cloned().unwrap_or_default(),
            None => self.config.unmatched.from.clone(),
        };
        Rule::of(field, from)
    }

    pub fn paused(&self) -> Refusal {
        let closed = self.config.unmatched.closed.clone();
        let reason = match closed {
            Some(why) => Reason::Closed(why),
            None if self.policies.is_empty() => Reason::NoPolicy,
            None => Reason::Paused,
        };
        Refusal::new(reason, self.rule("mode"))
    }

    pub fn refuses_sender(&self, sender: &Address) -> Option<Refusal> {
        if !self.mode.needs_sending() {
            return None;
        }
        let strict = self.policies.iter().find(|policy| !policy.senders.contains(sender))?;
        let from = strict.from.get("senders").cloned().unwrap_or_default();
        Some(Refusal::new(Reason::Sender, Rule::of("senders", from)))
    }

    pub fn allows(&self, recipient: &Address) -> bool {
        !self.policies.is_empty() && self.policies.iter().all(|policy| policy.allowed.contains(recipient))
    }

    /// What becomes of those who are not allowed.
    pub fn other(&self) -> ConfigOther {
        let others = self
            .policies
            .iter()
            .map(|policy| Other::from(policy.other_recipients.clone()));
        others.reduce(|one, two| one.meet(&two)).unwrap_or(Other::Reject).into()
    }
}

/// The mode of a policy at a moment.
pub(super) fn mode_of(policy: &ConfigPolicy, now: Timestamp) -> Mode {
    policy.then.at(policy.mode, now)
}
