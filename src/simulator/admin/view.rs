//! The account as JSON, for people and for tests that are not written in Rust.

use serde_json::{Value, json};

use crate::simulator::state::{Account, ConfigurationSet, Identity, SuppressionList, Tenant};

/// Everything in the account. Configuration sets and event destinations are in the wire's own words.
pub(super) fn account(account: &Account) -> Value {
    let sets: serde_json::Map<_, _> = account
        .sets
        .iter()
        .map(|(name, kept)| (name.clone(), set(kept)))
        .collect();
    let tenants: serde_json::Map<_, _> = account
        .tenants
        .iter()
        .map(|(name, kept)| (name.clone(), tenant(account, kept)))
        .collect();
    let identities: serde_json::Map<_, _> = account
        .identities
        .iter()
        .map(|(name, kept)| (name.clone(), identity(kept)))
        .collect();
    json!({
        "region": account.owner.region,
        "accountId": account.owner.account_id,
        "settings": account.settings,
        "sets": sets,
        "tenants": tenants,
        "identities": identities,
        "suppressed": suppressed(&account.suppressed),
        "recommendations": account.recommendations,
    })
}

fn set(set: &ConfigurationSet) -> Value {
    json!({"options": set.options, "tags": set.tags.list(), "destinations": set.destinations})
}

fn tenant(account: &Account, tenant: &Tenant) -> Value {
    json!({
        "arn": tenant.arn,
        "tags": tenant.tags.list(),
        "suppression": tenant.suppression,
        "suppressed": suppressed(&tenant.suppressed),
        "policy": tenant.policy.arn(&account.owner.region),
        "customerStatus": tenant.customer_status.status,
        "awsStatus": tenant.aws_status.status,
        "sendingStatus": tenant.sending_status(),
        "resources": account.associations.resources_of(&tenant.name).collect::<Vec<_>>(),
    })
}

fn identity(identity: &Identity) -> Value {
    json!({
        "verified": identity.verified,
        "configurationSet": identity.configuration_set,
        "tags": identity.tags.list(),
    })
}

fn suppressed(list: &SuppressionList) -> Value {
    let entries: serde_json::Map<_, _> = list
        .iter()
        .map(|(address, entry)| (address.to_owned(), json!(entry.reason)))
        .collect();
    json!({"count": list.len(), "entries": entries})
}
