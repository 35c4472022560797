use super::*;

const TEXT: &str = r#"
version: 1
namespace: shop
account: {name: primary, region: eu-west-1}
unmatched: {mode: Capture, from: [MailGuardrail/nonprod]}
ceilings: {recipients: [10/s, 2000/h], newRecipients: [], from: {recipients: [MailGuardrail/nonprod]}}
policies:
- name: default
  mode: Live
  then: [{from: 2026-11-24T10:00:00Z, mode: Restricted}, {from: 2026-11-24T12:00:00Z, mode: Capture}]
  enforcement: Enforce
  allowed: [example.com, "qa+*@example.org"]
  otherRecipients: {action: Redirect, to: "qa+{local}@example.com"}
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
fn the_last_good_policy_says_what_follows_its_window() {
    let good = SidecarConfig::parse(TEXT).unwrap().policies[0].last_good().unwrap();
    assert_eq!(
        (good.effective.mode.value, good.effective.then.is_empty()),
        (Mode::Capture, true)
    );
    assert_eq!(good.effective.mode.from_words(), ["last good MailPolicy/default"]);
}
