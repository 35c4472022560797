//! What the tests of this module share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod fake;
pub(crate) mod mock;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::arn::{Arn, ArnBase};
use super::budget::{Budget, CircuitPolicy, NoMeter};
use super::desired::{
    DesiredSet, DesiredTenant, Destination, EventType, ReputationPolicy, SetOptions, Target, TenantSending,
};
use super::name::{DestinationName, SetName, TenantName};
use super::observed::{ObservedDestination, ObservedSet, SetRecord};
use super::plan::{Consent, Context};
use super::tags::Owner;

/// An owner in the cluster `prod`.
pub(crate) fn owner(namespace: &str, name: &str) -> Owner {
    Owner {
        cluster_id: "prod".into(),
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
    }
}

/// Where ARNs of the tests are.
pub(crate) fn arns() -> ArnBase {
    ArnBase {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account_id: "123456789012".into(),
    }
}

/// An SNS destination for all feedback.
pub(crate) fn feedback() -> Destination {
    Destination {
        enabled: true,
        events: BTreeSet::from([EventType::Bounce, EventType::Complaint, EventType::Delivery]),
        target: Target::Sns {
            topic_arn: "arn:aws:sns:eu-west-1:123456789012:mail".into(),
        },
    }
}

/// A set with its feedback, on.
pub(crate) fn desired_set() -> DesiredSet {
    DesiredSet {
        name: SetName::of_policy("prod", "shop", "default"),
        owner: owner("shop", "default"),
        sending: true,
        options: SetOptions::default(),
        destinations: BTreeMap::from([(DestinationName::feedback(), feedback())]),
        tenant: None,
    }
}

/// A tenant with one identity.
pub(crate) fn desired_tenant() -> DesiredTenant {
    DesiredTenant {
        name: TenantName::of_namespace("prod", "shop"),
        owner: owner("shop", "shop"),
        suppression: None,
        reputation_policy: ReputationPolicy::Standard,
        identities: BTreeSet::from([identity("example.com")]),
        sending: TenantSending::Enabled,
    }
}

/// The ARN of an identity.
pub(crate) fn identity(name: &str) -> Arn {
    arns().identity(name)
}

/// What stands where everything is as wanted.
pub(crate) fn in_sync(desired: &DesiredSet) -> ObservedSet {
    let known = |(name, destination): (&DestinationName, &Destination)| {
        (name.clone(), ObservedDestination::Known(destination.clone()))
    };
    ObservedSet {
        name: desired.name.clone(),
        record: SetRecord {
            tags: desired.owner.tags(),
            sending: desired.sending,
            options: desired.options.clone(),
        },
        destinations: desired.destinations.iter().map(known).collect(),
        tenants: Some(desired.tenant.iter().cloned().collect()),
    }
}

/// Nobody agreed to anything, nobody remembers.
pub(crate) fn context() -> Context {
    Context {
        arns: arns(),
        consent: Consent::default(),
        intended_sending: None,
        default_of: BTreeSet::new(),
    }
}

/// No limit.
pub(crate) fn unlimited() -> Budget {
    Budget::new(None, CircuitPolicy::default(), Arc::new(NoMeter), || 1.0)
}
