//! Reads whole things: several requests make one observation, each through the budget.

use std::collections::BTreeSet;

use super::address::{Address, Identity};
use super::arn::{Arn, ArnBase};
use super::budget::{Budget, Priority};
use super::client::{Page, ReadSes};
use super::desired::SuppressionList;
use super::error::{ErrorKind, SesError};
use super::name::{SetName, TenantName};
use super::observed::{IdentityRecord, ObservedEntries, ObservedSet, ObservedTenant, Reputation};

/// How often a listing starts again because SES refused its token, before that is an error.
const MAX_RESTARTS: u32 = 3;

/// The most pages of one listing: 300,000 tenants at 100 a page, the most that SES approves by itself. A listing that
/// does not end by then never ends.
const MAX_PAGES: usize = 3_000;

/// Reads SES within the budget. Cannot write.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    ses: &'a dyn ReadSes,
    budget: &'a Budget,
    priority: Priority,
}

impl<'a> Reader<'a> {
    /// Reads with this urgency.
    #[must_use]
    pub fn new(ses: &'a dyn ReadSes, budget: &'a Budget, priority: Priority) -> Self {
        Self { ses, budget, priority }
    }

    pub(super) fn ses(&self) -> &'a dyn ReadSes {
        self.ses
    }

    /// Makes one request.
    pub(super) async fn request<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, SesError>>,
    ) -> Result<T, SesError> {
        self.budget.spend(self.priority, operation, request).await
    }

    /// Reads a configuration set: two requests, and one a page of its tenants where `arns` is given. `None` where there
    /// is none, which costs one request.
    pub async fn set(&self, name: &SetName, arns: Option<&ArnBase>) -> Result<Option<ObservedSet>, SesError> {
        let Some(record) = found(self.request("GetConfigurationSet", self.ses.set(name)).await)? else {
            return Ok(None);
        };
        let operation = "GetConfigurationSetEventDestinations";
        let Some(destinations) = found(self.request(operation, self.ses.destinations(name)).await)? else {
            return Ok(None);
        };
        let tenants = match arns {
            Some(arns) => Some(self.tenants_of(&arns.set(name)).await?),
            None => None,
        };
        Ok(Some(ObservedSet {
            name: name.clone(),
            record,
            destinations,
            tenants,
        }))
    }

    async fn tenants_of(&self, resource: &Arn) -> Result<BTreeSet<TenantName>, SesError> {
        let operation = "ListResourceTenants";
        let listing = self
            .pages(operation, |token| self.ses.list_resource_tenants(resource, token))
            .await;
        let parse = |name: String| {
            TenantName::parse(name)
                .map_err(|error| SesError::new(operation, ErrorKind::Unintelligible, &error.to_string()))
        };
        found(listing)?.unwrap_or_default().into_iter().map(parse).collect()
    }

    /// Reads a tenant: two requests, and one a page of its resources. `None` where there is none.
    pub async fn tenant(&self, name: &TenantName) -> Result<Option<ObservedTenant>, SesError> {
        let Some(record) = found(self.request("GetTenant", self.ses.tenant(name)).await)? else {
            return Ok(None);
        };
        let reputation = self
            .request("GetReputationEntity", self.ses.reputation(&record.arn))
            .await;
        // A tenant that nothing was ever noted about has the defaults.
        let reputation = found(reputation)?.unwrap_or_else(Reputation::of_new_tenant);
        let operation = "ListTenantResources";
        let listing = self
            .pages(operation, |token| self.ses.list_tenant_resources(name, token))
            .await;
        let Some(resources) = found(listing)? else {
            return Ok(None);
        };
        Ok(Some(ObservedTenant {
            name: name.clone(),
            record,
            reputation,
            resources: resources.into_iter().collect(),
        }))
    }

    /// Reads an identity; `None` where there is none.
    pub async fn identity(&self, identity: &Identity) -> Result<Option<IdentityRecord>, SesError> {
        found(self.request("GetEmailIdentity", self.ses.identity(identity)).await)
    }

    /// Reads these entries of suppression lists, one request each; what is not listed is left out.
    pub async fn entries(
        &self,
        keys: impl IntoIterator<Item = (SuppressionList, Address)>,
    ) -> Result<ObservedEntries, SesError> {
        let mut entries = ObservedEntries::new();
        for (list, address) in keys {
            let entry = self
                .request("GetSuppressedDestination", self.ses.entry(&list, &address))
                .await;
            if let Some(entry) = found(entry)? {
                entries.insert((list, address), entry);
            }
        }
        Ok(entries)
    }

    /// Follows a listing to its end. Where SES no longer takes a token, the listing starts again.
    pub(super) async fn pages<T, F>(
        &self,
        operation: &'static str,
        mut page: impl FnMut(Option<String>) -> F,
    ) -> Result<Vec<T>, SesError>
    where
        F: Future<Output = Result<Page<T>, SesError>>,
    {
        let mut restarts = 0;
        'listing: loop {
            let mut items = Vec::new();
            let mut token = None;
            for _ in 0..MAX_PAGES {
                match self.request(operation, page(token)).await {
                    Ok(Page { items: more, next }) => {
                        items.extend(more);
                        match next {
                            None => return Ok(items),
                            next => token = next,
                        }
                    }
                    Err(error) if error.kind == ErrorKind::InvalidNextToken && restarts < MAX_RESTARTS => {
                        restarts += 1;
                        continue 'listing;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Err(SesError::new(
                operation,
                ErrorKind::Unintelligible,
                "the listing does not end",
            ));
        }
    }
}

/// "Not found" is an answer.
fn found<T>(result: Result<T, SesError>) -> Result<Option<T>, SesError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
