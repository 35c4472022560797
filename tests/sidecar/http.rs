//! SES's API on loopback, mode by mode.

use std::net::SocketAddr;

use mail_policy_operator::{api::Address, policy::suppressions::Subject, simulator::state::Content};
use serde_json::{Value, json};

use crate::stage::Stage;

/// An answer: status, the error's name, and the body.
pub type Answer = (u16, String, Value);

pub async fn post(http: SocketAddr, path: &str, body: &Value) -> Answer {
    let answer = reqwest::Client::new()
        .post(format!("http://{http}{path}"))
        .json(body)
        .send()
        .await
        .unwrap();
    let name = answer
        .headers()
        .get("x-amzn-errortype")
        .map(|name| name.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    (
        status,
        name.unwrap_or_default(),
        answer.json().await.unwrap_or_default(),
    )
}

pub async fn get(http: SocketAddr, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{http}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub fn simple(to: &[&str]) -> Value {
    json!({
        "FromEmailAddress": "Shop <shop@example.com>",
        "Destination": {"ToAddresses": to},
        "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "text"}}}},
    })
}

pub fn raw(text: &str, to: &[&str]) -> Value {
    let data = data_encoding::BASE64.encode(text.replace('\n', "\r\n").as_bytes());
    json!({"Destination": {"ToAddresses": to}, "Content": {"Raw": {"Data": data}}})
}

pub async fn send(http: SocketAddr, body: &Value) -> Answer {
    post(http, "/v2/email/outbound-emails", body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_restricted_the_allowed_are_mailed_with_our_set_and_tags_and_the_rest_refused_for_good() {
    let (stage, at) = Stage::set(&[]).await;
    let mut request = simple(&["Jo <jo@example.com>"]);
    request["ConfigurationSetName"] = "theirs".into();
    request["TenantName"] = "theirs".into();
    request["EmailTags"] = json!([{"Name": "mine", "Value": "1"}, {"Name": "mail-policy-policy", "Value": "forged"}]);
    let (status, _, body) = send(at.http, &request).await;
    assert_eq!(status, 200, "{body}");
    let received = stage.ses.admin().received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].message_id, body["MessageId"].as_str().unwrap());
    assert_eq!(received[0].configuration_set.as_deref(), Some("shop-mail"));
    assert_eq!(
        (received[0].tenant.as_deref(), received[0].from.as_str()),
        (None, "Shop <shop@example.com>")
    );
    assert_eq!(received[0].destination.to, ["Jo <jo@example.com>"]);
    let tags: Vec<String> = received[0]
        .tags
        .iter()
        .map(|tag| format!("{}={}", tag.name, tag.value))
        .collect();
    assert_eq!(
        tags,
        [
            "mine=1",
            "mail-policy-namespace=shop",
            "mail-policy-policy=mail",
            "mail-policy-workload=deployment_web"
        ]
    );

    let (status, name, body) = send(at.http, &simple(&["jo@example.com", "stranger@example.net"])).await;
    assert_eq!((status, name.as_str()), (400, "MessageRejected"));
    let message = body["message"].as_str().unwrap();
    assert!(
        message.ends_with("(allowed: MailPolicy/mail)") && !message.contains('@'),
        "{message}"
    );
    assert_eq!(stage.mailed(), ["jo@example.com"], "all or nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_is_said_as_ses_says_it_and_nothing_leaves() {
    let (stage, at) = Stage::set(&[("mode: Restricted", "mode: Paused")]).await;
    let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
    assert_eq!((status, name.as_str()), (400, "SendingPausedException"));
    assert_eq!(body["message"], "mail is paused (mode: MailGuardrail/staging)");
    assert!(stage.mailed().is_empty());
    let (_, status) = get(at.http, "/status").await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["maySend"], &status["mode"]), (&false.into(), &"Paused".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn captured_mail_is_shown_as_it_came_and_goes_nowhere() {
    let (stage, at) = Stage::set(&[("mode: Restricted", "mode: Capture")]).await;
    let (status, _, body) = send(at.http, &simple(&["stranger@example.net"])).await;
    assert_eq!((status, &body["MessageId"]), (200, &"captured-1".into()));
    let text = "From: shop@example.com\nTo: a@example.net\nBcc: b@example.net\nSubject: Raw\n\nbody\n";
    let mut request = raw(text, &[]);
    request.as_object_mut().unwrap().remove("Destination");
    assert_eq!(send(at.http, &request).await.0, 200);
    let (_, list) = get(at.http, "/captured").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let subjects: Vec<&Value> = list["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["subject"])
        .collect();
    assert_eq!(subjects, ["Raw", "Hello"], "newest first");
    assert_eq!(list["messages"][0]["recipients"].as_array().unwrap().len(), 2);
    let (_, shown) = get(at.http, "/captured/2/raw").await;
    assert_eq!(shown, text.replace('\n', "\r\n"));
    let (_, shown) = get(at.http, "/captured/1").await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let number = &shown["parts"][0]["number"];
    assert_eq!(
        get(at.http, &format!("/captured/1/parts/{number}")).await.1.trim_end(),
        "text"
    );
    let deleted = reqwest::Client::new()
        .delete(format!("http://{}/captured/2", at.http))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status().as_u16(), 204);
    assert_eq!(get(at.http, "/captured/2").await.0, 404);
    assert_eq!(get(at.status, "/captured").await.0, 404, "loopback alone");
    assert!(stage.mailed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_mails_the_simulator_and_captures_a_copy() {
    let (stage, at) = Stage::set(&[("mode: Restricted", "mode: Simulate")]).await;
    let text = "From: shop@example.com\nTo: a@example.net\nCc: b@example.net\nBcc: c@example.net\n\nbody\n";
    let (status, _, body) = send(
        at.http,
        &raw(text, &["a@example.net", "b@example.net", "c@example.net"]),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    let mailed = stage.mailed();
    assert_eq!(mailed.len(), 3);
    assert!(
        mailed
            .iter()
            .all(|it| it.starts_with("success+") && it.ends_with("@simulator.amazonses.com"))
    );
    let received = stage.ses.admin().received();
    let Content::Raw(sent) = &received[0].content else {
        panic!("raw")
    };
    let sent = String::from_utf8_lossy(sent);
    assert!(
        sent.contains("X-Original-To: a@example.net\r\nX-Original-Cc: b@example.net\r\n"),
        "{sent}"
    );
    assert!(!sent.contains("c@example.net"), "{sent}");
    let (_, list) = get(at.http, "/captured").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["messages"][0]["sentAs"], json!([body["MessageId"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_covers_everyone_once_and_keeps_the_originals() {
    let redirect = r#"{action: Redirect, to: "qa+all@example.org"}
  subjectPrefix: "[staging]""#;
    let (stage, at) = Stage::set(&[("{action: Reject}", redirect)]).await;
    let request = simple(&["a@example.net", "b@example.net", "jo@example.com"]);
    assert_eq!(send(at.http, &request).await.0, 200);
    assert_eq!(stage.mailed(), ["qa+all@example.org", "jo@example.com"]);
    let received = stage.ses.admin().received();
    let Content::Simple(parts) = &received[0].content else {
        panic!("simple")
    };
    assert!(parts.subject.starts_with("[staging] "), "{}", parts.subject);
    let headers = format!("{:?}", parts.headers);
    assert!(
        headers.contains("a@example.net, b@example.net, jo@example.com"),
        "{headers}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_lets_pass_and_counts() {
    let (stage, at) = Stage::set(&[("enforcement: Enforce", "enforcement: Audit")]).await;
    assert_eq!(send(at.http, &simple(&["stranger@example.net"])).await.0, 200);
    assert_eq!(stage.mailed(), ["stranger@example.net"]);
    let (_, metrics) = get(at.status, "/metrics").await;
    assert!(
        metrics.contains("mail_policy_sidecar_audited_recipients_total 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fifty_recipients_are_split_and_a_retry_after_a_failure_goes_to_the_others() {
    use mail_policy_operator::simulator::{Effect, Fault};
    let (stage, at) = Stage::set(&[]).await;
    let to: Vec<String> = (0..120).map(|index| format!("u{index}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let fault = Fault {
        skip: 1,
        ..Fault::next_calls(Effect::Throttle, 1)
    };
    stage.ses.admin().arm(fault).unwrap();
    let (status, name, body) = send(at.http, &simple(&to)).await;
    assert_eq!((status, name.as_str()), (429, "TooManyRequestsException"));
    assert!(body["message"].as_str().unwrap().contains("50 of 120"), "{body}");
    let accepted = async || {
        let (status, _, body) = send(at.http, &simple(&to)).await;
        if status == 200 { Ok(()) } else { Err(body.to_string()) }
    };
    stage.wait("the rest is accepted", accepted).await;
    let mut mailed = stage.mailed();
    assert_eq!(mailed.len(), 120, "nobody twice");
    mailed.sort();
    mailed.dedup();
    assert_eq!(mailed.len(), 120);
    let calls = stage.ses.admin().received();
    assert!(calls.iter().all(|call| call.recipients.len() <= 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_split_into_single_sends_with_results_of_their_own() {
    let (stage, at) = Stage::set(&[]).await;
    let template = br#"{"TemplateName": "t", "TemplateContent": {"Subject": "Hi {{n}}", "Text": "x"}}"#;
    let create = mail_policy_operator::simulator::Operation::CreateEmailTemplate;
    stage.ses.admin().perform(create, vec![], "", template).unwrap();
    let body = json!({
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": "{\"n\":\"you\"}"}},
        "BulkEmailEntries": [
            {"Destination": {"ToAddresses": ["jo@example.com"]}},
            {"Destination": {"ToAddresses": ["stranger@example.net"]}},
        ],
    });
    let (status, _, body) = post(at.http, "/v2/email/outbound-bulk-emails", &body).await;
    assert_eq!(status, 200, "{body}");
    let results = body["BulkEmailEntryResults"].as_array().unwrap();
    assert_eq!(
        (&results[0]["Status"], &results[1]["Status"]),
        (&"SUCCESS".into(), &"MESSAGE_REJECTED".into())
    );
    assert_eq!(stage.mailed(), ["jo@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_the_policys_own_quota() {
    let ceilings = (
        "ceilings: {recipients: [], newRecipients: [], from",
        "ceilings: {recipients: [7/s, 500/d], newRecipients: [], from",
    );
    let (_stage, at) = Stage::set(&[ceilings]).await;
    assert_eq!(
        send(at.http, &simple(&["jo@example.com", "mo@example.com"])).await.0,
        200
    );
    let (_, account) = get(at.http, "/v2/email/account").await;
    let account: Value = serde_json::from_str(&account).unwrap();
    assert_eq!(
        account["SendQuota"],
        json!({"Max24HourSend": 500.0, "MaxSendRate": 7.0, "SentLast24Hours": 2.0})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_is_a_throttle_and_its_room_is_given_back_when_ses_refuses() {
    let ceilings = (
        "ceilings: {recipients: [], newRecipients: [], perRecipient",
        "ceilings: {recipients: [2/h], newRecipients: [], perRecipient",
    );
    let (mut stage, at) = Stage::set(&[ceilings]).await;
    stage
        .ses
        .admin()
        .with_account(|account| account.settings.sending_enabled = false);
    for _ in 0..3 {
        assert_eq!(
            send(at.http, &simple(&["jo@example.com"])).await.1,
            "SendingPausedException"
        );
    }
    stage
        .ses
        .admin()
        .with_account(|account| account.settings.sending_enabled = true);
    assert_eq!(send(at.http, &simple(&["a@example.com", "b@example.com"])).await.0, 200);
    let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
    assert_eq!(
        (status, name.as_str()),
        (400, "LimitExceededException"),
        "an hour is no wait for an SDK"
    );
    assert!(body["message"].as_str().unwrap().contains("ceiling of 2/h"), "{body}");
    assert_eq!(
        send(at.http, &simple(&["a@example.com", "b@example.com", "c@example.com"]))
            .await
            .1,
        "MessageRejected"
    );

    // A container that is killed and starts again hands out nothing anew.
    stage.kill().await;
    let at = stage.start().await;
    assert_eq!(
        send(at.http, &simple(&["jo@example.com"])).await.1,
        "LimitExceededException"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suppressed_are_refused_and_can_be_asked_for() {
    let (mut stage, at) = Stage::set(&[("mode: Restricted", "mode: Live")]).await;
    stage.suppress(&[Subject::Address(Address::parse("gone@example.net").unwrap())]);
    let refused = async || {
        let (_, name, body) = send(at.http, &simple(&["gone@example.net"])).await;
        if name == "MessageRejected" {
            Ok(body)
        } else {
            Err(body.to_string())
        }
    };
    let body = stage.wait("the address is refused", refused).await;
    assert!(body["message"].as_str().unwrap().contains("suppressed"), "{body}");
    let (status, entry) = get(at.http, "/v2/email/suppression/addresses/gone%40example.net").await;
    assert_eq!(status, 200);
    assert!(entry.contains("\"BOUNCE\""), "{entry}");
    assert_eq!(
        get(at.http, "/v2/email/suppression/addresses/jo%40example.net").await.0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_operation_is_refused_by_its_name() {
    let (_stage, at) = Stage::set(&[]).await;
    let (status, name, body) = post(at.http, "/v2/email/identities", &json!({})).await;
    assert_eq!((status, name.as_str()), (404, "UnknownOperationException"));
    assert!(
        body["message"].as_str().unwrap().contains("POST /v2/email/identities"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_in_logs_metrics_or_status() {
    let (stage, at) = Stage::set(&[("{action: Reject}", "{action: Capture}")]).await;
    send(
        at.http,
        &simple(&["secret-name@example.com", "secret-name@example.net"]),
    )
    .await;
    stage
        .ses
        .admin()
        .with_account(|account| account.settings.sending_enabled = false);
    send(at.http, &simple(&["secret-name@example.com"])).await;
    let texts = [
        stage.log(),
        get(at.status, "/metrics").await.1,
        get(at.status, "/status").await.1,
    ];
    for text in texts {
        assert!(!text.contains("secret-name"), "{text}");
    }
}
