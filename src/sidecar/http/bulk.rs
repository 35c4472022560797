//! `SendBulkEmail`: always split into single sends, since IAM has no conditions on it; each entry has its own result.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::v2::{Common, DestinationIn, parts};
use crate::sidecar::{content::PartsKind, denial::Denial, desk::Receipt, relay::Tag, submission::Submission};

/// The most entries of one request (quotas page of the Developer Guide).
const ENTRIES_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    from_email_address: Option<String>,
    default_content: DefaultContent,
    bulk_email_entries: Vec<Entry>,
    #[serde(default)]
    default_email_tags: Option<Vec<Tag>>,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DefaultContent {
    template: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    destination: DestinationIn,
    #[serde(default)]
    replacement_tags: Option<Vec<Tag>>,
    #[serde(default)]
    replacement_email_content: Option<Replacement>,
    #[serde(default)]
    replacement_headers: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Replacement {
    replacement_template: Option<ReplacementTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReplacementTemplate {
    replacement_template_data: Option<String>,
}

/// The result of one entry.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub struct EntryResult {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
}

impl From<Result<Receipt, Denial>> for EntryResult {
    fn from(taken: Result<Receipt, Denial>) -> Self {
        match taken {
            Ok(receipt) => Self {
                status: "SUCCESS",
                error: None,
                message_id: Some(receipt.id().to_owned()),
            },
            Err(denial) => Self {
                status: denial.ses().entry,
                error: Some(denial.to_string()),
                message_id: None,
            },
        }
    }
}

/// The single sends of a request, in the order of its entries.
///
/// # Errors
/// Where the request itself cannot be read; what is wrong with one entry is that entry's result.
pub fn send_bulk_email(body: &[u8]) -> Result<Vec<Result<Submission, Denial>>, Denial> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| Denial::Request(format!("the request cannot be read: {error}")))?;
    let Request {
        from_email_address,
        default_content,
        bulk_email_entries,
        default_email_tags,
        common,
    } = request;
    let template = default_content
        .template
        .ok_or_else(|| Denial::Request("DefaultContent needs Template".to_owned()))?;
    if bulk_email_entries.is_empty() || bulk_email_entries.len() > ENTRIES_MAX {
        return Err(Denial::Request(format!(
            "BulkEmailEntries needs 1 to {ENTRIES_MAX} entries"
        )));
    }
    let (options, tags) = (common.options()?, default_email_tags.unwrap_or_default());
    let single = |entry: Entry| {
        let Entry {
            destination,
            replacement_tags,
            replacement_email_content,
            replacement_headers,
        } = entry;
        let mut members = template.clone();
        let replacement = replacement_email_content.and_then(|content| content.replacement_template);
        let data = replacement.and_then(|template| template.replacement_template_data);
        members.extend(data.map(|data| ("TemplateData".to_owned(), data.into())));
        members.extend(replacement_headers.map(|headers| ("Headers".to_owned(), headers)));
        // An entry's tags stand in place of those of the same name.
        let own = replacement_tags.unwrap_or_default();
        let defaults = tags.iter().filter(|tag| own.iter().all(|it| it.name != tag.name));
        let all = defaults.chain(&own).cloned().collect();
        parts(
            PartsKind::Template,
            members,
            from_email_address.clone(),
            destination,
            all,
            options.clone(),
        )
    };
    Ok(bulk_email_entries.into_iter().map(single).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sidecar::content::Content;

    fn request(entries: &Value) -> Vec<u8> {
        let request = json!({
            "FromEmailAddress": "a@example.com",
            "DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": "{}"}},
            "DefaultEmailTags": [{"Name": "x", "Value": "1"}, {"Name": "y", "Value": "1"}],
            "BulkEmailEntries": entries,
        });
        serde_json::to_vec(&request).unwrap()
    }

    #[test]
    fn every_entry_is_a_send_of_its_own_with_its_own_data_and_tags() {
        let entries = json!([
            {"Destination": {"ToAddresses": ["b@example.com"]}},
            {
                "Destination": {"ToAddresses": ["c@example.com"]},
                "ReplacementTags": [{"Name": "x", "Value": "2"}],
                "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": "{\"n\":1}"}},
            },
            {"Destination": {"ToAddresses": ["no address"]}},
        ]);
        let mut singles = send_bulk_email(&request(&entries)).unwrap();
        assert!(singles.pop().unwrap().is_err(), "that entry's result alone");
        let second = singles.pop().unwrap().unwrap();
        let Content::Parts(parts) = &second.content else {
            panic!("parts")
        };
        assert_eq!(parts.members["TemplateData"], "{\"n\":1}");
        let tags: Vec<_> = second
            .tags
            .iter()
            .map(|tag| format!("{}={}", tag.name, tag.value))
            .collect();
        assert_eq!(tags, ["y=1", "x=2"]);
    }

    #[test]
    fn a_request_without_entries_or_with_too_many_is_refused() {
        assert!(send_bulk_email(&request(&json!([]))).is_err());
        assert!(send_bulk_email(&request(&json!(vec![json!({}); 51]))).is_err());
    }
}
