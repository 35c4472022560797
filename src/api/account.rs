//! `SendingAccount`: one SES account in one region.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// One SES account in one region, described by the platform team. Guardrails give namespaces to it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mailpolicy.dev",
    version = "v1alpha1",
    kind = "SendingAccount",
    status = "SendingAccountStatus",
    derive = "PartialEq",
    doc = "One SES account in one region, described by the platform team. Guardrails give namespaces to it.",
    shortname = "sacc",
    category = "mail",
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Cluster-ID", type_ = "string", json_path = ".spec.clusterId"),
    printcolumn(name = "Enforcement", type_ = "string", json_path = ".status.enforcementStatus"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Sent-24h", type_ = "integer", json_path = ".status.quota.sentLast24Hours", priority = "1"),
    printcolumn(name = "Max-24h", type_ = "integer", json_path = ".status.quota.max24Hours", priority = "1"),
    printcolumn(name = "Per-Second", type_ = "number", json_path = ".status.quota.maxPerSecond", priority = "1"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("a name has at most 63 characters: it becomes a label")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.clusterId == oldSelf.clusterId").message("clusterId cannot change: it is part of the name of everything made in SES. Make a new SendingAccount and move the guardrails to it"),
    validation = Rule::new("self.region == oldSelf.region").message("region cannot change: configuration sets do not move. Make a new SendingAccount and move the guardrails to it")
)]
pub struct SendingAccountSpec {
    /// The AWS region whose SES is used.
    #[schemars(schema_with = "schema::region")]
    pub region: String,

    /// Names this cluster in SES: part of every name and tag, so that two clusters may share an account. Immutable.
    #[schemars(schema_with = "schema::cluster_id")]
    pub cluster_id: String,

    /// Where SES is reached, for an emulator or simulator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub endpoint_url: Option<String>,

    /// The IAM role assumed for the control plane. Absent: the operator's own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_role: Option<Role>,

    /// What separates namespaces in SES.
    #[serde(default)]
    pub isolation: Isolation,

    /// The verified identities from which this account's namespaces may send. A domain covers its sub-domains, as in SES.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub identities: Vec<Identity>,

    /// How fast SES's control plane may be called. Share SES's one call a second out between clusters.
    #[serde(default)]
    pub api_budget: ApiBudget,

    /// Where SES reports bounces, complaints and deliveries.
    pub feedback: Feedback,
}

/// An IAM role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// The role's ARN.
    #[schemars(schema_with = "schema::role_arn")]
    pub arn: String,
    /// The external id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    pub external_id: Option<String>,
}

/// What separates namespaces in SES.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Isolation {
    /// One configuration set a policy.
    #[default]
    ConfigurationSet,
    /// Besides, one tenant a namespace, with its own reputation.
    Tenant,
}

/// A verified identity of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// A domain or an address, as it is verified in SES.
    #[schemars(schema_with = "schema::identity")]
    pub name: String,
    /// Whether the identity's default configuration set is one that cannot send, so that a message which names no
    /// configuration set is refused by SES.
    #[serde(default)]
    pub sealed: bool,
}

/// How fast SES's control plane may be called.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiBudget {
    /// Calls a second, in the long run.
    #[serde(default = "one")]
    #[schemars(schema_with = "schema::per_second")]
    pub per_second: f64,
    /// Calls that may be made at once after a quiet time. From 2 on, one of them is kept for stop requests.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 10000))]
    pub burst: u32,
}

fn one() -> f64 {
    1.0
}

fn two() -> u32 {
    2
}

impl Default for ApiBudget {
    fn default() -> Self {
        Self {
            per_second: one(),
            burst: two(),
        }
    }
}

/// Where SES reports what became of the mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// The event destination that every configuration set of this account gets.
    pub destination: FeedbackDestination,
}

/// One kind of event destination.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.sns) != has(self.eventBridge)").message("name exactly one of sns and eventBridge"))]
pub struct FeedbackDestination {
    /// An SNS topic: events arrive at least once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sns: Option<SnsTopic>,
    /// The default EventBridge bus of the account and region: events arrive at best effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bridge: Option<DefaultBus>,
}

/// An SNS topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnsTopic {
    /// The topic's ARN; FIFO topics are refused by SES.
    #[schemars(schema_with = "schema::topic_arn")]
    pub topic_arn: String,
}

/// The default EventBridge bus; SES accepts no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefaultBus {}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendingAccountStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Healthy, `IdentitiesVerified`, `WithinQuota`; `IdentitiesSealed` where a seal is wanted; `InUse` while it is
    /// being deleted; Reconciling and Stalled as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The AWS account's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// SES's sending quota, and what of it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// SES's word on the account: HEALTHY, PROBATION (under review) or SHUTDOWN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement_status: Option<String>,
    /// Whether the account is in the sandbox, where mail reaches verified recipients only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<bool>,
    /// Whether SES's account-wide switch is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_enabled: Option<bool>,
    /// The identities of the spec as SES knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<IdentityStatus>,
    /// The recipients of a day that the ceilings of all its namespaces allow together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings_per_day: Option<i64>,
    /// The identities that are sealed, or may be: those of the spec, and those that left it and are yet to be given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<SealStatus>,
    /// Configuration sets of this cluster that SES listed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_sets: Option<u32>,
    /// When SES was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_observed: Option<Time>,
}

/// SES's sending quota in recipients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Recipients in any 24 hours; -1 is unlimited.
    pub max24_hours: i64,
    /// Recipients a second.
    pub max_per_second: f64,
    /// Recipients of the last 24 hours, of whoever sends with this account.
    pub sent_last24_hours: i64,
}

/// An identity as SES knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// The identity.
    pub name: String,
    /// Whether SES lets it send.
    pub verified: bool,
    /// Whether its default configuration set is the account's sealed one.
    pub sealed: bool,
    /// What is wrong, and how to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An identity whose default configuration set is the account's sealed one, or may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealStatus {
    /// A keyed hash of the identity, which may be an address.
    pub identity: String,
    /// Whether a call for it may be under way: only reading tells whether it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
}
