//! The operator and the API server die, restart and multiply.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use mail_policy_operator::{
    api::{MailPolicy, Parsed},
    simulator::{Effect, Fault, Operation, state::ConfigurationSet},
};
use serde_json::{Value, json};

use crate::{
    installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage},
    support::eventually,
};

/// The replica of most tests: the one whose lease it is need not wait until it runs out.
const REPLICA: &str = "replica-a";
/// A lease runs out after 15 s; the other replica looks every 3 s.
const TAKE_OVER: Duration = Duration::from_secs(40);

/// A policy in each state that is written in several calls: what is done to it, and how many calls that takes.
const LIVES: [(&str, &[Operation]); 3] = [
    (
        "created",
        &[
            Operation::CreateConfigurationSet,
            Operation::CreateConfigurationSetEventDestination,
        ],
    ),
    (
        "changed",
        &[
            Operation::PutConfigurationSetDeliveryOptions,
            Operation::PutConfigurationSetReputationOptions,
            Operation::PutConfigurationSetSendingOptions,
        ],
    ),
    (
        "deleted",
        &[
            Operation::PutConfigurationSetSendingOptions,
            Operation::DeleteConfigurationSetEventDestination,
            Operation::DeleteConfigurationSet,
        ],
    ),
];

/// Everything of the only set but its name and its tags.
fn content(stage: &Stage<'_>) -> Option<(Value, Vec<Value>)> {
    let content = |set: &ConfigurationSet| {
        (
            json!(set.options),
            set.destinations.values().map(|it| json!(it)).collect(),
        )
    };
    stage
        .ses()
        .with_account(|account| account.sets.values().next().map(content))
}

/// Brings the stage to where the change of `life` begins, with its operator running.
async fn prepare(stage: &Stage<'_>, life: &str) {
    stage.apply(&[ACCOUNT, GUARDRAIL].concat()).await;
    stage.account_says("Ready", "True Reached").await;
    if life == "created" {
        return;
    }
    let mode = if life == "changed" { "Capture" } else { "Live" };
    stage
        .apply(&POLICY.replace("mode: Live", &format!("mode: {mode}")))
        .await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.mode_is("default", mode).await;
}

/// Makes the change of `life`.
async fn change(stage: &Stage<'_>, life: &str) {
    let policies: Api<MailPolicy> = stage.namespaced();
    match life {
        "created" => stage.apply(POLICY).await,
        "changed" => {
            let spec = json!({"spec": {"mode": "Live", "ses": {"tls": "Require", "reputationMetrics": false}}});
            stage.patch(&policies, "default", spec).await;
        }
        _ => stage.delete(&policies, "default").await,
    }
}

/// Waits until the change of `life` is carried out.
async fn settled(stage: &Stage<'_>, life: &str) {
    let policies: Api<MailPolicy> = stage.namespaced();
    if life == "deleted" {
        return stage.gone(&policies, "default").await;
    }
    stage.set_is(true).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    stage.published_mode_is("default", "Live").await;
}

/// Where the operator is killed: while a call hangs that changes nothing, or one that took effect and is not answered.
fn cuts() -> impl Iterator<Item = (&'static str, Fault)> {
    let effects = [Effect::Hang { millis: 60_000 }, Effect::Withhold { millis: 60_000 }];
    LIVES.into_iter().flat_map(move |(life, operations)| {
        operations.iter().flat_map(move |operation| {
            effects.map(|effect| {
                let operation = Some(*operation);
                (
                    life,
                    Fault {
                        operation,
                        ..Fault::next_calls(effect, 1)
                    },
                )
            })
        })
    })
}

/// A stage where the change of `life` begins.
async fn prepared<'a>(installation: &'a Installation, life: &str) -> Stage<'a> {
    let stage = Stage::empty(&installation.control_plane, "cut").await;
    prepare(&stage, life).await;
    stage.ses().reset_calls();
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_before_or_after_any_call_converges_and_does_nothing_twice() {
    let installation = Installation::exclusive().await;
    let operator = installation.replica(REPLICA).unwrap();
    // How each life ends where nobody is killed.
    let undisturbed = join_all(LIVES.map(async |(life, operations)| {
        let stage = prepared(&installation, life).await;
        change(&stage, life).await;
        settled(&stage, life).await;
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        let wanted = operations.iter().map(|operation| operation.name()).collect();
        assert_eq!(
            sorted(stage.write_names()),
            sorted(wanted),
            "{life}: the cut points have changed"
        );
        (life, content(&stage))
    }));
    let undisturbed: BTreeMap<_, _> = undisturbed.await.into_iter().collect();
    let stages = join_all(cuts().map(async |(life, fault)| {
        let stage = prepared(&installation, life).await;
        stage.ses().arm(fault.clone()).unwrap();
        (life, fault, stage)
    }));
    let stages = stages.await;
    assert_eq!(stages.len(), 16);
    join_all(stages.iter().map(async |(life, fault, stage)| {
        change(stage, life).await;
        // A fault that has hit is armed no more.
        let hit = async || {
            if stage.ses().faults().is_empty() {
                Ok(())
            } else {
                Err(format!("{:?}", stage.write_names()))
            }
        };
        stage.wait(&format!("{life} is cut: {fault:?}"), hit).await;
    }))
    .await;
    drop(operator);

    let _next = installation.replica(REPLICA).unwrap();

    join_all(stages.iter().map(async |(life, fault, stage)| {
        settled(stage, life).await;
        let cut = format!("{life}, {fault:?}");
        assert_eq!(content(stage), undisturbed[life], "{cut}");
        let made: BTreeMap<_, _> = stage
            .effects()
            .into_iter()
            .filter(|((name, _), _)| name.starts_with("Create") || name.starts_with("Delete"))
            .collect();
        assert!(made.values().all(|times| *times == 1), "{cut}: {made:?}");
        assert!(stage.sets().len() <= 1, "{cut}: {:?}", stage.sets());
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_operator_costs_listings_and_the_account_and_writes_no_status() {
    let installation = Installation::exclusive().await;
    let operator = installation.replica(REPLICA).unwrap();
    let stage = Stage::empty(&installation.control_plane, "restart").await;
    let policies: String = (0..10)
        .map(|number| POLICY.replace("name: default", &format!("name: p{number}")))
        .collect();
    stage.apply(&[ACCOUNT, GUARDRAIL, &policies].concat()).await;
    for number in 0..10 {
        stage.policy_says(&format!("p{number}"), "Ready", "True InForce").await;
    }
    drop(operator);
    stage.ses().reset_calls();
    let api: Api<MailPolicy> = stage.namespaced();
    let versions = async || {
        let policies = api.list(&ListParams::default()).await.unwrap().items;
        policies
            .into_iter()
            .map(|policy| (policy.metadata.name.unwrap(), policy.metadata.resource_version.unwrap()))
            .collect::<BTreeMap<_, _>>()
    };
    let before = versions().await;
    // An operator begins with a list from the API server's cache: what it wrote last must have arrived there.
    let cached = async || {
        let cached = api
            .list_metadata(&ListParams::default().match_any())
            .await
            .unwrap()
            .items;
        let seen = cached
            .iter()
            .filter(|policy| policy.metadata.resource_version == before.get(&policy.name_any()).cloned())
            .count();
        if seen == before.len() {
            Ok(())
        } else {
            Err(format!("{seen} of {}", before.len()))
        }
    };
    stage.wait("the cache is up to date", cached).await;

    let _next = installation.replica(REPLICA).unwrap();

    // Three listings of sets: by the last, whatever the first one set off is over.
    let listings = async || {
        let calls = stage.ses().calls_after(0, 1000);
        let listed = calls
            .iter()
            .filter(|call| call.operation == Operation::ListConfigurationSets)
            .count();
        if listed >= 3 { Ok(()) } else { Err(format!("{calls:?}")) }
    };
    eventually(Duration::from_mins(1), "SES was listed three times", listings)
        .await
        .unwrap();
    let known = [
        Operation::GetCallerIdentity,
        Operation::GetAccount,
        Operation::ListConfigurationSets,
        Operation::ListEmailIdentities,
    ];
    let calls = stage.ses().calls_after(0, 1000);
    let others: Vec<_> = calls.iter().filter(|call| !known.contains(&call.operation)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(versions().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_writes_and_the_other_takes_over_when_it_is_killed_or_stopped() {
    let installation = Installation::exclusive().await;
    let first = installation.replica(REPLICA).unwrap();
    let stage = Stage::set(&installation.control_plane, "replicas").await;
    let second = installation.replica("replica-b").unwrap();
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> =
        Api::namespaced(stage.client.clone(), "mail-policy-system");
    let holder_is = async |wanted: &str| {
        let look = async || {
            let lease = leases
                .get("mail-policy-operator")
                .await
                .map_err(|error| error.to_string())?;
            let holder = lease.spec.unwrap_or_default().holder_identity.unwrap_or_default();
            if holder == wanted { Ok(()) } else { Err(holder) }
        };
        eventually(TAKE_OVER, format!("{wanted} leads"), look).await.unwrap();
    };
    holder_is(REPLICA).await;
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.ses().reset_calls();
    stage
        .patch(&policies, "default", json!({"spec": {"ses": {"tls": "Require"}}}))
        .await;
    stage.config_holds("mode: Live").await;
    let written = async || match stage.write_names()[..] {
        ["PutConfigurationSetDeliveryOptions"] => Ok(()),
        ref other => Err(format!("{other:?}")),
    };
    stage.wait("one replica wrote", written).await;

    // Killed: its lease must run out.
    drop(first);
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Paused"}}))
        .await;
    holder_is("replica-b").await;
    stage.set_is(false).await;
    stage.published_mode_is("default", "Paused").await;
    let switch = Operation::PutConfigurationSetSendingOptions.name();
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions", switch]);

    // Stopped: it gives the lease up, and the next one need not wait for it to run out.
    let _third = installation.replica("replica-c").unwrap();
    second.signal("TERM").unwrap();
    let given_up = Duration::from_secs(10);
    let look = async || {
        let lease = leases
            .get("mail-policy-operator")
            .await
            .map_err(|error| error.to_string())?;
        let holder = lease.spec.unwrap_or_default().holder_identity.unwrap_or_default();
        if holder == "replica-c" { Ok(()) } else { Err(holder) }
    };
    eventually(given_up, "replica-c leads, sooner than a lease runs out", look)
        .await
        .unwrap();
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Live"}}))
        .await;
    stage.set_is(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_restarts_costs_no_call_to_ses_and_changes_go_on() {
    let mut installation = Installation::exclusive().await;
    let mut operator = installation.replica(REPLICA).unwrap();
    let stage = Stage::set(&installation.control_plane, "restarted").await;
    let (name, simulator) = (stage.name.clone(), stage.simulator);
    simulator.admin().reset_calls();

    installation.control_plane.restart_apiserver().await.unwrap();

    // A replica that could not renew its lease in time has ended by itself; whoever started it starts it again.
    if operator.ended().unwrap().is_some() {
        operator = installation.replica(REPLICA).unwrap();
    }
    let stage = Stage {
        control_plane: &installation.control_plane,
        client: installation.control_plane.client().await.unwrap(),
        simulator,
        name,
    };
    let writes = stage.writes();
    assert!(writes.is_empty(), "{writes:?}");
    let policies: Api<MailPolicy> = stage.namespaced();
    stage
        .patch(&policies, "default", json!({"spec": {"ses": {"tls": "Require"}}}))
        .await;
    let written = async || match stage.write_names()[..] {
        ["PutConfigurationSetDeliveryOptions"] => Ok(()),
        ref other => Err(format!("{other:?}")),
    };
    stage.wait("the change reached SES, and nothing else", written).await;
    operator.still_runs().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_blinds_nobody_to_the_others() {
    let installation = Installation::exclusive().await;
    let _operator = installation.replica(REPLICA).unwrap();
    let stage = Stage::set(&installation.control_plane, "unreadable").await;
    // As an operator sees objects that were written under a newer definition.
    let crds: Api<DynamicObject> = Api::all_with(
        stage.client.clone(),
        &ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            "customresourcedefinitions",
        ),
    );
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut originals = Vec::new();
    for kind in ["mailpolicies", "mailguardrails"] {
        let name = format!("{kind}.mailpolicy.dev");
        let crd = crds.get(&name).await.unwrap();
        let mut versions = crd.data["spec"]["versions"].clone();
        originals.push((name.clone(), versions.clone()));
        versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = anything.clone();
        stage.patch(&crds, &name, json!({"spec": {"versions": versions}})).await;
    }
    let odd = async |kind: &str, namespaced: bool, name: &str, spec: Value| {
        let mut object = json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        if namespaced {
            object["metadata"]["namespace"] = json!(stage.name);
        }
        let text = object.to_string();
        // The definition's change reaches the API server's validation a moment later.
        let look = async || {
            stage
                .control_plane
                .apply_yaml(&text)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        };
        stage.wait("the definition is wide", look).await;
    };
    odd("MailPolicy", true, "odd", json!({"mode": "Everything"})).await;
    let matched = json!({"senders": ["shop@example.com"]});
    odd("MailPolicy", true, "later", json!({"mode": "Live", "match": matched})).await;
    stage.policy_says("later", "Ready", "True InForce").await;
    odd(
        "MailPolicy",
        true,
        "later",
        json!({"mode": "Everything", "match": matched}),
    )
    .await;

    // The one that can be read goes on; of the others one is closed, and one stays as it was when it could be read.
    stage.published_mode_is("odd", "Paused").await;
    stage.published_mode_is("later", "Live").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let tls = json!({"spec": {"ses": {"tls": "Require"}}});
    stage.patch(&policies, "default", tls).await;
    let look = async || match stage.policy("default").await.status.unwrap().observed_generation {
        Some(2) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the change is observed", look).await;
    stage.published_mode_is("default", "Live").await;

    // A guardrail that cannot be read closes the namespace that it selects, and says so.
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": stage.name}});
    let name = format!("{}-odd", stage.name);
    odd(
        "MailGuardrail",
        false,
        &name,
        json!({"namespaceSelector": selector, "maxMode": "Everything"}),
    )
    .await;
    let message = stage.policy_says("default", "Ready", "False GuardrailUnreadable").await;
    assert!(message.contains(&name) && message.contains("Everything"), "{message}");
    let all_off = async || {
        let sending = stage
            .ses()
            .with_account(|account| account.sets.values().filter(|set| set.sending_enabled()).count());
        if sending == 0 {
            Ok(())
        } else {
            Err(format!("{sending} sets send"))
        }
    };
    stage
        .wait("no set sends, also none of a policy that cannot be read", all_off)
        .await;

    // All can be deleted, and the definitions are as before.
    let guardrails: Api<Parsed<mail_policy_operator::api::MailGuardrail>> = Api::all(stage.client.clone());
    stage.delete(&guardrails, &name).await;
    let odd_policies: Api<Parsed<MailPolicy>> = stage.namespaced();
    for name in ["odd", "later"] {
        stage.delete(&odd_policies, name).await;
        stage.gone(&odd_policies, name).await;
    }
    stage.policy_says("default", "Ready", "True InForce").await;
    for (name, versions) in originals {
        stage.patch(&crds, &name, json!({"spec": {"versions": versions}})).await;
    }
}
