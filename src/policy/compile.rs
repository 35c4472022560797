//! From what a namespace's objects say to what its mail may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU64,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Bounds, Effective, Hold, Limits, Meet, Other, Source, Sourced,
    terms::{GuardrailTerms, MatchTerms, PolicyTerms, SetTerms, SpecError, account_senders},
    windows::{self, Clock, Verdict, WindowFacts},
};
use crate::api::{
    AddressSet, MailGuardrailSpec, MailPolicySpec, Mode, Rate, SendingAccountSpec,
    account::Quota,
    guardrail::Enforcement,
    policy::{DeletionPolicy, SuppressionOptions},
    window::WindowPhase,
};

/// Everything that decides over the mail of one namespace.
#[derive(Clone, Debug)]
pub struct NamespaceFacts<'a> {
    /// The guardrails that select the namespace, and unreadable ones that may.
    pub guardrails: Vec<GuardrailFacts<'a>>,
    /// The accounts that they name, by name.
    pub accounts: BTreeMap<&'a str, AccountFacts<'a>>,
    /// The namespace's policies.
    pub policies: Vec<PolicyFacts<'a>>,
    /// The namespace's windows.
    pub windows: Vec<WindowFacts>,
    /// Open holds.
    pub holds: Vec<Hold>,
    /// Whether the clock may open windows.
    pub clock: Clock,
    /// The present moment.
    pub now: Timestamp,
}

/// A guardrail.
#[derive(Clone, Debug)]
pub struct GuardrailFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its spec, or why it cannot be read.
    pub spec: Result<&'a MailGuardrailSpec, &'a str>,
}

/// An account that a guardrail names.
#[derive(Clone, Copy, Debug)]
pub enum AccountFacts<'a> {
    /// There is none of this name.
    Missing,
    /// It cannot be read.
    Unreadable(&'a str),
    /// Its spec, and its quota where SES was asked already.
    Known {
        /// The account's spec.
        spec: &'a SendingAccountSpec,
        /// SES's quota.
        quota: Option<Quota>,
    },
}

/// A policy.
#[derive(Clone, Debug)]
pub struct PolicyFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its spec, or why it cannot be read.
    pub spec: Result<&'a MailPolicySpec, &'a str>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What was published of it before, for when its spec cannot be compiled.
    pub last_good: Option<LastGood>,
}

/// What was published of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// Which messages it is for.
    pub matching: Option<MatchTerms>,
    /// What it may do.
    pub effective: Effective,
}

/// Why a whole namespace is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// No guardrail selects it.
    NoGuardrail,
    /// A guardrail cannot be read.
    GuardrailUnreadable {
        /// The guardrail.
        name: String,
        /// What cannot be read.
        error: String,
    },
    /// No guardrail names an account.
    NoAccount,
    /// Guardrails name different accounts.
    AccountConflict(BTreeSet<String>),
    /// The account does not exist.
    AccountMissing(String),
    /// The account cannot be read.
    AccountUnreadable {
        /// The account.
        name: String,
        /// What cannot be read.
        error: String,
    },
}

impl Closed {
    /// A bounded word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoGuardrail => "NoGuardrail",
            Self::GuardrailUnreadable { .. } => "GuardrailUnreadable",
            Self::NoAccount => "NoAccount",
            Self::AccountConflict(_) => "AccountConflict",
            Self::AccountMissing(_) => "AccountMissing",
            Self::AccountUnreadable { .. } => "AccountUnreadable",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGuardrail => f.write_str("no MailGuardrail selects this namespace: ask the platform team for one"),
            Self::GuardrailUnreadable { name, error } => write!(f, "MailGuardrail `{name}` cannot be read: {error}"),
            Self::NoAccount => {
                f.write_str("no MailGuardrail of this namespace names a SendingAccount (spec.accountRef)")
            }
            Self::AccountConflict(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                write!(
                    f,
                    "MailGuardrails of this namespace name different SendingAccounts: {}",
                    names.join(", ")
                )
            }
            Self::AccountMissing(name) => write!(f, "there is no SendingAccount `{name}`"),
            Self::AccountUnreadable { name, error } => write!(f, "SendingAccount `{name}` cannot be read: {error}"),
        }
    }
}

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

/// What the mail of one policy may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledPolicy {
    /// Its name.
    pub name: String,
    /// What of its spec cannot be compiled; then `effective` is the last good one met with the bounds, or closed.
    pub errors: Vec<SpecError>,
    /// Which messages it is for.
    pub matching: Option<MatchTerms>,
    /// What they may do.
    pub effective: Effective,
    /// Where a bound made the policy's wish smaller.
    pub clamps: Vec<Clamp>,
    /// What SES gets; `None` where the spec cannot be compiled: then SES keeps what it has.
    pub set: Option<SetTerms>,
    /// Suppression at the configuration set; `None` inherits.
    pub suppression: Option<SuppressionOptions>,
    /// What becomes of SES objects in the end.
    pub deletion: Sourced<DeletionPolicy>,
}

/// A wish that a bound made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// The field.
    pub field: &'static str,
    /// What was asked, what is in force, and by whose word.
    pub message: String,
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
    let mut namespace = Namespace {
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

/// The guardrails' terms, and the first that cannot be read.
fn read_guardrails(facts: &[GuardrailFacts<'_>]) -> (Vec<(String, GuardrailTerms)>, Option<Closed>) {
    let mut terms = Vec::new();
    let mut unreadable = None;
    for guardrail in facts {
        let read = guardrail.spec.map_err(ToOwned::to_owned).and_then(|spec| {
            GuardrailTerms::read(spec)
                .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        });
        match read {
            Ok(read) => terms.push((guardrail.name.to_owned(), read)),
            Err(error) => {
                let name = guardrail.name.to_owned();
                unreadable.get_or_insert(Closed::GuardrailUnreadable { name, error });
            }
        }
    }
    (terms, unreadable)
}

/// The account in use, read.
struct Account {
    name: Sourced<String>,
    senders: AddressSet,
    quota: Option<Quota>,
}

fn resolve_account(
    guardrails: &[(String, GuardrailTerms)],
    accounts: &BTreeMap<&str, AccountFacts<'_>>,
    unreadable: Option<Closed>,
) -> Result<Account, Closed> {
    if let Some(unreadable) = unreadable {
        return Err(unreadable);
    }
    if guardrails.is_empty() {
        return Err(Closed::NoGuardrail);
    }
    let named: BTreeSet<&String> = guardrails
        .iter()
        .filter_map(|(_, terms)| terms.account.as_ref())
        .collect();
    let mut named_once = named.iter();
    let (Some(name), None) = (named_once.next(), named_once.next()) else {
        let conflict = || Closed::AccountConflict(named.iter().map(|name| (*name).clone()).collect());
        return Err(if named.is_empty() {
            Closed::NoAccount
        } else {
            conflict()
        });
    };
    let from = guardrails
        .iter()
        .filter(|(_, terms)| terms.account.is_some())
        .map(|(guardrail, _)| Source::MailGuardrail(guardrail.clone()))
        .collect();
    let unreadable = |error: String| Closed::AccountUnreadable {
        name: (*name).clone(),
        error,
    };
    match accounts.get(name.as_str()) {
        None | Some(AccountFacts::Missing) => Err(Closed::AccountMissing((*name).clone())),
        Some(AccountFacts::Unreadable(error)) => Err(unreadable((*error).to_owned())),
        Some(AccountFacts::Known { spec, quota }) => {
            let senders = account_senders(spec)
                .map_err(|errors| unreadable(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
            Ok(Account {
                name: Sourced {
                    value: (*name).clone(),
                    from,
                },
                senders,
                quota: *quota,
            })
        }
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

    fn policy(&mut self, facts: &PolicyFacts<'_>) -> CompiledPolicy {
        let unreadable = |error: &str| {
            vec![SpecError {
                field: "spec".to_owned(),
                message: error.to_owned(),
            }]
        };
        let compiled = match facts.spec.map_err(unreadable).and_then(PolicyTerms::read) {
            Ok(terms) => self.accepted(facts.name, terms),
            Err(errors) => self.not_accepted(facts, errors),
        };
        self.closed_where_it_must_be(facts, compiled)
    }

    fn accepted(&self, name: &str, terms: PolicyTerms) -> CompiledPolicy {
        let source = Source::MailPolicy(name.to_owned());
        let mut clamps = Vec::new();
        let effective = self.effective(name, &terms, &source);
        clamp(&mut clamps, "mode", &terms.mode, &effective.mode, ToString::to_string);
        if let Some(allowed) = &terms.allowed {
            clamp(&mut clamps, "allowed", allowed, &effective.allowed, AddressSet::summary);
        }
        if let Some(senders) = &terms.senders {
            clamp(&mut clamps, "senders", senders, &effective.senders, AddressSet::summary);
        }
        let PolicyTerms {
            matching,
            suppression,
            set,
            deletion,
            ..
        } = terms;
        let deletion = deletion.map(|deletion| Sourced::new(deletion, source));
        let retain = || Sourced::new(DeletionPolicy::Retain, Source::Default);
        CompiledPolicy {
            name: name.to_owned(),
            errors: Vec::new(),
            matching,
            effective,
            set: Some(self.set(set, &mut clamps)),
            clamps,
            suppression,
            deletion: deletion
                .or_else(|| self.bounds.default_deletion.clone())
                .unwrap_or_else(retain),
        }
    }

    /// The last good one, met with the bounds of now.
    fn not_accepted(&self, facts: &PolicyFacts<'_>, errors: Vec<SpecError>) -> CompiledPolicy {
        let (matching, effective) = match &facts.last_good {
            None => (None, Effective::closed(&Source::Closed)),
            Some(LastGood { matching, effective }) => {
                let most = self
                    .bounds
                    .max_mode
                    .clone()
                    .unwrap_or_else(|| Sourced::new(Mode::Paused, Source::Default));
                (matching.clone(), self.bounded(effective.clone()).at_most_of(most))
            }
        };
        CompiledPolicy {
            name: facts.name.to_owned(),
            errors,
            matching,
            effective,
            clamps: Vec::new(),
            set: None,
            suppression: None,
            // What the spec says cannot be read: what cannot be undone is not done.
            deletion: Sourced::new(DeletionPolicy::Retain, Source::Closed),
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

    fn effective(&self, name: &str, terms: &PolicyTerms, source: &Source) -> Effective {
        let said = |value: &Option<AddressSet>| value.clone().map(|value| Sourced::new(value, source.clone()));
        let nobody = || Sourced::new(AddressSet::default(), Source::Default);
        let anybody_of_the_account = || {
            let (name, senders) = self.account.map_or((String::new(), AddressSet::default()), |account| {
                (account.name.value.clone(), account.senders.clone())
            });
            Sourced::new(senders, Source::SendingAccount(name))
        };
        let (mode, then) = self.mode(name, terms.mode, source);
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

    /// A last good policy within the bounds of now; the namespace's ceilings stand beside it, not in it.
    fn bounded(&self, mut effective: Effective) -> Effective {
        if let Some(allowed) = self.bounds.allowed.clone() {
            effective.allowed = effective.allowed.and(allowed);
        }
        if let Some(senders) = self.bounds.senders.clone() {
            effective.senders = effective.senders.and(senders);
        }
        if let Some(account) = self.account {
            let senders = Sourced::new(
                account.senders.clone(),
                Source::SendingAccount(account.name.value.clone()),
            );
            effective.senders = effective.senders.and(senders);
        }
        let enforce = || Sourced::new(Enforcement::Enforce, Source::Default);
        effective.enforcement = effective
            .enforcement
            .and(self.bounds.enforcement.clone().unwrap_or_else(enforce));
        effective
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

    /// The mode, and what follows it when an open window ends.
    fn mode(&self, name: &str, asked: Mode, source: &Source) -> (Sourced<Mode>, Option<(Timestamp, Mode)>) {
        let silent = || Sourced::new(Mode::Paused, Source::Default);
        let base = Sourced::new(asked, source.clone()).and(self.bounds.max_mode.clone().unwrap_or_else(silent));
        let open: Vec<(Timestamp, Sourced<Mode>)> = self
            .facts
            .windows
            .iter()
            .filter(|window| window.policy == name)
            .filter(|window| {
                self.verdicts
                    .get(&window.name)
                    .is_some_and(|v| v.phase == WindowPhase::Open)
            })
            .filter_map(|window| {
                let most = self.bounds.window_mode.clone()?;
                let mode = Sourced::new(window.mode, Source::MailWindow(window.name.clone()));
                let raised = Sourced {
                    value: mode.value.meet(&most.value),
                    from: &mode.from | &most.from,
                };
                // A window below the base changes nothing.
                (raised.value > base.value).then_some((window.until, raised))
            })
            .collect();
        let raised_after = |moment: Timestamp| {
            open.iter()
                .filter(|(until, _)| *until > moment)
                .map(|(_, mode)| mode)
                .max_by_key(|mode| mode.value)
                .unwrap_or(&base)
        };
        let mode = raised_after(self.facts.now).clone();
        let mut ends: Vec<Timestamp> = open.iter().map(|(until, _)| *until).collect();
        ends.sort_unstable();
        let then = ends
            .into_iter()
            .map(|end| (end, raised_after(end).value))
            .find(|(_, then)| *then < mode.value);
        (mode, then)
    }

    /// The options of the set, as far as the guardrails let the policy add to it.
    fn set(&self, mut set: SetTerms, clamps: &mut Vec<Clamp>) -> SetTerms {
        let listed = |bound: &Option<Sourced<BTreeSet<String>>>, name: &str| {
            bound.as_ref().is_some_and(|bound| bound.value.contains(name))
        };
        if let Some(pool) = set.pool.take_if(|pool| !listed(&self.bounds.pools, pool)) {
            clamps.push(Clamp {
                field: "ses.pool",
                message: format!(
                    "pool `{pool}` is not used: every guardrail that speaks of pools must list it, and one must"
                ),
            });
        }
        set.event_destinations.retain(|destination| {
            let allowed = listed(&self.bounds.event_destination_arns, &destination.arn);
            if !allowed {
                clamps.push(Clamp {
                    field: "ses.eventDestinations",
                    message: format!(
                        "{} gets no events: every guardrail that speaks of event destinations must list it, and one must",
                        destination.arn
                    ),
                });
            }
            allowed
        });
        set
    }
}

impl Effective {
    fn at_most_of(self, most: Sourced<Mode>) -> Self {
        let Sourced { value, from } = most;
        from.into_iter()
            .fold(self, |effective, source| effective.at_most(value, source))
    }
}

fn clamp<T: Meet>(
    clamps: &mut Vec<Clamp>,
    field: &'static str,
    asked: &T,
    effective: &Sourced<T>,
    show: impl Fn(&T) -> String,
) {
    if !asked.is_within(&effective.value) {
        let message = format!(
            "{field}: asked {}, in force {} ({})",
            show(asked),
            show(&effective.value),
            effective.from_words().join(", ")
        );
        clamps.push(Clamp { field, message });
    }
}

/// The account's quota as rates; `None` for a quota of nothing.
fn quota_limits(quota: Quota) -> Option<Limits> {
    const DAY_SECONDS: u64 = 86_400;
    // A rate below one a second is still one message now and then; SES's own answer bounds it further.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // clamped: SES's rates are small positive numbers
    let per_second = NonZeroU64::new(quota.max_per_second.clamp(1.0, 1e9) as u64)?;
    let per_second = Rate {
        seconds: 1,
        count: per_second,
    };
    // A negative number is SES's word for unlimited.
    let Ok(per_day) = u64::try_from(quota.max24_hours) else {
        return Some(Limits::from_iter([per_second]));
    };
    let per_day = Rate {
        seconds: DAY_SECONDS,
        count: NonZeroU64::new(per_day)?,
    };
    Some(Limits::from_iter([per_second, per_day]))
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
