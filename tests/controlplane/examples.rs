//! The examples of `deploy/examples/`: what a newcomer applies first, and what the demo shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};
use mail_policy_operator::api::{MailGuardrail, MailPolicy, MailSuppression, Mode, SendingAccount};
use mail_policy_operator::policy::compile::{
    AccountFacts, CompiledNamespace, GuardrailFacts, NamespaceFacts, PolicyFacts, compile,
};
use mail_policy_operator::policy::suppressions::Entries;
use mail_policy_operator::policy::windows::Clock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::specs::KINDS;
use crate::support::{ControlPlane, Options};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples")
}

/// One of its own: the examples' names are fixed.
#[tokio::test]
async fn the_examples_and_those_of_the_readme_are_accepted_and_change_nothing_when_applied_again() {
    let options = Options {
        controllers: Vec::new(),
        ..Options::default()
    };
    let cluster = ControlPlane::start(options).await.unwrap();
    cluster.apply_crds().await.unwrap();

    let printed = cluster.apply(&folder()).await.unwrap();
    let created = printed.lines().filter(|line| line.ends_with(" created")).count();
    assert_eq!(created, manifests().len(), "{printed}");

    let before = versions(&cluster).await;
    cluster.apply(&folder()).await.unwrap();
    assert_eq!(versions(&cluster).await, before);

    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(blocks.len(), KINDS.len(), "one example a kind in README.md");
    cluster.apply_yaml(&blocks.join("---\n")).await.unwrap();
}

async fn versions(cluster: &ControlPlane) -> String {
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    cluster
        .kubectl(&["get", "-f", &folder().display().to_string(), "-o", columns])
        .await
        .unwrap()
}

#[test]
fn only_the_policy_that_asks_for_more_than_its_guardrail_is_clamped() {
    let mut clamped = Vec::new();
    for (namespace, compiled) in compiled() {
        assert_eq!(compiled.closed, None, "{namespace}");
        assert_eq!(compiled.account.unwrap().value, "primary", "{namespace}");
        for policy in compiled.policies {
            assert_eq!(policy.errors, [], "{namespace}/{}", policy.name);
            let fields: BTreeSet<&str> = policy.clamps.iter().map(|clamp| clamp.field).collect();
            if !fields.is_empty() {
                clamped.push((namespace.clone(), fields));
            }
        }
    }
    let [(namespace, fields)] = clamped.as_slice() else {
        panic!("clamped are {clamped:?}")
    };
    assert_eq!(namespace, "billing-staging");
    assert!(fields.contains("mode"), "{fields:?}");
}

#[test]
fn every_mode_is_in_force_somewhere_and_a_namespace_without_a_policy_captures() {
    let compiled = compiled();
    let modes: BTreeSet<Mode> = compiled
        .values()
        .flat_map(|namespace| &namespace.policies)
        .map(|policy| policy.effective.mode.value)
        .collect();
    assert_eq!(
        modes.into_iter().collect::<Vec<_>>(),
        [
            Mode::Paused,
            Mode::Capture,
            Mode::Simulate,
            Mode::Restricted,
            Mode::Live
        ]
    );
    let preview = &compiled["billing-preview"];
    assert_eq!((preview.policies.len(), preview.default_mode.value), (0, Mode::Capture));
}

#[test]
fn every_suppression_can_be_read() {
    let lists: Vec<Secret> = of_kind("Secret");
    for suppression in of_kind::<MailSuppression>("MailSuppression") {
        let key = suppression.spec.from_secret.as_ref().map(|from| &from.key);
        let list = key.map(|key| {
            let list = lists
                .iter()
                .find(|list| list.namespace() == suppression.namespace())
                .unwrap();
            assert_eq!(list.name_any(), "mail-suppression-list");
            list.string_data.as_ref().unwrap()[key].as_str()
        });
        let entries = Entries::read(&suppression.spec, list).unwrap();
        assert!(!entries.is_empty(), "{}", suppression.name_any());
    }
}

/// The examples' namespaces as the operator compiles them.
fn compiled() -> BTreeMap<String, CompiledNamespace> {
    let (accounts, guardrails): (Vec<SendingAccount>, Vec<MailGuardrail>) =
        (of_kind("SendingAccount"), of_kind("MailGuardrail"));
    let policies: Vec<MailPolicy> = of_kind("MailPolicy");
    let names: Vec<String> = guardrails.iter().map(ResourceExt::name_any).collect();
    let policy_names: Vec<String> = policies.iter().map(ResourceExt::name_any).collect();
    let account_names: Vec<String> = accounts.iter().map(ResourceExt::name_any).collect();
    let namespaces: Vec<Namespace> = of_kind("Namespace");
    let compiled = namespaces.iter().map(|namespace| {
        let facts = NamespaceFacts {
            guardrails: guardrails
                .iter()
                .zip(&names)
                .filter(|(guardrail, _)| selects(guardrail.spec.namespace_selector.clone(), namespace))
                .map(|(guardrail, name)| GuardrailFacts {
                    name,
                    spec: Ok(&guardrail.spec),
                })
                .collect(),
            accounts: accounts
                .iter()
                .zip(&account_names)
                .map(|(account, name)| {
                    (
                        name.as_str(),
                        AccountFacts::Known {
                            spec: &account.spec,
                            quota: None,
                        },
                    )
                })
                .collect(),
            policies: policies
                .iter()
                .zip(&policy_names)
                .filter(|(policy, _)| policy.namespace() == Some(namespace.name_any()))
                .map(|(policy, name)| PolicyFacts {
                    name,
                    spec: Ok(&policy.spec),
                    deleting: false,
                    last_good: None,
                })
                .collect(),
            windows: Vec::new(),
            holds: Vec::new(),
            clock: Clock::Trusted,
            now: Timestamp::UNIX_EPOCH,
        };
        (namespace.name_any(), compile(&facts))
    });
    compiled.collect()
}

fn selects(selector: Option<LabelSelector>, namespace: &Namespace) -> bool {
    selector.is_some_and(|selector| Selector::try_from(selector).unwrap().matches(namespace.labels()))
}

fn of_kind<K: DeserializeOwned>(kind: &str) -> Vec<K> {
    let found: Vec<K> = manifests()
        .into_iter()
        .filter(|manifest| manifest["kind"] == kind)
        .map(|manifest| serde_json::from_value(manifest).unwrap())
        .collect();
    assert!(!found.is_empty(), "no {kind} among the examples");
    found
}

fn manifests() -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).unwrap())
            .collect::<Vec<_>>()
    };
    files.into_iter().flat_map(read).collect()
}
