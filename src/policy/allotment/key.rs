//! Which ceiling is allotted.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{
    Limits,
    ceiling::{CeilingName, CeilingOf, NamespaceLimits},
};

/// What an allotted ceiling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// All recipients.
    Recipients,
    /// Recipients to whom nothing was ever delivered.
    NewRecipients,
}

impl Counted {
    fn word(self) -> &'static str {
        match self {
            Self::Recipients => "recipients",
            Self::NewRecipients => "newRecipients",
        }
    }
}

/// A ceiling that the pods of a namespace share; written `recipients` where it is the namespace's, `recipients/<policy>`
/// where it is a policy's, and alike with `newRecipients`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CeilingKey {
    /// The MailPolicy; `None` is the namespace's.
    pub policy: Option<String>,
    /// What it counts.
    pub of: Counted,
}

/// A text that is no [`CeilingKey`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no ceiling is called so: write recipients or newRecipients, of a policy with / and its name")]
pub struct NoSuchCeiling;

impl CeilingKey {
    /// The namespace's.
    #[must_use]
    pub fn namespace(of: Counted) -> Self {
        Self { policy: None, of }
    }

    /// A policy's.
    #[must_use]
    pub fn policy(name: &str, of: Counted) -> Self {
        Self {
            policy: Some(name.to_owned()),
            of,
        }
    }

    /// The ceiling as the limiter names it; `None` where it is not shared.
    #[must_use]
    pub fn of(name: &CeilingName) -> Option<Self> {
        let CeilingName { policy, of } = name;
        let of = match of {
            CeilingOf::Recipients => Counted::Recipients,
            CeilingOf::NewRecipients => Counted::NewRecipients,
            CeilingOf::PerRecipient => return None,
        };
        Some(Self {
            policy: policy.clone(),
            of,
        })
    }

    /// What the configuration says of it; `None` where it does not know the policy.
    #[must_use]
    pub fn limits<'a>(&self, own: &'a NamespaceLimits) -> Option<&'a Limits> {
        match (&self.policy, self.of) {
            (None, Counted::Recipients) => Some(&own.recipients),
            (None, Counted::NewRecipients) => Some(&own.new_recipients),
            (Some(name), Counted::Recipients) => own.policies.get(name).map(|policy| &policy.recipients),
            (Some(name), Counted::NewRecipients) => own.policies.get(name).map(|policy| &policy.new_recipients),
        }
    }

    /// Every ceiling of a namespace that is shared, with its limits.
    #[must_use]
    pub fn all(own: &NamespaceLimits) -> BTreeMap<Self, &Limits> {
        let NamespaceLimits {
            recipients,
            new_recipients,
            policies,
        } = own;
        let namespace = [
            (Self::namespace(Counted::Recipients), recipients),
            (Self::namespace(Counted::NewRecipients), new_recipients),
        ];
        let policies = policies.iter().flat_map(|(name, limits)| {
            [
                (Self::policy(name, Counted::Recipients), &limits.recipients),
                (Self::policy(name, Counted::NewRecipients), &limits.new_recipients),
            ]
        });
        let all = namespace.into_iter().chain(policies);
        all.filter(|(_, limits)| !limits.is_empty()).collect()
    }
}

impl fmt::Display for CeilingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            None => f.write_str(self.of.word()),
            Some(policy) => write!(f, "{}/{policy}", self.of.word()),
        }
    }
}

impl FromStr for CeilingKey {
    type Err = NoSuchCeiling;

    fn from_str(text: &str) -> Result<Self, NoSuchCeiling> {
        let (word, policy) = match text.split_once('/') {
            None => (text, None),
            Some((_, "")) => return Err(NoSuchCeiling),
            Some((word, policy)) => (word, Some(policy.to_owned())),
        };
        let of = [Counted::Recipients, Counted::NewRecipients];
        let of = of.into_iter().find(|of| of.word() == word).ok_or(NoSuchCeiling)?;
        Ok(Self { policy, of })
    }
}

impl TryFrom<String> for CeilingKey {
    type Error = NoSuchCeiling;

    fn try_from(text: String) -> Result<Self, NoSuchCeiling> {
        text.parse()
    }
}

impl From<CeilingKey> for String {
    fn from(key: CeilingKey) -> Self {
        key.to_string()
    }
}
