//! What a policy's status says. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::program::{Drift, Outcome};
use crate::{
    api::{
        MailPolicyStatus, SendingAccountSpec,
        condition::{Finding, kind, merge},
        policy::{EffectiveValue, PolicyWindow, SesStatus},
    },
    policy::{CompiledNamespace, CompiledPolicy},
    ses::{desired::DesiredSet, error::Retry, memory::SetMemory, plan},
};

/// Everything that a status is made of.
pub struct Facts<'a> {
    /// The status before.
    pub before: Option<&'a MailPolicyStatus>,
    /// The generation of the spec that was compiled.
    pub generation: Option<i64>,
    /// The namespace.
    pub namespace: &'a CompiledNamespace,
    /// The policy.
    pub policy: &'a CompiledPolicy,
    /// The account in use, by its name.
    pub account: Option<(&'a str, &'a SendingAccountSpec)>,
    /// Whether the ceilings of all namespaces of the account exceed its quota together.
    pub account_exceeds_quota: bool,
    /// The policy's windows.
    pub windows: Vec<PolicyWindow>,
    /// How many pods of the namespace have a sidecar.
    pub sidecars: usize,
    /// What SES shall hold.
    pub desired: Option<&'a DesiredSet>,
    /// The set's ARN.
    pub arn: Option<String>,
    /// What became of it in SES.
    pub outcome: &'a Outcome,
    /// The present moment.
    pub now: Timestamp,
}

/// The status.
#[must_use]
pub fn build(facts: &Facts<'_>) -> MailPolicyStatus {
    let before = facts.before.cloned().unwrap_or_default();
    let mut findings = vec![
        accepted(facts),
        clamped(facts),
        programmed(facts),
        sending(facts),
        quota(facts),
    ];
    findings.push(ready(facts, &findings));
    findings.extend(kstatus(facts, &findings));
    findings.extend(drifted(facts));
    findings.extend(reinstated(facts));
    MailPolicyStatus {
        observed_generation: facts.generation,
        conditions: merge(&before.conditions, findings, facts.generation, &Time(facts.now)),
        mode: Some(facts.policy.effective.mode.value),
        account: facts.namespace.account.as_ref().map(|account| account.value.clone()),
        effective: effective(facts),
        windows: facts.windows.clone(),
        ceilings_enforced_by: Some("sidecar".to_owned()),
        ses: ses(facts, before.ses),
    }
}

/// Every value in force: the policy's, and the ceilings of its namespace beside them.
fn effective(facts: &Facts<'_>) -> Vec<EffectiveValue> {
    let mut values = facts.policy.effective.values();
    let per_recipient = &facts.policy.effective.per_recipient.value;
    let shown = values.iter_mut().find(|value| value.field == "ceilings.perRecipient");
    if let Some(shown) = shown.filter(|_| !per_recipient.is_empty()) {
        // Each pod counts for itself.
        shown.value = format!("{per_recipient}, in each of {} pods", facts.sidecars);
    }
    values.extend(facts.namespace.bounds.ceilings());
    values
}

fn ses(facts: &Facts<'_>, mut before: Option<SesStatus>) -> Option<SesStatus> {
    if let Some(before) = &mut before {
        cut(before, facts.outcome);
    }
    let (Some((name, account)), Some(desired)) = (facts.account, facts.desired) else {
        return before;
    };
    let same = |before: &SesStatus| before.account == name && before.configuration_set == desired.name.as_str();
    let kept = before.filter(same);
    let mut ses = SesStatus {
        account: name.to_owned(),
        configuration_set: desired.name.to_string(),
        arn: facts.arn.clone(),
        region: account.region.clone(),
        role: account.control_role.as_ref().map(|role| role.arn.clone()),
        tenant: desired.tenant.as_ref().map(ToString::to_string),
        tenant_applied: kept.as_ref().and_then(|kept| kept.tenant_applied.clone()),
        intended_sending: kept.as_ref().and_then(|kept| kept.intended_sending),
        programmed_mode: kept.as_ref().and_then(|kept| kept.programmed_mode),
        paused_in_ses: kept.as_ref().is_some_and(|kept| kept.paused_in_ses),
        applied: kept.map(|kept| kept.applied).unwrap_or_default(),
    };
    if let Outcome::Programmed {
        memory,
        tenant,
        findings,
        ..
    } = facts.outcome
        && !findings
            .iter()
            .any(|finding| matches!(finding, plan::Finding::Refused { .. }))
    {
        ses.applied = memory.as_map().clone();
        ses.tenant_applied.clone_from(tenant);
        ses.intended_sending = Some(desired.sending);
        if !findings.iter().any(blocks) {
            ses.programmed_mode = Some(facts.policy.effective.mode.value);
        }
        let paused = findings
            .iter()
            .any(|finding| matches!(finding, plan::Finding::SetPausedInSes { .. }));
        ses.paused_in_ses = paused || (ses.paused_in_ses && memory.sending() != Some(true));
    }
    Some(ses)
}

/// What a call that was cut leaves of what is remembered.
fn cut(ses: &mut SesStatus, outcome: &Outcome) {
    let Outcome::Failed {
        switch_under_way,
        options_under_way,
        ..
    } = outcome
    else {
        return;
    };
    if ses.applied.is_empty() {
        return;
    }
    let mut memory = SetMemory::from(std::mem::take(&mut ses.applied));
    if *options_under_way {
        memory = memory.only_switch();
    }
    if *switch_under_way {
        memory = memory.with_switch_under_way();
    }
    ses.applied = memory.as_map().clone();
}

fn accepted(facts: &Facts<'_>) -> Finding {
    if facts.policy.errors.is_empty() {
        return Finding::yes(kind::ACCEPTED, "Accepted", "the spec is understood");
    }
    let errors: Vec<String> = facts.policy.errors.iter().map(ToString::to_string).collect();
    Finding::no(kind::ACCEPTED, "SpecInvalid", errors.join("; "))
}

/// Present from the look that found something changed until the next look that finds nothing.
fn drifted(facts: &Facts<'_>) -> Option<Finding> {
    match facts.outcome {
        Outcome::Programmed {
            drift: Drift::Corrected(drift),
            ..
        } => Some(Finding::yes(kind::DRIFTED, "Corrected", drift.clone())),
        Outcome::Programmed { drift: Drift::None, .. } => None,
        _ => Some(Finding::yes(
            kind::DRIFTED,
            "Corrected",
            message_before(facts, kind::DRIFTED)?,
        )),
    }
}

/// Present while SES lets the tenant send in spite of open findings: nothing is held, and nothing stops it again.
fn reinstated(facts: &Facts<'_>) -> Option<Finding> {
    let message = match facts.outcome {
        Outcome::Programmed { findings, .. } => {
            let is_it = |finding: &&plan::Finding| matches!(finding, plan::Finding::TenantReinstated { .. });
            findings.iter().find(is_it)?.to_string()
        }
        _ => message_before(facts, kind::REINSTATED)?,
    };
    Some(Finding::yes(kind::REINSTATED, "TenantReinstated", message))
}

/// What a condition that is present said before.
fn message_before(facts: &Facts<'_>, kind: &str) -> Option<String> {
    let before = facts.before?.conditions.iter().find(|it| it.type_ == kind)?;
    Some(before.message.clone())
}

fn clamped(facts: &Facts<'_>) -> Finding {
    if facts.policy.clamps.is_empty() {
        return Finding::no(
            kind::CLAMPED,
            "WithinBounds",
            "nothing of the spec is bounded by a guardrail",
        );
    }
    let clamps: Vec<&str> = facts.policy.clamps.iter().map(|clamp| clamp.message.as_str()).collect();
    Finding::yes(kind::CLAMPED, "BoundedByGuardrail", clamps.join("; "))
}

fn programmed(facts: &Facts<'_>) -> Finding {
    match facts.outcome {
        Outcome::Programmed { findings, .. } => match findings.iter().find(|finding| blocks(finding)) {
            Some(finding) => Finding::no(kind::PROGRAMMED, finding.reason(), finding.to_string()),
            None => Finding::yes(kind::PROGRAMMED, "Programmed", "SES stands as compiled"),
        },
        Outcome::Kept => Finding::no(
            kind::PROGRAMMED,
            "SpecInvalid",
            "SES keeps what it has until the spec is mended",
        ),
        // Once programmed, waiting does not take it away.
        Outcome::Parked(_) if was_programmed(facts) => Finding::yes(
            kind::PROGRAMMED,
            "ChangeWaits",
            "SES stands as compiled before; a change waits for its turn",
        ),
        Outcome::Parked(priority) => Finding::no(
            kind::PROGRAMMED,
            "WaitsForBudget",
            format!("waits for its turn among calls to SES, as {priority}"),
        ),
        Outcome::Failed { error, .. } if error.retry() == Retry::AfterThrottling && was_programmed(facts) => {
            Finding::yes(kind::PROGRAMMED, "ChangeWaits", error.to_string())
        }
        Outcome::Failed { error, .. } => Finding::no(kind::PROGRAMMED, error.reason(), error.to_string()),
        Outcome::AccountWaits => match &facts.namespace.closed {
            Some(closed) => Finding::no(kind::PROGRAMMED, closed.reason(), closed.to_string()),
            // Nothing changed but that the operator began anew: what it left stands.
            None if was_programmed(facts) && compiles_as_before(facts) => {
                Finding::yes(kind::PROGRAMMED, "Programmed", "SES stands as compiled")
            }
            None if was_programmed(facts) => Finding::yes(
                kind::PROGRAMMED,
                "AccountWaits",
                "SES was left as compiled; the account is being read",
            ),
            None => Finding::no(
                kind::PROGRAMMED,
                "AccountWaits",
                "the SendingAccount is not ready: see its conditions",
            ),
        },
    }
}

/// Findings that mean SES takes no mail, by somebody's will: respected until it is ended in SES.
#[must_use]
pub fn pauses(finding: &plan::Finding) -> bool {
    matches!(
        finding,
        plan::Finding::SetPausedInSes { .. }
            | plan::Finding::TenantPausedInSes { .. }
            | plan::Finding::TenantDisabledByAws { .. }
    )
}

/// Findings that mean nothing may be sent: SES takes no mail, or what stands there is not ours.
#[must_use]
pub fn stops(finding: &plan::Finding) -> bool {
    pauses(finding) || matches!(finding, plan::Finding::Refused { .. })
}

/// Findings that mean SES does not stand as compiled.
#[must_use]
pub fn blocks(finding: &plan::Finding) -> bool {
    match finding {
        plan::Finding::Refused { .. }
        | plan::Finding::RecreateNeeded { .. }
        | plan::Finding::DefaultOfIdentities { .. }
        | plan::Finding::TooManyDestinations { .. } => true,
        plan::Finding::SetPausedInSes { .. }
        | plan::Finding::TenantPausedInSes { .. }
        | plan::Finding::TenantDisabledByAws { .. }
        | plan::Finding::TenantReinstated { .. }
        | plan::Finding::IdentityHasDefault { .. }
        | plan::Finding::EntriesKept { .. } => false,
    }
}

fn was_programmed(facts: &Facts<'_>) -> bool {
    let ses = facts.before.and_then(|before| before.ses.as_ref());
    // After a restart nothing is wanted before the account was read again.
    ses.is_some_and(|ses| {
        let same = |desired: &DesiredSet| ses.configuration_set == desired.name.as_str();
        !ses.applied.is_empty() && facts.desired.is_none_or(same)
    })
}

/// Whether what was compiled is what the status before tells of, and that was in force.
fn compiles_as_before(facts: &Facts<'_>) -> bool {
    facts.before.is_some_and(|before| {
        let programmed =
            |condition: &Condition| condition.type_ == kind::PROGRAMMED && condition.reason == "Programmed";
        before.observed_generation == facts.generation
            && before.effective == effective(facts)
            && before.conditions.iter().any(programmed)
    })
}

fn sending(facts: &Facts<'_>) -> Finding {
    let mode = facts.policy.effective.mode.value;
    if let Outcome::Programmed { findings, .. } = facts.outcome
        && let Some(paused) = findings.iter().find(|finding| pauses(finding))
    {
        return Finding::no(kind::SENDING_ENABLED, paused.reason(), paused.to_string());
    }
    let stands = match facts.outcome {
        Outcome::Programmed { memory, .. } => memory.sending(),
        Outcome::Failed {
            switch_under_way: true, ..
        } => None,
        Outcome::Kept | Outcome::Parked(_) | Outcome::AccountWaits | Outcome::Failed { .. } => {
            let ses = facts.before.and_then(|before| before.ses.as_ref());
            // Without a set SES takes nothing.
            ses.map_or(Some(false), |ses| SetMemory::from(ses.applied.clone()).sending())
        }
    };
    match (stands, mode.needs_sending()) {
        (None, _) => Finding::unknown(
            kind::SENDING_ENABLED,
            "SwitchUnderWay",
            "the switch is being thrown in SES",
        ),
        (Some(true), true) => Finding::yes(kind::SENDING_ENABLED, "ModeSends", format!("mode {mode} sends")),
        (Some(true), false) => Finding::yes(
            kind::SENDING_ENABLED,
            "StopWaits",
            format!("mode {mode} does not send, and SES is yet to be told"),
        ),
        (Some(false), true) => Finding::no(
            kind::SENDING_ENABLED,
            "NotProgrammed",
            format!("mode {mode} sends once SES stands as compiled"),
        ),
        (Some(false), false) => {
            let from = facts.policy.effective.mode.from_words().join(", ");
            let message = format!("mode {mode} does not send ({from})");
            Finding::no(kind::SENDING_ENABLED, "ModeDoesNotSend", message)
        }
    }
}

fn quota(facts: &Facts<'_>) -> Finding {
    let Some(quota) = facts.namespace.quota.map(|quota| quota.max24_hours) else {
        return Finding::unknown(
            kind::WITHIN_QUOTA,
            "QuotaUnknown",
            "SES was not asked for the account's quota yet",
        );
    };
    let policy = facts.policy.effective.recipients.value.per_day();
    let namespace = facts
        .namespace
        .bounds
        .recipients
        .as_ref()
        .and_then(|limits| limits.value.per_day());
    let most = [policy, namespace].into_iter().flatten().min();
    match (most, u64::try_from(quota)) {
        (Some(most), Ok(quota)) if most > quota => Finding::no(
            kind::WITHIN_QUOTA,
            "CeilingsExceedQuota",
            format!("ceilings allow {most} recipients a day, the account's quota is {quota}: SES refuses the rest"),
        ),
        _ if facts.account_exceeds_quota => Finding::no(
            kind::WITHIN_QUOTA,
            "CeilingsOfAllExceedQuota",
            "the ceilings of all namespaces of the SendingAccount together exceed its quota: see its condition \
             WithinQuota",
        ),
        _ => Finding::yes(
            kind::WITHIN_QUOTA,
            "WithinQuota",
            "ceilings are within the account's quota",
        ),
    }
}

/// What the spec asks is in force, as far as it may be.
fn ready(facts: &Facts<'_>, findings: &[Finding]) -> Finding {
    if let Some(closed) = &facts.namespace.closed {
        return Finding::no(kind::READY, closed.reason(), closed.to_string());
    }
    let broken = findings
        .iter()
        .find(|finding| matches!(finding.kind, kind::ACCEPTED | kind::PROGRAMMED) && finding.status != Some(true));
    match broken {
        Some(broken) => Finding::no(kind::READY, broken.reason, broken.message.clone()),
        None => {
            let mode = facts.policy.effective.mode.value;
            Finding::yes(kind::READY, "InForce", format!("mode {mode} is in force"))
        }
    }
}

/// `Stalled` where only a person can mend it, `Reconciling` where the operator goes on by itself.
fn kstatus(facts: &Facts<'_>, findings: &[Finding]) -> Option<Finding> {
    let ready = findings.iter().find(|finding| finding.kind == kind::READY)?;
    if ready.status == Some(true) {
        return None;
    }
    let by_itself = match facts.outcome {
        Outcome::Parked(_) => true,
        Outcome::AccountWaits => facts.namespace.closed.is_none(),
        Outcome::Failed { error, .. } => error.retry() != Retry::UserMustMend,
        Outcome::Programmed { .. } | Outcome::Kept => false,
    };
    let kind = if by_itself { kind::RECONCILING } else { kind::STALLED };
    Some(Finding {
        kind,
        status: Some(true),
        ..ready.clone()
    })
}
