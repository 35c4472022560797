//! Answers of the query protocol.

use super::operation::Operation;
use super::wire::ApiError;

/// The whole answer of a call that succeeded.
pub(super) fn response(namespace: &str, operation: Operation, result: &str, request_id: &str) -> Vec<u8> {
    let name = operation.name();
    format!(
        "<{name}Response xmlns=\"{namespace}\"><{name}Result>{result}</{name}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    )
    .into_bytes()
}

/// The whole answer of a refused call.
pub(super) fn error_response(namespace: &str, error: &ApiError, request_id: &str) -> Vec<u8> {
    let ApiError { code, message } = error;
    let fault = if code.status() < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{name}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        name = code.query_name(),
        message = escape(message),
    )
    .into_bytes()
}

/// Text as it stands inside an element. Controls, which XML cannot carry, become a mark.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect::<String>()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::simulator::wire::Code;

    #[test]
    fn names_lose_their_suffix_but_those_of_version_1_that_have_it() {
        assert_eq!(Code::AccessDenied.query_name(), "AccessDenied");
        assert_eq!(Code::ExpiredToken.query_name(), "ExpiredToken");
        assert_eq!(Code::AccountSendingPaused.query_name(), "AccountSendingPausedException");
    }

    #[test]
    fn an_error_s_text_is_escaped() {
        let error = ApiError::new(Code::InvalidParameterValue, "a <b> & \u{1}");
        let text = String::from_utf8(error_response("ns", &error, "id")).unwrap();
        assert!(
            text.contains("<Code>InvalidParameterValue</Code><Message>a &lt;b&gt; &amp; \u{fffd}</Message>"),
            "{text}"
        );
    }
}
