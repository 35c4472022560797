//! `SendEmail`: read once, checked for its form, and turned into a message handed over.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::simulator::delivery::{Asked, Outgoing, Version};
use crate::simulator::envelope::{Envelope, given};
use crate::simulator::state::{
    Attachment, Destination, MessageHeader, MessageTag, Parts, SendError, Submission, TemplateContent, TemplateSource,
    Templated,
};
use crate::simulator::wire::{ApiError, UnknownMembers, read_json};

/// Bytes of a message in version 2 (quotas page).
pub(super) const MAX_MESSAGE: usize = 40 * 1024 * 1024;
/// Characters of template data (model).
const MAX_DATA: usize = 262_144;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "some members are known and change nothing here")]
struct SendEmail<'a> {
    from_email_address: Option<String>,
    from_email_address_identity_arn: Option<String>,
    #[serde(default)]
    destination: Addresses,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    feedback_forwarding_email_address: Option<String>,
    feedback_forwarding_email_address_identity_arn: Option<String>,
    #[serde(borrow)]
    content: EmailContent<'a>,
    #[serde(default)]
    email_tags: Vec<MessageTag>,
    configuration_set_name: Option<String>,
    endpoint_id: Option<String>,
    tenant_name: Option<String>,
    list_management_options: Option<ListManagement>,
    configuration_overrides: Option<Overrides>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "known, and changes nothing here")]
pub(super) struct ListManagement {
    contact_list_name: String,
    topic_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "known, and changes nothing here")]
pub(super) struct Overrides {
    tracking: Option<Tracking>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "known, and changes nothing here")]
struct Tracking {
    open_tracking_enabled: Option<String>,
    click_tracking_enabled: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Addresses {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

impl From<Addresses> for Destination<String> {
    fn from(addresses: Addresses) -> Self {
        let Addresses { to, cc, bcc } = addresses;
        Self { to, cc, bcc }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailContent<'a> {
    simple: Option<Message>,
    #[serde(borrow)]
    raw: Option<Raw<'a>>,
    template: Option<ByTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    /// Base64; borrowed from the request, which may be long.
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    subject: Text,
    body: Body,
    #[serde(default)]
    headers: Vec<MessageHeader>,
    #[serde(default)]
    attachments: Vec<AttachedFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "a charset is known and changes nothing here")]
struct Text {
    data: String,
    charset: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Text>,
    html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "some members are known and change nothing here")]
pub(super) struct AttachedFile {
    file_name: String,
    raw_content: String,
    content_type: Option<String>,
    content_disposition: Option<String>,
    content_description: Option<String>,
    content_id: Option<String>,
    content_transfer_encoding: Option<String>,
}

impl AttachedFile {
    pub(super) fn decoded(files: Vec<Self>) -> Result<Vec<Attachment>, SendError> {
        let decode = |file: Self| {
            Ok(Attachment {
                content: base64(&file.raw_content)?,
                file_name: file.file_name,
                content_type: file.content_type,
            })
        };
        files.into_iter().map(decode).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByTemplate {
    template_name: Option<String>,
    template_arn: Option<String>,
    template_content: Option<TemplateContent>,
    template_data: Option<String>,
    #[serde(default)]
    headers: Vec<MessageHeader>,
    #[serde(default)]
    attachments: Vec<AttachedFile>,
}

impl ByTemplate {
    pub(super) fn read(self) -> Result<Templated, SendError> {
        let Self {
            template_name,
            template_arn,
            template_content,
            template_data,
            headers,
            attachments,
        } = self;
        let of_arn = |arn: String| {
            let name = arn.split_once(":template/").map(|(_, name)| name.to_owned());
            name.ok_or_else(|| SendError::Invalid(format!("{arn} is not the ARN of a template.")))
        };
        let source = match (given(template_name), given(template_arn), template_content) {
            (Some(name), None, None) => TemplateSource::Stored(name),
            (None, Some(arn), None) => TemplateSource::Stored(of_arn(arn)?),
            (None, None, Some(content)) if content.is_empty() => {
                return Err(SendError::Invalid(
                    "Template must have at least a subject, text, or html part.".to_owned(),
                ));
            }
            (None, None, Some(content)) => TemplateSource::Inline(Arc::new(content)),
            _ => {
                return Err(SendError::Invalid(
                    "A template is exactly one of TemplateName, TemplateArn and TemplateContent.".to_owned(),
                ));
            }
        };
        Ok(Templated {
            source,
            data: template_values(template_data)?,
            headers,
            attachments: AttachedFile::decoded(attachments)?,
        })
    }
}

/// Template data: a JSON object in a string, or none.
pub(super) fn template_values(data: Option<String>) -> Result<Map<String, Value>, SendError> {
    let Some(data) = given(data) else {
        return Ok(Map::new());
    };
    if data.chars().count() > MAX_DATA {
        let text = format!("Template data must have at most {MAX_DATA} characters.");
        return Err(SendError::Invalid(text));
    }
    serde_json::from_str(&data)
        .map_err(|error| SendError::Invalid(format!("Template data is no JSON object: {error}.")))
}

/// The bytes of a blob.
pub(in crate::simulator) fn base64(text: &str) -> Result<Vec<u8>, SendError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| SendError::Invalid(format!("The message is not base64: {error}.")))
}

/// Reads a `SendEmail`.
pub(super) fn one(body: &[u8], unknown_members: UnknownMembers) -> Outgoing {
    let (target, asked) = match read_json::<SendEmail<'_>>(body, unknown_members) {
        Ok(request) => {
            let (envelope, content) = split(request);
            let (target, submission) = submission(envelope, content);
            (target, submission.map(|submission| Asked::One(Box::new(submission))))
        }
        Err(error) => (String::new(), Err(error)),
    };
    Outgoing {
        target,
        version: Version::V2,
        asked,
    }
}

fn split(request: SendEmail<'_>) -> (Envelope, EmailContent<'_>) {
    let envelope = Envelope {
        from: request.from_email_address,
        destination: request.destination.into(),
        reply_to: request.reply_to_addresses,
        bounces: request.feedback_forwarding_email_address,
        set: request.configuration_set_name,
        tenant: request.tenant_name,
        tags: request.email_tags,
        max_message: MAX_MESSAGE,
    };
    (envelope, request.content)
}

/// The message, with the configuration set that the request or the message names.
fn submission(envelope: Envelope, content: EmailContent<'_>) -> (String, Result<Submission, ApiError>) {
    let target = envelope.target();
    let EmailContent { simple, raw, template } = content;
    let submission = match (simple, raw, template) {
        (Some(message), None, None) => parts(message).and_then(|parts| envelope.simple(parts)),
        (None, Some(Raw { data }), None) => base64(&data).and_then(|message| envelope.raw(message)),
        (None, None, Some(template)) => template.read().and_then(|templated| envelope.templated(templated)),
        _ => Err(SendError::Invalid(
            "Content must be exactly one of Simple, Raw and Template.".to_owned(),
        )),
    };
    let target = submission
        .as_ref()
        .ok()
        .and_then(|submission| submission.set.clone())
        .unwrap_or(target);
    (target, submission.map_err(Into::into))
}

fn parts(message: Message) -> Result<Parts, SendError> {
    let Message {
        subject,
        body,
        headers,
        attachments,
    } = message;
    Ok(Parts {
        subject: subject.data,
        text: body.text.map(|text| text.data),
        html: body.html.map(|html| html.data),
        headers,
        attachments: AttachedFile::decoded(attachments)?,
    })
}
