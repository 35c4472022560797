//! What is sent to SES: one request of operation `SendEmail`, written in pieces, so that a large message is never held a
//! second time.

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use sha2::{Digest, Sha256};

/// Octets of a message that are encoded at once: a multiple of three, so that no padding falls between two pieces.
const PIECE: usize = 48 * 1024;

/// The envelope of a message as SES gets it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    /// Who it is from.
    pub from_email_address: String,
    /// Whom it is for. Never left to the message's headers.
    pub destination: Destination,
    /// The policy's configuration set.
    pub configuration_set_name: String,
    /// The namespace's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// The application's tags and ours.
    pub email_tags: Vec<Tag>,
    /// What else the application asked of SES, which steers nothing that the policy decides.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

/// At most 50 recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Destination {
    /// In header To.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to_addresses: Vec<String>,
    /// In header Cc.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cc_addresses: Vec<String>,
    /// In none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bcc_addresses: Vec<String>,
}

/// A message tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// At most 256 of `[A-Za-z0-9_-]`.
    pub name: String,
    /// At most 256 of `[A-Za-z0-9_-]`.
    pub value: String,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Sendable {
    /// A whole message in two parts.
    Raw {
        /// Its headers.
        head: Bytes,
        /// What follows them.
        body: Bytes,
    },
    /// Member `Content` of the request, as JSON.
    Json(Box<RawValue>),
}

/// A request's body: its pieces are made when they are asked for, as often as they are.
#[derive(Clone, Debug)]
pub struct Request {
    before: Bytes,
    message: [Bytes; 2],
    after: &'static [u8],
}

impl Request {
    /// The request for a message.
    ///
    /// # Errors
    /// When the envelope cannot be written as JSON.
    pub fn new(envelope: &Envelope, content: Sendable) -> Result<Self, serde_json::Error> {
        let mut before = serde_json::to_vec(envelope)?;
        // The object goes on.
        before.pop();
        before.extend_from_slice(br#","Content":"#);
        Ok(match content {
            Sendable::Raw { head, body } => {
                before.extend_from_slice(br#"{"Raw":{"Data":""#);
                Self {
                    before: before.into(),
                    message: [head, body],
                    after: br#""}}}"#,
                }
            }
            Sendable::Json(content) => {
                before.extend_from_slice(content.get().as_bytes());
                Self {
                    before: before.into(),
                    message: [Bytes::new(), Bytes::new()],
                    after: b"}",
                }
            }
        })
    }

    /// How many octets it has.
    #[must_use]
    pub fn len(&self) -> usize {
        let message: usize = self.message.iter().map(Bytes::len).sum();
        self.before.len() + BASE64.encode_len(message) + self.after.len()
    }

    /// Whether it has none, which never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of it, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        self.pieces().for_each(|piece| digest.update(piece));
        HEXLOWER.encode(&digest.finalize())
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<u8>> + Send + Sync + use<> {
        let Self { before, message, after } = self.clone();
        let total: usize = message.iter().map(Bytes::len).sum();
        let mut done = 0;
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let mut piece = if done == 0 { before.to_vec() } else { Vec::new() };
            let until = (done + PIECE).min(total);
            encode(&message, done, until, &mut piece);
            done = until;
            if done == total {
                piece.extend_from_slice(after);
                ended = true;
            }
            Some(piece)
        })
    }
}

/// Appends the octets of a message from one place to another, encoded.
fn encode([head, body]: &[Bytes; 2], from: usize, until: usize, to: &mut Vec<u8>) {
    let part = |part: &Bytes, offset: usize| {
        let at = |place: usize| place.saturating_sub(offset).min(part.len());
        part.slice(at(from)..at(until))
    };
    let (first, second) = (part(head, 0), part(body, head.len()));
    let start = to.len();
    to.resize(start + BASE64.encode_len(first.len() + second.len()), 0);
    let space = &mut to[start..];
    if first.is_empty() || second.is_empty() {
        BASE64.encode_mut(if first.is_empty() { &second } else { &first }, space);
    } else {
        BASE64.encode_mut(&[first, second].concat(), space);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            from_email_address: "a@example.com".to_owned(),
            destination: Destination {
                to_addresses: vec!["b@example.com".to_owned()],
                ..Destination::default()
            },
            configuration_set_name: "set".to_owned(),
            ..Envelope::default()
        }
    }

    #[test]
    fn a_message_of_any_size_is_written_in_pieces_that_are_together_what_ses_reads() {
        for (head, body) in [
            (0, 0),
            (1, 1),
            (100, 2_000),
            (PIECE - 1, 5),
            (7, 3 * PIECE),
            (PIECE + 2, PIECE * 2 + 1),
        ] {
            let raw: Vec<u8> = (0..head + body).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let raw = Bytes::from(raw);
            let content = Sendable::Raw {
                head: raw.slice(..head),
                body: raw.slice(head..),
            };
            let request = Request::new(&envelope(), content).unwrap();
            let whole: Vec<u8> = request.pieces().flatten().collect();
            assert_eq!(whole.len(), request.len());
            assert!(request.pieces().all(|piece| piece.len() < 2 * PIECE));
            let read: Value = serde_json::from_slice(&whole).unwrap();
            let data = read["Content"]["Raw"]["Data"].as_str().unwrap();
            assert_eq!(BASE64.decode(data.as_bytes()).unwrap(), raw);
            assert_eq!(
                read["Destination"],
                serde_json::json!({"ToAddresses": ["b@example.com"]})
            );
            assert_eq!(request.digest(), HEXLOWER.encode(&Sha256::digest(&whole)));
        }
    }

    #[test]
    fn content_that_came_as_json_leaves_as_it_came() {
        let content = RawValue::from_string(r#"{"Simple": {"Subject": 1.0}}"#.to_owned()).unwrap();
        let request = Request::new(&envelope(), Sendable::Json(content)).unwrap();
        let whole: Vec<u8> = request.pieces().flatten().collect();
        let text = String::from_utf8(whole).unwrap();
        assert!(text.ends_with(r#""Content":{"Simple": {"Subject": 1.0}}}"#), "{text}");
    }
}
