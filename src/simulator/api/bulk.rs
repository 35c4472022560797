//! `SendBulkEmail`: one template for many entries, each of which fails by itself.

use serde::Deserialize;

use super::outbound::{Addresses, ByTemplate, MAX_MESSAGE, Overrides, template_values};
use crate::simulator::delivery::{Asked, Outgoing, Version};
use crate::simulator::envelope::{Envelope, given};
use crate::simulator::state::{MAX_RECIPIENTS, Mailbox, MessageHeader, MessageTag, SendError, Submission, Templated};
use crate::simulator::wire::{ApiError, UnknownMembers, read_json};

/// Entries of one call (quotas page: destinations of a templated send).
const MAX_ENTRIES: usize = MAX_RECIPIENTS;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "some members are known and change nothing here")]
struct SendBulkEmail {
    from_email_address: Option<String>,
    from_email_address_identity_arn: Option<String>,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    feedback_forwarding_email_address: Option<String>,
    feedback_forwarding_email_address_identity_arn: Option<String>,
    #[serde(default)]
    default_email_tags: Vec<MessageTag>,
    default_content: DefaultContent,
    bulk_email_entries: Vec<Entry>,
    configuration_set_name: Option<String>,
    endpoint_id: Option<String>,
    tenant_name: Option<String>,
    configuration_overrides: Option<Overrides>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultContent {
    template: Option<ByTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    destination: Addresses,
    #[serde(default)]
    replacement_tags: Vec<MessageTag>,
    replacement_email_content: Option<Replacement>,
    #[serde(default)]
    replacement_headers: Vec<MessageHeader>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Replacement {
    replacement_template: Option<ReplacementTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReplacementTemplate {
    replacement_template_data: Option<String>,
}

/// What all entries have in common.
struct Defaults {
    from: String,
    reply_to: Vec<String>,
    bounces: Option<String>,
    tags: Vec<MessageTag>,
    templated: Templated,
    set: Option<String>,
    tenant: Option<String>,
}

/// Reads a `SendBulkEmail`.
pub(super) fn many(body: &[u8], unknown_members: UnknownMembers) -> Outgoing {
    let (target, asked) = match read_json::<SendBulkEmail>(body, unknown_members) {
        Ok(request) => {
            let target = request.configuration_set_name.clone().unwrap_or_default();
            (target, submissions(request).map(Asked::Bulk).map_err(ApiError::from))
        }
        Err(error) => (String::new(), Err(error)),
    };
    Outgoing {
        target,
        version: Version::V2,
        asked,
    }
}

/// The entries' messages, or what is wrong with the call as a whole.
fn submissions(request: SendBulkEmail) -> Result<Vec<Result<Submission, SendError>>, SendError> {
    let invalid = |text: String| Err(SendError::Invalid(text));
    let entries = request.bulk_email_entries;
    let Some(from) = given(request.from_email_address) else {
        return invalid("FromEmailAddress is required.".to_owned());
    };
    let bounces = given(request.feedback_forwarding_email_address);
    for address in std::iter::once(&from).chain(&bounces) {
        if Mailbox::parse(address.clone()).is_err() {
            return invalid(format!("Invalid email address<{address}>."));
        }
    }
    let Some(template) = request.default_content.template else {
        return invalid("DefaultContent.Template is required.".to_owned());
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return invalid(format!(
            "BulkEmailEntries must be 1 to {MAX_ENTRIES}, they are {}.",
            entries.len()
        ));
    }
    let defaults = Defaults {
        from,
        reply_to: request.reply_to_addresses,
        bounces,
        tags: request.default_email_tags,
        templated: template.read()?,
        set: request.configuration_set_name,
        tenant: request.tenant_name,
    };
    Ok(entries.into_iter().map(|entry| defaults.submission(entry)).collect())
}

impl Defaults {
    /// An entry's message: its values, tags and headers take the place of the defaults of the same name.
    fn submission(&self, entry: Entry) -> Result<Submission, SendError> {
        let Entry {
            destination,
            replacement_tags,
            replacement_email_content,
            replacement_headers,
        } = entry;
        let mut templated = self.templated.clone();
        let replacement = replacement_email_content.and_then(|content| content.replacement_template);
        let data = replacement.and_then(|template| template.replacement_template_data);
        templated.data.extend(template_values(data)?);
        templated.headers = replaced(templated.headers, replacement_headers, |one, other| {
            one.name.eq_ignore_ascii_case(&other.name)
        });
        Envelope {
            from: Some(self.from.clone()),
            destination: destination.into(),
            reply_to: self.reply_to.clone(),
            bounces: self.bounces.clone(),
            set: self.set.clone(),
            tenant: self.tenant.clone(),
            tags: replaced(self.tags.clone(), replacement_tags, |one, other| one.name == other.name),
            max_message: MAX_MESSAGE,
        }
        .templated(templated)
    }
}

/// The defaults that have no replacement, then the replacements.
fn replaced<T>(mut defaults: Vec<T>, replacements: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    defaults.retain(|default| !replacements.iter().any(|replacement| same(default, replacement)));
    defaults.extend(replacements);
    defaults
}
