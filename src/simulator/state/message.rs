//! What a message is made of, and the limits of its parts.

use serde::{Deserialize, Serialize};

use super::address::Mailbox;

/// Recipients of one message: To, Cc and Bcc together (quotas page).
pub const MAX_RECIPIENTS: usize = 50;
/// Headers of one list (model).
const MAX_HEADERS: usize = 15;
/// Characters of a tag's name or value (model text).
const MAX_TAG: usize = 256;
/// The two tags of SES's own that a sender may set.
const SETTABLE_TAGS: [&str; 2] = ["ses:feedback-id-a", "ses:feedback-id-b"];

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<T> {
    /// To.
    pub to: Vec<T>,
    /// Cc.
    pub cc: Vec<T>,
    /// Bcc.
    pub bcc: Vec<T>,
}

impl<T> Default for Destination<T> {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
        }
    }
}

impl<T> Destination<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.to.len() + self.cc.len() + self.bcc.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them: To, then Cc, then Bcc.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// Every one turned into something else, or the first error.
    pub fn try_map<U, E>(self, mut map: impl FnMut(T) -> Result<U, E>) -> Result<Destination<U>, E> {
        let mut list = |from: Vec<T>| from.into_iter().map(&mut map).collect::<Result<Vec<U>, E>>();
        Ok(Destination {
            to: list(self.to)?,
            cc: list(self.cc)?,
            bcc: list(self.bcc)?,
        })
    }
}

impl Destination<Mailbox> {
    /// At least one recipient and at most fifty, or what SES says.
    pub fn checked(self) -> Result<Self, String> {
        if self.is_empty() {
            Err("At least one destination address is required.".to_owned())
        } else if self.len() > MAX_RECIPIENTS {
            Err(format!("Recipient count exceeds {MAX_RECIPIENTS}."))
        } else {
            Ok(self)
        }
    }
}

/// `MessageTag`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageTag {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl MessageTag {
    /// Name and value of 1 to 256 ASCII letters, digits, `_` and `-`. The words are ours: SES's are not documented.
    pub fn check(&self) -> Result<(), String> {
        let fits = |text: &str| {
            (1..=MAX_TAG).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        let Self { name, value } = self;
        for (what, text, allowed) in [
            ("name", name, fits(name) || SETTABLE_TAGS.contains(&name.as_str())),
            ("value", value, fits(value)),
        ] {
            if !allowed {
                return Err(format!(
                    "Invalid tag {what} <{text}>: only 1 to {MAX_TAG} alphanumeric ASCII characters, '_' and '-' are \
                     allowed."
                ));
            }
        }
        Ok(())
    }
}

/// `MessageHeader`: a header of the sender's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl MessageHeader {
    /// The limits of the model; `place` is the list's path in the model's words.
    pub fn check_all(headers: &[Self], place: &str) -> Result<(), String> {
        let violation = |path: &str, constraint: &str| {
            Err(format!(
                "1 validation error detected: Value at '{path}' failed to satisfy constraint: {constraint}"
            ))
        };
        if headers.len() > MAX_HEADERS {
            let constraint = format!("Member must have length less than or equal to {MAX_HEADERS}");
            return violation(place, &constraint);
        }
        for (index, Self { name, value }) in headers.iter().enumerate() {
            let path = |member: &str| format!("{place}.{}.member.{member}", index + 1);
            let named = name.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b':');
            if !(1..=126).contains(&name.len()) || !named {
                let constraint = "Member must have length between 1 and 126 and satisfy regular expression pattern: \
                                  ^[!-9;-@A-~]+$";
                return violation(&path("name"), constraint);
            }
            if !(1..=995).contains(&value.len()) || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                let constraint = "Member must have length between 1 and 995 and satisfy regular expression pattern: \
                                  [ -~]*";
                return violation(&path("value"), constraint);
            }
            if name.len() + value.len() > 996 {
                return Err("The name and value of a header must have at most 996 characters together.".to_owned());
            }
        }
        Ok(())
    }
}

/// An attachment of a message that is not raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub file_name: String,
    /// As given.
    pub content_type: Option<String>,
    /// What is attached, decoded.
    pub content: Vec<u8>,
}

/// Subject, bodies, headers and attachments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The subject.
    pub subject: String,
    /// The body as text.
    pub text: Option<String>,
    /// The body as HTML.
    pub html: Option<String>,
    /// Headers of the sender's own.
    pub headers: Vec<MessageHeader>,
    /// Attachments.
    pub attachments: Vec<Attachment>,
}

impl Parts {
    /// About how long the message becomes, attachments in base64.
    #[must_use]
    pub fn len(&self) -> usize {
        let Self {
            subject,
            text,
            html,
            headers,
            attachments,
        } = self;
        let body = |body: &Option<String>| body.as_ref().map_or(0, String::len);
        let headers: usize = headers
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum();
        let attachments: usize = attachments
            .iter()
            .map(|attachment| attachment.content.len().div_ceil(3) * 4)
            .sum();
        subject.len() + body(text) + body(html) + headers + attachments
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The content of an accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Given as parts.
    Simple(Parts),
    /// Given as a MIME message: the bytes as they came, with the `X-SES-` headers that SES takes out.
    Raw(Vec<u8>),
    /// Made of a template.
    Template {
        /// The template's name; an inline one has none.
        name: Option<String>,
        /// What became of it, or why nothing did.
        rendered: Result<Parts, String>,
    },
}

impl Content {
    /// Bytes of it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Simple(parts) => parts.len(),
            Self::Raw(bytes) => bytes.len(),
            Self::Template { rendered, .. } => rendered.as_ref().map_or(0, Parts::len),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn mailboxes(count: usize) -> Vec<Mailbox> {
        (0..count)
            .map(|number| Mailbox::parse(format!("r{number}@example.org")).unwrap())
            .collect()
    }

    #[test]
    fn a_message_has_one_to_fifty_recipients_over_to_cc_and_bcc() {
        let destination = |to, cc| Destination {
            to: mailboxes(to),
            cc: mailboxes(cc),
            bcc: Vec::new(),
        };
        assert!(destination(25, 25).checked().is_ok());
        assert_eq!(
            destination(25, 26).checked().unwrap_err(),
            "Recipient count exceeds 50."
        );
        assert_eq!(
            destination(0, 0).checked().unwrap_err(),
            "At least one destination address is required."
        );
    }

    #[test]
    fn a_tag_is_of_letters_digits_underscores_and_hyphens() {
        let check = |name: &str, value: &str| {
            MessageTag {
                name: name.to_owned(),
                value: value.to_owned(),
            }
            .check()
        };
        assert_eq!(check("team_1", "shop-2"), Ok(()));
        assert_eq!(check("ses:feedback-id-a", "x"), Ok(()));
        assert!(check("ses:other", "x").unwrap_err().contains("tag name <ses:other>"));
        assert!(check("team", "a b").unwrap_err().contains("tag value <a b>"));
        assert!(check("team", &"a".repeat(257)).is_err());
        assert!(check("", "x").is_err());
    }

    #[test]
    fn headers_keep_to_the_limits_of_the_model() {
        let header = |name: &str, value: &str| MessageHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let check = |headers: &[MessageHeader]| MessageHeader::check_all(headers, "content.simple.headers");
        assert_eq!(check(&vec![header("X-One", "1"); 15]), Ok(()));
        assert!(
            check(&vec![header("X-One", "1"); 16])
                .unwrap_err()
                .contains("'content.simple.headers'")
        );
        for (wrong, place) in [
            (header("", "1"), "1.member.name"),
            (header("X:One", "1"), "1.member.name"),
            (header(&"X".repeat(127), "1"), "1.member.name"),
            (header("X-One", ""), "1.member.value"),
            (header("X-One", "a\r\nBcc: b"), "1.member.value"),
            (header("X-One", &"a".repeat(996)), "1.member.value"),
        ] {
            let error = check(std::slice::from_ref(&wrong)).unwrap_err();
            assert!(error.contains(place), "{wrong:?}: {error}");
        }
        assert!(check(&[header("X-One", &"a".repeat(992))]).unwrap_err().contains("996"));
    }
}
