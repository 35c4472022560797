//! Schemas of the texts in a `spec`: bounded, and refused with a sentence that says how to mend them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    guardrail::SuppressionScope,
    policy::{EffectiveValue, EventDestination, EventType, POLICY_WINDOWS_MAX, PolicyWindow, SuppressionReason},
    suppression::SuppressionEntry,
};

/// A bounded string which must meet a CEL rule.
fn text(max: u32, rule: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": max,
        "x-kubernetes-validations": [{"rule": rule, "message": message}],
    })
}

/// A list that behaves as a set: no duplicates, merged by value.
fn set(max: u32, items: &Schema) -> Schema {
    json_schema!({"type": "array", "maxItems": max, "x-kubernetes-list-type": "set", "items": items})
}

const RATE_RULE: &str = "self.matches('^[0-9][0-9_]*/([0-9][0-9_]*)?[smhd]$') && !self.matches('^[0_]+/') && !self.matches('/0[0_]*[smhd]$')";
const RATE_MESSAGE: &str = "a rate is a count, a slash and a period, like 5/s, 1_000/h, 20/30m or 5000/d; it is never 0 (to send nothing, say mode Paused)";

const EXPRESSION_RULE: &str = "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)";
const EXPRESSION_MESSAGE: &str = "In and NotIn need values, Exists and DoesNotExist have none";

/// A selector of namespaces, as Kubernetes has it, of which only what it can mean is accepted.
pub(super) fn namespace_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object", "maxProperties": 32, "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "description": "What must hold of a namespace's labels, all of it.",
                "type": "array", "maxItems": 32,
                "items": {
                    "description": "What must hold of one label.",
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": {"description": "The label.", "type": "string", "minLength": 1, "maxLength": 317},
                        "operator": {
                            "description": "How the label and the values relate.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values, with In and NotIn.",
                            "type": "array", "maxItems": 256, "items": {"type": "string", "maxLength": 63},
                        },
                    },
                    "x-kubernetes-validations": [{"rule": EXPRESSION_RULE, "message": EXPRESSION_MESSAGE}],
                },
            },
        },
    })
}

/// A list of rates.
pub(super) fn rates(_: &mut SchemaGenerator) -> Schema {
    set(8, &text(32, RATE_RULE, RATE_MESSAGE))
}

const DOMAIN_RULE: &str = r"self.matches('^([*][.])?[^@*/:\\s]+[.][^@*/:\\s]+$')";
const DOMAIN_MESSAGE: &str =
    "write a domain like example.com, or *.example.com for every domain below it (not example.com itself)";

/// A list of `domain` or `*.domain`.
pub(super) fn domains(_: &mut SchemaGenerator) -> Schema {
    set(128, &text(253, DOMAIN_RULE, DOMAIN_MESSAGE))
}

/// A list of `address` or `prefix*@domain`.
pub(super) fn recipients(_: &mut SchemaGenerator) -> Schema {
    set(
        128,
        &text(
            320,
            r"self.matches('^[^@*\\s]*[*]?@[^@*/:\\s]+[.][^@*/:\\s]+$') && !self.startsWith('@')",
            "write an address like qa@example.com, or a beginning with * before the @, like qa+*@example.com",
        ),
    )
}

/// A list of senders: an address, `prefix*@domain`, a domain or `*.domain`.
pub(super) fn senders(_: &mut SchemaGenerator) -> Schema {
    set(
        128,
        &text(
            320,
            r"self.matches('^([^@*\\s]*[*]?@|[*][.])?[^@*/:\\s]+[.][^@*/:\\s]+$') && !self.startsWith('@')",
            "write a sender like no-reply@example.com, *@example.com, example.com or *.example.com",
        ),
    )
}

const DURATION_RULE: &str = "self.matches('^([0-9]+(h|m|s|ms))+$') && duration(self) > duration('0s')";

/// A positive Go duration.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    text(
        16,
        DURATION_RULE,
        "write a duration above zero with units h, m, s or ms, like 4h or 1h30m",
    )
}

const DESTINATION_RULE: &str = "self.matches('^arn:[a-z0-9-]+:(sns|events|firehose):[a-z0-9-]+:[0-9]{12}:.+$')";
const DESTINATION_MESSAGE: &str = "write the ARN of an SNS topic, an EventBridge bus or a Firehose stream, like arn:aws:sns:eu-west-1:123456789012:topic";

/// A list of ARNs of event destinations.
pub(super) fn destination_arns(_: &mut SchemaGenerator) -> Schema {
    set(32, &text(512, DESTINATION_RULE, DESTINATION_MESSAGE))
}

/// A list of names of dedicated IP pools.
pub(super) fn pool_names(_: &mut SchemaGenerator) -> Schema {
    set(
        32,
        &text(
            64,
            "self.matches('^[A-Za-z0-9_-]+$')",
            "a pool name has up to 64 letters, digits, _ or -",
        ),
    )
}

/// A name that becomes part of names and labels elsewhere.
pub(super) fn label_name(_: &mut SchemaGenerator) -> Schema {
    text(
        63,
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "use up to 63 lower-case letters, digits and -, beginning and ending with a letter or digit",
    )
}

/// The ARN of an IAM role.
pub(super) fn role_arn(_: &mut SchemaGenerator) -> Schema {
    text(
        512,
        "self.matches('^arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+$')",
        "write the ARN of an IAM role, like arn:aws:iam::123456789012:role/mail",
    )
}

/// The ARN of a standard SNS topic.
pub(super) fn topic_arn(_: &mut SchemaGenerator) -> Schema {
    text(
        512,
        "self.matches('^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$')",
        "write the ARN of a standard SNS topic, like arn:aws:sns:eu-west-1:123456789012:mail-feedback (SES refuses FIFO topics)",
    )
}

/// An AWS region.
pub(super) fn region(_: &mut SchemaGenerator) -> Schema {
    text(
        32,
        "self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]$')",
        "write a region like eu-west-1",
    )
}

/// An http or https address of an emulator.
pub(super) fn endpoint_url(_: &mut SchemaGenerator) -> Schema {
    text(
        256,
        "self.matches('^https?://[^/ ]+(/.*)?$')",
        "write the whole address of the emulator, like http://127.0.0.1:8080",
    )
}

/// The part of every SES name that says which cluster made it.
pub(super) fn cluster_id(_: &mut SchemaGenerator) -> Schema {
    text(
        20,
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "use up to 20 lower-case letters, digits and -, beginning and ending with a letter or digit",
    )
}

/// An SES identity: a domain or an address.
pub(super) fn identity(_: &mut SchemaGenerator) -> Schema {
    text(
        254,
        r"self.matches('^([^@*\\s]+@)?[^@*/:\\s]+[.][^@*/:\\s]+$')",
        "write a domain like example.com or an address like jo@example.com, as it is verified in SES",
    )
}

/// Conditions, a map by type.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    map("type", 16, &generator.subschema_for::<Condition>())
}

/// A set of suppression scopes.
pub(super) fn suppression_scopes(generator: &mut SchemaGenerator) -> Schema {
    set(3, &generator.subschema_for::<SuppressionScope>())
}

/// A set of suppression reasons.
pub(super) fn suppression_reasons(generator: &mut SchemaGenerator) -> Schema {
    set(2, &generator.subschema_for::<SuppressionReason>())
}

/// A header's name.
pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    text(
        126,
        "self.matches('^[A-Za-z0-9-]+$')",
        "a header name has letters, digits and -, like X-Mail-Stream, and no colon",
    )
}

/// What marks a subject.
pub(super) fn subject_prefix(_: &mut SchemaGenerator) -> Schema {
    text(
        64,
        "self.matches('^[!-~]([ -~]*[!-~])?$')",
        "write printable ASCII that does not begin or end with a space, like [staging]",
    )
}

/// Where redirected mail goes.
pub(super) fn redirect_target(_: &mut SchemaGenerator) -> Schema {
    text(
        320,
        r"self.matches('^[^@*\\s]+@[^@*/:{}\\s]+[.][^@*/:{}\\s]+$')",
        "write an address of yours, perhaps with {local} and {domain} before the @, like qa+{local}.{domain}@example.com",
    )
}

/// A Go duration of at most a minute.
pub(super) fn max_wait(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("{DURATION_RULE} && duration(self) <= duration('1m')");
    text(
        16,
        &rule,
        "write a duration from 1ms to 1m, like 2s: who sends must not wait longer",
    )
}

/// SES's bounds of `MaxDeliverySeconds`.
pub(super) fn max_delivery(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("{DURATION_RULE} && duration(self) >= duration('5m') && duration(self) <= duration('14h')");
    text(16, &rule, "write a duration from 5m to 14h, like 4h")
}

/// A host name.
pub(super) fn host_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        r"self.matches('^[^@*/:\\s]+[.][^@*/:\\s]+$')",
        "write a domain like links.example.com",
    )
}

/// The ARN of a Mail Manager archive.
pub(super) fn archive_arn(_: &mut SchemaGenerator) -> Schema {
    text(
        1011,
        "self.matches('^arn:aws[a-z-]*:ses:[a-z]{2,4}-[a-z-]+-[0-9]:[0-9]{1,20}:mailmanager-archive/a-[a-z0-9]{24,62}$')",
        "write the ARN of a Mail Manager archive, like arn:aws:ses:eu-west-1:123456789012:mailmanager-archive/a-…",
    )
}

/// The ARN of one event destination.
pub(super) fn destination_arn(_: &mut SchemaGenerator) -> Schema {
    text(512, DESTINATION_RULE, DESTINATION_MESSAGE)
}

/// The events of a destination.
pub(super) fn event_types(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = set(10, &generator.subschema_for::<EventType>());
    schema.insert("minItems".to_owned(), 1.into());
    schema
}

/// A policy's own event destinations: SES allows ten on a set, and one is ours.
pub(super) fn event_destinations(generator: &mut SchemaGenerator) -> Schema {
    map("arn", 9, &generator.subschema_for::<EventDestination>())
}

/// Effective values, a map by field.
pub(super) fn effective_values(generator: &mut SchemaGenerator) -> Schema {
    map("field", 32, &generator.subschema_for::<EffectiveValue>())
}

/// The windows of a status.
pub(super) fn policy_windows(generator: &mut SchemaGenerator) -> Schema {
    map("name", POLICY_WINDOWS_MAX, &generator.subschema_for::<PolicyWindow>())
}

/// A list that behaves as a map with this key.
fn map(key: &str, max: u32, items: &Schema) -> Schema {
    json_schema!({
        "type": "array", "maxItems": max, "items": items,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key],
    })
}

const ADDRESS_RULE: &str = r"self.matches('^[^@*\\s]+@[^@*/:\\s]+[.][^@*/:\\s]+$')";
const ADDRESS_MESSAGE: &str = "write a whole address like jo@example.com";

/// A whole address.
pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    text(254, ADDRESS_RULE, ADDRESS_MESSAGE)
}

/// A list of whole addresses.
pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    set(256, &text(254, ADDRESS_RULE, ADDRESS_MESSAGE))
}

/// A domain or `*.domain`.
pub(super) fn domain(_: &mut SchemaGenerator) -> Schema {
    text(253, DOMAIN_RULE, DOMAIN_MESSAGE)
}

/// Entries of a suppression.
pub(super) fn suppression_entries(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 256, "items": generator.subschema_for::<SuppressionEntry>()})
}

/// A key of a Secret.
pub(super) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "self.matches('^[-._a-zA-Z0-9]+$')",
        "a Secret's key has letters, digits, -, _ and .",
    )
}

/// A rate of calls. The API server compares a whole number with a minimum cut to a whole number, so a rule says it.
pub(super) fn per_second(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number", "maximum": 10000.0,
        "x-kubernetes-validations": [{
            "rule": "self >= 0.01",
            "message": "write a number of calls a second from 0.01 to 10000; SES takes one a second of all clusters together",
        }],
    })
}
