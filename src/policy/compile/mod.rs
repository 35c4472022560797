//! From what a namespace's objects say to what its mail may do.

mod account;
mod clamp;
mod facts;
mod mode;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

pub use self::{
    account::Closed,
    clamp::Clamp,
    facts::{AccountFacts, GuardrailFacts, NamespaceFacts, PolicyFacts, UnreadSpec},
};
use self::{
    account::{Account, quota_limits, read_guardrails, resolve_account},
    mode::Lift,
};
use super::{
    Bounds, Effective, Limits, Other, Source, Sourced, SubjectPrefix,
    terms::{Matching, PolicyTerms, SetTerms, SpecError},
    windows::{self, Verdict},
};
use crate::api::{
    AddressSet, MailPolicySpec, Mode,
    account::Quota,
    guardrail::Enforcement,
    policy::{DeletionPolicy, SuppressionOptions},
};

/// What the mail of a namespace may do.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledNamespace {
    /// Why nothing may leave at all.
    pub closed: Option<Closed>,
    /// The account in use.
    pub account: Option<Sourced<String>>,
    /// The account's quota, where SES was asked already.
    pub quota: Option<Quota>,
    /// The guardrails that hold here.
    pub guardrails: BTreeSet<String>,
    /// What they say together.
    pub bounds: Bounds,
    /// The mode of mail that no policy speaks of.
    pub default_mode: Sourced<Mode>,
    /// The policies, by name.
    pub policies: Vec<CompiledPolicy>,
    /// Where each window stands.
    pub windows: BTreeMap<String, Verdict>,
    /// When the result changes by itself.
    pub next_change: Option<Timestamp>,
}

impl CompiledNamespace {
    /// The most recipients of a day that its mail may have, with every policy that reaches recipients at its ceiling.
    #[must_use]
    pub fn recipients_per_day(&self) -> u64 {
        let per_day = |limits: &Limits| limits.per_day().unwrap_or(u64::MAX);
        let policies = self.policies.iter().map(|policy| {
            // The mailbox simulator's recipients are not counted by SES.
            let reaches_recipients = policy.effective.mode.value >= Mode::Restricted;
            if reaches_recipients {
                per_day(&policy.effective.recipients.value)
            } else {
                0
            }
        });
        let together = self
            .bounds
            .recipients
            .as_ref()
            .map_or(u64::MAX, |limits| per_day(&limits.value));
        policies.fold(0, u64::saturating_add).min(together)
    }
}

/// What the mail of one policy may do.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledPolicy {
    /// Its name.
    pub name: String,
    /// What of its spec cannot be compiled; then all else is of the last good one, met with the bounds, or closed.
    pub errors: Vec<SpecError>,
    /// The spec in force: the present one, else the one that was accepted last.
    pub accepted: Option<MailPolicySpec>,
    /// Which messages it is for.
    pub matching: Matching,
    /// What they may do.
    pub effective: Effective,
    /// What marks the subject of a message that is not mailed as it came.
    pub subject_prefix: Option<SubjectPrefix>,
    /// Where a bound made the policy's wish smaller.
    pub clamps: Vec<Clamp>,
    /// What SES gets; `None` where no spec is in force: then SES keeps what it has.
    pub set: Option<SetTerms>,
    /// Suppression at the configuration set; `None` inherits.
    pub suppression: Option<SuppressionOptions>,
    /// What becomes of SES objects in the end.
    pub deletion: Sourced<DeletionPolicy>,
}

/// Compiles a namespace.
#[must_use]
pub fn compile(facts: &NamespaceFacts<'_>) -> CompiledNamespace {
    let (guardrails, unreadable) = read_guardrails(&facts.guardrails);
    let bounds = Bounds::of(&guardrails);
    let account = resolve_account(&guardrails, &facts.accounts, unreadable);
    let verdicts = windows::judge(
        &facts.windows,
        &bounds.windows,
        |name| facts.policies.iter().any(|policy| policy.name == name),
        facts.clock,
        facts.now,
    );
    let namespace = Namespace {
        facts,
        bounds: &bounds,
        account: account.as_ref().ok(),
        verdicts: &verdicts,
    };
    let mut policies: Vec<CompiledPolicy> = facts.policies.iter().map(|policy| namespace.policy(policy)).collect();
    policies.sort_by(|one, two| one.name.cmp(&two.name));
    CompiledNamespace {
        default_mode: namespace.default_mode(),
        policies,
        guardrails: facts
            .guardrails
            .iter()
            .map(|guardrail| guardrail.name.to_owned())
            .collect(),
        next_change: windows::next_change(&facts.windows, &verdicts, facts.now),
        account: account.as_ref().ok().map(|account| account.name.clone()),
        quota: account.as_ref().ok().and_then(|account| account.quota),
        closed: account.err(),
        bounds,
        windows: verdicts,
    }
}

/// What all policies of a namespace share.
struct Namespace<'a> {
    facts: &'a NamespaceFacts<'a>,
    bounds: &'a Bounds,
    account: Option<&'a Account>,
    verdicts: &'a BTreeMap<String, Verdict>,
}

impl Namespace<'_> {
    fn default_mode(&self) -> Sourced<Mode> {
        let said = self
            .bounds
            .default_mode
            .clone()
            .unwrap_or_else(|| Sourced::new(Mode::Paused, Source::Default));
        let most = self
            .bounds
            .max_mode
            .clone()
            .unwrap_or_else(|| Sourced::new(Mode::Paused, Source::Default));
        let mode = said.and(most);
        if self.account.is_some() {
            mode
        } else {
            mode.and(Sourced::new(Mode::Paused, Source::Closed))
        }
    }

    fn policy(&self, facts: &PolicyFacts<'_>) -> CompiledPolicy {
        let unread = |unread: UnreadSpec<'_>| {
            vec![SpecError {
                field: "spec".to_owned(),
                message: unread.error.to_owned(),
            }]
        };
        let read = |spec| PolicyTerms::read(spec).map(|terms| (spec, terms));
        let compiled = match facts.spec.map_err(unread).and_then(read) {
            Ok((spec, terms)) => {
                let source = Source::MailPolicy(facts.name.to_owned());
                self.accepted(facts.name, spec, terms, &source, &self.lifts(facts.name))
            }
            Err(errors) => self.not_accepted(facts, errors),
        };
        self.closed_where_it_must_be(facts, compiled)
    }

    fn accepted(
        &self,
        name: &str,
        spec: &MailPolicySpec,
        terms: PolicyTerms,
        source: &Source,
        lifts: &[Lift],
    ) -> CompiledPolicy {
        let mut clamps = Vec::new();
        let effective = self.effective(&terms, source, lifts);
        clamp::note(&mut clamps, "mode", &terms.mode, &effective.mode, ToString::to_string);
        if let Some(allowed) = &terms.allowed {
            clamp::note(&mut clamps, "allowed", allowed, &effective.allowed, AddressSet::summary);
        }
        if let Some(senders) = &terms.senders {
            clamp::note(&mut clamps, "senders", senders, &effective.senders, AddressSet::summary);
        }
        let PolicyTerms {
            matching,
            subject_prefix,
            suppression,
            set,
            deletion,
            ..
        } = terms;
        let deletion = deletion.map(|deletion| Sourced::new(deletion, source.clone()));
        let retain = || Sourced::new(DeletionPolicy::Retain, Source::Default);
        CompiledPolicy {
            name: name.to_owned(),
            errors: Vec::new(),
            accepted: Some(spec.clone()),
            matching,
            effective,
            subject_prefix,
            set: Some(clamp::set(self.bounds, set, &mut clamps)),
            clamps,
            suppression,
            deletion: deletion
                .or_else(|| self.bounds.default_deletion.clone())
                .unwrap_or_else(retain),
        }
    }

    /// The last good one within the bounds of now, all of it; without one, nothing. No window lifts it: what a window was
    /// meant to lift is not known.
    fn not_accepted(&self, facts: &PolicyFacts<'_>, errors: Vec<SpecError>) -> CompiledPolicy {
        let last_good = facts
            .last_good
            .and_then(|spec| Some((spec, PolicyTerms::read(spec).ok()?)));
        // What the spec says cannot be read: what cannot be undone is not done.
        let deletion = Sourced::new(DeletionPolicy::Retain, Source::Closed);
        let Some((spec, terms)) = last_good else {
            return CompiledPolicy {
                name: facts.name.to_owned(),
                errors,
                accepted: None,
                matching: match facts.spec {
                    Ok(spec) => Matching::of(spec.match_.as_ref()),
                    Err(unread) => Matching::of_stored(unread.stored),
                },
                effective: Effective::closed(&Source::Closed),
                subject_prefix: None,
                clamps: Vec::new(),
                set: None,
                suppression: None,
                deletion,
            };
        };
        let source = Source::LastGood(facts.name.to_owned());
        CompiledPolicy {
            errors,
            clamps: Vec::new(),
            deletion,
            ..self.accepted(facts.name, spec, terms, &source, &[])
        }
    }

    /// Account, holds and deletion, which beat every mode and every window.
    fn closed_where_it_must_be(&self, facts: &PolicyFacts<'_>, mut compiled: CompiledPolicy) -> CompiledPolicy {
        let mut close = |source| compiled.effective = compiled.effective.clone().at_most(Mode::Paused, source);
        if self.account.is_none() {
            close(Source::Closed);
        }
        for hold in self.facts.holds.iter().filter(|hold| hold.policy == facts.name) {
            close(Source::MailHold(hold.name.clone()));
        }
        if facts.deleting {
            close(Source::Deletion);
        }
        compiled
    }

    fn effective(&self, terms: &PolicyTerms, source: &Source, lifts: &[Lift]) -> Effective {
        let said = |value: &Option<AddressSet>| value.clone().map(|value| Sourced::new(value, source.clone()));
        let nobody = || Sourced::new(AddressSet::default(), Source::Default);
        let anybody_of_the_account = || {
            let (name, senders) = self.account.map_or((String::new(), AddressSet::default()), |account| {
                (account.name.value.clone(), account.senders.clone())
            });
            Sourced::new(senders, Source::SendingAccount(name))
        };
        let asked = Sourced::new(terms.mode, source.clone());
        let (mode, then) = self.mode(asked, lifts);
        let recipients = self.recipients(terms, source);
        let limits = |value: &Option<Limits>| match value {
            Some(limits) => Sourced::new(limits.clone(), source.clone()),
            None => Sourced::new(Limits::default(), Source::Default),
        };
        let enforcement = self.bounds.enforcement.clone();
        let other = terms
            .other_recipients
            .clone()
            .map(|other| Sourced::new(other, source.clone()));
        let capture = || Sourced::new(Other::Capture, Source::Default);
        let senders = [
            said(&terms.senders),
            self.bounds.senders.clone(),
            Some(anybody_of_the_account()),
        ];
        let effective = Effective {
            mode,
            then,
            enforcement: enforcement.unwrap_or_else(|| Sourced::new(Enforcement::Enforce, Source::Default)),
            allowed: Sourced::meet_all(
                [said(&terms.allowed), self.bounds.allowed.clone()]
                    .into_iter()
                    .flatten(),
            )
            .unwrap_or_else(nobody),
            other_recipients: other
                .or_else(|| self.bounds.default_other.clone())
                .unwrap_or_else(capture),
            senders: Sourced::meet_all(senders.into_iter().flatten()).unwrap_or_else(nobody),
            recipients: recipients
                .clone()
                .unwrap_or_else(|| Sourced::new(Limits::default(), Source::Closed)),
            new_recipients: limits(&terms.new_recipients),
            per_recipient: limits(&terms.per_recipient),
            max_wait: terms.max_wait.map_or_else(
                || Sourced::new(Duration::ZERO, Source::Default),
                |wait| Sourced::new(wait, source.clone()),
            ),
        };
        if recipients.is_some() {
            effective
        } else {
            effective.at_most(Mode::Paused, Source::Closed)
        }
    }

    /// The policy's own ceilings; where nobody has any, the account's quota. `None` where that is not known: then
    /// nothing may leave.
    fn recipients(&self, terms: &PolicyTerms, source: &Source) -> Option<Sourced<Limits>> {
        if let Some(limits) = &terms.recipients {
            return Some(Sourced::new(limits.clone(), source.clone()));
        }
        if self.bounds.recipients.is_some() {
            return Some(Sourced::new(Limits::default(), Source::Default));
        }
        let account = self.account?;
        let limits = quota_limits(account.quota?)?;
        Some(Sourced::new(limits, Source::SendingAccount(account.name.value.clone())))
    }
}

#[cfg(test)]
mod tests;
