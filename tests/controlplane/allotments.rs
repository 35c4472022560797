//! One ceiling over several pods, each with the sidecar itself, and stops that reach them.

use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use kube::{Api, ResourceExt, api::PostParams};
use mail_policy_operator::{
    api::MailPolicy,
    simulator::{Operation, state::AccountSettings},
};
use serde_json::{Value, json};

use crate::{
    installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage},
    support::PodSidecar,
};

/// What a sidecar answers to one message: `200`, or the error's name and its text.
async fn send(pod: &PodSidecar, to: &str) -> Result<(), String> {
    let body = json!({
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": [to]},
        "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "text"}}}},
    });
    let request = reqwest::Client::new().post(format!("http://{}/v2/email/outbound-emails", pod.http));
    let answer = request.json(&body).send().await.map_err(|error| error.to_string())?;
    if answer.status() == 200 {
        return Ok(());
    }
    let name = answer.headers()["x-amzn-errortype"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    Err(format!("{name}: {}", body["message"]))
}

/// Sends until the sidecar refuses; how many went.
async fn send_all(pod: &PodSidecar, prefix: &str) -> u64 {
    let mut sent = 0;
    while sent < 1_000 {
        match send(pod, &format!("{prefix}{sent}@example.com")).await {
            Ok(()) => sent += 1,
            Err(error) if error.starts_with("LimitExceeded") || error.contains("no share") => return sent,
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

/// A stage whose namespace has this ceiling, and credentials for its pods.
async fn set<'a>(installation: &'a Installation, prefix: &str, ceiling: &str) -> Stage<'a> {
    let stage = Stage::empty(&installation.control_plane, prefix).await;
    stage.ses().with_account(|account| {
        account.settings = AccountSettings {
            max_send_rate: 100_000.0,
            ..AccountSettings::production()
        };
    });
    let guardrail = GUARDRAIL.replace("---", &format!("  ceilings: {{recipients: [{ceiling}]}}\n---"));
    stage.apply(&[ACCOUNT, &guardrail, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    let secrets: Api<Secret> = stage.namespaced();
    let credentials = serde_json::from_value(json!({
        "metadata": {"name": "mail-credentials"},
        "stringData": {"accessKeyId": "simulator", "secretAccessKey": "secret"},
    }));
    secrets
        .create(&PostParams::default(), &credentials.unwrap())
        .await
        .unwrap();
    stage
}

async fn pod(stage: &Stage<'_>, name: &str) -> PodSidecar {
    let program = Path::new(env!("CARGO_BIN_EXE_mail-sidecar"));
    PodSidecar::start(&stage.client, &stage.name, name, program)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_share_a_ceiling_and_what_one_leaves_behind_counts_on() {
    let installation = Installation::shared().await;
    let stage = set(installation, "shares", "40/h").await;
    let one = pod(&stage, "one").await;
    // The first message of a new pod waits for its share.
    send(&one, "first@example.com").await.unwrap();
    let two = pod(&stage, "two").await;
    send(&two, "second@example.com").await.unwrap();
    let (by_one, by_two) = tokio::join!(send_all(&one, "a"), send_all(&two, "b"));
    let total = stage.ses().received_total();
    assert_eq!(total, by_one + by_two + 2);
    assert!(total <= 40, "{total} of 40 in an hour");
    assert!(
        total >= 10,
        "most of it is given to those who want it: {by_one} and {by_two}"
    );

    one.delete().await.unwrap();
    two.vanish().await.unwrap();
    let three = pod(&stage, "three").await;
    let attempt = async || match send(&three, "third@example.com").await {
        Err(error) if error.starts_with("ServiceUnavailable") || error.starts_with("LimitExceeded") => Ok(()),
        Err(error) => Err(error),
        // What the ones before left.
        Ok(()) => Err("it went".to_owned()),
    };
    stage.wait("the ceiling is used up, whoever asks", attempt).await;
    assert!(stage.ses().received_total() <= 40);
    let ledgers: Api<ConfigMap> = Api::namespaced(stage.client.clone(), "mail-policy-system");
    let ledger = ledgers.get(&format!("mail-ledger-{}", stage.name)).await.unwrap();
    let ledger = ledger.data.unwrap().remove("ledger.json").unwrap();
    assert!(!ledger.contains('@'), "{ledger}");
    three.delete().await.unwrap();
    let namespaces = Api::<Namespace>::all(stage.client.clone());
    stage.delete(&namespaces, &stage.name).await;
    stage.gone(&namespaces, &stage.name).await;
    let kept = ledgers.get_opt(&format!("mail-ledger-{}", stage.name)).await.unwrap();
    assert!(kept.is_some(), "a namespace made anew would begin with full ceilings");
}

async fn per_recipient_is(stage: &Stage<'_>, wanted: &str) {
    let look = async || {
        let effective = stage.policy("default").await.status.unwrap_or_default().effective;
        let shown = effective.iter().find(|value| value.field == "ceilings.perRecipient");
        match shown {
            Some(shown) if shown.value == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    stage.wait(&format!("perRecipient is {wanted}"), look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_a_pods_own_and_reaches_it_in_an_annotation() {
    let installation = Installation::shared().await;
    let stage = set(installation, "annotated", "100/d").await;
    let pod = pod(&stage, "web").await;
    send(&pod, "jo@example.com").await.unwrap();
    let pods: Api<Pod> = stage.namespaced();
    let object = pods.get("web").await.unwrap();
    let allotment: Value = serde_json::from_str(&object.annotations()["mailpolicy.dev/allotment"]).unwrap();
    assert_eq!(allotment["pod"].as_str(), object.metadata.uid.as_deref());
    // A tenth stays for newcomers.
    let shares = allotment["shares"].to_string();
    assert!(shares.contains("/d") && !shares.contains("100/d"), "{shares}");

    // A ceiling that each pod holds for itself is told with how many there are.
    let policies: Api<MailPolicy> = stage.namespaced();
    let per_recipient = json!({"spec": {"ceilings": {"perRecipient": ["3/h"]}}});
    stage.patch(&policies, "default", per_recipient).await;
    per_recipient_is(&stage, "3/h, in each of 1 pods").await;
    let second = self::pod(&stage, "web-2").await;
    per_recipient_is(&stage, "3/h, in each of 2 pods").await;
    second.delete().await.unwrap();
    per_recipient_is(&stage, "3/h, in each of 1 pods").await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)] // How long it took is worth seeing.
async fn a_stop_reaches_a_sidecar_within_seconds() {
    let installation = Installation::shared().await;
    let stage = set(installation, "stopped", "1000/h").await;
    let pod = pod(&stage, "web").await;
    send(&pod, "jo@example.com").await.unwrap();
    let policies: Api<MailPolicy> = stage.namespaced();
    let began = mail_policy_operator::clock::monotonic();
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Paused"}}))
        .await;
    let refused = async || match send(&pod, "jo@example.com").await {
        Err(error) if error.starts_with("SendingPaused") => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("mail is refused", refused).await;
    println!("from mode: Paused to the first refusal: {:?}", began.elapsed());
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Live"}}))
        .await;
    let sent = async || send(&pod, "jo@example.com").await;
    stage.wait("mail is sent again", sent).await;
    let sent = stage
        .ses()
        .counts()
        .into_iter()
        .filter(|count| count.operation == Operation::SendEmail);
    assert!(sent.map(|count| count.calls).sum::<u64>() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_knows_what_was_granted() {
    let installation = Installation::exclusive().await;
    // Of the same name, so that it need not wait until the lease runs out.
    let operator = installation.replica("replica-a").unwrap();
    let stage = set(&installation, "leaders", "20/h").await;
    let one = pod(&stage, "one").await;
    send(&one, "first@example.com").await.unwrap();
    let by_one = send_all(&one, "a").await + 1;
    drop(operator);
    one.vanish().await.unwrap();
    let _second = installation.replica("replica-a").unwrap();
    let two = pod(&stage, "two").await;
    let pods: Api<Pod> = stage.namespaced();
    let allotted = async || {
        let pod = pods.get("two").await.unwrap();
        let annotations = pod.annotations();
        annotations
            .get("mailpolicy.dev/allotment")
            .cloned()
            .ok_or_else(|| format!("{annotations:?}"))
    };
    stage.wait("the second pod has a share", allotted).await;
    let mut by_two = 0;
    for number in 0..60 {
        by_two += u64::from(send(&two, &format!("b{number}@example.com")).await.is_ok());
    }
    assert!(by_one + by_two <= 20, "{by_one} and {by_two} of 20");
    assert_eq!(stage.ses().received_total(), by_one + by_two);
}
