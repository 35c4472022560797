//! SES v1's query protocol: `SendEmail` and `SendRawEmail`, and `GetSendQuota`, by which clients set their pace.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::v2::{one, raw_message, sender};
use crate::sidecar::{
    content::{Content, Parts, PartsKind},
    denial::Denial,
    message::Mailbox,
    relay::Tag,
    submission::Submission,
};

/// Members of a list at most.
const MEMBERS_MAX: usize = 1_000;

/// The parameters of a request.
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads a form.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The members of a list.
    fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        (1..=MEMBERS_MAX).map_while(move |index| self.get(&format!("{name}.member.{index}")))
    }

    fn mailboxes(&self, name: &str) -> Result<Vec<Mailbox>, Denial> {
        let read = self.list(name).enumerate().map(|(index, text)| {
            one(text).map_err(|why| Denial::Request(format!("{name}.member.{}: {why}", index + 1)))
        });
        read.collect()
    }

    fn tags(&self) -> Vec<Tag> {
        let member = |index: usize| {
            let part = |part: &str| self.get(&format!("Tags.member.{index}.{part}")).map(str::to_owned);
            Some(Tag {
                name: part("Name")?,
                value: part("Value")?,
            })
        };
        (1..=MEMBERS_MAX).map_while(member).collect()
    }

    fn refuse_steering(&self) -> Result<(), Denial> {
        let steering = ["SourceArn", "FromArn", "ReturnPathArn"];
        match steering.into_iter().find(|name| self.0.contains_key(*name)) {
            Some(name) => Err(Denial::Request(format!(
                "{name} is the mail policy's to decide: leave it out"
            ))),
            None => Ok(()),
        }
    }
}

/// Reads a request of `SendEmail`.
///
/// # Errors
/// What of it cannot be read or may not be said.
pub fn send_email(query: &Query) -> Result<Submission, Denial> {
    query.refuse_steering()?;
    let source = query
        .get("Source")
        .ok_or_else(|| Denial::Request("Source is missing".to_owned()))?;
    let content = |name: &str| {
        let data = query.get(&format!("{name}.Data"))?;
        let charset = query.get(&format!("{name}.Charset"));
        Some(match charset {
            Some(charset) => json!({ "Data": data, "Charset": charset }),
            None => json!({ "Data": data }),
        })
    };
    let body: Map<String, Value> = ["Text", "Html"]
        .into_iter()
        .filter_map(|part| Some((part.to_owned(), content(&format!("Message.Body.{part}"))?)))
        .collect();
    let subject = content("Message.Subject").unwrap_or_else(|| json!({ "Data": "" }));
    let members = [("Subject".to_owned(), subject), ("Body".to_owned(), body.into())];
    let mut options = Map::new();
    let reply_to: Vec<Value> = query.list("ReplyToAddresses").map(Value::from).collect();
    if !reply_to.is_empty() {
        options.insert("ReplyToAddresses".to_owned(), reply_to.into());
    }
    if let Some(address) = query.get("ReturnPath") {
        options.insert("FeedbackForwardingEmailAddress".to_owned(), address.into());
    }
    Ok(Submission {
        sender: None,
        from: sender(source)?,
        to: query.mailboxes("Destination.ToAddresses")?,
        cc: query.mailboxes("Destination.CcAddresses")?,
        bcc: query.mailboxes("Destination.BccAddresses")?,
        content: Content::Parts(Parts::new(PartsKind::Simple, members.into_iter().collect())?),
        tags: query.tags(),
        options,
    })
}

/// Reads a request of `SendRawEmail`.
///
/// # Errors
/// What of it cannot be read or may not be said.
pub fn send_raw_email(query: &Query) -> Result<Submission, Denial> {
    query.refuse_steering()?;
    let data = query.get("RawMessage.Data").unwrap_or_default();
    let raw = BASE64.decode(data.as_bytes());
    let raw = raw.map_err(|_| Denial::Request("RawMessage.Data is not base64".to_owned()))?;
    let from = query.get("Source").map(sender).transpose()?;
    let named = query.mailboxes("Destinations")?;
    let recipients = (!named.is_empty()).then(|| [named, Vec::new(), Vec::new()]);
    raw_message(raw, from, recipients, query.tags(), Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        Query::parse(form.finish().as_bytes())
    }

    #[test]
    fn a_message_is_read_as_one_of_v2_would_be() {
        let submission = send_email(&query(&[
            ("Source", "Shop <shop@example.com>"),
            ("Destination.ToAddresses.member.1", "a@example.com"),
            ("Destination.ToAddresses.member.2", "b@example.com"),
            ("Message.Subject.Data", "Hi & bye"),
            ("Message.Body.Html.Data", "<b>x</b>"),
            ("Message.Body.Html.Charset", "UTF-8"),
            ("Tags.member.1.Name", "n"),
            ("Tags.member.1.Value", "v"),
            ("ConfigurationSetName", "theirs"),
        ]))
        .unwrap();
        let Content::Parts(parts) = &submission.content else {
            panic!("parts")
        };
        assert_eq!(parts.members["Subject"]["Data"], "Hi & bye");
        assert_eq!(parts.members["Body"]["Html"]["Charset"], "UTF-8");
        assert_eq!((submission.recipients().len(), submission.tags.len()), (2, 1));
    }

    #[test]
    fn a_raw_message_goes_to_its_destinations_and_else_to_whom_it_names() {
        let data = BASE64.encode(b"From: a@example.com\r\nTo: b@example.com\r\n\r\nx\r\n");
        let named = send_raw_email(&query(&[("RawMessage.Data", &data)])).unwrap();
        assert_eq!(named.recipients()[0].to_string(), "b@example.com");
        let explicit = [
            ("RawMessage.Data", data.as_str()),
            ("Destinations.member.1", "c@example.com"),
        ];
        let explicit = send_raw_email(&query(&explicit)).unwrap();
        assert_eq!(explicit.recipients().len(), 1);
        assert_eq!(explicit.recipients()[0].to_string(), "c@example.com");
    }

    #[test]
    fn what_steers_past_the_policy_is_refused_by_name() {
        let denial = send_email(&query(&[("SourceArn", "arn:aws:ses:…"), ("Source", "a@example.com")])).unwrap_err();
        assert!(denial.to_string().starts_with("SourceArn"), "{denial}");
    }
}
