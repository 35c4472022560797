//! Specs read into terms: after this step nothing can be malformed.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{Limits, Other, SubjectPrefix};
use crate::api::{
    AddressSet, Domain, MailGuardrailSpec, MailPolicySpec, Mode, Pattern, Rate, SendingAccountSpec,
    address::redact,
    guardrail::{
        Defaults, Enforcement, Release, SesBound, SuppressionBound, SuppressionScope, WindowBound, read_selector,
    },
    policy::{
        Archive, Ceilings, DeletionPolicy, EventDestination, HeaderMatch, Match, PolicyCeilings, SesOptions, Smime,
        SuppressionOptions, Tls, Vdm,
    },
};

/// A text of a spec that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Where it stands, like `spec.allowedDomains[2]`.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub message: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Collects every error of a spec, so that a person mends them in one go.
#[derive(Default)]
struct Reader {
    errors: Vec<SpecError>,
}

impl Reader {
    fn keep<T>(&mut self, field: impl fmt::Display, parsed: Result<T, impl fmt::Display>) -> Option<T> {
        let error = match parsed {
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        };
        self.errors.push(SpecError {
            field: format!("spec.{field}"),
            message: error,
        });
        None
    }

    fn patterns<E: fmt::Display>(
        &mut self,
        field: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<Pattern, E>,
    ) -> Vec<Pattern> {
        texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| self.keep(format_args!("{field}[{index}]"), parse(text)))
            .collect()
    }

    fn senders(&mut self, field: &str, texts: Option<&Vec<String>>) -> Option<AddressSet> {
        texts.map(|texts| self.patterns(field, texts, Pattern::parse).into_iter().collect())
    }

    /// `allowedDomains` and `allowedRecipients` of one object are one set, their union; one of them absent is empty.
    fn allowed(&mut self, domains: Option<&Vec<String>>, recipients: Option<&Vec<String>>) -> Option<AddressSet> {
        if domains.is_none() && recipients.is_none() {
            return None;
        }
        let empty = Vec::new();
        let mut patterns = self.patterns("allowedDomains", domains.unwrap_or(&empty), Pattern::parse_domain);
        patterns.extend(self.patterns("allowedRecipients", recipients.unwrap_or(&empty), Pattern::parse));
        Some(patterns.into_iter().collect())
    }

    fn matching(&mut self, match_: Option<&Match>) -> Matching {
        let Some(Match { senders, header }) = match_ else {
            return Matching::Rest;
        };
        if senders.as_ref().is_none_or(Vec::is_empty) && header.is_none() {
            self.keep("match", Err::<(), _>("name senders, a header, or both"));
        }
        Matching::Only(MatchTerms {
            senders: self.senders("match.senders", senders.as_ref()),
            header: header.clone(),
        })
    }

    fn limits(&mut self, field: &str, texts: Option<&Vec<String>>) -> Option<Limits> {
        let texts = texts?;
        let rates: Vec<Rate> = texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| self.keep(format_args!("{field}[{index}]"), text.parse::<Rate>()))
            .collect();
        // An empty list says nothing, as an absent one.
        (!texts.is_empty()).then(|| rates.into_iter().collect())
    }

    fn duration(&mut self, field: &str, text: &str) -> Option<Duration> {
        self.keep(field, go_duration(text))
    }

    fn finish<T>(self, terms: T) -> Result<T, Vec<SpecError>> {
        if self.errors.is_empty() {
            Ok(terms)
        } else {
            Err(self.errors)
        }
    }
}

/// Reads a Go duration above zero.
fn go_duration(text: &str) -> Result<Duration, String> {
    let parsed: kube::core::Duration = text
        .parse()
        .map_err(|error| format!("`{text}` is not a duration: {error}"))?;
    let positive = !parsed.is_negative() && Duration::from(parsed) > Duration::ZERO;
    if positive {
        Ok(parsed.into())
    } else {
        Err(format!("`{text}` must be above zero"))
    }
}

/// The terms of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTerms {
    /// The mode asked for.
    pub mode: Mode,
    /// Which messages it is for.
    pub matching: Matching,
    /// Who may be mailed in Restricted.
    pub allowed: Option<AddressSet>,
    /// What becomes of the others.
    pub other_recipients: Option<Other>,
    /// What marks the subject of a message that is not mailed as it came.
    pub subject_prefix: Option<SubjectPrefix>,
    /// Who may send.
    pub senders: Option<AddressSet>,
    /// Ceilings of all recipients.
    pub recipients: Option<Limits>,
    /// Ceilings of new recipients.
    pub new_recipients: Option<Limits>,
    /// Ceilings of any one recipient.
    pub per_recipient: Option<Limits>,
    /// How long a message may wait.
    pub max_wait: Option<Duration>,
    /// Suppression at the configuration set; `None` inherits.
    pub suppression: Option<SuppressionOptions>,
    /// Options of the configuration set.
    pub set: SetTerms,
    /// What becomes of SES objects in the end.
    pub deletion: Option<DeletionPolicy>,
}

/// Which messages a policy is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Those that no other policy's `match` meets.
    Rest,
    /// Those that meet its `match`.
    Only(MatchTerms),
    /// None: its `match` cannot be read, and this is why. It must not stand beside the policy that has the rest.
    Nothing(String),
}

impl Matching {
    /// Reads a policy's `match` alone, as far as the spec lets it.
    #[must_use]
    pub fn of(match_: Option<&Match>) -> Self {
        let mut reader = Reader::default();
        let matching = reader.matching(match_);
        let errors: Vec<String> = reader.errors.iter().map(ToString::to_string).collect();
        if errors.is_empty() {
            matching
        } else {
            Self::Nothing(errors.join("; "))
        }
    }

    /// Reads the `match` of a stored spec that its own kind cannot read.
    #[must_use]
    pub fn of_stored(spec: &Value) -> Self {
        match spec.get("match").map(Match::deserialize).transpose() {
            Ok(match_) => Self::of(match_.as_ref()),
            Err(error) => Self::Nothing(format!("spec.match: {}", redact(&error.to_string()))),
        }
    }
}

/// Which messages meet a `match`; what is named must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchTerms {
    /// The header From is one of these.
    pub senders: Option<AddressSet>,
    /// A header has a line with this value.
    pub header: Option<HeaderMatch>,
}

/// Options of a configuration set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTerms {
    /// Whether mail leaves only over TLS.
    pub tls: Tls,
    /// How long SES tries to deliver.
    pub max_delivery: Option<Duration>,
    /// The dedicated IP pool.
    pub pool: Option<String>,
    /// Whether SES publishes the set's reputation to CloudWatch.
    pub reputation_metrics: bool,
    /// Open and click tracking.
    pub tracking: Option<TrackingTerms>,
    /// Virtual Deliverability Manager.
    pub vdm: Option<Vdm>,
    /// The ARN of the archive.
    pub archive: Option<String>,
    /// Whether SES signs with S/MIME.
    pub smime: Smime,
    /// Event destinations beside the account's feedback.
    pub event_destinations: Vec<EventDestination>,
}

/// Open and click tracking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingTerms {
    /// The domain of the links.
    pub redirect_domain: Domain,
    /// Which links use https; `None` is SES's default.
    pub https: Option<crate::api::policy::Https>,
}

impl PolicyTerms {
    /// Reads a policy's spec.
    ///
    /// # Errors
    /// Every text that cannot be read, with its field.
    pub fn read(spec: &MailPolicySpec) -> Result<Self, Vec<SpecError>> {
        let MailPolicySpec {
            mode,
            match_,
            allowed_domains,
            allowed_recipients,
            other_recipients,
            subject_prefix,
            senders,
            ceilings,
            suppression,
            ses,
            deletion_policy,
        } = spec;
        let mut reader = Reader::default();
        let none = PolicyCeilings::default();
        let PolicyCeilings {
            recipients,
            new_recipients,
            per_recipient,
            max_wait,
        } = ceilings.as_ref().unwrap_or(&none);
        let terms = Self {
            mode: *mode,
            matching: reader.matching(match_.as_ref()),
            allowed: reader.allowed(allowed_domains.as_ref(), allowed_recipients.as_ref()),
            other_recipients: other_recipients
                .as_ref()
                .and_then(|spec| reader.keep("otherRecipients.to", Other::parse(spec))),
            subject_prefix: subject_prefix
                .as_deref()
                .and_then(|text| reader.keep("subjectPrefix", SubjectPrefix::parse(text))),
            senders: reader.senders("senders", senders.as_ref()),
            recipients: reader.limits("ceilings.recipients", recipients.as_ref()),
            new_recipients: reader.limits("ceilings.newRecipients", new_recipients.as_ref()),
            per_recipient: reader.limits("ceilings.perRecipient", per_recipient.as_ref()),
            max_wait: max_wait
                .as_deref()
                .and_then(|text| reader.duration("ceilings.maxWait", text)),
            suppression: suppression.clone(),
            set: SetTerms::read(ses.as_ref(), &mut reader),
            deletion: *deletion_policy,
        };
        reader.finish(terms)
    }
}

impl SetTerms {
    fn read(spec: Option<&SesOptions>, reader: &mut Reader) -> Self {
        let none = SesOptions::default();
        let SesOptions {
            tls,
            max_delivery,
            pool,
            reputation_metrics,
            tracking,
            vdm,
            archive,
            smime,
            event_destinations,
        } = spec.unwrap_or(&none);
        Self {
            tls: tls.unwrap_or(Tls::Optional),
            max_delivery: max_delivery
                .as_deref()
                .and_then(|text| reader.duration("ses.maxDelivery", text)),
            pool: pool.clone(),
            reputation_metrics: reputation_metrics.unwrap_or(true),
            tracking: tracking.as_ref().and_then(|tracking| {
                let domain = Domain::parse(&tracking.redirect_domain);
                let redirect_domain = reader.keep("ses.tracking.redirectDomain", domain)?;
                Some(TrackingTerms {
                    redirect_domain,
                    https: tracking.https,
                })
            }),
            vdm: vdm.clone(),
            archive: archive.as_ref().map(|Archive { arn }| arn.clone()),
            smime: smime.unwrap_or(Smime::Off),
            event_destinations: event_destinations.clone().unwrap_or_default(),
        }
    }
}

/// The terms of a guardrail; `None` is no opinion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardrailTerms {
    /// The account.
    pub account: Option<String>,
    /// Whether the sidecar enforces.
    pub enforcement: Option<Enforcement>,
    /// The most permissive mode without a window: as said, or Restricted where only recipients are.
    pub max_mode: Option<Mode>,
    /// What a window may do.
    pub window: Option<WindowTerms>,
    /// Who may be mailed in Restricted.
    pub allowed: Option<AddressSet>,
    /// Who may send.
    pub senders: Option<AddressSet>,
    /// Ceilings of the namespace.
    pub recipients: Option<Limits>,
    /// Ceilings of the namespace for new recipients.
    pub new_recipients: Option<Limits>,
    /// Where suppression entries may be put.
    pub suppression_scopes: Option<BTreeSet<SuppressionScope>>,
    /// Whether entries may be released.
    pub release: Option<Release>,
    /// Event destinations that policies may add.
    pub event_destination_arns: Option<BTreeSet<String>>,
    /// IP pools that policies may use.
    pub pools: Option<BTreeSet<String>>,
    /// The mode of mail that no policy speaks of.
    pub default_mode: Option<Mode>,
    /// What becomes of recipients that are not allowed, where the policy is silent.
    pub default_other: Option<Other>,
    /// What becomes of SES objects in the end, where the policy is silent.
    pub default_deletion: Option<DeletionPolicy>,
}

/// What a window may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowTerms {
    /// The most permissive mode.
    pub max_mode: Mode,
    /// The longest time.
    pub max_duration: Duration,
}

impl GuardrailTerms {
    /// Reads a guardrail's spec.
    ///
    /// # Errors
    /// Every text that cannot be read, with its field.
    pub fn read(spec: &MailGuardrailSpec) -> Result<Self, Vec<SpecError>> {
        let MailGuardrailSpec {
            namespace_selector,
            account_ref,
            enforcement,
            max_mode,
            window,
            allowed_domains,
            allowed_recipients,
            senders,
            ceilings,
            suppression,
            ses,
            defaults,
        } = spec;
        let mut reader = Reader::default();
        if let Some(selector) = namespace_selector {
            reader.keep("namespaceSelector", read_selector(selector));
        }
        let allowed = reader.allowed(allowed_domains.as_ref(), allowed_recipients.as_ref());
        let Ceilings {
            recipients,
            new_recipients,
        } = ceilings.clone().unwrap_or_default();
        let SuppressionBound { scopes, release } = suppression.clone().unwrap_or_default();
        let SesBound {
            event_destination_arns,
            pools,
        } = ses.clone().unwrap_or_default();
        let Defaults {
            mode,
            other_recipients,
            deletion_policy,
        } = defaults.clone().unwrap_or_default();
        if mode.is_some_and(|mode| mode > Mode::Capture) {
            reader.keep(
                "defaults.mode",
                Err::<(), _>("mail that no policy speaks of is Paused or Capture"),
            );
        }
        let terms = Self {
            account: account_ref.as_ref().map(|account| account.name.clone()),
            enforcement: *enforcement,
            max_mode: max_mode.or_else(|| allowed.is_some().then_some(Mode::Restricted)),
            window: window.as_ref().and_then(|WindowBound { max_mode, max_duration }| {
                let max_duration = reader.duration("window.maxDuration", max_duration)?;
                Some(WindowTerms {
                    max_mode: *max_mode,
                    max_duration,
                })
            }),
            allowed,
            senders: reader.senders("senders", senders.as_ref()),
            recipients: reader.limits("ceilings.recipients", recipients.as_ref()),
            new_recipients: reader.limits("ceilings.newRecipients", new_recipients.as_ref()),
            suppression_scopes: scopes.map(|scopes| scopes.into_iter().collect()),
            release,
            event_destination_arns: event_destination_arns.map(|arns| arns.into_iter().collect()),
            pools: pools.map(|pools| pools.into_iter().collect()),
            default_mode: mode,
            default_other: other_recipients
                .as_ref()
                .and_then(|spec| reader.keep("defaults.otherRecipients.to", Other::parse(spec))),
            default_deletion: deletion_policy,
        };
        reader.finish(terms)
    }
}

/// The addresses an account's identities may send from: a domain covers its sub-domains, as in SES.
///
/// # Errors
/// Every identity that cannot be read.
pub fn account_senders(spec: &SendingAccountSpec) -> Result<AddressSet, Vec<SpecError>> {
    let mut reader = Reader::default();
    let mut patterns = Vec::new();
    for (index, identity) in spec.identities.iter().enumerate() {
        let field = format!("identities[{index}].name");
        let Some(pattern) = reader.keep(field, Pattern::parse(&identity.name)) else {
            continue;
        };
        if let Pattern::Domain(domain) = &pattern {
            patterns.push(Pattern::Below(domain.clone()));
        }
        patterns.push(pattern);
    }
    reader.finish(patterns.into_iter().collect())
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
