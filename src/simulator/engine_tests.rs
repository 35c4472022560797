#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use serde_json::{Value, json};

use super::*;
use crate::simulator::faults::Fault;
use crate::simulator::throttle::Limit;

const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=simulator/20261124/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=00";

fn engine() -> Engine {
    Engine::new(
        Config {
            limit: Limit::None,
            ..Config::default()
        },
        Clock::system(),
    )
}

async fn send(engine: &Engine, method: &str, raw_path: &str, body: &Value) -> Result<Answer, Cut> {
    let claim = Claim {
        authorization: Some(AUTHORIZATION),
        security_token: None,
    };
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    engine
        .serve(Request {
            method,
            raw_path,
            query: "",
            claim,
            body: &body,
        })
        .await
}

async fn create_set(engine: &Engine) -> Result<Answer, Cut> {
    send(
        engine,
        "POST",
        "/v2/email/configuration-sets",
        &json!({"ConfigurationSetName": "team"}),
    )
    .await
}

fn last(engine: &Engine) -> CallRecord {
    engine.world().log.after(0, 1000).pop().unwrap()
}

fn arm(engine: &Engine, fault: Fault) {
    engine.world().faults.arm(fault, Duration::ZERO).unwrap();
}

fn has_set(engine: &Engine) -> bool {
    engine.world().account.sets.contains_key("team")
}

#[tokio::test]
async fn a_call_is_done_and_logged_with_its_target_and_caller() {
    let engine = engine();
    assert_eq!(create_set(&engine).await.unwrap().status, 200);
    let record = last(&engine);
    assert_eq!(
        (record.operation, record.target.as_str()),
        (Operation::CreateConfigurationSet, "team")
    );
    assert_eq!(
        (record.outcome, record.applied, record.access_key.as_deref()),
        ("ok", true, Some("simulator"))
    );
}

#[tokio::test]
async fn a_refused_call_carries_the_errors_name_and_text() {
    let engine = engine();
    let answer = send(&engine, "GET", "/v2/email/configuration-sets/none", &Value::Null)
        .await
        .unwrap();
    assert_eq!((answer.status, answer.error), (404, Some("NotFoundException")));
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        r#"{"message":"Configuration set <none> does not exist."}"#
    );
    assert_eq!(last(&engine).outcome, "NotFoundException");
}

#[tokio::test]
async fn an_unknown_operation_is_named_and_counted() {
    let engine = engine();
    let answer = send(&engine, "GET", "/v2/email/contact-lists", &Value::Null)
        .await
        .unwrap();
    assert_eq!((answer.status, answer.error), (404, Some("UnknownOperationException")));
    assert!(
        String::from_utf8(answer.body)
            .unwrap()
            .contains("GET /v2/email/contact-lists")
    );
    let counts = engine.world().log.counts();
    let unknown = counts
        .iter()
        .find(|count| count.operation == Operation::Unknown)
        .unwrap();
    assert_eq!((unknown.outcome, unknown.calls), ("UnknownOperationException", 1));
}

#[tokio::test]
async fn what_is_logged_of_an_unknown_operation_ends_before_an_address() {
    let engine = engine();
    let path = "/v2/email/suppression/addresses/someone%40example.org/history";
    let answer = send(&engine, "GET", path, &Value::Null).await.unwrap();
    assert!(String::from_utf8(answer.body).unwrap().contains(path));
    assert_eq!(last(&engine).target, "GET /v2/email/suppression/addresses");
}

#[tokio::test]
async fn the_second_call_within_a_second_is_throttled_and_changes_nothing() {
    let engine = Engine::new(
        Config {
            limit: Limit::SES,
            ..Config::default()
        },
        Clock::system(),
    );
    send(&engine, "GET", "/v2/email/account", &Value::Null).await.unwrap();
    let answer = create_set(&engine).await.unwrap();
    assert_eq!((answer.status, answer.error), (429, Some("TooManyRequestsException")));
    assert!(!has_set(&engine));
}

#[tokio::test]
async fn an_error_on_request_changes_nothing() {
    for (status, name) in [(500, "InternalServiceErrorException"), (503, "ServiceUnavailable")] {
        let engine = engine();
        arm(&engine, Fault::next_calls(Effect::Error { status }, 1));
        let answer = create_set(&engine).await.unwrap();
        assert_eq!(
            (answer.status, answer.error, has_set(&engine)),
            (status, Some(name), false)
        );
        assert_eq!(create_set(&engine).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_throttle_on_request_answers_429() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::Throttle, 1));
    assert_eq!(create_set(&engine).await.unwrap().status, 429);
    assert_eq!(last(&engine).fault, Some("throttle"));
}

#[tokio::test]
async fn a_cut_before_the_effect_changes_nothing() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::CutBefore, 1));
    assert_eq!(create_set(&engine).await, Err(Cut));
    assert!(!has_set(&engine));
    assert_eq!((last(&engine).outcome, last(&engine).applied), ("no-answer", false));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_change() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::LoseAnswer, 1));
    assert_eq!(create_set(&engine).await, Err(Cut));
    assert!(has_set(&engine));
    assert_eq!((last(&engine).outcome, last(&engine).applied), ("no-answer", true));
}

#[tokio::test]
async fn a_hanging_call_waits_and_is_cut_without_an_effect() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::Hang { millis: 20 }, 1));
    let before = engine.clock.elapsed();
    assert_eq!(create_set(&engine).await, Err(Cut));
    assert!(engine.clock.elapsed() >= before + Duration::from_millis(20));
    assert!(!has_set(&engine));
}

#[tokio::test]
async fn a_late_call_is_done_after_its_latency() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::Latency { millis: 20 }, 1));
    let before = engine.clock.elapsed();
    assert_eq!(create_set(&engine).await.unwrap().status, 200);
    assert!(engine.clock.elapsed() >= before + Duration::from_millis(20));
    assert!(has_set(&engine));
}

#[tokio::test]
async fn a_denied_operation_is_an_access_denied_with_a_capital_message() {
    let engine = engine();
    engine.world().denied.insert(Operation::CreateConfigurationSet);
    let answer = create_set(&engine).await.unwrap();
    assert_eq!((answer.status, answer.error), (403, Some("AccessDeniedException")));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(body["Message"].as_str().unwrap().contains("ses:CreateConfigurationSet"));
}

#[tokio::test]
async fn a_call_without_a_known_key_is_refused_before_any_fault_and_logged() {
    let engine = engine();
    arm(&engine, Fault::next_calls(Effect::Throttle, 1));
    let request = Request {
        method: "GET",
        raw_path: "/v2/email/account",
        query: "",
        claim: Claim::default(),
        body: b"",
    };
    let answer = engine.serve(request).await.unwrap();
    assert_eq!(
        (answer.status, answer.error),
        (403, Some("MissingAuthenticationTokenException"))
    );
    assert_eq!(engine.world().faults.armed().count(), 1);
    assert_eq!(last(&engine).access_key, None);
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_by_name() {
    let engine = engine();
    let claim = Claim {
        authorization: Some(AUTHORIZATION),
        security_token: None,
    };
    let request = Request {
        method: "GET",
        raw_path: "/v2/email/suppression/addresses",
        query: "Reasons=BOUNCE",
        claim,
        body: b"",
    };
    let answer = engine.serve(request).await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        String::from_utf8(answer.body)
            .unwrap()
            .contains("query parameter Reasons")
    );
}

#[tokio::test]
async fn the_call_log_has_no_suppressed_address() {
    let engine = engine();
    let body = json!({"EmailAddress": "someone@example.org", "Reason": "BOUNCE"});
    send(&engine, "PUT", "/v2/email/suppression/addresses", &body)
        .await
        .unwrap();
    send(
        &engine,
        "GET",
        "/v2/email/suppression/addresses/someone%40example.org",
        &Value::Null,
    )
    .await
    .unwrap();
    let records = engine.world().log.after(0, 10);
    assert_eq!(
        records.iter().map(|record| record.outcome).collect::<Vec<_>>(),
        ["ok", "ok"]
    );
    assert!(
        records.iter().all(|record| !record.target.contains("someone")),
        "{records:?}"
    );
}
