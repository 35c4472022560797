//! The account as a pure state machine: no IO, no clock, no randomness. Times come in as arguments.

mod account;
mod address;
mod associations;
mod destinations;
mod identities;
mod message;
mod names;
mod outcome;
mod paging;
mod quota;
mod reputation;
mod sending;
mod sets;
pub mod shapes;
mod suppression;
mod tags;
mod templates;
mod tenants;

use std::collections::BTreeMap;

pub use account::{AccountSettings, AccountSuppression, Enforcement};
pub(super) use address::domain;
pub use address::{AddressError, Mailbox};
pub use associations::Associations;
pub use destinations::{
    CloudWatchDestination, CloudWatchDimension, EventBridgeDestination, EventDestination, FirehoseDestination,
    PinpointDestination, SnsDestination,
};
pub use identities::{Identity, IdentityFilter, MailFrom};
pub use message::{Attachment, Content, Destination, MAX_RECIPIENTS, MessageHeader, MessageTag, Parts};
pub use names::{Owner, Resource};
pub use outcome::Outcome;
pub use paging::{Page, PageRequest};
pub use quota::{Exceeded, Usage};
pub use reputation::{
    EntityFilter, Recommendation, RecommendationFilter, ReputationEntity, ReputationPolicy, StatusRecord,
};
pub use sending::{Accepted, SendError, Submission, Submitted, TemplateSource, Templated};
pub use sets::{ConfigurationSet, OptionBlock, SetOptions};
pub(super) use suppression::parse_reason;
pub use suppression::{SuppressedAddress, SuppressionFilter, SuppressionList};
pub use tags::Tags;
pub use templates::{EmailTemplate, TemplateContent};
pub use tenants::{Tenant, TenantFilter};

/// One SES account in one region.
///
/// Every method is one operation of the API, or a change made behind the API's back for a test; its errors are what
/// SES would answer.
#[derive(Clone, Debug)]
pub struct Account {
    /// Region and account id.
    pub owner: Owner,
    /// What AWS decides about the account, and its own switches.
    pub settings: AccountSettings,
    /// Configuration sets by name.
    pub sets: BTreeMap<String, ConfigurationSet>,
    /// Tenants by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// Identities by name.
    pub identities: BTreeMap<String, Identity>,
    /// Templates by name.
    pub templates: BTreeMap<String, EmailTemplate>,
    /// What was sent, as far as the limits depend on it.
    pub usage: Usage,
    /// Which resource belongs to which tenant.
    pub associations: Associations,
    /// The account's own suppression list.
    pub suppressed: SuppressionList,
    /// Findings of the advisor, oldest first.
    pub recommendations: Vec<Recommendation>,
    /// How many tenants were ever made: part of their ids, so that one made anew gets another.
    tenants_made: u64,
}

impl Account {
    /// An account with nothing in it.
    #[must_use]
    pub fn new(owner: Owner, settings: AccountSettings) -> Self {
        Self {
            owner,
            settings,
            sets: BTreeMap::new(),
            tenants: BTreeMap::new(),
            identities: BTreeMap::new(),
            templates: BTreeMap::new(),
            usage: Usage::default(),
            associations: Associations::default(),
            suppressed: SuppressionList::default(),
            recommendations: Vec::new(),
            tenants_made: 0,
        }
    }
}

#[cfg(test)]
mod fixture {
    use jiff::Timestamp;

    use super::{Account, AccountSettings, Owner};

    /// A production account with the verified identity `example.com`.
    pub(super) fn account() -> Account {
        let owner = Owner {
            region: "us-east-1".to_owned(),
            account_id: "111122223333".to_owned(),
        };
        let mut account = Account::new(owner, AccountSettings::production());
        account.put_identity("example.com", true);
        account
    }

    pub(super) fn at(second: i64) -> Timestamp {
        Timestamp::constant(second, 0)
    }
}
