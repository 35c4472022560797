//! Windows: to the second, and never more than was allowed.

use std::time::Duration;

use jiff::Timestamp;
use kube::Api;
use mail_policy_operator::{api::MailPolicy, simulator::Operation};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, Stage};

/// A clock's second, an API server's round trip and a busy machine.
const ON_TIME: Duration = Duration::from_secs(3);

const RESTRICTED: &str = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailPolicy
metadata: {name: default, namespace: STAGE}
spec: {mode: Capture, deletionPolicy: Delete}
---
";

async fn stage(prefix: &str) -> Stage<'static> {
    let stage = Stage::empty(&Installation::shared().await.control_plane, prefix).await;
    stage.apply(&[ACCOUNT, GUARDRAIL, RESTRICTED].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.mode_is("default", "Capture").await;
    stage
}

fn window(name: &str, from: Timestamp, until: Timestamp) -> String {
    format!(
        "apiVersion: mailpolicy.dev/v1alpha1\nkind: MailWindow\nmetadata: {{name: {name}, namespace: STAGE}}\n\
         spec: {{policyRef: {{name: default}}, mode: Live, from: \"{from:.0}\", until: \"{until:.0}\", reason: test}}\n---\n"
    )
}

#[expect(clippy::disallowed_methods, reason = "windows are about the time of day")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn after(seconds: i64) -> Timestamp {
    let at = Timestamp::from_second(now().as_second()).unwrap();
    at + jiff::SignedDuration::from_secs(seconds)
}

/// The windows in the policy's status.
async fn windows_of_policy(stage: &Stage<'_>) -> Vec<String> {
    let windows = stage.policy("default").await.status.unwrap_or_default().windows;
    let shown = windows.iter().map(|window| {
        let (from, until) = (window.from.0, window.until.0);
        format!(
            "{} {} {from:.0} {until:.0} {:?}",
            window.name, window.mode, window.phase
        )
    });
    shown.collect()
}

async fn policy_shows(stage: &Stage<'_>, wanted: &[String]) {
    let look = async || {
        let windows = windows_of_policy(stage).await;
        (windows == wanted).then_some(()).ok_or(format!("{windows:?}"))
    };
    stage.wait(&format!("the policy shows {wanted:?}"), look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_opens_and_closes_on_the_second() {
    let stage = stage("window").await;
    assert!(!stage.only_set().1);
    assert!(!stage.published_mode_is("default", "Capture").await.contains("then:"));
    let (from, until) = (after(4), after(9));
    stage.ses().reset_calls();
    stage.apply(&window("bulk", from, until)).await;
    stage.window_says("bulk", "Ready", "True NotYet").await;
    // Before: a window that has not opened is in no configuration.
    let before = stage.published_mode_is("default", "Capture").await;
    assert!(!before.contains("Live") && !stage.only_set().1, "{before}");

    stage.set_is(true).await;
    let config = stage.published_mode_is("default", "Live").await;
    let seen = now();
    assert!(seen >= from, "it opened at {seen}, before {from}");
    assert!(
        seen.duration_since(from).unsigned_abs() < ON_TIME,
        "it opened at {seen}, long after {from}"
    );
    assert!(
        config.contains("then:") && config.contains("mode: Capture") && config.contains(&format!("{until:.0}")),
        "{config}"
    );
    stage.window_says("bulk", "Ready", "True Open").await;
    let shown = format!("bulk Live {from:.0} {until:.0}");
    policy_shows(&stage, &[format!("{shown} Open")]).await;

    stage.published_mode_is("default", "Capture").await;
    stage.set_is(false).await;
    let seen = now();
    assert!(seen >= until, "it closed at {seen}, before {until}");
    assert!(
        seen.duration_since(until).unsigned_abs() < ON_TIME,
        "it closed at {seen}, long after {until}"
    );
    stage.window_says("bulk", "Ready", "True Over").await;
    policy_shows(&stage, &[format!("{shown} Closed")]).await;
    stage.mode_is("default", "Capture").await;
    let switch = Operation::PutConfigurationSetSendingOptions.name();
    assert_eq!(stage.write_names(), [switch, switch]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_makes_a_chain_too_long_is_refused_and_the_earlier_stands() {
    let stage = stage("chain").await;
    stage.apply(&window("first", after(600), after(600 + 3 * 3600))).await;
    stage.window_says("first", "Ready", "True NotYet").await;

    stage
        .apply(&window("second", after(7200), after(7200 + 3 * 3600)))
        .await;

    let message = stage.window_says("second", "Ready", "False TooLong").await;
    assert!(message.contains("with the windows it touches"), "{message}");
    stage.window_says("second", "Stalled", "True TooLong").await;
    // One that overlaps within the bound stands.
    stage.apply(&window("third", after(900), after(7200))).await;
    stage.window_says("third", "Ready", "True NotYet").await;
    stage.window_says("first", "Ready", "True NotYet").await;
    let look = async || {
        let windows = windows_of_policy(&stage).await;
        let phases: Vec<&str> = windows
            .iter()
            .filter_map(|window| window.split(' ').next_back())
            .collect();
        (phases == ["Scheduled", "Scheduled", "Refused"])
            .then_some(())
            .ok_or(format!("{windows:?}"))
    };
    stage.wait("the policy shows its windows in order", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_too_long_or_over_is_refused_and_opens_nothing() {
    let stage = stage("hopeless").await;
    stage.ses().reset_calls();
    let hopeless = [
        window("long", after(-5), after(5 * 3600)),
        window("past", after(-7200), after(-3600)),
    ];
    stage.apply(&hopeless.concat()).await;

    let message = stage.window_says("long", "Ready", "False TooLong").await;
    assert!(message.contains("choose an earlier until"), "{message}");
    let message = stage.window_says("past", "Ready", "False InThePast").await;
    assert!(message.contains("make a new one"), "{message}");
    stage.mode_is("default", "Capture").await;
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_bounded_by_its_guardrails_and_closes_when_they_allow_none() {
    let stage = stage("bounded").await;
    let restricted = json!({"spec": {"window": {"maxMode": "Restricted", "maxDuration": "4h"}, "maxMode": "Capture"}});
    stage.patch(&stage.guardrails(), &stage.name, restricted).await;
    stage.apply(&window("bulk", after(-1), after(1800))).await;
    stage.mode_is("default", "Restricted").await;
    stage.set_is(true).await;

    stage
        .patch(&stage.guardrails(), &stage.name, json!({"spec": {"window": null}}))
        .await;

    stage.window_says("bulk", "Ready", "False NotAllowed").await;
    stage.mode_is("default", "Capture").await;
    stage.set_is(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_window_that_is_shortened_or_deleted_closes_at_once() {
    let stage = stage("short").await;
    stage.apply(&window("bulk", after(-1), after(1800))).await;
    stage.mode_is("default", "Live").await;
    stage.set_is(true).await;
    let windows: Api<mail_policy_operator::api::MailWindow> = stage.namespaced();
    let earlier = json!({"spec": {"until": format!("{:.0}", after(0))}});
    stage.patch(&windows, "bulk", earlier).await;
    stage.set_is(false).await;
    stage.window_says("bulk", "Ready", "True Over").await;

    stage.apply(&window("again", after(-1), after(1800))).await;
    stage.set_is(true).await;
    stage.delete(&windows, "again").await;
    stage.set_is(false).await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let status = policies.get("default").await.unwrap().status.unwrap();
    assert!(
        status
            .conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.status == "True")
    );
}
