use proptest::prelude::*;

use super::*;
use crate::policy::{SubjectPrefix, gate::Headers};

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").into_bytes()).unwrap()
}

fn head(message: &Message, visible: Option<&Visible>) -> String {
    String::from_utf8(message.head(visible)).unwrap().replace("\r\n", "\n")
}

fn list(value: &str) -> Result<Vec<String>, MailboxError> {
    mailboxes(value).map(|found| found.iter().map(|it| it.address.to_string()).collect())
}

#[test]
fn a_message_without_anything_to_hide_is_sent_as_it_came() {
    let text = "From: Jo <jo@example.com>\nTo: a@example.com,\n b@example.com\nSubject: x\n";
    let message = message(&format!("{text}\nbody\n"));
    assert_eq!(head(&message, None), text);
    assert_eq!(message.body().as_ref(), b"\r\nbody\r\n");
    assert_eq!(message.from().unwrap().to_string(), "Jo <jo@example.com>");
    assert_eq!(message.addresses("To").unwrap().len(), 2);
}

#[test]
fn hidden_recipients_and_what_steers_ses_never_leave_however_they_are_written() {
    let message = message(
        "Bcc: a@example.com,\n\tb@example.com\nFrom: jo@example.com\nbCC: c@example.com\nResent-Bcc: d@example.com\n\
         X-SES-CONFIGURATION-SET: other\nx-ses-tenant: t\nTo: e@example.com\n\nBcc: in the text\n",
    );
    assert_eq!(head(&message, None), "From: jo@example.com\nTo: e@example.com\n");
    assert_eq!(message.body().as_ref(), b"\r\nBcc: in the text\r\n");
    assert_eq!(message.addresses("Bcc").unwrap().len(), 3);
}

#[test]
fn a_rewritten_message_names_those_who_are_mailed_and_keeps_what_stood_there() {
    let message = message(
        "From: jo@example.com\nTo: \"Customer\" <c@example.net>\nCc: d@example.net\nX-Original-To: forged\n\
         Bcc: e@example.net\nSubject: Hello\n\nbody\n",
    );
    let qa = |name: &str| Address::parse(&format!("{name}@example.com")).unwrap();
    let visible = Visible {
        to: vec![qa("a"), qa("b")],
        cc: vec![],
        subject_prefix: SubjectPrefix::parse("[staging]").ok(),
    };
    assert_eq!(
        head(&message, Some(&visible)),
        "To: a@example.com,\n b@example.com\nFrom: jo@example.com\nX-Original-To: \"Customer\" <c@example.net>\n\
         X-Original-Cc: d@example.net\nSubject: [staging] Hello\n"
    );
    let without_a_subject = Message::parse(b"From: jo@example.com\r\n\r\nbody\r\n".to_vec()).unwrap();
    assert!(head(&without_a_subject, Some(&visible)).contains("\nSubject: [staging]\n"));
    assert!(head(&message, Some(&Visible::default())).starts_with("To: undisclosed-recipients:;\n"));
}

#[test]
fn no_line_gets_longer_than_a_line_may_be_when_more_is_put_before_it() {
    let longest = |name: &str| format!("{name}:{}x", " ".repeat(LINE_MAX - name.len() - 2));
    let full = |name: &str| format!("{name}:{}", "x".repeat(LINE_MAX - name.len() - 1));
    let visible = Visible {
        subject_prefix: SubjectPrefix::parse("[staging]").ok(),
        ..Visible::default()
    };
    for line in [longest, full] {
        let text = format!(
            "From: jo@example.com\n{}\n{}\n{}\n\n",
            line("To"),
            line("Cc"),
            line("Subject")
        );
        let head = head(&message(&text), Some(&visible));
        assert!(head.lines().all(|line| line.len() <= LINE_MAX), "{head}");
    }
}

#[test]
fn a_field_is_found_by_its_whole_value_on_any_of_its_lines() {
    let message = message("X-Stream: news\nx-stream:\n receipts \nFrom: jo@example.com\n\n");
    assert!(message.has_line("X-STREAM", "receipts") && message.has_line("x-stream", "news"));
    assert!(!message.has_line("X-Stream", "receipt") && !message.has_line("X-Stream", "Receipts"));
}

#[test]
fn a_message_needs_one_sender() {
    let from = |text: &str| message(text).from().unwrap_err();
    assert_eq!(from("To: a@example.com\n\n"), MessageError::NoFrom);
    assert_eq!(from("From: \n\n"), MessageError::NoFrom);
    assert_eq!(
        from("From: a@example.com, b@example.com\n\n"),
        MessageError::SeveralFrom
    );
    assert_eq!(
        from("From: a@example.com\nFrom: a@example.com\n\n"),
        MessageError::SeveralFrom
    );
    assert_eq!(
        from("From: \"a@example.com\"@example.net\n\n"),
        MessageError::Mailboxes("From", MailboxError::Address)
    );
}

#[test]
fn what_is_no_head_is_refused_by_its_line() {
    let parse = |text: &[u8]| Message::parse(text.to_vec()).unwrap_err();
    assert_eq!(parse(b"From: a\r\nno field\r\n\r\n"), MessageError::Field(2));
    assert_eq!(parse(b" folded: first\r\n\r\n"), MessageError::Field(1));
    assert_eq!(parse(b"Bcc : a@example.com\r\n\r\n"), MessageError::Field(1));
    assert_eq!(parse(b"From: a\nBcc: b\r\n\r\n"), MessageError::Control(1));
    assert_eq!(parse(b"From: a\rBcc: b\r\n\r\n"), MessageError::Control(1));
    assert_eq!(parse(b"From: \0\r\n\r\n"), MessageError::Control(1));
    assert_eq!(
        parse(format!("A: {}\r\n\r\n", "x".repeat(996)).as_bytes()),
        MessageError::LineTooLong(1)
    );
    assert_eq!(parse("A: b\r\n".repeat(1_001).as_bytes()), MessageError::TooLarge);
    assert_eq!(
        parse(format!("A: {}\r\n", "x".repeat(900)).repeat(300).as_bytes()),
        MessageError::TooLarge
    );
}

#[test]
fn a_message_may_be_all_head_or_all_body() {
    assert_eq!(message("From: a@example.com\n").body().as_ref(), b"\r\n");
    assert_eq!(message("\nbody\n").body().as_ref(), b"\r\nbody\r\n");
}

#[test]
fn mailboxes_are_read_as_mailers_write_them() {
    for (value, expected) in [
        ("a@example.com", vec!["a@example.com"]),
        (
            "A B <a@Example.COM>, b@example.com",
            vec!["a@example.com", "b@example.com"],
        ),
        ("\"Doe, Jo (x) <y@z>\" <a@example.com>", vec!["a@example.com"]),
        ("=?utf-8?q?J=C3=B6?= <a@example.com>", vec!["a@example.com"]),
        ("a@example.com (Jo (at work))", vec!["a@example.com"]),
        ("undisclosed-recipients:;", vec![]),
        (
            "team: a@example.com, B <b@example.com>;, c@example.com",
            vec!["a@example.com", "b@example.com", "c@example.com"],
        ),
        ("Müller <a@bücher.example>", vec!["a@xn--bcher-kva.example"]),
        ("a@example.com,, b@example.com,", vec!["a@example.com", "b@example.com"]),
    ] {
        assert_eq!(list(value).unwrap(), expected, "{value}");
    }
}

#[test]
fn a_name_is_kept_as_it_was_written_without_comments() {
    for (value, expected) in [
        ("\"Doe, Jo\" (x) <a@Example.com>", "\"Doe, Jo\" <a@example.com>"),
        (
            "=?utf-8?q?J=C3=B6?= <a@example.com>",
            "=?utf-8?q?J=C3=B6?= <a@example.com>",
        ),
        ("<a@example.com>", "a@example.com"),
        ("a@example.com (Jo)", "a@example.com"),
    ] {
        assert_eq!(mailboxes(value).unwrap()[0].to_string(), expected);
    }
}

#[test]
fn a_name_or_comment_is_one_line_whatever_is_escaped_in_it() {
    for value in [
        "\"a\\\r\" <a@example.com>",
        "\"a\\\nBcc: b\" <a@example.com>",
        "\"\\\0\" <a@example.com>",
        "a@example.com (Jo\nBcc: b)",
        "a@example.com (Jo\\\n)",
    ] {
        assert_eq!(list(value), Err(MailboxError::Form), "{value:?}");
    }
    assert!(list("\"a\\\"b\" <a@example.com>").is_ok());
}

#[test]
fn what_two_parsers_could_read_as_two_addresses_is_refused() {
    for value in [
        "\"x@evil.example\"@example.com",
        "\"x@evil.example>\" x\"@example.com",
        "x@evil.example <a@example.com>",
        "a@example.com <x@evil.example>",
        "<a@example.com> x@evil.example",
        "<a@example.com><b@example.com>",
        "=?utf-8?q?x=40evil?=@example.com, <x",
        "<@hop.example:a@example.com>",
        "a@[127.0.0.1]",
        "a@example.com;b@example.com",
        "a@example.com\\, b@example.com",
        "< a@example.com >",
        "\"open <a@example.com>",
        "team: a@example.com",
        "a b@example.com",
        "a@example.com.",
        "a@example.com\u{a0}",
        "\u{2003}a@example.com",
        "<a@example.com>\u{a0}",
        "a@example.com\u{b}",
        "a(x)b@example.com",
        "a@exam(x)ple.com",
        "a@example.com(x).net",
        "=?utf-8?q?x=40evil.example=3E?=@example.com",
    ] {
        assert!(list(value).is_err(), "{value}: {:?}", list(value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_a_head_that_hides_a_recipient_or_steers_ses(
        parts in prop::collection::vec(prop_oneof![
            Just("From: a@example.com"), Just("Bcc: b@example.net"), Just("bcc:b@example.net"), Just("\r\n"), Just("\n"),
            Just("\r"), Just(" "), Just("\t"), Just("X-SES-TENANT: x"), Just("x-ses-"), Just(":"), Just("To: c@example.com"),
            Just("\0"), Just("Subject: x"), Just("é"), Just("Bcc"), Just("\r\n "),
        ], 0..40),
    ) {
        if let Ok(message) = Message::parse(parts.concat().into_bytes()) {
            for visible in [None, Some(Visible::default())] {
                let mut sent = message.head(visible.as_ref());
                sent.extend_from_slice(&message.body());
                let again = Message::parse(sent).unwrap();
                prop_assert_eq!(again.body(), message.body());
                prop_assert_eq!(again.values("Bcc").count(), 0);
                let steers = |line: &Line| {
                    again.raw[line.name.clone()].to_ascii_lowercase().starts_with(b"x-ses-")
                };
                prop_assert!(!again.lines.iter().any(steers));
                prop_assert_eq!(again.from(), message.from());
            }
        }
    }
}
