//! `MailGuardrail`: what a set of namespaces may do at most.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema, core::Selector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Mode,
    policy::{Ceilings, DeletionPolicy, OtherRecipients},
    schema,
};

/// Reads a selector of namespaces.
///
/// # Errors
/// Which expression means nothing, and why. Kubernetes' own type takes any operator, and In without values as "none".
pub fn read_selector(selector: &LabelSelector) -> Result<Selector, String> {
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let needs_values = match expression.operator.as_str() {
            "In" | "NotIn" => true,
            "Exists" | "DoesNotExist" => false,
            other => {
                return Err(format!(
                    "matchExpressions[{index}].operator `{other}` is unknown: write In, NotIn, Exists or DoesNotExist"
                ));
            }
        };
        if needs_values == expression.values.as_ref().is_none_or(Vec::is_empty) {
            return Err(format!(
                "matchExpressions[{index}].values: In and NotIn need values, Exists and DoesNotExist have none"
            ));
        }
    }
    Selector::try_from(selector.clone()).map_err(|error| error.to_string())
}

/// What a set of namespaces may do at most. Where several select a namespace, all of them hold.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mailpolicy.dev",
    version = "v1alpha1",
    kind = "MailGuardrail",
    status = "MailGuardrailStatus",
    derive = "PartialEq",
    doc = "What a set of namespaces may do at most. Where several guardrails select a namespace, all of them hold.",
    shortname = "mgr",
    category = "mail",
    printcolumn(name = "Max-Mode", type_ = "string", json_path = ".spec.maxMode"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name"),
    printcolumn(name = "Enforcement", type_ = "string", json_path = ".spec.enforcement"),
    printcolumn(name = "Namespaces", type_ = "integer", json_path = ".status.namespaces"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("a name has at most 63 characters: it becomes a label")
)]
#[serde(rename_all = "camelCase")]
pub struct MailGuardrailSpec {
    /// The namespaces this guardrail holds for. Absent selects none; `{}` selects all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_selector")]
    pub namespace_selector: Option<LabelSelector>,

    /// The account these namespaces send with. Guardrails that name different ones close the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<AccountRef>,

    /// Whether the sidecar enforces in mode Restricted, or only reports what it would refuse or change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,

    /// The most permissive mode without a window. Where no guardrail of a namespace says one, it is Paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mode: Option<Mode>,

    /// What a MailWindow may lift the mode to, and for how long. Where no guardrail of a namespace says it, none may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowBound>,

    /// Domains that may be mailed in Restricted: `example.com`, or `*.example.com` for any depth below it. With
    /// `allowedRecipients` one set; a guardrail with either and no `maxMode` counts as Restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::domains")]
    pub allowed_domains: Option<Vec<String>>,

    /// Addresses that may be mailed in Restricted: `qa@example.com` or `qa+*@example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::recipients")]
    pub allowed_recipients: Option<Vec<String>>,

    /// Senders that may be used. Absent: any of the account's identities; `[]`: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::senders")]
    pub senders: Option<Vec<String>>,

    /// Ceilings of a namespace as a whole, taken together with each policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,

    /// How far a namespace's MailSuppressions may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression: Option<SuppressionBound>,

    /// What policies may add to their configuration sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses: Option<SesBound>,

    /// What a policy has where it says nothing itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
}

/// The name of a SendingAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRef {
    /// The account's name.
    #[schemars(schema_with = "schema::label_name")]
    pub name: String,
}

/// Whether the sidecar enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Enforcement {
    /// What the policy forbids does not leave.
    Enforce,
    /// In Restricted, what the policy forbids is counted and reported, and leaves all the same.
    Audit,
}

/// How far and how long a window may lift the mode.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowBound {
    /// The most permissive mode while a window is open.
    pub max_mode: Mode,
    /// The longest time, as a Go duration; windows that touch or overlap count as one.
    #[schemars(schema_with = "schema::duration")]
    pub max_duration: String,
}

/// How far MailSuppressions may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionBound {
    /// Where entries may be put. Absent: the sidecar only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::suppression_scopes")]
    pub scopes: Option<Vec<SuppressionScope>>,
    /// Whether entries which SES made by itself may be released. Absent: Deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

/// Where a suppression entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SuppressionScope {
    /// The namespace's sidecars refuse the address.
    Sidecar,
    /// SES's list of the namespace's tenant.
    Tenant,
    /// SES's list of the whole account.
    Account,
}

/// Whether entries may be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Release {
    /// No.
    Deny,
    /// Yes.
    Allow,
}

/// What policies may add to their configuration sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SesBound {
    /// SNS topics, EventBridge buses and Firehose streams that policies may send events to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::destination_arns")]
    pub event_destination_arns: Option<Vec<String>>,
    /// Dedicated IP pools that policies may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pool_names")]
    pub pools: Option<Vec<String>>,
}

/// What a policy has where it says nothing itself.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode in ['Paused', 'Capture']").message("mail that no policy speaks of is Paused or Capture: write a MailPolicy to send"))]
pub struct Defaults {
    /// The mode of a namespace without a policy, and of messages that no policy matches: Paused or Capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What becomes of recipients that are not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_recipients: Option<OtherRecipients>,
    /// What becomes of SES objects when their policy is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailGuardrailStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready; Stalled as kstatus reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// How many namespaces the guardrail selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_that_means_nothing_is_refused_and_not_read_as_selecting_nobody() {
        let read = |expression| {
            let selector = serde_json::from_value(json!({"matchExpressions": [expression]})).unwrap();
            read_selector(&selector)
                .map(|_| ())
                .map_err(|error| error.contains("matchExpressions[0]"))
        };
        assert_eq!(
            read(json!({"key": "env", "operator": "In", "values": ["prod"]})),
            Ok(())
        );
        assert_eq!(read(json!({"key": "env", "operator": "DoesNotExist"})), Ok(()));
        for wrong in [
            json!({"key": "env", "operator": "in", "values": ["prod"]}),
            json!({"key": "env", "operator": "NotIn", "values": []}),
            json!({"key": "env", "operator": "In"}),
            json!({"key": "env", "operator": "Exists", "values": ["prod"]}),
        ] {
            assert_eq!(read(wrong.clone()), Err(true), "{wrong}");
        }
    }
}
