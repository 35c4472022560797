//! `GetAccount` and the account's own settings.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Call, done};
use crate::simulator::state::Account;
use crate::simulator::state::shapes::{Reason, SendingOptions, Validation};
use crate::simulator::wire::write_json;

pub(super) fn get(account: &Account, call: &Call<'_>, now: Timestamp) -> Answer {
    call.query(&[])?;
    let settings = &account.settings;
    let mut suppression = json!({"SuppressedReasons": settings.suppression.reasons});
    if let Some(validation) = &settings.suppression.validation {
        suppression["ValidationAttributes"] = json!(validation);
    }
    write_json(&json!({
        "DedicatedIpAutoWarmupEnabled": true,
        "EnforcementStatus": settings.enforcement,
        "ProductionAccessEnabled": settings.production_access,
        "SendQuota": {
            "Max24HourSend": settings.max_24_hour_send,
            "MaxSendRate": settings.max_send_rate,
            "SentLast24Hours": account.usage.sent_last_24_hours(settings, now),
        },
        "SendingEnabled": settings.sending_enabled,
        "SuppressionAttributes": suppression,
    }))
}

pub(super) fn put_sending(account: &mut Account, call: &Call<'_>) -> Answer {
    // The same shape as a set's, and the same reading of an absent field.
    let SendingOptions { sending_enabled } = call.body()?;
    account.settings.sending_enabled = sending_enabled;
    done(Ok(()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSuppression {
    suppressed_reasons: Option<Vec<Reason>>,
    validation_attributes: Option<Validation>,
}

pub(super) fn put_suppression(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutSuppression {
        suppressed_reasons,
        validation_attributes,
    } = call.body()?;
    account.put_account_suppression(suppressed_reasons, validation_attributes);
    done(Ok(()))
}
