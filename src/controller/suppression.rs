//! The suppression controller: puts entries on SES's lists, as far as the guardrails let it, and takes them off again.
//!
//! The sidecar's part, the hashes, is published with the namespace's configuration.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{Api, Resource, ResourceExt, runtime::controller::Action};

use super::{
    context::Context,
    error::{Error, is_conflict},
    lists::{self, FINALIZER, OnLists, Outcome, Settled, Wish},
    publish::{Published, compiled},
    status_write::write_status,
    suppressed::{self, List},
    world::Key,
};
use crate::{
    api::{
        Address, MailSuppression, MailSuppressionStatus, Parsed,
        condition::{Finding, is_true, kind, merge},
    },
    clock,
    policy::{
        suppressions::{ENTRIES_MAX, Entries},
        terms::SpecError,
    },
    ses::error::Retry,
};

/// Reconciles one suppression.
pub fn reconcile(
    suppression: Arc<Parsed<MailSuppression>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*suppression);
        let suppression = context
            .written_suppressions
            .of(suppression, &context.world.suppressions);
        if suppression.meta().deletion_timestamp.is_some() {
            return leave(&context, &key, &suppression).await;
        }
        let Parsed::Readable(object) = &*suppression else {
            return Ok(Action::await_change());
        };
        let namespace = compiled(&context, &key.namespace, None).await?;
        let account = lists::account(&context, &namespace);
        let now = clock::now();
        // The sidecar's hashes begin and end with an entry, whatever SES says.
        let published = context.publisher.publish(&context, &key.namespace).await;
        let entries = read_entries(&context, object, published.as_ref()).await;
        let accepted = accepted(&entries);
        let in_force = entries.as_ref().map(|entries| entries.at(now)).unwrap_or_default();
        let wish = lists::wish(object, &namespace, account.as_deref(), &in_force);
        let next_expiry = entries.as_ref().ok().and_then(|entries| entries.next_expiry(now));
        let entries_in_force = entries.as_ref().ok().map(|_| in_force.len());
        let on_lists = OnLists {
            context: &context,
            key: &key,
            object,
        };
        let Settled { standing, outcome } = match entries {
            Ok(_) => on_lists.settle(account.as_deref(), &wish).await,
            // What cannot be read changes nothing: what stands stays.
            Err(unread) => Settled::unchanged(&context, &key)
                .await
                .unless_refused(unread.refused()),
        }
        .unless_refused(published.err());
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
        let api: Api<MailSuppression> = Api::namespaced(context.client.clone(), &key.namespace);
        let written = write_status(&context, &api, &key.name, object.status.as_ref(), &status).await?;
        written
            .iter()
            .for_each(|written| context.written_suppressions.put(written, &context.world.suppressions));
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
    let on_lists = OnLists {
        context,
        key,
        object: suppression,
    };
    match on_lists.clear().await {
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

/// The entries of the spec and of the Secret's key, where they fit the namespace.
async fn read_entries(
    context: &Context,
    object: &MailSuppression,
    published: Result<&Published, &Error>,
) -> Result<Entries, Unread> {
    let releases = unreadable_releases(object);
    if !releases.is_empty() {
        return Err(Unread::Wrong(releases));
    }
    let list = match &object.spec.from_secret {
        Some(_) => suppressed::list(context, &object.namespace().unwrap_or_default()).await,
        None => Ok(List::default()),
    };
    let entries = suppressed::read(&object.spec, &list.map_err(Unread::Refused)?).map_err(Unread::Wrong)?;
    if published.is_ok_and(|published| published.left_out.contains(&object.name_any())) {
        let message = format!(
            "they do not fit beside those of the namespace's other MailSuppressions: mend what cannot be read among them, \
             and keep all within {ENTRIES_MAX} entries (a domain is one)"
        );
        let field = "spec".to_owned();
        return Err(Unread::Wrong(vec![SpecError { field, message }]));
    }
    Ok(entries)
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
