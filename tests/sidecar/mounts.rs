//! What is mounted, as it comes, changes and goes: the fail-closed matrix.

use crate::{
    http::{get, send, simple},
    stage::Stage,
};

/// Waits until a message to an allowed address is answered so.
async fn answered(stage: &Stage, http: std::net::SocketAddr, expected: &str) -> String {
    let attempt = async || {
        let (status, name, body) = send(http, &simple(&["jo@example.com"])).await;
        let outcome = if status == 200 { "200" } else { name.as_str() };
        if outcome == expected {
            Ok(body["message"].to_string())
        } else {
            Err(format!("{outcome}: {body}"))
        }
    };
    stage.wait(&format!("the answer is {expected}"), attempt).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_without_anything_runs_and_refuses_until_everything_is_there() {
    let mut stage = Stage::without_sidecar().await;
    let at = stage.start().await;
    assert_eq!(get(at.status, "/livez").await.0, 200);
    assert!(
        answered(&stage, at.http, "ServiceUnavailable")
            .await
            .contains("no mail configuration")
    );
    stage.configure(&[]);
    let attempt = async || {
        let (_, _, body) = send(at.http, &simple(&["jo@example.com"])).await;
        let message = body["message"].to_string();
        if message.contains("suppressed addresses") {
            Ok(())
        } else {
            Err(message)
        }
    };
    stage.wait("the suppressions are missed", attempt).await;
    stage.suppress(&[]);
    let attempt = async || {
        let (_, _, body) = send(at.http, &simple(&["jo@example.com"])).await;
        let message = body["message"].to_string();
        if message.contains("no credentials") {
            Ok(())
        } else {
            Err(message)
        }
    };
    stage.wait("the credentials are missed", attempt).await;
    stage.hand_out_credentials();
    answered(&stage, at.http, "200").await;
    assert_eq!(stage.mailed(), ["jo@example.com"]);

    stage.unpublish("credentials");
    answered(&stage, at.http, "ServiceUnavailable").await;
    stage.hand_out_credentials();
    answered(&stage, at.http, "200").await;
    stage.unpublish("suppressions");
    answered(&stage, at.http, "ServiceUnavailable").await;
    stage.suppress(&[]);
    answered(&stage, at.http, "200").await;
    stage.unpublish("config");
    answered(&stage, at.http, "ServiceUnavailable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_leaves_the_last_good_one_in_force_and_a_metric_says_so() {
    let (mut stage, at) = Stage::set(&[]).await;
    answered(&stage, at.http, "200").await;
    for broken in ["version: 2\n", "not yaml: [", "version: 1\nsurprise: 1\n"] {
        stage.publish("config", &[("sidecar.yaml", broken.as_bytes())]);
        let unreadable = async || {
            let (_, metrics) = get(at.status, "/metrics").await;
            let gauge = "mail_policy_sidecar_mounted_readable{folder=\"config\"} 0";
            if metrics.contains(gauge) { Ok(()) } else { Err(metrics) }
        };
        stage.wait("a metric says so", unreadable).await;
        assert_eq!(send(at.http, &simple(&["jo@example.com"])).await.0, 200);
        assert_eq!(send(at.http, &simple(&["jo@example.net"])).await.0, 400);
        stage.configure(&[]);
        let readable = async || {
            let (_, metrics) = get(at.status, "/metrics").await;
            let gauge = "mail_policy_sidecar_mounted_readable{folder=\"config\"} 1";
            if metrics.contains(gauge) { Ok(()) } else { Err(metrics) }
        };
        stage.wait("it is readable again", readable).await;
    }
    stage.configure(&[("revision: r1", "revision: r2")]);
    answered(&stage, at.http, "ServiceUnavailable").await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)] // How long it took is worth seeing.
async fn a_stop_is_in_force_within_a_second() {
    let (mut stage, at) = Stage::set(&[]).await;
    answered(&stage, at.http, "200").await;
    let began = mail_policy_operator::clock::monotonic();
    stage.configure(&[("mode: Restricted", "mode: Paused")]);
    answered(&stage, at.http, "SendingPausedException").await;
    println!("a stop was in force after {:?}", began.elapsed());
}

#[test]
fn no_kubernetes_client_is_linked_into_the_sidecar() {
    // The variable by which every in-cluster client finds the API server.
    let names = b"KUBERNETES_SERVICE_HOST";
    let holds = |program: &str| {
        std::fs::read(program)
            .unwrap()
            .windows(names.len())
            .any(|text| text == names)
    };
    assert!(
        holds(env!("CARGO_BIN_EXE_mail-policy-operator")),
        "the operator has one"
    );
    assert!(!holds(env!("CARGO_BIN_EXE_mail-sidecar")));
}
