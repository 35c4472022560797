use super::*;

const TEXT: &str = r#"
version: 1
namespace: shop
account: {name: primary, region: eu-west-1}
unmatched: {mode: Capture, from: [MailGuardrail/nonprod]}
ceilings: {recipients: [10/s, 2000/h], newRecipients: [], from: {recipients: [MailGuardrail/nonprod]}}
policies:
- name: default
  match: {type: Only, senders: [example.com], header: {name: X-Stream, value: receipts}}
  mode: Live
  then: [{from: 2026-11-24T10:00:00Z, mode: Restricted}, {from: 2026-11-24T12:00:00Z, mode: Capture}]
  enforcement: Enforce
  allowed: [example.com, "qa+*@example.org"]
  otherRecipients: {action: Redirect, to: "qa+{local}@example.com"}
  subjectPrefix: "[staging]"
  senders: [no-reply@example.com]
  ceilings: {recipients: [5/s], newRecipients: [], perRecipient: [3/h], maxWaitMillis: 2000}
  configurationSet: prod-shop-default-abc
  from: {mode: [MailWindow/release]}
suppressions: {revision: r1}
"#;

#[test]
fn a_configuration_is_read_and_written_alike() {
    let config = SidecarConfig::parse(TEXT).unwrap();
    assert_eq!(SidecarConfig::parse(&config.text().unwrap()).unwrap(), config);
    let steps: Vec<Mode> = config.policies[0].then.iter().map(|step| step.mode).collect();
    assert_eq!(steps, [Mode::Restricted, Mode::Capture]);
}

#[test]
fn an_unknown_field_is_refused() {
    let error = SidecarConfig::parse(&TEXT.replace("namespace: shop", "namespace: shop\nsurprise: 1")).unwrap_err();
    assert!(matches!(error, ConfigError::Malformed(_)), "{error}");
    assert!(error.to_string().contains("surprise"), "{error}");
}

#[test]
fn an_unknown_word_is_refused() {
    let error = SidecarConfig::parse(&TEXT.replace("mode: Live", "mode: Everything")).unwrap_err();
    assert!(error.to_string().contains("Everything"), "{error}");
}

#[test]
fn a_newer_version_is_refused_as_such_although_its_fields_are_unknown() {
    let newer = TEXT
        .replace("version: 1", "version: 2")
        .replace("namespace: shop", "space: shop");
    assert!(matches!(
        SidecarConfig::parse(&newer),
        Err(ConfigError::Version { found: 2 })
    ));
    assert!(matches!(
        SidecarConfig::parse(&TEXT.replace("version: 1", "version: 0")),
        Err(ConfigError::Version { found: 0 })
    ));
}

#[test]
fn a_configuration_too_large_for_a_config_map_is_refused() {
    let mut config = SidecarConfig::parse(TEXT).unwrap();
    let policy = config.policies[0].clone();
    config.policies = vec![policy; 3000];
    assert!(matches!(config.text(), Err(ConfigError::TooLarge(size)) if size > TEXT_MAX));
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    for (known, surprise) in [
        ("{action: Redirect, ", "{action: Redirect, surprise: 1, "),
        ("match: {type: Only, ", "match: {type: Only, surprise: 1, "),
        ("header: {name: X-Stream, ", "header: {name: X-Stream, surprise: 1, "),
        ("match: {type: Only, ", "match: {type: Rest, "),
        (
            "{from: 2026-11-24T12:00:00Z, ",
            "{from: 2026-11-24T12:00:00Z, surprise: 1, ",
        ),
    ] {
        let text = TEXT.replace(known, surprise);
        assert_ne!(text, TEXT);
        let error = SidecarConfig::parse(&text).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{surprise}: {error}");
    }
}

#[test]
fn what_matches_nothing_is_written_and_read_as_such() {
    let mut config = SidecarConfig::parse(TEXT).unwrap();
    config.policies[0].match_ = Matching::Nothing("spec.match: no".to_owned()).into();
    let text = config.text().unwrap();
    assert!(text.contains("type: Nothing"), "{text}");
    assert_eq!(SidecarConfig::parse(&text).unwrap(), config);
}

#[test]
fn the_schema_knows_no_field_that_is_not_read() {
    fn open(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        let Some(fields) = schema.as_object() else { return };
        let is_map = fields.contains_key("additionalProperties");
        if fields.contains_key("properties") && schema["additionalProperties"] != false
            || fields.get("type").is_some_and(|kind| kind == "object") && !is_map
        {
            found.push(path.to_owned());
        }
        for (name, child) in fields {
            let children = child.as_array().map_or_else(|| vec![child], |all| all.iter().collect());
            children
                .into_iter()
                .for_each(|child| open(&format!("{path}/{name}"), child, found));
        }
    }
    let schema = schemars::schema_for!(SidecarConfig);
    let mut found = Vec::new();
    open("", schema.as_value(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}
