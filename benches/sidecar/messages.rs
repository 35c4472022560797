//! What is sent: requests of SES v2's `SendEmail`, and the text of a message.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::json;

/// Who every message is from.
pub(crate) const SENDER: &str = "shop@example.com";
/// Whom most are for.
pub(crate) const RECIPIENT: &str = "jo@example.com";
/// Operation `SendEmail` of SES v2.
pub(crate) const PATH: &str = "/v2/email/outbound-emails";
/// A line of text with its end.
const LINE: &str = "The quick brown fox jumps over the lazy dog, and nobody looks at it twice..\r\n";

/// How a message is given to SES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Subject and text.
    Simple,
    /// A whole message in base64.
    Raw,
}

/// So many octets of text.
pub(crate) fn text(octets: usize) -> String {
    let mut text = LINE.repeat(octets.div_ceil(LINE.len()));
    text.truncate(octets);
    text
}

/// The head of a message.
pub(crate) fn head() -> String {
    format!("From: Shop <{SENDER}>\r\nTo: {RECIPIENT}\r\nSubject: Hello\r\n")
}

/// A request to send a message of so many octets.
pub(crate) fn request(shape: Shape, octets: usize, recipient: &str) -> Bytes {
    let content = match shape {
        Shape::Simple => json!({"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": text(octets)}}}}),
        Shape::Raw => {
            let message = format!("{}\r\n{}", head(), text(octets));
            json!({"Raw": {"Data": BASE64.encode(message.as_bytes())}})
        }
    };
    let request = json!({
        "FromEmailAddress": format!("Shop <{SENDER}>"),
        "Destination": {"ToAddresses": [recipient]},
        "Content": content,
    });
    request.to_string().into()
}
