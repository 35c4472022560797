//! From what a policy may do to what SES shall hold.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::{
        SendingAccountSpec,
        account::{FeedbackDestination, Isolation},
        policy::{self as spec, SesListScope, SuppressionOptions, SuppressionReason, SuppressionType, Tls},
    },
    policy::{
        CompiledPolicy,
        terms::{SetTerms, TrackingTerms},
    },
    ses::{
        arn::{Arn, ArnBase},
        desired::{
            Delivery, DesiredSet, DesiredTenant, Destination, EventType, HttpsPolicy, Reason, ReputationPolicy,
            SetOptions, SmimeSignature, Suppression, SuppressionOverride, SuppressionScope, Target, TenantSending,
            TlsPolicy, Tracking, Validation, Vdm,
        },
        name::{DestinationName, SetName, TenantName},
        tags::Owner,
    },
};

/// What feedback needs: everything that a rate or a check of a recipient is made of. Opens and clicks are not ours.
const FEEDBACK_EVENTS: [EventType; 8] = [
    EventType::Send,
    EventType::Reject,
    EventType::Bounce,
    EventType::Complaint,
    EventType::Delivery,
    EventType::DeliveryDelay,
    EventType::RenderingFailure,
    EventType::Subscription,
];

/// The configuration set of a policy, as the spec in force has it; `None` where none is, so that SES keeps what it has.
#[must_use]
pub fn desired_set(
    namespace: &str,
    uid: &str,
    policy: &CompiledPolicy,
    account: &SendingAccountSpec,
    arns: &ArnBase,
) -> Option<DesiredSet> {
    let set = policy.set.as_ref()?;
    let SetTerms {
        tls,
        max_delivery,
        pool,
        reputation_metrics,
        tracking,
        vdm,
        archive,
        smime,
        event_destinations,
    } = set;
    let cluster = &account.cluster_id;
    let mut destinations = BTreeMap::from([(DestinationName::feedback(), feedback(account, arns))]);
    for destination in event_destinations {
        destinations.insert(
            DestinationName::of_target(&destination.arn),
            own_destination(destination),
        );
    }
    Some(DesiredSet {
        name: SetName::of_policy(cluster, namespace, &policy.name),
        owner: owner(cluster, namespace, &policy.name, uid),
        sending: policy.effective.mode.value.needs_sending(),
        options: SetOptions {
            delivery: Delivery {
                tls: match tls {
                    Tls::Require => TlsPolicy::Require,
                    Tls::Optional => TlsPolicy::Optional,
                },
                max_seconds: max_delivery.map(whole_seconds),
                pool: pool.clone(),
            },
            reputation_metrics: *reputation_metrics,
            tracking: tracking
                .as_ref()
                .map(|TrackingTerms { redirect_domain, https }| Tracking {
                    redirect_domain: redirect_domain.to_string(),
                    https: https.map_or_else(HttpsPolicy::default, |https| match https {
                        spec::Https::Require => HttpsPolicy::Require,
                        spec::Https::RequireOpenOnly => HttpsPolicy::RequireOpenOnly,
                        spec::Https::Optional => HttpsPolicy::Optional,
                    }),
                }),
            suppression: suppression(policy.suppression.as_ref()),
            vdm: vdm.as_ref().map(
                |spec::Vdm {
                     engagement_metrics,
                     optimized_shared_delivery,
                 }| Vdm {
                    engagement_metrics: *engagement_metrics,
                    optimized_shared_delivery: *optimized_shared_delivery,
                },
            ),
            archive: archive.as_ref().map(Arn::new),
            signing: match smime {
                spec::Smime::Off => None,
                spec::Smime::Detached => Some(SmimeSignature::Detached),
            },
        },
        destinations,
        tenant: tenant_name(account, namespace),
    })
}

/// The tenant of a namespace, with Tenant isolation.
#[must_use]
pub fn tenant_name(account: &SendingAccountSpec, namespace: &str) -> Option<TenantName> {
    match account.isolation {
        Isolation::ConfigurationSet => None,
        Isolation::Tenant => Some(TenantName::of_namespace(&account.cluster_id, namespace)),
    }
}

/// The tenant of a namespace as it should be.
#[must_use]
pub fn desired_tenant(
    namespace: &str,
    uid: &str,
    account: &SendingAccountSpec,
    arns: &ArnBase,
) -> Option<DesiredTenant> {
    Some(DesiredTenant {
        name: tenant_name(account, namespace)?,
        owner: owner(&account.cluster_id, namespace, namespace, uid),
        // As the account does: a list of its own would begin empty and un-suppress everybody.
        suppression: None,
        reputation_policy: ReputationPolicy::Standard,
        identities: account
            .identities
            .iter()
            .map(|identity| arns.identity(&identity.name))
            .collect(),
        sending: TenantSending::Enabled,
    })
}

/// Whose an object in SES is.
#[must_use]
pub fn owner(cluster_id: &str, namespace: &str, name: &str, uid: &str) -> Owner {
    Owner {
        cluster_id: cluster_id.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

fn feedback(account: &SendingAccountSpec, arns: &ArnBase) -> Destination {
    let FeedbackDestination { sns, event_bridge: _ } = &account.feedback.destination;
    let target = match sns {
        Some(sns) => Target::Sns {
            topic_arn: sns.topic_arn.clone(),
        },
        // SES takes no other bus than the account's default one.
        None => Target::EventBridge {
            bus_arn: arns.default_bus().as_str().to_owned(),
        },
    };
    Destination {
        enabled: true,
        events: FEEDBACK_EVENTS.into(),
        target,
    }
}

fn own_destination(destination: &spec::EventDestination) -> Destination {
    let spec::EventDestination { arn, role_arn, events } = destination;
    let target = match arn.split(':').nth(2) {
        Some("sns") => Target::Sns { topic_arn: arn.clone() },
        Some("firehose") => Target::Firehose {
            stream_arn: arn.clone(),
            role_arn: role_arn.clone().unwrap_or_default(),
        },
        _ => Target::EventBridge { bus_arn: arn.clone() },
    };
    Destination {
        enabled: true,
        events: events.iter().map(|event| event_type(*event)).collect(),
        target,
    }
}

fn event_type(event: spec::EventType) -> EventType {
    match event {
        spec::EventType::Send => EventType::Send,
        spec::EventType::Reject => EventType::Reject,
        spec::EventType::Bounce => EventType::Bounce,
        spec::EventType::Complaint => EventType::Complaint,
        spec::EventType::Delivery => EventType::Delivery,
        spec::EventType::Open => EventType::Open,
        spec::EventType::Click => EventType::Click,
        spec::EventType::RenderingFailure => EventType::RenderingFailure,
        spec::EventType::DeliveryDelay => EventType::DeliveryDelay,
        spec::EventType::Subscription => EventType::Subscription,
    }
}

fn suppression(spec: Option<&SuppressionOptions>) -> Suppression {
    let Some(SuppressionOptions {
        type_: SuppressionType::Only,
        only,
        scope,
        validation,
    }) = spec
    else {
        return Suppression::Inherit;
    };
    Suppression::Only(SuppressionOverride {
        reasons: only.iter().flatten().map(|reason| ses_reason(*reason)).collect(),
        scope: match scope {
            Some(SesListScope::Tenant) => SuppressionScope::Tenant,
            Some(SesListScope::Account) | None => SuppressionScope::Account,
        },
        validation: validation.map(|validation| match validation {
            spec::Validation::Off => Validation::Off,
            spec::Validation::Managed => Validation::Managed,
            spec::Validation::Medium => Validation::Medium,
            spec::Validation::High => Validation::High,
        }),
    })
}

/// SES's word for a reason.
#[must_use]
pub fn ses_reason(reason: SuppressionReason) -> Reason {
    match reason {
        SuppressionReason::Bounce => Reason::Bounce,
        SuppressionReason::Complaint => Reason::Complaint,
    }
}

/// SES counts whole seconds; the schema bounds the duration.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
