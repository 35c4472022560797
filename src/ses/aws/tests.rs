//! The client against a server in this process that answers canned responses and keeps what was sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::address::Address;
use super::super::arn::Arn;
use super::super::call::{SesCall, TenantRef};
use super::super::client::{ReadSes, WriteSes};
use super::super::desired::{
    Reason, SetOptions, Suppression, SuppressionList, SuppressionOverride, SuppressionScope, TenantSuppression,
};
use super::super::name::{SetName, TenantName};
use super::super::observed::{EntryOrigin, ObservedDestination, SendingStatus};
use super::super::test_support::{desired_set, feedback};
use super::*;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
struct Sent {
    line: String,
    body: Value,
}

struct Server {
    writer: AwsWriter,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// Credentials and region come from here, not from the machine.
fn client(endpoint: &str, operation_timeout: Duration, signed: bool) -> AwsWriter {
    let timeouts = TimeoutConfig::builder().operation_timeout(operation_timeout).build();
    let mut config = aws_sdk_sesv2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .endpoint_url(endpoint);
    if signed {
        config = config.credentials_provider(aws_sdk_sesv2::config::Credentials::new("id", "key", None, None, "test"));
    }
    AwsWriter {
        reader: AwsReader {
            client: Client::from_conf(config.build()),
            // Nothing here asks whose account it is.
            sts: aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::Config::builder()
                    .behavior_version(aws_sdk_sts::config::BehaviorVersion::v2026_01_12())
                    .build(),
            ),
        },
    }
}

async fn serve(status: u16, name: Option<&'static str>, answer: Value) -> Server {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    let app = axum::Router::new().fallback(move |request: Request<Body>| async move {
        let line = format!("{} {}", request.method(), request.uri());
        let bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        kept.lock().unwrap().push(Sent { line, body });
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        let response = name
            .into_iter()
            .fold(response, |it, name| it.header("x-amzn-errortype", name));
        response.body(Body::from(answer.to_string())).unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server {
        writer: client(&endpoint, Duration::from_secs(10), true),
        sent,
    }
}

impl Server {
    fn only(&self) -> Sent {
        let sent = self.sent.lock().unwrap();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent[0].clone()
    }
}

async fn sent(call: SesCall) -> Sent {
    let server = serve(200, None, json!({})).await;
    server.writer.call(&call).await.unwrap();
    server.only()
}

fn set() -> SetName {
    SetName::parse("s").unwrap()
}

#[tokio::test]
async fn switching_off_writes_the_field() {
    let sent = sent(SesCall::PutSending {
        set: set(),
        enabled: false,
    })
    .await;
    assert_eq!(sent.line, "PUT /v2/email/configuration-sets/s/sending");
    assert_eq!(sent.body, json!({"SendingEnabled": false}));
}

#[tokio::test]
async fn a_new_set_that_must_not_send_says_so() {
    let options = Box::new(SetOptions::default());
    let tags = desired_set().owner.tags();
    let sent = sent(SesCall::CreateSet {
        set: set(),
        sending: false,
        options,
        tags,
    })
    .await;
    assert_eq!(sent.body["SendingOptions"], json!({"SendingEnabled": false}));
    assert_eq!(
        sent.body["ReputationOptions"],
        json!({"ReputationMetricsEnabled": false})
    );
    assert_eq!(
        sent.body.get("SuppressionOptions"),
        None,
        "inherit is the absence of the block"
    );
    assert_eq!(sent.body["Tags"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_set_that_suppresses_nothing_writes_an_empty_list_and_a_scope() {
    let nothing = SuppressionOverride {
        reasons: BTreeSet::new(),
        scope: SuppressionScope::Account,
        validation: None,
    };
    let expected = json!({"SuppressedReasons": [], "SuppressionScope": "ACCOUNT"});
    let put = sent(SesCall::PutSuppression {
        set: set(),
        suppression: nothing.clone(),
    })
    .await;
    assert_eq!(put.body, expected);
    let options = Box::new(SetOptions {
        suppression: Suppression::Only(nothing),
        ..SetOptions::default()
    });
    let created = sent(SesCall::CreateSet {
        set: set(),
        sending: true,
        options,
        tags: std::collections::BTreeMap::default(),
    })
    .await;
    assert_eq!(created.body["SuppressionOptions"], expected);
}

#[tokio::test]
async fn a_tenants_suppression_writes_both_or_neither() {
    let tenant = TenantName::parse("t").unwrap();
    let nothing = TenantSuppression {
        reasons: BTreeSet::new(),
        scope: SuppressionScope::Tenant,
    };
    let put = sent(SesCall::PutTenantSuppression {
        tenant: tenant.clone(),
        suppression: Some(nothing),
    })
    .await;
    assert_eq!(put.line, "POST /v2/email/tenant/suppression");
    assert_eq!(
        put.body,
        json!({"TenantName": "t", "SuppressedReasons": [], "SuppressionScope": "TENANT"})
    );
    let cleared = sent(SesCall::PutTenantSuppression {
        tenant,
        suppression: None,
    })
    .await;
    assert_eq!(cleared.body, json!({"TenantName": "t"}));
}

#[tokio::test]
async fn a_tenants_arn_is_one_encoded_part_of_the_path() {
    let tenant = TenantRef::Known(Arn::new("arn:aws:ses:eu-west-1:123456789012:tenant/t/tn-1"));
    let sent = sent(SesCall::PutTenantSending { tenant, enabled: false }).await;
    let arn = "arn%3Aaws%3Ases%3Aeu-west-1%3A123456789012%3Atenant%2Ft%2Ftn-1";
    assert_eq!(
        sent.line,
        format!("PUT /v2/email/reputation/entities/RESOURCE/{arn}/customer-managed-status")
    );
    assert_eq!(sent.body, json!({"SendingStatus": "DISABLED"}));
}

#[tokio::test]
async fn what_is_created_is_read_back_as_the_same() {
    let destination = feedback();
    let name = super::super::name::DestinationName::feedback();
    let created = sent(SesCall::CreateDestination {
        set: set(),
        name: name.clone(),
        destination,
    })
    .await;
    let mut standing = created.body["EventDestination"].clone();
    standing["Name"] = json!(name.as_str());
    standing["MatchingEventTypes"].as_array_mut().unwrap().reverse();
    let server = serve(200, None, json!({"EventDestinations": [standing]})).await;
    let read = server.writer.destinations(&set()).await.unwrap();
    assert_eq!(read[&name], ObservedDestination::Known(feedback()));
}

#[tokio::test]
async fn a_set_without_blocks_sends_and_inherits() {
    let server = serve(200, None, json!({"ConfigurationSetName": "s"})).await;
    let record = server.writer.set(&set()).await.unwrap();
    assert!(record.sending);
    assert_eq!(record.options, SetOptions::default());
}

#[tokio::test]
async fn resources_of_a_tenant_are_read_whatever_type_ses_gives_them() {
    let arn = "arn:aws:ses:eu-west-1:123456789012:configuration-set/s";
    let answer = json!({"TenantResources": [{"ResourceType": "configuration-set", "ResourceArn": arn}]});
    let server = serve(200, None, answer).await;
    let page = server
        .writer
        .list_tenant_resources(&TenantName::parse("t").unwrap(), None)
        .await
        .unwrap();
    assert_eq!(page.items, [Arn::new(arn)]);
    assert_eq!(server.only().body["PageSize"], json!(100));
}

#[tokio::test]
async fn listings_ask_for_the_largest_pages() {
    let server = serve(200, None, json!({"ConfigurationSets": ["a"], "NextToken": "n"})).await;
    let page = server.writer.list_sets(Some("t".into())).await.unwrap();
    assert_eq!((page.items, page.next), (vec!["a".to_owned()], Some("n".to_owned())));
    assert_eq!(server.only().body, json!({"NextToken": "t", "PageSize": 1000}));
}

#[tokio::test]
async fn a_reinstated_tenant_is_read_as_such() {
    let entity = json!({"ReputationEntity": {
        "ReputationManagementPolicy": "arn:aws:ses:eu-west-1:aws:reputation-policy/strict",
        "CustomerManagedStatus": {"Status": "REINSTATED"}, "AwsSesManagedStatus": {"Status": "ENABLED"}}});
    let server = serve(200, None, entity).await;
    let read = server.writer.reputation(&Arn::new("arn:t")).await.unwrap();
    assert_eq!(read.by_customer, SendingStatus::Reinstated);
    assert_eq!(read.policy, Some(super::super::desired::ReputationPolicy::Strict));
}

#[tokio::test]
async fn an_entry_that_names_a_message_was_made_by_ses() {
    let entry = json!({"SuppressedDestination": {"EmailAddress": "jo@example.com", "Reason": "BOUNCE",
        "LastUpdateTime": 1_700_000_000, "Attributes": {"MessageId": "m"}}});
    let server = serve(200, None, entry).await;
    let read = server
        .writer
        .entry(&SuppressionList::Account, &Address::new("jo@example.com"))
        .await
        .unwrap();
    assert_eq!((read.reason, read.origin), (Reason::Bounce, EntryOrigin::Automatic));
}

#[tokio::test]
async fn a_word_that_we_do_not_know_is_said_and_not_guessed() {
    let answer = json!({"SuppressionOptions": {"SuppressedReasons": ["WHIM"]}});
    let error = serve(200, None, answer).await.writer.set(&set()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unintelligible);
    assert!(error.to_string().contains("WHIM"), "{error}");
}

#[tokio::test]
async fn every_error_of_ses_is_recognised_and_no_request_is_repeated() {
    for (status, name, message, expected) in [
        (429, "TooManyRequestsException", "Too many", ErrorKind::Throttled),
        (400, "ThrottlingException", "Rate exceeded", ErrorKind::Throttled),
        (
            403,
            "AccessDeniedException",
            "User is not authorized",
            ErrorKind::AccessDenied,
        ),
        (
            403,
            "AccessDeniedException",
            "Tenant not associated with resources [a].",
            ErrorKind::TenantNotAssociated,
        ),
        (404, "NotFoundException", "", ErrorKind::NotFound),
        (400, "AlreadyExistsException", "", ErrorKind::AlreadyExists),
        (400, "LimitExceededException", "", ErrorKind::LimitExceeded),
        (
            400,
            "BadRequestException",
            "Cannot delete a because it has tenant associations.",
            ErrorKind::HasTenantAssociations,
        ),
        (400, "BadRequestException", "", ErrorKind::BadRequest),
        (409, "ConflictException", "", ErrorKind::Conflict),
        (
            500,
            "ConcurrentModificationException",
            "",
            ErrorKind::ConcurrentModification,
        ),
        (400, "InvalidNextTokenException", "", ErrorKind::InvalidNextToken),
        (500, "InternalServiceErrorException", "", ErrorKind::Internal),
        (400, "SendingPausedException", "", ErrorKind::SendingPaused),
        (400, "AccountSuspendedException", "", ErrorKind::AccountSuspended),
        (403, "ExpiredTokenException", "", ErrorKind::Credentials),
        (418, "TeapotException", "", ErrorKind::Unknown),
    ] {
        let server = serve(status, Some(name), json!({"message": message})).await;
        let error = server
            .writer
            .call(&SesCall::DeleteSet { set: set() })
            .await
            .unwrap_err();
        assert_eq!(error.kind, expected, "{name}: {error}");
        assert_eq!(server.sent.lock().unwrap().len(), 1, "{name} was repeated");
    }
}

#[tokio::test]
async fn an_error_about_an_address_shows_none() {
    let message = "Email address jo@example.com does not exist on your suppression list.";
    let server = serve(404, Some("NotFoundException"), json!({"message": message})).await;
    let call = SesCall::UnlistAddress {
        list: SuppressionList::Account,
        address: Address::new("jo@example.com"),
    };
    let error = server.writer.call(&call).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("jo@"), "{error:?}");
    assert_eq!(
        server.only().line,
        "DELETE /v2/email/suppression/addresses/jo%40example.com"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_json_cannot_be_read() {
    let server = serve(200, None, json!("text")).await;
    assert_eq!(
        server.writer.account().await.unwrap_err().kind,
        ErrorKind::Unintelligible
    );
}

#[tokio::test]
async fn no_server_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&endpoint, Duration::from_secs(10), true)
        .account()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn no_answer_in_time_is_a_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let error = client(&endpoint, Duration::from_millis(200), true)
        .account()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error}");
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_loses_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        // The request has arrived; then the connection ends.
        tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
    });
    let error = client(&endpoint, Duration::from_secs(10), true)
        .account()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::AnswerLost, "{error}");
}

#[tokio::test]
async fn no_credentials_are_told_from_no_network() {
    let error = client("http://127.0.0.1:9", Duration::from_secs(10), false)
        .account()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Credentials, "{error}");
}
