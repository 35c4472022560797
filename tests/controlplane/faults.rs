//! What SES and people do to us: refusals, faults, and changes behind our back.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, api::PostParams};
use mail_policy_operator::{
    api::MailPolicy,
    simulator::{Effect, Fault, Operation},
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

async fn empty(prefix: &str) -> Stage<'static> {
    Stage::empty(&Installation::shared().await.control_plane, prefix).await
}

async fn set(prefix: &str) -> Stage<'static> {
    Stage::set(&Installation::shared().await.control_plane, prefix).await
}

/// Makes the operator look at the account at once, as any change of it does.
async fn touch_account(stage: &Stage<'_>) {
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&stage.accounts(), &stage.name, touched).await;
}

async fn touch_policy(stage: &Stage<'_>) {
    let policies: Api<MailPolicy> = stage.namespaced();
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&policies, "default", touched).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_a_condition_of_the_account_and_mending_them_opens_its_policies() {
    let stage = empty("refused").await;
    stage.ses().deny([Operation::GetAccount]);
    stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;

    let message = stage.account_says("Ready", "False AccessDenied").await;

    assert!(
        message.contains("GetAccount") && message.contains("control role"),
        "{message}"
    );
    stage.account_says("Stalled", "True AccessDenied").await;
    stage.policy_says("default", "Ready", "False AccountWaits").await;
    // What the sidecar must enforce does not wait for SES.
    stage.published_mode_is("default", "Paused").await;
    assert!(stage.sets().is_empty());

    stage.ses().deny([]);
    touch_account(&stage).await;
    stage.account_says("Ready", "True Reached").await;
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_a_condition_of_the_policy_that_needs_it() {
    let stage = empty("denied").await;
    stage.ses().deny([Operation::CreateConfigurationSet]);
    stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;

    let message = stage.policy_says("default", "Programmed", "False AccessDenied").await;

    assert!(message.contains("CreateConfigurationSet"), "{message}");
    stage.policy_says("default", "Stalled", "True AccessDenied").await;
    stage.published_mode_is("default", "Paused").await;

    stage.ses().deny([]);
    touch_policy(&stage).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.published_mode_is("default", "Live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_the_endpoint_refuses_is_a_condition_of_the_account() {
    let stage = empty("region").await;
    let elsewhere = ACCOUNT.replace("region: us-east-1", "region: eu-west-1");
    stage.apply(&[&elsewhere, GUARDRAIL, POLICY].concat()).await;

    let look = async || {
        let account = stage.account().await;
        let conditions = account.status.unwrap_or_default().conditions;
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        match ready {
            Some(ready) if ready.status == "False" => Ok(ready.message.clone()),
            _ => Err(format!("{conditions:?}")),
        }
    };
    let message = stage.wait("the account is not ready", look).await;

    assert!(message.contains("region"), "{message}");
    stage.policy_says("default", "Ready", "False AccountWaits").await;
    stage.published_mode_is("default", "Paused").await;
    assert!(stage.sets().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_identity_is_named_with_what_to_do() {
    let stage = empty("unverified").await;
    stage
        .ses()
        .with_account(|account| account.put_identity("example.com", false));
    stage.apply(ACCOUNT).await;

    let message = stage
        .account_says("IdentitiesVerified", "False IdentityUnverified")
        .await;
    assert!(message.contains("example.com is not verified"), "{message}");

    // Found by the next listing, without anybody's help.
    stage
        .ses()
        .with_account(|account| account.put_identity("example.com", true));
    stage.account_says("IdentitiesVerified", "True Verified").await;
}

/// Makes the set that the stage's policy will want, as somebody else would, with these tags.
async fn occupied(stage: &Stage<'_>, tags: serde_json::Value) -> String {
    // The name is known from a policy that was there, and went.
    stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    let (name, _) = stage.only_set();
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;
    stage.sets_are(0).await;
    let body = json!({"ConfigurationSetName": name, "SendingOptions": {"SendingEnabled": true}, "Tags": tags});
    stage
        .ses()
        .perform(
            Operation::CreateConfigurationSet,
            Vec::new(),
            "",
            body.to_string().as_bytes(),
        )
        .unwrap();
    stage.ses().reset_calls();
    stage.apply(POLICY).await;
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_another_cluster_is_refused_until_an_annotation_takes_it_over() {
    let stage = empty("foreign").await;
    let tags = json!([
        {"Key": "managed-by", "Value": "mail-policy-operator"},
        {"Key": "mailpolicy.dev/cluster", "Value": "elsewhere"},
    ]);
    occupied(&stage, tags).await;

    let message = stage.policy_says("default", "Programmed", "False NotOurs").await;

    assert!(message.contains("elsewhere"), "{message}");
    stage.policy_says("default", "Stalled", "True NotOurs").await;
    stage.published_mode_is("default", "Paused").await;
    assert_eq!(stage.effects(), BTreeMap::new());

    // A consent that names somebody else is none.
    let policies: Api<MailPolicy> = stage.namespaced();
    let consent = |whom: &str| json!({"metadata": {"annotations": {"mailpolicy.dev/take-over-from": whom}}});
    stage.patch(&policies, "default", consent("nobody")).await;
    let look = async || {
        let message = stage.policy_says("default", "Programmed", "False NotOurs").await;
        if message.contains("must say elsewhere") {
            Ok(())
        } else {
            Err(message)
        }
    };
    stage.wait("the message says which consent is missing", look).await;
    assert_eq!(stage.effects(), BTreeMap::new());

    stage.patch(&policies, "default", consent("elsewhere")).await;

    stage.policy_says("default", "Ready", "True InForce").await;
    let cluster = stage.ses().with_account(|account| {
        let set = account.sets.values().next().unwrap();
        let tags = set.tags.list();
        assert_eq!(set.destinations.len(), 1);
        tags.iter()
            .find(|tag| tag.key.contains("cluster"))
            .unwrap()
            .value
            .clone()
    });
    assert_eq!(cluster, "test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_nobodys_is_neither_changed_nor_deleted_without_consent() {
    let stage = empty("unmarked").await;
    let name = occupied(&stage, json!([])).await;
    let message = stage.policy_says("default", "Programmed", "False NotOurs").await;
    assert!(message.contains("does not carry this operator's tags"), "{message}");

    let policies: Api<MailPolicy> = stage.namespaced();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;

    assert_eq!(stage.only_set(), (name, true));
    // It may have been tried before the listing showed the set; nothing took effect.
    assert_eq!(stage.effects(), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_deleted_behind_our_back_is_found_by_the_next_listing_and_made_anew() {
    let stage = set("vanished").await;
    let (name, _) = stage.only_set();
    stage.ses().reset_calls();

    stage.ses().with_account(|account| account.sets.remove(&name));

    stage.set_is(true).await;
    assert_eq!(stage.only_set(), (name, true));
    stage.event(&stage.name, "MailPolicy", "Drifted").await;
    let message = stage.policy_says("default", "Drifted", "True Corrected").await;
    assert!(message.contains("vanished"), "{message}");
    assert_eq!(
        stage.write_names(),
        ["CreateConfigurationSet", "CreateConfigurationSetEventDestination"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_for_a_while_delays_and_breaks_nothing() {
    let stage = set("throttled").await;
    let throttled = Fault {
        for_millis: Some(4000),
        ..Fault::every_call(Effect::Throttle)
    };
    stage.ses().reset_calls();
    stage.ses().arm(throttled).unwrap();
    let policies: Api<MailPolicy> = stage.namespaced();
    stage
        .patch(&policies, "default", json!({"spec": {"ses": {"tls": "Require"}}}))
        .await;

    // Once programmed, throttling does not take it away.
    stage.policy_says("default", "Programmed", "True ChangeWaits").await;
    stage.policy_says("default", "Ready", "True InForce").await;

    stage.policy_says("default", "Programmed", "True Programmed").await;
    let effects: BTreeMap<&str, usize> = stage
        .effects()
        .into_iter()
        .map(|((name, _), times)| (name, times))
        .collect();
    assert_eq!(effects, BTreeMap::from([("PutConfigurationSetDeliveryOptions", 1)]));
    // Whichever call met it first, a listing or the change: all of them wait for the one circuit.
    let calls = stage.ses().calls_after(0, 10_000);
    assert!(calls.iter().any(|call| !call.applied), "nothing was throttled");
    // The circuit breaker holds requests back: some tries, not a storm.
    assert!(calls.len() < 40, "{:?}", stage.ses().counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_lost_answers_at_every_call_converge_and_make_nothing_twice() {
    for (at, effect) in (0..2).flat_map(|at| {
        [
            Effect::Error { status: 500 },
            Effect::Error { status: 503 },
            Effect::CutBefore,
            Effect::LoseAnswer,
        ]
        .map(|effect| (at, effect))
    }) {
        let stage = empty("faulty").await;
        let operation = [
            Operation::CreateConfigurationSet,
            Operation::CreateConfigurationSetEventDestination,
        ][at];
        let fault = Fault {
            operation: Some(operation),
            ..Fault::next_calls(effect, 1)
        };
        stage.ses().arm(fault).unwrap();

        stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;

        stage.policy_says("default", "Ready", "True InForce").await;
        let hit = stage.writes().iter().filter(|call| call.fault.is_some()).count();
        assert_eq!(hit, 1, "{effect:?} hit nothing");
        let effects = stage.effects();
        assert!(
            effects.values().all(|times| *times == 1),
            "{effect:?} at {at}: {effects:?}"
        );
        assert_eq!(effects.len(), 2, "{effect:?} at {at}: {effects:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_fails_is_not_taken_for_somebody_elses_pause() {
    for effect in [Effect::Error { status: 500 }, Effect::LoseAnswer] {
        let stage = set("opening").await;
        let policies: Api<MailPolicy> = stage.namespaced();
        stage
            .patch(&policies, "default", json!({"spec": {"mode": "Paused"}}))
            .await;
        stage.set_is(false).await;
        stage.published_mode_is("default", "Paused").await;
        stage.policy_says("default", "Programmed", "True Programmed").await;
        let fault = Fault {
            operation: Some(Operation::PutConfigurationSetSendingOptions),
            ..Fault::next_calls(effect, 1)
        };
        stage.ses().arm(fault).unwrap();

        stage
            .patch(&policies, "default", json!({"spec": {"mode": "Live"}}))
            .await;

        stage.set_is(true).await;
        stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
        stage.published_mode_is("default", "Live").await;
        assert!(stage.ses().faults().is_empty(), "{effect:?} hit nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_published_before_ses_is_called_and_carried_out_although_ses_fails() {
    let stage = set("stop").await;
    let failing = Fault {
        operation: Some(Operation::PutConfigurationSetSendingOptions),
        ..Fault::next_calls(Effect::Error { status: 503 }, 2)
    };
    stage.ses().arm(failing).unwrap();
    let policies: Api<MailPolicy> = stage.namespaced();

    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Paused"}}))
        .await;

    stage.published_mode_is("default", "Paused").await;
    stage.set_is(false).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    assert!(stage.ses().faults().is_empty(), "nothing failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_config_map_that_is_edited_or_deleted_is_put_back_and_told_of() {
    let stage = set("edited").await;
    let good = stage.published_mode_is("default", "Live").await;
    let maps: Api<ConfigMap> = stage.namespaced();
    let opened = good.replace("mode: Live", "mode: Simulate");
    assert_ne!(good, opened);

    stage
        .patch(&maps, "mail-sidecar", json!({"data": {"sidecar.yaml": opened}}))
        .await;

    let restored = async || match stage.config_of(&stage.name).await {
        Some(config) if config == good => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the edit is undone", restored).await;
    stage.event("default", "Namespace", "ManagedObjectEdited").await;

    for name in ["mail-sidecar", "mail-env"] {
        let before = maps.get(name).await.unwrap();
        stage.delete(&maps, name).await;
        let again = async || match maps.get_opt(name).await {
            Ok(Some(map)) if map.metadata.uid != before.metadata.uid => Ok(map.data),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(stage.wait("it is there again", again).await, before.data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppression_list_that_vanishes_takes_no_published_hash_with_it() {
    let revision = |config: &str| {
        let line = config.lines().find(|line| line.contains("revision:")).unwrap();
        line.trim().to_owned()
    };
    let stage = set("list").await;
    let without = revision(&stage.config_holds("revision:").await);
    let secrets: Api<Secret> = stage.namespaced();
    let list = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some("mail-suppression-list".to_owned()),
            ..Default::default()
        },
        data: Some([("bounced".to_owned(), ByteString(b"gone@example.com\n".to_vec()))].into()),
        ..Default::default()
    };
    secrets.create(&PostParams::default(), &list).await.unwrap();
    let suppression = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailSuppression
metadata: {name: bounced, namespace: STAGE}
spec: {fromSecret: {key: bounced}}
";
    stage.apply(suppression).await;
    let published = async || {
        let secret = secrets
            .get("mail-suppressions")
            .await
            .map_err(|error| error.to_string())?;
        let hashes = secret.data.unwrap_or_default().remove("hashes").unwrap_or_default().0;
        if hashes.is_empty() {
            Err("no hash".to_owned())
        } else {
            Ok(hashes)
        }
    };
    let before = stage.wait("the hash is published", published).await;
    // The configuration that needs these hashes is published after them.
    let needed = async || match stage.config_of(&stage.name).await {
        Some(config) if revision(&config) != without => Ok(revision(&config)),
        other => Err(format!("{other:?}")),
    };
    let needed = stage.wait("the configuration needs the hash", needed).await;

    stage.delete(&secrets, "mail-suppression-list").await;

    // Something else that is published later shows that the vanished list was seen and kept.
    stage
        .patch(
            &stage.guardrails(),
            &stage.name,
            json!({"spec": {"ceilings": {"recipients": ["7/h"]}}}),
        )
        .await;
    let later = stage.config_holds("7/h").await;
    assert_eq!(revision(&later), needed);
    assert_eq!(published().await.unwrap(), before);
}
