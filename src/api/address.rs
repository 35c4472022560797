//! Mail addresses in the one form that is judged and sent.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::domain::{Domain, DomainError};

/// The longest local part, in octets (RFC 5321, section 4.5.3.1.1).
pub const LOCAL_MAX: usize = 64;

/// The longest address, in octets: RFC 5321's path of 256 without its brackets.
pub const ADDRESS_MAX: usize = 254;

/// What stands in place of a local part.
const HIDDEN: &str = "***";

/// The text with the local part of every address in it replaced, so that it may be logged.
///
/// Everything between the `@` and the nearest space, bracket, quote, comma or `/` before it counts as local part.
#[must_use]
pub fn redact(text: &str) -> String {
    let boundary =
        |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '"' | '\'' | ',' | '/');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let kept = before
            .rfind(boundary)
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        shown.push_str(&before[..kept]);
        shown.push_str(HIDDEN);
        shown.push('@');
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// One mailbox: a dot-atom local part, compared exactly, and a domain, compared as [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: Domain,
}

/// Why a text is not an [`Address`]. No variant carries the local part, which is personal data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No `@`.
    #[error("an address needs an @: write it like name@example.com")]
    NoAt,
    /// The local part is not a dot-atom.
    #[error(
        "the part before @ may hold only ASCII letters, digits and !#$%&'*+-/=?^_`{{|}}~, with single dots between them"
    )]
    LocalPart,
    /// The local part holds an end of RFC 2047's encoded word.
    #[error("the part before @ may hold neither =? nor ?=, between which words are encoded: write it as it is read")]
    EncodedWord,
    /// A part is too long.
    #[error("an address has at most {LOCAL_MAX} octets before the @ and {ADDRESS_MAX} in all")]
    TooLong,
    /// The domain is wrong.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl Address {
    /// Parses `local@domain`.
    ///
    /// # Errors
    /// [`AddressError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        let domain = Domain::parse_host(domain)?;
        Self::new(local, domain)
    }

    /// Puts an address together from a local part and a domain.
    ///
    /// # Errors
    /// [`AddressError::LocalPart`], [`AddressError::EncodedWord`] and [`AddressError::TooLong`].
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        if !local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
        {
            return Err(AddressError::LocalPart);
        }
        if is_encoded_word(local) {
            return Err(AddressError::EncodedWord);
        }
        if local.len() > LOCAL_MAX || local.len() + 1 + domain.as_str().len() > ADDRESS_MAX {
            return Err(AddressError::TooLong);
        }
        Ok(Self {
            local: local.to_owned(),
            domain,
        })
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

/// RFC 5322's `atext`.
pub(super) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// Whether it holds one end of RFC 2047's encoded word: all of it are letters that a local part may have, but a parser
/// that decodes words, perhaps from a name before the address to the other end in it, finds another address.
fn is_encoded_word(local: &str) -> bool {
    local.contains("=?") || local.contains("?=")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_address_is_shown_as_it_is() {
        assert_eq!(redact("Rate exceeded."), "Rate exceeded.");
    }

    #[test]
    fn every_local_part_of_a_text_is_hidden() {
        assert_eq!(
            redact("Email address <jo.doe+x@example.com> and ñandú@example.org are there"),
            "Email address <***@example.com> and ***@example.org are there",
        );
        assert_eq!(redact("a@b@example.com"), "***@***@example.com");
    }

    #[test]
    fn the_local_part_keeps_its_case_and_the_domain_loses_it() {
        assert_eq!(
            Address::parse("Jo.Do+x@Example.COM").unwrap().to_string(),
            "Jo.Do+x@example.com"
        );
    }

    #[test]
    fn a_text_without_at_is_refused() {
        assert_eq!(Address::parse("example.com"), Err(AddressError::NoAt));
    }

    #[test]
    fn a_local_part_that_is_not_a_dot_atom_is_refused() {
        for text in [
            "@example.com",
            "a..b@example.com",
            ".a@example.com",
            "\"a b\"@example.com",
            "a b@example.com",
            "a@b@example.com",
            "ü@example.com",
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::LocalPart), "{text}");
        }
    }

    #[test]
    fn what_a_parser_that_decodes_words_reads_as_another_address_is_refused() {
        for text in [
            "=?utf-8?q?x=40evil.example?=@example.com",
            "a=?b?=@example.com",
            "?=a@example.com",
            "a=?@example.com",
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::EncodedWord), "{text}");
        }
        assert!(Address::parse("a?b=c@example.com").is_ok());
    }

    #[test]
    fn a_part_that_is_too_long_is_refused() {
        assert_eq!(
            Address::parse(&format!("{}@example.com", "a".repeat(65))),
            Err(AddressError::TooLong)
        );
        assert!(Address::parse(&format!("{}@example.com", "a".repeat(64))).is_ok());
    }

    #[test]
    fn a_wrong_domain_is_refused() {
        assert!(matches!(
            Address::parse("a@localhost"),
            Err(AddressError::Domain(DomainError::SingleLabel(_)))
        ));
    }
}
