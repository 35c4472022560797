//! The sidecar's configuration, published as ConfigMap `mail-sidecar`, key `sidecar.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    CompiledNamespace, CompiledPolicy, Effective, Limits, Other, Source, Sourced, Step, Steps, SubjectPrefix,
    other::RedirectTarget,
    terms::{MatchTerms, Matching},
};
use crate::api::{AddressSet, Mode, address::redact, condition::bounded, guardrail::Enforcement, policy::HeaderMatch};

/// The version this operator writes.
pub const VERSION: u32 = 1;

/// The versions that can be read: this one and, once there is one, the one before.
pub const READABLE: std::ops::RangeInclusive<u32> = 1..=VERSION;

/// The largest text published: a ConfigMap holds a mebibyte, and the API server's own fields need room.
pub const TEXT_MAX: usize = 900_000;

/// The longest explanation.
const BECAUSE_MAX: usize = 512;

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
    /// Which messages it is for.
    #[serde(rename = "match")]
    pub match_: ConfigMatch,
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
    pub other_recipients: ConfigOther,
    /// What the subject of a message begins with that is not mailed as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub subject_prefix: Option<SubjectPrefix>,
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

/// Which messages a policy is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum ConfigMatch {
    /// Those that no other policy's `match` meets.
    Rest {},
    /// Those for which all holds that is named.
    Only {
        /// The header From is one of these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Vec<String>>")]
        senders: Option<AddressSet>,
        /// A header has a line with exactly this value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<ConfigHeader>,
    },
    /// None.
    Nothing {
        /// Why: what of the policy's `match` cannot be read.
        because: String,
    },
}

/// A header line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigHeader {
    /// The header's name, compared without case.
    pub name: String,
    /// The line's whole value, compared exactly.
    pub value: String,
}

/// What becomes of a recipient that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", deny_unknown_fields)]
pub enum ConfigOther {
    /// Refused.
    Reject {},
    /// Kept in the capture store.
    Capture {},
    /// Replaced by a mailbox-simulator address.
    Simulate {},
    /// Replaced by an address of ours.
    Redirect {
        /// The address; `{local}` and `{domain}` before its @ stand for the parts of the original recipient.
        #[schemars(with = "String")]
        to: RedirectTarget,
    },
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
    #[error("sidecar configuration cannot be read: {}", redact(&.0.to_string()))]
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

    /// The same namespace with nothing allowed, for where the whole cannot be published.
    #[must_use]
    pub fn closed(&self, why: &ConfigError) -> Self {
        let unmatched = Unmatched {
            mode: Mode::Paused,
            from: vec![Source::Closed.to_string()],
            closed: Some(bounded(why.to_string(), BECAUSE_MAX)),
        };
        Self {
            unmatched,
            policies: Vec::new(),
            ..self.clone()
        }
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
    /// The most permissive mode that SES stands for.
    pub at_most: Mode,
}

/// The configuration of a namespace.
#[must_use]
pub fn render(
    namespace: &str,
    compiled: &CompiledNamespace,
    account: Option<ConfigAccount>,
    suppressions: String,
    ses: impl Fn(&CompiledPolicy) -> SesFacts,
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
            closed: compiled
                .closed
                .as_ref()
                .map(|closed| bounded(closed.to_string(), BECAUSE_MAX)),
        },
        ceilings: NamespaceCeilings {
            recipients: limits(&bounds.recipients),
            new_recipients: limits(&bounds.new_recipients),
            from,
        },
        policies: compiled
            .policies
            .iter()
            .map(|policy| render_policy(policy, ses(policy)))
            .collect(),
        suppressions: ConfigSuppressions { revision: suppressions },
    }
}

fn render_policy(policy: &CompiledPolicy, ses: SesFacts) -> ConfigPolicy {
    let mut effective = policy.effective.clone();
    if effective.mode.value.needs_sending() {
        effective = effective.at_most(ses.at_most, Source::Ses);
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
        match_: policy.matching.clone().into(),
        mode: mode.value,
        then,
        enforcement: enforcement.value,
        allowed: allowed.value,
        other_recipients: other_recipients.value.into(),
        subject_prefix: policy.subject_prefix.clone(),
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

impl From<Matching> for ConfigMatch {
    fn from(matching: Matching) -> Self {
        match matching {
            Matching::Rest => Self::Rest {},
            Matching::Only(MatchTerms { senders, header }) => Self::Only {
                senders,
                header: header.map(|HeaderMatch { name, value }| ConfigHeader { name, value }),
            },
            Matching::Nothing(because) => Self::Nothing {
                because: bounded(because, BECAUSE_MAX),
            },
        }
    }
}

impl From<Other> for ConfigOther {
    fn from(other: Other) -> Self {
        match other {
            Other::Reject => Self::Reject {},
            Other::Capture => Self::Capture {},
            Other::Simulate => Self::Simulate {},
            Other::Redirect(to) => Self::Redirect { to },
        }
    }
}

impl From<ConfigOther> for Other {
    fn from(other: ConfigOther) -> Self {
        match other {
            ConfigOther::Reject {} => Self::Reject,
            ConfigOther::Capture {} => Self::Capture,
            ConfigOther::Simulate {} => Self::Simulate,
            ConfigOther::Redirect { to } => Self::Redirect(to),
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
