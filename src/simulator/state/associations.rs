//! Which resource belongs to which tenant, readable from both sides.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Pairs of a tenant's name and a resource's ARN, with the time they were joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Associations {
    by_tenant: BTreeMap<String, BTreeMap<String, Timestamp>>,
    by_resource: BTreeMap<String, BTreeMap<String, Timestamp>>,
}

impl Associations {
    /// Whether the two are joined.
    #[must_use]
    pub fn contains(&self, tenant: &str, arn: &str) -> bool {
        self.by_tenant
            .get(tenant)
            .is_some_and(|resources| resources.contains_key(arn))
    }

    /// Whether any tenant has the resource.
    #[must_use]
    pub fn holds(&self, arn: &str) -> bool {
        self.by_resource.contains_key(arn)
    }

    /// ARNs of a tenant's resources, in order.
    pub fn resources_of(&self, tenant: &str) -> impl Iterator<Item = &str> {
        self.by_tenant
            .get(tenant)
            .into_iter()
            .flatten()
            .map(|(arn, _)| arn.as_str())
    }

    /// Names of the tenants that have the resource, in order, with the time since when.
    pub fn tenants_of(&self, arn: &str) -> impl Iterator<Item = (&str, Timestamp)> {
        self.by_resource
            .get(arn)
            .into_iter()
            .flatten()
            .map(|(tenant, since)| (tenant.as_str(), *since))
    }

    pub(super) fn insert(&mut self, tenant: &str, arn: &str, now: Timestamp) {
        self.by_tenant
            .entry(tenant.to_owned())
            .or_default()
            .insert(arn.to_owned(), now);
        self.by_resource
            .entry(arn.to_owned())
            .or_default()
            .insert(tenant.to_owned(), now);
    }

    pub(super) fn remove(&mut self, tenant: &str, arn: &str) {
        remove(&mut self.by_tenant, tenant, arn);
        remove(&mut self.by_resource, arn, tenant);
    }

    pub(super) fn remove_tenant(&mut self, tenant: &str) {
        for arn in self.by_tenant.remove(tenant).unwrap_or_default().into_keys() {
            remove(&mut self.by_resource, &arn, tenant);
        }
    }

    pub(super) fn remove_resource(&mut self, arn: &str) {
        for tenant in self.by_resource.remove(arn).unwrap_or_default().into_keys() {
            remove(&mut self.by_tenant, &tenant, arn);
        }
    }
}

fn remove(side: &mut BTreeMap<String, BTreeMap<String, Timestamp>>, outer: &str, inner: &str) {
    if let Some(entries) = side.get_mut(outer) {
        entries.remove(inner);
        if entries.is_empty() {
            side.remove(outer);
        }
    }
}
