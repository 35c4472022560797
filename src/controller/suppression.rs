//! The suppression controller: puts entries on SES's lists, as far as the guardrails let it, and takes them off again.
//!
//! The sidecar's part, the hashes, is published with the namespace's configuration.

use std::{collections::BTreeSet, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::controller::Action,
};
use serde_json::json;

use super::{
    accounts::Account,
    context::Context,
    desired::{ses_reason, tenant_name},
    error::{Error, is_not_found},
    finalizer::Finalizer,
    objects::SUPPRESSION_LIST,
    publish::compiled,
    record::{self, Record},
    world::Key,
};
use crate::{
    api::{
        MANAGER, MailSuppression, MailSuppressionStatus, Parsed,
        condition::{Finding, kind, merge},
        guardrail::SuppressionScope,
    },
    clock,
    metrics::OfKind,
    policy::{CompiledNamespace, suppressions::Entries, terms::SpecError},
    ses::{
        address::Address,
        apply::apply,
        budget::Priority,
        desired::{DesiredEntries, SuppressionList},
        plan::plan_entries,
    },
};

/// Keeps a suppression until what it put on SES's lists is taken off.
const FINALIZER: Finalizer = Finalizer {
    name: "mailpolicy.dev/ses",
    kind: "MailSuppression",
};

fn metadata(context: &Context, namespace: &str) -> Api<PartialObjectMeta<MailSuppression>> {
    Api::namespaced(context.client.clone(), namespace)
}

/// Reconciles one suppression.
pub fn reconcile(
    suppression: Arc<Parsed<MailSuppression>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*suppression);
        let Parsed::Readable(object) = &*suppression else {
            return Ok(Action::await_change());
        };
        let namespace = compiled(&context, &key.namespace, None).await?;
        let leaving = object.metadata.deletion_timestamp.is_some();
        let entries = read_entries(&context, object).await?;
        let now = clock::now();
        let in_force = entries.as_ref().map(|entries| entries.at(now)).unwrap_or_default();
        let wish = if leaving {
            Wish::default()
        } else {
            wish(&context, object, &namespace, &in_force)
        };
        // What cannot be read changes nothing: what stands stays.
        let applied = match &entries {
            Ok(_) => settle(&context, &key, object, &namespace, &wish.record).await?,
            Err(_) if leaving => settle(&context, &key, object, &namespace, &wish.record).await?,
            Err(_) => record::read(&context.client, &key).await?,
        };
        if leaving {
            FINALIZER
                .remove(&context, &metadata(&context, &key.namespace), object)
                .await?;
            return Ok(Action::await_change());
        }
        let next_expiry = entries.as_ref().ok().and_then(|entries| entries.next_expiry(now));
        let status = MailSuppressionStatus {
            observed_generation: object.metadata.generation,
            conditions: conditions(object, entries.as_ref().err(), &wish),
            entries: u32::try_from(in_force.len()).ok(),
            applied: u32::try_from(applied.listed.len()).ok(),
            next_expiry: next_expiry.map(Time),
        };
        write_status(&context, object, &status).await?;
        // The sidecar's hashes end with the entry, too.
        context.queues.namespaces.push(Key {
            namespace: String::new(),
            name: key.namespace,
        });
        Ok(next_expiry.map_or_else(Action::await_change, |at| Action::requeue(clock::until(at, now))))
    }
    .boxed()
}

/// What shall stand on SES's lists, and what a guardrail keeps from it.
#[derive(Default)]
struct Wish {
    record: Record,
    clamps: Vec<String>,
}

/// The spec's entries and releases, as far as the guardrails and the account let them reach.
fn wish(context: &Context, object: &MailSuppression, namespace: &CompiledNamespace, entries: &Entries) -> Wish {
    let mut clamps = Vec::new();
    let allowed = namespace.bounds.scopes();
    let asked: BTreeSet<SuppressionScope> = object.spec.scopes.iter().copied().collect();
    for scope in asked.difference(&allowed) {
        clamps.push(format!(
            "scope {scope:?} is not used: the guardrails of this namespace do not allow it"
        ));
    }
    let account = account(context, namespace);
    let tenant = account
        .as_ref()
        .and_then(|account| tenant_name(&account.spec, &object.namespace().unwrap_or_default()));
    if asked.contains(&SuppressionScope::Tenant) && account.is_some() && tenant.is_none() {
        clamps.push("scope Tenant is not used: the SendingAccount isolates by configuration set".to_owned());
    }
    let lists: Vec<SuppressionList> = asked
        .intersection(&allowed)
        .filter_map(|scope| match scope {
            SuppressionScope::Sidecar => None,
            SuppressionScope::Account => Some(SuppressionList::Account),
            SuppressionScope::Tenant => tenant.clone().map(SuppressionList::Tenant),
        })
        .collect();
    let mut record = Record::default();
    for list in &lists {
        for (address, reason) in entries.addresses() {
            let place = (list.clone(), Address::new(&address.to_string()));
            record.listed.insert(place, ses_reason(reason));
        }
        if namespace.bounds.may_release() {
            record.released.extend(
                object
                    .spec
                    .release
                    .iter()
                    .map(|text| (list.clone(), Address::new(text))),
            );
        }
    }
    record.listed.retain(|place, _| !record.released.contains(place));
    if !object.spec.release.is_empty() && !namespace.bounds.may_release() {
        clamps.push("release is not done: the guardrails of this namespace do not allow it".to_owned());
    }
    Wish { record, clamps }
}

/// Makes SES's lists stand as wished; what may stand is recorded before the first call and after the last.
async fn settle(
    context: &Context,
    key: &Key,
    object: &MailSuppression,
    namespace: &CompiledNamespace,
    wish: &Record,
) -> Result<Record, Error> {
    let before = record::read(&context.client, key).await?;
    if before == *wish {
        return Ok(before);
    }
    // Without an account nothing can be changed, and nothing that stands is forgotten.
    let Some(account) = account(context, namespace) else {
        return Ok(before);
    };
    FINALIZER
        .add(context, &metadata(context, &key.namespace), object)
        .await?;
    record::write(&context.client, key, &before.or(wish)).await?;
    let differs = |place: &&(SuppressionList, Address)| {
        before.listed.get(*place) != wish.listed.get(*place) || !before.released.contains(*place)
    };
    let desired = DesiredEntries {
        listed: wish
            .listed
            .iter()
            .filter(|(place, _)| differs(place))
            .map(|(p, r)| (p.clone(), *r))
            .collect(),
        released: wish.released.difference(&before.released).cloned().collect(),
        retired: before
            .listed
            .keys()
            .filter(|place| !wish.listed.contains_key(*place))
            .cloned()
            .collect(),
    };
    let concerned: BTreeSet<_> = desired
        .listed
        .keys()
        .chain(&desired.released)
        .chain(&desired.retired)
        .cloned()
        .collect();
    let observed = account.reader(Priority::SpecChange).entries(concerned).await?;
    let plan = plan_entries(&desired, &observed);
    apply(&plan, &*account.ses, &account.budget, Priority::SpecChange).await?;
    record::write(&context.client, key, wish).await?;
    Ok(wish.clone())
}

fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    context.accounts.get(&namespace.account.as_ref()?.value)
}

/// The entries of the spec and of the Secret's key, or what of them cannot be read.
async fn read_entries(context: &Context, object: &MailSuppression) -> Result<Result<Entries, Vec<SpecError>>, Error> {
    let Some(from) = &object.spec.from_secret else {
        return Ok(Entries::read(&object.spec, None));
    };
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let data = secrets
        .get_opt(SUPPRESSION_LIST)
        .await?
        .and_then(|secret| secret.data)
        .unwrap_or_default();
    let lines = data.get(&from.key).map(|bytes| std::str::from_utf8(&bytes.0));
    let error = |message: String| {
        let field = "spec.fromSecret.key".to_owned();
        Ok(Err(vec![SpecError { field, message }]))
    };
    match lines {
        Some(Ok(lines)) => Ok(Entries::read(&object.spec, Some(lines))),
        Some(Err(_)) => error(format!("key `{}` of Secret {SUPPRESSION_LIST} is not text", from.key)),
        None => error(format!(
            "there is no Secret {SUPPRESSION_LIST} with key `{}` in this namespace",
            from.key
        )),
    }
}

fn conditions(
    object: &MailSuppression,
    errors: Option<&Vec<SpecError>>,
    wish: &Wish,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let mut findings = Vec::new();
    match errors {
        None => {
            findings.push(Finding::yes(kind::ACCEPTED, "Accepted", "every entry is understood"));
            findings.push(Finding::yes(
                kind::READY,
                "InForce",
                "what the spec asks is in force, as far as it may be",
            ));
        }
        Some(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let message = format!("what was in force before stays: {}", errors.join("; "));
            findings.extend(
                [(kind::ACCEPTED, false), (kind::READY, false), (kind::STALLED, true)].map(|(kind, status)| Finding {
                    kind,
                    status: Some(status),
                    reason: "SpecInvalid",
                    message: message.clone(),
                }),
            );
        }
    }
    findings.push(if wish.clamps.is_empty() {
        Finding::no(
            kind::CLAMPED,
            "WithinBounds",
            "nothing of the spec is bounded by a guardrail",
        )
    } else {
        Finding::yes(kind::CLAMPED, "BoundedByGuardrail", wish.clamps.join("; "))
    });
    let before = object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    merge(before, findings, object.metadata.generation, &Time(clock::now()))
}

async fn write_status(
    context: &Context,
    object: &MailSuppression,
    status: &MailSuppressionStatus,
) -> Result<(), Error> {
    if object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": MailSuppression::api_version(&()), "kind": MailSuppression::kind(&()),
        "metadata": {"name": object.name_any()}, "status": status,
    });
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<MailSuppression> = Api::namespaced(context.client.clone(), &namespace);
    match api
        .patch_status(
            &object.name_any(),
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(&patch),
        )
        .await
    {
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            context
                .metrics
                .api_writes
                .get_or_create(&OfKind {
                    kind: "MailSuppression",
                })
                .inc();
            Ok(())
        }
    }
}
