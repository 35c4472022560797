#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use reqwest::{Client, Response as HttpResponse};
use serde_json::{Value, json};

use super::*;
use crate::simulator::faults::{Effect, Fault};
use crate::simulator::throttle::Limit;

const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=simulator/20261124/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=00";

async fn started() -> Running {
    Simulator::start(Config {
        limit: Limit::None,
        ..Config::default()
    })
    .await
    .unwrap()
}

async fn create_set(running: &Running, body: String) -> reqwest::Result<HttpResponse> {
    let url = format!("{}/v2/email/configuration-sets", running.endpoint());
    Client::new()
        .post(url)
        .header("authorization", AUTHORIZATION)
        .body(body)
        .send()
        .await
}

fn named(name: &str) -> String {
    json!({"ConfigurationSetName": name}).to_string()
}

async fn admin(running: &Running, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/_admin/{path}", running.endpoint());
    let mut request = Client::new().request(method, url);
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn an_error_has_its_name_in_a_header_and_every_answer_a_request_id() {
    let running = started().await;
    create_set(&running, named("team")).await.unwrap();
    let response = create_set(&running, named("team")).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-errortype"], "AlreadyExistsException");
    assert!(response.headers().contains_key("x-amzn-requestid"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({"message": "Configuration set <team> already exists."}));
}

#[tokio::test]
async fn a_body_too_large_is_refused() {
    let running = started().await;
    let response = create_set(&running, "x".repeat(MAX_BODY_BYTES + 1)).await.unwrap();
    assert_eq!(response.status(), 413);
}

async fn post(running: &Running, path: &str, body: Vec<u8>) -> u16 {
    let url = format!("{}{path}", running.endpoint());
    let request = Client::new().post(url).header("authorization", AUTHORIZATION);
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn only_what_sends_may_have_a_large_body() {
    let running = started().await;
    let body = || vec![b' '; MAX_BODY_BYTES + 1];
    for path in ["/v2/email/outbound-emails", "/v2/email/outbound-bulk-emails", "/"] {
        assert_ne!(post(&running, path, body()).await, 413, "{path}");
    }
    assert_eq!(post(&running, "/v2/email/tenants", body()).await, 413);
}

#[tokio::test]
async fn more_large_bodies_than_there_is_room_for_are_served_one_after_the_other() {
    let running = started().await;
    let large = (0..MAX_LARGE_BODIES + 2).map(|_| post(&running, "/", vec![b' '; MAX_BODY_BYTES + 1]));
    let statuses = futures::future::join_all(large).await;
    assert!(statuses.iter().all(|status| *status != 413), "{statuses:?}");
}

#[tokio::test]
async fn messages_are_listed_shown_and_forgotten() {
    use reqwest::Method;
    let running = started().await;
    running
        .admin()
        .with_account(|account| account.put_identity("example.com", true));
    let message = json!({"body": {
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": ["a@example.org"]},
        "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Html": {"Data": "h"}}}},
    }});
    let (status, sent) = admin(&running, Method::POST, "operations/SendEmail", message).await;
    assert_eq!(status, 200, "{sent}");
    assert_eq!(
        (running.admin().received_total(), running.admin().last_received()),
        (1, 1)
    );
    assert_eq!(running.admin().received()[0].message_id, sent["MessageId"]);
    assert_eq!(running.admin().received_after(1, 10), []);
    assert_eq!(running.admin().received_by_domain()["example.org"], 1);

    let (_, listed) = admin(&running, Method::GET, "received", Value::Null).await;
    assert_eq!(
        (&listed["total"], &listed["byDomain"]),
        (&json!(1), &json!({"example.org": 1}))
    );
    let recipient = json!({"address": "a@example.org", "outcome": "delivery"});
    assert_eq!(listed["messages"][0]["recipients"], json!([recipient]));
    let (_, shown) = admin(&running, Method::GET, "received/1", Value::Null).await;
    assert_eq!(shown["content"]["simple"]["html"], "h");
    admin(&running, Method::DELETE, "received", Value::Null).await;
    assert!(running.admin().received().is_empty());
    let (status, _) = admin(&running, Method::GET, "received/1", Value::Null).await;
    assert_eq!(status, 404);
    let (_, settings) = admin(&running, Method::GET, "settings", Value::Null).await;
    assert_eq!(settings["sentLast24Hours"], 0.0, "the setting is what was sent besides");
}

#[tokio::test]
async fn a_lost_answer_cuts_the_connection_after_the_change() {
    let running = started().await;
    running.admin().arm(Fault::next_calls(Effect::LoseAnswer, 1)).unwrap();
    let error = create_set(&running, named("team")).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert!(
        running
            .admin()
            .with_account(|account| account.sets.contains_key("team"))
    );
}

#[tokio::test]
async fn a_dropped_simulator_no_longer_listens() {
    let running = started().await;
    let address = running.address();
    drop(running);
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .expect("it still listens");
}

#[tokio::test]
async fn a_stop_ends_idle_connections() {
    let running = started().await;
    let idle = TcpStream::connect(running.address()).await.unwrap();
    tokio::time::timeout(STOP_TIMEOUT, running.stop())
        .await
        .expect("it waits for an idle connection");
    drop(idle);
}

#[tokio::test]
async fn state_calls_and_counts_are_shown_and_forgotten() {
    use reqwest::Method;
    let running = started().await;
    create_set(&running, named("team")).await.unwrap();
    let (_, state) = admin(&running, Method::GET, "state", Value::Null).await;
    assert_eq!(
        state["sets"]["team"]["options"]["SendingOptions"],
        json!({"SendingEnabled": true})
    );
    let (_, calls) = admin(&running, Method::GET, "calls?after=0&limit=5", Value::Null).await;
    assert_eq!(calls["calls"][0]["operation"], "CreateConfigurationSet");
    assert_eq!(calls["calls"][0]["target"], "team");
    let (_, counts) = admin(&running, Method::GET, "counts", Value::Null).await;
    let count = json!({"operation": "CreateConfigurationSet", "outcome": "ok", "calls": 1});
    assert_eq!(counts["counts"], json!([count]));
    admin(&running, Method::DELETE, "calls", Value::Null).await;
    assert_eq!(
        admin(&running, Method::GET, "counts", Value::Null).await.1["counts"],
        json!([])
    );
    admin(&running, Method::POST, "reset", Value::Null).await;
    assert_eq!(
        admin(&running, Method::GET, "state", Value::Null).await.1["sets"],
        json!({})
    );
}

#[tokio::test]
async fn a_set_is_changed_and_deleted_behind_the_apis_back() {
    use reqwest::Method;
    let running = started().await;
    create_set(&running, named("team")).await.unwrap();
    let patch = json!({"SuppressionOptions": {"SuppressedReasons": ["BOUNCE"]}, "DeliveryOptions": null});
    let (status, options) = admin(&running, Method::PATCH, "sets/team/options", patch).await;
    assert_eq!(status, 200);
    assert_eq!(options["SuppressionOptions"], json!({"SuppressedReasons": ["BOUNCE"]}));
    assert_eq!(options["DeliveryOptions"], Value::Null);
    assert_eq!(admin(&running, Method::DELETE, "sets/team", Value::Null).await.0, 200);
    assert_eq!(admin(&running, Method::DELETE, "sets/team", Value::Null).await.0, 404);
}

#[tokio::test]
async fn any_operation_can_be_performed_as_somebody_else_without_the_throttle_or_the_log() {
    use reqwest::Method;
    let running = Simulator::start(Config::default()).await.unwrap();
    for name in ["a", "b"] {
        let call = json!({"body": {"ConfigurationSetName": name}});
        let (status, _) = admin(&running, Method::POST, "operations/CreateConfigurationSet", call).await;
        assert_eq!(status, 200);
    }
    let call = json!({"labels": ["a"], "body": {"SendingEnabled": false}});
    admin(
        &running,
        Method::POST,
        "operations/PutConfigurationSetSendingOptions",
        call,
    )
    .await;
    assert!(
        running
            .admin()
            .with_account(|account| !account.sets["a"].sending_enabled())
    );
    assert_eq!(running.admin().last_call(), 0);
    let unknown = admin(&running, Method::POST, "operations/GetNothing", json!({})).await;
    assert_eq!(unknown.0, 404);
}

#[tokio::test]
async fn settings_limits_denials_and_faults_are_set_and_a_mistake_is_refused() {
    use reqwest::Method;
    let running = started().await;
    let (status, settings) = admin(
        &running,
        Method::PATCH,
        "settings",
        json!({"enforcement": "PROBATION", "productionAccess": false}),
    )
    .await;
    assert_eq!((status, &settings["enforcement"]), (200, &json!("PROBATION")));
    assert_eq!(
        admin(&running, Method::PATCH, "settings", json!({"enforcement": "FINE"}))
            .await
            .0,
        400
    );
    assert_eq!(
        admin(
            &running,
            Method::PUT,
            "limits",
            json!({"callsPerSecond": 5.0, "burst": 3})
        )
        .await
        .0,
        200
    );
    assert_eq!(
        running.admin().limit(),
        Limit::Bucket {
            per_second: 5.0,
            burst: 3
        }
    );
    assert_eq!(
        admin(&running, Method::PUT, "limits", json!({"callsPerSecond": 0.0}))
            .await
            .0,
        400
    );
    assert_eq!(
        admin(&running, Method::PUT, "denials", json!({"operations": ["GetAccount"]}))
            .await
            .0,
        200
    );
    assert_eq!(running.admin().denied(), [crate::simulator::Operation::GetAccount]);
    assert_eq!(
        admin(&running, Method::PUT, "denials", json!({"operations": ["GetNothing"]}))
            .await
            .0,
        404
    );
    assert_eq!(
        admin(
            &running,
            Method::POST,
            "faults",
            json!({"effect": "throttle", "times": 2})
        )
        .await
        .0,
        200
    );
    assert_eq!(running.admin().faults(), [Fault::next_calls(Effect::Throttle, 2)]);
    assert_eq!(
        admin(
            &running,
            Method::POST,
            "faults",
            json!({"effect": {"error": {"status": 404}}})
        )
        .await
        .0,
        400
    );
    assert_eq!(admin(&running, Method::DELETE, "faults", Value::Null).await.0, 200);
    assert!(running.admin().faults().is_empty());
}

#[tokio::test]
async fn aws_pauses_a_tenant_and_verifies_an_identity() {
    use reqwest::Method;
    let running = started().await;
    admin(
        &running,
        Method::POST,
        "operations/CreateTenant",
        json!({"body": {"TenantName": "shop"}}),
    )
    .await;
    let pause = json!({"status": "DISABLED", "cause": "Bounce rate."});
    assert_eq!(
        admin(&running, Method::PUT, "tenants/shop/aws-status", pause.clone())
            .await
            .0,
        200
    );
    assert_eq!(
        admin(&running, Method::PUT, "tenants/none/aws-status", pause).await.0,
        404
    );
    admin(
        &running,
        Method::PUT,
        "identities/example.com",
        json!({"verified": true}),
    )
    .await;
    let (_, state) = admin(&running, Method::GET, "state", Value::Null).await;
    assert_eq!(state["tenants"]["shop"]["sendingStatus"], "DISABLED");
    assert_eq!(state["identities"]["example.com"]["verified"], true);
    let finding = json!({"resourceArn": state["tenants"]["shop"]["arn"], "type": "BOUNCE", "description": "High.",
                         "status": "OPEN", "impact": "HIGH"});
    assert_eq!(admin(&running, Method::POST, "recommendations", finding).await.0, 200);
    assert_eq!(running.admin().with_account(|account| account.recommendations.len()), 1);
}
