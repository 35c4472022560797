//! Between the SDK's types and ours.

use std::collections::BTreeSet;

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types as sdk;

use super::super::arn::Arn;
use super::super::desired::{
    Delivery, Destination, EventType, HttpsPolicy, Reason, ReputationPolicy, SetOptions, SmimeSignature, Suppression,
    SuppressionOverride, SuppressionScope, Target, TenantSuppression, TlsPolicy, Tracking, Validation, Vdm,
};
use super::super::observed::{ObservedDestination, SendingStatus};
use super::super::tags::Tags;

/// A word or a shape of SES's that we do not know: said, never guessed.
#[derive(Debug, thiserror::Error)]
#[error("{field} is {value:?}, which this operator does not know")]
pub(super) struct Foreign {
    field: &'static str,
    value: String,
}

fn foreign(field: &'static str, value: impl Into<String>) -> Foreign {
    Foreign {
        field,
        value: value.into(),
    }
}

// Ours to SES's.

pub(super) fn tags(tags: &Tags) -> Result<Vec<sdk::Tag>, BuildError> {
    tags.iter()
        .map(|(key, value)| sdk::Tag::builder().key(key).value(value).build())
        .collect()
}

pub(super) fn reasons(reasons: &BTreeSet<Reason>) -> Vec<sdk::SuppressionListReason> {
    reasons.iter().copied().map(reason).collect()
}

pub(super) fn reason(reason: Reason) -> sdk::SuppressionListReason {
    match reason {
        Reason::Bounce => sdk::SuppressionListReason::Bounce,
        Reason::Complaint => sdk::SuppressionListReason::Complaint,
    }
}

pub(super) fn scope(scope: SuppressionScope) -> sdk::SuppressionListScope {
    match scope {
        SuppressionScope::Account => sdk::SuppressionListScope::Account,
        SuppressionScope::Tenant => sdk::SuppressionListScope::Tenant,
    }
}

pub(super) fn tls(tls: TlsPolicy) -> sdk::TlsPolicy {
    match tls {
        TlsPolicy::Require => sdk::TlsPolicy::Require,
        TlsPolicy::Optional => sdk::TlsPolicy::Optional,
    }
}

pub(super) fn https(https: HttpsPolicy) -> sdk::HttpsPolicy {
    match https {
        HttpsPolicy::Require => sdk::HttpsPolicy::Require,
        HttpsPolicy::RequireOpenOnly => sdk::HttpsPolicy::RequireOpenOnly,
        HttpsPolicy::Optional => sdk::HttpsPolicy::Optional,
    }
}

pub(super) fn delivery(delivery: &Delivery) -> sdk::DeliveryOptions {
    sdk::DeliveryOptions::builder()
        .tls_policy(tls(delivery.tls))
        .set_sending_pool_name(delivery.pool.clone())
        .set_max_delivery_seconds(delivery.max_seconds.map(i64::from))
        .build()
}

pub(super) fn tracking(tracking: &Tracking) -> Result<sdk::TrackingOptions, BuildError> {
    sdk::TrackingOptions::builder()
        .custom_redirect_domain(&tracking.redirect_domain)
        .https_policy(https(tracking.https))
        .build()
}

pub(super) fn validation(validation: Validation) -> Result<sdk::SuppressionValidationOptions, BuildError> {
    use sdk::SuppressionConfidenceVerdictThreshold as Threshold;
    let threshold = match validation {
        Validation::Off => None,
        Validation::Managed => Some(Threshold::Managed),
        Validation::Medium => Some(Threshold::Medium),
        Validation::High => Some(Threshold::High),
    };
    let confidence = threshold
        .map(|threshold| {
            sdk::SuppressionConfidenceThreshold::builder()
                .confidence_verdict_threshold(threshold)
                .build()
        })
        .transpose()?;
    let condition = sdk::SuppressionConditionThreshold::builder()
        .condition_threshold_enabled(feature(confidence.is_some()))
        .set_overall_confidence_threshold(confidence)
        .build()?;
    Ok(sdk::SuppressionValidationOptions::builder()
        .condition_threshold(condition)
        .build())
}

/// Scope and reasons are always both written: an absent list of reasons would mean "suppress nothing".
pub(super) fn suppression(wanted: &SuppressionOverride) -> Result<sdk::SuppressionOptions, BuildError> {
    Ok(sdk::SuppressionOptions::builder()
        .set_suppressed_reasons(Some(reasons(&wanted.reasons)))
        .suppression_scope(scope(wanted.scope))
        .set_validation_options(wanted.validation.map(validation).transpose()?)
        .build())
}

pub(super) fn tenant_suppression(wanted: &TenantSuppression) -> sdk::TenantSuppressionAttributes {
    sdk::TenantSuppressionAttributes::builder()
        .set_suppressed_reasons(Some(reasons(&wanted.reasons)))
        .suppression_scope(scope(wanted.scope))
        .build()
}

fn feature(on: bool) -> sdk::FeatureStatus {
    if on {
        sdk::FeatureStatus::Enabled
    } else {
        sdk::FeatureStatus::Disabled
    }
}

pub(super) fn vdm(vdm: Vdm) -> sdk::VdmOptions {
    let Vdm {
        engagement_metrics,
        optimized_shared_delivery,
    } = vdm;
    let dashboard =
        engagement_metrics.map(|on| sdk::DashboardOptions::builder().engagement_metrics(feature(on)).build());
    let guardian = optimized_shared_delivery.map(|on| {
        sdk::GuardianOptions::builder()
            .optimized_shared_delivery(feature(on))
            .build()
    });
    sdk::VdmOptions::builder()
        .set_dashboard_options(dashboard)
        .set_guardian_options(guardian)
        .build()
}

pub(super) fn signing(signing: Option<SmimeSignature>) -> sdk::MessageSecurityOptions {
    let scheme = match signing {
        Some(SmimeSignature::Detached) => sdk::SigningScheme::SmimeScheme(
            sdk::SmimeSigningScheme::builder()
                .signature_format(sdk::SignatureFormat::Detached)
                .build(),
        ),
        None => sdk::SigningScheme::DefaultScheme(sdk::DefaultSigningScheme::builder().build()),
    };
    sdk::MessageSecurityOptions::builder().signing_scheme(scheme).build()
}

/// SES's word for each kind of event.
const EVENTS: [(EventType, sdk::EventType); 10] = [
    (EventType::Send, sdk::EventType::Send),
    (EventType::Reject, sdk::EventType::Reject),
    (EventType::Bounce, sdk::EventType::Bounce),
    (EventType::Complaint, sdk::EventType::Complaint),
    (EventType::Delivery, sdk::EventType::Delivery),
    (EventType::Open, sdk::EventType::Open),
    (EventType::Click, sdk::EventType::Click),
    (EventType::RenderingFailure, sdk::EventType::RenderingFailure),
    (EventType::DeliveryDelay, sdk::EventType::DeliveryDelay),
    (EventType::Subscription, sdk::EventType::Subscription),
];

pub(super) fn destination(wanted: &Destination) -> Result<sdk::EventDestinationDefinition, BuildError> {
    let Destination {
        enabled,
        events,
        target,
    } = wanted;
    let events = EVENTS
        .into_iter()
        .filter(|(ours, _)| events.contains(ours))
        .map(|(_, theirs)| theirs)
        .collect();
    let definition = sdk::EventDestinationDefinition::builder()
        .enabled(*enabled)
        .set_matching_event_types(Some(events));
    Ok(match target {
        Target::Sns { topic_arn } => {
            definition.sns_destination(sdk::SnsDestination::builder().topic_arn(topic_arn).build()?)
        }
        Target::EventBridge { bus_arn } => {
            definition.event_bridge_destination(sdk::EventBridgeDestination::builder().event_bus_arn(bus_arn).build()?)
        }
        Target::Firehose { stream_arn, role_arn } => definition.kinesis_firehose_destination(
            sdk::KinesisFirehoseDestination::builder()
                .delivery_stream_arn(stream_arn)
                .iam_role_arn(role_arn)
                .build()?,
        ),
    }
    .build())
}

/// The ARN of a reputation policy, in the partition and region of the tenant that it is for.
pub(super) fn policy_arn(tenant: &Arn, policy: ReputationPolicy) -> String {
    let mut parts = tenant.as_str().split(':').skip(1);
    let partition = parts.next().unwrap_or("aws");
    let region = parts.nth(1).unwrap_or_default();
    let name = match policy {
        ReputationPolicy::Standard => "standard",
        ReputationPolicy::Strict => "strict",
        ReputationPolicy::None => "none",
    };
    format!("arn:{partition}:ses:{region}:aws:reputation-policy/{name}")
}

// SES's to ours.

pub(super) fn read_tags(tags: Option<Vec<sdk::Tag>>) -> Tags {
    tags.unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect()
}

pub(super) fn read_reason(reason: &sdk::SuppressionListReason) -> Result<Reason, Foreign> {
    match reason {
        sdk::SuppressionListReason::Bounce => Ok(Reason::Bounce),
        sdk::SuppressionListReason::Complaint => Ok(Reason::Complaint),
        other => Err(foreign("a suppression reason", other.as_str())),
    }
}

pub(super) fn read_reasons(reasons: &[sdk::SuppressionListReason]) -> Result<BTreeSet<Reason>, Foreign> {
    reasons.iter().map(read_reason).collect()
}

fn read_scope(scope: &sdk::SuppressionListScope) -> Result<SuppressionScope, Foreign> {
    match scope {
        sdk::SuppressionListScope::Account => Ok(SuppressionScope::Account),
        sdk::SuppressionListScope::Tenant => Ok(SuppressionScope::Tenant),
        other => Err(foreign("a suppression scope", other.as_str())),
    }
}

fn read_feature(feature: &sdk::FeatureStatus) -> Result<bool, Foreign> {
    match feature {
        sdk::FeatureStatus::Enabled => Ok(true),
        sdk::FeatureStatus::Disabled => Ok(false),
        other => Err(foreign("a feature's status", other.as_str())),
    }
}

/// The parts of a set's record that are not its tags or its switch.
pub(super) struct Blocks {
    pub(super) delivery: Option<sdk::DeliveryOptions>,
    pub(super) reputation: Option<sdk::ReputationOptions>,
    pub(super) tracking: Option<sdk::TrackingOptions>,
    pub(super) suppression: Option<sdk::SuppressionOptions>,
    pub(super) vdm: Option<sdk::VdmOptions>,
    pub(super) archiving: Option<sdk::ArchivingOptions>,
    pub(super) security: Option<sdk::MessageSecurityOptions>,
}

pub(super) fn read_options(blocks: Blocks) -> Result<SetOptions, Foreign> {
    let Blocks {
        delivery,
        reputation,
        tracking,
        suppression,
        vdm,
        archiving,
        security,
    } = blocks;
    Ok(SetOptions {
        delivery: delivery.map(read_delivery).transpose()?.unwrap_or_default(),
        reputation_metrics: reputation.is_some_and(|options| options.reputation_metrics_enabled),
        tracking: tracking.map(read_tracking).transpose()?.flatten(),
        suppression: read_suppression(suppression)?,
        vdm: vdm.map(|options| read_vdm(&options)).transpose()?.flatten(),
        archive: archiving
            .and_then(|options| options.archive_arn)
            .filter(|arn| !arn.is_empty())
            .map(Arn::new),
        signing: security.map(|options| read_signing(&options)).transpose()?.flatten(),
    })
}

fn read_delivery(options: sdk::DeliveryOptions) -> Result<Delivery, Foreign> {
    let tls = match options.tls_policy {
        None | Some(sdk::TlsPolicy::Optional) => TlsPolicy::Optional,
        Some(sdk::TlsPolicy::Require) => TlsPolicy::Require,
        Some(other) => return Err(foreign("a TLS policy", other.as_str())),
    };
    let seconds = |seconds: i64| u32::try_from(seconds).map_err(|_| foreign("the delivery time", seconds.to_string()));
    Ok(Delivery {
        tls,
        max_seconds: options.max_delivery_seconds.map(seconds).transpose()?,
        pool: options.sending_pool_name.filter(|pool| !pool.is_empty()),
    })
}

fn read_tracking(options: sdk::TrackingOptions) -> Result<Option<Tracking>, Foreign> {
    let https = match options.https_policy {
        None | Some(sdk::HttpsPolicy::Optional) => HttpsPolicy::Optional,
        Some(sdk::HttpsPolicy::Require) => HttpsPolicy::Require,
        Some(sdk::HttpsPolicy::RequireOpenOnly) => HttpsPolicy::RequireOpenOnly,
        Some(other) => return Err(foreign("an HTTPS policy", other.as_str())),
    };
    let redirect_domain = options.custom_redirect_domain;
    Ok((!redirect_domain.is_empty()).then_some(Tracking { redirect_domain, https }))
}

/// A missing block is "inherit"; a block without reasons suppresses nothing.
fn read_suppression(options: Option<sdk::SuppressionOptions>) -> Result<Suppression, Foreign> {
    let Some(options) = options else {
        return Ok(Suppression::Inherit);
    };
    let scope = options.suppression_scope.as_ref().map(read_scope).transpose()?;
    Ok(Suppression::Only(SuppressionOverride {
        reasons: read_reasons(&options.suppressed_reasons.unwrap_or_default())?,
        scope: scope.unwrap_or(SuppressionScope::Account),
        validation: options
            .validation_options
            .map(|options| read_validation(&options))
            .transpose()?
            .flatten(),
    }))
}

fn read_validation(options: &sdk::SuppressionValidationOptions) -> Result<Option<Validation>, Foreign> {
    use sdk::SuppressionConfidenceVerdictThreshold as Threshold;
    let Some(condition) = &options.condition_threshold else {
        return Ok(None);
    };
    if !read_feature(&condition.condition_threshold_enabled)? {
        return Ok(Some(Validation::Off));
    }
    let threshold = condition
        .overall_confidence_threshold
        .as_ref()
        .map(|it| &it.confidence_verdict_threshold);
    Ok(Some(match threshold {
        None | Some(Threshold::Managed) => Validation::Managed,
        Some(Threshold::Medium) => Validation::Medium,
        Some(Threshold::High) => Validation::High,
        Some(other) => return Err(foreign("a validation threshold", other.as_str())),
    }))
}

/// A block that says nothing is none.
fn read_vdm(options: &sdk::VdmOptions) -> Result<Option<Vdm>, Foreign> {
    let dashboard = options
        .dashboard_options
        .as_ref()
        .and_then(|it| it.engagement_metrics.as_ref());
    let guardian = options
        .guardian_options
        .as_ref()
        .and_then(|it| it.optimized_shared_delivery.as_ref());
    let vdm = Vdm {
        engagement_metrics: dashboard.map(read_feature).transpose()?,
        optimized_shared_delivery: guardian.map(read_feature).transpose()?,
    };
    Ok((vdm.engagement_metrics.is_some() || vdm.optimized_shared_delivery.is_some()).then_some(vdm))
}

fn read_signing(options: &sdk::MessageSecurityOptions) -> Result<Option<SmimeSignature>, Foreign> {
    match &options.signing_scheme {
        None | Some(sdk::SigningScheme::DefaultScheme(_)) => Ok(None),
        Some(sdk::SigningScheme::SmimeScheme(smime)) => match &smime.signature_format {
            None | Some(sdk::SignatureFormat::Detached) => Ok(Some(SmimeSignature::Detached)),
            Some(other) => Err(foreign("a signature format", other.as_str())),
        },
        Some(_) => Err(foreign("the signing scheme", "new")),
    }
}

pub(super) fn read_tenant_suppression(
    attributes: Option<sdk::TenantSuppressionAttributes>,
) -> Result<Option<TenantSuppression>, Foreign> {
    let Some(attributes) = attributes else { return Ok(None) };
    let scope = attributes.suppression_scope.as_ref().map(read_scope).transpose()?;
    let reasons = attributes.suppressed_reasons.as_deref().map(read_reasons).transpose()?;
    Ok(TenantSuppression::from_parts(scope, reasons))
}

pub(super) fn read_sending(status: Option<&sdk::SendingStatus>) -> Result<SendingStatus, Foreign> {
    match status {
        None | Some(sdk::SendingStatus::Enabled) => Ok(SendingStatus::Enabled),
        Some(sdk::SendingStatus::Reinstated) => Ok(SendingStatus::Reinstated),
        Some(sdk::SendingStatus::Disabled) => Ok(SendingStatus::Disabled),
        Some(other) => Err(foreign("a sending status", other.as_str())),
    }
}

/// A policy that we do not know is `None`, so that it differs from every wanted one.
pub(super) fn read_policy(arn: Option<&str>) -> Option<ReputationPolicy> {
    match arn.map(|arn| arn.rsplit('/').next().unwrap_or_default()) {
        None | Some("standard") => Some(ReputationPolicy::Standard),
        Some("strict") => Some(ReputationPolicy::Strict),
        Some("none") => Some(ReputationPolicy::None),
        Some(_) => None,
    }
}

/// A destination of a kind or with an event that we do not know is [`ObservedDestination::Other`].
pub(super) fn read_destination(standing: sdk::EventDestination) -> ObservedDestination {
    let kinds = [
        standing.sns_destination.is_some(),
        standing.event_bridge_destination.is_some(),
        standing.kinesis_firehose_destination.is_some(),
        standing.cloud_watch_destination.is_some(),
        standing.pinpoint_destination.is_some(),
    ];
    let event = |theirs: &sdk::EventType| {
        EVENTS
            .into_iter()
            .find(|(_, known)| known == theirs)
            .map(|(ours, _)| ours)
    };
    let events: Option<BTreeSet<EventType>> = standing.matching_event_types.iter().map(event).collect();
    let single = kinds.into_iter().filter(|present| *present).count() == 1;
    let enabled = standing.enabled;
    match (events, read_target(standing)) {
        (Some(events), Some(target)) if single => ObservedDestination::Known(Destination {
            enabled,
            events,
            target,
        }),
        _ => ObservedDestination::Other,
    }
}

fn read_target(standing: sdk::EventDestination) -> Option<Target> {
    if let Some(sns) = standing.sns_destination {
        return Some(Target::Sns {
            topic_arn: sns.topic_arn,
        });
    }
    if let Some(bus) = standing.event_bridge_destination {
        return Some(Target::EventBridge {
            bus_arn: bus.event_bus_arn,
        });
    }
    let firehose = standing.kinesis_firehose_destination?;
    Some(Target::Firehose {
        stream_arn: firehose.delivery_stream_arn,
        role_arn: firehose.iam_role_arn,
    })
}
