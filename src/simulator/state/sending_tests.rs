#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::float_cmp)]
use super::super::fixture::{account, at};
use super::super::shapes::{MxFailure, SendingOptions, SendingStatus, SuppressionOptions};
use super::super::{Enforcement, OptionBlock, SetOptions, Tags};
use super::*;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text.to_owned()).unwrap()
}

fn to(recipients: &[&str]) -> Submission {
    Submission {
        from: mailbox("Shop <shop@example.com>"),
        claimed: Vec::new(),
        destination: Destination {
            to: recipients.iter().map(|text| mailbox(text)).collect(),
            ..Destination::default()
        },
        set: None,
        tenant: None,
        tags: Vec::new(),
        content: Submitted::Simple(Parts::default()),
    }
}

fn message() -> Submission {
    to(&["a@example.org"])
}

fn through(set: &str) -> Submission {
    Submission {
        set: Some(set.to_owned()),
        ..message()
    }
}

fn by_template(name: &str) -> Submission {
    Submission {
        content: Submitted::Template(Templated {
            source: TemplateSource::Stored(name.to_owned()),
            data: Map::new(),
            headers: Vec::new(),
            attachments: Vec::new(),
        }),
        ..message()
    }
}

fn of_tenant(submission: Submission) -> Submission {
    Submission {
        tenant: Some("shop".to_owned()),
        ..submission
    }
}

/// The production account with the set `team`, the template `hello`, and the tenant `shop` that has all of them.
fn prepared() -> Account {
    let mut account = account();
    account
        .create_set("team", SetOptions::default(), Tags::default())
        .unwrap();
    account.create_tenant("shop", Tags::default(), None, at(0)).unwrap();
    let content = TemplateContent {
        subject: Some("Hi {{name}}".to_owned()),
        ..TemplateContent::default()
    };
    account.create_template("hello", content, Tags::default()).unwrap();
    for resource in [
        Resource::Identity("example.com"),
        Resource::ConfigurationSet("team"),
        Resource::Template("hello"),
    ] {
        let arn = account.owner.arn(resource);
        account.associate("shop", &arn, at(0)).unwrap();
    }
    account
}

#[track_caller]
fn refused(account: &mut Account, submission: Submission, code: Code, text: &str) -> SendError {
    let error = account.send(submission, at(0)).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (code, text));
    assert_eq!(sent(account), 0.0, "what is refused costs nothing");
    error
}

fn sent(account: &Account) -> f64 {
    account.usage.sent_last_24_hours(&account.settings, at(0))
}

#[test]
fn a_message_is_taken_with_its_recipients_and_counts() {
    let mut account = prepared();
    let accepted = account.send(of_tenant(through("team")), at(0)).unwrap();
    assert_eq!(accepted.from, "Shop <shop@example.com>");
    assert_eq!(accepted.recipients, [("a@example.org".to_owned(), Outcome::Delivery)]);
    assert_eq!(
        (accepted.set.as_deref(), accepted.tenant.as_deref()),
        (Some("team"), Some("shop"))
    );
    assert_eq!(sent(&account), 1.0);
}

#[test]
fn a_shut_down_account_is_suspended_and_a_switched_off_one_is_paused() {
    let mut account = prepared();
    account.settings.sending_enabled = false;
    let error = refused(&mut account, message(), Code::SendingPaused, PAUSED);
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::AccountSendingPaused, "ACCOUNT_SENDING_PAUSED")
    );
    account.settings.enforcement = Enforcement::Shutdown;
    let error = refused(&mut account, message(), Code::AccountSuspended, PAUSED);
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::MessageRejected, "ACCOUNT_SUSPENDED")
    );
}

#[test]
fn an_account_on_probation_sends() {
    let mut account = prepared();
    account.settings.enforcement = Enforcement::Probation;
    assert!(account.send(message(), at(0)).is_ok());
}

#[test]
fn a_set_that_is_not_there_is_not_found() {
    let text = "Configuration set <none> does not exist.";
    let error = refused(&mut prepared(), through("none"), Code::NotFound, text);
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::ConfigurationSetDoesNotExist, "CONFIGURATION_SET_NOT_FOUND")
    );
}

#[test]
fn a_set_whose_sending_is_off_is_paused() {
    let mut account = prepared();
    let off = SendingOptions { sending_enabled: false };
    account.put_options("team", OptionBlock::Sending(off)).unwrap();
    let text = "Sending is paused for configuration set team";
    let error = refused(&mut account, through("team"), Code::SendingPaused, text);
    assert_eq!(error.v1_code(), Code::ConfigurationSetSendingPaused);
    assert_eq!(error.bulk_status(), "CONFIGURATION_SET_SENDING_PAUSED");
}

#[test]
fn an_identity_s_default_set_applies_where_none_is_named_and_an_address_s_before_its_domain_s() {
    let mut account = prepared();
    account
        .create_set("other", SetOptions::default(), Tags::default())
        .unwrap();
    account
        .put_identity_set("example.com", Some("team".to_owned()))
        .unwrap();
    let set = |account: &mut Account, submission| account.send(submission, at(0)).unwrap().set;
    assert_eq!(set(&mut account, message()), Some("team".to_owned()));
    assert_eq!(set(&mut account, through("other")), Some("other".to_owned()));
    account.put_identity("shop@example.com", false);
    account
        .put_identity_set("shop@example.com", Some("other".to_owned()))
        .unwrap();
    assert_eq!(set(&mut account, message()), Some("other".to_owned()));
}

#[test]
fn a_default_set_that_is_gone_is_a_bad_request() {
    let mut account = prepared();
    account
        .put_identity_set("example.com", Some("team".to_owned()))
        .unwrap();
    account.remove_set("team");
    refused(
        &mut account,
        message(),
        Code::BadRequest,
        "Configuration set <team> does not exist.",
    );
}

#[test]
fn a_tenant_that_is_not_there_is_not_found_before_anything_else() {
    let submission = Submission {
        tenant: Some("none".to_owned()),
        from: mailbox("a@example.net"),
        ..through("none")
    };
    let text = "Tenant none for AwsAccountId 111122223333 not found.";
    let error = refused(&mut prepared(), submission, Code::NotFound, text);
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::InvalidParameterValue, "FAILED")
    );
}

#[test]
fn a_disabled_tenant_is_paused_and_a_reinstated_one_sends() {
    let mut account = prepared();
    account
        .put_aws_status("shop", SendingStatus::Disabled, "Bounces.", at(0))
        .unwrap();
    let text = "Sending is paused for tenant shop";
    let error = refused(&mut account, of_tenant(through("team")), Code::SendingPaused, text);
    assert_eq!(error.v1_code(), Code::MessageRejected);
    account
        .put_aws_status("shop", SendingStatus::Reinstated, "Reviewed.", at(0))
        .unwrap();
    assert!(account.send(of_tenant(through("team")), at(0)).is_ok());
}

#[test]
fn everything_a_message_uses_must_belong_to_its_tenant() {
    let mut account = prepared();
    let arn = |kind: &str| format!("arn:aws:ses:us-east-1:111122223333:{kind}");
    for kind in ["identity/example.com", "configuration-set/team", "template/hello"] {
        account.disassociate("shop", &arn(kind)).unwrap();
    }
    let text = format!(
        "Tenant not associated with resources [{}, {}, {}].",
        arn("identity/example.com"),
        arn("configuration-set/team"),
        arn("template/hello")
    );
    let submission = Submission {
        set: Some("team".to_owned()),
        ..of_tenant(by_template("hello"))
    };
    let error = refused(&mut account, submission, Code::AccessDenied, &text);
    assert_eq!((error.v1_code(), error.bulk_status()), (Code::AccessDenied, "FAILED"));
}

#[test]
fn a_default_set_must_belong_to_the_tenant_too() {
    let mut account = prepared();
    account
        .create_set("other", SetOptions::default(), Tags::default())
        .unwrap();
    account
        .put_identity_set("example.com", Some("other".to_owned()))
        .unwrap();
    let text = "Tenant not associated with resources [arn:aws:ses:us-east-1:111122223333:configuration-set/other].";
    refused(&mut account, of_tenant(message()), Code::AccessDenied, text);
}

#[test]
fn a_set_of_tenant_scope_asks_for_a_tenant() {
    let mut account = prepared();
    let options = SuppressionOptions {
        suppressed_reasons: Vec::new(),
        suppression_scope: Some(Scope::Tenant),
        validation_options: None,
    };
    account.put_options("team", OptionBlock::Suppression(options)).unwrap();
    let text = "TenantName is required: the suppression scope of the configuration set is TENANT.";
    refused(&mut account, through("team"), Code::BadRequest, text);
    assert!(account.send(of_tenant(through("team")), at(0)).is_ok());
}

#[test]
fn a_template_that_is_not_there_is_not_found() {
    let error = refused(
        &mut prepared(),
        by_template("none"),
        Code::NotFound,
        "Template none does not exist.",
    );
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::InvalidParameterValue, "TEMPLATE_NOT_FOUND")
    );
}

#[test]
fn a_template_without_its_data_is_taken_and_fails_later_at_every_recipient() {
    let mut account = prepared();
    let accepted = account.send(by_template("hello"), at(0)).unwrap();
    assert_eq!(accepted.recipients[0].1, Outcome::RenderingFailure);
    let Content::Template { name, rendered } = accepted.content else {
        panic!("no template")
    };
    assert_eq!(name.as_deref(), Some("hello"));
    assert_eq!(
        rendered.unwrap_err(),
        "Attribute 'name' is not present in the rendering data."
    );
}

#[test]
fn senders_that_are_not_verified_are_named_as_they_were_given() {
    let submission = Submission {
        from: mailbox("Other <a@example.net>"),
        claimed: vec![mailbox("b@example.net"), mailbox("c@sub.example.com")],
        ..message()
    };
    let text = "Email address is not verified. The following identities failed the check in region US-EAST-1: \
                Other <a@example.net>, b@example.net";
    let error = refused(&mut prepared(), submission, Code::MessageRejected, text);
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::MessageRejected, "MESSAGE_REJECTED")
    );
}

#[test]
fn an_address_may_be_verified_by_itself_and_a_pending_one_by_its_domain() {
    let mut account = prepared();
    account.put_identity("only@example.net", true);
    account.put_identity("shop@example.com", false);
    let from = |text: &str| Submission {
        from: mailbox(text),
        ..message()
    };
    assert!(account.send(from("only@Example.NET"), at(0)).is_ok());
    assert!(account.send(from("shop@example.com"), at(1)).is_ok());
    assert!(account.send(from("other@example.net"), at(2)).is_err());
}

#[test]
fn in_the_sandbox_recipients_are_verified_or_the_mailbox_simulator() {
    let mut account = prepared();
    account.settings.production_access = false;
    let submission = to(&["b@example.com", "a@example.org", "success+1@simulator.amazonses.com"]);
    let text = "Email address is not verified. The following identities failed the check in region US-EAST-1: \
                a@example.org";
    refused(&mut account, submission, Code::MessageRejected, text);
    let submission = to(&["b@example.com", "success+1@simulator.amazonses.com"]);
    assert!(account.send(submission, at(0)).is_ok());
}

#[test]
fn a_mail_from_domain_that_must_be_verified_and_is_not_refuses() {
    let mut account = prepared();
    let mut put = |on_mx_failure| {
        let domain = Some("bounce.example.com".to_owned());
        account
            .put_identity_mail_from("example.com", domain, on_mx_failure)
            .unwrap();
        account
            .identities
            .get_mut("example.com")
            .unwrap()
            .mail_from
            .as_mut()
            .unwrap()
            .verified = false;
        account
            .send(message(), at(0))
            .map_err(|error| (error.code(), error.v1_code(), error.bulk_status()))
    };
    let code = Code::MailFromDomainNotVerified;
    assert_eq!(
        put(MxFailure::RejectMessage).unwrap_err(),
        (code, code, "MAIL_FROM_DOMAIN_NOT_VERIFIED")
    );
    assert!(put(MxFailure::UseDefaultValue).is_ok());
}

#[test]
fn rate_and_quota_have_one_name_and_two_texts() {
    let mut account = prepared();
    account.settings.max_send_rate = 1.0;
    account.settings.max_24_hour_send = 1.0;
    account.send(to(&["success@simulator.amazonses.com"]), at(0)).unwrap();
    let error = refused(
        &mut account,
        message(),
        Code::TooManyRequests,
        "Maximum sending rate exceeded.",
    );
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::Throttling, "ACCOUNT_THROTTLED")
    );
    account.settings.sent_last_24_hours = 1.0;
    let error = account.send(message(), at(5)).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (Code::TooManyRequests, "Daily message quota exceeded.")
    );
    assert_eq!(
        (error.v1_code(), error.bulk_status()),
        (Code::Throttling, "ACCOUNT_DAILY_QUOTA_EXCEEDED")
    );
}

#[test]
fn suppressed_recipients_are_taken_and_count_for_the_quota() {
    let mut account = prepared();
    account.put_suppressed(None, "a@example.org", "BOUNCE", at(0)).unwrap();
    let accepted = account
        .send(to(&["A@example.org", "bounce@simulator.amazonses.com"]), at(0))
        .unwrap();
    let outcomes: Vec<Outcome> = accepted.recipients.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::AccountSuppressedBounce, Outcome::Bounce]);
    assert_eq!(sent(&account), 1.0);
}
