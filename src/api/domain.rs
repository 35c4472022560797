//! Mail domains.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::address::redact;

/// A mail domain as it is compared and sent: lower case, A-labels (RFC 5890), at least two labels, not a public suffix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is not a [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Not a host name by IDNA and the rules of DNS; an address in its place is shown without its local part.
    #[error("`{0}` is not a domain name: write it like example.com")]
    Malformed(String),
    /// One label only.
    #[error("`{0}` has one label only: write the whole domain, like {0}.example.com")]
    SingleLabel(String),
    /// A suffix under which the public registers domains.
    #[error("`{0}` is a public suffix, under which strangers register domains: name your own domain below it")]
    PublicSuffix(String),
}

impl Domain {
    /// Parses a domain; Unicode labels become A-labels, a trailing dot is refused.
    ///
    /// # Errors
    /// [`DomainError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let domain = Self::parse_host(text)?;
        match psl::domain(domain.0.as_bytes()) {
            // Nothing registrable is left of the suffix.
            None => Err(DomainError::PublicSuffix(domain.0)),
            Some(_) => Ok(domain),
        }
    }

    /// As [`Domain::parse`], for the domain of one mailbox: a public suffix may hold a mailbox.
    ///
    /// # Errors
    /// [`DomainError`] says which rule is broken.
    pub fn parse_host(text: &str) -> Result<Self, DomainError> {
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError::Malformed(redact(text)))?;
        // `idna` leaves an address literal's digits and dots alone; a mail domain's last label is never all digits.
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if ascii.is_empty() || last.is_empty() || last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DomainError::Malformed(redact(text)));
        }
        if !ascii.contains('.') {
            return Err(DomainError::SingleLabel(ascii));
        }
        Ok(Self(ascii))
    }

    /// The domain's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `self` lies below `parent`, at any depth; a domain does not lie below itself.
    #[must_use]
    pub fn is_below(&self, parent: &Self) -> bool {
        self.0.strip_suffix(&parent.0).is_some_and(|head| head.ends_with('.'))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        Self::parse_host(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_lower_cased_and_written_in_a_labels() {
        assert_eq!(Domain::parse("Example.CO.jp").unwrap().as_str(), "example.co.jp");
        assert_eq!(
            Domain::parse("bücher.example.com").unwrap().as_str(),
            "xn--bcher-kva.example.com"
        );
    }

    #[test]
    fn a_malformed_domain_is_refused() {
        for text in [
            "",
            ".",
            "a..example.com",
            "-a.example.com",
            "example.com.",
            "exa mple.com",
            "1.2.3.4",
            "a_b.example.com",
        ] {
            assert_eq!(Domain::parse(text), Err(DomainError::Malformed(redact(text))), "{text}");
        }
    }

    #[test]
    fn a_single_label_is_refused() {
        assert_eq!(
            Domain::parse("localhost"),
            Err(DomainError::SingleLabel("localhost".to_owned()))
        );
    }

    #[test]
    fn a_public_suffix_is_refused_as_a_domain_but_may_hold_a_mailbox() {
        assert_eq!(
            Domain::parse("co.jp"),
            Err(DomainError::PublicSuffix("co.jp".to_owned()))
        );
        assert_eq!(
            Domain::parse("github.io"),
            Err(DomainError::PublicSuffix("github.io".to_owned()))
        );
        assert!(Domain::parse_host("co.jp").is_ok());
    }

    #[test]
    fn a_domain_lies_below_its_parents_and_not_below_a_name_that_ends_alike() {
        let domain = |text| Domain::parse(text).unwrap();
        assert!(domain("a.b.example.com").is_below(&domain("example.com")));
        assert!(!domain("example.com").is_below(&domain("example.com")));
        assert!(!domain("badexample.com").is_below(&domain("example.com")));
    }
}
