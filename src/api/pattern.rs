//! Address patterns, and sets of them.
//!
//! Two patterns either exclude each other or one holds the other, so the intersection of two sets of patterns is again
//! a set of patterns, no larger than both together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    address::{Address, AddressError, LOCAL_MAX, is_atext},
    domain::{Domain, DomainError},
};

/// A set of addresses, written as a domain, `*.domain`, an address or `prefix*@domain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// `example.com`: every address at exactly this domain.
    Domain(Domain),
    /// `*.example.com`: every address at any depth below this domain, not at the domain itself.
    Below(Domain),
    /// `qa+*@example.com`: every address at this domain whose local part begins so; the beginning is never empty.
    Prefix(String, Domain),
    /// `jo@example.com`: this address.
    Address(Address),
}

/// Why a text is not a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A `*` where none may be.
    #[error("a * stands only as *.domain or at the end of the part before @, like qa+*@example.com")]
    Wildcard,
    /// The domain is wrong.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The address is wrong.
    #[error(transparent)]
    Address(AddressError),
}

impl Pattern {
    /// Parses a pattern of a list of recipients or senders.
    ///
    /// # Errors
    /// [`PatternError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match text.rsplit_once('@') {
            None => Self::parse_domain(text),
            Some((local, domain)) => match local.strip_suffix('*') {
                Some(prefix) => {
                    let domain = Domain::parse(domain)?;
                    // What a prefix begins may end in a dot; the whole local part is judged per message.
                    let atoms = prefix.split('.').rev().enumerate();
                    let mut atoms =
                        atoms.map(|(last, atom)| (last == 0 || !atom.is_empty()) && atom.bytes().all(is_atext));
                    if prefix.contains('*') {
                        Err(PatternError::Wildcard)
                    } else if !atoms.all(|valid| valid) {
                        Err(PatternError::Address(AddressError::LocalPart))
                    } else if prefix.len() > LOCAL_MAX {
                        Err(PatternError::Address(AddressError::TooLong))
                    } else if prefix.is_empty() {
                        // The same addresses, so the same pattern.
                        Ok(Self::Domain(domain))
                    } else {
                        Ok(Self::Prefix(prefix.to_owned(), domain))
                    }
                }
                None if text.contains('*') => Err(PatternError::Wildcard),
                None => match Address::parse(text) {
                    Ok(address) => Ok(Self::Address(address)),
                    Err(AddressError::Domain(error)) => Err(PatternError::Domain(error)),
                    Err(error) => Err(PatternError::Address(error)),
                },
            },
        }
    }

    /// Parses a pattern of a list of domains: `domain` or `*.domain`.
    ///
    /// # Errors
    /// [`PatternError::Wildcard`] and [`PatternError::Domain`].
    pub fn parse_domain(text: &str) -> Result<Self, PatternError> {
        match text.strip_prefix("*.") {
            Some(parent) if !parent.contains('*') => Ok(Self::Below(Domain::parse(parent)?)),
            None if !text.contains('*') => Ok(Self::Domain(Domain::parse(text)?)),
            _ => Err(PatternError::Wildcard),
        }
    }

    /// Whether the pattern holds the address.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        self.holds(&Self::Address(address.clone()))
    }

    /// Whether every address of `other` is one of `self`.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(domain), other) => !matches!(other, Self::Below(_)) && other.domain() == domain,
            (Self::Below(parent), Self::Below(child)) => child == parent || child.is_below(parent),
            (Self::Below(parent), other) => other.domain().is_below(parent),
            (Self::Prefix(prefix, domain), Self::Prefix(longer, at)) => domain == at && longer.starts_with(prefix),
            (Self::Prefix(prefix, domain), Self::Address(address)) => {
                domain == address.domain() && address.local().starts_with(prefix)
            }
            (Self::Address(address), Self::Address(other)) => address == other,
            (Self::Prefix(..) | Self::Address(_), _) => false,
        }
    }

    /// The domain at or below which the pattern's addresses are.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Domain(domain) | Self::Below(domain) | Self::Prefix(_, domain) => domain,
            Self::Address(address) => address.domain(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Prefix(prefix, domain) => write!(f, "{prefix}*@{domain}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// A union of patterns in its shortest form: none holds another. The empty set holds nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<Pattern>", into = "BTreeSet<Pattern>")]
pub struct AddressSet(BTreeSet<Pattern>);

impl AddressSet {
    /// Whether some pattern holds the address.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.0.iter().any(|pattern| pattern.matches(address))
    }

    /// The addresses that both sets hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let inside = |one: &Self, two: &Self| -> Vec<Pattern> {
            one.0
                .iter()
                .filter(|small| two.0.iter().any(|large| large.holds(small)))
                .cloned()
                .collect()
        };
        inside(self, other).into_iter().chain(inside(other, self)).collect()
    }

    /// Whether every address of `self` is one of `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|small| other.0.iter().any(|large| large.holds(small)))
    }

    /// Whether the set holds nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// What may be shown in a status or an Event: domains as they are, mailboxes only counted, since they name people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut mailboxes = BTreeMap::<&Domain, usize>::new();
        for pattern in &self.0 {
            match pattern {
                Pattern::Domain(_) | Pattern::Below(_) => parts.push(pattern.to_string()),
                Pattern::Prefix(..) | Pattern::Address(_) => *mailboxes.entry(pattern.domain()).or_default() += 1,
            }
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        parts.extend(
            mailboxes
                .into_iter()
                .map(|(at, n)| format!("{n} mailbox pattern{} at {at}", plural(n))),
        );
        if parts.is_empty() {
            "nobody".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

impl FromIterator<Pattern> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let all: BTreeSet<Pattern> = patterns.into_iter().collect();
        let held = |small: &Pattern| all.iter().any(|large| large != small && large.holds(small));
        Self(all.iter().filter(|pattern| !held(pattern)).cloned().collect())
    }
}

impl From<BTreeSet<Pattern>> for AddressSet {
    fn from(patterns: BTreeSet<Pattern>) -> Self {
        patterns.into_iter().collect()
    }
}

impl From<AddressSet> for BTreeSet<Pattern> {
    fn from(set: AddressSet) -> Self {
        set.0
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
