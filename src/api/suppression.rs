//! `MailSuppression`: addresses and domains that must not be mailed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{guardrail::SuppressionScope, policy::SuppressionReason, schema};

/// Addresses and domains that must not be mailed, and entries to be taken off.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mailpolicy.dev",
    version = "v1alpha1",
    kind = "MailSuppression",
    namespaced,
    status = "MailSuppressionStatus",
    derive = "PartialEq",
    doc = "Addresses and domains that must not be mailed, and entries to be taken off.",
    shortname = "ms",
    shortname = "msup",
    category = "mail",
    printcolumn(name = "Entries", type_ = "integer", json_path = ".status.entries"),
    printcolumn(name = "Applied", type_ = "integer", json_path = ".status.applied"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("a name has at most 63 characters: it becomes a label")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.release) || size(self.release) == 0 || self.scopes.exists(scope, scope != 'Sidecar')").message("release takes addresses off SES's lists: name them by scopes, Account or Tenant"))]
pub struct MailSuppressionSpec {
    /// Entries written here. Addresses are personal data: the Secret is the better place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::suppression_entries")]
    pub entries: Vec<SuppressionEntry>,

    /// A key of the namespace's Secret `mail-suppression-list` with more entries, one a line: an address or a domain,
    /// then optionally a comma and a reason, then a comma and an expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<SecretKey>,

    /// Where the entries are put, as far as the guardrails let them. Domains stand in the sidecar only.
    #[serde(default = "sidecar", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::suppression_scopes")]
    pub scopes: Vec<SuppressionScope>,

    /// Addresses to take off SES's lists, also where SES put them on by itself, as far as the guardrails let it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::addresses")]
    pub release: Vec<String>,
}

fn sidecar() -> Vec<SuppressionScope> {
    vec![SuppressionScope::Sidecar]
}

/// One address or domain.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.address) != has(self.domain)").message("an entry names an address or a domain, one of them"))]
pub struct SuppressionEntry {
    /// A whole address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub address: Option<String>,
    /// A domain, or `*.domain` for any depth below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::domain")]
    pub domain: Option<String>,
    /// Why.
    #[serde(default = "bounce")]
    pub reason: SuppressionReason,
    /// When the entry ends. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

fn bounce() -> SuppressionReason {
    SuppressionReason::Bounce
}

/// A key of the Secret `mail-suppression-list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKey {
    /// The key.
    #[schemars(schema_with = "schema::secret_key")]
    pub key: String,
}

/// What the operator made of the entries. Addresses are only counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailSuppressionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Programmed, Ready; Reconciling and Stalled as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Entries in force, of the spec and the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
    /// Entries that stand on SES's lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u32>,
    /// The next moment an entry expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,
}
