//! What a message says: a whole message, or the parts that SES puts together.

use bytes::Bytes;
use mail_builder::MessageBuilder;
use serde_json::{Map, Value, value::to_raw_value};

use super::{
    message::{Message, Visible},
    relay::Sendable,
};
use crate::{api::Address, policy::gate};

/// What a message says.
#[derive(Clone, Debug)]
pub enum Content {
    /// A whole message.
    Raw(Message),
    /// Subject, body and headers, or a template and its data: SES puts the message together.
    Parts(Parts),
}

/// `Simple` or `Template` of member `Content`.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Which of both.
    pub kind: PartsKind,
    /// Its members.
    pub members: Map<String, Value>,
}

/// How SES puts a message together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartsKind {
    /// From subject and body.
    Simple,
    /// From a template and data.
    Template,
}

/// Whom a message names.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its sender.
    pub from: &'a Address,
    /// In header To.
    pub to: &'a [Address],
    /// In header Cc.
    pub cc: &'a [Address],
}

/// A member `Headers` that may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header's name has printable ASCII without a colon, its value printable ASCII on one line")]
pub struct HeaderError;

impl Content {
    /// Octets, as far as they count on what may be held at once.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Raw(message) => message.len(),
            Self::Parts(parts) => parts.members.values().map(weight).sum(),
        }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What SES gets. With `visible`, others are mailed than the message names.
    ///
    /// # Errors
    /// When the parts cannot be written as JSON.
    pub fn sendable(&self, original: Named<'_>, visible: Option<&Visible>) -> Result<Sendable, serde_json::Error> {
        Ok(match self {
            Self::Raw(message) => Sendable::Raw {
                head: message.head(visible).into(),
                body: message.body(),
            },
            Self::Parts(parts) => {
                let mut members = parts.members.clone();
                if let Some(visible) = visible {
                    Parts::mark(&mut members, original, visible);
                }
                Sendable::Json(to_raw_value(&serde_json::json!({ parts.kind.name(): members }))?)
            }
        })
    }

    /// The message as people look at it: as it came, or put together as SES would.
    #[must_use]
    pub fn shown(&self, original: Named<'_>) -> Bytes {
        match self {
            Self::Raw(message) => message.raw().clone(),
            Self::Parts(parts) => parts.put_together(original).into(),
        }
    }
}

impl gate::Headers for Content {
    fn has_line(&self, name: &str, value: &str) -> bool {
        match self {
            Self::Raw(message) => message.has_line(name, value),
            Self::Parts(parts) => parts
                .headers()
                .any(|(line, held)| line.eq_ignore_ascii_case(name) && held == value),
        }
    }
}

impl PartsKind {
    /// The member's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "Simple",
            Self::Template => "Template",
        }
    }
}

impl Parts {
    /// Parts without headers that hide recipients or steer SES.
    ///
    /// # Errors
    /// [`HeaderError`] where a header could be read as several.
    pub fn new(kind: PartsKind, mut members: Map<String, Value>) -> Result<Self, HeaderError> {
        if let Some(Value::Array(headers)) = members.get_mut("Headers") {
            for header in headers.iter() {
                let (name, value) = pair(header).ok_or(HeaderError)?;
                let name_is_fit = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
                if !name_is_fit || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    return Err(HeaderError);
                }
            }
            headers.retain(|header| pair(header).is_some_and(|(name, _)| !is_dropped(name)));
        }
        Ok(Self { kind, members })
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.members.get("Headers").and_then(Value::as_array);
        headers.into_iter().flatten().filter_map(pair)
    }

    /// Keeps what the message named before, and marks its subject.
    fn mark(members: &mut Map<String, Value>, original: Named<'_>, visible: &Visible) {
        let headers = members.entry("Headers").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(headers) = headers {
            for (name, addresses) in [("X-Original-To", original.to), ("X-Original-Cc", original.cc)] {
                headers.retain(|header| pair(header).is_some_and(|(held, _)| !held.eq_ignore_ascii_case(name)));
                if !addresses.is_empty() {
                    headers.push(serde_json::json!({ "Name": name, "Value": listed(addresses) }));
                }
            }
        }
        let subject = members.get_mut("Subject").and_then(|subject| subject.get_mut("Data"));
        if let (Some(prefix), Some(Value::String(subject))) = (&visible.subject_prefix, subject) {
            *subject = format!("{} {subject}", prefix.as_str());
        }
    }

    /// The text of a member, or of a member within it.
    fn text(&self, member: &str, within: &[&str]) -> Option<&str> {
        let member = self.members.get(member)?;
        within.iter().try_fold(member, |value, key| value.get(key))?.as_str()
    }

    /// A message of these parts. Attachments are left out: what is shown is what the recipient would read.
    fn put_together(&self, Named { from, to, cc }: Named<'_>) -> Vec<u8> {
        let mut message = MessageBuilder::new().from(from.to_string());
        let addresses = |list: &[Address]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        if !to.is_empty() {
            message = message.to(addresses(to));
        }
        if !cc.is_empty() {
            message = message.cc(addresses(cc));
        }
        for (name, value) in self.headers() {
            let value = mail_builder::headers::raw::Raw::new(value.to_owned());
            message = message.header(name.to_owned(), value);
        }
        message = match self.kind {
            PartsKind::Simple => {
                let mut message = message.subject(self.text("Subject", &["Data"]).unwrap_or_default());
                if let Some(body) = self.text("Body", &["Text", "Data"]) {
                    message = message.text_body(body);
                }
                if let Some(body) = self.text("Body", &["Html", "Data"]) {
                    message = message.html_body(body);
                }
                message
            }
            PartsKind::Template => {
                let name = self
                    .text("TemplateName", &[])
                    .or_else(|| self.text("TemplateArn", &[]))
                    .unwrap_or_default();
                let data = self.text("TemplateData", &[]).unwrap_or_default();
                message.subject(format!("Template {name}")).text_body(data)
            }
        };
        // Writing into memory does not fail.
        message.write_to_vec().unwrap_or_default()
    }
}

/// Name and value of a header member.
fn pair(header: &Value) -> Option<(&str, &str)> {
    Some((header.get("Name")?.as_str()?, header.get("Value")?.as_str()?))
}

/// Whether a header hides recipients or steers SES.
fn is_dropped(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-ses-") || name == "bcc" || name == "resent-bcc"
}

/// Addresses in one header member of at most 870 octets: SES takes 995, and none is cut in two.
fn listed(addresses: &[Address]) -> String {
    const MOST: usize = 870;
    let mut text = String::new();
    for address in addresses {
        let address = address.to_string();
        if text.len() + address.len() > MOST {
            text.push_str(", ...");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&address);
    }
    text
}

/// Octets of the texts in a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(members) => members.values().map(weight).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::SubjectPrefix;
    use crate::policy::gate::Headers;

    fn parts(kind: PartsKind, members: Value) -> Result<Parts, HeaderError> {
        let Value::Object(members) = members else {
            panic!("an object")
        };
        Parts::new(kind, members)
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn headers_that_hide_or_steer_are_left_out_and_those_that_break_are_refused() {
        let simple = json!({"Headers": [
            {"Name": "bcc", "Value": "a@example.com"}, {"Name": "X-Ses-Tenant", "Value": "t"}, {"Name": "X-Stream", "Value": "news"},
        ]});
        let parts_of = parts(PartsKind::Simple, simple).unwrap();
        assert_eq!(parts_of.headers().collect::<Vec<_>>(), [("X-Stream", "news")]);
        assert!(Content::Parts(parts_of).has_line("x-stream", "news"));
        for (name, value) in [("A", "b\r\nBcc: c"), ("A: b\r\nBcc", "c"), ("", "b"), ("A", "é")] {
            let headers = json!({"Headers": [{"Name": name, "Value": value}]});
            assert_eq!(
                parts(PartsKind::Simple, headers).unwrap_err(),
                HeaderError,
                "{name:?} {value:?}"
            );
        }
    }

    #[test]
    fn others_who_are_mailed_leave_the_originals_in_headers() {
        let simple = json!({"Subject": {"Data": "Hi"}, "Headers": [{"Name": "x-original-to", "Value": "forged"}]});
        let content = Content::Parts(parts(PartsKind::Simple, simple).unwrap());
        let (from, to) = (address("a@example.com"), [address("c@example.net")]);
        let original = Named {
            from: &from,
            to: &to,
            cc: &[],
        };
        let visible = Visible {
            subject_prefix: SubjectPrefix::parse("[dev]").ok(),
            ..Visible::default()
        };
        let Sendable::Json(json) = content.sendable(original, Some(&visible)).unwrap() else {
            panic!("JSON")
        };
        let sent: Value = serde_json::from_str(json.get()).unwrap();
        assert_eq!(
            sent,
            json!({"Simple": {
                "Subject": {"Data": "[dev] Hi"},
                "Headers": [{"Name": "X-Original-To", "Value": "c@example.net"}],
            }})
        );
    }

    #[test]
    fn parts_are_shown_as_a_message() {
        let simple = json!({"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}});
        let content = Content::Parts(parts(PartsKind::Simple, simple).unwrap());
        let (from, to) = (address("a@example.com"), [address("c@example.net")]);
        let shown = content.shown(Named {
            from: &from,
            to: &to,
            cc: &[],
        });
        let message = Message::parse(shown).unwrap();
        assert_eq!(message.values("Subject").collect::<Vec<_>>(), ["Hi"]);
        assert_eq!(message.addresses("To").unwrap(), to);
        assert!(String::from_utf8_lossy(&message.body()).contains("Hello"));
    }
}
