//! Captured messages as the API on loopback shows them: JSON, and parts as they are. Nothing is rendered.

use jiff::Timestamp;
use mail_parser::{MessageParser, MimeHeaders};
use serde::Serialize;

use super::{Captured, Outcome};
use crate::api::Mode;

/// A recipient, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// One message in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// Under which policies.
    pub policies: Vec<String>,
    /// In which mode.
    pub mode: Mode,
    /// Who it is from.
    pub from: String,
    /// Whom it was for.
    pub recipients: Vec<Recipient>,
    /// Its subject.
    pub subject: String,
    /// Its octets.
    pub size: usize,
    /// SES's ids of what was sent of it.
    pub sent_as: Vec<String>,
}

/// A message with its headers and parts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// As in a list.
    #[serde(flatten)]
    pub listed: Listed,
    /// Every header, in order.
    pub headers: Vec<(String, String)>,
    /// Every part that is not a container.
    pub parts: Vec<PartShown>,
}

/// A part in a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartShown {
    /// Its number.
    pub number: usize,
    /// Its media type.
    pub content_type: String,
    /// Its file name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its octets, decoded.
    pub size: usize,
}

/// A part's contents, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Part(pub Vec<u8>);

impl Captured {
    /// The message in a list.
    #[must_use]
    pub fn listed(&self, id: u64) -> Listed {
        let headers = MessageParser::default().parse_headers(&self.raw[..]);
        let subject = headers.as_ref().and_then(|message| message.subject());
        let recipients = self.recipients.iter().map(|(address, outcome)| Recipient {
            address: address.to_string(),
            outcome: *outcome,
        });
        Listed {
            id,
            time: self.at,
            policies: self.policies.clone(),
            mode: self.mode,
            from: self.from.to_string(),
            recipients: recipients.collect(),
            subject: subject.unwrap_or_default().to_owned(),
            size: self.raw.len(),
            sent_as: self.sent_as.clone(),
        }
    }

    /// The message with headers and parts.
    #[must_use]
    pub fn shown(&self, id: u64) -> Shown {
        let message = MessageParser::default().parse(&self.raw[..]);
        let headers = message.iter().flat_map(mail_parser::Message::headers_raw);
        let parts = message.iter().flat_map(|message| message.parts.iter().enumerate());
        let parts = parts.filter(|(_, part)| !part.is_multipart()).map(|(number, part)| {
            let content_type = part.content_type();
            PartShown {
                number,
                content_type: content_type.map_or_else(
                    || "text/plain".to_owned(),
                    |it| format!("{}/{}", it.ctype(), it.subtype().unwrap_or("*")),
                ),
                filename: part.attachment_name().map(str::to_owned),
                size: part.len(),
            }
        });
        Shown {
            listed: self.listed(id),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
            parts: parts.collect(),
        }
    }

    /// A part's contents.
    #[must_use]
    pub fn part(&self, number: usize) -> Option<Part> {
        let message = MessageParser::default().parse(&self.raw[..])?;
        let part = message.parts.get(number).filter(|part| !part.is_multipart())?;
        Some(Part(part.contents().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::captured;

    #[test]
    fn a_message_is_shown_with_headers_and_parts_and_what_became_of_everyone() {
        let message = captured(
            "From: a@example.com\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: multipart/mixed; boundary=b\n\n\
             --b\nContent-Type: text/plain\n\nHello\n--b\nContent-Type: application/pdf\n\
             Content-Disposition: attachment; filename=x.pdf\nContent-Transfer-Encoding: base64\n\nQUJD\n--b--\n",
        );
        let shown = serde_json::to_value(message.shown(7)).unwrap();
        assert_eq!((&shown["id"], &shown["subject"]), (&7.into(), &"Grüße".into()));
        assert_eq!(
            shown["recipients"],
            serde_json::json!([{"address": "b@example.net", "outcome": "Captured"}])
        );
        let parts = shown["parts"].as_array().unwrap();
        assert_eq!(parts.len(), 2, "{shown}");
        assert_eq!(parts[1]["filename"], "x.pdf");
        let number = usize::try_from(parts[1]["number"].as_u64().unwrap()).unwrap();
        assert_eq!(message.part(number).unwrap().0, b"ABC");
        assert_eq!(message.part(99), None);
    }
}
