//! What becomes of recipients that are not allowed.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Meet;
use crate::api::{
    Domain,
    domain::DomainError,
    policy::{OtherAction, OtherRecipients},
};

/// What becomes of a recipient that is not allowed, from most restrictive to most permissive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// Refused.
    Reject,
    /// Kept in the capture store.
    Capture,
    /// Replaced by a mailbox-simulator address.
    Simulate,
    /// Replaced by this address. Filled in, it must itself be allowed; if it is not, the message is captured.
    Redirect(RedirectTarget),
}

/// An address with `{local}` and `{domain}` in its local part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectTarget {
    local: Vec<Piece>,
    domain: Domain,
}

/// A piece of a local part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The original recipient's local part.
    Local,
    /// The original recipient's domain.
    Domain,
}

/// Why a text is not a [`RedirectTarget`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RedirectError {
    /// No `@`, or nothing before it.
    #[error("Redirect needs an address: write it like qa+{{local}}.{{domain}}@example.com")]
    NotAnAddress,
    /// A brace that is not `{local}` or `{domain}`.
    #[error("only {{local}} and {{domain}} may stand in braces, and only before the @")]
    Brace,
    /// A character that a local part cannot have.
    #[error(
        "the part before @ may hold only ASCII letters, digits and !#$%&'*+-/=?^_`|~. beside {{local}} and {{domain}}"
    )]
    LocalPart,
    /// The domain is wrong.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl RedirectTarget {
    /// Parses `qa+{local}.{domain}@example.com`.
    ///
    /// # Errors
    /// [`RedirectError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, RedirectError> {
        let (local, domain) = text.rsplit_once('@').ok_or(RedirectError::NotAnAddress)?;
        if domain.contains(['{', '}']) {
            return Err(RedirectError::Brace);
        }
        let domain = Domain::parse(domain)?;
        let mut pieces = Vec::new();
        let mut rest = local;
        while !rest.is_empty() {
            let (piece, after) = match rest.find(['{', '}']) {
                Some(0) => match (rest.strip_prefix("{local}"), rest.strip_prefix("{domain}")) {
                    (Some(after), _) => (Piece::Local, after),
                    (_, Some(after)) => (Piece::Domain, after),
                    (None, None) => return Err(RedirectError::Brace),
                },
                brace => {
                    let (text, after) = rest.split_at(brace.unwrap_or(rest.len()));
                    let valid = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`|~.".contains(&b);
                    if !text.bytes().all(valid) || text.contains("..") {
                        return Err(RedirectError::LocalPart);
                    }
                    (Piece::Text(text.to_owned()), after)
                }
            };
            pieces.push(piece);
            rest = after;
        }
        if pieces.is_empty() || local.starts_with('.') || local.ends_with('.') {
            return Err(RedirectError::NotAnAddress);
        }
        Ok(Self { local: pieces, domain })
    }

    /// The pieces of the local part.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.local
    }

    /// The domain that gets the mail.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl TryFrom<String> for RedirectTarget {
    type Error = RedirectError;

    fn try_from(text: String) -> Result<Self, RedirectError> {
        Self::parse(&text)
    }
}

impl From<RedirectTarget> for String {
    fn from(target: RedirectTarget) -> Self {
        target.to_string()
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.local {
            f.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Local => "{local}",
                Piece::Domain => "{domain}",
            })?;
        }
        write!(f, "@{}", self.domain)
    }
}

impl Other {
    /// Reads the field of a spec.
    ///
    /// # Errors
    /// [`RedirectError`] for a target that is missing or wrong.
    pub fn parse(spec: &OtherRecipients) -> Result<Self, RedirectError> {
        let OtherRecipients { action, to } = spec;
        Ok(match action {
            OtherAction::Reject => Self::Reject,
            OtherAction::Capture => Self::Capture,
            OtherAction::Simulate => Self::Simulate,
            OtherAction::Redirect => Self::Redirect(RedirectTarget::parse(
                to.as_deref().ok_or(RedirectError::NotAnAddress)?,
            )?),
        })
    }

    /// The action without its target.
    #[must_use]
    pub fn action(&self) -> OtherAction {
        match self {
            Self::Reject => OtherAction::Reject,
            Self::Capture => OtherAction::Capture,
            Self::Simulate => OtherAction::Simulate,
            Self::Redirect(_) => OtherAction::Redirect,
        }
    }
}

impl Meet for Other {
    /// Redirects to different targets cannot be compared: their meet is the next lower, Simulate.
    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Redirect(one), Self::Redirect(two)) if one != two => Self::Simulate,
            _ if self.action() <= other.action() => self.clone(),
            _ => other.clone(),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        self == other || self.action() < other.action()
    }
}

impl fmt::Display for Other {
    /// What may be shown in a status: the target's domain, not the mailbox.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reject => f.write_str("Reject"),
            Self::Capture => f.write_str("Capture"),
            Self::Simulate => f.write_str("Simulate"),
            Self::Redirect(target) => write!(f, "Redirect to a mailbox at {}", target.domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(to: &str) -> Other {
        Other::Redirect(RedirectTarget::parse(to).unwrap())
    }

    #[test]
    fn a_target_is_read_and_written_alike() {
        for text in [
            "qa+{local}.{domain}@example.com",
            "qa@example.com",
            "{local}@example.com",
        ] {
            assert_eq!(RedirectTarget::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_target_that_is_no_address_is_refused() {
        for text in ["qa", "@example.com", ".qa@example.com", "qa.@example.com"] {
            assert_eq!(RedirectTarget::parse(text), Err(RedirectError::NotAnAddress), "{text}");
        }
        let without = OtherRecipients {
            action: OtherAction::Redirect,
            to: None,
        };
        assert_eq!(Other::parse(&without), Err(RedirectError::NotAnAddress));
    }

    #[test]
    fn an_unknown_brace_is_refused() {
        for text in [
            "{user}@example.com",
            "qa}@example.com",
            "{local@example.com",
            "qa@{domain}.example.com",
        ] {
            assert_eq!(RedirectTarget::parse(text), Err(RedirectError::Brace), "{text}");
        }
    }

    #[test]
    fn a_wrong_character_is_refused() {
        for text in ["q a@example.com", "q..a@example.com", "q\"a@example.com"] {
            assert_eq!(RedirectTarget::parse(text), Err(RedirectError::LocalPart), "{text}");
        }
    }

    #[test]
    fn a_wrong_domain_is_refused() {
        assert!(matches!(
            RedirectTarget::parse("a@co.jp"),
            Err(RedirectError::Domain(_))
        ));
    }

    #[test]
    fn different_targets_meet_at_simulate_and_equal_ones_stay() {
        let (one, two) = (redirect("a@example.com"), redirect("b@example.com"));
        assert_eq!(one.meet(&two), Other::Simulate);
        assert_eq!(one.meet(&one), one);
        assert_eq!(one.meet(&Other::Capture), Other::Capture);
        assert!(one.meet(&two).is_within(&one) && !one.is_within(&two));
    }
}
