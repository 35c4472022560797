//! Answers in the forms that SES and STS have.

use super::operation::Operation;
use super::wire::ApiError;
use super::{sts, v1, xml};

/// An answer to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The error's name, for `x-amzn-ErrorType`.
    pub(super) error: Option<&'static str>,
    pub(super) content_type: &'static str,
    pub(super) request_id: String,
    pub(super) body: Vec<u8>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// REST.
    Json,
    /// The query protocol of STS.
    Sts,
    /// The query protocol of SES's version 1.
    V1,
}

impl Form {
    /// The error under the name it has in this form.
    pub(super) fn named(self, error: ApiError) -> ApiError {
        match self {
            Self::Json | Self::Sts => error,
            Self::V1 => v1::named(error),
        }
    }

    /// The answer of a call with this number in the log.
    pub(super) fn answer(self, operation: Operation, seq: u64, result: Result<Vec<u8>, ApiError>) -> Answer {
        // The form of a UUID, so that clients which parse it can; the call log's number in its last part.
        let request_id = format!("00000000-0000-4000-8000-{seq:012x}");
        let error = result.as_ref().err().map(|error| error.code.name());
        let status = result.as_ref().err().map_or(200, |error| error.code.status());
        let (content_type, body) = match self {
            Self::Json => ("application/json", result.unwrap_or_else(|error| error.json_body())),
            Self::Sts | Self::V1 => {
                let namespace = if matches!(self, Self::V1) {
                    v1::NAMESPACE
                } else {
                    sts::NAMESPACE
                };
                let body = match &result {
                    Ok(result) => xml::response(namespace, operation, &String::from_utf8_lossy(result), &request_id),
                    Err(error) => xml::error_response(namespace, error, &request_id),
                };
                ("text/xml", body)
            }
        };
        Answer {
            status,
            error,
            content_type,
            request_id,
            body,
        }
    }
}
