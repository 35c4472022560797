//! Any bodies of SES's API, and bodies built of any texts: what is read of them is addresses, what is sent is what the policy
//! lets through, and what is answered can be read.
#![no_main]

use data_encoding::BASE64;
use futures::FutureExt;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use mail_policy_operator::sidecar::{
    denial::Denial,
    http::{
        answer::{Answer, denied, v1_denied},
        bulk::{self, EntryResult},
        v1::{self, Query},
        v2,
    },
    submission::Submission,
};
use mail_policy_operator_fuzz::submission::check;
use serde_json::{Value, json};

type Read = Result<Submission, Denial>;

fn body(answer: Answer) -> Vec<u8> {
    let body = answer.into_body().collect().now_or_never().expect("at once");
    body.expect("no errors").to_bytes().to_vec()
}

/// What an application is told can be read by its SDK.
fn check_denial(denial: &Denial) {
    let text = denial.to_string();
    let answer = denied(denial);
    assert!(answer.status().is_client_error() && answer.headers().contains_key("x-amzn-errortype"));
    let read: Value = serde_json::from_slice(&body(answer)).expect("JSON");
    assert_eq!(read, json!({ "message": text }));

    let answer = v1_denied(denial);
    assert!(answer.status().is_client_error());
    let xml = String::from_utf8(body(answer)).expect("UTF-8");
    let read = roxmltree::Document::parse(&xml).expect("XML");
    let of_name = |name: &str| {
        read.descendants()
            .filter(|node| node.has_tag_name((NAMESPACE, name)))
            .collect::<Vec<_>>()
    };
    let [message] = of_name("Message")[..] else {
        panic!("{xml}")
    };
    let printable = |text: &str| text.replace(char::is_control, " ");
    assert_eq!(message.text().unwrap_or_default(), printable(&text));
    assert_eq!((of_name("Code").len(), of_name("Error").len()), (1, 1));

    let entry = serde_json::to_value(EntryResult::from(Err(denial.clone()))).expect("JSON");
    assert_eq!(entry["Error"], Value::String(text));
}

const NAMESPACE: &str = "http://ses.amazonaws.com/doc/2010-12-01/";

/// How many @ a JSON text has when its escapes are read; those of raw messages count, too.
fn ats_of_json(value: &Value) -> usize {
    match value {
        Value::String(text) => ats(text),
        Value::Array(values) => values.iter().map(ats_of_json).sum(),
        Value::Object(members) => members.values().map(ats_of_json).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn ats(text: &str) -> usize {
    let raw = BASE64.decode(text.as_bytes()).unwrap_or_default();
    let count = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'@').count();
    count(text.as_bytes()) + count(&raw)
}

fn check_json(body: &[u8], read: Vec<Read>, choice: u8) {
    let said = serde_json::from_slice(body).map_or(0, |value| ats_of_json(&value));
    check_all(read, said, choice);
}

fn check_form(body: &[u8], choice: u8) {
    let query = Query::parse(body);
    let said = form_urlencoded::parse(body).map(|(_, value)| ats(&value)).sum();
    check_all(vec![v1::send_email(&query), v1::send_raw_email(&query)], said, choice);
}

fn check_all(read: Vec<Read>, said: usize, choice: u8) {
    for read in read {
        match read {
            Ok(submission) => check(&submission, said, choice),
            Err(denial) => check_denial(&denial),
        }
    }
}

fn check_bulk(body: &[u8], choice: u8) {
    let read = bulk::send_bulk_email(body).unwrap_or_else(|denial| vec![Err(denial)]);
    assert!((1..=50).contains(&read.len()));
    check_json(body, read, choice);
}

/// A text of a field, whose members stand between bars.
fn members(text: &str) -> Vec<&str> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split('|').collect()
    }
}

/// Requests of all operations with these texts in them, which the fuzzer need not escape: sender, To, Cc, Bcc, a header's name
/// and value, subject, and the rest is text, or a raw message.
fn check_built(text: &str, choice: u8) {
    let mut texts = text.splitn(8, '\x1f');
    let [from, to, cc, bcc, name, value, subject, rest] = std::array::from_fn(|_| texts.next().unwrap_or_default());
    let destination = json!({"ToAddresses": members(to), "CcAddresses": members(cc), "BccAddresses": members(bcc)});
    let mut simple = json!({"Subject": {"Data": subject}, "Body": {"Text": {"Data": rest}, "Html": {"Data": subject}}});
    if !name.is_empty() {
        simple["Headers"] = json!([{"Name": name, "Value": value}]);
    }
    let raw = json!({"Data": BASE64.encode(rest.as_bytes())});
    for request in [
        json!({"FromEmailAddress": from, "Destination": destination, "Content": {"Simple": simple}}),
        json!({"FromEmailAddress": from, "Destination": destination, "Content": {"Raw": raw}}),
        json!({"Content": {"Raw": raw}, "ReplyToAddresses": [value]}),
    ] {
        let request = request.to_string().into_bytes();
        check_json(&request, vec![v2::send_email(&request)], choice);
    }
    let bulk = json!({
        "FromEmailAddress": from,
        "DefaultContent": {"Template": {"TemplateName": subject, "TemplateData": rest}},
        "BulkEmailEntries": [
            {"Destination": destination, "ReplacementHeaders": [{"Name": name, "Value": value}]},
            {"Destination": {"ToAddresses": [value]}},
        ],
    });
    check_bulk(&bulk.to_string().into_bytes(), choice);

    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Source", from);
    for (list, text) in [("To", to), ("Cc", cc), ("Bcc", bcc)] {
        for (index, member) in members(text).iter().enumerate() {
            form.append_pair(&format!("Destination.{list}Addresses.member.{}", index + 1), member);
            form.append_pair(&format!("Destinations.member.{}", index + 1), member);
        }
    }
    form.append_pair("Message.Subject.Data", subject);
    form.append_pair("Message.Body.Text.Data", rest);
    form.append_pair("RawMessage.Data", &BASE64.encode(rest.as_bytes()));
    form.append_pair("ReturnPath", value);
    check_form(form.finish().as_bytes(), choice);
}

fuzz_target!(|input: &[u8]| {
    let [way, choice, body @ ..] = input else { return };
    match way % 4 {
        0 => check_json(body, vec![v2::send_email(body)], *choice),
        1 => check_bulk(body, *choice),
        2 => check_form(body, *choice),
        _ => check_built(&String::from_utf8_lossy(body), *choice),
    }
});
