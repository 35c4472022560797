//! The wire formats: error names and shapes, JSON bodies read strictly, query strings.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The largest request body read; the largest document of the control plane is far below.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The largest body read of an operation that sends: a message of 40 MB in base64, and what is around it.
pub const MAX_SEND_BYTES: usize = 60 * 1024 * 1024;

/// Error names with the status SES answers them with (model, and the common errors of the Developer Guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Not allowed by IAM, or by the tenant's associations.
    AccessDenied,
    /// Version 1: the account's own switch is off.
    AccountSendingPaused,
    /// AWS paused the account.
    AccountSuspended,
    /// The name is taken.
    AlreadyExists,
    /// Validation.
    BadRequest,
    /// Version 1: there is no such configuration set.
    ConfigurationSetDoesNotExist,
    /// Version 1: the configuration set's sending is off.
    ConfigurationSetSendingPaused,
    /// The session's time is over.
    ExpiredToken,
    /// SES failed.
    InternalServiceError,
    /// STS: the access key is unknown.
    InvalidClientTokenId,
    /// A listing's token of other filters, or no token at all.
    InvalidNextToken,
    /// Version 1: validation.
    InvalidParameterValue,
    /// The credential scope names another region or service.
    InvalidSignature,
    /// A resource quota is reached.
    LimitExceeded,
    /// The identity's MAIL FROM domain is not verified.
    MailFromDomainNotVerified,
    /// The content, or an address that is not verified.
    MessageRejected,
    /// The request carries no usable `Authorization`.
    MissingAuthenticationToken,
    /// The object does not exist.
    NotFound,
    /// The body is larger than the operation's limit.
    RequestEntityTooLarge,
    /// Sending is off: the account's, the configuration set's or the tenant's.
    SendingPaused,
    /// SES is not there for the moment.
    ServiceUnavailable,
    /// STS: the credential scope names another region or service.
    SignatureDoesNotMatch,
    /// Version 1: a rate or a quota is exceeded.
    Throttling,
    /// The rate of control calls, or a limit on sending, is exceeded.
    TooManyRequests,
    /// No operation has this method and path.
    UnknownOperation,
    /// The access key is unknown, or its session token is not the one given with it.
    UnrecognizedClient,
    /// STS: a parameter is missing or malformed.
    ValidationError,
}

impl Code {
    /// The name in `x-amzn-ErrorType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::AccountSendingPaused => "AccountSendingPausedException",
            Self::AccountSuspended => "AccountSuspendedException",
            Self::AlreadyExists => "AlreadyExistsException",
            Self::BadRequest => "BadRequestException",
            Self::ConfigurationSetDoesNotExist => "ConfigurationSetDoesNotExist",
            Self::ConfigurationSetSendingPaused => "ConfigurationSetSendingPausedException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::InternalServiceError => "InternalServiceErrorException",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::InvalidNextToken => "InvalidNextTokenException",
            Self::InvalidParameterValue => "InvalidParameterValue",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MailFromDomainNotVerified => "MailFromDomainNotVerifiedException",
            Self::MessageRejected => "MessageRejected",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::NotFound => "NotFoundException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::SendingPaused => "SendingPausedException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::Throttling => "Throttling",
            Self::TooManyRequests => "TooManyRequestsException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The name in the query protocol, which writes most without their suffix.
    #[must_use]
    pub fn query_name(self) -> &'static str {
        match self {
            // Version 1 of SES has it in these (model).
            Self::AccountSendingPaused | Self::ConfigurationSetSendingPaused | Self::MailFromDomainNotVerified => {
                self.name()
            }
            _ => self.name().trim_end_matches("Exception"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::AccountSendingPaused
            | Self::AccountSuspended
            | Self::AlreadyExists
            | Self::BadRequest
            | Self::ConfigurationSetDoesNotExist
            | Self::ConfigurationSetSendingPaused
            | Self::InvalidNextToken
            | Self::InvalidParameterValue
            | Self::LimitExceeded
            | Self::MailFromDomainNotVerified
            | Self::MessageRejected
            | Self::SendingPaused
            | Self::Throttling
            | Self::ValidationError => 400,
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::InvalidClientTokenId
            | Self::InvalidSignature
            | Self::MissingAuthenticationToken
            | Self::SignatureDoesNotMatch
            | Self::UnrecognizedClient => 403,
            Self::NotFound | Self::UnknownOperation => 404,
            Self::RequestEntityTooLarge => 413,
            Self::TooManyRequests => 429,
            Self::InternalServiceError => 500,
            Self::ServiceUnavailable => 503,
        }
    }
}

/// A refused call: what SES would answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct ApiError {
    /// Name and status.
    pub code: Code,
    /// The text a client sees.
    pub message: String,
}

impl ApiError {
    /// An error of this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A `BadRequestException`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// A `NotFoundException`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// An `AlreadyExistsException`.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// A `LimitExceededException`.
    pub fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(Code::LimitExceeded, message)
    }

    /// The JSON body. `AccessDenied` spells its member with a capital M, as IAM's front end does.
    #[must_use]
    pub fn json_body(&self) -> Vec<u8> {
        let member = if self.code == Code::AccessDenied {
            "Message"
        } else {
            "message"
        };
        // SES answers some refusals without any text, as `null`.
        let message = (!self.message.is_empty()).then_some(&self.message);
        serde_json::json!({ member: message }).to_string().into_bytes()
    }
}

/// How request bodies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownMembers {
    /// A member that the operation does not have is refused, by name. Finds a client's mistakes.
    Refused,
    /// As real SES does.
    Ignored,
}

/// Reads a JSON body; an empty one counts as `{}`, as restJson1 clients send it for operations without members.
pub fn read_json<'a, T: Deserialize<'a>>(body: &'a [u8], unknown_members: UnknownMembers) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut unknown = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_ignored::deserialize(&mut deserializer, |path| {
        // serde_ignored writes an optional member as `Inner.?`.
        unknown.push(path.to_string().replace("?.", ""));
    })
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|error| ApiError::bad_request(format!("The request body cannot be read: {error}.")))?;
    match (unknown_members, unknown.first()) {
        (UnknownMembers::Refused, Some(member)) => {
            Err(ApiError::bad_request(format!("The operation has no member {member}.")))
        }
        _ => Ok(value),
    }
}

/// Writes an answer's body.
pub fn write_json<T: Serialize>(answer: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(answer).map_err(|error| {
        ApiError::new(
            Code::InternalServiceError,
            format!("The simulator cannot write its answer: {error}."),
        )
    })
}

/// Decoded pairs of a query string or a form body, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Splits at `&` and `=`, with `+` as a space.
    #[must_use]
    pub fn parse(encoded: &str) -> Self {
        let decode = |part: &str| {
            // A long value, as a message's base64, is copied once only.
            let spaced = if part.contains('+') {
                Cow::Owned(part.replace('+', " "))
            } else {
                Cow::Borrowed(part)
            };
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        Self(
            encoded
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    /// The first value of the key.
    #[must_use]
    pub fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Every value of the key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(candidate, _)| candidate == key)
            .map(|(_, value)| value.as_str())
    }

    /// The values of a list in the query protocol, `<list>.member.1` and on, by their numbers.
    #[must_use]
    pub fn members(&self, list: &str) -> Vec<&str> {
        let number = |key: &str| key.strip_prefix(list)?.strip_prefix(".member.")?.parse::<u32>().ok();
        let mut found: Vec<(u32, &str)> = self
            .0
            .iter()
            .filter_map(|(key, value)| Some((number(key)?, value.as_str())))
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Every key, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The first key that is not among those the operation has.
    #[must_use]
    pub fn first_unknown(&self, known: &[&str]) -> Option<&str> {
        self.keys().find(|key| !known.contains(key))
    }
}

/// A short, stable digest of the parts, for identifiers and tokens. No secret depends on it.
#[must_use]
pub fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Unpadded base64url of the bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes of unpadded base64url.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Outer {
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inner {
        known: u8,
    }

    #[test]
    fn an_unknown_member_is_refused_with_its_path() {
        let body = br#"{"Inner":{"Known":1,"Knwon":2}}"#;
        let error = read_json::<Outer>(body, UnknownMembers::Refused).unwrap_err();
        assert_eq!(error, ApiError::bad_request("The operation has no member Inner.Knwon."));
    }

    #[test]
    fn an_unknown_member_is_ignored_where_the_setting_says_so() {
        let outer: Outer = read_json(br#"{"Inner":{"Known":1},"Other":[]}"#, UnknownMembers::Ignored).unwrap();
        assert_eq!(outer.inner.unwrap().known, 1);
    }

    #[test]
    fn an_empty_body_is_an_empty_object_and_trailing_text_is_refused() {
        assert!(
            read_json::<Outer>(b"", UnknownMembers::Refused)
                .unwrap()
                .inner
                .is_none()
        );
        assert_eq!(
            read_json::<Outer>(b"{} x", UnknownMembers::Refused).unwrap_err().code,
            Code::BadRequest
        );
    }

    #[test]
    fn access_denied_spells_its_message_with_a_capital() {
        let body = |code| String::from_utf8(ApiError::new(code, "no").json_body()).unwrap();
        assert_eq!(body(Code::AccessDenied), r#"{"Message":"no"}"#);
        assert_eq!(body(Code::NotFound), r#"{"message":"no"}"#);
    }

    #[test]
    fn repeated_keys_and_encoded_values_are_read() {
        let pairs = Pairs::parse("Reason=BOUNCE&Reason=COMPLAINT&StartDate=2026-11-24T00%3A00%3A00Z&a+b=%2B");
        assert_eq!(pairs.all("Reason").collect::<Vec<_>>(), ["BOUNCE", "COMPLAINT"]);
        assert_eq!(pairs.first("StartDate"), Some("2026-11-24T00:00:00Z"));
        assert_eq!(pairs.first("a b"), Some("+"));
        assert_eq!(pairs.first_unknown(&["Reason", "StartDate"]), Some("a b"));
    }
}
