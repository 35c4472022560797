//! Answers as SES writes them: JSON of v2, XML of v1.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::sidecar::denial::Denial;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// The namespace of v1's answers.
const V1: &str = "http://ses.amazonaws.com/doc/2010-12-01/";

/// What stands for a request's id: SDKs show it, nothing depends on it.
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An answer of this status.
pub fn plain(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-amzn-requestid", HeaderValue::from_static(REQUEST_ID));
    // Captured mail is text of strangers: no browser is to guess that it is more.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON answer.
pub fn json(status: u16, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => plain(status, "application/json", body),
        Err(error) => plain(500, "text/plain", format!("an answer cannot be written: {error}\n")),
    }
}

/// A refusal as SES v2 writes it.
#[must_use]
pub fn refusal(status: u16, name: &'static str, message: &str) -> Answer {
    let mut answer = json(status, &serde_json::json!({ "message": message }));
    answer
        .headers_mut()
        .insert("x-amzn-errortype", HeaderValue::from_static(name));
    answer
}

/// A denial as SES v2 writes it.
#[must_use]
pub fn denied(denial: &Denial) -> Answer {
    let answer = denial.ses();
    refusal(answer.status, answer.name, &denial.to_string())
}

/// A result as SES v1 writes it.
#[must_use]
pub fn v1(action: &str, result: &str) -> Answer {
    let body = format!(
        "<{action}Response xmlns=\"{V1}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>"
    );
    plain(200, "text/xml", body)
}

/// A refusal as SES v1 writes it.
#[must_use]
pub fn v1_refusal(status: u16, name: &str, message: &str) -> Answer {
    let side = if status < 500 { "Sender" } else { "Receiver" };
    // v1 has names of its own (service model of 2010-12-01); where it has none, v2's without its end is what comes nearest.
    let code = match name {
        "TooManyRequestsException" => "Throttling",
        "SendingPausedException" | "AccountSuspendedException" => "AccountSendingPausedException",
        "BadRequestException" => "InvalidParameterValue",
        "InternalServiceErrorException" => "InternalFailure",
        name => name.trim_end_matches("Exception"),
    };
    let body = format!(
        "<ErrorResponse xmlns=\"{V1}\"><Error><Type>{side}</Type><Code>{code}</Code><Message>{}</Message></Error>\
         <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        escaped(message)
    );
    plain(status, "text/xml", body)
}

/// A denial as SES v1 writes it: what it throttles is a 400 there.
#[must_use]
pub fn v1_denied(denial: &Denial) -> Answer {
    let answer = denial.ses();
    let status = if answer.status == 429 { 400 } else { answer.status };
    v1_refusal(status, answer.name, &denial.to_string())
}

/// Text in XML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char if char.is_control() => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}
