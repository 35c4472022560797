//! All ceilings of a namespace, taken together or not at all.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Known, Levels, Moment, PerRecipient, RecipientHash, Turn, level::Count};
use crate::{api::Rate, policy::Limits};

/// One recipient of a message that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mailed {
    /// The recipient.
    pub hash: RecipientHash,
    /// Whether it is one of SES's mailbox simulator, which SES counts on the rate a second and not on the quota.
    pub simulated: bool,
}

/// Limits of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyLimits {
    /// All recipients.
    pub recipients: Limits,
    /// Recipients to whom nothing was ever delivered.
    pub new_recipients: Limits,
    /// Messages to any one recipient.
    pub per_recipient: Limits,
}

/// Limits of a namespace and of its policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceLimits {
    /// All recipients.
    pub recipients: Limits,
    /// Recipients to whom nothing was ever delivered.
    pub new_recipients: Limits,
    /// Of each policy, by name.
    pub policies: BTreeMap<String, PolicyLimits>,
}

/// Which ceiling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CeilingName {
    /// The policy; `None` is the namespace's.
    pub policy: Option<String>,
    /// What it counts.
    pub of: CeilingOf,
}

/// What a ceiling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CeilingOf {
    /// All recipients.
    Recipients,
    /// Recipients to whom nothing was ever delivered.
    NewRecipients,
    /// Messages to one recipient.
    PerRecipient,
}

impl CeilingOf {
    /// The field, as a policy's effective values name it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Recipients => "ceilings.recipients",
            Self::NewRecipients => "ceilings.newRecipients",
            Self::PerRecipient => "ceilings.perRecipient",
        }
    }
}

/// What keeps a message from going now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The ceiling.
    pub ceiling: CeilingName,
    /// Its limit.
    pub rate: Rate,
    /// How long at least; `None` is forever, since the message has more recipients than the limit.
    pub wait: Option<Duration>,
}

/// What a message took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ticket {
    /// When.
    pub at: Moment,
    /// Under which policies.
    pub policies: Vec<String>,
    /// For whom.
    pub recipients: Vec<Mailed>,
    /// Of those, to whom nothing had been delivered.
    pub new: Vec<RecipientHash>,
}

/// The levels of one policy or of the namespace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scope {
    recipients: Levels,
    new_recipients: Levels,
    #[serde(default)]
    per_recipient: PerRecipient,
}

/// Every ceiling of a namespace in one sidecar, and its level.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ceilings {
    namespace: Scope,
    policies: BTreeMap<String, Scope>,
    known: Known,
}

impl Ceilings {
    /// Ceilings through which nothing has gone yet.
    #[must_use]
    pub fn new(limits: &NamespaceLimits) -> Self {
        Self::default().under(limits, Moment::default())
    }

    /// Takes room for a message of these policies to these recipients, from all its ceilings or from none.
    ///
    /// # Errors
    /// The ceiling that hinders it longest.
    pub fn take(&mut self, policies: &[&str], recipients: &[Mailed], now: Moment) -> Result<Ticket, Hindrance> {
        let is_new = |mailed: &&Mailed| !mailed.simulated && !self.known.contains(mailed.hash);
        let new: Vec<RecipientHash> = recipients.iter().filter(is_new).map(|mailed| mailed.hash).collect();
        let ticket = Ticket {
            at: now,
            policies: policies.iter().map(|&name| name.to_owned()).collect(),
            recipients: recipients.to_vec(),
            new,
        };
        match self.hindrance(&ticket, now) {
            Some(hindrance) => Err(hindrance),
            None => {
                self.apply(&ticket);
                Ok(ticket)
            }
        }
    }

    /// What was taken, once more: by a sidecar that starts again from what it kept.
    pub fn apply(&mut self, ticket: &Ticket) {
        let (all, new, now) = (Count::of(&ticket.recipients), ticket.new.len() as u64, ticket.at);
        for (_, scope) in self.scopes(&ticket.policies) {
            scope.recipients.take(now, all);
            scope.new_recipients.take(now, new);
            for mailed in ticket.recipients.iter().filter(|mailed| !mailed.simulated) {
                scope.per_recipient.take(now, mailed.hash);
            }
        }
    }

    /// These of a message's recipients were not mailed after all.
    pub fn give_back(&mut self, ticket: &Ticket, not_mailed: &[Mailed], now: Moment) {
        let new = ticket.new.iter();
        let new = new
            .filter(|hash| not_mailed.iter().any(|mailed| mailed.hash == **hash))
            .count() as u64;
        let (all, taken) = (Count::of(not_mailed), ticket.at);
        for (_, scope) in self.scopes(&ticket.policies) {
            scope.recipients.give_back(taken, now, all);
            scope.new_recipients.give_back(taken, now, new);
            for mailed in not_mailed.iter().filter(|mailed| !mailed.simulated) {
                scope.per_recipient.give_back(taken, now, mailed.hash);
            }
        }
    }

    /// Whether something was delivered to the recipient.
    #[must_use]
    pub fn knows(&self, recipient: RecipientHash) -> bool {
        self.known.contains(recipient)
    }

    /// Whether any ceiling counts new recipients.
    #[must_use]
    pub fn counts_new(&self) -> bool {
        let mut scopes = std::iter::once(&self.namespace).chain(self.policies.values());
        scopes.any(|scope| !scope.new_recipients.is_empty())
    }

    /// SES accepted mail to these: they are new no more.
    pub fn learn(&mut self, recipients: impl IntoIterator<Item = RecipientHash>) {
        recipients.into_iter().for_each(|hash| self.known.learn(hash));
    }

    /// Other limits over the same past; that of a policy which is there no more is kept while it counts.
    #[must_use]
    pub fn under(self, limits: &NamespaceLimits, now: Moment) -> Self {
        let NamespaceLimits {
            recipients,
            new_recipients,
            policies,
        } = limits;
        let mut kept: BTreeMap<String, Scope> = self.policies;
        kept.retain(|name, scope| policies.contains_key(name) || !scope.is_idle(now));
        for (name, limits) in policies {
            let scope = kept.remove(name).unwrap_or_default();
            kept.insert(name.clone(), scope.under(limits));
        }
        let namespace = PolicyLimits {
            recipients: recipients.clone(),
            new_recipients: new_recipients.clone(),
            per_recipient: Limits::default(),
        };
        Self {
            namespace: self.namespace.under(&namespace),
            policies: kept,
            known: self.known,
        }
    }

    /// As [`Levels::not_after`], of all of them.
    #[must_use]
    pub fn not_after(self, now: Moment) -> Self {
        let policies = self.policies.into_iter();
        Self {
            namespace: self.namespace.not_after(now),
            policies: policies.map(|(name, scope)| (name, scope.not_after(now))).collect(),
            known: self.known,
        }
    }

    /// Each limit of the namespace and its policies, and how many recipients count on it now; not those of one recipient.
    pub fn usage(&self, now: Moment) -> impl Iterator<Item = (CeilingName, Rate, u64)> {
        let scopes = std::iter::once((None, &self.namespace));
        let scopes = scopes.chain(self.policies.iter().map(|(name, scope)| (Some(name), scope)));
        scopes.flat_map(move |(policy, scope)| {
            let name = move |of| CeilingName {
                policy: policy.cloned(),
                of,
            };
            let all = scope.recipients.usage(now);
            let all = all.map(move |(rate, used)| (name(CeilingOf::Recipients), rate, used));
            let new = scope.new_recipients.usage(now);
            all.chain(new.map(move |(rate, used)| (name(CeilingOf::NewRecipients), rate, used)))
        })
    }

    fn hindrance(&mut self, ticket: &Ticket, now: Moment) -> Option<Hindrance> {
        let (all, new) = (Count::of(&ticket.recipients), ticket.new.len() as u64);
        let mut worst: Option<Hindrance> = None;
        let mut hinders = |policy: Option<&str>, of: CeilingOf, turn: Turn| {
            let (rate, wait) = match turn {
                Turn::Now => return,
                Turn::After(wait, rate) => (rate, Some(wait)),
                Turn::Never(rate) => (rate, None),
            };
            // Forever is longer than any time.
            let longer = |than: &Hindrance| than.wait.is_some_and(|than| wait.is_none_or(|wait| wait > than));
            if worst.as_ref().is_none_or(longer) {
                let ceiling = CeilingName {
                    policy: policy.map(str::to_owned),
                    of,
                };
                worst = Some(Hindrance { ceiling, rate, wait });
            }
        };
        for (policy, scope) in self.scopes(&ticket.policies) {
            hinders(policy, CeilingOf::Recipients, scope.recipients.turn(now, all));
            hinders(policy, CeilingOf::NewRecipients, scope.new_recipients.turn(now, new));
            for mailed in ticket.recipients.iter().filter(|mailed| !mailed.simulated) {
                hinders(
                    policy,
                    CeilingOf::PerRecipient,
                    scope.per_recipient.turn(now, mailed.hash),
                );
            }
        }
        worst
    }

    /// The namespace's, and those of these policies.
    fn scopes<'a>(&'a mut self, policies: &'a [String]) -> impl Iterator<Item = (Option<&'a str>, &'a mut Scope)> {
        let named = self.policies.iter_mut().filter(|(name, _)| policies.contains(name));
        std::iter::once((None, &mut self.namespace)).chain(named.map(|(name, scope)| (Some(name.as_str()), scope)))
    }
}

impl Scope {
    fn under(self, limits: &PolicyLimits) -> Self {
        let PolicyLimits {
            recipients,
            new_recipients,
            per_recipient,
        } = limits;
        Self {
            recipients: self.recipients.under(recipients),
            new_recipients: self.new_recipients.under(new_recipients),
            per_recipient: self.per_recipient.under(per_recipient.clone()),
        }
    }

    fn not_after(self, now: Moment) -> Self {
        Self {
            recipients: self.recipients.not_after(now),
            new_recipients: self.new_recipients.not_after(now),
            per_recipient: self.per_recipient.not_after(now),
        }
    }

    fn is_idle(&self, now: Moment) -> bool {
        self.recipients.is_idle(now) && self.new_recipients.is_idle(now) && self.per_recipient.is_idle(now)
    }
}

#[cfg(test)]
#[path = "ceilings_tests.rs"]
mod tests;
