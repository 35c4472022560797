//! What somebody changes in SES behind the operator's back: put right and told of, unless it is a pause.

use kube::Api;
use mail_policy_operator::{
    api::MailPolicy,
    simulator::{Operation, state::ConfigurationSet},
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

async fn set(prefix: &str) -> Stage<'static> {
    Stage::set(&Installation::shared().await.control_plane, prefix).await
}

/// Waits until the only set looks so.
async fn set_looks(stage: &Stage<'_>, what: &str, looks: impl Fn(&ConfigurationSet) -> bool) {
    let look = async || {
        let set = stage
            .ses()
            .with_account(|account| account.sets.values().next().cloned());
        match set {
            Some(set) if looks(&set) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    stage.wait(what, look).await;
}

/// The reader's and the listings' own counter of what they found.
async fn drifts(what: &str) -> u64 {
    let log = Installation::shared().await.log();
    let line = log.lines().find(|line| line.contains("serving /livez")).unwrap();
    let port: String = line
        .split_once("127.0.0.1:")
        .unwrap()
        .1
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let text = reqwest::get(format!("http://127.0.0.1:{port}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let of_what = format!("what=\"{what}\"}} ");
    let line = text
        .lines()
        .find(|line| line.contains("drift") && line.contains(&of_what));
    line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_somebody_changed_is_put_right_and_told_of_until_the_next_look_finds_nothing() {
    let stage = set("option").await;
    let (name, _) = stage.only_set();
    let before = drifts("changed").await;
    stage.ses().reset_calls();

    let tls = json!({"TlsPolicy": "REQUIRE"});
    stage.behind(Operation::PutConfigurationSetDeliveryOptions, &[&name], &tls);

    let message = stage.policy_says("default", "Drifted", "True Corrected").await;
    assert!(message.contains("changed") && message.contains("delivery"), "{message}");
    let note = stage.event(&stage.name, "MailPolicy", "Drifted").await;
    assert_eq!(note, message);
    assert!(drifts("changed").await > before);
    stage.policy_says("default", "Ready", "True InForce").await;
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions"]);

    let look = async || {
        let conditions = stage.policy("default").await.status.unwrap().conditions;
        match conditions.iter().find(|condition| condition.type_ == "Drifted") {
            None => Ok(()),
            Some(drifted) => Err(format!("{drifted:?}")),
        }
    };
    stage.wait("the next look finds nothing", look).await;
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_destination_that_somebody_deleted_comes_back() {
    let stage = set("destination").await;
    let (name, _) = stage.only_set();
    let feedback = stage.ses().with_account(|account| {
        let set = &account.sets[&name];
        set.destinations.keys().next().unwrap().clone()
    });
    stage.ses().reset_calls();

    let operation = Operation::DeleteConfigurationSetEventDestination;
    stage.behind(operation, &[&name, &feedback], &json!({}));

    set_looks(&stage, "it is there again", |set| {
        set.destinations.contains_key(&feedback)
    })
    .await;
    let note = stage.event(&stage.name, "MailPolicy", "Drifted").await;
    assert!(note.contains(&feedback), "{note}");
    assert_eq!(stage.write_names(), ["CreateConfigurationSetEventDestination"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_must_not_send_and_was_switched_on_is_switched_off() {
    let stage = set("switched").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let capture = json!({"spec": {"mode": "Capture"}});
    stage.patch(&policies, "default", capture).await;
    stage.set_is(false).await;
    stage
        .policy_says("default", "SendingEnabled", "False ModeDoesNotSend")
        .await;
    let (name, _) = stage.only_set();
    stage.ses().reset_calls();

    let on = json!({"SendingEnabled": true});
    stage.behind(Operation::PutConfigurationSetSendingOptions, &[&name], &on);

    let note = stage.event(&stage.name, "MailPolicy", "Drifted").await;
    assert!(note.contains("switch sending off"), "{note}");
    stage.set_is(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_somebody_paused_is_left_paused_until_it_is_switched_on_in_ses() {
    let stage = set("paused").await;
    let (name, _) = stage.only_set();
    stage.ses().reset_calls();
    let switch = |on: bool| {
        let body = json!({"SendingEnabled": on});
        stage.behind(Operation::PutConfigurationSetSendingOptions, &[&name], &body);
    };

    switch(false);

    let message = stage
        .policy_says("default", "SendingEnabled", "False PausedInSES")
        .await;
    assert!(message.contains("switch it on there"), "{message}");
    stage.published_mode_is("default", "Paused").await;
    stage.policy_says("default", "Ready", "True InForce").await;
    // A change meanwhile rolls out, and does not end the pause.
    let policies: Api<MailPolicy> = stage.namespaced();
    let tls = json!({"spec": {"ses": {"tls": "Require"}}});
    stage.patch(&policies, "default", tls).await;
    let look = async || match stage.policy("default").await.status.unwrap().observed_generation {
        Some(2) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the change is observed", look).await;
    stage
        .policy_says("default", "SendingEnabled", "False PausedInSES")
        .await;
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions"]);
    assert!(!stage.only_set().1);

    switch(true);

    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    stage.published_mode_is("default", "Live").await;
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions"]);
}

/// Operators of their own, that list rarely.
const RARELY: [&str; 2] = ["--list-every", "10m"];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_guardrail_costs_no_call_to_ses() {
    let installation = Installation::exclusive().await;
    let _operator = installation.replica_with("replica-a", &RARELY).unwrap();
    let stage = Stage::empty(&installation.control_plane, "rarely").await;
    stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.account_says("Ready", "True Reached").await;
    stage.ses().reset_calls();

    for ceiling in ["7/h", "8/h", "9/h"] {
        let bounded = json!({"spec": {"ceilings": {"recipients": [ceiling]}}});
        stage.patch(&stage.guardrails(), &stage.name, bounded).await;
        stage.config_holds(ceiling).await;
    }

    let calls = stage.ses().calls_after(0, 100);
    assert!(calls.is_empty(), "{calls:?}");

    // A change of the account itself is looked at.
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&stage.accounts(), &stage.name, touched).await;
    let look = async || match stage.ses().calls_after(0, 100).len() {
        0 => Err("no call".to_owned()),
        _ => Ok(()),
    };
    stage.wait("the account is looked at", look).await;
}
