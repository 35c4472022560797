//! Carries out a plan, one step after the other, within the budget.
//!
//! Applying is idempotent: a plan that was cut at any point is not resumed but made anew from what then stands, and
//! what a step finds already done counts as done.

use std::collections::BTreeMap;

use super::arn::Arn;
use super::breakable::to_its_end;
use super::budget::{Budget, Priority};
use super::call::{Answer, SesCall, TenantRef};
use super::client::WriteSes;
use super::error::{ErrorKind, Retry, SesError};
use super::name::TenantName;
use super::plan::{Finding, Plan};

/// A plan that was carried out whole. Only [`apply`] makes one, so that a status built from it tells the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    findings: Vec<Finding>,
}

impl Applied {
    /// What the plan found that no step mends.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// A plan that ended early. What was done before stands; read again and plan again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// What stands is no longer what was read: something appeared or vanished meanwhile. Nothing is wrong; read and
    /// plan again at once.
    #[error("step {} ({step}) met a change in SES made meanwhile; it is read again", done + 1)]
    Stale {
        /// The steps done before.
        done: usize,
        /// The step, for people.
        step: String,
        /// What SES said.
        error: SesError,
    },
    /// A step failed.
    #[error("step {} ({step}) failed: {error}", done + 1)]
    Failed {
        /// The steps done before.
        done: usize,
        /// The step, for people.
        step: String,
        /// What SES said.
        error: SesError,
    },
    /// A step wants a tenant that no step before it created: a mistake of ours.
    #[error("step {} ({step}) names a tenant that no step created", done + 1)]
    TenantUnknown {
        /// The steps done before.
        done: usize,
        /// The step, for people.
        step: String,
    },
}

impl ApplyError {
    /// A fixed word for metrics and conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Stale { .. } => "Stale",
            Self::Failed { error, .. } => error.reason(),
            Self::TenantUnknown { .. } => "TenantUnknown",
        }
    }

    /// What to do next; always reading again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Stale { .. } | Self::TenantUnknown { .. } => Retry::Backoff,
            Self::Failed { error, .. } => error.retry(),
        }
    }
}

/// Carries the plan out with this urgency; steps that stop mail go as [`Priority::Stop`] whatever it is.
pub async fn apply(
    plan: &Plan,
    ses: &dyn WriteSes,
    budget: &Budget,
    priority: Priority,
) -> Result<Applied, ApplyError> {
    let mut tenants = BTreeMap::new();
    for (done, planned) in plan.steps().iter().enumerate() {
        let step = || planned.to_string();
        let Some(call) = with_arn(planned, &tenants) else {
            return Err(ApplyError::TenantUnknown { done, step: step() });
        };
        let urgency = if call.stops_mail() { Priority::Stop } else { priority };
        let request = async {
            if call.makes_or_opens() {
                to_its_end(ses.call(&call)).await
            } else {
                ses.call(&call).await
            }
        };
        match budget.spend(urgency, call.operation(), request).await {
            Ok(Answer::Done) => {}
            Ok(Answer::TenantCreated(arn)) => {
                if let SesCall::CreateTenant { tenant, .. } = call {
                    tenants.insert(tenant, arn);
                }
            }
            Err(error) if is_done_already(&call, error.kind) => {}
            Err(error) if is_stale(error.kind) => {
                return Err(ApplyError::Stale {
                    done,
                    step: step(),
                    error,
                });
            }
            Err(error) => {
                return Err(ApplyError::Failed {
                    done,
                    step: step(),
                    error,
                });
            }
        }
    }
    Ok(Applied {
        findings: plan.findings().to_vec(),
    })
}

/// What is gone need not be removed, and SES answers a second association in both ways.
fn is_done_already(call: &SesCall, error: ErrorKind) -> bool {
    match error {
        ErrorKind::NotFound => call.removes(),
        ErrorKind::AlreadyExists => matches!(call, SesCall::Associate { .. }),
        _ => false,
    }
}

/// The plan was made from what no longer stands.
fn is_stale(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::HasTenantAssociations
    )
}

/// The call with the ARN of a tenant that an earlier step created; `None` where none did.
fn with_arn(call: &SesCall, tenants: &BTreeMap<TenantName, Arn>) -> Option<SesCall> {
    let known = |tenant: &TenantRef| match tenant {
        TenantRef::Known(arn) => Some(TenantRef::Known(arn.clone())),
        TenantRef::Created(name) => tenants.get(name).cloned().map(TenantRef::Known),
    };
    Some(match call {
        SesCall::PutReputationPolicy { tenant, policy } => SesCall::PutReputationPolicy {
            tenant: known(tenant)?,
            policy: *policy,
        },
        SesCall::PutTenantSending { tenant, enabled } => SesCall::PutTenantSending {
            tenant: known(tenant)?,
            enabled: *enabled,
        },
        other => other.clone(),
    })
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
