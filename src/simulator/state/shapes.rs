//! Structures of the API model that the account keeps as they came over the wire, and their own limits.

use serde::{Deserialize, Serialize};

use crate::simulator::wire::ApiError;

/// Declares an enumeration of the model: the wire words are the variants in upper snake case.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }
    };
}

words! {
    /// Whether SES insists on TLS towards the recipient's server.
    TlsPolicy {
        /// No delivery without TLS.
        Require,
        /// TLS where offered.
        Optional,
    }
}
words! {
    /// When tracking links use HTTPS.
    HttpsPolicy {
        /// For opens and clicks.
        Require,
        /// For opens only.
        RequireOpenOnly,
        /// As the original link.
        Optional,
    }
}
words! {
    /// A switch of VDM and of validation.
    Toggle {
        /// On.
        Enabled,
        /// Off.
        Disabled,
    }
}
words! {
    /// Why an address is on a suppression list.
    Reason {
        /// A hard bounce.
        Bounce,
        /// A complaint.
        Complaint,
    }
}
words! {
    /// Whose suppression list is checked.
    Scope {
        /// The account's.
        Account,
        /// The tenant's alone.
        Tenant,
    }
}
words! {
    /// How sure validation must be of an address.
    Verdict {
        /// Drops only the bad ones.
        Medium,
        /// Delivers only to good ones.
        High,
        /// SES chooses.
        Managed,
    }
}
words! {
    /// Form of an S/MIME signature.
    SignatureFormat {
        /// Beside the content.
        Detached,
    }
}
words! {
    /// What an event destination may receive.
    EventType {
        /// Accepted by SES.
        Send,
        /// Refused for its content.
        Reject,
        /// Bounced.
        Bounce,
        /// Complained about.
        Complaint,
        /// Delivered.
        Delivery,
        /// Opened.
        Open,
        /// Clicked.
        Click,
        /// The template could not be filled in.
        RenderingFailure,
        /// Delayed.
        DeliveryDelay,
        /// Unsubscribed, or its preferences changed.
        Subscription,
    }
}
words! {
    /// Where the value of a `CloudWatch` dimension comes from.
    DimensionValueSource {
        /// A message tag.
        MessageTag,
        /// A header.
        EmailHeader,
        /// A link's tag.
        LinkTag,
    }
}
words! {
    /// Sending status of a reputation entity.
    SendingStatus {
        /// May send.
        Enabled,
        /// May send; active findings are ignored until all are resolved.
        Reinstated,
        /// May not send.
        Disabled,
    }
}
words! {
    /// Weight of a finding.
    Impact {
        /// Low.
        Low,
        /// High.
        High,
    }
}
words! {
    /// State of a finding.
    FindingStatus {
        /// It still stands.
        Open,
        /// It is resolved.
        Fixed,
    }
}
words! {
    /// What SES does when the MAIL FROM domain has no MX record.
    MxFailure {
        /// Uses its own domain.
        UseDefaultValue,
        /// Refuses the message.
        RejectMessage,
    }
}

impl MxFailure {
    /// Whether mail is refused then.
    #[must_use]
    pub const fn rejects(self) -> bool {
        matches!(self, Self::RejectMessage)
    }
}

/// `SendingOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendingOptions {
    /// Whether the set may send. **Absent means off**, in SES as here.
    #[serde(default)]
    pub sending_enabled: bool,
}

/// `ReputationOptions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReputationOptions {
    /// Whether reputation metrics of the set go to `CloudWatch`.
    #[serde(default)]
    pub reputation_metrics_enabled: bool,
    /// When the set's rates last started anew, in epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fresh_start: Option<i64>,
}

/// `DeliveryOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeliveryOptions {
    /// TLS towards the recipient.
    #[serde(default = "DeliveryOptions::default_tls")]
    pub tls_policy: TlsPolicy,
    /// A dedicated pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_pool_name: Option<String>,
    /// How long SES tries, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delivery_seconds: Option<u32>,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            tls_policy: Self::default_tls(),
            sending_pool_name: None,
            max_delivery_seconds: None,
        }
    }
}

impl DeliveryOptions {
    const fn default_tls() -> TlsPolicy {
        TlsPolicy::Optional
    }

    pub(super) fn check(&self) -> Result<(), ApiError> {
        match self.max_delivery_seconds {
            Some(seconds) if !(300..=50_400).contains(&seconds) => Err(ApiError::bad_request(format!(
                "MaxDeliverySeconds must be between 300 and 50400, it is {seconds}."
            ))),
            _ => Ok(()),
        }
    }
}

/// `TrackingOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrackingOptions {
    /// The domain of tracking links; must be verified.
    pub custom_redirect_domain: String,
    /// HTTPS on tracking links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_policy: Option<HttpsPolicy>,
}

/// `SuppressionOptions` of a configuration set. The whole block absent means: inherit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SuppressionOptions {
    /// The reasons that count. **Absent means none**, in SES as here.
    #[serde(default)]
    pub suppressed_reasons: Vec<Reason>,
    /// Whose list is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppression_scope: Option<Scope>,
    /// Auto Validation of the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_options: Option<Validation>,
}

/// `SuppressionValidationOptions` and `SuppressionValidationAttributes`, which have one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Validation {
    /// The condition.
    pub condition_threshold: ConditionThreshold,
}

/// `SuppressionConditionThreshold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConditionThreshold {
    /// Whether validation is on.
    pub condition_threshold_enabled: Toggle,
    /// How sure it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall_confidence_threshold: Option<ConfidenceThreshold>,
}

/// `SuppressionConfidenceThreshold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfidenceThreshold {
    /// The verdict asked for.
    pub confidence_verdict_threshold: Verdict,
}

/// `TenantSuppressionAttributes`: both members or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TenantSuppressionAttributes {
    /// The reasons that count; an empty list with a scope is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_reasons: Option<Vec<Reason>>,
    /// Whose list is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppression_scope: Option<Scope>,
}

impl TenantSuppressionAttributes {
    /// What is kept: `None` where neither member is there.
    pub(super) fn checked(self) -> Result<Option<Self>, ApiError> {
        match (&self.suppressed_reasons, self.suppression_scope) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Ok(Some(self)),
            _ => Err(ApiError::bad_request(
                "SuppressionScope and SuppressedReasons must be given together, or neither of them.",
            )),
        }
    }
}

/// `VdmOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VdmOptions {
    /// The dashboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard_options: Option<DashboardOptions>,
    /// Optimised delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardian_options: Option<GuardianOptions>,
}

/// `DashboardOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DashboardOptions {
    /// Whether opens and clicks are collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement_metrics: Option<Toggle>,
}

/// `GuardianOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GuardianOptions {
    /// Whether SES may spread delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimized_shared_delivery: Option<Toggle>,
}

/// `ArchivingOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchivingOptions {
    /// The Mail Manager archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_arn: Option<String>,
}

impl ArchivingOptions {
    pub(super) fn check(&self) -> Result<(), ApiError> {
        match &self.archive_arn {
            Some(arn) if !is_archive_arn(arn) => Err(ApiError::bad_request(format!(
                "ArchiveArn {arn} is not the ARN of a Mail Manager archive."
            ))),
            _ => Ok(()),
        }
    }
}

/// The model's pattern `arn:(aws|aws-…):ses:<region>:<account>:mailmanager-archive/a-[a-z0-9]{24,62}`.
fn is_archive_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else {
        return false;
    };
    let archive_id = resource.strip_prefix("mailmanager-archive/a-").unwrap_or_default();
    scheme == "arn"
        && (partition == "aws" || partition.starts_with("aws-"))
        && service == "ses"
        && !region.is_empty()
        && (1..=20).contains(&account.len())
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (24..=62).contains(&archive_id.len())
        && archive_id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `MessageSecurityOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageSecurityOptions {
    /// How messages are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_scheme: Option<SigningScheme>,
}

impl MessageSecurityOptions {
    pub(super) fn check(&self) -> Result<(), ApiError> {
        match &self.signing_scheme {
            Some(scheme) if scheme.default_scheme.is_some() == scheme.smime_scheme.is_some() => Err(
                ApiError::bad_request("SigningScheme must have exactly one of DefaultScheme and SmimeScheme."),
            ),
            _ => Ok(()),
        }
    }
}

/// `SigningScheme`: a union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SigningScheme {
    /// SES's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_scheme: Option<DefaultSigningScheme>,
    /// S/MIME.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smime_scheme: Option<SmimeSigningScheme>,
}

/// `DefaultSigningScheme`: no members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultSigningScheme {}

/// `SmimeSigningScheme`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SmimeSigningScheme {
    /// The signature's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_format: Option<SignatureFormat>,
}

/// `Tag`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// 0 to 256 characters.
    pub value: String,
}
