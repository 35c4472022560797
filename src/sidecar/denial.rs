//! Why a message was not taken, and how it is said: by SMTP, and as SES says it.

use thiserror::Error;

use super::{
    capture::{MailpitError, TooLarge},
    content::HeaderError,
    message::MessageError,
    relay::{Kind, SesError},
};
use crate::policy::gate::{Reason, Refusal};

/// Who waits longer than this for a ceiling gets no error that an SDK tries again by itself within seconds.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Denial {
    /// By policy.
    #[error("{0}")]
    Policy(Refusal),
    /// The message cannot be judged.
    #[error("{0}")]
    Message(#[from] MessageError),
    /// A header of a message's parts cannot be sent.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// Nobody would get it.
    #[error("the message is for nobody: name at least one recipient")]
    NoRecipients,
    /// A request that asks for what the policy decides, or what cannot be read.
    #[error("{0}")]
    Request(String),
    /// Line ends that are not CRLF.
    #[error("the message has lines that do not end in CRLF: mend the client, or set the sidecar's line endings to Fix")]
    LineEndings,
    /// SES did not accept it.
    #[error("SES did not accept the message: {0}")]
    Ses(#[from] SesError),
    /// SES accepted it for some only. Sent again as it is, it goes to the others.
    #[error("SES accepted the message for {accepted} of {of} recipients; send it again for the others: {error}")]
    Partly {
        /// How many.
        accepted: usize,
        /// Of how many.
        of: usize,
        /// Why not for the next.
        error: SesError,
    },
    /// It does not fit the capture store.
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    /// Mailpit did not take it.
    #[error("{0}")]
    Mailpit(#[from] MailpitError),
    /// The request cannot be written.
    #[error("the message cannot be written as a request to SES: {0}")]
    Unwritable(String),
    /// All memory for messages is taken.
    #[error("the sidecar holds as many octets of messages as it may: try again")]
    Busy,
    /// The sidecar ends.
    #[error("the sidecar is shutting down")]
    Ending,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(refusal)
    }
}

/// How SES would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SesAnswer {
    /// HTTP status.
    pub status: u16,
    /// The exception's name.
    pub name: &'static str,
    /// Status of an entry of `SendBulkEmail`.
    pub entry: &'static str,
}

impl Denial {
    /// A name for metrics and logs, of a fixed list.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Policy(refusal) => refusal.reason.name(),
            Self::Message(_) | Self::Header(_) => "Message",
            Self::NoRecipients => "NoRecipients",
            Self::Request(_) => "Request",
            Self::LineEndings => "LineEndings",
            Self::Ses(error) | Self::Partly { error, .. } => error.kind.name(),
            Self::TooLarge(_) => "CaptureTooLarge",
            Self::Mailpit(_) => "Mailpit",
            Self::Unwritable(_) => "Unwritable",
            Self::Busy => "Busy",
            Self::Ending => "Ending",
        }
    }

    /// The SMTP reply's code and enhanced status code.
    #[must_use]
    pub fn smtp(&self) -> (u16, (u8, u8, u8)) {
        match self {
            Self::Policy(refusal) => match &refusal.reason {
                Reason::NoConfig(_)
                | Reason::NoSuppressions
                | Reason::NoAllotment
                | Reason::NoPolicy
                | Reason::Closed(_)
                | Reason::Paused
                | Reason::NotKept => (451, (4, 3, 2)),
                Reason::Ceiling(..) => (451, (4, 7, 1)),
                Reason::Sender | Reason::NotAllowed | Reason::TooManyRecipients(_) => (550, (5, 7, 1)),
                Reason::Suppressed(_) => (550, (5, 1, 1)),
            },
            Self::Message(_) | Self::Header(_) | Self::Request(_) | Self::LineEndings => (554, (5, 6, 0)),
            Self::NoRecipients => (554, (5, 5, 1)),
            Self::Ses(error) => ses_reply(error.kind),
            Self::TooLarge(_) => (552, (5, 3, 4)),
            Self::Mailpit(error) if error.is_permanent => (554, (5, 3, 0)),
            Self::Partly { .. } | Self::Mailpit(_) | Self::Unwritable(_) => (451, (4, 3, 0)),
            Self::Busy => (452, (4, 3, 1)),
            Self::Ending => (421, (4, 3, 2)),
        }
    }

    /// How SES would say it. An SDK tries again what is a 429 or a 5xx: only what a second attempt within seconds can mend.
    #[must_use]
    pub fn ses(&self) -> SesAnswer {
        let answer = |status, name, entry| SesAnswer { status, name, entry };
        let unavailable = answer(503, "ServiceUnavailable", "TRANSIENT_FAILURE");
        let rejected = answer(400, "MessageRejected", "MESSAGE_REJECTED");
        match self {
            Self::Policy(refusal) => match &refusal.reason {
                Reason::NoConfig(_) | Reason::NoSuppressions | Reason::NoAllotment | Reason::NotKept => unavailable,
                Reason::NoPolicy | Reason::Closed(_) | Reason::Paused => {
                    answer(400, "SendingPausedException", "ACCOUNT_SENDING_PAUSED")
                }
                Reason::Ceiling(_, wait) if *wait <= SOON => {
                    answer(429, "TooManyRequestsException", "ACCOUNT_THROTTLED")
                }
                Reason::Ceiling(..) => answer(400, "LimitExceededException", "ACCOUNT_DAILY_QUOTA_EXCEEDED"),
                Reason::Sender | Reason::NotAllowed | Reason::Suppressed(_) | Reason::TooManyRecipients(_) => rejected,
            },
            Self::Message(_) | Self::Header(_) | Self::NoRecipients | Self::Request(_) | Self::LineEndings => {
                answer(400, "BadRequestException", "INVALID_PARAMETER")
            }
            Self::Ses(error) | Self::Partly { error, .. } => ses_answer(error.kind),
            Self::TooLarge(_) => answer(400, "BadRequestException", "INVALID_PARAMETER"),
            Self::Mailpit(error) if error.is_permanent => rejected,
            Self::Mailpit(_) | Self::Unwritable(_) | Self::Busy | Self::Ending => unavailable,
        }
    }
}

fn ses_reply(kind: Kind) -> (u16, (u8, u8, u8)) {
    match kind {
        Kind::Throttled => (454, (4, 7, 0)),
        Kind::QuotaReached => (454, (4, 7, 1)),
        Kind::Paused
        | Kind::Suspended
        | Kind::Credentials
        | Kind::NotAssociated
        | Kind::NotFound
        | Kind::Failing
        | Kind::Unreached
        | Kind::Unknown => (451, (4, 3, 0)),
        Kind::Rejected | Kind::Invalid => (554, (5, 6, 0)),
        Kind::NotVerified => (553, (5, 7, 1)),
        Kind::TooLarge => (552, (5, 3, 4)),
    }
}

fn ses_answer(kind: Kind) -> SesAnswer {
    let answer = |status, name, entry| SesAnswer { status, name, entry };
    match kind {
        Kind::Throttled => answer(429, "TooManyRequestsException", "ACCOUNT_THROTTLED"),
        Kind::QuotaReached => answer(400, "LimitExceededException", "ACCOUNT_DAILY_QUOTA_EXCEEDED"),
        Kind::Paused => answer(400, "SendingPausedException", "ACCOUNT_SENDING_PAUSED"),
        Kind::Suspended => answer(400, "AccountSuspendedException", "ACCOUNT_SUSPENDED"),
        Kind::Rejected => answer(400, "MessageRejected", "MESSAGE_REJECTED"),
        Kind::NotVerified => answer(400, "MessageRejected", "MAIL_FROM_DOMAIN_NOT_VERIFIED"),
        Kind::NotFound => answer(404, "NotFoundException", "TEMPLATE_NOT_FOUND"),
        Kind::TooLarge | Kind::Invalid => answer(400, "BadRequestException", "INVALID_PARAMETER"),
        // Of the sidecar's credentials the application knows nothing: to it SES is not there.
        Kind::Credentials | Kind::NotAssociated | Kind::Unreached => {
            answer(503, "ServiceUnavailable", "TRANSIENT_FAILURE")
        }
        Kind::Failing | Kind::Unknown => answer(500, "InternalServiceErrorException", "FAILED"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::gate::Rule;

    fn policy(reason: Reason) -> Denial {
        Refusal::new(reason, Rule::default()).into()
    }

    #[test]
    fn what_policy_forbids_for_good_is_never_tried_again_and_what_waits_is() {
        let per = |text: &str| text.parse().unwrap();
        for reason in [
            Reason::NoConfig("x".to_owned()),
            Reason::NoSuppressions,
            Reason::NoAllotment,
            Reason::NoPolicy,
            Reason::Closed("x".to_owned()),
            Reason::Paused,
            Reason::Sender,
            Reason::NotAllowed,
            Reason::TooManyRecipients(per("5/h")),
            Reason::Ceiling(per("5/s"), Duration::from_secs(1)),
            Reason::Ceiling(per("5/d"), Duration::from_hours(1)),
            Reason::NotKept,
        ] {
            let refusal = Refusal::new(reason, Rule::default());
            let is_temporary = refusal.is_temporary();
            let (code, enhanced) = Denial::from(refusal.clone()).smtp();
            assert_eq!(code / 100 == 4, is_temporary, "{refusal:?}");
            assert_eq!(u16::from(enhanced.0), code / 100);
            let retried = matches!(Denial::from(refusal.clone()).ses().status, 429 | 500..=599);
            assert!(is_temporary || !retried, "{refusal:?}");
        }
    }

    #[test]
    fn a_ceiling_is_a_throttle_only_where_waiting_seconds_helps() {
        let wait = |seconds| policy(Reason::Ceiling("5/d".parse().unwrap(), Duration::from_secs(seconds)));
        assert_eq!(wait(1).ses().name, "TooManyRequestsException");
        assert_eq!(wait(3_600).ses().name, "LimitExceededException");
    }

    #[test]
    fn rate_and_quota_of_ses_are_told_apart_and_an_unknown_outcome_is_no_success() {
        let ses = |kind| Denial::from(SesError::new(kind, "x", "y"));
        assert_eq!(ses(Kind::Throttled).smtp(), (454, (4, 7, 0)));
        assert_eq!(ses(Kind::QuotaReached).smtp(), (454, (4, 7, 1)));
        assert_eq!(
            (ses(Kind::Unknown).smtp().0, ses(Kind::Unknown).ses().status),
            (451, 500)
        );
    }
}
