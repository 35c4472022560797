//! The specs that were accepted last, kept for when a policy's spec cannot be compiled any more.
//!
//! They are kept as they were written, not as they took effect: what bounds them is what holds at the time they are needed.
//! A seal tells that the operator wrote them, so that a hand edit of the object that keeps them is never in force.

use std::{collections::BTreeMap, fmt};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    CompiledPolicy,
    keyed::{is_mac, mac},
};
use crate::api::MailPolicySpec;

/// What the first line begins with; the seal follows, of all lines after it.
const SEAL: &str = "seal: ";

/// The key of one namespace's seal. Only the operator has it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// The key of one namespace, derived from the installation's.
    #[must_use]
    pub fn for_namespace(master: &[u8], namespace: &str) -> Self {
        Self(mac(master, &[b"last-accepted", namespace.as_bytes()]))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Why what was kept is not taken.
#[derive(Debug, Error)]
pub enum LastAcceptedError {
    /// It is not as the operator wrote it in this namespace.
    #[error("the policies that were accepted last were changed by somebody else: they are not taken")]
    Seal,
    /// Written by an operator whose policies this one cannot read. Says nothing of their contents.
    #[error("the policies that were accepted last cannot be read by this version")]
    Unreadable,
}

#[derive(Serialize, Deserialize)]
struct Kept<P> {
    policies: BTreeMap<String, P>,
}

/// The text that keeps the specs in force, under a seal; `None` where there are none.
///
/// # Errors
/// When a spec cannot be written as YAML.
pub fn text(policies: &[CompiledPolicy], key: &SealKey) -> Result<Option<String>, serde_yaml::Error> {
    let policies: BTreeMap<String, &MailPolicySpec> = policies
        .iter()
        .filter_map(|policy| Some((policy.name.clone(), policy.accepted.as_ref()?)))
        .collect();
    if policies.is_empty() {
        return Ok(None);
    }
    let kept = serde_yaml::to_string(&Kept { policies })?;
    let seal = HEXLOWER.encode(&mac(&key.0, &[kept.as_bytes()]));
    Ok(Some(format!("{SEAL}{seal}\n{kept}")))
}

/// Reads what was kept, by policy.
///
/// # Errors
/// [`LastAcceptedError`]: then nothing was.
pub fn read(text: &str, key: &SealKey) -> Result<BTreeMap<String, MailPolicySpec>, LastAcceptedError> {
    let (seal, kept) = text
        .strip_prefix(SEAL)
        .and_then(|rest| rest.split_once('\n'))
        .ok_or(LastAcceptedError::Seal)?;
    let seal = HEXLOWER.decode(seal.as_bytes()).map_err(|_| LastAcceptedError::Seal)?;
    if !is_mac(&key.0, &[kept.as_bytes()], &seal) {
        return Err(LastAcceptedError::Seal);
    }
    serde_yaml::from_str(kept)
        .map(|Kept { policies }| policies)
        .map_err(|_| LastAcceptedError::Unreadable)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "last_accepted_tests.rs"]
mod tests;
