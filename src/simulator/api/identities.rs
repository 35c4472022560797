//! Identities.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Call, ListRequest, done};
use crate::simulator::state::shapes::{MxFailure, Tag};
use crate::simulator::state::{Account, Identity, IdentityFilter, Tags};
use crate::simulator::wire::write_json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    email_identity: String,
    #[serde(default)]
    tags: Vec<Tag>,
    configuration_set_name: Option<String>,
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Answer {
    let Create {
        email_identity,
        tags,
        configuration_set_name,
    } = call.body()?;
    let identity = account.create_identity(&email_identity, configuration_set_name, Tags::new(tags)?)?;
    write_json(&json!({
        "IdentityType": identity.wire_type(),
        "VerifiedForSendingStatus": identity.verified,
        "DkimAttributes": dkim(identity),
    }))
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    call.query(&[])?;
    let identity = account.identity(call.label(0))?;
    let mut found = json!({
        "IdentityType": identity.wire_type(),
        "FeedbackForwardingStatus": identity.feedback_forwarding,
        "VerifiedForSendingStatus": identity.verified,
        "DkimAttributes": dkim(identity),
        "Policies": {},
        "Tags": identity.tags.list(),
        "VerificationStatus": identity.wire_status(),
    });
    if let Some(mail_from) = &identity.mail_from {
        found["MailFromAttributes"] = json!({
            "MailFromDomain": mail_from.domain,
            "MailFromDomainStatus": if mail_from.verified { "SUCCESS" } else { "PENDING" },
            "BehaviorOnMxFailure": mail_from.on_mx_failure,
        });
    }
    if let Some(set) = &identity.configuration_set {
        found["ConfigurationSetName"] = json!(set);
    }
    write_json(&found)
}

/// Easy DKIM, whose state follows the identity's; an address has no keys of its own.
fn dkim(identity: &Identity) -> Value {
    let status = if identity.is_domain() {
        identity.wire_status()
    } else {
        "NOT_STARTED"
    };
    json!({"SigningEnabled": identity.dkim_signing, "Status": status, "SigningAttributesOrigin": "AWS_SES", "Tokens": []})
}

pub(super) fn list(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Info<'a> {
        identity_type: &'static str,
        identity_name: &'a str,
        sending_enabled: bool,
        verification_status: &'static str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        email_identities: Vec<Info<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    const FILTERS: [&str; 3] = ["IDENTITY_NAME_CONTAINS", "IDENTITY_TYPE", "VERIFICATION_STATUS"];
    let (page, mut filters) = call.body::<ListRequest>()?.split(&FILTERS)?;
    let filter = IdentityFilter {
        name_contains: filters.text("IDENTITY_NAME_CONTAINS").unwrap_or_default(),
        kind: filters.text("IDENTITY_TYPE"),
        status: filters.text("VERIFICATION_STATUS"),
    };
    let page = account.list_identities(&filter, &page)?;
    let info = page.entries.into_iter().map(|identity| Info {
        identity_type: identity.wire_type(),
        identity_name: &identity.name,
        sending_enabled: identity.verified,
        verification_status: identity.wire_status(),
    });
    write_json(&Listed {
        email_identities: info.collect(),
        next_token: page.next_token,
    })
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    call.query(&[])?;
    done(account.delete_identity(call.label(0)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSet {
    configuration_set_name: Option<String>,
}

pub(super) fn put_set(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutSet { configuration_set_name } = call.body()?;
    done(account.put_identity_set(call.label(0), configuration_set_name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutDkim {
    #[serde(default)]
    signing_enabled: bool,
}

pub(super) fn put_dkim(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutDkim { signing_enabled } = call.body()?;
    done(account.put_identity_dkim(call.label(0), signing_enabled))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutFeedback {
    #[serde(default)]
    email_forwarding_enabled: bool,
}

pub(super) fn put_feedback(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutFeedback {
        email_forwarding_enabled,
    } = call.body()?;
    done(account.put_identity_feedback(call.label(0), email_forwarding_enabled))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutMailFrom {
    mail_from_domain: Option<String>,
    behavior_on_mx_failure: Option<MxFailure>,
}

pub(super) fn put_mail_from(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutMailFrom {
        mail_from_domain,
        behavior_on_mx_failure,
    } = call.body()?;
    let on_mx_failure = behavior_on_mx_failure.unwrap_or(MxFailure::UseDefaultValue);
    done(account.put_identity_mail_from(call.label(0), mail_from_domain, on_mx_failure))
}
