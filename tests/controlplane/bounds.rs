//! What bounds a policy: guardrails, accounts and namespaces that are missing, disagree or change.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use mail_policy_operator::api::MailPolicy;
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

async fn empty(prefix: &str) -> Stage<'static> {
    Stage::empty(&Installation::shared().await.control_plane, prefix).await
}

async fn set(prefix: &str) -> Stage<'static> {
    Stage::set(&Installation::shared().await.control_plane, prefix).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_a_guardrail_is_paused_and_says_whom_to_ask() {
    let stage = empty("unguarded").await;
    stage.apply(&[ACCOUNT, POLICY].concat()).await;

    let message = stage.policy_says("default", "Ready", "False NoGuardrail").await;

    assert!(message.contains("ask the platform team"), "{message}");
    stage.policy_says("default", "Stalled", "True NoGuardrail").await;
    stage.mode_is("default", "Paused").await;
    let config = stage.published_mode_is("default", "Paused").await;
    assert!(!config.contains("mode: Live"), "{config}");
    stage.account_says("Ready", "True Reached").await;
    assert!(stage.sets().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_with_only_ceilings_opens_nothing() {
    let stage = empty("ceilings").await;
    let only_ceilings = r#"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailGuardrail
metadata: {name: STAGE}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: STAGE}}
  ceilings: {recipients: ["10/s"]}
---
"#;
    stage.apply(&[ACCOUNT, only_ceilings, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "False NoAccount").await;
    stage.mode_is("default", "Paused").await;

    // With an account, nobody has said yet what the mode may be at most.
    let account = json!({"spec": {"accountRef": {"name": stage.name}}});
    stage.patch(&stage.guardrails(), &stage.name, account).await;

    let message = stage.policy_says("default", "Clamped", "True BoundedByGuardrail").await;
    assert!(message.contains("asked Live, in force Paused"), "{message}");
    stage.policy_says("default", "Ready", "True InForce").await;
    // Its ceilings hold beside the policy's, and are shown beside them.
    let effective = stage.policy("default").await.status.unwrap().effective;
    let ceiling = effective
        .iter()
        .find(|value| value.field == "namespace.ceilings.recipients");
    let ceiling = ceiling.unwrap();
    let guardrail = format!("MailGuardrail/{}", stage.name);
    assert_eq!((ceiling.value.as_str(), &ceiling.from), ("10/s", &vec![guardrail]));
    assert!(!stage.only_set().1);
}

#[tokio::test(flavor = "multi_thread")]
async fn guardrails_that_name_different_accounts_close_the_namespace_until_they_agree() {
    let stage = set("conflict").await;
    let other = GUARDRAIL
        .replace("metadata: {name: STAGE}", "metadata: {name: STAGE-other}")
        .replace("accountRef: {name: STAGE}", "accountRef: {name: STAGE-elsewhere}");
    stage.apply(&other).await;

    let message = stage.policy_says("default", "Ready", "False AccountConflict").await;

    for name in [stage.name.clone(), format!("{}-elsewhere", stage.name)] {
        assert!(message.contains(&name), "{message}");
    }
    stage.config_holds("closed:").await;
    stage.mode_is("default", "Paused").await;
    // Nothing may leave: the set of the account that was in use is off, too.
    stage.set_is(false).await;

    let agreed = json!({"spec": {"accountRef": {"name": stage.name}}});
    stage
        .patch(&stage.guardrails(), &format!("{}-other", stage.name), agreed)
        .await;

    stage.policy_says("default", "Ready", "True InForce").await;
    stage.set_is(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_account_closes_its_namespaces_and_opens_them_when_it_comes() {
    let stage = empty("accountless").await;
    stage.apply(&[GUARDRAIL, POLICY].concat()).await;
    let message = stage.policy_says("default", "Ready", "False AccountMissing").await;
    assert!(message.contains(&stage.name), "{message}");
    stage.mode_is("default", "Paused").await;

    stage.apply(ACCOUNT).await;

    stage.policy_says("default", "Ready", "True InForce").await;
    stage.mode_is("default", "Live").await;
    assert!(stage.only_set().1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_label_of_a_namespace_bounds_its_policies_anew() {
    let stage = empty("labels").await;
    let by_label = |name: &str, mode: &str| {
        GUARDRAIL
            .replace("metadata: {name: STAGE}", &format!("metadata: {{name: STAGE-{name}}}"))
            .replace("kubernetes.io/metadata.name: STAGE", &format!("env: STAGE-{name}"))
            .replace("maxMode: Live\n  window", &format!("maxMode: {mode}\n  window"))
    };
    let guardrails = [by_label("dev", "Capture"), by_label("prod", "Live")].concat();
    stage.apply(&[ACCOUNT, &guardrails, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "False NoGuardrail").await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(stage.client.clone());
    let label = |env: &str| json!({"metadata": {"labels": {"env": format!("{}-{env}", stage.name)}}});

    stage.patch(&namespaces, &stage.name, label("prod")).await;
    stage.mode_is("default", "Live").await;
    stage.set_is(true).await;
    stage.patch(&namespaces, &stage.name, label("dev")).await;
    stage.mode_is("default", "Capture").await;
    stage.set_is(false).await;
    stage
        .patch(&namespaces, &stage.name, json!({"metadata": {"labels": {"env": null}}}))
        .await;

    // Out of every guardrail's reach: closed, and the configuration says so.
    stage.policy_says("default", "Ready", "False NoGuardrail").await;
    stage.config_holds("closed:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_guardrail_and_of_an_account_reach_policies() {
    let stage = set("reach").await;
    let tightened = json!({"spec": {"maxMode": "Restricted", "ceilings": {"recipients": ["7/h"]}}});
    stage.patch(&stage.guardrails(), &stage.name, tightened).await;
    stage.mode_is("default", "Restricted").await;
    stage.config_holds("7/h").await;

    let topic = "arn:aws:sns:us-east-1:111122223333:elsewhere";
    let moved = json!({"spec": {"feedback": {"destination": {"sns": {"topicArn": topic}}}}});
    stage.ses().reset_calls();
    stage.patch(&stage.accounts(), &stage.name, moved).await;

    let look = async || {
        let topics: Vec<String> = stage.ses().with_account(|account| {
            let destinations = account.sets.values().flat_map(|set| set.destinations.values());
            destinations
                .filter_map(|destination| Some(destination.sns_destination.as_ref()?.topic_arn.clone()))
                .collect()
        });
        if topics == [topic] {
            Ok(())
        } else {
            Err(format!("{topics:?}"))
        }
    };
    stage.wait("events go to the new topic", look).await;
    assert_eq!(stage.write_names(), ["UpdateConfigurationSetEventDestination"]);
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_read_alike_get_sets_of_their_own() {
    let stage = empty("alike").await;
    let longer = format!("{}-b", stage.name);
    stage
        .control_plane
        .kubectl(&["create", "namespace", &longer])
        .await
        .unwrap();
    let guardrail = GUARDRAIL.replace(
        "{matchLabels: {kubernetes.io/metadata.name: STAGE}}",
        "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [STAGE, STAGE-b]}]}",
    );
    // `x-b`/`c` and `x`/`b-c`.
    let policy = |namespace: &str, name: &str| {
        POLICY
            .replace("name: default", &format!("name: {name}"))
            .replace("namespace: STAGE", &format!("namespace: {namespace}"))
    };
    let policies = [policy("STAGE-b", "c"), policy("STAGE", "b-c")].concat();
    stage.apply(&[ACCOUNT, &guardrail, &policies].concat()).await;

    stage.policy_says("b-c", "Ready", "True InForce").await;
    let elsewhere: Api<MailPolicy> = Api::namespaced(stage.client.clone(), &longer);
    let look = async || {
        let status = elsewhere.get("c").await.unwrap().status.unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        match ready {
            Some(ready) if ready.status == "True" => Ok(status.ses.unwrap_or_default().configuration_set),
            _ => Err(format!("{:?}", status.conditions)),
        }
    };
    let other = stage.wait("the policy of the longer namespace is ready", look).await;
    let one = stage.policy("b-c").await.status.unwrap().ses.unwrap().configuration_set;

    assert_eq!(stage.sets(), [one.clone(), other.clone()].into());
    let without_hash = |name: &str| name.rsplit_once('-').unwrap().0.to_owned();
    assert_eq!(without_hash(&one), without_hash(&other), "they would not have collided");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_becomes_invalid_keeps_its_last_good_configuration_within_the_present_bounds() {
    let stage = set("invalid").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let good = json!({"spec": {"mode": "Restricted", "allowedDomains": ["example.com"]}});
    stage.patch(&policies, "default", good).await;
    stage.published_mode_is("default", "Restricted").await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.ses().reset_calls();

    let suffix = json!({"spec": {"mode": "Live", "allowedDomains": ["co.uk"]}});
    stage.patch(&policies, "default", suffix).await;

    let message = stage.policy_says("default", "Accepted", "False SpecInvalid").await;
    assert!(
        message.contains("allowedDomains") && message.contains("co.uk"),
        "{message}"
    );
    stage.policy_says("default", "Stalled", "True SpecInvalid").await;
    stage.mode_is("default", "Restricted").await;
    let config = stage.published_mode_is("default", "Restricted").await;
    assert!(
        config.contains("- example.com") && !config.contains("co.uk"),
        "{config}"
    );
    assert_eq!(stage.write_names(), Vec::<&str>::new());

    // The last good one, too, is bounded by what holds now.
    let tightened = json!({"spec": {"maxMode": "Capture"}});
    stage.patch(&stage.guardrails(), &stage.name, tightened).await;
    stage.mode_is("default", "Capture").await;
    stage.published_mode_is("default", "Capture").await;
    stage.set_is(false).await;

    // They are the bounds of a moment: once they are wider, it is what it was.
    let widened = json!({"spec": {"maxMode": "Live"}});
    stage.patch(&stage.guardrails(), &stage.name, widened).await;
    stage.mode_is("default", "Restricted").await;
    stage.set_is(true).await;
    stage.published_mode_is("default", "Restricted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_edit_of_what_was_accepted_last_is_never_in_force() {
    let stage = set("forged").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Capture"}}))
        .await;
    stage.published_mode_is("default", "Capture").await;
    let suffix = json!({"spec": {"allowedDomains": ["co.uk"]}});
    stage.patch(&policies, "default", suffix).await;
    stage.policy_says("default", "Accepted", "False SpecInvalid").await;
    stage.published_mode_is("default", "Capture").await;
    let maps: Api<ConfigMap> = stage.namespaced();
    let kept = maps.get("mail-sidecar").await.unwrap().data.unwrap()["last-accepted.yaml"].clone();
    let forged = kept.replace("mode: Capture", "mode: Live");
    assert_ne!(forged, kept);

    stage
        .patch(&maps, "mail-sidecar", json!({"data": {"last-accepted.yaml": forged}}))
        .await;

    stage.published_mode_is("default", "Paused").await;
    stage.mode_is("default", "Paused").await;
    let mended = json!({"spec": {"mode": "Capture", "allowedDomains": ["example.com"]}});
    stage.patch(&policies, "default", mended).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.published_mode_is("default", "Capture").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_made_anew_under_another_name_gets_a_set_of_that_name_and_the_old_one_goes() {
    let stage = set("renamed").await;
    let (old, _) = stage.only_set();

    stage.apply(&POLICY.replace("name: default", "name: receipts")).await;
    stage.policy_says("receipts", "Ready", "True InForce").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;

    let (new, sends) = stage.only_set();
    assert!(new != old && new.contains("receipts") && sends, "{new}");
    let look = async || match stage.config_of(&stage.name).await {
        Some(config) if config.contains("receipts") && !config.contains(&old) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the configuration knows only the new name", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ceilings_that_exceed_the_quota_together_are_told_by_the_account_and_its_policies() {
    let stage = set("together").await;
    let ceiling = |per_day: &str| json!({"spec": {"ceilings": {"recipients": [per_day]}}});
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.patch(&policies, "default", ceiling("30000/d")).await;
    stage.account_says("WithinQuota", "True WithinQuota").await;
    stage.policy_says("default", "WithinQuota", "True WithinQuota").await;

    // The quota is 50,000: neither exceeds it alone.
    let second = POLICY
        .replace("name: default", "name: second")
        .replace("spec: {", "spec: {ceilings: {recipients: [\"30000/d\"]}, ");
    stage.apply(&second).await;

    let message = stage.account_says("WithinQuota", "False CeilingsExceedQuota").await;
    assert!(message.contains("60000 recipients a day together"), "{message}");
    for policy in ["default", "second"] {
        stage
            .policy_says(policy, "WithinQuota", "False CeilingsOfAllExceedQuota")
            .await;
        stage.policy_says(policy, "Ready", "True InForce").await;
    }

    stage.patch(&policies, "second", ceiling("20000/d")).await;
    stage.account_says("WithinQuota", "True WithinQuota").await;
    stage.policy_says("default", "WithinQuota", "True WithinQuota").await;
    let status = stage.accounts().get(&stage.name).await.unwrap().status.unwrap();
    assert_eq!(status.ceilings_per_day, Some(50_000));
}
