//! What belongs to the account as a whole: quota, sandbox, enforcement, its switch and its suppression settings.

use serde::{Deserialize, Serialize};

use super::Account;
use super::shapes::{Reason, Validation};

/// What AWS thinks of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Enforcement {
    /// Nothing is wrong.
    Healthy,
    /// Under review; may send.
    Probation,
    /// Paused by AWS.
    Shutdown,
}

/// Quota and state of the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSettings {
    /// Outside the sandbox.
    pub production_access: bool,
    /// What AWS thinks of the account.
    pub enforcement: Enforcement,
    /// Recipients in any 24 hours; below 0, no limit.
    pub max_24_hour_send: f64,
    /// Recipients a second; below 0, no limit.
    pub max_send_rate: f64,
    /// Recipients of the last 24 hours besides those sent to the simulator, which are added to it. Does not shrink by itself.
    pub sent_last_24_hours: f64,
    /// The account-wide switch.
    pub sending_enabled: bool,
    /// What the account's suppression list is used for.
    pub suppression: AccountSuppression,
    /// Whether associating a resource twice is a success. Both answers have been seen from SES.
    pub associate_twice_succeeds: bool,
}

/// `SuppressionAttributes` of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSuppression {
    /// The reasons that count.
    pub reasons: Vec<Reason>,
    /// Auto Validation.
    pub validation: Option<Validation>,
}

impl AccountSettings {
    /// An account with production access and a quota as SES first gives it.
    #[must_use]
    pub fn production() -> Self {
        Self {
            production_access: true,
            max_24_hour_send: 50_000.0,
            max_send_rate: 14.0,
            ..Self::sandbox()
        }
    }

    /// An account in the sandbox: 200 recipients in 24 hours, one a second.
    #[must_use]
    pub fn sandbox() -> Self {
        Self {
            production_access: false,
            enforcement: Enforcement::Healthy,
            max_24_hour_send: 200.0,
            max_send_rate: 1.0,
            sent_last_24_hours: 0.0,
            sending_enabled: true,
            // On for both reasons in every account that started after 2019-11-25.
            suppression: AccountSuppression {
                reasons: vec![Reason::Bounce, Reason::Complaint],
                validation: None,
            },
            associate_twice_succeeds: false,
        }
    }
}

impl Account {
    /// `PutAccountSuppressionAttributes`. What SES does with a group left out is not documented: here it is cleared,
    /// so that a client that does not write both is found out.
    pub fn put_account_suppression(&mut self, reasons: Option<Vec<Reason>>, validation: Option<Validation>) {
        self.settings.suppression = AccountSuppression {
            reasons: reasons.unwrap_or_default(),
            validation,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::fixture::account;
    use super::*;

    #[test]
    fn a_group_left_out_of_the_account_suppression_attributes_is_cleared() {
        let mut account = account();
        assert_eq!(
            account.settings.suppression.reasons,
            [Reason::Bounce, Reason::Complaint]
        );
        account.put_account_suppression(None, None);
        assert_eq!(
            account.settings.suppression,
            AccountSuppression {
                reasons: vec![],
                validation: None
            }
        );
    }
}
