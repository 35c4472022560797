//! The sidecar's configuration, published as ConfigMap `mail-sidecar`, key `sidecar.yaml`.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    CompiledNamespace, CompiledPolicy, Effective, Limits, Other, Source, Sourced, Step, Steps, compile::LastGood,
    terms::MatchTerms,
};
use crate::api::{
    AddressSet, Mode,
    condition::bounded,
    guardrail::Enforcement,
    policy::{HeaderMatch, OtherRecipients},
};

/// The version this operator writes.
pub const VERSION: u32 = 1;

/// The versions that can be read: this one and, once there is one, the one before.
pub const READABLE: std::ops::RangeInclusive<u32> = 1..=VERSION;

/// The largest text published: a ConfigMap holds a mebibyte, and the API server's own fields need room.
pub const TEXT_MAX: usize = 900_000;

/// What the sidecars of a namespace enforce.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The version of this format.
    pub version: u32,
    /// The namespace.
    pub namespace: String,
    /// The account that mail is sent with; absent, nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ConfigAccount>,
    /// What holds for mail that no policy speaks of.
    pub unmatched: Unmatched,
    /// Ceilings of the namespace, taken together with each policy's.
    pub ceilings: NamespaceCeilings,
    /// The policies, by name.
    pub policies: Vec<ConfigPolicy>,
    /// Which suppressions must be at hand before anything is sent.
    pub suppressions: ConfigSuppressions,
}

/// The account that mail is sent with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigAccount {
    /// The SendingAccount's name.
    pub name: String,
    /// The AWS region.
    pub region: String,
    /// Where SES is reached, for an emulator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
}

/// What holds for mail that no policy speaks of: Paused or Capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unmatched {
    /// The mode.
    pub mode: Mode,
    /// Whose word it is.
    pub from: Vec<String>,
    /// Why the whole namespace is closed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// Ceilings of the namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceCeilings {
    /// All recipients.
    #[schemars(with = "Vec<String>")]
    pub recipients: Limits,
    /// Recipients to whom nothing was ever delivered.
    #[schemars(with = "Vec<String>")]
    pub new_recipients: Limits,
    /// Whose word each is, by field.
    pub from: BTreeMap<String, Vec<String>>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigPolicy {
    /// The MailPolicy's name.
    pub name: String,
    /// Which messages it is for; absent: those that no other's `match` meets.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub match_: Option<ConfigMatch>,
    /// The mode now.
    pub mode: Mode,
    /// What follows the mode: each step later and lower than the one before, the last one stays. Absent: the mode stays.
    #[serde(default, skip_serializing_if = "Steps::is_empty")]
    #[schemars(with = "Vec<Step>", length(max = 4))]
    pub then: Steps,
    /// Whether the sidecar enforces, or only reports.
    pub enforcement: Enforcement,
    /// Who may be mailed in Restricted: domains, `*.domain`, addresses and `prefix*@domain`.
    #[schemars(with = "Vec<String>")]
    pub allowed: AddressSet,
    /// What becomes of the others in Restricted.
    pub other_recipients: OtherRecipients,
    /// Who may send.
    #[schemars(with = "Vec<String>")]
    pub senders: AddressSet,
    /// Ceilings of this policy.
    pub ceilings: ConfigCeilings,
    /// The configuration set that every message names.
    pub configuration_set: String,
    /// The tenant that every message names, with Tenant isolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whose word each value is, by field, as answers quote it.
    pub from: BTreeMap<String, Vec<String>>,
}

/// Which messages a policy is for; what is named must all hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMatch {
    /// The header From is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub senders: Option<AddressSet>,
    /// A header has a line with exactly this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderMatch>,
}

/// Ceilings of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigCeilings {
    /// All recipients.
    #[schemars(with = "Vec<String>")]
    pub recipients: Limits,
    /// Recipients to whom nothing was ever delivered.
    #[schemars(with = "Vec<String>")]
    pub new_recipients: Limits,
    /// Messages to any one recipient, per pod.
    #[schemars(with = "Vec<String>")]
    pub per_recipient: Limits,
    /// How long a message may wait for its turn, in milliseconds.
    pub max_wait_millis: u64,
}

/// Which suppressions must be at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigSuppressions {
    /// The revision of Secret `mail-suppressions`; older or absent: nothing is sent.
    pub revision: String,
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The text is not YAML of this format.
    #[error("sidecar configuration cannot be read: {0}")]
    Malformed(#[from] serde_yaml::Error),
    /// Another version.
    #[error("sidecar configuration has version {found}, this program reads {} to {}", READABLE.start(), READABLE.end())]
    Version {
        /// The version found.
        found: u32,
    },
    /// Larger than a ConfigMap can hold.
    #[error("sidecar configuration has {0} bytes, a ConfigMap holds {TEXT_MAX}: use fewer policies in this namespace")]
    TooLarge(usize),
}

impl SidecarConfig {
    /// Reads a published configuration.
    ///
    /// # Errors
    /// [`ConfigError`]: who gets one keeps what it has.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        // The version first: a newer format's fields are unknown, and that is not the error to tell.
        let Versioned { version } = serde_yaml::from_str(text)?;
        if !READABLE.contains(&version) {
            return Err(ConfigError::Version { found: version });
        }
        Ok(serde_yaml::from_str(text)?)
    }

    /// The text that is published. The same configuration is always the same text.
    ///
    /// # Errors
    /// [`ConfigError::TooLarge`].
    pub fn text(&self) -> Result<String, ConfigError> {
        let text = serde_yaml::to_string(self)?;
        if text.len() > TEXT_MAX {
            Err(ConfigError::TooLarge(text.len()))
        } else {
            Ok(text)
        }
    }
}

/// What a configuration says of SES: names, and whether mail may go there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SesFacts {
    /// The policy's configuration set.
    pub configuration_set: String,
    /// The namespace's tenant.
    pub tenant: Option<String>,
    /// Whether SES stands so that mail of this policy may be sent. Until it does, the policy is Paused.
    pub programmed: bool,
}

/// The configuration of a namespace.
#[must_use]
pub fn render(
    namespace: &str,
    compiled: &CompiledNamespace,
    account: Option<ConfigAccount>,
    suppressions: String,
    ses: impl Fn(&str) -> SesFacts,
) -> SidecarConfig {
    let bounds = &compiled.bounds;
    let limits = |limits: &Option<Sourced<Limits>>| limits.as_ref().map(|l| l.value.clone()).unwrap_or_default();
    let from = [
        ("recipients", &bounds.recipients),
        ("newRecipients", &bounds.new_recipients),
    ]
    .into_iter()
    .filter_map(|(field, limits)| Some((field.to_owned(), limits.as_ref()?.from_words())))
    .collect();
    SidecarConfig {
        version: VERSION,
        namespace: namespace.to_owned(),
        account,
        unmatched: Unmatched {
            mode: compiled.default_mode.value,
            from: compiled.default_mode.from_words(),
            closed: compiled.closed.as_ref().map(|closed| bounded(closed.to_string(), 512)),
        },
        ceilings: NamespaceCeilings {
            recipients: limits(&bounds.recipients),
            new_recipients: limits(&bounds.new_recipients),
            from,
        },
        policies: compiled
            .policies
            .iter()
            .map(|policy| render_policy(policy, ses(&policy.name)))
            .collect(),
        suppressions: ConfigSuppressions { revision: suppressions },
    }
}

fn render_policy(policy: &CompiledPolicy, ses: SesFacts) -> ConfigPolicy {
    let mut effective = policy.effective.clone();
    if effective.mode.value.needs_sending() && !ses.programmed {
        effective = effective.at_most(Mode::Paused, Source::Ses);
    }
    let from = effective.provenance();
    let Effective {
        mode,
        then,
        enforcement,
        allowed,
        other_recipients,
        senders,
        recipients,
        new_recipients,
        per_recipient,
        max_wait,
    } = effective;
    ConfigPolicy {
        name: policy.name.clone(),
        match_: policy
            .matching
            .clone()
            .map(|MatchTerms { senders, header }| ConfigMatch { senders, header }),
        mode: mode.value,
        then,
        enforcement: enforcement.value,
        allowed: allowed.value,
        other_recipients: other_recipients.value.spec(),
        senders: senders.value,
        ceilings: ConfigCeilings {
            recipients: recipients.value,
            new_recipients: new_recipients.value,
            per_recipient: per_recipient.value,
            max_wait_millis: u64::try_from(max_wait.value.as_millis()).unwrap_or(u64::MAX),
        },
        configuration_set: ses.configuration_set,
        tenant: ses.tenant,
        from,
    }
}

impl ConfigPolicy {
    /// What was published of a policy, as an opinion of its own; `None` where it cannot be read any more.
    #[must_use]
    pub fn last_good(&self) -> Option<LastGood> {
        let source = || Source::LastGood(self.name.clone());
        let other = Other::parse(&self.other_recipients).ok()?;
        // A window that was open then says nothing of now: what follows it stands.
        let mode = self.then.iter().last().map_or(self.mode, |step| step.mode);
        Some(LastGood {
            matching: self
                .match_
                .clone()
                .map(|ConfigMatch { senders, header }| MatchTerms { senders, header }),
            effective: Effective {
                mode: Sourced::new(mode, source()),
                then: Steps::default(),
                enforcement: Sourced::new(self.enforcement, source()),
                allowed: Sourced::new(self.allowed.clone(), source()),
                other_recipients: Sourced::new(other, source()),
                senders: Sourced::new(self.senders.clone(), source()),
                recipients: Sourced::new(self.ceilings.recipients.clone(), source()),
                new_recipients: Sourced::new(self.ceilings.new_recipients.clone(), source()),
                per_recipient: Sourced::new(self.ceilings.per_recipient.clone(), source()),
                max_wait: Sourced::new(Duration::from_millis(self.ceilings.max_wait_millis), source()),
            },
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
