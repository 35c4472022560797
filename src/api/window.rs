//! `MailWindow`: a send mode for a while only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, schema};

/// Lifts a policy's mode from one moment to another, as far as the guardrails let it. Kept as a record.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mailpolicy.dev",
    version = "v1alpha1",
    kind = "MailWindow",
    namespaced,
    status = "MailWindowStatus",
    derive = "PartialEq",
    doc = "Lifts a policy's mode from one moment to another, as far as the guardrails let it. Kept as a record.",
    shortname = "mw",
    category = "mail",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "From", type_ = "string", json_path = ".spec.from"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.until"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = "1"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("a name has at most 63 characters: it becomes a label")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.until > self.from").message("a window ends after it begins: until must be later than from"),
    validation = Rule::new("self.policyRef == oldSelf.policyRef && self.mode == oldSelf.mode && self.from == oldSelf.from && self.reason == oldSelf.reason").message("a window is a record: only until may change; make a new MailWindow"),
    validation = Rule::new("self.until <= oldSelf.until").message("until may only become earlier; for more time make a new MailWindow")
)]
pub struct MailWindowSpec {
    /// The policy whose mode is lifted.
    pub policy_ref: PolicyRef,
    /// The mode while the window is open. One below the policy's own changes nothing.
    pub mode: Mode,
    /// When it opens.
    pub from: Time,
    /// When it closes. May be changed, to earlier only.
    pub until: Time,
    /// Why.
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
}

/// The name of a MailPolicy of the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRef {
    /// The policy's name.
    #[schemars(schema_with = "schema::label_name")]
    pub name: String,
}

/// Where a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WindowPhase {
    /// It has not opened yet.
    Scheduled,
    /// It is open.
    Open,
    /// It has been open and is over.
    Closed,
    /// It never opens; the message says why.
    Refused,
}

/// What the operator made of the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailWindowStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Scheduled, Open, Closed or Refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<WindowPhase>,
    /// Why it is refused, or what bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the operator first saw it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Time>,
    /// Ready; Stalled as kstatus reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
