//! Suppression lists.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, done};
use crate::simulator::state::shapes::Reason;
use crate::simulator::state::{Account, PageRequest, SuppressionFilter, parse_reason};
use crate::simulator::wire::{ApiError, Pairs, write_json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    email_address: String,
    reason: String,
    tenant_name: Option<String>,
}

pub(super) fn put(account: &mut Account, call: &Call<'_>, now: Timestamp) -> Answer {
    let Put {
        email_address,
        reason,
        tenant_name,
    } = call.body()?;
    done(account.put_suppressed(tenant_name.as_deref(), &email_address, &reason, now))
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attributes<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        feedback_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Destination<'a> {
        email_address: &'a str,
        reason: Reason,
        last_update_time: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        attributes: Option<Attributes<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant_name: Option<&'a str>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        suppressed_destination: Destination<'a>,
    }
    let tenant_name = tenant(call)?;
    let (email_address, entry) = account.suppressed(tenant_name, call.label(0))?;
    // Only an entry that SES made names the message that caused it.
    let attributes = entry.message_id.as_deref().map(|message_id| Attributes {
        message_id: Some(message_id),
        feedback_id: entry.feedback_id.as_deref(),
    });
    write_json(&Found {
        suppressed_destination: Destination {
            email_address,
            reason: entry.reason,
            last_update_time: entry.updated.as_second(),
            attributes,
            tenant_name,
        },
    })
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    done(account.delete_suppressed(tenant(call)?, call.label(0)))
}

pub(super) fn list(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Summary<'a> {
        email_address: &'a str,
        reason: Reason,
        last_update_time: i64,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        suppressed_destination_summaries: Vec<Summary<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    let query = call.query(&["TenantName", "Reason", "StartDate", "EndDate", "NextToken", "PageSize"])?;
    let filter = SuppressionFilter {
        reasons: query.all("Reason").map(parse_reason).collect::<Result<_, _>>()?,
        start: parameter(query, "StartDate")?,
        end: parameter(query, "EndDate")?,
    };
    let page = PageRequest {
        next_token: query.first("NextToken").map(str::to_owned),
        page_size: parameter(query, "PageSize")?,
    };
    let page = account.list_suppressed(query.first("TenantName"), &filter, &page)?;
    let summary = page.entries.iter().map(|&(email_address, entry)| Summary {
        email_address,
        reason: entry.reason,
        last_update_time: entry.updated.as_second(),
    });
    write_json(&Listed {
        suppressed_destination_summaries: summary.collect(),
        next_token: page.next_token,
    })
}

fn tenant<'a>(call: &'a Call<'_>) -> Result<Option<&'a str>, ApiError> {
    Ok(call.query(&["TenantName"])?.first("TenantName"))
}

fn parameter<T: std::str::FromStr>(query: &Pairs, key: &str) -> Result<Option<T>, ApiError> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| ApiError::bad_request(format!("{key} {text} cannot be read.")))
    };
    query.first(key).map(parse).transpose()
}
