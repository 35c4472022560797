//! What can go wrong with a reconciliation, and when to try again.

use std::time::Duration;

use thiserror::Error;

use crate::{
    policy::{
        allotment::{LedgerError, WireError},
        config::ConfigError,
    },
    ses::{
        apply::ApplyError,
        error::{Retry, SesError},
    },
};

/// The first wait after a failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after failures that pass by themselves.
const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// The wait where only a person can mend it: the mend itself comes as a change and is seen at once.
const USER_WAIT: Duration = Duration::from_mins(5);

/// What went wrong.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused or did not answer.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    /// SES refused or did not answer.
    #[error("SES: {0}")]
    Ses(#[from] SesError),
    /// A plan ended early.
    #[error("SES: {0}")]
    Apply(#[from] ApplyError),
    /// The record of what was put on SES's lists cannot be read.
    #[error(
        "Secret mail-suppression-record holds what this operator did not write: restore the key of this \
         MailSuppression, or delete the key to leave on SES's lists what stands there"
    )]
    RecordUnreadable,
    /// The records of the namespace's MailSuppressions would not fit their Secret.
    #[error(
        "the entries of this namespace on SES's lists are more than Secret mail-suppression-record can record: list \
         fewer, or in the sidecar's scope alone"
    )]
    RecordFull,
    /// Who else wants an entry is not known.
    #[error(
        "the record of another MailSuppression that may want the same entries cannot be read: they stay on SES's lists \
         until its own condition RecordUnreadable is mended"
    )]
    OthersUnreadable,
    /// The sidecar's configuration cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The ledger of the namespace's ceilings cannot be read or stored.
    #[error("ConfigMap mail-ledger-<namespace> in the operator's namespace: {0}; nobody is given more of the ceilings")]
    Ledger(#[from] LedgerError),
    /// An allotment cannot be written.
    #[error("an allotment: {0}")]
    Allotment(#[from] WireError),
    /// A reconciliation broke off: a mistake in the operator.
    #[error("a reconciliation broke off: {0}; report it with the log")]
    Ended(tokio::task::JoinError),
}

impl Error {
    /// A fixed word for metrics, conditions and Events.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kube(kube::Error::Api(status)) if status.code == 409 => "KubernetesConflict",
            Self::Kube(kube::Error::Api(status)) if status.code == 403 => "KubernetesForbidden",
            Self::Kube(_) => "Kubernetes",
            Self::Ses(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::RecordUnreadable => "RecordUnreadable",
            Self::RecordFull => "RecordFull",
            Self::OthersUnreadable => "OthersUnreadable",
            Self::Config(_) => "ConfigUnpublishable",
            Self::Ledger(_) => "LedgerUnusable",
            Self::Allotment(_) => "AllotmentUnwritable",
            Self::Ended(_) => "BrokenOff",
        }
    }

    /// Whether trying again helps.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Kube(_) | Self::Ended(_) | Self::Ledger(_) | Self::Allotment(_) => Retry::Backoff,
            Self::Ses(error) => error.retry(),
            Self::Apply(error) => error.retry(),
            Self::Config(_) | Self::RecordUnreadable | Self::RecordFull | Self::OthersUnreadable => Retry::UserMustMend,
        }
    }

    /// How long to wait after this many failures in a row; `chance` in 0..1 spreads the waits.
    #[must_use]
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        let grown = FIRST_WAIT
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(LONGEST_WAIT);
        let wait = match self.retry() {
            // The circuit breaker of the budget holds requests back; this only brings the object to its queue.
            Retry::AfterThrottling => FIRST_WAIT,
            Retry::Backoff => grown,
            Retry::UserMustMend => grown.max(USER_WAIT),
        };
        wait.mul_f64(0.75 + chance * 0.5)
    }
}

/// Whether the namespace is going away, so that nothing can be created in it and nothing needs to be.
#[must_use]
pub fn is_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("being terminated"))
}

/// Whether the object was made immutable, so that only making it anew changes it.
#[must_use]
pub fn is_immutable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422 && status.message.contains("immutable"))
}

/// Whether the object was changed meanwhile: it comes again as it is now.
#[must_use]
pub fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Kube(kube::Error::Api(status)) if status.code == 409)
}

/// "Not found" is an answer.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ses::error::ErrorKind;

    fn ses(kind: ErrorKind) -> Error {
        Error::Ses(SesError::new("GetAccount", kind, ""))
    }

    #[test]
    fn waits_grow_to_a_bound_and_are_spread() {
        let error = ses(ErrorKind::Internal);
        assert_eq!(
            [1, 2, 3, 99].map(|failures| error.wait(failures, 0.5).as_secs()),
            [1, 2, 4, 120]
        );
        assert!(error.wait(5, 0.0) < error.wait(5, 1.0));
    }

    #[test]
    fn throttling_does_not_lengthen_the_wait_and_a_persons_mend_is_waited_for_longer() {
        assert_eq!(ses(ErrorKind::Throttled).wait(9, 0.5), FIRST_WAIT);
        assert_eq!(ses(ErrorKind::AccessDenied).wait(1, 0.5), USER_WAIT);
        assert_eq!(Error::Config(ConfigError::TooLarge(1)).wait(1, 0.5), USER_WAIT);
    }

    #[tokio::test]
    async fn a_reconciliation_that_broke_off_is_tried_again() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let error = Error::Ended(task.await.unwrap_err());
        assert_eq!((error.reason(), error.retry()), ("BrokenOff", Retry::Backoff));
    }

    #[test]
    fn each_error_has_its_word() {
        assert_eq!(ses(ErrorKind::Throttled).reason(), "Throttled");
        assert_eq!(Error::Config(ConfigError::TooLarge(1)).reason(), "ConfigUnpublishable");
        let api = |code| {
            Error::Kube(kube::Error::Api(Box::new(kube::core::Status {
                code,
                ..kube::core::Status::default()
            })))
        };
        assert_eq!(
            [409, 403, 500].map(|code| api(code).reason()),
            ["KubernetesConflict", "KubernetesForbidden", "Kubernetes"]
        );
    }
}
