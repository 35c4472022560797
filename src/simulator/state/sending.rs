//! Sending: what SES checks of a message, in its order, and what becomes of one it takes.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::address::Mailbox;
use super::message::{Attachment, Content, Destination, MessageHeader, MessageTag, Parts};
use super::names::Resource;
use super::outcome::Outcome;
use super::quota::Exceeded;
use super::shapes::{Scope, SendingStatus};
use super::templates::TemplateContent;
use super::{Account, ConfigurationSet, Identity, Tenant};
use crate::simulator::wire::{ApiError, Code};

/// A message as it was handed over. Its form is checked, nothing of the account is.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Who sends it.
    pub from: Mailbox,
    /// Further identities it claims: the From header of a raw message, the address for bounces.
    pub claimed: Vec<Mailbox>,
    /// Who gets it.
    pub destination: Destination<Mailbox>,
    /// The configuration set it names.
    pub set: Option<String>,
    /// The tenant it names.
    pub tenant: Option<String>,
    /// Its tags.
    pub tags: Vec<MessageTag>,
    /// What it says.
    pub content: Submitted,
}

/// The content of a message that is handed over.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// As parts.
    Simple(Parts),
    /// As a MIME message.
    Raw(Vec<u8>),
    /// By a template.
    Template(Templated),
}

/// A template and what goes into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Templated {
    /// Which.
    pub source: TemplateSource,
    /// Values by name.
    pub data: Map<String, Value>,
    /// Headers of the sender's own.
    pub headers: Vec<MessageHeader>,
    /// Attachments.
    pub attachments: Vec<Attachment>,
}

/// Where a template comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateSource {
    /// The account, by its name.
    Stored(String),
    /// The request.
    Inline(Arc<TemplateContent>),
}

/// A message that SES took.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Who sends it, as given.
    pub from: String,
    /// Who gets it, as given.
    pub destination: Destination<String>,
    /// What becomes of it at each recipient: addresses in the order To, Cc, Bcc.
    pub recipients: Vec<(String, Outcome)>,
    /// The configuration set that applies: the one named, or the identity's.
    pub set: Option<String>,
    /// The tenant named.
    pub tenant: Option<String>,
    /// Its tags.
    pub tags: Vec<MessageTag>,
    /// What it says.
    pub content: Content,
}

/// Why SES does not take a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// AWS paused the account.
    #[error("{PAUSED}")]
    AccountSuspended,
    /// The account's own switch is off.
    #[error("{PAUSED}")]
    AccountPaused,
    /// The set named does not exist.
    #[error("Configuration set <{0}> does not exist.")]
    NoSet(String),
    /// The identity's default set does not exist any more, which is a bad request.
    #[error("Configuration set <{0}> does not exist.")]
    NoDefaultSet(String),
    /// The set's sending is off.
    #[error("Sending is paused for configuration set {0}")]
    SetPaused(String),
    /// The tenant does not exist.
    #[error("Tenant {tenant} for AwsAccountId {account} not found.")]
    NoTenant {
        /// The tenant named.
        tenant: String,
        /// The account's id.
        account: String,
    },
    /// The tenant's sending is off. Its error is not documented: name and text are ours.
    #[error("Sending is paused for tenant {0}")]
    TenantPaused(String),
    /// What the message uses does not belong to the tenant. Looks like IAM and is not.
    #[error("Tenant not associated with resources [{}].", .0.join(", "))]
    NotAssociated(Vec<String>),
    /// The template does not exist.
    #[error("Template {0} does not exist.")]
    NoTemplate(String),
    /// Sender, or in the sandbox a recipient, is not verified.
    #[error(
        "Email address is not verified. The following identities failed the check in region {region}: {}",
        identities.join(", ")
    )]
    NotVerified {
        /// The region in capitals, as SES writes it.
        region: String,
        /// Each as it was given.
        identities: Vec<String>,
    },
    /// The identity's own MAIL FROM domain is not verified, and it wants such mail refused. The text is ours.
    #[error("The MAIL FROM domain {0} is not verified.")]
    MailFromNotVerified(String),
    /// Something about the message's form.
    #[error("{0}")]
    Invalid(String),
    /// More recipients a second than allowed.
    #[error("Maximum sending rate exceeded.")]
    Rate,
    /// More recipients in 24 hours than allowed.
    #[error("Daily message quota exceeded.")]
    Quota,
}

const PAUSED: &str = "Sending paused for this account. For more information, please check the inbox of the email \
                      address associated with your AWS account.";

impl SendError {
    /// The error's name in version 2. A daily quota has not been seen there by anyone who wrote of it: told apart from the
    /// rate by its text alone.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::AccountSuspended => Code::AccountSuspended,
            Self::AccountPaused | Self::SetPaused(_) | Self::TenantPaused(_) => Code::SendingPaused,
            Self::NoSet(_) | Self::NoTenant { .. } | Self::NoTemplate(_) => Code::NotFound,
            Self::NoDefaultSet(_) | Self::Invalid(_) => Code::BadRequest,
            Self::NotAssociated(_) => Code::AccessDenied,
            Self::NotVerified { .. } => Code::MessageRejected,
            Self::MailFromNotVerified(_) => Code::MailFromDomainNotVerified,
            Self::Rate | Self::Quota => Code::TooManyRequests,
        }
    }

    /// The error's name in version 1, which has no tenants and no templates in what the simulator answers of it.
    #[must_use]
    pub const fn v1_code(&self) -> Code {
        match self {
            Self::AccountSuspended | Self::NotVerified { .. } | Self::TenantPaused(_) => Code::MessageRejected,
            Self::AccountPaused => Code::AccountSendingPaused,
            Self::NoSet(_) | Self::NoDefaultSet(_) => Code::ConfigurationSetDoesNotExist,
            Self::SetPaused(_) => Code::ConfigurationSetSendingPaused,
            Self::MailFromNotVerified(_) => Code::MailFromDomainNotVerified,
            Self::NotAssociated(_) => Code::AccessDenied,
            Self::NoTenant { .. } | Self::NoTemplate(_) | Self::Invalid(_) => Code::InvalidParameterValue,
            Self::Rate | Self::Quota => Code::Throttling,
        }
    }

    /// The word for it in an entry of `SendBulkEmail`'s answer.
    #[must_use]
    pub const fn bulk_status(&self) -> &'static str {
        match self {
            Self::AccountSuspended => "ACCOUNT_SUSPENDED",
            Self::AccountPaused => "ACCOUNT_SENDING_PAUSED",
            Self::NoSet(_) | Self::NoDefaultSet(_) => "CONFIGURATION_SET_NOT_FOUND",
            Self::SetPaused(_) => "CONFIGURATION_SET_SENDING_PAUSED",
            Self::NoTenant { .. } | Self::TenantPaused(_) | Self::NotAssociated(_) => "FAILED",
            Self::NoTemplate(_) => "TEMPLATE_NOT_FOUND",
            Self::NotVerified { .. } => "MESSAGE_REJECTED",
            Self::MailFromNotVerified(_) => "MAIL_FROM_DOMAIN_NOT_VERIFIED",
            Self::Invalid(_) => "INVALID_PARAMETER",
            Self::Rate => "ACCOUNT_THROTTLED",
            Self::Quota => "ACCOUNT_DAILY_QUOTA_EXCEEDED",
        }
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl Account {
    /// Whether the account may send at all: asked before a message is looked at.
    pub fn check_may_send(&self) -> Result<(), SendError> {
        if self.settings.enforcement == super::Enforcement::Shutdown {
            Err(SendError::AccountSuspended)
        } else if self.settings.sending_enabled {
            Ok(())
        } else {
            Err(SendError::AccountPaused)
        }
    }

    /// Whether the tenant a message names may send it: asked before everything else about the message, as in SES.
    pub fn check_tenant(&self, submission: &Submission) -> Result<(), SendError> {
        self.sending_tenant(submission).map(|_| ())
    }

    /// Takes a message, or says why not. What is refused changes nothing and costs nothing.
    pub fn send(&mut self, submission: Submission, now: Timestamp) -> Result<Accepted, SendError> {
        self.check_may_send()?;
        let tenant = self.sending_tenant(&submission)?;
        let set = self.sending_set(&submission)?;
        let suppression = self.suppression(set.map(|(_, set)| set), tenant);
        if suppression.scope == Scope::Tenant && tenant.is_none() {
            return Err(SendError::Invalid(
                "TenantName is required: the suppression scope of the configuration set is TENANT.".to_owned(),
            ));
        }
        let set_name = set.map(|(name, _)| name.to_owned());
        let stored = self.stored_template(&submission)?;
        self.check_verified(&submission)?;
        let mut recipients: Vec<(String, Outcome)> = submission
            .destination
            .iter()
            .map(|mailbox| (mailbox.address.clone(), suppression.outcome(mailbox)))
            .collect();
        let content = content(submission.content, stored);
        if matches!(&content, Content::Template { rendered: Err(_), .. }) {
            recipients
                .iter_mut()
                .for_each(|(_, outcome)| *outcome = Outcome::RenderingFailure);
        }
        let simulated = submission
            .destination
            .iter()
            .filter(|mailbox| mailbox.simulator().is_some());
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let simulated = count(simulated.count());
        self.usage
            .take(&self.settings, count(recipients.len()), simulated, now)
            .map_err(|exceeded| match exceeded {
                Exceeded::Rate => SendError::Rate,
                Exceeded::Quota => SendError::Quota,
            })?;
        let text = |mailboxes: Vec<Mailbox>| mailboxes.into_iter().map(|mailbox| mailbox.text).collect();
        let Destination { to, cc, bcc } = submission.destination;
        Ok(Accepted {
            from: submission.from.text,
            destination: Destination {
                to: text(to),
                cc: text(cc),
                bcc: text(bcc),
            },
            recipients,
            set: set_name,
            tenant: submission.tenant,
            tags: submission.tags,
            content,
        })
    }

    fn sending_tenant(&self, submission: &Submission) -> Result<Option<&Tenant>, SendError> {
        let Some(name) = &submission.tenant else {
            return Ok(None);
        };
        let tenant = self.tenants.get(name).ok_or_else(|| SendError::NoTenant {
            tenant: name.clone(),
            account: self.owner.account_id.clone(),
        })?;
        if tenant.sending_status() == SendingStatus::Disabled {
            return Err(SendError::TenantPaused(name.clone()));
        }
        let missing = self.not_associated(submission, name);
        if missing.is_empty() {
            Ok(Some(tenant))
        } else {
            Err(SendError::NotAssociated(missing))
        }
    }

    /// ARNs of what the message uses and the tenant has not: the identity, the configuration set, a stored template.
    fn not_associated(&self, submission: &Submission, tenant: &str) -> Vec<String> {
        let arn = |resource| self.owner.arn(resource);
        let mut identities = self.identities_over(&submission.from.address).peekable();
        let identity = identities
            .peek()
            .map_or(submission.from.address.as_str(), |identity| &identity.name);
        let identity = arn(Resource::Identity(identity));
        let mut missing = Vec::new();
        if !identities.any(|identity| {
            self.associations
                .contains(tenant, &arn(Resource::Identity(&identity.name)))
        }) {
            missing.push(identity);
        }
        let set = submission
            .set
            .as_deref()
            .or_else(|| self.default_set(&submission.from.address));
        let template = match &submission.content {
            Submitted::Template(Templated {
                source: TemplateSource::Stored(name),
                ..
            }) => Some(name.as_str()),
            _ => None,
        };
        let used = set.map(Resource::ConfigurationSet).into_iter();
        missing.extend(
            used.chain(template.map(Resource::Template))
                .map(arn)
                .filter(|arn| !self.associations.contains(tenant, arn)),
        );
        missing
    }

    /// The configuration set that applies, with its name.
    fn sending_set<'a>(
        &'a self,
        submission: &'a Submission,
    ) -> Result<Option<(&'a str, &'a ConfigurationSet)>, SendError> {
        let (name, set) = match (&submission.set, self.default_set(&submission.from.address)) {
            (Some(name), _) => {
                let set = self.sets.get(name).ok_or_else(|| SendError::NoSet(name.clone()))?;
                (name.as_str(), set)
            }
            (None, Some(name)) => {
                let set = self
                    .sets
                    .get(name)
                    .ok_or_else(|| SendError::NoDefaultSet(name.to_owned()))?;
                (name, set)
            }
            (None, None) => return Ok(None),
        };
        if set.sending_enabled() {
            Ok(Some((name, set)))
        } else {
            Err(SendError::SetPaused(name.to_owned()))
        }
    }

    /// The default configuration set of the address's identity, or else of its domain's.
    fn default_set(&self, address: &str) -> Option<&str> {
        self.identities_over(address)
            .find_map(|identity| identity.configuration_set.as_deref())
    }

    fn stored_template(&self, submission: &Submission) -> Result<Option<&TemplateContent>, SendError> {
        match &submission.content {
            Submitted::Template(Templated {
                source: TemplateSource::Stored(name),
                ..
            }) => {
                let template = self.templates.get(name);
                let template = template.ok_or_else(|| SendError::NoTemplate(name.clone()))?;
                Ok(Some(&template.content))
            }
            _ => Ok(None),
        }
    }

    fn check_verified(&self, submission: &Submission) -> Result<(), SendError> {
        let Submission {
            from,
            claimed,
            destination,
            ..
        } = submission;
        let sandbox = !self.settings.production_access;
        let recipients = destination
            .iter()
            .filter(|mailbox| sandbox && mailbox.simulator().is_none());
        let mut failed: Vec<String> = Vec::new();
        for mailbox in std::iter::once(from).chain(claimed).chain(recipients) {
            if !self.is_verified(&mailbox.address) && !failed.contains(&mailbox.text) {
                failed.push(mailbox.text.clone());
            }
        }
        if !failed.is_empty() {
            return Err(SendError::NotVerified {
                region: self.owner.region.to_ascii_uppercase(),
                identities: failed,
            });
        }
        self.check_mail_from(&from.address)
    }

    fn check_mail_from(&self, address: &str) -> Result<(), SendError> {
        let mail_from = self
            .identities_over(address)
            .next()
            .and_then(|identity| identity.mail_from.as_ref());
        match mail_from {
            Some(mail_from) if !mail_from.verified && mail_from.on_mx_failure.rejects() => {
                Err(SendError::MailFromNotVerified(mail_from.domain.clone()))
            }
            _ => Ok(()),
        }
    }

    fn is_verified(&self, address: &str) -> bool {
        self.identities_over(address)
            .any(|identity: &Identity| identity.verified)
    }
}

fn content(submitted: Submitted, stored: Option<&TemplateContent>) -> Content {
    match submitted {
        Submitted::Simple(parts) => Content::Simple(parts),
        Submitted::Raw(bytes) => Content::Raw(bytes),
        Submitted::Template(Templated {
            source,
            data,
            headers,
            attachments,
        }) => {
            let (name, rendered) = match source {
                TemplateSource::Inline(content) => (None, content.render(&data)),
                // The template was looked up before; without one there is nothing to render.
                TemplateSource::Stored(name) => (
                    Some(name),
                    stored.map_or_else(|| Ok(Parts::default()), |content| content.render(&data)),
                ),
            };
            let rendered = rendered.map(|parts| Parts {
                headers,
                attachments,
                ..parts
            });
            Content::Template { name, rendered }
        }
    }
}

#[cfg(test)]
#[path = "sending_tests.rs"]
mod tests;
