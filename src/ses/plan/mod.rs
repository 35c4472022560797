//! The difference between what we want and what stands, as ordered data. Pure: no client, no clock.
//!
//! Order within a plan: what stops mail comes first, what opens it last, deletions before creations.

mod difference;
mod entries;
mod seal;
mod set;
mod tenant;

use std::collections::BTreeSet;
use std::fmt;

pub use self::entries::plan_entries;
pub use self::seal::plan_seal;
pub use self::set::{plan_set, plan_set_change, plan_set_removal};
pub use self::tenant::{plan_tenant, plan_tenant_removal};
use super::address::Identity;
use super::arn::ArnBase;
use super::call::SesCall;
use super::name::{SetName, TenantName};
use super::tags::{Owner, Ownership};
use crate::api::TAKE_OVER;

/// The most event destinations that SES allows on one set.
pub const MAX_DESTINATIONS: usize = 10;

/// What a plan may know besides what is wanted and what stands.
#[derive(Debug, Clone)]
pub struct Context {
    /// What ARNs of this account and region begin with.
    pub arns: ArnBase,
    /// What a person agreed to.
    pub consent: Consent,
    /// The switch that we intended last, remembered by the caller before each call; `None` where nobody remembers.
    ///
    /// It tells a pause by a person or by AWS (we meant "on") from our own half-done work (we meant "off").
    pub intended_sending: Option<bool>,
    /// The identities whose default configuration set is the one in question.
    pub default_of: BTreeSet<Identity>,
}

/// What a person agreed to, by an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consent {
    /// From whom a thing that is not ours may be taken, to be changed and marked as ours: the value of [`TAKE_OVER`].
    pub take_over: Option<String>,
    /// Delete a set and create it anew where no call changes it.
    pub recreate: bool,
}

/// What becomes of a thing in SES when its object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It stays, switched off, with its tags.
    Retain,
    /// It goes.
    Delete,
}

/// Steps to take, and what a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    steps: Vec<SesCall>,
    findings: Vec<Finding>,
}

/// Something that no step mends; the caller makes a condition or a hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is not ours; nothing was planned for it.
    Refused {
        /// What it is.
        what: String,
        /// Whose it is.
        owner: Ownership,
        /// The consent that would change this; `None` where none does.
        needs: Option<String>,
        /// The consent that was given, to something else.
        said: Option<String>,
    },
    /// Only deleting the set and creating it anew brings it to "inherit the suppression".
    RecreateNeeded {
        /// The set.
        set: SetName,
    },
    /// A set that we switched on is off: a person or AWS paused it. Respected until it is ended in SES.
    SetPausedInSes {
        /// The set.
        set: SetName,
    },
    /// A tenant that we left enabled was disabled by a person. Respected until it is ended in SES.
    TenantPausedInSes {
        /// The tenant.
        tenant: TenantName,
    },
    /// AWS disabled the tenant; no call of ours overrides that.
    TenantDisabledByAws {
        /// The tenant.
        tenant: TenantName,
    },
    /// The tenant sends while SES ignores its open findings. In sync with "enabled".
    TenantReinstated {
        /// The tenant.
        tenant: TenantName,
    },
    /// The set is the default of identities, whose mail would fail without it: not deleted.
    DefaultOfIdentities {
        /// The set.
        set: SetName,
        /// How many identities.
        count: usize,
    },
    /// More event destinations are wanted than SES allows; none of them was touched.
    TooManyDestinations {
        /// The set.
        set: SetName,
        /// How many are wanted.
        wanted: usize,
    },
    /// The identity has a default set that is not our sealed one; it was left.
    IdentityHasDefault {
        /// The identity.
        identity: Identity,
        /// Its default set, whose name consents to replacing it.
        default_set: String,
    },
    /// Entries of suppression lists that we no longer want stay, since SES does not say who made them.
    EntriesKept {
        /// How many.
        count: usize,
    },
}

impl Finding {
    /// The reasons of findings that keep a whole tenant from sending.
    pub const TENANT_PAUSES: [&'static str; 2] = ["TenantPausedInSES", "TenantDisabledByAWS"];

    /// A fixed CamelCase word, for the reason of a condition and for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "NotOurs",
            Self::RecreateNeeded { .. } => "RecreateNeeded",
            Self::SetPausedInSes { .. } => "PausedInSES",
            Self::TenantPausedInSes { .. } => "TenantPausedInSES",
            Self::TenantDisabledByAws { .. } => "TenantDisabledByAWS",
            Self::TenantReinstated { .. } => "TenantReinstated",
            Self::DefaultOfIdentities { .. } => "DefaultOfIdentities",
            Self::TooManyDestinations { .. } => "TooManyDestinations",
            Self::IdentityHasDefault { .. } => "IdentityHasDefault",
            Self::EntriesKept { .. } => "EntriesKept",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                what,
                owner,
                needs,
                said,
            } => {
                write!(f, "{what} is left alone: {owner}")?;
                match (needs, said) {
                    (None, _) => Ok(()),
                    (Some(needs), None) => write!(
                        f,
                        "; rename ours, or consent to taking it over by the annotation {TAKE_OVER}: {needs}"
                    ),
                    (Some(needs), Some(said)) => write!(
                        f,
                        "; the annotation {TAKE_OVER} must say {needs} to take it over, and says {said:?}"
                    ),
                }
            }
            Self::RecreateNeeded { set } => write!(
                f,
                "{set} overrides the suppression and SES has no call that ends this: consent to deleting and creating it anew"
            ),
            Self::SetPausedInSes { set } => write!(
                f,
                "sending of {set} was switched off in SES by a person or by AWS: switch it on there when the cause is mended"
            ),
            Self::TenantPausedInSes { tenant } => {
                write!(
                    f,
                    "tenant {tenant} was disabled in SES: enable it there when the cause is mended"
                )
            }
            Self::TenantDisabledByAws { tenant } => {
                write!(
                    f,
                    "AWS disabled tenant {tenant}: answer the case in AWS Support; no call of ours changes it"
                )
            }
            Self::TenantReinstated { tenant } => {
                write!(
                    f,
                    "tenant {tenant} was reinstated: SES ignores its open findings until all are resolved"
                )
            }
            Self::DefaultOfIdentities { set, count } => write!(
                f,
                "{set} is the default configuration set of {count} of the account's identities and was not deleted, since \
                 SES would refuse their mail: give them another default first"
            ),
            Self::TooManyDestinations { set, wanted } => write!(
                f,
                "{set} would have {wanted} event destinations, SES allows {MAX_DESTINATIONS}: list fewer"
            ),
            Self::IdentityHasDefault { identity, default_set } => write!(
                f,
                "{identity} has the default configuration set {default_set} and was not sealed: take that away, or \
                 consent to replacing it by the SendingAccount's annotation {TAKE_OVER}: {default_set}"
            ),
            Self::EntriesKept { count } => {
                write!(
                    f,
                    "{count} suppression entries stay, since SES does not say who made them: release them if wanted"
                )
            }
        }
    }
}

impl Plan {
    /// Nothing to do. Findings may stand nevertheless.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[SesCall] {
        &self.steps
    }

    /// What a person should know.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a configuration set would be deleted, so that it must be known whose default it is.
    #[must_use]
    pub fn deletes_set(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, SesCall::DeleteSet { .. }))
    }

    fn step(&mut self, call: SesCall) {
        self.steps.push(call);
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// A line a step, then a line a finding with `!` before it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() && self.findings.is_empty() {
            return f.write_str("nothing to do\n");
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "! {finding}"))
    }
}

/// Whether something may be changed: `Ok(true)` must be tagged first.
///
/// # Errors
/// It is refused, and this says what consent is missing.
fn may_change(what: String, ownership: Ownership, owner: &Owner, consent: &Consent) -> Result<bool, Finding> {
    let needs = match ownership.consent_word(owner) {
        None => return Ok(ownership != Ownership::Ours),
        Some(needs) if consent.take_over.as_deref() == Some(needs) => return Ok(true),
        Some(needs) => needs.to_owned(),
    };
    Err(Finding::Refused {
        what,
        needs: Some(needs),
        said: consent.take_over.clone(),
        owner: ownership,
    })
}

/// The refusal to remove what is not ours, which no consent changes.
fn not_removed(what: String, owner: Ownership) -> Finding {
    Finding::Refused {
        what,
        owner,
        needs: None,
        said: None,
    }
}

#[cfg(test)]
mod remembered_tests;
#[cfg(test)]
mod set_tests;
#[cfg(test)]
mod tenant_tests;
