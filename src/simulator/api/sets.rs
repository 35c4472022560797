//! Configuration sets and their options.

use serde::{Deserialize, Serialize};

use super::{Answer, Call, ListRequest, done};
use crate::simulator::state::shapes::{
    ArchivingOptions, DeliveryOptions, HttpsPolicy, MessageSecurityOptions, ReputationOptions, SendingOptions,
    SuppressionOptions, Tag, TrackingOptions, VdmOptions,
};
use crate::simulator::state::{Account, OptionBlock, SetOptions, Tags};
use crate::simulator::wire::{ApiError, write_json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    configuration_set_name: String,
    tracking_options: Option<TrackingOptions>,
    delivery_options: Option<DeliveryOptions>,
    reputation_options: Option<ReputationOptions>,
    sending_options: Option<SendingOptions>,
    suppression_options: Option<SuppressionOptions>,
    vdm_options: Option<VdmOptions>,
    archiving_options: Option<ArchivingOptions>,
    message_security_options: Option<MessageSecurityOptions>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Answer {
    let request: Create = call.body()?;
    let options = SetOptions {
        tracking_options: request.tracking_options,
        delivery_options: request.delivery_options,
        reputation_options: request.reputation_options,
        sending_options: request.sending_options,
        suppression_options: request.suppression_options,
        vdm_options: request.vdm_options,
        archiving_options: request.archiving_options,
        message_security_options: request.message_security_options,
    };
    done(account.create_set(&request.configuration_set_name, options, Tags::new(request.tags)?))
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        configuration_set_name: &'a str,
        #[serde(flatten)]
        options: &'a SetOptions,
        tags: Vec<Tag>,
    }
    call.query(&[])?;
    let name = call.label(0);
    let set = account.set(name)?;
    write_json(&Found {
        configuration_set_name: name,
        options: &set.options,
        tags: set.tags.list(),
    })
}

pub(super) fn list(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        configuration_sets: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    const CONTAINS: &str = "CONFIGURATION_SET_NAME_CONTAINS";
    let (page, mut filters) = call.body::<ListRequest>()?.split(&[CONTAINS])?;
    let page = account.list_sets(filters.text(CONTAINS).as_deref(), &page)?;
    write_json(&Listed {
        configuration_sets: page.entries,
        next_token: page.next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    configuration_set_name: String,
    message_security_options: Option<MessageSecurityOptions>,
}

pub(super) fn update(account: &mut Account, call: &Call<'_>) -> Answer {
    let Update {
        configuration_set_name,
        message_security_options,
    } = call.body()?;
    done(account.put_options(
        &configuration_set_name,
        OptionBlock::MessageSecurity(message_security_options),
    ))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    call.query(&[])?;
    done(account.delete_set(call.label(0)))
}

pub(super) fn put_archiving(account: &mut Account, call: &Call<'_>) -> Answer {
    done(account.put_options(call.label(0), OptionBlock::Archiving(call.body()?)))
}

pub(super) fn put_delivery(account: &mut Account, call: &Call<'_>) -> Answer {
    done(account.put_options(call.label(0), OptionBlock::Delivery(call.body()?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutReputation {
    #[serde(default)]
    reputation_metrics_enabled: bool,
}

pub(super) fn put_reputation(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutReputation {
        reputation_metrics_enabled,
    } = call.body()?;
    done(account.put_options(call.label(0), OptionBlock::Reputation(reputation_metrics_enabled)))
}

pub(super) fn put_sending(account: &mut Account, call: &Call<'_>) -> Answer {
    done(account.put_options(call.label(0), OptionBlock::Sending(call.body()?)))
}

pub(super) fn put_suppression(account: &mut Account, call: &Call<'_>) -> Answer {
    done(account.put_options(call.label(0), OptionBlock::Suppression(call.body()?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutTracking {
    custom_redirect_domain: Option<String>,
    https_policy: Option<HttpsPolicy>,
}

pub(super) fn put_tracking(account: &mut Account, call: &Call<'_>) -> Answer {
    let tracking = match call.body()? {
        PutTracking {
            custom_redirect_domain: Some(custom_redirect_domain),
            https_policy,
        } => Some(TrackingOptions {
            custom_redirect_domain,
            https_policy,
        }),
        PutTracking {
            custom_redirect_domain: None,
            https_policy: Some(_),
        } => {
            return Err(ApiError::bad_request("HttpsPolicy needs a CustomRedirectDomain."));
        }
        PutTracking {
            custom_redirect_domain: None,
            https_policy: None,
        } => None,
    };
    done(account.put_options(call.label(0), OptionBlock::Tracking(tracking)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutVdm {
    vdm_options: Option<VdmOptions>,
}

pub(super) fn put_vdm(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutVdm { vdm_options } = call.body()?;
    done(account.put_options(call.label(0), OptionBlock::Vdm(vdm_options)))
}
