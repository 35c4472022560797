//! What SES answers, and what that means for the message.

use serde::Deserialize;
use thiserror::Error;

use crate::{api::address::redact, api::condition::bounded};

/// The longest text of SES that is handed on.
const TEXT_MAX: usize = 300;

/// What became of a message that SES did not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Too many a second.
    Throttled,
    /// The account's quota of 24 hours is used up.
    QuotaReached,
    /// The account, the configuration set or the tenant does not send now.
    Paused,
    /// The account is suspended.
    Suspended,
    /// SES does not take the message.
    Rejected,
    /// The sender is no verified identity.
    NotVerified,
    /// The credentials are refused.
    Credentials,
    /// The configuration set or identity is not associated with the tenant.
    NotAssociated,
    /// The configuration set, tenant or template does not exist.
    NotFound,
    /// Larger than SES takes.
    TooLarge,
    /// The request is wrong.
    Invalid,
    /// SES fails; it may have accepted the message.
    Failing,
    /// SES was not reached: it cannot have accepted the message.
    Unreached,
    /// No answer came: whether SES accepted the message is not known.
    Unknown,
}

/// Why a message was not accepted, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}: {message}")]
pub struct SesError {
    /// What it means.
    pub kind: Kind,
    /// SES's name of it.
    pub name: String,
    /// SES's words, or what happened on the way; without addresses, bounded.
    pub message: String,
}

impl SesError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>, message: &str) -> Self {
        Self {
            kind,
            name: name.into(),
            message: bounded(redact(message), TEXT_MAX),
        }
    }
}

impl Kind {
    /// Whether the same message may be accepted later without a change of the message.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Throttled
            | Self::QuotaReached
            | Self::Paused
            | Self::Suspended
            | Self::Credentials
            | Self::NotAssociated
            | Self::NotFound
            | Self::Failing
            | Self::Unreached
            | Self::Unknown => true,
            Self::Rejected | Self::NotVerified | Self::TooLarge | Self::Invalid => false,
        }
    }

    /// Whether it is certain that nothing was sent.
    #[must_use]
    pub fn is_unsent(self) -> bool {
        !matches!(self, Self::Failing | Self::Unknown)
    }

    /// The kind in a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::QuotaReached => "QuotaReached",
            Self::Paused => "SendingPaused",
            Self::Suspended => "AccountSuspended",
            Self::Rejected => "Rejected",
            Self::NotVerified => "NotVerified",
            Self::Credentials => "Credentials",
            Self::NotAssociated => "NotAssociated",
            Self::NotFound => "NotFound",
            Self::TooLarge => "TooLarge",
            Self::Invalid => "Invalid",
            Self::Failing => "Failing",
            Self::Unreached => "Unreached",
            Self::Unknown => "Unknown",
        }
    }
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(rename = "MessageId")]
    message_id: String,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// Reads an answer: the message's id, or why there is none.
///
/// # Errors
/// Whatever is not a success with an id.
pub fn read(status: u16, error_type: Option<&str>, body: &[u8]) -> Result<String, SesError> {
    if status == 200 {
        return serde_json::from_slice(body)
            .map(|Accepted { message_id }| message_id)
            .map_err(|_| SesError::new(Kind::Unknown, "NoMessageId", "SES answered 200 without a message id"));
    }
    // Whatever stands in the way may answer with something else than JSON: then its status must do.
    let Refused { message, kind } = serde_json::from_slice(body).unwrap_or_default();
    let message = message.unwrap_or_default();
    let name = error_type.map(str::to_owned).or(kind).unwrap_or_default();
    // Either may carry a namespace before `#` or a documentation address after `:`.
    let name = name.split(':').next().unwrap_or_default();
    let name = name.rsplit('#').next().unwrap_or_default();
    Err(SesError::new(classify(status, name, &message), name, &message))
}

fn classify(status: u16, name: &str, message: &str) -> Kind {
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    match name {
        // Whatever its name: both quotas have been answered with either.
        _ if says("daily message quota") || says("daily sending quota") => Kind::QuotaReached,
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" => Kind::Throttled,
        "LimitExceededException" => Kind::QuotaReached,
        "SendingPausedException" => Kind::Paused,
        "AccountSuspendedException" => Kind::Suspended,
        "MailFromDomainNotVerifiedException" => Kind::NotVerified,
        "MessageRejected" if says("not verified") => Kind::NotVerified,
        "MessageRejected" if says("sending paused") => Kind::Paused,
        "MessageRejected" => Kind::Rejected,
        // Looks like a failure of IAM and is not.
        "AccessDeniedException" if says("tenant not associated") => Kind::NotAssociated,
        "NotFoundException" => Kind::NotFound,
        "BadRequestException" if says("too long") || says("message length") || says("size") => Kind::TooLarge,
        "RequestEntityTooLargeException" => Kind::TooLarge,
        "BadRequestException" | "ValidationException" => Kind::Invalid,
        _ => match status {
            401 | 403 => Kind::Credentials,
            413 => Kind::TooLarge,
            429 => Kind::Throttled,
            503 => Kind::Unreached,
            500..=599 => Kind::Failing,
            _ => Kind::Invalid,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, name: &str, message: &str) -> Kind {
        let body = serde_json::json!({ "message": message }).to_string();
        read(status, Some(name), body.as_bytes()).unwrap_err().kind
    }

    #[test]
    fn an_id_is_a_success_and_nothing_else() {
        assert_eq!(read(200, None, br#"{"MessageId":"0101"}"#), Ok("0101".to_owned()));
        assert_eq!(read(200, None, b"<html>").unwrap_err().kind, Kind::Unknown);
    }

    #[test]
    fn rate_and_daily_quota_are_told_apart_by_their_words() {
        let rate = "Maximum sending rate exceeded.";
        assert_eq!(kind(429, "TooManyRequestsException", rate), Kind::Throttled);
        assert_eq!(kind(400, "ThrottlingException", rate), Kind::Throttled);
        for name in [
            "TooManyRequestsException",
            "ThrottlingException",
            "LimitExceededException",
        ] {
            assert_eq!(
                kind(429, name, "Daily message quota exceeded."),
                Kind::QuotaReached,
                "{name}"
            );
        }
    }

    #[test]
    fn what_a_person_must_mend_is_told_apart() {
        assert_eq!(
            kind(400, "MessageRejected", "Email address is not verified."),
            Kind::NotVerified
        );
        assert_eq!(kind(400, "MessageRejected", "virus"), Kind::Rejected);
        assert_eq!(
            kind(
                403,
                "AccessDeniedException",
                "Tenant not associated with resources [x]."
            ),
            Kind::NotAssociated
        );
        assert_eq!(
            kind(403, "AccessDeniedException", "not authorized to perform"),
            Kind::Credentials
        );
        assert_eq!(kind(403, "ExpiredTokenException", ""), Kind::Credentials);
        assert_eq!(kind(400, "SendingPausedException", "Sending is paused"), Kind::Paused);
        assert_eq!(kind(413, "", ""), Kind::TooLarge);
    }

    #[test]
    fn only_what_certainly_was_not_sent_is_unsent() {
        assert!(!kind(500, "InternalServiceErrorException", "").is_unsent());
        assert!(!Kind::Unknown.is_unsent() && Kind::Unknown.is_temporary());
        assert!(kind(503, "ServiceUnavailable", "").is_unsent());
    }

    #[test]
    fn a_name_may_come_with_a_namespace_or_a_document() {
        let error = read(
            400,
            None,
            br#"{"__type":"com.amazonaws.ses#MessageRejected","Message":"no a@example.com"}"#,
        );
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "MessageRejected: no ***@example.com");
        assert_eq!(
            kind(429, "TooManyRequestsException:http://internal.amazon.com/", ""),
            Kind::Throttled
        );
    }
}
