//! What one MailSuppression puts on SES's lists, and takes off again.

use std::{collections::BTreeSet, sync::Arc};

use kube::{Api, Resource, core::PartialObjectMeta};

use super::{
    accounts::Account,
    context::Context,
    desired::{ses_reason, tenant_name},
    error::Error,
    finalizer::Finalizer,
    policy::account_exists,
    record::{self, Record},
    world::Key,
};
use crate::{
    api::{MailSuppression, Parsed, guardrail::SuppressionScope},
    policy::{CompiledNamespace, suppressions::Entries},
    ses::{
        address::Address,
        apply::apply,
        budget::Priority,
        desired::{DesiredEntries, SuppressionList},
        plan::plan_entries,
    },
};

/// Keeps a suppression until what it put on SES's lists is taken off.
pub(super) const FINALIZER: Finalizer = Finalizer {
    name: "mailpolicy.dev/ses",
    kind: "MailSuppression",
};

/// The metadata of a namespace's suppressions.
pub(super) fn metadata(context: &Context, namespace: &str) -> Api<PartialObjectMeta<MailSuppression>> {
    Api::namespaced(context.client.clone(), namespace)
}

/// What shall stand on SES's lists, what a guardrail keeps from it, and what it waits for.
#[derive(Default)]
pub(super) struct Wish {
    /// What shall stand.
    pub record: Record,
    /// What of the spec is not done, and why.
    pub clamps: Vec<String>,
    /// Whether anything of it may belong on SES's lists.
    pub wants_lists: bool,
    /// The tenant on whose list entries shall stand does not stand itself yet.
    pub lacks_tenant: bool,
}

/// What became of a wish.
pub(super) enum Outcome {
    /// SES's lists stand as wished.
    Stands,
    /// The account cannot be reached yet, or is not known.
    AccountWaits,
    /// Something was refused or not answered; it is tried again.
    Failed(Error),
}

/// The account of the namespace, once it was reached and listed.
pub(super) fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    let account = context.accounts.get(&namespace.account.as_ref()?.value)?;
    account.inventory().is_some().then_some(account)
}

/// The spec's entries and releases, as far as the guardrails and the account let them reach.
pub(super) fn wish(
    object: &MailSuppression,
    namespace: &CompiledNamespace,
    account: Option<&Account>,
    entries: &Entries,
) -> Wish {
    let mut wish = Wish::default();
    let allowed = namespace.bounds.scopes();
    let asked: BTreeSet<SuppressionScope> = object.spec.scopes.iter().copied().collect();
    for scope in asked.difference(&allowed) {
        wish.clamps.push(format!(
            "scope {scope:?} is not used: the guardrails of this namespace do not allow it"
        ));
    }
    let releases = !object.spec.release.is_empty();
    if releases && !namespace.bounds.may_release() {
        wish.clamps
            .push("release is not done: the guardrails of this namespace do not allow it".to_owned());
    }
    let scopes = asked.intersection(&allowed);
    wish.wants_lists = scopes.clone().any(|scope| *scope != SuppressionScope::Sidecar);
    let Some(account) = account else { return wish };
    let own_namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let tenant = tenant_name(&account.spec, own_namespace);
    let mut lists = Vec::new();
    for scope in scopes {
        match (scope, &tenant) {
            (SuppressionScope::Sidecar, _) => {}
            (SuppressionScope::Account, _) => lists.push(SuppressionList::Account),
            (SuppressionScope::Tenant, None) => wish
                .clamps
                .push("scope Tenant is not used: the SendingAccount isolates by configuration set".to_owned()),
            (SuppressionScope::Tenant, Some(tenant)) if account.has_tenant(tenant.as_str()) => {
                lists.push(SuppressionList::Tenant(tenant.clone()));
            }
            (SuppressionScope::Tenant, Some(_)) => wish.lacks_tenant = true,
        }
    }
    let record = &mut wish.record;
    for list in &lists {
        let place = |address: &str| (list.clone(), Address::new(address));
        if releases && namespace.bounds.may_release() {
            record
                .released
                .extend(object.spec.release.iter().map(|text| place(text)));
        }
        let listed = entries.addresses();
        record
            .listed
            .extend(listed.map(|(address, reason)| (place(&address.to_string()), ses_reason(reason))));
    }
    let released = &record.released;
    record.listed.retain(|place, _| !released.contains(place));
    record.account = (!record.is_empty()).then(|| account.name.clone());
    wish
}

/// Makes SES's lists stand as wished, and says what stands by this suppression then. Without an account nothing can be
/// changed, and nothing that stands is forgotten.
///
/// # Errors
/// What the API server refused. What SES refused is an outcome.
pub(super) async fn settle(
    context: &Context,
    key: &Key,
    object: &impl Resource<DynamicType = ()>,
    account: Option<&Account>,
    wish: &Wish,
) -> Result<(usize, Outcome), Error> {
    let before = match record::read(&context.client, key).await {
        Err(error @ Error::RecordUnreadable) => return Ok((0, Outcome::Failed(error))),
        before => before?,
    };
    let standing = before.listed.len();
    let Some(account) = account else {
        let nothing = before.is_empty() && !wish.wants_lists;
        return Ok((
            standing,
            if nothing {
                Outcome::Stands
            } else {
                Outcome::AccountWaits
            },
        ));
    };
    let wish = &wish.record;
    let before = match &before.account {
        Some(former) if *former != account.name => match take_off(context, key, former, before.clone()).await {
            Ok(true) => Record::default(),
            Ok(false) => return Ok((standing, Outcome::AccountWaits)),
            Err(error) => return failed(standing, error),
        },
        _ => before,
    };
    if before == *wish && !context.lists_in_doubt.contains(key) {
        return Ok((standing, Outcome::Stands));
    }
    if !wish.is_empty() {
        let api = metadata(context, &key.namespace);
        FINALIZER.add(context, &api, object).await?;
    }
    match change(context, key, account, &before, wish).await {
        Ok(()) => Ok((wish.listed.len(), Outcome::Stands)),
        Err(error) => failed(standing, error),
    }
}

fn failed(standing: usize, error: Error) -> Result<(usize, Outcome), Error> {
    match error {
        Error::Kube(_) => Err(error),
        error => Ok((standing, Outcome::Failed(error))),
    }
}

/// Takes off everything that the suppression put on any list; `false` where the account cannot be reached yet. Needs no
/// valid spec.
pub(super) async fn clear(context: &Context, key: &Key, object: &Parsed<MailSuppression>) -> Result<bool, Error> {
    let before = record::read(&context.client, key).await?;
    let Some(account) = before.account.clone() else {
        return Ok(true);
    };
    if !account_exists(context, &account) {
        let note = format!(
            "its SendingAccount is gone: {} entries stay on SES's lists",
            before.listed.len()
        );
        context.events.warning(object, "LeftInSES", note).await;
    }
    take_off(context, key, &account, before).await
}

/// Takes off what stands in an account; `false` where it cannot be reached yet. What stands in one that is gone stays.
async fn take_off(context: &Context, key: &Key, account: &str, before: Record) -> Result<bool, Error> {
    match context.accounts.get(account) {
        Some(account) => change(context, key, &account, &before, &Record::default()).await?,
        None if account_exists(context, account) => return Ok(false),
        None => record::write(&context.client, key, &Record::default()).await?,
    }
    Ok(true)
}

/// Turns what stands into what is wished; what may stand is recorded before the first call and after the last.
async fn change(context: &Context, key: &Key, account: &Account, before: &Record, wish: &Record) -> Result<(), Error> {
    record::write(&context.client, key, &before.or(wish)).await?;
    let desired = difference(context, key, account, before, wish).await?;
    let DesiredEntries {
        listed,
        released,
        retired,
    } = &desired;
    let concerned: BTreeSet<_> = listed.keys().chain(released).chain(retired).cloned().collect();
    let observed = account.reader(Priority::SpecChange).entries(concerned).await?;
    let plan = plan_entries(&desired, &observed);
    apply(&plan, &*account.ses, &account.budget, Priority::SpecChange).await?;
    record::write(&context.client, key, wish).await?;
    context.lists_in_doubt.remove(key);
    Ok(())
}

async fn difference(
    context: &Context,
    key: &Key,
    account: &Account,
    before: &Record,
    wish: &Record,
) -> Result<DesiredEntries, Error> {
    let doubted = before.under_way || context.lists_in_doubt.contains(key);
    let differs = |place: &(SuppressionList, Address)| {
        doubted || before.listed.get(place) != wish.listed.get(place) || before.released.contains(place)
    };
    let mut retired: BTreeSet<_> = before
        .listed
        .keys()
        .filter(|place| !wish.listed.contains_key(*place))
        .cloned()
        .collect();
    if !retired.is_empty() {
        let namespaces = who_may_claim(context, key, &retired);
        let claims = record::claims(&context.client, key, &account.name, &namespaces).await?;
        retired.retain(|place| !claims.contains(place));
    }
    let listed = wish.listed.iter().filter(|(place, _)| differs(place));
    Ok(DesiredEntries {
        listed: listed.map(|(place, reason)| (place.clone(), *reason)).collect(),
        released: wish
            .released
            .iter()
            .filter(|place| before.under_way || !before.released.contains(*place))
            .cloned()
            .collect(),
        retired,
    })
}

/// The namespaces whose suppressions may want an entry, too: of a tenant's list only the own one.
fn who_may_claim(context: &Context, key: &Key, retired: &BTreeSet<(SuppressionList, Address)>) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::from([key.namespace.clone()]);
    if retired.iter().any(|(list, _)| *list == SuppressionList::Account) {
        let reaches = |other: &Key| {
            let object = context.world.suppressions.get(other);
            // One that cannot be read may have put something there before.
            object.is_some_and(|object| {
                object
                    .readable()
                    .is_none_or(|object| object.spec.scopes.contains(&SuppressionScope::Account))
            })
        };
        let others = context.world.suppressions.keys().into_iter().filter(reaches);
        namespaces.extend(others.map(|other| other.namespace));
    }
    namespaces
}
