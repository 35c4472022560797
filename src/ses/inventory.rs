//! What exists, from listings at their largest page sizes: ten requests see ten thousand sets.
//!
//! Listings find what vanished; [`rotate`] chooses what a reader compares next, option by option.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::address::Identity;
use super::error::SesError;
use super::observed::{IdentityListing, IdentityRecord, TenantListing};
use super::read::Reader;

/// What an account and region holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// The names of all configuration sets.
    pub sets: BTreeSet<String>,
    /// All tenants, by name; empty where tenants are not used.
    pub tenants: BTreeMap<String, TenantListing>,
    /// All identities.
    pub identities: BTreeMap<Identity, IdentityListing>,
}

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Sets and identities.
    WithoutTenants,
    /// Tenants too.
    WithTenants,
}

impl Inventory {
    /// Lists everything.
    pub async fn list(reader: Reader<'_>, scope: Scope) -> Result<Self, SesError> {
        let client = reader.ses();
        let sets = reader
            .pages("ListConfigurationSets", |token| client.list_sets(token))
            .await?;
        let identities = reader
            .pages("ListEmailIdentities", |token| client.list_identities(token))
            .await?;
        let tenants = match scope {
            Scope::WithTenants => reader.pages("ListTenants", |token| client.list_tenants(token)).await?,
            Scope::WithoutTenants => Vec::new(),
        };
        Ok(Self {
            sets: sets.into_iter().collect(),
            tenants: tenants
                .into_iter()
                .map(|tenant| (tenant.name.clone(), tenant))
                .collect(),
            identities: identities
                .into_iter()
                .map(|identity| (identity.identity.clone(), identity))
                .collect(),
        })
    }
}

/// The key that a rotating reader reads next: the first after the cursor, or the first of all. Keys may come and go
/// between two calls; each that stays gets its turn.
#[must_use]
pub fn rotate<'a, K: Ord>(keys: &'a BTreeSet<K>, cursor: Option<&K>) -> Option<&'a K> {
    let after = cursor.and_then(|cursor| keys.range((Bound::Excluded(cursor), Bound::Unbounded)).next());
    after.or_else(|| keys.first())
}

/// The identities whose default each set is, by the set's name.
#[must_use]
pub fn defaults_by_set(records: &BTreeMap<Identity, IdentityRecord>) -> BTreeMap<String, BTreeSet<Identity>> {
    let mut by_set: BTreeMap<String, BTreeSet<Identity>> = BTreeMap::new();
    for (identity, record) in records {
        if let Some(set) = &record.default_set {
            by_set.entry(set.clone()).or_default().insert(identity.clone());
        }
    }
    by_set
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
