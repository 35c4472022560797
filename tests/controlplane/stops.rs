//! What stops mail goes through whatever else fails, and what opens it opens no further than SES stands.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
    },
    core::v1::ConfigMap,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use mail_policy_operator::{
    api::MailPolicy,
    simulator::{Effect, Fault, Operation},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    installation::{Installation, Stage},
    support::eventually,
};

/// Shorter than the operator waits for one answer of SES's: what is done within it did not wait for that.
const BEFORE_AN_ANSWER: Duration = Duration::from_secs(10);

async fn set(prefix: &str) -> Stage<'static> {
    Stage::set(&Installation::shared().await.control_plane, prefix).await
}

async fn mode(stage: &Stage<'_>, mode: &str) {
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.patch(&policies, "default", json!({"spec": {"mode": mode}})).await;
}

async fn observed(stage: &Stage<'_>, generation: i64) {
    let look = async || match stage.policy("default").await.status.unwrap().observed_generation {
        Some(seen) if seen == generation => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the change is observed", look).await;
}

/// Lets nobody write the ConfigMaps of the stage's namespace.
async fn forbid_config_maps(stage: &Stage<'_>) -> Api<ValidatingAdmissionPolicyBinding> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(stage.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(stage.client.clone());
    let policy: ValidatingAdmissionPolicy = read(json!({
        "metadata": {"name": stage.name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["UPDATE"],
            }]},
            "validations": [{"expression": "false", "message": "nobody writes here"}],
        },
    }));
    let binding: ValidatingAdmissionPolicyBinding = read(json!({
        "metadata": {"name": stage.name},
        "spec": {
            "policyName": stage.name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.name}}},
        },
    }));
    policies.create(&PostParams::default(), &policy).await.unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let maps: Api<ConfigMap> = stage.namespaced();
    let attempt = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let touched = Patch::Merge(json!({"metadata": {"annotations": {"touched": "yes"}}}));
    let look = async || match maps.patch("mail-sidecar", &attempt, &touched).await {
        Err(kube::Error::Api(refused)) if refused.message.contains("nobody writes here") => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("ConfigMaps cannot be written", look).await;
    bindings
}

/// Lets nobody's writing of the stage's ConfigMaps and statuses end: whom the API server asks of it never answers.
async fn hold_writings(stage: &Stage<'_>) -> (Api<ValidatingWebhookConfiguration>, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hooks: Api<ValidatingWebhookConfiguration> = Api::all(stage.client.clone());
    let hook: ValidatingWebhookConfiguration = read(json!({
        "metadata": {"name": stage.name},
        "webhooks": [{
            "name": "silent.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "timeoutSeconds": 30, "failurePolicy": "Fail",
            "clientConfig": {"url": format!("https://{}/", silent.local_addr().unwrap())},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.name}},
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]},
                {"apiGroups": ["mailpolicy.dev"], "apiVersions": ["*"], "resources": ["mailpolicies/status"], "operations": ["*"]},
            ],
        }],
    }));
    hooks.create(&PostParams::default(), &hook).await.unwrap();
    let maps: Api<ConfigMap> = stage.namespaced();
    let attempt = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let touched = Patch::Merge(json!({"metadata": {"annotations": {"touched": "yes"}}}));
    let look = async || {
        let patched = maps.patch("mail-sidecar", &attempt, &touched);
        match tokio::time::timeout(Duration::from_secs(2), patched).await {
            Err(_) => Ok(()),
            Ok(answer) => Err(format!("{answer:?}")),
        }
    };
    stage.wait("writings do not end", look).await;
    (hooks, silent)
}

fn read<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_ses_although_no_configuration_can_be_written() {
    let stage = set("unwritten").await;
    let bindings = forbid_config_maps(&stage).await;

    mode(&stage, "Paused").await;

    stage.set_is(false).await;
    assert!(
        stage.published_mode_is("default", "Live").await.contains("Live"),
        "it was written after all"
    );
    stage.delete(&bindings, &stage.name).await;
    stage.published_mode_is("default", "Paused").await;
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_ses_although_no_writing_comes_to_its_end() {
    let stage = set("unanswered").await;
    let (hooks, _silent) = hold_writings(&stage).await;

    mode(&stage, "Paused").await;

    let off = async || match stage.only_set() {
        (_, false) => Ok(()),
        (name, true) => Err(format!("{name} sends")),
    };
    eventually(BEFORE_AN_ANSWER, "the set is off", off).await.unwrap();
    stage.delete(&hooks, &stage.name).await;
    stage.published_mode_is("default", "Paused").await;
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_that_somebody_made_immutable_is_made_anew() {
    let stage = set("immutable").await;
    let maps: Api<ConfigMap> = stage.namespaced();
    let before = maps.get("mail-sidecar").await.unwrap();
    stage.patch(&maps, "mail-sidecar", json!({"immutable": true})).await;

    mode(&stage, "Paused").await;

    stage.published_mode_is("default", "Paused").await;
    let after = maps.get("mail-sidecar").await.unwrap();
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.immutable, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_as_open_before_ses_has_switched_it_on() {
    let stage = set("refusal").await;
    mode(&stage, "Paused").await;
    stage.set_is(false).await;
    stage.published_mode_is("default", "Paused").await;
    stage.ses().deny([Operation::PutConfigurationSetSendingOptions]);

    mode(&stage, "Live").await;

    let message = stage.policy_says("default", "Programmed", "False AccessDenied").await;
    assert!(message.contains("PutConfigurationSetSendingOptions"), "{message}");
    stage.published_mode_is("default", "Paused").await;

    // What is allowed without SES is published meanwhile: capturing sends nothing.
    mode(&stage, "Capture").await;
    stage.published_mode_is("default", "Capture").await;

    stage.ses().deny([]);
    mode(&stage, "Live").await;
    stage.set_is(true).await;
    stage.published_mode_is("default", "Live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_somebody_in_ses_outlasts_a_stop_and_an_opening_of_ours() {
    let stage = set("outlasting").await;
    let (name, _) = stage.only_set();
    let switch = |on: bool| {
        let body = json!({"SendingEnabled": on});
        stage.behind(Operation::PutConfigurationSetSendingOptions, &[&name], &body);
    };
    switch(false);
    stage
        .policy_says("default", "SendingEnabled", "False PausedInSES")
        .await;

    mode(&stage, "Paused").await;
    observed(&stage, 2).await;
    stage
        .policy_says("default", "SendingEnabled", "False ModeDoesNotSend")
        .await;
    mode(&stage, "Live").await;
    observed(&stage, 3).await;

    stage
        .policy_says("default", "SendingEnabled", "False PausedInSES")
        .await;
    stage.published_mode_is("default", "Paused").await;
    assert!(!stage.only_set().1);

    switch(true);
    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    stage.published_mode_is("default", "Live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_ses_refuses_is_told_with_what_to_mend() {
    let stage = set("unstoppable").await;
    stage.ses().deny([Operation::PutConfigurationSetSendingOptions]);

    mode(&stage, "Paused").await;

    let message = stage.policy_says("default", "Programmed", "False AccessDenied").await;
    assert!(message.contains("PutConfigurationSetSendingOptions"), "{message}");
    stage
        .policy_says("default", "SendingEnabled", "Unknown SwitchUnderWay")
        .await;
    stage.policy_says("default", "Ready", "False AccessDenied").await;
    stage.published_mode_is("default", "Paused").await;

    stage.ses().deny([]);
    // A refusal is tried again after minutes; any change of the policy is at once.
    let policies: Api<MailPolicy> = stage.namespaced();
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&policies, "default", touched).await;
    stage.set_is(false).await;
    stage
        .policy_says("default", "SendingEnabled", "False ModeDoesNotSend")
        .await;
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_change_of_the_same_policy_that_is_under_way() {
    let stage = set("overtaking").await;
    let fault = Fault {
        operation: Some(Operation::PutConfigurationSetDeliveryOptions),
        ..Fault::next_calls(Effect::Hang { millis: 60_000 }, 1)
    };
    stage.ses().arm(fault).unwrap();
    let policies: Api<MailPolicy> = stage.namespaced();
    let tls = json!({"spec": {"ses": {"tls": "Require"}}});
    stage.patch(&policies, "default", tls).await;
    let hangs = async || match stage.ses().faults() {
        armed if armed.is_empty() => Ok(()),
        armed => Err(format!("{armed:?}")),
    };
    stage.wait("the change hangs", hangs).await;

    mode(&stage, "Paused").await;

    let off = async || match stage.only_set() {
        (_, false) => Ok(()),
        (name, true) => Err(format!("{name} sends")),
    };
    eventually(BEFORE_AN_ANSWER, "the set is off", off).await.unwrap();
    // What was broken off is done after it.
    stage.policy_says("default", "Ready", "True InForce").await;
    let changed = async || {
        let options = stage.ses().with_account(|account| {
            let set = account.sets.values().next();
            serde_json::to_value(set.map(|set| &set.options.delivery_options)).unwrap()
        });
        if options["TlsPolicy"] == "REQUIRE" {
            Ok(())
        } else {
            Err(options.to_string())
        }
    };
    stage.wait("the change is made", changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_comes_after_an_opening_that_ses_is_carrying_out() {
    let stage = set("opening").await;
    mode(&stage, "Capture").await;
    stage.set_is(false).await;
    let fault = Fault {
        operation: Some(Operation::PutConfigurationSetSendingOptions),
        ..Fault::next_calls(Effect::Latency { millis: 3_000 }, 1)
    };
    stage.ses().arm(fault).unwrap();
    stage.ses().reset_calls();
    mode(&stage, "Live").await;
    let taken = async || match stage.ses().faults() {
        armed if armed.is_empty() => Ok(()),
        armed => Err(format!("{armed:?}")),
    };
    stage.wait("the opening is under way", taken).await;

    mode(&stage, "Paused").await;

    // The opening is answered, and the stop comes after it.
    let switch = Operation::PutConfigurationSetSendingOptions.name();
    let both = async || match stage.write_names() {
        names if names == [switch, switch] => Ok(()),
        names => Err(format!("{names:?}")),
    };
    stage.wait("both are done", both).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage
        .policy_says("default", "SendingEnabled", "False ModeDoesNotSend")
        .await;
    assert!(stage.writes().iter().all(|call| call.applied), "{:?}", stage.writes());
    assert!(!stage.only_set().1);
}
