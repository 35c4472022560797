//! The account controller: reaches SES, lists what stands there, seals identities, and says how the account does.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta, runtime::controller::Action};
use tracing::warn;

use super::{
    accounts::Account,
    ceilings,
    context::Context,
    error::Error,
    finalizer::Finalizer,
    in_use::Users,
    seals::{self, Seals},
    status_write,
    world::{Key, mark},
};
use crate::{
    api::{
        MailPolicyStatus, Parsed, SendingAccount, SendingAccountStatus, TAKE_OVER,
        account::{IdentityStatus, Isolation, Quota},
        condition::{Finding, is_true, kind, merge, put},
    },
    clock,
    ses::{
        address::Identity,
        budget::Priority,
        inventory::{Inventory, Scope},
        observed::{AccountRecord, SendingStatus},
        plan::{self, Consent},
    },
};

/// Keeps an account that is in use.
const FINALIZER: Finalizer = Finalizer {
    name: "mailpolicy.dev/in-use",
    kind: "SendingAccount",
};
/// Between two looks whether an account that is to go is still in use: what its users' status says is no reason to
/// reconcile accounts otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Reconciles one account.
pub fn reconcile(
    account: Arc<Parsed<SendingAccount>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*account);
        let account = context.written_accounts.of(account, &context.world.accounts);
        let Parsed::Readable(object) = &*account else {
            // Its connection is kept: what may not send any more must be stopped by it.
            if account.meta().deletion_timestamp.is_some() && Users::of(&context.world, &key.name).is_empty() {
                FINALIZER.remove(&context, &metadata(&context), &*account).await?;
            }
            return Ok(Action::await_change());
        };
        let leaves = object.metadata.deletion_timestamp.is_some();
        let users = leaves.then(|| Users::of(&context.world, &key.name));
        match &users {
            None => {
                FINALIZER.add(&context, &metadata(&context), object).await?;
            }
            Some(users) if users.is_empty() => {
                FINALIZER.remove(&context, &metadata(&context), object).await?;
                context.accounts.remove(&key.name);
                return Ok(Action::await_change());
            }
            Some(_) => {}
        }
        let in_use = users.as_ref().map(in_use);
        let again = |due: Duration| Action::requeue(if leaves { LOOK_AGAIN.min(due) } else { due });
        if let Some(due) = observed_and_due_in(&context, &key, object) {
            say_again(&context, object, in_use).await?;
            return Ok(again(due));
        }
        let observed = observe(&context, &key, object).await;
        if context.accounts.note_failed(&key.name, observed.is_err()) {
            // A listing queues them; without one their statuses say what they wait for.
            context
                .world
                .policies
                .keys()
                .into_iter()
                .for_each(|policy| context.queues.policies.push(policy));
        }
        let findings = conditions(object, observed.as_ref());
        let sealed = sealed(object, observed.as_ref().ok());
        let findings = findings.into_iter().chain(sealed).collect();
        let ceilings = context.ceilings.per_day(&key.name);
        let status = build_status(object, observed.as_ref().ok(), findings);
        let status = with_what_is_known_here(status, object, ceilings, in_use);
        write_status(&context, object, &status).await?;
        let observed = observed?;
        match observed.seals.error {
            Some(error) if seals::passes(&error) => return Err(error),
            Some(error) => warn!(account = %key, %error, "a seal is refused; it is tried again with the next look"),
            None => {}
        }
        observed.account.note_observed(wish(object), clock::monotonic());
        Ok(again(context.list_every))
    }
    .boxed()
}

fn metadata(context: &Context) -> Api<PartialObjectMeta<SendingAccount>> {
    Api::all(context.client.clone())
}

/// Between two looks at SES the status still says what is known without asking.
async fn say_again(context: &Context, object: &SendingAccount, in_use: Option<Finding>) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let ceilings = context.ceilings.per_day(&object.name_any());
    let status = with_what_is_known_here(before, object, ceilings, in_use);
    write_status(context, object, &status).await
}

/// The status with what no call tells: what the ceilings of the account's namespaces allow, and who keeps it from going.
fn with_what_is_known_here(
    mut status: SendingAccountStatus,
    object: &SendingAccount,
    ceilings: Option<u64>,
    in_use: Option<Finding>,
) -> SendingAccountStatus {
    // After a start the sum of the run before stands until there is one.
    if let Some(ceilings) = ceilings {
        status.ceilings_per_day = Some(i64::try_from(ceilings).unwrap_or(i64::MAX));
    }
    let per_day = status.ceilings_per_day.and_then(|per_day| u64::try_from(per_day).ok());
    let within_quota = ceilings::within_quota(per_day, status.quota.map(|quota| quota.max24_hours));
    let findings = [within_quota].into_iter().chain(in_use).collect();
    let before = object.status.as_ref().map(|status| status.conditions.as_slice());
    status.conditions = put(
        status.conditions,
        findings,
        before.unwrap_or_default(),
        object.metadata.generation,
        &Time(clock::now()),
    );
    status
}

fn in_use(users: &Users) -> Finding {
    Finding::yes(kind::IN_USE, "StillNamed", users.message())
}

/// What a look at SES depends on: as long as it stays, a look stands until the next is due.
fn wish(object: &SendingAccount) -> u64 {
    mark((
        object.metadata.uid.as_deref(),
        object.metadata.generation,
        &object.metadata.annotations,
    ))
}

/// When the next look is due; `None` where it is now: nothing was observed yet or the last look failed, the spec or an
/// annotation changed, or the time has come. What else calls for a reconciliation, such as a changed guardrail, costs SES
/// nothing.
fn observed_and_due_in(context: &Context, key: &Key, object: &SendingAccount) -> Option<Duration> {
    let account = context.accounts.get(&key.name)?;
    let since = account.observed_since(wish(object))?;
    let due = context
        .list_every
        .checked_sub(clock::monotonic().duration_since(since))?;
    (!due.is_zero()).then_some(due)
}

/// What SES said of the account.
struct Observed {
    account: Arc<Account>,
    record: AccountRecord,
    inventory: Arc<Inventory>,
    seals: Seals,
}

/// Reaches the account where it was not yet, asks how it does, and lists what stands.
async fn observe(context: &Context, key: &Key, object: &SendingAccount) -> Result<Observed, Error> {
    let spec = &object.spec;
    let before = context.accounts.get(&key.name);
    before.iter().for_each(|account| account.forget_observed());
    let account = match before.filter(|account| account.spec == *spec) {
        Some(account) => account,
        None => {
            let before = context.accounts.get(&key.name);
            let account = Arc::new(
                Account::connect(
                    &key.name,
                    spec,
                    &context.metrics,
                    &context.queues.policies,
                    before.as_deref(),
                )
                .await?,
            );
            context.accounts.put(Arc::clone(&account));
            account
        }
    };
    let record = account
        .budget
        .spend(Priority::SpecChange, "GetAccount", account.ses.account())
        .await?;
    let first = account.listed.inventory().is_none();
    let priority = if first { Priority::SpecChange } else { Priority::Drift };
    let scope = match spec.isolation {
        Isolation::ConfigurationSet => Scope::WithoutTenants,
        Isolation::Tenant => Scope::WithTenants,
    };
    account.listed.begin_listing();
    // One that fails leaves what was made before it to the next.
    let listed = Inventory::list(account.reader(priority), scope).await?;
    let inventory = account.listed.end_listing(listed);
    concern(context, &account, first);
    let seals = seals::settle(context, &account, object, &inventory, &consent(object), !first).await;
    Ok(Observed {
        account,
        record,
        inventory,
        seals,
    })
}

/// What a person agreed to, by an annotation.
fn consent(object: &SendingAccount) -> Consent {
    Consent {
        take_over: object.annotations().get(TAKE_OVER).cloned(),
        recreate: false,
    }
}

/// Queues what the listing concerns: after the first all that waited for it, else policies whose set or tenant has
/// vanished, or whose tenant may send otherwise than their status says.
fn concern(context: &Context, account: &Account, first: bool) {
    if first {
        let suppressions = context.world.suppressions.keys().into_iter();
        suppressions.for_each(|key| context.queues.suppressions.push(key));
    }
    for key in context.world.policies.keys() {
        let Some(policy) = context.world.policies.get(&key) else {
            continue;
        };
        let status = policy.readable().and_then(|policy| policy.status.as_ref());
        let made_here = status.is_some_and(|status| status.ses.as_ref().is_some_and(|ses| ses.account == account.name));
        let differs = made_here && status.is_some_and(|status| differs(account, status));
        if first || differs {
            context.queues.policies.push(key);
        }
    }
}

/// Whether the listing shows the policy's set or tenant otherwise than its status tells.
fn differs(account: &Account, status: &MailPolicyStatus) -> bool {
    let Some(ses) = status.ses.as_ref().filter(|ses| !ses.applied.is_empty()) else {
        return false;
    };
    let tenant_differs = ses.tenant.as_ref().is_some_and(|tenant| {
        let inventory = account.listed.inventory();
        let listed = inventory.as_ref().and_then(|inventory| inventory.tenants.get(tenant));
        let sending = listed.map(|listed| listed.sending).unwrap_or_default();
        !account.listed.has_tenant(tenant) || sending != told_of_tenant(status)
    });
    !account.listed.has_set(&ses.configuration_set) || tenant_differs
}

/// Whether the tenant may send, as the policy's status tells it.
fn told_of_tenant(status: &MailPolicyStatus) -> SendingStatus {
    let paused = |condition: &Condition| {
        condition.type_ == kind::SENDING_ENABLED && plan::Finding::TENANT_PAUSES.contains(&condition.reason.as_str())
    };
    if status.conditions.iter().any(paused) {
        SendingStatus::Disabled
    } else if is_true(&status.conditions, kind::REINSTATED) {
        SendingStatus::Reinstated
    } else {
        SendingStatus::Enabled
    }
}

fn conditions(object: &SendingAccount, observed: Result<&Observed, &Error>) -> Vec<Finding> {
    match observed {
        Ok(observed) => {
            let ready = Finding::yes(kind::READY, "Reached", "SES answers");
            vec![
                ready,
                healthy(&observed.record),
                verified(&identities(object, observed)),
            ]
        }
        Err(error) => {
            let ready = Finding::no(kind::READY, error.reason(), error.to_string());
            let stalled = error.retry() == crate::ses::error::Retry::UserMustMend;
            let kind = if stalled { kind::STALLED } else { kind::RECONCILING };
            let progress = Finding {
                kind,
                status: Some(true),
                ..ready.clone()
            };
            vec![
                ready,
                progress,
                Finding::unknown(kind::HEALTHY, "NotReached", "SES was not reached"),
                Finding::unknown(kind::IDENTITIES_VERIFIED, "NotReached", "SES was not reached"),
            ]
        }
    }
}

/// Whether SES lets every identity send.
fn verified(identities: &[IdentityStatus]) -> Finding {
    let unverified = identities.iter().filter(|identity| !identity.verified);
    let messages: Vec<&str> = unverified.filter_map(|identity| identity.message.as_deref()).collect();
    if messages.is_empty() {
        Finding::yes(kind::IDENTITIES_VERIFIED, "Verified", "SES lets every identity send")
    } else {
        Finding::no(kind::IDENTITIES_VERIFIED, "IdentityUnverified", messages.join("; "))
    }
}

/// What is said of the seals; while SES is not reached, that nothing is known of those that were told of.
fn sealed(object: &SendingAccount, observed: Option<&Observed>) -> Option<Finding> {
    match observed {
        Some(observed) => observed.seals.condition(),
        None => {
            let before = object.status.iter().flat_map(|status| &status.conditions);
            let told = before.into_iter().any(|it| it.type_ == kind::IDENTITIES_SEALED);
            told.then(|| Finding::unknown(kind::IDENTITIES_SEALED, "NotReached", "SES was not reached"))
        }
    }
}

fn healthy(record: &AccountRecord) -> Finding {
    match (record.enforcement.as_str(), record.sending) {
        ("SHUTDOWN", _) => Finding::no(
            kind::HEALTHY,
            "Shutdown",
            "AWS paused all sending of the account: answer the case in AWS Support",
        ),
        ("PROBATION", _) => Finding::no(
            kind::HEALTHY,
            "UnderReview",
            "AWS has the account under review: answer the case in AWS Support",
        ),
        (_, false) => Finding::no(kind::HEALTHY, "SendingPaused", "the account-wide switch is off in SES"),
        (_, true) => Finding::yes(kind::HEALTHY, "Healthy", "SES has nothing against the account"),
    }
}

fn identities(object: &SendingAccount, observed: &Observed) -> Vec<IdentityStatus> {
    let status = |identity: &crate::api::account::Identity| {
        let listed = observed.inventory.identities.get(&Identity::new(identity.name.clone()));
        let message = match listed {
            None => Some(format!(
                "{} does not exist in SES: create and verify it there",
                shown(&identity.name)
            )),
            Some(listed) if !listed.verified => Some(format!("{} is not verified in SES", shown(&identity.name))),
            Some(_) => None,
        };
        let (sealed, unsealed) = observed.seals.of(&identity.name);
        IdentityStatus {
            name: shown(&identity.name),
            verified: listed.is_some_and(|listed| listed.verified),
            sealed,
            message: message.or(unsealed),
        }
    };
    object.spec.identities.iter().map(status).collect()
}

/// An identity as a status shows it: of an address only the domain.
fn shown(identity: &str) -> String {
    identity
        .split_once('@')
        .map_or_else(|| identity.to_owned(), |(_, domain)| format!("a mailbox at {domain}"))
}

fn build_status(object: &SendingAccount, observed: Option<&Observed>, findings: Vec<Finding>) -> SendingAccountStatus {
    let before = object.status.clone().unwrap_or_default();
    let now = Time(clock::now());
    let conditions = merge(&before.conditions, findings, object.metadata.generation, &now);
    let Some(observed) = observed else {
        return SendingAccountStatus {
            observed_generation: object.metadata.generation,
            conditions,
            ..before
        };
    };
    let record = &observed.record;
    let own = crate::ses::name::cluster_prefix(&object.spec.cluster_id);
    let sets = observed
        .inventory
        .sets
        .iter()
        .filter(|name| name.starts_with(&own))
        .count();
    SendingAccountStatus {
        observed_generation: object.metadata.generation,
        conditions,
        account_id: Some(observed.account.arns.account_id.clone()),
        quota: Some(quota(record)),
        enforcement_status: Some(record.enforcement.clone()),
        sandbox: Some(!record.production),
        sending_enabled: Some(record.sending),
        identities: identities(object, observed),
        ceilings_per_day: before.ceilings_per_day,
        seals: observed.seals.standing.clone(),
        configuration_sets: u32::try_from(sets).ok(),
        last_observed: Some(now),
    }
}

#[allow(clippy::cast_possible_truncation)] // SES's counts of recipients are whole numbers far below 2^53.
fn quota(record: &AccountRecord) -> Quota {
    Quota {
        max24_hours: record.max_24_hours as i64,
        max_per_second: record.max_per_second,
        sent_last24_hours: record.sent_24_hours as i64,
    }
}

/// Writes the status where more than the time of the look has changed.
pub(super) async fn write_status(
    context: &Context,
    object: &SendingAccount,
    status: &SendingAccountStatus,
) -> Result<(), Error> {
    let at_this_look = |before: &SendingAccountStatus| SendingAccountStatus {
        last_observed: status.last_observed.clone(),
        ..before.clone()
    };
    let before = object.status.as_ref().map(at_this_look);
    let api: Api<SendingAccount> = Api::all(context.client.clone());
    let written = status_write::write_status(context, &api, &object.name_any(), before.as_ref(), status).await?;
    written
        .iter()
        .for_each(|written| context.written_accounts.put(written, &context.world.accounts));
    Ok(())
}
