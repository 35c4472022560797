//! Which account a namespace sends with, or why none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU64,
};

use super::{AccountFacts, GuardrailFacts};
use crate::{
    api::{AddressSet, Rate, account::Quota},
    policy::{
        Limits, Source, Sourced,
        terms::{GuardrailTerms, account_senders},
    },
};

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

/// The guardrails' terms, and the first that cannot be read.
pub(super) fn read_guardrails(facts: &[GuardrailFacts<'_>]) -> (Vec<(String, GuardrailTerms)>, Option<Closed>) {
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
pub(super) struct Account {
    /// Its name.
    pub name: Sourced<String>,
    /// Who may send with it.
    pub senders: AddressSet,
    /// SES's quota, where SES was asked already.
    pub quota: Option<Quota>,
}

/// The one account that the guardrails name.
pub(super) fn resolve_account(
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

/// The account's quota as rates; `None` for a quota of nothing.
pub(super) fn quota_limits(quota: Quota) -> Option<Limits> {
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
