//! The two sides of SES: what reads, and what also writes. One method is one request, so that each is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;

use super::address::{Address, Identity};
use super::arn::{Arn, ArnBase};
use super::call::{Answer, SesCall};
use super::desired::{Reason, SuppressionList};
use super::error::SesError;
use super::name::{DestinationName, SetName, TenantName};
use super::observed::{
    AccountRecord, IdentityListing, IdentityRecord, ObservedDestination, ObservedEntry, Reputation, SetRecord,
    TenantListing, TenantRecord,
};

/// What a request answers.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, SesError>>;

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What it lists, in no order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// Reads SES. Cannot write.
pub trait ReadSes: Send + Sync {
    /// STS's `GetCallerIdentity`: the account whose SES this is. No permission and no budget is needed for it.
    fn whose(&self) -> Reply<'_, ArnBase>;
    /// `GetAccount`.
    fn account(&self) -> Reply<'_, AccountRecord>;
    /// `GetConfigurationSet`.
    fn set<'a>(&'a self, set: &'a SetName) -> Reply<'a, SetRecord>;
    /// `GetConfigurationSetEventDestinations`.
    fn destinations<'a>(&'a self, set: &'a SetName) -> Reply<'a, BTreeMap<DestinationName, ObservedDestination>>;
    /// `ListConfigurationSets`, 1,000 a page. Names that we would not give are among them.
    fn list_sets(&self, token: Option<String>) -> Reply<'_, Page<String>>;
    /// `GetTenant`.
    fn tenant<'a>(&'a self, tenant: &'a TenantName) -> Reply<'a, TenantRecord>;
    /// `GetReputationEntity` of a tenant.
    fn reputation<'a>(&'a self, tenant: &'a Arn) -> Reply<'a, Reputation>;
    /// `ListTenants`, 100 a page.
    fn list_tenants(&self, token: Option<String>) -> Reply<'_, Page<TenantListing>>;
    /// `ListTenantResources`, 100 a page.
    fn list_tenant_resources<'a>(&'a self, tenant: &'a TenantName, token: Option<String>) -> Reply<'a, Page<Arn>>;
    /// `ListResourceTenants`, 100 a page.
    fn list_resource_tenants<'a>(&'a self, resource: &'a Arn, token: Option<String>) -> Reply<'a, Page<String>>;
    /// `GetEmailIdentity`.
    fn identity<'a>(&'a self, identity: &'a Identity) -> Reply<'a, IdentityRecord>;
    /// `ListEmailIdentities`, 1,000 a page.
    fn list_identities(&self, token: Option<String>) -> Reply<'_, Page<IdentityListing>>;
    /// `GetSuppressedDestination`.
    fn entry<'a>(&'a self, list: &'a SuppressionList, address: &'a Address) -> Reply<'a, ObservedEntry>;
    /// `ListSuppressedDestinations`, 1,000 a page.
    fn list_entries<'a>(
        &'a self,
        list: &'a SuppressionList,
        token: Option<String>,
    ) -> Reply<'a, Page<(Address, Reason)>>;
}

/// Reads and writes SES.
pub trait WriteSes: ReadSes {
    /// Sends one request. Not repeated here: the budget decides when.
    fn call<'a>(&'a self, call: &'a SesCall) -> Reply<'a, Answer>;
}

/// How to reach one account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The region, such as `ap-northeast-1`.
    pub region: String,
    /// Another endpoint than AWS's, for a simulator.
    pub endpoint_url: Option<String>,
    /// The role to assume; `None` uses the default credentials as they are.
    pub control_role: Option<Role>,
    /// How long requests may take.
    pub timeouts: Timeouts,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
}

/// How long requests may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection to stand.
    pub connect: Duration,
    /// For the whole request, credentials and answer included.
    pub operation: Duration,
}

impl Default for Timeouts {
    /// SES answers control requests within a second or two; the rest is room for STS before the first.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            operation: Duration::from_secs(15),
        }
    }
}
