//! Makes SES stand as one policy wants it: remembered or read, planned, applied.

use std::collections::BTreeSet;

use super::{
    accounts::Account,
    context::Context,
    error::Error,
    policy::{Policy, remember_intent},
    tenant,
    world::Key,
};
use crate::{
    api::{MailPolicy, Mode, RECREATE, TAKE_OVER, policy::SesStatus},
    policy::CompiledPolicy,
    ses::{
        apply::{ApplyError, apply},
        budget::{Admitted, Priority},
        call::SesCall,
        desired::DesiredSet,
        memory::SetMemory,
        plan::{Consent, Context as PlanContext, Finding, Plan, plan_set, plan_set_change},
    },
};

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// SES stands as wanted, but for what the findings say.
    Programmed {
        /// What is to be remembered.
        memory: SetMemory,
        /// What of the tenant is to be remembered.
        tenant: Option<String>,
        /// What no call mends.
        findings: Vec<Finding>,
        /// What was found changed behind our back.
        drift: Drift,
    },
    /// The spec cannot be compiled: SES keeps what it has.
    Kept,
    /// Its turn has not come; it is reconciled anew then.
    Parked(Priority),
    /// The account cannot be reached yet.
    AccountWaits,
    /// Something was refused or not answered; it is tried again.
    Failed {
        /// What, where and how to mend it.
        error: Error,
        /// Whether the switch may have been thrown.
        switch_under_way: bool,
        /// Whether other options may have been changed, so that what is remembered of them tells nothing.
        options_under_way: bool,
    },
}

impl Outcome {
    /// Something failed that changed nothing in SES.
    #[must_use]
    pub fn refused(error: Error) -> Self {
        Self::Failed {
            error,
            switch_under_way: false,
            options_under_way: false,
        }
    }
}

/// What was found changed behind our back.
#[derive(Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nobody looked: what was found before stands.
    NotLooked,
    /// Nothing.
    None,
    /// What, and what was done about it.
    Corrected(String),
}

/// What is known of the set before anything is asked.
enum Standing {
    Absent,
    Remembered(SetMemory),
    Unread,
}

/// Makes SES stand as the policy wants it.
///
/// # Errors
/// What the API server refused. What SES refused is an outcome: what was done stands, and the next reconciliation reads
/// it.
pub(super) async fn program(
    context: &Context,
    account: &Account,
    policy: &Policy<'_>,
    object: &MailPolicy,
    compiled: &CompiledPolicy,
    desired: &DesiredSet,
) -> Result<Outcome, Error> {
    let key = policy.key();
    let ses = policy.status().and_then(|status| status.ses.as_ref());
    let expected = remembered(account, ses, desired);
    let paused = ses.is_some_and(|ses| ses.paused_in_ses) && expected.is_some();
    let plan_context = plan_context(account, object, ses, paused);
    if paused && desired.sending {
        // Whether the pause has ended only SES knows.
        context.doubt(key);
    }
    let tenant_applied = ses.and_then(|ses| ses.tenant_applied.as_ref());
    let first_standing = standing(context, account, key, desired, expected.clone());
    let tenant = tenant::known(context, account, &key.namespace, tenant_applied);
    if let (Standing::Remembered(memory), Some(tenant)) = (&first_standing, &tenant)
        && *memory == SetMemory::of(desired)
    {
        return Ok(Outcome::Programmed {
            memory: memory.clone(),
            tenant: tenant.applied.clone(),
            findings: tenant.findings.clone(),
            drift: Drift::NotLooked,
        });
    }
    let priority = priority(&first_standing, expected.as_ref(), compiled, desired);
    let Admitted::Now(_slot) = account.admission.admit(key, priority) else {
        return Ok(Outcome::Parked(priority));
    };
    // A set belongs to a tenant that stands.
    let tenant = match tenant {
        Some(tenant) => tenant,
        None => {
            let consent = &plan_context.consent;
            match tenant::settle(context, account, &key.namespace, tenant_applied, consent, priority).await {
                Ok(tenant) => tenant,
                Err(error) => {
                    return Ok(Outcome::refused(error));
                }
            }
        }
    };
    if tenant.is_refused() {
        return Ok(Outcome::Programmed {
            memory: SetMemory::default(),
            tenant: None,
            findings: tenant.findings,
            drift: Drift::NotLooked,
        });
    }
    // A tenant that was made anew puts its sets in doubt.
    let standing = standing(context, account, key, desired, expected.clone());
    let doubted = context.is_doubted(key);
    let plan = match plan(account, desired, &standing, &plan_context, priority).await {
        Ok(plan) => plan,
        Err(error) => {
            return Ok(Outcome::refused(error));
        }
    };
    let switch_under_way = changes_switch(&plan);
    if switch_under_way {
        // What is meant, so that our own half-done work is known as such.
        remember_intent(context, policy, desired.sending).await?;
    }
    let applied = match apply(&plan, &*account.ses, &account.budget, priority).await {
        Ok(applied) => applied,
        Err(error) => {
            // What stands now must be read, whatever went wrong; only that costs no call where nothing was asked.
            context.doubt(key);
            if let ApplyError::Stale { .. } = &error {
                account.listed.note_set(desired.name.as_str());
            }
            return Ok(Outcome::Failed {
                error: error.into(),
                switch_under_way,
                options_under_way: true,
            });
        }
    };
    context.settle(key);
    account.listed.note_set(desired.name.as_str());
    let as_left = as_left(expected.as_ref(), plan_context.intended_sending, desired);
    let drift = drift(
        context,
        &standing,
        expected.is_some(),
        doubted && as_left,
        &plan,
        tenant.drift,
    );
    let memory = applied.findings().iter().fold(SetMemory::of(desired), left_by);
    let mut findings = applied.findings().to_vec();
    findings.extend(tenant.findings);
    Ok(Outcome::Programmed {
        memory,
        tenant: tenant.applied,
        findings,
        drift,
    })
}

/// What is to be remembered where a finding kept something from standing as wanted: it is planned again each time.
fn left_by(memory: SetMemory, finding: &Finding) -> SetMemory {
    match finding {
        Finding::SetPausedInSes { .. } => memory.with_sending(false),
        Finding::RecreateNeeded { .. } | Finding::DefaultOfIdentities { .. } => memory.without("suppression"),
        Finding::TooManyDestinations { .. } => memory.without_destinations(),
        _ => memory,
    }
}

/// Whether the set was left as it is wanted now, so that what differs was changed by somebody else. A pause in SES, which
/// is remembered as the switch that stands, is no difference.
fn as_left(expected: Option<&SetMemory>, intended_sending: Option<bool>, desired: &DesiredSet) -> bool {
    expected.is_some_and(|expected| {
        let settled = expected.sending().is_some() && intended_sending == Some(desired.sending);
        settled && expected.clone().with_sending(desired.sending) == SetMemory::of(desired)
    })
}

/// What was found changed that was not ours: the set is gone, or differs from what it was left as.
fn drift(
    context: &Context,
    standing: &Standing,
    expected: bool,
    left: bool,
    plan: &Plan,
    of_tenant: Option<String>,
) -> Drift {
    let what = match standing {
        Standing::Absent if expected => Some("vanished"),
        Standing::Unread if left && matches!(plan.steps(), [SesCall::CreateSet { .. }, ..]) => Some("vanished"),
        Standing::Unread if left && !plan.is_empty() => Some("changed"),
        Standing::Remembered(_) if of_tenant.is_none() => return Drift::NotLooked,
        Standing::Absent | Standing::Unread | Standing::Remembered(_) => None,
    };
    let of_set = what.map(|what| context.drifted(what, plan));
    let all: Vec<String> = of_tenant.into_iter().chain(of_set).collect();
    if all.is_empty() {
        Drift::None
    } else {
        Drift::Corrected(all.join("; "))
    }
}

/// What the status remembers of this very set.
fn remembered(account: &Account, ses: Option<&SesStatus>, desired: &DesiredSet) -> Option<SetMemory> {
    let ses = ses?;
    let same = ses.account == account.name && ses.configuration_set == desired.name.as_str();
    (same && !ses.applied.is_empty()).then(|| ses.applied.clone().into())
}

fn standing(
    context: &Context,
    account: &Account,
    key: &Key,
    desired: &DesiredSet,
    remembered: Option<SetMemory>,
) -> Standing {
    // A switch that was under way when the operator was killed is not known, and so must be read.
    let remembered = remembered.filter(|memory| memory.sending().is_some());
    match (account.listed.has_set(desired.name.as_str()), remembered) {
        (false, _) if !context.is_doubted(key) => Standing::Absent,
        (true, Some(memory)) if !context.is_doubted(key) => Standing::Remembered(memory),
        (_, _) => Standing::Unread,
    }
}

fn plan_context(account: &Account, object: &MailPolicy, ses: Option<&SesStatus>, paused: bool) -> PlanContext {
    // Only a switch that we left as it was meant can have been thrown by somebody else.
    let left = ses.filter(|ses| SetMemory::from(ses.applied.clone()).sending().is_some());
    let annotation = |name: &str| object.metadata.annotations.as_ref().and_then(|all| all.get(name));
    PlanContext {
        arns: account.arns.clone(),
        consent: Consent {
            take_over: annotation(TAKE_OVER).cloned(),
            recreate: annotation(RECREATE).is_some_and(|value| value == "true"),
        },
        // Somebody else's pause stays one, whatever was meant in between.
        intended_sending: if paused {
            Some(true)
        } else {
            left.and_then(|ses| ses.intended_sending)
        },
        // Asked for only where the set is to be deleted.
        default_of: BTreeSet::new(),
    }
}

fn priority(
    standing: &Standing,
    remembered: Option<&SetMemory>,
    policy: &CompiledPolicy,
    desired: &DesiredSet,
) -> Priority {
    let is_off = remembered.is_some_and(|memory| memory.sending() == Some(false));
    match standing {
        Standing::Absent => Priority::Creation,
        // However little is known of it: what may send and should not comes first.
        Standing::Remembered(_) | Standing::Unread if !desired.sending && !is_off => {
            if policy.effective.mode.value == Mode::Paused {
                Priority::Stop
            } else {
                Priority::Tighten
            }
        }
        Standing::Unread if remembered == Some(&SetMemory::of(desired)) => Priority::Drift,
        Standing::Unread if remembered.is_none() => Priority::Creation,
        Standing::Remembered(_) | Standing::Unread => Priority::SpecChange,
    }
}

/// The plan, from what is remembered where that tells enough, else from what is read.
async fn plan(
    account: &Account,
    desired: &DesiredSet,
    standing: &Standing,
    context: &PlanContext,
    priority: Priority,
) -> Result<Plan, Error> {
    match standing {
        Standing::Absent => return Ok(plan_set(desired, None, context)),
        Standing::Remembered(memory) => {
            if let Some(plan) = plan_set_change(desired, memory, context) {
                return Ok(plan);
            }
        }
        Standing::Unread => {}
    }
    let arns = desired.tenant.as_ref().map(|_| &account.arns);
    let observed = account.reader(priority).set(&desired.name, arns).await?;
    let plan = plan_set(desired, observed.as_ref(), context);
    if !plan.deletes_set() {
        return Ok(plan);
    }
    let default_of = account.defaults.of(account, &desired.name, priority).await?;
    let context = PlanContext {
        default_of,
        ..context.clone()
    };
    Ok(plan_set(desired, observed.as_ref(), &context))
}

fn changes_switch(plan: &Plan) -> bool {
    plan.steps()
        .iter()
        .any(|step| matches!(step, SesCall::PutSending { .. }))
}
