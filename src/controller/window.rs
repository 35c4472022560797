//! The window controller: where each window stands, to the second, kept as a record.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;

use super::{context::Context, error::Error, publish::compiled, world::Key};
use crate::{
    api::{
        MANAGER, MailWindow, MailWindowStatus, Parsed,
        condition::{Finding, kind, merge},
        window::WindowPhase,
    },
    clock,
    metrics::OfKind,
    policy::windows::Verdict,
};

/// Reconciles one window.
pub fn reconcile(window: Arc<Parsed<MailWindow>>, context: Arc<Context>) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let key = Key::of(&*window);
        let Parsed::Readable(object) = &*window else {
            return Ok(Action::await_change());
        };
        let compiled = compiled(&context, &key.namespace, Some(&object.spec.policy_ref.name)).await?;
        let Some(verdict) = compiled.windows.get(&key.name) else {
            return Ok(Action::await_change());
        };
        let status = build_status(object, verdict);
        let changed = object.status.as_ref().and_then(|before| before.phase) != status.phase;
        write(&context, object, &status).await?;
        if changed {
            context
                .events
                .normal(object, verdict.reason, verdict.message.clone())
                .await;
        }
        let now = clock::now();
        Ok(compiled
            .next_change
            .map_or_else(Action::await_change, |at| Action::requeue(clock::until(at, now))))
    }
    .boxed()
}

fn build_status(object: &MailWindow, verdict: &Verdict) -> MailWindowStatus {
    let before = object.status.clone().unwrap_or_default();
    let now = Time(clock::now());
    let refused = verdict.phase == WindowPhase::Refused;
    let finding = |kind, status| Finding {
        kind,
        status: Some(status),
        reason: verdict.reason,
        message: verdict.message.clone(),
    };
    let mut findings = vec![finding(kind::READY, !refused)];
    if refused {
        findings.push(finding(kind::STALLED, true));
    }
    let opened = before
        .opened
        .clone()
        .or_else(|| (verdict.phase == WindowPhase::Open).then(|| now.clone()));
    MailWindowStatus {
        observed_generation: object.metadata.generation,
        phase: Some(verdict.phase),
        message: Some(verdict.message.clone()),
        opened,
        conditions: merge(&before.conditions, findings, object.metadata.generation, &now),
    }
}

async fn write(context: &Context, object: &MailWindow, status: &MailWindowStatus) -> Result<(), Error> {
    if object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": MailWindow::api_version(&()), "kind": MailWindow::kind(&()),
        "metadata": {"name": object.name_any()}, "status": status,
    });
    let api: Api<MailWindow> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    api.patch_status(
        &object.name_any(),
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(&patch),
    )
    .await?;
    context
        .metrics
        .api_writes
        .get_or_create(&OfKind { kind: "MailWindow" })
        .inc();
    Ok(())
}
