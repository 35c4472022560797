//! What decides over the mail of one namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{MailGuardrailSpec, MailPolicySpec, SendingAccountSpec, account::Quota},
    policy::{
        Hold,
        windows::{Clock, WindowFacts},
    },
};

/// Everything that decides over the mail of one namespace.
#[derive(Clone, Debug)]
pub struct NamespaceFacts<'a> {
    /// The guardrails that select the namespace, and unreadable ones that may.
    pub guardrails: Vec<GuardrailFacts<'a>>,
    /// The accounts that they name, by name.
    pub accounts: BTreeMap<&'a str, AccountFacts<'a>>,
    /// The namespace's policies.
    pub policies: Vec<PolicyFacts<'a>>,
    /// The namespace's windows.
    pub windows: Vec<WindowFacts>,
    /// Open holds.
    pub holds: Vec<Hold>,
    /// Whether the clock may open windows.
    pub clock: Clock,
    /// The present moment.
    pub now: Timestamp,
}

/// A guardrail.
#[derive(Clone, Debug)]
pub struct GuardrailFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its spec, or why it cannot be read.
    pub spec: Result<&'a MailGuardrailSpec, &'a str>,
}

/// An account that a guardrail names.
#[derive(Clone, Copy, Debug)]
pub enum AccountFacts<'a> {
    /// There is none of this name.
    Missing,
    /// It cannot be read.
    Unreadable(&'a str),
    /// Its spec, and its quota where SES was asked already.
    Known {
        /// The account's spec.
        spec: &'a SendingAccountSpec,
        /// SES's quota.
        quota: Option<Quota>,
    },
}

/// A policy.
#[derive(Clone, Debug)]
pub struct PolicyFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its spec, as far as it can be read.
    pub spec: Result<&'a MailPolicySpec, UnreadSpec<'a>>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The spec that was accepted last, for when the present one cannot be compiled.
    pub last_good: Option<&'a MailPolicySpec>,
}

/// A spec that its own kind cannot read.
#[derive(Clone, Copy, Debug)]
pub struct UnreadSpec<'a> {
    /// What cannot be read; without addresses.
    pub error: &'a str,
    /// The spec as it is stored.
    pub stored: &'a Value,
}
