//! The suppression controller: puts entries on SES's lists, as far as the guardrails let it, and takes them off again.
//!
//! The sidecar's part, the hashes, is published with the namespace's configuration.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;

use super::{
    context::Context,
    error::{Error, is_conflict, is_not_found},
    lists::{self, FINALIZER, Outcome, Settled, Wish},
    objects::SUPPRESSION_LIST,
    publish::compiled,
    world::Key,
};
use crate::{
    api::{
        Address, MANAGER, MailSuppression, MailSuppressionStatus, Parsed,
        condition::{Finding, is_true, kind, merge},
    },
    clock,
    metrics::OfKind,
    policy::{suppressions::Entries, terms::SpecError},
    ses::error::Retry,
};

/// Reconciles one suppression.
pub fn reconcile(
    suppression: Arc<Parsed<MailSuppression>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*suppression);
        let suppression = context.written_suppressions.of(suppression);
        // The sidecar's hashes end with an entry, whatever SES says.
        context.queues.namespaces.push(Key {
            namespace: String::new(),
            name: key.namespace.clone(),
        });
        if suppression.meta().deletion_timestamp.is_some() {
            return leave(&context, &key, &suppression).await;
        }
        let Parsed::Readable(object) = &*suppression else {
            return Ok(Action::await_change());
        };
        let namespace = compiled(&context, &key.namespace, None).await?;
        let account = lists::account(&context, &namespace);
        let now = clock::now();
        let entries = read_entries(&context, object).await;
        let accepted = accepted(&entries);
        let in_force = entries.as_ref().map(|entries| entries.at(now)).unwrap_or_default();
        let wish = lists::wish(object, &namespace, account.as_deref(), &in_force);
        let next_expiry = entries.as_ref().ok().and_then(|entries| entries.next_expiry(now));
        let entries_in_force = entries.as_ref().ok().map(|_| in_force.len());
        let Settled { standing, outcome } = match entries {
            Ok(_) => lists::settle(&context, &key, object, account.as_deref(), &wish).await,
            // What cannot be read changes nothing: what stands stays.
            Err(unread) => Settled::unchanged(&context, &key)
                .await
                .unless_refused(unread.refused()),
        };
        let outcome = match outcome {
            Outcome::Failed(error) if is_conflict(&error) => return Err(error),
            outcome => outcome,
        };
        let before = object.status.clone().unwrap_or_default();
        let status = MailSuppressionStatus {
            observed_generation: object.metadata.generation,
            conditions: conditions(object, accepted, &wish, &outcome),
            entries: entries_in_force.map_or(before.entries, |count| u32::try_from(count).ok()),
            applied: u32::try_from(standing).ok(),
            next_expiry: next_expiry.map(Time),
        };
        write_status(&context, object, &status).await?;
        match outcome {
            Outcome::Failed(error) => Err(error),
            Outcome::MoreWaits => Ok(Action::requeue(Duration::ZERO)),
            Outcome::Stands | Outcome::AccountWaits => {
                Ok(next_expiry.map_or_else(Action::await_change, |at| Action::requeue(clock::until(at, now))))
            }
        }
    }
    .boxed()
}

/// The suppression goes: what it put on SES's lists is taken off, then it is let go. Needs no valid spec.
async fn leave(context: &Context, key: &Key, suppression: &Parsed<MailSuppression>) -> Result<Action, Error> {
    if !FINALIZER.is_on(suppression) {
        return Ok(Action::await_change());
    }
    match lists::clear(context, key, suppression).await {
        Ok(Outcome::Stands) => {
            let api = lists::metadata(context, &key.namespace);
            FINALIZER.remove(context, &api, suppression).await?;
            Ok(Action::await_change())
        }
        Ok(Outcome::MoreWaits) => Ok(Action::requeue(Duration::ZERO)),
        // Once the account is listed all suppressions are looked at.
        Ok(Outcome::AccountWaits) => Ok(Action::await_change()),
        Ok(Outcome::Failed(error)) | Err(error) => {
            // Also one that cannot be read shows its Events.
            let note = format!("its entries are not off SES's lists: {error}");
            context.events.warning(suppression, error.reason(), note).await;
            Err(error)
        }
    }
}

/// Why the entries are not known.
enum Unread {
    /// They are wrong.
    Wrong(Vec<SpecError>),
    /// The API server did not show them.
    Refused(Error),
}

impl Unread {
    fn refused(self) -> Option<Error> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Wrong(_) => None,
        }
    }
}

/// The entries of the spec and of the Secret's key.
async fn read_entries(context: &Context, object: &MailSuppression) -> Result<Entries, Unread> {
    let releases = unreadable_releases(object);
    if !releases.is_empty() {
        return Err(Unread::Wrong(releases));
    }
    let Some(from) = &object.spec.from_secret else {
        return Entries::read(&object.spec, None).map_err(Unread::Wrong);
    };
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let data = secrets
        .get_opt(SUPPRESSION_LIST)
        .await
        .map_err(|error| Unread::Refused(error.into()))?
        .and_then(|secret| secret.data)
        .unwrap_or_default();
    let lines = data.get(&from.key).map(|bytes| std::str::from_utf8(&bytes.0));
    let error = |message: String| {
        let field = "spec.fromSecret.key".to_owned();
        Err(Unread::Wrong(vec![SpecError { field, message }]))
    };
    match lines {
        Some(Ok(lines)) => Entries::read(&object.spec, Some(lines)).map_err(Unread::Wrong),
        Some(Err(_)) => error(format!("key `{}` of Secret {SUPPRESSION_LIST} is not text", from.key)),
        None => error(format!(
            "there is no Secret {SUPPRESSION_LIST} with key `{}` in this namespace",
            from.key
        )),
    }
}

/// The addresses to release that are none, by their place.
fn unreadable_releases(object: &MailSuppression) -> Vec<SpecError> {
    let error = |(index, text): (usize, &String)| {
        let error = Address::parse(text).err()?;
        Some(SpecError {
            field: format!("spec.release[{index}]"),
            message: error.to_string(),
        })
    };
    object.spec.release.iter().enumerate().filter_map(error).collect()
}

fn accepted(entries: &Result<Entries, Unread>) -> Finding {
    match entries {
        Ok(_) => Finding::yes(kind::ACCEPTED, "Accepted", "every entry is understood"),
        Err(Unread::Wrong(errors)) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let message = format!("what was in force before stays: {}", errors.join("; "));
            Finding::no(kind::ACCEPTED, "SpecInvalid", message)
        }
        Err(Unread::Refused(error)) => Finding::unknown(kind::ACCEPTED, error.reason(), error.to_string()),
    }
}

fn conditions(object: &MailSuppression, accepted: Finding, wish: &Wish, outcome: &Outcome) -> Vec<Condition> {
    let before = object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let programmed = programmed(wish, outcome, is_true(before, kind::PROGRAMMED));
    let broken = [&accepted, &programmed]
        .into_iter()
        .find(|finding| finding.status != Some(true))
        .cloned();
    let mut findings = vec![accepted, programmed, clamped(wish)];
    match broken {
        None => findings.push(Finding::yes(
            kind::READY,
            "InForce",
            "what the spec asks is in force, as far as it may be",
        )),
        Some(broken) => {
            let stalled = (broken.kind == kind::ACCEPTED && broken.status == Some(false))
                || matches!(outcome, Outcome::Failed(error) if error.retry() == Retry::UserMustMend);
            let progress = if stalled { kind::STALLED } else { kind::RECONCILING };
            let same = |kind, status| Finding {
                kind,
                status: Some(status),
                ..broken.clone()
            };
            findings.extend([same(kind::READY, false), same(progress, true)]);
        }
    }
    merge(before, findings, object.metadata.generation, &Time(clock::now()))
}

/// Whether SES's lists stand as the spec asks, as far as it may.
fn programmed(wish: &Wish, outcome: &Outcome, before: bool) -> Finding {
    match outcome {
        Outcome::Stands if wish.lacks_tenant => Finding::no(
            kind::PROGRAMMED,
            "TenantMissing",
            "the namespace's tenant is made with its first MailPolicy: entries for its list wait for that",
        ),
        Outcome::Stands if wish.wanted.is_empty() => {
            Finding::yes(kind::PROGRAMMED, "SidecarOnly", "nothing of it belongs on SES's lists")
        }
        Outcome::Stands => Finding::yes(kind::PROGRAMMED, "Programmed", "SES's lists stand as the spec asks"),
        Outcome::MoreWaits => Finding::no(
            kind::PROGRAMMED,
            "UnderWay",
            "SES's lists change a batch at a time, and others wait: see `applied`",
        ),
        // Once programmed, throttling does not take it away.
        Outcome::Failed(error) if before && error.retry() == Retry::AfterThrottling => {
            Finding::yes(kind::PROGRAMMED, "ChangeWaits", error.to_string())
        }
        Outcome::Failed(error) => Finding::no(kind::PROGRAMMED, error.reason(), error.to_string()),
        Outcome::AccountWaits if before => Finding::yes(
            kind::PROGRAMMED,
            "AccountWaits",
            "SES's lists were left as the spec asked; the account is being read",
        ),
        Outcome::AccountWaits => Finding::no(
            kind::PROGRAMMED,
            "AccountWaits",
            "the namespace's SendingAccount is missing or not ready: see its conditions",
        ),
    }
}

fn clamped(wish: &Wish) -> Finding {
    if wish.clamps.is_empty() {
        Finding::no(
            kind::CLAMPED,
            "WithinBounds",
            "nothing of the spec is bounded by a guardrail",
        )
    } else {
        Finding::yes(kind::CLAMPED, "BoundedByGuardrail", wish.clamps.join("; "))
    }
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
        Ok(written) => {
            context.written_suppressions.put(&written);
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
