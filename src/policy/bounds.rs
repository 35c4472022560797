//! What the guardrails of a namespace say together.

use std::collections::BTreeSet;

use super::{
    Limits, Meet, Other, Source, Sourced,
    effective::shown,
    terms::{GuardrailTerms, WindowTerms},
};
use crate::api::{
    AddressSet, Mode,
    guardrail::{Enforcement, Release, SuppressionScope},
    policy::{DeletionPolicy, EffectiveValue},
};

/// The meet of all guardrails of a namespace, field by field; `None` where none has an opinion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The most permissive mode without a window.
    pub max_mode: Option<Sourced<Mode>>,
    /// The most permissive mode while a window is open: per guardrail its window's, else its own. `None` where no
    /// guardrail allows windows.
    pub window_mode: Option<Sourced<Mode>>,
    /// What guardrails say of windows.
    pub windows: Vec<WindowTerms>,
    /// Whether the sidecar enforces.
    pub enforcement: Option<Sourced<Enforcement>>,
    /// Who may be mailed in Restricted.
    pub allowed: Option<Sourced<AddressSet>>,
    /// Who may send.
    pub senders: Option<Sourced<AddressSet>>,
    /// Ceilings of the namespace.
    pub recipients: Option<Sourced<Limits>>,
    /// Ceilings of the namespace for new recipients.
    pub new_recipients: Option<Sourced<Limits>>,
    /// Where suppression entries may be put; the sidecar only where nobody says.
    pub suppression_scopes: Option<Sourced<BTreeSet<SuppressionScope>>>,
    /// Whether entries may be released.
    pub release: Option<Sourced<Release>>,
    /// Event destinations that policies may add.
    pub event_destination_arns: Option<Sourced<BTreeSet<String>>>,
    /// IP pools that policies may use.
    pub pools: Option<Sourced<BTreeSet<String>>>,
    /// The mode of mail that no policy speaks of.
    pub default_mode: Option<Sourced<Mode>>,
    /// What becomes of recipients that are not allowed, where the policy is silent.
    pub default_other: Option<Sourced<Other>>,
    /// What becomes of SES objects in the end, where the policy is silent.
    pub default_deletion: Option<Sourced<DeletionPolicy>>,
}

impl Bounds {
    /// The ceilings of the namespace as a status shows them, with whose word they are: they hold beside each policy's own.
    #[must_use]
    pub fn ceilings(&self) -> Vec<EffectiveValue> {
        let both = [
            ("namespace.ceilings.recipients", &self.recipients),
            ("namespace.ceilings.newRecipients", &self.new_recipients),
        ];
        let value = |(field, limits): (&str, &Option<Sourced<Limits>>)| {
            let limits = limits.as_ref()?;
            Some(shown(field, limits, limits.value.to_string()))
        };
        both.into_iter().filter_map(value).collect()
    }

    /// The meet of these guardrails. Their order does not matter.
    #[must_use]
    pub fn of(guardrails: &[(String, GuardrailTerms)]) -> Self {
        let allows_windows = guardrails.iter().any(|(_, terms)| terms.window.is_some());
        let window_mode = meet(guardrails, |terms| {
            terms.window.map(|window| window.max_mode).or(terms.max_mode)
        });
        Self {
            max_mode: meet(guardrails, |terms| terms.max_mode),
            window_mode: window_mode.filter(|_| allows_windows),
            windows: guardrails.iter().filter_map(|(_, terms)| terms.window).collect(),
            enforcement: meet(guardrails, |terms| terms.enforcement),
            allowed: meet(guardrails, |terms| terms.allowed.clone()),
            senders: meet(guardrails, |terms| terms.senders.clone()),
            recipients: meet(guardrails, |terms| terms.recipients.clone()),
            new_recipients: meet(guardrails, |terms| terms.new_recipients.clone()),
            suppression_scopes: meet(guardrails, |terms| terms.suppression_scopes.clone()),
            release: meet(guardrails, |terms| terms.release),
            event_destination_arns: meet(guardrails, |terms| terms.event_destination_arns.clone()),
            pools: meet(guardrails, |terms| terms.pools.clone()),
            default_mode: meet(guardrails, |terms| terms.default_mode),
            default_other: meet(guardrails, |terms| terms.default_other.clone()),
            default_deletion: meet(guardrails, |terms| terms.default_deletion),
        }
    }

    /// Where suppression entries of the namespace may be put.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<SuppressionScope> {
        let sidecar = || BTreeSet::from([SuppressionScope::Sidecar]);
        self.suppression_scopes
            .as_ref()
            .map_or_else(sidecar, |scopes| scopes.value.clone())
    }

    /// Whether entries of SES may be released.
    #[must_use]
    pub fn may_release(&self) -> bool {
        self.release
            .as_ref()
            .is_some_and(|release| release.value == Release::Allow)
    }
}

fn meet<T: Meet + PartialEq + Clone>(
    guardrails: &[(String, GuardrailTerms)],
    field: impl Fn(&GuardrailTerms) -> Option<T>,
) -> Option<Sourced<T>> {
    Sourced::meet_all(
        guardrails
            .iter()
            .filter_map(|(name, terms)| Some(Sourced::new(field(terms)?, Source::MailGuardrail(name.clone())))),
    )
}
