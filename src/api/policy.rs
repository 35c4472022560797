//! `MailPolicy`: what mail of a namespace, or of one of its features, may do.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, schema, window::WindowPhase};

/// What mail of this namespace may do. Usually there is one; more, with `match`, where one feature's mail must have its
/// own limits and be stopped alone.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mailpolicy.dev",
    version = "v1alpha1",
    kind = "MailPolicy",
    plural = "mailpolicies",
    namespaced,
    status = "MailPolicyStatus",
    derive = "PartialEq",
    doc = "What mail of this namespace may do. Usually there is one; more, with match, where one feature's mail must have its own limits and be stopped alone.",
    shortname = "mp",
    shortname = "mpol",
    category = "mail",
    printcolumn(name = "Mode", type_ = "string", description = "the effective mode", json_path = ".status.mode"),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Asked", type_ = "string", description = "the mode of the spec", json_path = ".spec.mode", priority = "1"),
    printcolumn(name = "Clamped", type_ = "string", json_path = ".status.conditions[?(@.type=='Clamped')].status", priority = "1"),
    printcolumn(name = "Sending", type_ = "string", json_path = ".status.conditions[?(@.type=='SendingEnabled')].status", priority = "1"),
    printcolumn(name = "Configuration-Set", type_ = "string", json_path = ".status.ses.configurationSet", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("a name has at most 63 characters: it becomes a label")
)]
#[serde(rename_all = "camelCase")]
pub struct MailPolicySpec {
    /// The send mode: Paused, Capture, Simulate, Restricted or Live.
    pub mode: Mode,

    /// Which messages this policy is for. Absent: those that no other policy's `match` meets.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub match_: Option<Match>,

    /// Domains that may be mailed in Restricted: `example.com`, or `*.example.com` for any depth below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::domains")]
    pub allowed_domains: Option<Vec<String>>,

    /// Addresses that may be mailed in Restricted: `qa@example.com` or `qa+*@example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::recipients")]
    pub allowed_recipients: Option<Vec<String>>,

    /// What becomes of the other recipients in Restricted. Absent: the guardrails' default, else Capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_recipients: Option<OtherRecipients>,

    /// What the subject of a message begins with that is not mailed as it came, like `[staging]`. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::subject_prefix")]
    pub subject_prefix: Option<String>,

    /// Senders that may be used. Absent: as the guardrails say, else any of the account's identities; `[]`: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::senders")]
    pub senders: Option<Vec<String>>,

    /// Ceilings of this policy's mail, in recipients. Absent everywhere: the account's own quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<PolicyCeilings>,

    /// Which bounces and complaints SES records and then suppresses. Absent: as the account does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression: Option<SuppressionOptions>,

    /// Options of the configuration set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses: Option<SesOptions>,

    /// What becomes of SES objects when this policy is deleted. Absent: the guardrails' default, else Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Which messages a policy is for; what is named must all hold.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.senders) && self.senders.size() > 0) || has(self.header)").message("name senders, a header, or both; for all other mail leave match out"))]
pub struct Match {
    /// The header From is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::senders")]
    pub senders: Option<Vec<String>>,
    /// A header one of whose lines has exactly this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderMatch>,
}

/// A header line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderMatch {
    /// The header's name, compared without case.
    #[schemars(schema_with = "schema::header_name")]
    pub name: String,
    /// The line's whole value, compared exactly.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
}

/// What becomes of a recipient that is not allowed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.action == 'Redirect') == has(self.to)").message("Redirect needs `to`, the address that gets the mail instead, and no other action has it")
)]
pub struct OtherRecipients {
    /// Reject, Capture, Simulate or Redirect.
    pub action: OtherAction,
    /// The address that gets the mail instead; `{local}` and `{domain}` stand for the parts of the original recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::redirect_target")]
    pub to: Option<String>,
}

/// What becomes of a recipient that is not allowed, from most restrictive to most permissive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum OtherAction {
    /// Refused.
    Reject,
    /// Kept in the capture store.
    Capture,
    /// Replaced by a mailbox-simulator address.
    Simulate,
    /// Replaced by an address of ours.
    Redirect,
}

/// Ceilings in recipients, as SES counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ceilings {
    /// All recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rates")]
    pub recipients: Option<Vec<String>>,
    /// Recipients to whom nothing was ever delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rates")]
    pub new_recipients: Option<Vec<String>>,
}

/// Ceilings of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyCeilings {
    /// All recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rates")]
    pub recipients: Option<Vec<String>>,
    /// Recipients to whom nothing was ever delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rates")]
    pub new_recipients: Option<Vec<String>>,
    /// Messages to any one recipient, per pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rates")]
    pub per_recipient: Option<Vec<String>>,
    /// How long a message may wait for its turn before it is deferred, at most a minute. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::max_wait")]
    pub max_wait: Option<String>,
}

/// Suppression at the configuration set. Absent is not empty: two variants, never one list.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Only') == has(self.only)").message("type Only needs `only`, the list of reasons (perhaps empty); type Inherit has none"),
    validation = Rule::new("self.type == 'Only' || !(has(self.scope) || has(self.validation))").message("scope and validation go with type Only")
)]
pub struct SuppressionOptions {
    /// Inherit the tenant's or account's settings, or exactly these.
    #[serde(rename = "type")]
    pub type_: SuppressionType,
    /// The reasons for which SES suppresses; an empty list suppresses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::suppression_reasons")]
    pub only: Option<Vec<SuppressionReason>>,
    /// Whose list is read and written. Absent: Account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<SesListScope>,
    /// How sure SES must be of an address before it delivers to it. Absent: as the account does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// Whether a set has suppression settings of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SuppressionType {
    /// The tenant's or account's settings.
    Inherit,
    /// Exactly these.
    Only,
}

/// Why an address is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SuppressionReason {
    /// It bounced for good.
    Bounce,
    /// Its owner complained.
    Complaint,
}

/// Whose suppression list SES uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SesListScope {
    /// The account's.
    Account,
    /// The tenant's.
    Tenant,
}

/// SES's validation of addresses before it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Validation {
    /// None.
    Off,
    /// SES chooses the threshold.
    Managed,
    /// Only addresses of low confidence are dropped.
    Medium,
    /// Only addresses of high confidence are mailed.
    High,
}

/// Options of the configuration set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SesOptions {
    /// Whether mail leaves only over TLS. Absent: Optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long SES tries to deliver, from 5m to 14h, as a Go duration. Absent: 14h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::max_delivery")]
    pub max_delivery: Option<String>,
    /// The dedicated IP pool; a guardrail must list it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub pool: Option<String>,
    /// Whether SES publishes this set's reputation to CloudWatch. Absent: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reputation_metrics: Option<bool>,
    /// The domain of open and click tracking links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
    /// Virtual Deliverability Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vdm: Option<Vdm>,
    /// A Mail Manager archive that keeps a copy of everything sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// Whether SES signs messages with S/MIME. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smime: Option<Smime>,
    /// Where SES reports events of this policy's mail besides the account's feedback; a guardrail must list each ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::event_destinations")]
    pub event_destinations: Option<Vec<EventDestination>>,
}

/// Whether mail leaves only over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tls {
    /// Only over TLS.
    Require,
    /// Over TLS where the receiver offers it.
    Optional,
}

/// Open and click tracking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracking {
    /// A verified domain that tracking links use.
    #[schemars(schema_with = "schema::host_name")]
    pub redirect_domain: String,
    /// Which links use https. Absent: as the original link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<Https>,
}

/// Which tracking links use https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Https {
    /// All.
    Require,
    /// Open tracking only.
    RequireOpenOnly,
    /// As the original link.
    Optional,
}

/// Virtual Deliverability Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vdm {
    /// Whether engagement is tracked. Absent: as the account does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engagement_metrics: Option<bool>,
    /// Whether shared IPs are chosen for delivery. Absent: as the account does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimized_shared_delivery: Option<bool>,
}

/// A Mail Manager archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Archive {
    /// The archive's ARN.
    #[schemars(schema_with = "schema::archive_arn")]
    pub arn: String,
}

/// S/MIME signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Smime {
    /// None.
    Off,
    /// A detached signature, by the identity's certificate.
    Detached,
}

/// Where SES reports events.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.arn.contains(':firehose:') == has(self.roleArn)").message("a Firehose stream needs roleArn, the role SES assumes to write to it; SNS topics and buses have none"))]
pub struct EventDestination {
    /// The ARN of an SNS topic, of the default EventBridge bus or of a Firehose stream.
    #[schemars(schema_with = "schema::destination_arn")]
    pub arn: String,
    /// The role SES assumes to write to a Firehose stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::role_arn")]
    pub role_arn: Option<String>,
    /// The events to report.
    #[schemars(schema_with = "schema::event_types")]
    pub events: Vec<EventType>,
}

/// What SES reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// SES accepted the message.
    Send,
    /// SES rejected it after accepting it, for a virus.
    Reject,
    /// It bounced for good, or after the last try.
    Bounce,
    /// Its recipient complained.
    Complaint,
    /// The receiver accepted it.
    Delivery,
    /// It was opened.
    Open,
    /// A link in it was followed.
    Click,
    /// Its template could not be rendered.
    RenderingFailure,
    /// It waits for a receiver with a passing fault.
    DeliveryDelay,
    /// Its recipient changed subscriptions.
    Subscription,
}

/// What becomes of SES objects when their policy is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Sending is switched off; the objects stay.
    Retain,
    /// They are deleted.
    Delete,
}

/// What the operator made of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailPolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Clamped, Programmed, SendingEnabled, WithinQuota, Ready; Drifted and Reinstated while they are true;
    /// Reconciling and Stalled as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The effective mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The SendingAccount in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Every effective value, and whose word it is. Mailboxes are counted, not named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::effective_values")]
    pub effective: Vec<EffectiveValue>,
    /// Its windows: open and scheduled ones first, then the latest of those that are over or refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::policy_windows")]
    pub windows: Vec<PolicyWindow>,
    /// Who enforces the ceilings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings_enforced_by: Option<String>,
    /// What stands in SES for this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses: Option<SesStatus>,
}

/// One effective value with its provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveValue {
    /// The field of the spec.
    pub field: String,
    /// The value in force.
    pub value: String,
    /// Whose word it is, like `MailGuardrail/nonprod`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

/// The most windows that a status shows.
pub const POLICY_WINDOWS_MAX: u32 = 16;

/// A MailWindow of a policy, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyWindow {
    /// The MailWindow's name.
    pub name: String,
    /// The mode while it is open.
    pub mode: Mode,
    /// When it opens.
    pub from: Time,
    /// When it closes.
    pub until: Time,
    /// Scheduled, Open, Closed or Refused.
    pub phase: WindowPhase,
}

/// What stands in SES for a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SesStatus {
    /// The SendingAccount through which it was made.
    #[serde(default)]
    pub account: String,
    /// The configuration set's name.
    pub configuration_set: String,
    /// The configuration set's ARN, once the account's number is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The region.
    pub region: String,
    /// The role assumed for the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The tenant's name, with Tenant isolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What of the tenant was applied: a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_applied: Option<String>,
    /// The sending switch as it was last intended; written before SES is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_sending: Option<bool>,
    /// The mode that it was programmed for: until SES stands otherwise, mail opens no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programmed_mode: Option<Mode>,
    /// Whether somebody else switched sending off in SES, which is respected until it is switched on there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", rename = "pausedInSES")]
    pub paused_in_ses: bool,
    /// What was applied: a hash for each group of options and each event destination.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub applied: BTreeMap<String, String>,
}
