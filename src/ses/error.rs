//! What can go wrong with a request to SES, and what to do about it.

use std::fmt;

use crate::api::address::redact;

/// The longest text of SES's that is kept: enough for every message it is known to send.
const MAX_DETAIL: usize = 400;

/// A request that failed. Its texts hold no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {kind}{}", .detail.suffix())]
pub struct SesError {
    /// SES's operation, one of a fixed list.
    pub operation: &'static str,
    /// What went wrong.
    pub kind: ErrorKind,
    /// What SES or the connection said, without addresses.
    pub detail: Detail,
}

/// A text of SES's with every address in it hidden, and cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail(String);

impl Detail {
    /// Hides addresses and cuts.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(redact(text).chars().take(MAX_DETAIL).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn suffix(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.0)
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Too many requests; the circuit of the budget opens.
    Throttled,
    /// IAM refuses the operation to our role.
    AccessDenied,
    /// The resource does not belong to the tenant. SES says this with the 403 of an IAM failure, which it is not.
    TenantNotAssociated,
    /// What the request names does not exist.
    NotFound,
    /// What the request would create exists.
    AlreadyExists,
    /// A quota of the account is reached. The SDK would repeat such a request; repeating does not help.
    LimitExceeded,
    /// A resource cannot be deleted because it belongs to a tenant.
    HasTenantAssociations,
    /// SES refuses the request's content.
    BadRequest,
    /// Another change is under way (409).
    Conflict,
    /// Another change came in between (500).
    ConcurrentModification,
    /// The token of a listing is no longer good: the listing starts again.
    InvalidNextToken,
    /// SES failed.
    Internal,
    /// Sending of the account or of the set is paused.
    SendingPaused,
    /// AWS suspended the account.
    AccountSuspended,
    /// There are no credentials, or they are not accepted.
    Credentials,
    /// No connection: the endpoint, the region or the network.
    Unreachable,
    /// No answer in time; whether the request was carried out is unknown.
    TimedOut,
    /// The connection was cut after the request; whether it was carried out is unknown.
    AnswerLost,
    /// An answer that we cannot read.
    Unintelligible,
    /// An error that we do not know.
    Unknown,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again when the budget's circuit has closed.
    AfterThrottling,
    /// Read again and try again, waiting longer each time.
    Backoff,
    /// Trying again does not help: a person must mend something.
    UserMustMend,
}

impl ErrorKind {
    /// Every kind, for metrics that must exist before they happen.
    pub const ALL: [Self; 20] = [
        Self::Throttled,
        Self::AccessDenied,
        Self::TenantNotAssociated,
        Self::NotFound,
        Self::AlreadyExists,
        Self::LimitExceeded,
        Self::HasTenantAssociations,
        Self::BadRequest,
        Self::Conflict,
        Self::ConcurrentModification,
        Self::InvalidNextToken,
        Self::Internal,
        Self::SendingPaused,
        Self::AccountSuspended,
        Self::Credentials,
        Self::Unreachable,
        Self::TimedOut,
        Self::AnswerLost,
        Self::Unintelligible,
        Self::Unknown,
    ];

    /// A fixed CamelCase word, for metrics and the reason of a condition.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::AccessDenied => "AccessDenied",
            Self::TenantNotAssociated => "TenantNotAssociated",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::LimitExceeded => "LimitExceeded",
            Self::HasTenantAssociations => "HasTenantAssociations",
            Self::BadRequest => "BadRequest",
            Self::Conflict => "Conflict",
            Self::ConcurrentModification => "ConcurrentModification",
            Self::InvalidNextToken => "InvalidNextToken",
            Self::Internal => "Internal",
            Self::SendingPaused => "SendingPaused",
            Self::AccountSuspended => "AccountSuspended",
            Self::Credentials => "Credentials",
            Self::Unreachable => "Unreachable",
            Self::TimedOut => "TimedOut",
            Self::AnswerLost => "AnswerLost",
            Self::Unintelligible => "Unintelligible",
            Self::Unknown => "Unknown",
        }
    }

    /// What to do after it.
    #[must_use]
    pub fn retry(self) -> Retry {
        match self {
            Self::Throttled => Retry::AfterThrottling,
            Self::TenantNotAssociated
            | Self::NotFound
            | Self::AlreadyExists
            | Self::HasTenantAssociations
            | Self::Conflict
            | Self::ConcurrentModification
            | Self::InvalidNextToken
            | Self::Internal
            | Self::Unreachable
            | Self::TimedOut
            | Self::AnswerLost
            | Self::Unknown => Retry::Backoff,
            Self::AccessDenied
            | Self::LimitExceeded
            | Self::BadRequest
            | Self::SendingPaused
            | Self::AccountSuspended
            | Self::Credentials
            | Self::Unintelligible => Retry::UserMustMend,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttled => "SES throttles this account's requests; they are repeated later",
            Self::AccessDenied => "IAM refuses this operation: allow it to the account's control role",
            Self::TenantNotAssociated => "the resource does not belong to the tenant; it is associated again",
            Self::NotFound => "what the request names does not exist in SES",
            Self::AlreadyExists => "what the request would create exists in SES",
            Self::LimitExceeded => "a quota of the AWS account is reached: remove what is unused or have it raised",
            Self::HasTenantAssociations => "the resource still belongs to a tenant",
            Self::BadRequest => "SES refuses the request: correct the policy",
            Self::Conflict => "another change is under way in SES",
            Self::ConcurrentModification => "another change came in between in SES",
            Self::InvalidNextToken => "the listing changed while it was read; it starts again",
            Self::Internal => "SES failed",
            Self::SendingPaused => "sending is paused in SES: mend the cause there",
            Self::AccountSuspended => "AWS suspended the account: answer the case in AWS Support",
            Self::Credentials => {
                "no accepted AWS credentials: check the operator's pod identity, the control role and its external id"
            }
            Self::Unreachable => "SES cannot be reached: check the region, the endpoint and the network",
            Self::TimedOut => "SES did not answer in time; what became of the request is read next",
            Self::AnswerLost => "the connection was cut; what became of the request is read next",
            Self::Unintelligible => "SES's answer cannot be read: this operator may be too old for it",
            Self::Unknown => "SES answered with an error that this operator does not know",
        })
    }
}

impl SesError {
    /// Builds an error, hiding addresses in the text.
    #[must_use]
    pub fn new(operation: &'static str, kind: ErrorKind, detail: &str) -> Self {
        Self {
            operation,
            kind,
            detail: Detail::new(detail),
        }
    }

    /// A fixed word for metrics and conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.kind.reason()
    }

    /// What to do after it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.kind.retry()
    }
}

/// Tells what an error of SES's means by its name, its HTTP status and, where names lie, its text.
#[must_use]
pub fn classify(name: Option<&str>, status: u16, message: &str) -> ErrorKind {
    let says = |text: &str| message.contains(text);
    match name.unwrap_or_default() {
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" | "RequestLimitExceeded" => {
            ErrorKind::Throttled
        }
        "AccessDeniedException" | "AccessDenied" if says("Tenant not associated with resources") => {
            ErrorKind::TenantNotAssociated
        }
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => ErrorKind::AccessDenied,
        "NotFoundException" => ErrorKind::NotFound,
        "AlreadyExistsException" => ErrorKind::AlreadyExists,
        "LimitExceededException" => ErrorKind::LimitExceeded,
        "BadRequestException" if says("has tenant associations") => ErrorKind::HasTenantAssociations,
        "BadRequestException" | "ValidationException" | "ValidationError" => ErrorKind::BadRequest,
        "ConflictException" => ErrorKind::Conflict,
        "ConcurrentModificationException" => ErrorKind::ConcurrentModification,
        "InvalidNextTokenException" => ErrorKind::InvalidNextToken,
        "InternalServiceErrorException"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Internal,
        "SendingPausedException" => ErrorKind::SendingPaused,
        "AccountSuspendedException" => ErrorKind::AccountSuspended,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired" => ErrorKind::Credentials,
        // A gateway in between answers without SES's names.
        _ => match status {
            429 => ErrorKind::Throttled,
            401 | 403 => ErrorKind::AccessDenied,
            500..=599 => ErrorKind::Internal,
            _ => ErrorKind::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_reason_of_its_own() {
        let reasons: BTreeSet<_> = ErrorKind::ALL.into_iter().map(ErrorKind::reason).collect();
        assert_eq!(reasons.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_403_about_a_tenant_is_not_an_iam_failure() {
        let name = Some("AccessDeniedException");
        assert_eq!(
            classify(name, 403, "Tenant not associated with resources [a, b]."),
            ErrorKind::TenantNotAssociated
        );
        assert_eq!(classify(name, 403, "User is not authorized"), ErrorKind::AccessDenied);
    }

    #[test]
    fn a_reached_quota_is_not_tried_again() {
        assert_eq!(
            classify(Some("LimitExceededException"), 400, "").retry(),
            Retry::UserMustMend
        );
    }

    #[test]
    fn a_concurrent_modification_is_tried_again_although_its_status_is_500() {
        let kind = classify(Some("ConcurrentModificationException"), 500, "");
        assert_eq!(
            (kind, kind.retry()),
            (ErrorKind::ConcurrentModification, Retry::Backoff)
        );
    }

    #[test]
    fn both_names_of_throttling_are_known_and_so_is_its_status() {
        for (name, status) in [
            (Some("TooManyRequestsException"), 429),
            (Some("ThrottlingException"), 400),
            (None, 429),
        ] {
            assert_eq!(classify(name, status, "").retry(), Retry::AfterThrottling);
        }
    }

    #[test]
    fn an_error_shows_no_address() {
        let text = "Email address jo@example.com does not exist on your suppression list.";
        let error = SesError::new("DeleteSuppressedDestination", ErrorKind::NotFound, text);
        assert!(error.to_string().contains("***@example.com"), "{error}");
        assert!(!format!("{error} {error:?}").contains("jo@"), "{error:?}");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(Detail::new(&"x".repeat(10_000)).as_str().len(), MAX_DETAIL);
    }
}
