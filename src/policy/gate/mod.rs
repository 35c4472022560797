//! The gate: what becomes of one message. Pure; the time comes in.
//!
//! (the namespace's policies, envelope, headers, time) → the policies that govern, what happens to each recipient, and by
//! whose word. Everything is decided before anything is sent.

mod governing;
mod label;
mod refusal;
mod suppressed;

use jiff::Timestamp;

use self::governing::Governing;
pub use self::{
    label::{is_simulator, simulator_address},
    refusal::{Reason, Refusal, Rule},
    suppressed::{Suppressed, SuppressedError},
};
use super::{
    SidecarConfig,
    config::{ConfigMatch, ConfigOther, ConfigPolicy},
};
use crate::api::{Address, Mode, guardrail::Enforcement};

/// What the gate reads of a message's headers.
pub trait Headers {
    /// Whether a line of this name, compared without case, has exactly this value.
    fn has_line(&self, name: &str, value: &str) -> bool;
}

/// A message as the gate sees it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The address of header From.
    pub from: &'a Address,
    /// The envelope's sender; `None` is the null sender, or a way in that has none.
    pub sender: Option<&'a Address>,
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// Everyone it is for, each once.
    pub recipients: &'a [Address],
}

/// What becomes of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Mailed as it is.
    Send,
    /// Another address is mailed in its place.
    Replace(Address),
    /// Kept in the capture store only.
    Capture,
    /// Refused, and the message with it.
    Refuse(Refusal),
}

/// The fate of one recipient, and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What happens.
    pub fate: Fate,
    /// By which rule.
    pub rule: Rule,
    /// What would have happened were the policy enforced; `None` where it is, or where nothing would differ.
    pub audited: Option<Fate>,
}

/// What becomes of a message.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// The policies that govern it, by name; none where no policy matches. It is sent under the first.
    pub policies: Vec<&'a ConfigPolicy>,
    /// The mode in force.
    pub mode: Mode,
    /// One verdict a recipient, in their order.
    pub verdicts: Vec<Verdict>,
}

impl Decision<'_> {
    /// Why the message is refused: that of the first recipient that is.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.verdicts.iter().find_map(|verdict| match &verdict.fate {
            Fate::Refuse(refusal) => Some(refusal),
            Fate::Send | Fate::Replace(_) | Fate::Capture => None,
        })
    }
}

/// The policies of a namespace, and who must not be mailed.
#[derive(Clone, Debug)]
pub struct Gate {
    config: SidecarConfig,
    suppressed: Option<Suppressed>,
}

impl Gate {
    /// A gate by this configuration. Without the suppressions that it names, nothing is sent.
    #[must_use]
    pub fn new(config: SidecarConfig, suppressed: Option<Suppressed>) -> Self {
        Self { config, suppressed }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SidecarConfig {
        &self.config
    }

    /// Who must not be mailed; `None` where that is not at hand.
    #[must_use]
    pub fn suppressed(&self) -> Option<&Suppressed> {
        self.suppressed.as_ref()
    }

    /// What becomes of a message.
    #[must_use]
    pub fn decide(&self, message: Message<'_>, now: Timestamp) -> Decision<'_> {
        let governing = self.governing(message, now);
        let verdicts = message
            .recipients
            .iter()
            .map(|recipient| self.verdict(&governing, message, recipient));
        Decision {
            mode: governing.mode,
            verdicts: verdicts.collect(),
            policies: governing.policies,
        }
    }

    /// Why mail from this sender is refused whatever else the message says; `None` where it may be let through.
    #[must_use]
    pub fn refuses_sender(&self, sender: &Address, now: Timestamp) -> Option<Refusal> {
        self.refused_by_all(now, |governing| governing.refuses_sender(sender))
    }

    /// Why a recipient is refused whatever the message says; `None` where it may be let through.
    #[must_use]
    pub fn refuses_recipient(&self, recipient: &Address, now: Timestamp) -> Option<Refusal> {
        self.refused_by_all(now, |governing| match self.recipient(governing, recipient).fate {
            Fate::Refuse(refusal) => Some(refusal),
            Fate::Send | Fate::Replace(_) | Fate::Capture => None,
        })
    }

    /// The refusal on which all agree under whom a message could come: each policy alone, and no policy at all. A meet
    /// of several refuses at least what each of them refuses.
    fn refused_by_all(&self, now: Timestamp, refuses: impl Fn(&Governing<'_>) -> Option<Refusal>) -> Option<Refusal> {
        let rest: Vec<&ConfigPolicy> = self.policies(|matching| matches!(matching, ConfigMatch::Rest {}));
        let mut ways = vec![self.governed_by(rest, now)];
        let only = self.policies(|matching| matches!(matching, ConfigMatch::Only { .. }));
        ways.extend(only.into_iter().map(|policy| self.governed_by(vec![policy], now)));
        let mut refusals = ways.iter().map(refuses);
        let first = refusals.next()??;
        refusals.all(|refusal| refusal.is_some()).then_some(first)
    }

    fn policies(&self, belongs: impl Fn(&ConfigMatch) -> bool) -> Vec<&ConfigPolicy> {
        let mut policies: Vec<_> = self.config.policies.iter().filter(|it| belongs(&it.match_)).collect();
        policies.sort_unstable_by(|one, two| one.name.cmp(&two.name));
        policies
    }

    /// A message belongs to the policies whose `match` it meets, else to those without one.
    fn governing(&self, message: Message<'_>, now: Timestamp) -> Governing<'_> {
        let mut policies = self.policies(|matching| match matching {
            ConfigMatch::Rest {} | ConfigMatch::Nothing { .. } => false,
            ConfigMatch::Only { senders, header } => {
                let from = senders.as_ref().is_none_or(|senders| senders.contains(message.from));
                let line = header
                    .as_ref()
                    .is_none_or(|header| message.headers.has_line(&header.name, &header.value));
                from && line && (senders.is_some() || header.is_some())
            }
        });
        if policies.is_empty() {
            policies = self.policies(|matching| matches!(matching, ConfigMatch::Rest {}));
        }
        self.governed_by(policies, now)
    }

    fn governed_by<'a>(&'a self, policies: Vec<&'a ConfigPolicy>, now: Timestamp) -> Governing<'a> {
        Governing::new(&self.config, policies, now)
    }

    fn verdict(&self, governing: &Governing<'_>, message: Message<'_>, recipient: &Address) -> Verdict {
        let refused = [Some(message.from), message.sender]
            .into_iter()
            .flatten()
            .find_map(|sender| governing.refuses_sender(sender));
        match refused {
            Some(refusal) => Verdict::refused(refusal),
            None => self.recipient(governing, recipient),
        }
    }

    /// The fate of a recipient, were the sender right.
    fn recipient(&self, governing: &Governing<'_>, recipient: &Address) -> Verdict {
        let mode = governing.rule("mode");
        match governing.mode {
            Mode::Paused => return Verdict::refused(governing.paused()),
            Mode::Capture => return Verdict::by(Fate::Capture, mode),
            Mode::Simulate | Mode::Restricted | Mode::Live => {}
        }
        let Some(suppressed) = &self.suppressed else {
            return Verdict::refused(Refusal::new(Reason::NoSuppressions, Rule::default()));
        };
        if let Some(reason) = suppressed.reason(recipient) {
            let rule = Rule::of("suppressions", vec!["MailSuppression".to_owned()]);
            return Verdict::refused(Refusal::new(Reason::Suppressed(reason), rule));
        }
        // The mailbox simulator is nobody: it may be mailed wherever anything may.
        let simulated = |rule| {
            let fate = if is_simulator(recipient) {
                Fate::Send
            } else {
                simulator_address(suppressed.key(), recipient).map_or(Fate::Capture, Fate::Replace)
            };
            Verdict::by(fate, rule)
        };
        match governing.mode {
            Mode::Simulate => simulated(mode),
            Mode::Live => Verdict::by(Fate::Send, mode),
            Mode::Restricted if is_simulator(recipient) || governing.allows(recipient) => {
                Verdict::by(Fate::Send, governing.rule("allowed"))
            }
            Mode::Restricted => {
                let rule = governing.rule("otherRecipients");
                let enforced = match governing.other() {
                    ConfigOther::Reject {} => {
                        Verdict::refused(Refusal::new(Reason::NotAllowed, governing.rule("allowed")))
                    }
                    ConfigOther::Capture {} => Verdict::by(Fate::Capture, rule),
                    ConfigOther::Simulate {} => simulated(rule),
                    ConfigOther::Redirect { to } => {
                        let target = label::redirected(&to, recipient, suppressed.key())
                            .filter(|target| governing.allows(target) && suppressed.reason(target).is_none());
                        Verdict::by(target.map_or(Fate::Capture, Fate::Replace), rule)
                    }
                };
                match governing.enforcement {
                    Enforcement::Enforce => enforced,
                    Enforcement::Audit => Verdict {
                        fate: Fate::Send,
                        rule: governing.rule("enforcement"),
                        audited: Some(enforced.fate),
                    },
                }
            }
            Mode::Paused | Mode::Capture => Verdict::refused(governing.paused()),
        }
    }
}

impl Verdict {
    fn by(fate: Fate, rule: Rule) -> Self {
        Self {
            fate,
            rule,
            audited: None,
        }
    }

    fn refused(refusal: Refusal) -> Self {
        let rule = refusal.rule.clone();
        Self::by(Fate::Refuse(refusal), rule)
    }
}

#[cfg(test)]
mod tests;
