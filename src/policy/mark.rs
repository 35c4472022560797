//! What marks the subject of a message that is not mailed as it came.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longer ones leave no room for the subject in a list of mail.
const MAX: usize = 64;

/// What a subject begins with: printable ASCII, so that it is the same in a header and in SES's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPrefix(String);

/// A text that cannot mark a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a subject's prefix is 1 to {MAX} printable ASCII characters that do not begin or end with a space, like [staging]"
)]
pub struct SubjectPrefixError;

impl SubjectPrefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// It is empty, too long, not printable ASCII, or begins or ends with a space.
    pub fn parse(text: &str) -> Result<Self, SubjectPrefixError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let fits = (1..=MAX).contains(&text.len()) && text.trim() == text;
        if printable && fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(SubjectPrefixError)
        }
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SubjectPrefix {
    type Error = SubjectPrefixError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<SubjectPrefix> for String {
    fn from(prefix: SubjectPrefix) -> Self {
        prefix.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_one_line_of_printable_ascii() {
        assert!(SubjectPrefix::parse("[staging]").is_ok());
        assert!(SubjectPrefix::parse(&"x".repeat(64)).is_ok());
        for text in ["", " x", "x ", "a\r\nBcc: b", "a\tb", "[prüfung]", &"x".repeat(65)] {
            assert_eq!(SubjectPrefix::parse(text), Err(SubjectPrefixError), "{text:?}");
        }
        assert!(serde_json::from_str::<SubjectPrefix>(r#""a\nb""#).is_err());
    }
}
