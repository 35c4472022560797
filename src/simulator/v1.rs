//! Version 1 of SES: `SendEmail` and `SendRawEmail` in the query protocol.

use super::api::base64;
use super::delivery::{Asked, Outgoing, Version};
use super::envelope::Envelope;
use super::operation::Operation;
use super::state::{Destination, MessageTag, Parts, SendError, Submission};
use super::wire::{ApiError, Code, Pairs, UnknownMembers};

/// The namespace of its answers (model).
pub(super) const NAMESPACE: &str = "http://ses.amazonaws.com/doc/2010-12-01/";
/// Bytes of a message (quotas page).
const MAX_MESSAGE: usize = 10 * 1024 * 1024;

/// Parameters that both operations have.
const COMMON: [&str; 7] = [
    "Action",
    "Version",
    "Source",
    "SourceArn",
    "ReturnPathArn",
    "ConfigurationSetName",
    "Tags.member.",
];
/// Parameters of `SendEmail`; one that ends in a dot is the beginning of a list's.
const SIMPLE: [&str; 11] = [
    "Destination.ToAddresses.member.",
    "Destination.CcAddresses.member.",
    "Destination.BccAddresses.member.",
    "ReplyToAddresses.member.",
    "ReturnPath",
    "Message.Subject.Data",
    "Message.Subject.Charset",
    "Message.Body.Text.Data",
    "Message.Body.Text.Charset",
    "Message.Body.Html.Data",
    "Message.Body.Html.Charset",
];
/// Parameters of `SendRawEmail`.
const RAW: [&str; 3] = ["Destinations.member.", "RawMessage.Data", "FromArn"];

/// Reads an operation that sends.
pub(super) fn outgoing(operation: Operation, parameters: &Pairs, unknown_members: UnknownMembers) -> Outgoing {
    let target = parameters.first("ConfigurationSetName").unwrap_or_default().to_owned();
    let raw = operation == Operation::SendRawEmail;
    let known: &[&str] = if raw { &RAW } else { &SIMPLE };
    let unknown = parameters
        .keys()
        .find(|key| !is_known(key, &COMMON) && !is_known(key, known));
    let submission = match (unknown_members, unknown) {
        (UnknownMembers::Refused, Some(name)) => {
            Err(SendError::Invalid(format!("The operation has no parameter {name}.")))
        }
        _ if raw => raw_message(parameters),
        _ => simple_message(parameters),
    };
    let target = submission
        .as_ref()
        .ok()
        .and_then(|submission| submission.set.clone())
        .unwrap_or(target);
    Outgoing {
        target,
        version: Version::V1,
        asked: submission
            .map(|submission| Asked::One(Box::new(submission)))
            .map_err(|error| Version::V1.refusal(&error)),
    }
}

fn is_known(key: &str, known: &[&str]) -> bool {
    known
        .iter()
        .any(|known| key == *known || (known.ends_with('.') && key.starts_with(known)))
}

fn simple_message(parameters: &Pairs) -> Result<Submission, SendError> {
    let text = |name: &str| parameters.first(name).map(str::to_owned);
    let list = |name: &str| owned(parameters.members(name));
    let parts = Parts {
        subject: required(parameters, "Message.Subject.Data")?.to_owned(),
        text: text("Message.Body.Text.Data"),
        html: text("Message.Body.Html.Data"),
        ..Parts::default()
    };
    required(parameters, "Source")?;
    Envelope {
        destination: Destination {
            to: list("Destination.ToAddresses"),
            cc: list("Destination.CcAddresses"),
            bcc: list("Destination.BccAddresses"),
        },
        reply_to: list("ReplyToAddresses"),
        bounces: text("ReturnPath"),
        ..envelope(parameters)
    }
    .simple(parts)
}

fn raw_message(parameters: &Pairs) -> Result<Submission, SendError> {
    let message = base64(required(parameters, "RawMessage.Data")?)?;
    Envelope {
        destination: Destination {
            to: owned(parameters.members("Destinations")),
            ..Destination::default()
        },
        ..envelope(parameters)
    }
    .raw(message)
}

/// What both operations have.
fn envelope(parameters: &Pairs) -> Envelope {
    let text = |name: &str| parameters.first(name).map(str::to_owned);
    let tag = |number: usize| {
        let member = |member: &str| text(&format!("Tags.member.{number}.{member}"));
        Some(MessageTag {
            name: member("Name")?,
            value: member("Value").unwrap_or_default(),
        })
    };
    Envelope {
        from: text("Source"),
        set: text("ConfigurationSetName"),
        tags: (1..).map_while(tag).collect(),
        max_message: MAX_MESSAGE,
        ..Envelope::default()
    }
}

fn owned(values: Vec<&str>) -> Vec<String> {
    values.into_iter().map(str::to_owned).collect()
}

fn required<'a>(parameters: &'a Pairs, name: &str) -> Result<&'a str, SendError> {
    parameters
        .first(name)
        .ok_or_else(|| SendError::Invalid(format!("Missing required parameter {name}.")))
}

/// The error under the name that version 1 has for it.
pub(super) fn named(error: ApiError) -> ApiError {
    let code = match error.code {
        Code::TooManyRequests => Code::Throttling,
        Code::BadRequest => Code::InvalidParameterValue,
        Code::UnrecognizedClient => Code::InvalidClientTokenId,
        Code::InvalidSignature => Code::SignatureDoesNotMatch,
        code => code,
    };
    ApiError { code, ..error }
}
