//! Addresses and identities: values that may be personal data, and therefore never show themselves.

use std::fmt;

use crate::api::address::redact;

/// A recipient's address on a suppression list. Neither `Display` nor `Debug` shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// Takes an address; its domain is lower-cased, as SES does, its local part stays as it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(match text.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
            None => text.to_owned(),
        })
    }

    /// The address itself, for requests to SES alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(hidden)")
    }
}

/// An identity of the account: a domain, shown as it is, or an address, shown without its local part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(String);

impl Identity {
    /// Takes an identity's name as SES writes it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as SES knows it; it may be an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", redact(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_nowhere() {
        let address = Address::new("Jo@Example.COM");
        assert_eq!(address.expose(), "Jo@example.com");
        assert!(!format!("{address} {address:?}").to_lowercase().contains("jo"));
    }

    #[test]
    fn an_identity_that_is_a_domain_is_shown_and_one_that_is_an_address_is_not() {
        assert_eq!(Identity::new("example.com").to_string(), "example.com");
        assert_eq!(Identity::new("jo@example.com").to_string(), "***@example.com");
    }
}
