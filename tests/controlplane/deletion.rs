//! What goes, and what stays until it may go.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use mail_policy_operator::{
    api::{MailPolicy, SendingAccount},
    simulator::Operation,
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

/// As many as one namespace hardly ever has.
const MANY: usize = 300;

async fn empty(prefix: &str) -> Stage<'static> {
    Stage::empty(&Installation::shared().await.control_plane, prefix).await
}

async fn set(prefix: &str) -> Stage<'static> {
    Stage::set(&Installation::shared().await.control_plane, prefix).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_goes_only_when_nobody_uses_it() {
    let stage = set("in-use").await;
    let accounts = stage.accounts();
    stage.delete(&accounts, &stage.name).await;

    let message = stage.account_says("InUse", "True StillNamed").await;

    let (guardrail, policy) = (
        format!("MailGuardrail {}", stage.name),
        format!("MailPolicy {}/default", stage.name),
    );
    assert!(message.contains(&guardrail) && message.contains(&policy), "{message}");
    // Until then it does its work.
    let policies: Api<MailPolicy> = stage.namespaced();
    stage
        .patch(&policies, "default", json!({"spec": {"mode": "Capture"}}))
        .await;
    stage.set_is(false).await;

    stage.delete(&policies, "default").await;
    stage.sets_are(0).await;
    let look = async || {
        let status = accounts
            .get(&stage.name)
            .await
            .map_err(|e| e.to_string())?
            .status
            .unwrap_or_default();
        let in_use = status
            .conditions
            .iter()
            .find(|it| it.type_ == "InUse")
            .map(|it| it.message.clone());
        match in_use {
            Some(message) if message.contains(&guardrail) && !message.contains("MailPolicy") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    stage.wait("only the guardrail uses it", look).await;
    stage.delete(&stage.guardrails(), &stage.name).await;
    stage.gone(&accounts, &stage.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_nobody_uses_goes_at_once_even_if_ses_refuses_us() {
    let stage = empty("unused").await;
    stage.ses().deny(Operation::ALL.iter().copied());
    stage.apply(ACCOUNT).await;
    let accounts: Api<SendingAccount> = stage.accounts();
    let look = async || match accounts
        .get(&stage.name)
        .await
        .map_err(|e| e.to_string())?
        .metadata
        .finalizers
    {
        Some(finalizers) if !finalizers.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("it is held", look).await;

    stage.delete(&accounts, &stage.name).await;

    stage.gone(&accounts, &stage.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_moves_to_another_account_leaves_nothing_that_sends() {
    for (policy, left) in [("Delete", 0), ("Retain", 1)] {
        let stage = set("moves").await;
        let policies: Api<MailPolicy> = stage.namespaced();
        stage
            .patch(&policies, "default", json!({"spec": {"deletionPolicy": policy}}))
            .await;
        let target = empty("moves-to").await;
        target.apply(ACCOUNT).await;
        target.account_says("Ready", "True Reached").await;

        let moved = json!({"spec": {"accountRef": {"name": target.name}}});
        stage.patch(&stage.guardrails(), &stage.name, moved).await;

        target.sets_are(1).await;
        let look = async || match stage.policy("default").await.status.unwrap().account {
            Some(account) if account == target.name => Ok(()),
            other => Err(format!("{other:?}")),
        };
        stage.wait("the policy is under the other account", look).await;
        stage.policy_says("default", "Ready", "True InForce").await;
        assert!(target.only_set().1);
        assert_eq!(stage.sets().len(), left, "{policy}");
        if left == 1 {
            assert!(!stage.only_set().1, "the set of the account before can still send");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_policies_deleted_at_once_go_with_their_sets() {
    let stage = empty("many").await;
    let policies: String = (0..MANY)
        .map(|number| POLICY.replace("name: default", &format!("name: p{number}")))
        .collect();
    stage.apply(&[ACCOUNT, GUARDRAIL, &policies].concat()).await;
    stage.sets_are(MANY).await;
    let api: Api<MailPolicy> = stage.namespaced();

    api.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();

    let look = async || {
        let left = api
            .list_metadata(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        if left.items.is_empty() {
            Ok(())
        } else {
            Err(format!("{} are left", left.items.len()))
        }
    };
    stage.wait("all are gone", look).await;
    assert!(stage.sets().is_empty());
    let effects = stage.effects();
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
    let look = async || match stage.config_of(&stage.name).await {
        Some(config) if config.contains("policies: []") => Ok(()),
        other => Err(format!("{:.200}", other.unwrap_or_default())),
    };
    stage.wait("the configuration has no policy left", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_deleted_whole_ends_and_takes_its_sets_along() {
    let stage = set("whole").await;
    stage.apply(&POLICY.replace("name: default", "name: receipts")).await;
    stage.sets_are(2).await;
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());

    stage.delete(&namespaces, &stage.name).await;

    stage.gone(&namespaces, &stage.name).await;
    assert!(stage.sets().is_empty(), "{:?}", stage.sets());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_retained_is_switched_off_and_taken_back_by_the_same_name() {
    let stage = set("retained").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    stage
        .patch(&policies, "default", json!({"spec": {"deletionPolicy": "Retain"}}))
        .await;
    let (name, _) = stage.only_set();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;
    assert_eq!(stage.only_set(), (name.clone(), false));

    stage.apply(POLICY).await;

    stage.policy_says("default", "Ready", "True InForce").await;
    assert_eq!(stage.only_set(), (name, true));
}

/// A person makes the only set the default of the account's identity.
fn make_default(stage: &Stage<'_>) {
    let (set, _) = stage.only_set();
    let body = json!({"ConfigurationSetName": set});
    let operation = Operation::PutEmailIdentityConfigurationSetAttributes;
    stage.behind(operation, &["example.com"], &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_an_identitys_default_stays_switched_off_and_an_event_says_so() {
    let stage = set("default-set").await;
    make_default(&stage);
    let policies: Api<MailPolicy> = stage.namespaced();

    stage.delete(&policies, "default").await;

    stage.gone(&policies, "default").await;
    assert!(!stage.only_set().1);
    let note = stage.event(&stage.name, "MailPolicy", "DefaultOfIdentities").await;
    assert!(note.contains("was not deleted"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_an_identitys_default_is_not_made_anew_until_it_is_none() {
    let stage = set("default-anew").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let only = json!({"spec": {"suppression": {"type": "Only", "only": ["Bounce"]}}});
    stage.patch(&policies, "default", only).await;
    let overrides = async || {
        stage.ses().with_account(|account| {
            let mut sets = account.sets.values();
            let overrides = sets.next().is_some_and(|set| set.options.suppression_options.is_some());
            overrides.then_some(()).ok_or_else(|| "it inherits".to_owned())
        })
    };
    stage.wait("it overrides the suppression", overrides).await;
    make_default(&stage);
    stage.ses().reset_calls();

    let anew = json!({
        "metadata": {"annotations": {"mailpolicy.dev/recreate-configuration-set": "true"}},
        "spec": {"suppression": null},
    });
    stage.patch(&policies, "default", anew).await;

    let message = stage
        .policy_says("default", "Programmed", "False DefaultOfIdentities")
        .await;
    assert!(message.contains("1 of the account's identities"), "{message}");
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}
