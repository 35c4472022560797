//! `SendEmail` of SES v2: a request read strictly. What steers SES past the policy is refused by its name; what the
//! policy sets itself is left out.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::sidecar::{
    content::{Content, Parts, PartsKind},
    denial::Denial,
    message::{Mailbox, Message, MessageError, mailboxes},
    relay::Tag,
    smtp::fixed_line_endings,
    submission::Submission,
};

/// A request of `SendEmail`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendEmail<'a> {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Option<DestinationIn>,
    #[serde(borrow)]
    content: ContentIn<'a>,
    #[serde(default)]
    email_tags: Option<Vec<Tag>>,
    #[serde(flatten)]
    common: Common,
    list_management_options: Option<Value>,
}

/// What sends have in common beside what they say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Common {
    /// Where answers go.
    reply_to_addresses: Option<Value>,
    /// Where SES forwards bounces to.
    feedback_forwarding_email_address: Option<Value>,
    /// The policy's is set in its place.
    configuration_set_name: Option<String>,
    /// The policy's is set in its place.
    tenant_name: Option<String>,
    from_email_address_identity_arn: Option<Value>,
    feedback_forwarding_email_address_identity_arn: Option<Value>,
    endpoint_id: Option<Value>,
    configuration_overrides: Option<Value>,
}

/// Whom a message is for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationIn {
    #[serde(rename = "ToAddresses")]
    to: Option<Vec<String>>,
    #[serde(rename = "CcAddresses")]
    cc: Option<Vec<String>>,
    #[serde(rename = "BccAddresses")]
    bcc: Option<Vec<String>>,
}

/// What a message says; one of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ContentIn<'a> {
    #[serde(borrow, default)]
    raw: Option<RawIn<'a>>,
    simple: Option<Map<String, Value>>,
    template: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawIn<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl Common {
    /// What is handed on to SES.
    ///
    /// # Errors
    /// A member that steers SES past the policy, by its name.
    pub fn options(self) -> Result<Map<String, Value>, Denial> {
        let Self {
            reply_to_addresses,
            feedback_forwarding_email_address,
            configuration_set_name: _,
            tenant_name: _,
            from_email_address_identity_arn,
            feedback_forwarding_email_address_identity_arn,
            endpoint_id,
            configuration_overrides,
        } = self;
        let steering = [
            ("FromEmailAddressIdentityArn", from_email_address_identity_arn),
            (
                "FeedbackForwardingEmailAddressIdentityArn",
                feedback_forwarding_email_address_identity_arn,
            ),
            ("EndpointId", endpoint_id),
            ("ConfigurationOverrides", configuration_overrides),
        ];
        if let Some((name, _)) = steering.iter().find(|(_, value)| value.is_some()) {
            return Err(Denial::Request(format!(
                "{name} is the mail policy's to decide: leave it out"
            )));
        }
        let handed_on = [
            ("ReplyToAddresses", reply_to_addresses),
            ("FeedbackForwardingEmailAddress", feedback_forwarding_email_address),
        ];
        let given = handed_on
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(given.collect())
    }
}

impl DestinationIn {
    /// Its addresses: To, Cc and Bcc.
    ///
    /// # Errors
    /// Which list has what is none.
    pub fn read(self) -> Result<[Vec<Mailbox>; 3], Denial> {
        let list = |name: &str, texts: Option<Vec<String>>| -> Result<Vec<Mailbox>, Denial> {
            let texts = texts.unwrap_or_default();
            let read = texts.iter().enumerate().map(|(index, text)| {
                one(text).map_err(|why| Denial::Request(format!("Destination.{name}[{index}]: {why}")))
            });
            read.collect()
        };
        Ok([
            list("ToAddresses", self.to)?,
            list("CcAddresses", self.cc)?,
            list("BccAddresses", self.bcc)?,
        ])
    }

    fn is_empty(&self) -> bool {
        let lists = [&self.to, &self.cc, &self.bcc];
        lists.iter().all(|list| list.as_ref().is_none_or(Vec::is_empty))
    }
}

/// One mailbox, with or without a name.
///
/// # Errors
/// What is wrong, without the text.
pub fn one(text: &str) -> Result<Mailbox, String> {
    let mut found = mailboxes(text).map_err(|error| error.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(mailbox), true) => Ok(mailbox),
        _ => Err("name one address".to_owned()),
    }
}

/// The sender of a request.
///
/// # Errors
/// Where it is no address.
pub fn sender(text: &str) -> Result<Mailbox, Denial> {
    one(text).map_err(|why| Denial::Request(format!("FromEmailAddress: {why}")))
}

/// Reads a request of `SendEmail`.
///
/// # Errors
/// What of it cannot be read or may not be said.
pub fn send_email(body: &[u8]) -> Result<Submission, Denial> {
    let request: SendEmail<'_> = serde_json::from_slice(body)
        .map_err(|error| Denial::Request(format!("the request cannot be read: {error}")))?;
    let SendEmail {
        from_email_address,
        destination,
        content: ContentIn { raw, simple, template },
        email_tags,
        common,
        list_management_options,
    } = request;
    let mut options = common.options()?;
    options.extend(list_management_options.map(|value| ("ListManagementOptions".to_owned(), value)));
    let destination = destination.unwrap_or_default();
    let tags = email_tags.unwrap_or_default();
    match (raw, simple, template) {
        (Some(RawIn { data }), None, None) => {
            let raw = BASE64.decode(data.as_bytes());
            let raw = raw.map_err(|_| Denial::Request("Content.Raw.Data is not base64".to_owned()))?;
            let from = from_email_address.as_deref().map(sender).transpose()?;
            let destination = (!destination.is_empty()).then_some(destination);
            let recipients = destination.map(DestinationIn::read).transpose()?;
            raw_message(raw, from, recipients, tags, options)
        }
        (None, Some(members), None) => parts(
            PartsKind::Simple,
            members,
            from_email_address,
            destination,
            tags,
            options,
        ),
        (None, None, Some(members)) => parts(
            PartsKind::Template,
            members,
            from_email_address,
            destination,
            tags,
            options,
        ),
        _ => Err(Denial::Request(
            "Content needs one of Raw, Simple and Template".to_owned(),
        )),
    }
}

/// A whole message. Without a destination it is for whom its headers name, as in SES.
///
/// # Errors
/// What of it cannot be judged.
pub fn raw_message(
    raw: Vec<u8>,
    from: Option<Mailbox>,
    recipients: Option<[Vec<Mailbox>; 3]>,
    tags: Vec<Tag>,
    options: Map<String, Value>,
) -> Result<Submission, Denial> {
    // SDKs hand over what their language's mail library writes, often with bare LF; the length is told by HTTP.
    let message = Message::parse(fixed_line_endings(raw))?;
    let header = message.from()?;
    if from.as_ref().is_some_and(|from| from.address != header.address) {
        return Err(Denial::Request(
            "FromEmailAddress and the message's header From name different addresses".to_owned(),
        ));
    }
    let named = |name| -> Result<Vec<Mailbox>, MessageError> {
        Ok(message.addresses(name)?.into_iter().map(Mailbox::from).collect())
    };
    let [to, cc, bcc] = match recipients {
        Some(recipients) => recipients,
        None => [named("To")?, named("Cc")?, named("Bcc")?],
    };
    Ok(Submission {
        sender: None,
        from: from.unwrap_or(header),
        to,
        cc,
        bcc,
        content: Content::Raw(message),
        tags,
        options,
    })
}

/// A message that SES puts together.
///
/// # Errors
/// What of it cannot be judged.
pub fn parts(
    kind: PartsKind,
    members: Map<String, Value>,
    from: Option<String>,
    destination: DestinationIn,
    tags: Vec<Tag>,
    options: Map<String, Value>,
) -> Result<Submission, Denial> {
    let from = from.ok_or_else(|| Denial::Request("FromEmailAddress is missing".to_owned()))?;
    let [to, cc, bcc] = destination.read()?;
    Ok(Submission {
        sender: None,
        from: sender(&from)?,
        to,
        cc,
        bcc,
        content: Content::Parts(Parts::new(kind, members)?),
        tags,
        options,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(request: &Value) -> Result<Submission, Denial> {
        send_email(&serde_json::to_vec(request).unwrap())
    }

    fn refused(request: &Value) -> String {
        read(request).unwrap_err().to_string()
    }

    fn simple(more: &Value) -> Value {
        let mut request = json!({
            "FromEmailAddress": "\"Shop\" <shop@example.com>",
            "Destination": {"ToAddresses": ["Jo <jo@example.com>"], "BccAddresses": ["x@example.com"]},
            "Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
        });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    }

    fn raw(text: &str) -> Value {
        json!({"Content": {"Raw": {"Data": BASE64.encode(text.as_bytes())}}})
    }

    #[test]
    fn a_simple_message_is_read_with_its_names() {
        let submission = read(&simple(&json!({"EmailTags": [{"Name": "a", "Value": "b"}]}))).unwrap();
        assert_eq!(submission.from.to_string(), "\"Shop\" <shop@example.com>");
        assert_eq!(submission.to[0].to_string(), "Jo <jo@example.com>");
        assert_eq!((submission.recipients().len(), submission.tags.len()), (2, 1));
    }

    #[test]
    fn the_applications_set_and_tenant_are_left_out_and_what_steers_is_refused_by_name() {
        let submission = read(&simple(&json!({"ConfigurationSetName": "x", "TenantName": "y"}))).unwrap();
        assert!(submission.options.is_empty());
        for member in ["FromEmailAddressIdentityArn", "EndpointId", "ConfigurationOverrides"] {
            assert!(
                refused(&simple(&json!({ member: "x" }))).starts_with(member),
                "{member}"
            );
        }
        assert!(refused(&simple(&json!({"Surprise": 1}))).contains("Surprise"));
    }

    #[test]
    fn what_is_handed_on_to_ses_stays() {
        let more = json!({"ReplyToAddresses": ["r@example.com"], "ListManagementOptions": {"ContactListName": "l"}});
        let submission = read(&simple(&more)).unwrap();
        let names: Vec<&String> = submission.options.keys().collect();
        assert_eq!(names, ["ListManagementOptions", "ReplyToAddresses"]);
    }

    #[test]
    fn a_raw_message_without_destination_is_for_whom_its_headers_name() {
        let submission = read(&raw(
            "From: a@example.com\nTo: b@example.com\nCc: c@example.com\nBcc: d@example.com\n\nx\n",
        ));
        let submission = submission.unwrap();
        assert_eq!(submission.recipients().len(), 3);
        assert_eq!(submission.bcc[0].to_string(), "d@example.com");
    }

    #[test]
    fn a_raw_message_whose_sender_is_another_than_said_is_refused() {
        let mut request = raw("From: a@example.com\n\nx\n");
        request["FromEmailAddress"] = "b@example.com".into();
        assert!(refused(&request).contains("different addresses"));
    }

    #[test]
    fn a_wrong_address_is_told_by_its_place_and_not_by_its_text() {
        let request = simple(&json!({"Destination": {"CcAddresses": ["ok@example.com", "secret name@example.com"]}}));
        let message = refused(&request);
        assert!(
            message.starts_with("Destination.CcAddresses[1]") && !message.contains("secret"),
            "{message}"
        );
        let two = simple(&json!({"Destination": {"ToAddresses": ["a@example.com, b@example.net"]}}));
        assert!(refused(&two).contains("one address"));
    }

    #[test]
    fn a_request_says_one_thing_and_says_it_right() {
        assert!(refused(&simple(&json!({"Content": {}}))).contains("one of Raw"));
        assert!(refused(&json!({"Content": {"Raw": {"Data": "%%"}}})).contains("base64"));
        let no_sender = json!({"Content": {"Simple": {}}, "Destination": {}});
        assert!(refused(&no_sender).contains("FromEmailAddress"));
        assert!(refused(&json!([])).contains("cannot be read"));
    }
}
