//! The names that this operator gives to things in SES.
//!
//! SES has one flat namespace of names per account and region, Kubernetes has many. A name here is
//! `<clusterId>-<namespace>-<name>`, cut to fit and followed by a hash of the full identity, so that a person can read
//! where it belongs and two objects never meet (`a-b`/`c` and `a`/`b-c` read alike, their hashes differ).

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The longest name that SES takes for a configuration set, a tenant or an event destination.
pub const MAX_NAME_LENGTH: usize = 64;

/// Hex digits of the identity's hash at the end of each name: 48 bits. Of the 10,000 sets that an account can have at
/// most, two share a hash with a probability below one in five million.
const HASH_DIGITS: usize = 12;

/// Why a text cannot be a name in SES.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or longer than [`MAX_NAME_LENGTH`].
    #[error("a name in SES has 1 to {MAX_NAME_LENGTH} characters, this one has {0}: shorten it")]
    Length(usize),
    /// The text holds a character that SES refuses.
    #[error("a name in SES consists of letters, digits, '_' and '-', but this one holds {0:?}: replace it")]
    Character(char),
}

fn checked(text: String) -> Result<String, NameError> {
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME_LENGTH {
        return Err(NameError::Length(length));
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(character) => Err(NameError::Character(character)),
        None => Ok(text),
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Hashes the parts of an identity so that no two lists of parts give the same input: each is preceded by its length.
fn identity_hash(kind: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hash = HEXLOWER.encode(&hasher.finalize());
    hash.truncate(HASH_DIGITS);
    hash
}

/// The parts joined by `-`, with what SES refuses replaced, cut, and ended by the hash of the uncut parts.
fn readable(kind: &str, parts: &[&str]) -> String {
    let mut name: String = parts
        .join("-")
        .chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .collect();
    name.truncate(MAX_NAME_LENGTH - HASH_DIGITS - 1);
    format!("{name}-{}", identity_hash(kind, parts))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a name that came from elsewhere: from status, from a listing, from a person.
            pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
                checked(text.into()).map(Self)
            }

            /// The name as SES knows it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name_type! {
    /// The name of a configuration set.
    SetName
}
name_type! {
    /// The name of a tenant.
    TenantName
}
name_type! {
    /// The name of an event destination, unique within its configuration set.
    DestinationName
}

impl SetName {
    /// The set of a policy.
    #[must_use]
    pub fn of_policy(cluster_id: &str, namespace: &str, policy: &str) -> Self {
        Self(readable("policy", &[cluster_id, namespace, policy]))
    }

    /// The account's sealed set: one that never sends, for the identities whose default it is.
    #[must_use]
    pub fn sealed(cluster_id: &str, account: &str) -> Self {
        Self(readable("sealed", &[cluster_id, "sealed", account]))
    }
}

impl TenantName {
    /// The tenant of a namespace.
    #[must_use]
    pub fn of_namespace(cluster_id: &str, namespace: &str) -> Self {
        Self(readable("tenant", &[cluster_id, namespace]))
    }
}

impl DestinationName {
    /// The destination that carries feedback to this operator; the same in every set.
    #[must_use]
    pub fn feedback() -> Self {
        Self("mail-policy-feedback".to_owned())
    }

    /// A destination that a policy adds, named after the ARN of its target: the same target is the same destination,
    /// whatever its place in the policy's list.
    #[must_use]
    pub fn of_target(arn: &str) -> Self {
        Self(format!("policy-{}", identity_hash("destination", &[arn])))
    }
}

/// What every name of this cluster begins with, cut as the names themselves are.
///
/// A name that begins so need not be ours (`prod` is a prefix of `prod-tokyo`): only the tags decide.
#[must_use]
pub fn cluster_prefix(cluster_id: &str) -> String {
    let mut prefix: String = cluster_id
        .chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .collect();
    prefix.push('-');
    prefix.truncate(MAX_NAME_LENGTH - HASH_DIGITS - 1);
    prefix
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_named_after_its_policy_and_a_hash() {
        assert_eq!(
            SetName::of_policy("prod-tokyo", "shop", "default").as_str(),
            "prod-tokyo-shop-default-9fc6ba57975a"
        );
    }

    #[test]
    fn identities_that_read_alike_have_different_names() {
        assert_ne!(SetName::of_policy("c", "a-b", "c"), SetName::of_policy("c", "a", "b-c"));
        assert_ne!(SetName::of_policy("c", "a.b", "c"), SetName::of_policy("c", "a-b", "c"));
        assert_ne!(
            SetName::of_policy("c", "sealed", "primary"),
            SetName::sealed("c", "primary")
        );
    }

    #[test]
    fn a_long_identity_is_cut_and_keeps_its_hash() {
        let long = "n".repeat(63);
        let (one, two) = (
            SetName::of_policy("prod", &long, "one"),
            SetName::of_policy("prod", &long, "two"),
        );
        assert_eq!(one.as_str().len(), MAX_NAME_LENGTH);
        assert_ne!(one, two);
    }

    #[test]
    fn a_destination_of_a_policy_is_named_after_its_target_alone() {
        let arn = "arn:aws:sns:eu-west-1:123456789012:bounces";
        assert_eq!(DestinationName::of_target(arn), DestinationName::of_target(arn));
        assert_ne!(
            DestinationName::of_target(arn),
            DestinationName::of_target(&format!("{arn}2"))
        );
        assert_ne!(DestinationName::of_target(arn), DestinationName::feedback());
    }

    #[test]
    fn a_name_of_the_wrong_length_is_refused() {
        assert_eq!(SetName::parse(""), Err(NameError::Length(0)));
        assert_eq!(SetName::parse("x".repeat(65)), Err(NameError::Length(65)));
    }

    #[test]
    fn a_name_with_a_character_that_ses_refuses_is_refused() {
        assert_eq!(TenantName::parse("shop.example"), Err(NameError::Character('.')));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_ses_takes_and_has_the_clusters_prefix(
            cluster in "[a-z0-9][a-z0-9-]{0,80}", namespace in "[a-z0-9-]{1,63}", name in "[a-z0-9.-]{1,253}",
        ) {
            let set = SetName::of_policy(&cluster, &namespace, &name);
            prop_assert_eq!(SetName::parse(set.as_str()), Ok(set.clone()));
            prop_assert!(set.as_str().starts_with(&cluster_prefix(&cluster)));
            let tenant = TenantName::of_namespace(&cluster, &namespace);
            prop_assert_eq!(TenantName::parse(tenant.as_str()), Ok(tenant.clone()));
            let sealed = SetName::sealed(&cluster, &name);
            prop_assert_eq!(SetName::parse(sealed.as_str()), Ok(sealed.clone()));
        }
    }
}
