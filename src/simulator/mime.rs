//! The header block of a MIME message, as far as SES reads it when it takes one.

use super::state::{AddressError, Mailbox, MessageTag};

/// Octets of a line with its line break (model text of `RawMessage`).
const MAX_LINE: usize = 1000;
/// Headers of which a message has at most one (RFC 5322, 3.6).
const ONCE: [&str; 10] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "Subject",
    "Date",
    "MIME-Version",
];

/// Why a message is refused. The texts are SES's where the variant says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MimeError {
    /// A line is longer than SMTP carries. Ours.
    #[error("The message has a line of more than {MAX_LINE} octets, line break included.")]
    LongLine,
    /// A line of the header block is no header. Ours.
    #[error("The message's header block has a line that is no header.")]
    NoHeader,
    /// A header without a name. SES's.
    #[error("Empty header names are illegal.")]
    NoName,
    /// A header that may stand once stands twice. SES's.
    #[error("Duplicate header '{0}'.")]
    Duplicate(&'static str),
    /// From, or any recipient, is missing. SES's.
    #[error("Missing required header '{0}'.")]
    Missing(&'static str),
    /// An address cannot be read. SES's.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// A message's headers in order.
#[derive(Debug)]
pub(super) struct Headers<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Headers<'a> {
    /// Reads the header block, and looks at the length of every line of the whole message.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, MimeError> {
        if message
            .split_inclusive(|byte| *byte == b'\n')
            .any(|line| line.len() > MAX_LINE)
        {
            return Err(MimeError::LongLine);
        }
        let mut headers = Vec::new();
        let mut start = 0;
        while start < message.len() {
            let end = end_of_header(message, start);
            let header = trim_line_end(&message[start..end]);
            if header.is_empty() {
                break;
            }
            let colon = header
                .iter()
                .position(|byte| *byte == b':')
                .ok_or(MimeError::NoHeader)?;
            let name = header[..colon].trim_ascii_end();
            if name.is_empty() {
                return Err(MimeError::NoName);
            }
            if !name.iter().all(u8::is_ascii_graphic) {
                return Err(MimeError::NoHeader);
            }
            headers.push((name, &header[colon + 1..]));
            start = end;
        }
        let headers = Self(headers);
        match ONCE.into_iter().find(|name| headers.all(name).nth(1).is_some()) {
            Some(name) => Err(MimeError::Duplicate(name)),
            None => Ok(headers),
        }
    }

    /// The first value of this name, unfolded; the case of names does not matter.
    pub(super) fn first(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| unfolded(value))
    }

    /// The addresses of a header; none where it is not there.
    pub(super) fn addresses(&self, name: &str) -> Result<Vec<Mailbox>, MimeError> {
        Ok(self
            .first(name)
            .map_or_else(|| Ok(Vec::new()), |value| Mailbox::parse_list(&value))?)
    }

    /// The From header's addresses, of which there is at least one.
    pub(super) fn from(&self) -> Result<Vec<Mailbox>, MimeError> {
        let from = self.addresses("From")?;
        if from.is_empty() {
            Err(MimeError::Missing("From"))
        } else {
            Ok(from)
        }
    }

    /// The tags of `X-SES-MESSAGE-TAGS`: `name=value, name2=value2`.
    pub(super) fn message_tags(&self) -> Vec<MessageTag> {
        let value = self.first("X-SES-MESSAGE-TAGS").unwrap_or_default();
        value
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.split_once('=').unwrap_or((tag, "")))
            .map(|(name, value)| MessageTag {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
            })
            .collect()
    }
}

/// Where the header that begins at `start` ends: after the last line that goes on with a space or a tab.
fn end_of_header(message: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        let line = message[end..].iter().position(|byte| *byte == b'\n');
        let first = end == start;
        end = line.map_or(message.len(), |line| end + line + 1);
        let empty = first && trim_line_end(&message[start..end]).is_empty();
        if empty || !matches!(message.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Line breaks out, what surrounds the value off; bytes that are not UTF-8 become a mark.
fn unfolded(value: &[u8]) -> String {
    let kept: Vec<u8> = value
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    String::from_utf8_lossy(&kept).trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn addresses(message: &str, name: &str) -> Vec<String> {
        let headers = Headers::read(message.as_bytes()).unwrap();
        let found = headers.addresses(name).unwrap();
        found.into_iter().map(|mailbox| mailbox.address).collect()
    }

    #[test]
    fn headers_are_found_folded_and_in_any_case_and_end_at_the_empty_line() {
        for end in ["\r\n", "\n"] {
            let message =
                "FROM: a@example.com\nTo: b@example.com,\n\tc@example.com\n\nCc: d@example.com\n".replace('\n', end);
            assert_eq!(addresses(&message, "from"), ["a@example.com"]);
            assert_eq!(addresses(&message, "To"), ["b@example.com", "c@example.com"]);
            assert!(addresses(&message, "Cc").is_empty());
        }
    }

    #[test]
    fn a_message_without_a_body_is_its_headers() {
        assert_eq!(addresses("To: b@example.com", "To"), ["b@example.com"]);
        assert!(Headers::read(b"").unwrap().first("To").is_none());
    }

    #[test]
    fn each_mistake_is_named() {
        let error = |message: &str| Headers::read(message.as_bytes()).unwrap_err();
        let line = "a".repeat(999);
        assert_eq!(error(&format!("To: a@example.com\n\n{line}\r\n")), MimeError::LongLine);
        assert!(Headers::read(format!("To: a@example.com\n\n{line}\n").as_bytes()).is_ok());
        assert_eq!(error("From a@example.com\n\n"), MimeError::NoHeader);
        assert_eq!(error(" To: a@example.com\n\n"), MimeError::NoHeader);
        assert_eq!(error(": x\n\n"), MimeError::NoName);
        assert_eq!(error("To: a@b.c\nto: d@e.f\n\n"), MimeError::Duplicate("To"));
        let headers = Headers::read(b"To: a@example.com\n\n").unwrap();
        assert_eq!(headers.from().unwrap_err(), MimeError::Missing("From"));
        let headers = Headers::read(b"From: nobody\n\n").unwrap();
        assert_eq!(headers.from().unwrap_err(), MimeError::Address(AddressError::NoDomain));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_given_is_read_or_refused(message in "[A-C:@, \t\r\nü]{0,60}") {
            if let Ok(headers) = Headers::read(message.as_bytes()) {
                proptest::prop_assert!(headers.0.iter().all(|(name, _)| !name.is_empty()));
            }
        }
    }

    #[test]
    fn tags_are_read_from_their_header() {
        let headers = Headers::read(b"X-SES-MESSAGE-TAGS: team=shop, kind=order,\r\n\r\n").unwrap();
        let tags: Vec<_> = headers
            .message_tags()
            .into_iter()
            .map(|tag| (tag.name, tag.value))
            .collect();
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tags, [tag("team", "shop"), tag("kind", "order")]);
    }
}
