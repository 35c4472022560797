//! The window controller: where each window stands, to the second, kept as a record.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt, runtime::controller::Action};

use super::{context::Context, error::Error, publish::compiled, status_write::write_status, world::Key};
use crate::{
    api::{
        MailWindow, MailWindowStatus, Parsed,
        condition::{Finding, kind, merge},
        policy::{POLICY_WINDOWS_MAX, PolicyWindow},
        window::WindowPhase,
    },
    clock,
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
        let api: Api<MailWindow> = Api::namespaced(context.client.clone(), &key.namespace);
        write_status(&context, &api, &key.name, object.status.as_ref(), &status).await?;
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

/// The windows of one policy, in short: open and scheduled ones first, then the latest of the others.
pub(super) fn of_policy(context: &Context, policy: &Key, verdicts: &BTreeMap<String, Verdict>) -> Vec<PolicyWindow> {
    let windows = context.world.windows.within(&policy.namespace);
    let in_short = |window: &Arc<Parsed<MailWindow>>| {
        let window = window.readable()?;
        let verdict = verdicts.get(window.metadata.name.as_ref()?)?;
        (window.spec.policy_ref.name == policy.name).then(|| PolicyWindow {
            name: window.name_any(),
            mode: window.spec.mode,
            from: window.spec.from.clone(),
            until: window.spec.until.clone(),
            phase: verdict.phase,
        })
    };
    let (mut shown, mut past): (Vec<_>, Vec<_>) = windows
        .iter()
        .filter_map(in_short)
        .partition(|window| matches!(window.phase, WindowPhase::Open | WindowPhase::Scheduled));
    shown.sort_by(|one, two| one.from.cmp(&two.from));
    past.sort_by(|one, two| two.until.cmp(&one.until));
    shown.append(&mut past);
    shown
        .into_iter()
        .zip(0..POLICY_WINDOWS_MAX)
        .map(|(window, _)| window)
        .collect()
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
