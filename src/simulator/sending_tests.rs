//! Sending through the engine: from a request to what is kept of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::*;
use crate::simulator::faults::Fault;
use crate::simulator::received::ReceivedMessage;
use crate::simulator::state::{Content, Outcome, SetOptions, Tags};
use crate::simulator::throttle::Limit;

const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=simulator/20261124/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=00";
const SEND: &str = "/v2/email/outbound-emails";
const BULK: &str = "/v2/email/outbound-bulk-emails";
const MESSAGE: &str = "From: shop@example.com\r\nTo: a@example.org\r\nX-SES-CONFIGURATION-SET: team\r\n\r\nHi.\r\n";

/// A production account with the identity `example.com` and the configuration set `team`.
fn engine() -> Engine {
    let config = Config {
        limit: Limit::None,
        identities: vec![("example.com".to_owned(), true)],
        ..Config::default()
    };
    let engine = Engine::new(config, Clock::system());
    let made = engine
        .world()
        .account
        .create_set("team", SetOptions::default(), Tags::default());
    made.unwrap();
    engine
}

async fn post(engine: &Engine, raw_path: &str, body: &[u8]) -> Result<Answer, Cut> {
    let claim = Claim {
        authorization: Some(AUTHORIZATION),
        security_token: None,
    };
    engine
        .serve(Request {
            method: "POST",
            raw_path,
            query: "",
            claim,
            body,
        })
        .await
}

async fn send(engine: &Engine, body: Value) -> Result<Answer, Cut> {
    post(engine, SEND, body.to_string().as_bytes()).await
}

fn simple() -> Value {
    json!({
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": ["a@example.org"]},
        "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    })
}

fn raw() -> Value {
    json!({"Content": {"Raw": {"Data": BASE64.encode(MESSAGE.as_bytes())}}})
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn text_of(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

fn received(engine: &Engine) -> Vec<Arc<ReceivedMessage>> {
    engine.world().received.after(0, usize::MAX)
}

fn last(engine: &Engine) -> CallRecord {
    engine.world().log.after(0, 1000).pop().unwrap()
}

#[track_caller]
fn refused(answer: &Answer, error: &str, text: &str) {
    assert_eq!(
        (answer.status, answer.error, json_of(answer)),
        (400, Some(error), json!({"message": text}))
    );
}

#[tokio::test]
async fn a_message_is_kept_with_its_id_and_who_sent_it() {
    let engine = engine();
    let answer = send(&engine, simple()).await.unwrap();
    let kept = received(&engine);
    assert_eq!(json_of(&answer), json!({"MessageId": kept[0].message_id}));
    assert_eq!(
        (kept[0].operation, kept[0].access_key.as_str()),
        (Operation::SendEmail, "simulator")
    );
    assert_eq!(kept[0].recipients[0].outcome, Outcome::Delivery);
}

#[tokio::test]
async fn a_raw_message_is_decoded_also_where_its_base64_is_escaped() {
    let engine = engine();
    let bytes = [MESSAGE.as_bytes(), b"\xff\xff\xff"].concat();
    let data = BASE64.encode(&bytes);
    assert!(data.contains('/'), "or nothing is escaped");
    let body = format!(r#"{{"Content":{{"Raw":{{"Data":"{}"}}}}}}"#, data.replace('/', "\\/"));
    assert_eq!(post(&engine, SEND, body.as_bytes()).await.unwrap().status, 200);
    assert_eq!(received(&engine)[0].content, Content::Raw(bytes));
}

#[tokio::test]
async fn the_target_of_a_send_is_its_configuration_set_or_nothing() {
    let engine = engine();
    for (body, target) in [
        (simple(), ""),
        (with(simple(), "ConfigurationSetName", json!("team")), "team"),
        (raw(), "team"),
        (
            with(
                with(raw(), "ConfigurationSetName", json!("other")),
                "EmailTags",
                json!([{"Name": "", "Value": ""}]),
            ),
            "other",
        ),
    ] {
        send(&engine, body).await.unwrap();
        assert_eq!(last(&engine).target, target);
    }
}

#[tokio::test]
async fn a_send_with_a_member_it_does_not_have_or_without_a_body_is_refused() {
    let engine = engine();
    let answer = send(&engine, with(simple(), "Subject", json!("s"))).await.unwrap();
    refused(&answer, "BadRequestException", "The operation has no member Subject.");
    let answer = post(&engine, SEND, b"").await.unwrap();
    assert_eq!(answer.status, 400);
    engine.world().unknown_members = UnknownMembers::Ignored;
    let answer = send(&engine, with(simple(), "Subject", json!("s"))).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn every_member_of_the_model_is_known() {
    let engine = engine();
    let body = json!({
        "FromEmailAddress": "shop@example.com",
        "FromEmailAddressIdentityArn": "arn:aws:ses:us-east-1:111122223333:identity/example.com",
        "Destination": {"ToAddresses": ["a@example.org"], "CcAddresses": [], "BccAddresses": []},
        "ReplyToAddresses": ["b@example.net"],
        "FeedbackForwardingEmailAddress": "bounces@example.com",
        "FeedbackForwardingEmailAddressIdentityArn": "arn:aws:ses:us-east-1:111122223333:identity/example.com",
        "Content": {"Simple": {
            "Subject": {"Data": "s", "Charset": "UTF-8"},
            "Body": {"Text": {"Data": "t", "Charset": "UTF-8"}, "Html": {"Data": "h"}},
            "Headers": [{"Name": "X-Kind", "Value": "order"}],
            "Attachments": [{"FileName": "a", "RawContent": "AAE=", "ContentDisposition": "INLINE",
                "ContentDescription": "d", "ContentId": "i", "ContentTransferEncoding": "BASE64",
                "ContentType": "text/plain"}],
        }},
        "EmailTags": [{"Name": "kind", "Value": "order"}],
        "ConfigurationSetName": "team",
        "EndpointId": "abc.def",
        "ListManagementOptions": {"ContactListName": "list", "TopicName": "topic"},
        "ConfigurationOverrides": {"Tracking": {"OpenTrackingEnabled": "ENABLED", "ClickTrackingEnabled": "DISABLED"}},
    });
    let answer = send(&engine, body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", text_of(&answer));
}

#[tokio::test]
async fn a_paused_account_says_so_before_it_reads_the_message() {
    let engine = engine();
    engine.world().account.settings.sending_enabled = false;
    let answer = send(&engine, with(simple(), "Destination", json!({}))).await.unwrap();
    assert_eq!(answer.error, Some("SendingPausedException"));
}

#[tokio::test]
async fn content_is_exactly_one_of_three() {
    let engine = engine();
    let both = json!({"Simple": simple()["Content"]["Simple"], "Raw": raw()["Content"]["Raw"]});
    for content in [json!({}), both] {
        let answer = send(&engine, with(simple(), "Content", content)).await.unwrap();
        let text = "Content must be exactly one of Simple, Raw and Template.";
        refused(&answer, "BadRequestException", text);
    }
}

#[tokio::test]
async fn what_is_no_base64_is_refused() {
    let engine = engine();
    let answer = send(&engine, json!({"Content": {"Raw": {"Data": "*"}}})).await.unwrap();
    assert_eq!((answer.status, answer.error), (400, Some("BadRequestException")));
    assert!(text_of(&answer).contains("not base64"));
}

#[tokio::test]
async fn a_template_is_one_of_three_and_its_data_an_object() {
    let engine = engine();
    let template = |template: Value| with(simple(), "Content", json!({"Template": template}));
    for wrong in [
        json!({}),
        json!({"TemplateName": "a", "TemplateContent": {"Subject": "s"}}),
        json!({"TemplateContent": {}}),
        json!({"TemplateArn": "arn:other"}),
        json!({"TemplateName": "a", "TemplateData": "[]"}),
        json!({"TemplateName": "a", "TemplateData": format!("{{\"a\":\"{}\"}}", "x".repeat(262_144))}),
    ] {
        let answer = send(&engine, template(wrong)).await.unwrap();
        assert_eq!(answer.error, Some("BadRequestException"), "{}", text_of(&answer));
    }
    let missing = json!({"TemplateArn": "arn:aws:ses:us-east-1:111122223333:template/none"});
    assert_eq!(send(&engine, template(missing)).await.unwrap().status, 404);
}

#[tokio::test]
async fn control_calls_are_throttled_and_single_sends_are_not() {
    let engine = engine();
    let limit = Limit::Bucket {
        per_second: 1e-9,
        burst: 1,
    };
    engine.world().throttle = Throttle::new(limit, Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(send(&engine, simple()).await.unwrap().status, 200);
        assert_eq!(post(&engine, "/", b"Action=SendRawEmail").await.unwrap().status, 400);
    }
    assert_eq!(post(&engine, BULK, b"{}").await.unwrap().status, 400);
    assert_eq!(post(&engine, BULK, b"{}").await.unwrap().status, 429);
}

#[tokio::test]
async fn a_raw_message_needs_the_permission_of_send_raw_email() {
    let engine = engine();
    engine.world().denied.insert(Operation::SendRawEmail);
    let answer = send(&engine, raw()).await.unwrap();
    assert_eq!((answer.status, answer.error), (403, Some("AccessDeniedException")));
    assert!(text_of(&answer).contains("ses:SendRawEmail"));
    assert_eq!(send(&engine, simple()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_message_and_a_hang_none() {
    let engine = engine();
    let arm = |effect| {
        engine
            .world()
            .faults
            .arm(Fault::next_calls(effect, 1), Duration::ZERO)
            .unwrap();
    };
    arm(Effect::Hang { millis: 1 });
    assert_eq!(send(&engine, simple()).await, Err(Cut));
    assert!(received(&engine).is_empty());
    arm(Effect::LoseAnswer);
    assert_eq!(send(&engine, simple()).await, Err(Cut));
    assert_eq!((received(&engine).len(), last(&engine).applied), (1, true));
}

#[tokio::test]
async fn the_call_log_has_no_address_of_a_message() {
    let engine = engine();
    send(&engine, simple()).await.unwrap();
    send(&engine, with(simple(), "FromEmailAddress", json!("a@example.net")))
        .await
        .unwrap();
    let records = format!("{:?}", engine.world().log.after(0, 10));
    assert!(!records.contains('@'), "{records}");
}

#[tokio::test]
async fn a_bulk_is_refused_whole_for_its_sender_its_entries_and_its_tenant() {
    let engine = engine();
    let entry = json!({"Destination": {"ToAddresses": ["a@example.org"]}});
    let bulk = json!({
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {"TemplateContent": {"Subject": "s"}}},
        "BulkEmailEntries": [entry],
    });
    for (member, value, text) in [
        ("FromEmailAddress", json!(""), "FromEmailAddress is required."),
        ("FromEmailAddress", json!("a"), "Invalid email address<a>."),
        ("DefaultContent", json!({}), "DefaultContent.Template is required."),
        (
            "BulkEmailEntries",
            json!([]),
            "BulkEmailEntries must be 1 to 50, they are 0.",
        ),
        (
            "BulkEmailEntries",
            json!(vec![entry.clone(); 51]),
            "BulkEmailEntries must be 1 to 50, they are 51.",
        ),
    ] {
        let body = with(bulk.clone(), member, value).to_string();
        refused(
            &post(&engine, BULK, body.as_bytes()).await.unwrap(),
            "BadRequestException",
            text,
        );
    }
    let body = with(bulk.clone(), "TenantName", json!("none")).to_string();
    assert_eq!(post(&engine, BULK, body.as_bytes()).await.unwrap().status, 404);
    let answer = post(&engine, BULK, bulk.to_string().as_bytes()).await.unwrap();
    assert_eq!(json_of(&answer)["BulkEmailEntryResults"][0]["Status"], "SUCCESS");
}

#[tokio::test]
async fn an_entry_s_values_tags_and_headers_take_the_place_of_the_defaults() {
    let engine = engine();
    let bulk = json!({
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {
            "TemplateContent": {"Subject": "{{a}} {{b}}"},
            "TemplateData": r#"{"a":"1","b":"2"}"#,
            "Headers": [{"Name": "X-One", "Value": "1"}, {"Name": "X-Two", "Value": "2"}],
        }},
        "DefaultEmailTags": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
        "BulkEmailEntries": [{
            "Destination": {"ToAddresses": ["a@example.org"]},
            "ReplacementTags": [{"Name": "b", "Value": "3"}],
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": r#"{"b":"3"}"#}},
            "ReplacementHeaders": [{"Name": "x-two", "Value": "3"}],
        }],
    });
    post(&engine, BULK, bulk.to_string().as_bytes()).await.unwrap();
    let message = received(&engine).pop().unwrap();
    let tags: Vec<_> = message
        .tags
        .iter()
        .map(|tag| (tag.name.as_str(), tag.value.as_str()))
        .collect();
    assert_eq!(tags, [("a", "1"), ("b", "3")]);
    let Content::Template {
        rendered: Ok(parts), ..
    } = &message.content
    else {
        panic!("{message:?}")
    };
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    assert_eq!(
        (parts.subject.as_str(), headers),
        ("1 3", vec![("X-One", "1"), ("x-two", "3")])
    );
}

#[tokio::test]
async fn version_1_answers_in_its_own_shapes() {
    let engine = engine();
    let sent = "Action=SendEmail&Version=2010-12-01&Source=shop%40example.com&Destination.ToAddresses.member.2=\
                b%40example.org&Destination.ToAddresses.member.1=a%40example.org&Message.Subject.Data=s&\
                Message.Body.Text.Data=a+b&Tags.member.1.Name=kind&Tags.member.1.Value=order&ConfigurationSetName=team";
    let answer = post(&engine, "/", sent.as_bytes()).await.unwrap();
    let message = received(&engine).pop().unwrap();
    let expected = format!(
        "<SendEmailResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\"><SendEmailResult><MessageId>{}\
         </MessageId></SendEmailResult>",
        message.message_id
    );
    assert!(text_of(&answer).starts_with(&expected), "{}", text_of(&answer));
    assert_eq!(
        (answer.content_type, last(&engine).target.as_str()),
        ("text/xml", "team")
    );
    assert_eq!(
        message.destination.to,
        ["a@example.org", "b@example.org"],
        "in the order of their numbers"
    );
    assert_eq!(
        (message.tags[0].name.as_str(), message.tags[0].value.as_str()),
        ("kind", "order")
    );
    let Content::Simple(parts) = &message.content else {
        panic!("{message:?}")
    };
    assert_eq!(parts.text.as_deref(), Some("a b"));
}

#[tokio::test]
async fn version_1_refuses_in_its_own_words_and_logs_them() {
    let engine = engine();
    engine.world().account.settings.max_24_hour_send = 0.0;
    let raw = format!(
        "RawMessage.Data={}",
        BASE64.encode(MESSAGE.as_bytes()).replace('+', "%2B")
    );
    for (parameters, code, text) in [
        (
            "Action=SendRawEmail".to_owned(),
            "InvalidParameterValue",
            "Missing required parameter RawMessage.Data.",
        ),
        (
            format!("Action=SendRawEmail&Other=1&{raw}"),
            "InvalidParameterValue",
            "The operation has no parameter Other.",
        ),
        (
            "Action=SendEmail&Message.Subject.Data=s".to_owned(),
            "InvalidParameterValue",
            "Missing required parameter Source.",
        ),
        (
            format!("Action=SendRawEmail&{raw}"),
            "Throttling",
            "Daily message quota exceeded.",
        ),
    ] {
        let answer = post(&engine, "/", parameters.as_bytes()).await.unwrap();
        let expected = format!("<Code>{code}</Code><Message>{text}</Message>");
        assert!(
            text_of(&answer).contains(&expected),
            "{parameters}: {}",
            text_of(&answer)
        );
        assert_eq!((answer.status, last(&engine).outcome), (400, code));
    }
}
