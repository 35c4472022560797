//! What SES answered, in our own types, so that a comparison is `==`.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Identity};
use super::arn::Arn;
use super::desired::{
    Destination, Reason, ReputationPolicy, SetOptions, SuppressionList, SuppressionScope, TenantSuppression,
};
use super::name::{DestinationName, SetName, TenantName};
use super::tags::Tags;

/// What `GetConfigurationSet` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRecord {
    /// The set's tags.
    pub tags: Tags,
    /// The switch. SES leaves it out for sets that never had it set, which send.
    pub sending: bool,
    /// Everything else; a missing block is its default.
    pub options: SetOptions,
}

/// A configuration set as it stands: the record, and what other calls say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSet {
    /// Its name.
    pub name: SetName,
    /// Its own record.
    pub record: SetRecord,
    /// Its event destinations.
    pub destinations: BTreeMap<DestinationName, ObservedDestination>,
    /// The tenants it belongs to; `None` where nobody asked (no call is spent where tenants are not used).
    pub tenants: Option<BTreeSet<TenantName>>,
}

/// An event destination as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedDestination {
    /// One that we could have made.
    Known(Destination),
    /// One that we cannot express (Pinpoint, an event type that is newer than we are): never equal to a desired one.
    Other,
}

/// What `GetTenant` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its ARN, new each time a tenant of this name is made.
    pub arn: Arn,
    /// Its tags.
    pub tags: Tags,
    /// Its own suppression, if it has one.
    pub suppression: Option<TenantSuppression>,
    /// Whether it may send, all told.
    pub sending: SendingStatus,
}

/// A tenant as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedTenant {
    /// Its name.
    pub name: TenantName,
    /// Its own record.
    pub record: TenantRecord,
    /// Its reputation entity.
    pub reputation: Reputation,
    /// Identities, sets and templates that belong to it.
    pub resources: BTreeSet<Arn>,
}

/// What `GetReputationEntity` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reputation {
    /// When SES pauses the tenant by itself; `None` is a policy that we do not know.
    pub policy: Option<ReputationPolicy>,
    /// The status that the customer sets: we or a person.
    pub by_customer: SendingStatus,
    /// The status that AWS sets; no call of ours overrides it.
    pub by_aws: SendingStatus,
}

/// Whether a tenant may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendingStatus {
    /// It may.
    #[default]
    Enabled,
    /// It may, and SES ignores the open findings until all are resolved.
    Reinstated,
    /// It may not.
    Disabled,
}

/// A tenant in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantListing {
    /// Its name; not necessarily one that we would give.
    pub name: String,
    /// Its id (`tn-` and hex digits).
    pub id: String,
    /// Its ARN.
    pub arn: Arn,
    /// Whether it may send, all told.
    pub sending: SendingStatus,
}

/// An identity in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityListing {
    /// The domain or address.
    pub identity: Identity,
    /// Whether it is verified.
    pub verified: bool,
    /// Whether mail may come from it now.
    pub sending: bool,
}

/// What `GetEmailIdentity` answers, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// Whether mail may come from it.
    pub verified: bool,
    /// Whether its DKIM records were found.
    pub dkim_verified: bool,
    /// Its MAIL FROM domain, and whether SES found its records.
    pub mail_from: Option<(String, bool)>,
    /// Its default configuration set. A name that SES has and we would not give is possible.
    pub default_set: Option<String>,
}

/// What `GetAccount` answers, as far as we need it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRecord {
    /// Out of the sandbox.
    pub production: bool,
    /// The account-wide switch.
    pub sending: bool,
    /// SES's own word: `HEALTHY`, `PROBATION` (under review) or `SHUTDOWN`.
    pub enforcement: String,
    /// Recipients in 24 hours; negative is no limit.
    pub max_24_hours: f64,
    /// Recipients a second.
    pub max_per_second: f64,
    /// Recipients of the last 24 hours.
    pub sent_24_hours: f64,
    /// The reasons for which the account suppresses.
    pub suppressed: BTreeSet<Reason>,
}

/// An entry of a suppression list as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedEntry {
    /// Why it is listed.
    pub reason: Reason,
    /// Who put it there.
    pub origin: EntryOrigin,
}

/// Who put an address on a suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOrigin {
    /// SES, after a bounce or a complaint: the entry names the message.
    Automatic,
    /// A call.
    Manual,
    /// A listing does not say.
    Unknown,
}

/// Entries of suppression lists as they stand.
pub type ObservedEntries = BTreeMap<(SuppressionList, Address), ObservedEntry>;

impl Reputation {
    /// What SES gives a new tenant.
    #[must_use]
    pub fn of_new_tenant() -> Self {
        Self {
            policy: Some(ReputationPolicy::default()),
            ..Self::default()
        }
    }
}

impl TenantSuppression {
    /// Canonical form of a tenant's attributes: a block without reasons, or without a scope, is none of its own.
    #[must_use]
    pub fn from_parts(scope: Option<SuppressionScope>, reasons: Option<BTreeSet<Reason>>) -> Option<Self> {
        Some(Self {
            scope: scope?,
            reasons: reasons?,
        })
    }
}
