//! From a request that sends to the messages that are kept, in either version of the API.

use jiff::Timestamp;
use serde::Serialize;

use super::operation::Operation;
use super::received::Received;
use super::state::{Account, SendError, Submission, Submitted};
use super::wire::{ApiError, write_json};

/// Which version of the API a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The query protocol, with XML answers.
    V1,
    /// REST, with JSON.
    V2,
}

impl Version {
    /// A refusal in this version's words.
    pub(super) fn refusal(self, error: &SendError) -> ApiError {
        let code = match self {
            Self::V1 => error.v1_code(),
            Self::V2 => error.code(),
        };
        ApiError::new(code, error.to_string())
    }
}

/// A request that sends, read once and whole.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The configuration set it names, for the call log. Never an address.
    pub(super) target: String,
    pub(super) version: Version,
    /// What it asks for, or what is wrong with its form.
    pub(super) asked: Result<Asked, ApiError>,
}

impl Outgoing {
    /// Whether IAM asks for `ses:SendRawEmail`, whatever the operation's name: so it does for raw messages of version 2.
    pub(super) fn is_raw(&self) -> bool {
        matches!(&self.asked, Ok(Asked::One(submission)) if matches!(submission.content, Submitted::Raw(_)))
    }
}

/// What a request that sends asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// One message.
    One(Box<Submission>),
    /// One for each entry; an entry may be wrong by itself.
    Bulk(Vec<Result<Submission, SendError>>),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    message_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BulkSent {
    bulk_email_entry_results: Vec<EntryResult>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EntryResult {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
}

/// Sends; the answer's JSON, or the content of its XML result.
pub(super) fn deliver(
    account: &mut Account,
    received: &mut Received,
    operation: Operation,
    outgoing: Outgoing,
    access_key: &str,
    now: Timestamp,
) -> Result<Vec<u8>, ApiError> {
    let Outgoing {
        target: _,
        version,
        asked,
    } = outgoing;
    // A paused account says so before it looks at what it is given.
    account.check_may_send().map_err(|error| version.refusal(&error))?;
    let mut send = |account: &mut Account, submission| {
        let accepted = account.send(submission, now)?;
        Ok::<_, SendError>(received.push(operation, accepted, access_key, now))
    };
    match asked? {
        Asked::One(submission) => {
            let message_id = send(account, *submission).map_err(|error| version.refusal(&error))?;
            match version {
                Version::V1 => Ok(format!("<MessageId>{message_id}</MessageId>").into_bytes()),
                Version::V2 => write_json(&Sent { message_id }),
            }
        }
        Asked::Bulk(entries) => {
            // All entries have the same sender, set, tenant and template.
            if let Some(submission) = entries.iter().flatten().next() {
                account
                    .check_tenant(submission)
                    .map_err(|error| version.refusal(&error))?;
            }
            let result =
                |entry: Result<Submission, SendError>| match entry.and_then(|submission| send(account, submission)) {
                    Ok(message_id) => EntryResult {
                        status: "SUCCESS",
                        error: None,
                        message_id: Some(message_id),
                    },
                    Err(error) => EntryResult {
                        status: error.bulk_status(),
                        error: Some(error.to_string()),
                        message_id: None,
                    },
                };
            write_json(&BulkSent {
                bulk_email_entry_results: entries.into_iter().map(result).collect(),
            })
        }
    }
}
