//! Pods with a sidecar, as docs/sidecar.md writes them, in namespaces that are held to the Pod Security Standard
//! `restricted`.

use kube::{Api, api::PostParams};
use mail_policy_operator::{api::MailPolicy, simulator::state::AccountSettings};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    stage::{ACCOUNT, GUARDRAIL, Stage},
    support::{Error, Node, pod},
};

/// Whom the policy allows, and whom it does not.
const ALLOWED: &str = "qa@example.com";
const STRANGER: &str = "customer@customer.example";

/// More than anybody sends here.
const PLENTY: &str = "100000/h";

/// Only test systems are mailed.
const POLICY: &str = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailPolicy
metadata: {name: default, namespace: STAGE}
spec: {mode: Restricted, otherRecipients: {action: Reject}, deletionPolicy: Delete}
---
";

/// The node that all tests share, with the operator in it.
async fn node() -> &'static Node {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    let start = async || {
        let node = Node::start().await?;
        node.import_ours().await?;
        node.install_operator(&["--list-every", "2s"]).await?;
        Ok::<_, Error>(node)
    };
    NODE.get_or_try_init(start).await.unwrap()
}

/// A namespace that has nothing of ours yet.
async fn empty(prefix: &str) -> Stage<'static> {
    let stage = Stage::empty(&node().await.cluster, prefix).await;
    stage.ses().with_account(|account| {
        account.settings = AccountSettings {
            max_send_rate: 100_000.0,
            ..AccountSettings::production()
        };
    });
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    let label = ["label", "namespace", &stage.name, enforce];
    stage.control_plane.kubectl(&label).await.unwrap();
    stage
}

/// Account, guardrail, policy and credentials, once they are in force.
async fn govern(stage: &Stage<'_>, ceiling: &str) {
    let guardrail = GUARDRAIL.replace("---", &format!("  ceilings: {{recipients: [{ceiling}]}}\n---"));
    stage.apply(&[ACCOUNT, &guardrail, POLICY].concat()).await;
    let secret = r"
apiVersion: v1
kind: Secret
metadata: {name: mail-credentials, namespace: STAGE}
stringData: {accessKeyId: simulator, secretAccessKey: secret}
";
    stage.apply(secret).await;
    stage.policy_says("default", "Ready", "True InForce").await;
}

/// Starts a pod whose workload waits for what it is told.
async fn start(stage: &Stage<'_>, name: &str) {
    let pod = pod(&stage.name, name, &["wait"]).unwrap();
    node().await.start_pod(&pod).await.unwrap();
}

async fn send(stage: &Stage<'_>, pod: &str, to: &str, times: u32) -> Value {
    let arguments = ["send", "--to", to, "--times", &times.to_string()];
    node().await.in_pod(&stage.name, pod, &arguments).await.unwrap()
}

/// Waits until a message is sent.
async fn is_sent(stage: &Stage<'_>, pod: &str) {
    let sent = async || match send(stage, pod, ALLOWED, 1).await {
        told if told["refused"].is_null() => Ok(()),
        told => Err(told.to_string()),
    };
    stage.wait("mail is sent", sent).await;
}

/// Waits until a message is refused with these words.
async fn is_refused(stage: &Stage<'_>, pod: &str, words: &str) {
    let refused = async || match send(stage, pod, ALLOWED, 1).await {
        told if told["refused"].as_str().is_some_and(|text| text.contains(words)) => Ok(()),
        told => Err(told.to_string()),
    };
    stage.wait(&format!("mail is refused: {words}"), refused).await;
}

/// What a stranger is told, and what SES then has for anybody but those whom the policy allows: nothing.
async fn no_stranger_is_mailed(stage: &Stage<'_>, pod: &str) {
    let told = send(stage, pod, STRANGER, 1).await;
    assert_eq!(told["sent"], 0, "{told}");
    let received = stage.ses().received_after(0, usize::MAX);
    let mut recipients = received.iter().flat_map(|message| &message.recipients);
    assert!(recipients.all(|recipient| recipient.address == ALLOWED), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what tests/node/run makes"]
async fn a_pod_starts_without_a_configuration_gets_one_and_loses_it() {
    let stage = empty("comes-and-goes").await;
    start(&stage, "web").await;
    is_refused(&stage, "web", "no mail configuration").await;
    no_stranger_is_mailed(&stage, "web").await;
    assert_eq!(stage.ses().received_total(), 0);

    govern(&stage, PLENTY).await;
    is_sent(&stage, "web").await;
    no_stranger_is_mailed(&stage, "web").await;

    let policies: Api<MailPolicy> = stage.namespaced();
    stage.delete(&policies, "default").await;
    stage.delete(&stage.guardrails(), &stage.name).await;
    stage.gone(&policies, "default").await;
    is_refused(&stage, "web", "no MailGuardrail selects this namespace").await;
    no_stranger_is_mailed(&stage, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what tests/node/run makes"]
#[allow(clippy::print_stdout)] // How long it took is worth seeing.
async fn a_stop_reaches_a_running_sidecar_within_two_seconds() {
    let stage = empty("stopped").await;
    govern(&stage, PLENTY).await;
    start(&stage, "web").await;
    is_sent(&stage, "web").await;
    no_stranger_is_mailed(&stage, "web").await;

    let before = stage.ses().received_total();
    let sending = send(&stage, "web", ALLOWED, u32::MAX);
    let stopping = async {
        let flows = async || match stage.ses().received_total() {
            total if total > before + 10 => Ok(()),
            total => Err(format!("{total}")),
        };
        stage.wait("mail flows", flows).await;
        let policies: Api<MailPolicy> = stage.namespaced();
        let applied = mail_policy_operator::clock::now();
        stage
            .patch(&policies, "default", json!({"spec": {"mode": "Paused"}}))
            .await;
        applied
    };
    let (told, applied) = tokio::join!(sending, stopping);

    assert!(told["refused"].as_str().unwrap().contains("paused"), "{told}");
    let refused: jiff::Timestamp = told["at"].as_str().unwrap().parse().unwrap();
    let took = refused.duration_since(applied);
    println!("from mode: Paused applied to the first refusal: {took:#}");
    assert!(took < jiff::SignedDuration::from_secs(2), "{took:#}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what tests/node/run makes"]
async fn ceilings_outlive_a_container_that_is_killed() {
    let stage = empty("killed").await;
    govern(&stage, "5/h").await;
    let mut pod = pod(&stage.name, "web", &["wait"]).unwrap();
    // So that the workload can kill its sidecar, as the kernel does where memory runs out.
    pod["spec"]["shareProcessNamespace"] = json!(true);
    node().await.start_pod(&pod).await.unwrap();
    is_sent(&stage, "web").await;
    send(&stage, "web", ALLOWED, 50).await;
    let sent = stage.ses().received_total();
    assert!(sent <= 5, "{sent} of 5");

    let kill = ["sh", "-c", "kill -KILL $(pidof mail-sidecar)"];
    node().await.exec(&stage.name, "web", &kill).await.unwrap();
    let path = "jsonpath={.status.initContainerStatuses[0].restartCount} {.status.initContainerStatuses[0].ready}";
    let get = ["get", "pod", "--namespace", &stage.name, "web", "--output", path];
    let restarted = async || match stage.control_plane.kubectl(&get).await.unwrap() {
        status if status == "1 true" => Ok(()),
        status => Err(status),
    };
    stage.wait("the sidecar is there again", restarted).await;

    is_refused(&stage, "web", "ceiling").await;
    no_stranger_is_mailed(&stage, "web").await;
    assert!(stage.ses().received_total() <= 5);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what tests/node/run makes"]
async fn a_full_disk_stops_mail_and_not_the_pod() {
    let stage = empty("full").await;
    govern(&stage, PLENTY).await;
    let mut pod = pod(&stage.name, "web", &["wait"]).unwrap();
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    let state = volumes
        .iter_mut()
        .find(|volume| volume["name"] == "mail-state")
        .unwrap();
    // Some hundred messages are kept in so little.
    state["emptyDir"] = json!({"medium": "Memory", "sizeLimit": "16Ki"});
    node().await.start_pod(&pod).await.unwrap();
    is_sent(&stage, "web").await;
    let told = send(&stage, "web", ALLOWED, 5_000).await;
    let refused = told["refused"].as_str().unwrap();
    assert!(refused.contains("cannot write what its ceilings let through"), "{told}");
    let sent = stage.ses().received_total();
    is_refused(&stage, "web", "cannot write what its ceilings let through").await;
    assert_eq!(stage.ses().received_total(), sent, "nothing leaves that is not kept");
    let path = "jsonpath={.status.phase} {.status.initContainerStatuses[0].restartCount}";
    let get = ["get", "pod", "--namespace", &stage.name, "web", "--output", path];
    assert_eq!(stage.control_plane.kubectl(&get).await.unwrap(), "Running 0");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs what tests/node/run makes"]
async fn jobs_end_and_what_their_sidecars_sent_counts_on() {
    let stage = empty("jobs").await;
    govern(&stage, "4/h").await;
    let jobs: Api<k8s_openapi::api::batch::v1::Job> = stage.namespaced();
    for number in 0..3 {
        let name = format!("nightly-{number}");
        let mut pod = pod(&stage.name, &name, &["send", "--to", ALLOWED, "--times", "4"]).unwrap();
        pod["spec"]["restartPolicy"] = json!("Never");
        let template = json!({"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]});
        let job = json!({"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}});
        let job = serde_json::from_value(job).unwrap();
        jobs.create(&PostParams::default(), &job).await.unwrap();
        let complete = async || match jobs.get(&name).await.unwrap().status {
            Some(status) if status.succeeded == Some(1) => Ok(()),
            status => Err(format!("{status:?}")),
        };
        stage.wait("the Job is complete, its sidecar too", complete).await;
    }
    let total = stage.ses().received_total();
    assert!((1..=4).contains(&total), "{total} of 4 in an hour");
}
