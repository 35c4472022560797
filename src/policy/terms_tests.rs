use serde_json::{Value, json};

use super::*;

fn policy(spec: Value) -> Result<PolicyTerms, Vec<String>> {
    let spec: MailPolicySpec = serde_json::from_value(spec).unwrap();
    PolicyTerms::read(&spec).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn guardrail(spec: Value) -> Result<GuardrailTerms, Vec<String>> {
    let spec: MailGuardrailSpec = serde_json::from_value(spec).unwrap();
    GuardrailTerms::read(&spec).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_policy_that_says_only_its_mode_has_no_other_opinion() {
    let terms = policy(json!({"mode": "Live"})).unwrap();
    assert_eq!(
        (terms.allowed, terms.senders, terms.recipients, terms.deletion),
        (None, None, None, None)
    );
    assert_eq!(terms.set.tls, Tls::Optional);
}

#[test]
fn every_error_of_a_spec_is_told_with_its_field() {
    let errors = policy(json!({
        "mode": "Restricted",
        "match": {},
        "allowedDomains": ["example.com", "co.jp"],
        "allowedRecipients": ["a b@example.com"],
        "otherRecipients": {"action": "Redirect", "to": "{user}@example.com"},
        "subjectPrefix": "[test] ",
        "senders": ["*@*.example.com"],
        "ceilings": {"recipients": ["5/s", "0/h"], "newRecipients": ["x"], "perRecipient": ["1/2d"], "maxWait": "2 s"},
        "ses": {"maxDelivery": "-4h", "tracking": {"redirectDomain": "localhost"}},
    }))
    .unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.match",
            "spec.allowedDomains[1]",
            "spec.allowedRecipients[0]",
            "spec.otherRecipients.to",
            "spec.subjectPrefix",
            "spec.senders[0]",
            "spec.ceilings.recipients[1]",
            "spec.ceilings.newRecipients[0]",
            "spec.ceilings.perRecipient[0]",
            "spec.ceilings.maxWait",
            "spec.ses.maxDelivery",
            "spec.ses.tracking.redirectDomain",
        ]
    );
    assert!(errors[1].contains("public suffix"), "{}", errors[1]);
}

#[test]
fn domains_and_recipients_of_one_object_are_one_set_and_an_empty_list_is_nobody() {
    let both =
        policy(json!({"mode": "Live", "allowedDomains": ["example.com"], "allowedRecipients": ["a@example.org"]}));
    assert_eq!(both.unwrap().allowed.unwrap().iter().count(), 2);
    assert_eq!(
        policy(json!({"mode": "Live", "allowedDomains": []})).unwrap().allowed,
        Some(AddressSet::default())
    );
    assert_eq!(policy(json!({"mode": "Live"})).unwrap().allowed, None);
}

#[test]
fn a_guardrail_with_recipients_and_no_mode_counts_as_restricted() {
    assert_eq!(
        guardrail(json!({"allowedDomains": ["example.com"]})).unwrap().max_mode,
        Some(Mode::Restricted)
    );
    assert_eq!(
        guardrail(json!({"allowedRecipients": []})).unwrap().max_mode,
        Some(Mode::Restricted)
    );
    assert_eq!(
        guardrail(json!({"allowedDomains": [], "maxMode": "Live"}))
            .unwrap()
            .max_mode,
        Some(Mode::Live)
    );
    assert_eq!(guardrail(json!({})).unwrap().max_mode, None);
}

#[test]
fn the_errors_of_a_guardrail_are_told_with_their_fields() {
    let errors = guardrail(json!({
        "window": {"maxMode": "Live", "maxDuration": "forever"},
        "ceilings": {"recipients": ["many"]},
        "defaults": {"mode": "Live", "otherRecipients": {"action": "Redirect", "to": "nobody"}},
    }))
    .unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.defaults.mode",
            "spec.window.maxDuration",
            "spec.ceilings.recipients[0]",
            "spec.defaults.otherRecipients.to"
        ]
    );
}

#[test]
fn a_domain_identity_covers_its_sub_domains_and_an_address_only_itself() {
    let account = |names: &[&str]| -> SendingAccountSpec {
        let identities: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        serde_json::from_value(json!({
            "region": "eu-west-1", "clusterId": "c", "identities": identities,
            "feedback": {"destination": {"eventBridge": {}}},
        }))
        .unwrap()
    };
    let senders = account_senders(&account(&["example.com", "jo@example.org"])).unwrap();
    let patterns: Vec<String> = senders.iter().map(ToString::to_string).collect();
    assert_eq!(patterns, ["example.com", "*.example.com", "jo@example.org"]);
    assert_eq!(
        account_senders(&account(&["com"])).unwrap_err()[0].field,
        "spec.identities[0].name"
    );
}
