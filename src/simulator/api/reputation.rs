//! Reputation entities and recommendations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, ListRequest, done};
use crate::simulator::state::shapes::{Impact, SendingStatus};
use crate::simulator::state::{
    Account, EntityFilter, Recommendation, RecommendationFilter, ReputationEntity, StatusRecord,
};
use crate::simulator::wire::{ApiError, write_json};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    status: SendingStatus,
    cause: &'a str,
    last_updated_timestamp: i64,
}

impl<'a> From<&'a StatusRecord> for Record<'a> {
    fn from(record: &'a StatusRecord) -> Self {
        Self {
            status: record.status,
            cause: &record.cause,
            last_updated_timestamp: record.updated.as_second(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entity<'a> {
    reputation_entity_reference: &'a str,
    reputation_entity_type: &'static str,
    reputation_management_policy: String,
    customer_managed_status: Record<'a>,
    aws_ses_managed_status: Record<'a>,
    sending_status_aggregate: SendingStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reputation_impact: Option<Impact>,
}

impl<'a> Entity<'a> {
    fn of(ReputationEntity(tenant): ReputationEntity<'a>, region: &str) -> Self {
        Self {
            reputation_entity_reference: &tenant.arn,
            reputation_entity_type: "RESOURCE",
            reputation_management_policy: tenant.policy.arn(region),
            customer_managed_status: (&tenant.customer_status).into(),
            aws_ses_managed_status: (&tenant.aws_status).into(),
            sending_status_aggregate: tenant.sending_status(),
            reputation_impact: tenant.impact,
        }
    }
}

/// The entity's reference, after its type was checked.
fn reference<'a>(call: &'a Call<'_>) -> Result<&'a str, ApiError> {
    match call.label(0) {
        "RESOURCE" => Ok(call.label(1)),
        other => Err(ApiError::bad_request(format!(
            "ReputationEntityType {other} is invalid, must be RESOURCE."
        ))),
    }
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        reputation_entity: Entity<'a>,
    }
    call.query(&[])?;
    let entity = account.reputation_entity(reference(call)?)?;
    write_json(&Found {
        reputation_entity: Entity::of(entity, &account.owner.region),
    })
}

pub(super) fn list(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        reputation_entities: Vec<Entity<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    const FILTERS: [&str; 4] = [
        "ENTITY_TYPE",
        "REPUTATION_IMPACT",
        "SENDING_STATUS",
        "ENTITY_REFERENCE_PREFIX",
    ];
    let (page, mut filters) = call.body::<ListRequest>()?.split(&FILTERS)?;
    match filters.text("ENTITY_TYPE").as_deref() {
        None | Some("RESOURCE") => {}
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "ENTITY_TYPE {other} is invalid, must be RESOURCE."
            )));
        }
    }
    let filter = EntityFilter {
        reference_prefix: filters.text("ENTITY_REFERENCE_PREFIX").unwrap_or_default(),
        status: filters.word("SENDING_STATUS")?,
        impact: filters.word("REPUTATION_IMPACT")?,
    };
    let page = account.list_reputation_entities(&filter, &page)?;
    let entities = page
        .entries
        .into_iter()
        .map(|entity| Entity::of(entity, &account.owner.region));
    write_json(&Listed {
        reputation_entities: entities.collect(),
        next_token: page.next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutStatus {
    sending_status: SendingStatus,
}

pub(super) fn put_customer_status(account: &mut Account, call: &Call<'_>, now: Timestamp) -> Answer {
    let PutStatus { sending_status } = call.body()?;
    done(account.put_customer_status(reference(call)?, sending_status, now))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutPolicy {
    reputation_entity_policy: String,
}

pub(super) fn put_policy(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutPolicy {
        reputation_entity_policy,
    } = call.body()?;
    done(account.put_reputation_policy(reference(call)?, &reputation_entity_policy))
}

pub(super) fn list_recommendations(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        recommendations: Vec<&'a Recommendation>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    let (page, mut filters) = call
        .body::<ListRequest>()?
        .split(&["TYPE", "IMPACT", "STATUS", "RESOURCE_ARN"])?;
    let filter = RecommendationFilter {
        resource_arn: filters.text("RESOURCE_ARN"),
        kind: filters.text("TYPE"),
        impact: filters.word("IMPACT")?,
        status: filters.word("STATUS")?,
    };
    let page = account.list_recommendations(&filter, &page)?;
    write_json(&Listed {
        recommendations: page.entries,
        next_token: page.next_token,
    })
}
