//! What surrounds a message in a request of either version, and the messages made of it.

use super::mime::{Headers, MimeError};
use super::state::{
    AddressError, Destination, Mailbox, MessageHeader, MessageTag, Parts, SendError, Submission, Submitted, Templated,
};

/// Who sends to whom, and by which set and tenant; as it was written.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) from: Option<String>,
    pub(super) destination: Destination<String>,
    pub(super) reply_to: Vec<String>,
    /// Where bounces go; the account must own it as it must own the sender.
    pub(super) bounces: Option<String>,
    pub(super) set: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) tags: Vec<MessageTag>,
    /// Bytes a message may have in this version.
    pub(super) max_message: usize,
}

impl From<AddressError> for SendError {
    fn from(error: AddressError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<MimeError> for SendError {
    fn from(error: MimeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Envelope {
    /// The configuration set named, for the call log.
    pub(super) fn target(&self) -> String {
        self.set.clone().unwrap_or_default()
    }

    /// A message of parts. Version 2 answers a missing sender without any text.
    pub(super) fn simple(self, parts: Parts) -> Result<Submission, SendError> {
        MessageHeader::check_all(&parts.headers, "content.simple.headers").map_err(SendError::Invalid)?;
        self.check_length(parts.len())?;
        self.submission("", Submitted::Simple(parts))
    }

    /// A message by a template.
    pub(super) fn templated(self, templated: Templated) -> Result<Submission, SendError> {
        MessageHeader::check_all(&templated.headers, "content.template.headers").map_err(SendError::Invalid)?;
        self.submission("Source cannot be empty", Submitted::Template(templated))
    }

    fn submission(self, without_sender: &str, content: Submitted) -> Result<Submission, SendError> {
        let Self {
            from,
            destination,
            reply_to,
            bounces,
            set,
            tenant,
            tags,
            max_message: _,
        } = self;
        let from = given(from).ok_or_else(|| SendError::Invalid(without_sender.to_owned()))?;
        let from = Mailbox::parse(from)?;
        let claimed = claimed(bounces, reply_to)?;
        let destination = destination.try_map(Mailbox::parse)?;
        Ok(Submission {
            from,
            claimed,
            destination: destination.checked().map_err(SendError::Invalid)?,
            set: given(set),
            tenant: given(tenant),
            tags: checked(tags)?,
            content,
        })
    }

    /// A MIME message. Its headers say what the request does not; where both do, the request counts.
    pub(super) fn raw(self, message: Vec<u8>) -> Result<Submission, SendError> {
        self.check_length(message.len())?;
        let Self {
            from,
            destination,
            reply_to,
            bounces,
            set,
            tenant,
            tags,
            max_message: _,
        } = self;
        let headers = Headers::read(&message)?;
        let header_from = headers.from()?;
        let mut claimed = claimed(bounces, reply_to)?;
        let sender = match given(from) {
            Some(from) => Mailbox::parse(from)?,
            None => header_from.first().cloned().ok_or(MimeError::Missing("From"))?,
        };
        claimed.extend(header_from.into_iter().filter(|mailbox| *mailbox != sender));
        let destination = if destination.is_empty() {
            let of_headers = Destination {
                to: headers.addresses("To")?,
                cc: headers.addresses("Cc")?,
                bcc: headers.addresses("Bcc")?,
            };
            if of_headers.is_empty() {
                return Err(MimeError::Missing("To").into());
            }
            of_headers
        } else {
            destination.try_map(Mailbox::parse)?
        };
        let tags = if tags.is_empty() { headers.message_tags() } else { tags };
        Ok(Submission {
            from: sender,
            claimed,
            destination: destination.checked().map_err(SendError::Invalid)?,
            set: given(set).or_else(|| given(headers.first("X-SES-CONFIGURATION-SET"))),
            tenant: given(tenant).or_else(|| given(headers.first("X-SES-TENANT"))),
            tags: checked(tags)?,
            content: Submitted::Raw(message),
        })
    }

    fn check_length(&self, bytes: usize) -> Result<(), SendError> {
        let limit = self.max_message;
        if bytes > limit {
            let text = format!("Message length is more than {limit} bytes long: '{bytes}'.");
            return Err(SendError::Invalid(text));
        }
        Ok(())
    }
}

/// What is left where an empty value counts as none.
pub(super) fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

/// The identities claimed besides the sender. Reply-To is only read: anybody's address may stand there.
fn claimed(bounces: Option<String>, reply_to: Vec<String>) -> Result<Vec<Mailbox>, AddressError> {
    for address in reply_to {
        Mailbox::parse(address)?;
    }
    given(bounces).map(Mailbox::parse).into_iter().collect()
}

fn checked(tags: Vec<MessageTag>) -> Result<Vec<MessageTag>, SendError> {
    tags.iter()
        .try_for_each(MessageTag::check)
        .map_err(SendError::Invalid)?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const MESSAGE: &str = "From: Shop <shop@example.com>\r\nTo: a@example.org\r\nCc: b@example.org\r\n\
                           Bcc: c@example.org\r\nX-SES-CONFIGURATION-SET: header\r\nX-SES-TENANT: shop\r\n\
                           X-SES-MESSAGE-TAGS: from=header\r\n\r\nHi.\r\n";

    fn envelope() -> Envelope {
        Envelope {
            max_message: 1000,
            ..Envelope::default()
        }
    }

    fn raw(envelope: Envelope, message: &str) -> Result<Submission, SendError> {
        envelope.raw(message.as_bytes().to_vec())
    }

    fn addresses(mailboxes: &[Mailbox]) -> Vec<&str> {
        mailboxes.iter().map(|mailbox| mailbox.address.as_str()).collect()
    }

    fn refusal(result: Result<Submission, SendError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_raw_message_s_headers_say_what_the_request_does_not() {
        let submission = raw(envelope(), MESSAGE).unwrap();
        assert_eq!(submission.from.address, "shop@example.com");
        assert_eq!(addresses(&submission.destination.to), ["a@example.org"]);
        assert_eq!(addresses(&submission.destination.cc), ["b@example.org"]);
        assert_eq!(addresses(&submission.destination.bcc), ["c@example.org"]);
        assert_eq!(
            (submission.set.as_deref(), submission.tenant.as_deref()),
            (Some("header"), Some("shop"))
        );
        assert_eq!(submission.tags.len(), 1);
    }

    #[test]
    fn what_the_request_says_counts_before_a_raw_message_s_headers() {
        let envelope = Envelope {
            from: Some("news@example.com".to_owned()),
            destination: Destination {
                to: vec!["d@example.org".to_owned()],
                ..Destination::default()
            },
            set: Some("team".to_owned()),
            tenant: Some("other".to_owned()),
            tags: vec![MessageTag {
                name: "from".to_owned(),
                value: "request".to_owned(),
            }],
            ..envelope()
        };
        let submission = raw(envelope, MESSAGE).unwrap();
        assert_eq!(submission.from.address, "news@example.com");
        assert_eq!(
            addresses(&submission.claimed),
            ["shop@example.com"],
            "must be verified too"
        );
        let all: Vec<_> = submission
            .destination
            .iter()
            .map(|mailbox| mailbox.address.as_str())
            .collect();
        assert_eq!(all, ["d@example.org"]);
        assert_eq!(
            (submission.set.as_deref(), submission.tenant.as_deref()),
            (Some("team"), Some("other"))
        );
        assert_eq!(submission.tags[0].value, "request");
    }

    #[test]
    fn a_raw_message_without_from_or_recipients_is_refused() {
        assert_eq!(
            refusal(raw(envelope(), "To: a@example.org\n\n")),
            "Missing required header 'From'."
        );
        assert_eq!(
            refusal(raw(envelope(), "From: a@example.com\n\n")),
            "Missing required header 'To'."
        );
    }

    #[test]
    fn a_message_above_the_version_s_limit_is_refused_with_both_lengths() {
        let long = format!("{MESSAGE}{}", "x\r\n".repeat(1000));
        let expected = format!("Message length is more than 1000 bytes long: '{}'.", long.len());
        assert_eq!(refusal(raw(envelope(), &long)), expected);
        let parts = Parts {
            subject: "s".repeat(1001),
            ..Parts::default()
        };
        assert!(refusal(envelope().simple(parts)).contains("'1001'"));
    }

    #[test]
    fn every_address_is_read_and_a_sender_is_needed() {
        let with = |change: &dyn Fn(&mut Envelope)| {
            let mut envelope = Envelope {
                from: Some("a@example.com".to_owned()),
                destination: Destination {
                    to: vec!["a@example.org".to_owned()],
                    ..Destination::default()
                },
                ..envelope()
            };
            change(&mut envelope);
            envelope.simple(Parts::default())
        };
        assert!(with(&|_| ()).is_ok());
        assert_eq!(refusal(with(&|envelope| envelope.from = None)), "");
        let missing = "Missing final '@domain'";
        assert_eq!(refusal(with(&|envelope| envelope.from = Some("a".to_owned()))), missing);
        assert_eq!(
            refusal(with(&|envelope| envelope.reply_to = vec!["a".to_owned()])),
            missing
        );
        assert_eq!(
            refusal(with(&|envelope| envelope.bounces = Some("a".to_owned()))),
            missing
        );
        assert_eq!(
            refusal(with(&|envelope| envelope.destination.bcc = vec!["a".to_owned()])),
            missing
        );
        let nobody = refusal(with(&|envelope| envelope.destination.to.clear()));
        assert_eq!(nobody, "At least one destination address is required.");
    }
}
