//! Seals: identities whose default set cannot send.

use mail_policy_operator::{
    api::condition::is_true,
    simulator::{CallRecord, Effect, Fault, Operation},
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

fn sealed(sealed: bool) -> String {
    ACCOUNT.replace(
        "{name: example.com}",
        &format!("{{name: example.com, sealed: {sealed}}}"),
    )
}

/// The default set of the identity, and whether that set can send.
fn default_set(stage: &Stage<'_>) -> Option<(String, bool)> {
    stage.ses().with_account(|account| {
        let name = account.identities["example.com"].configuration_set.clone()?;
        let sends = account.sets[&name].sending_enabled();
        Some((name, sends))
    })
}

/// Waits until the status calls the identity sealed or not, and returns what it says besides.
async fn identity_is(stage: &Stage<'_>, sealed: bool) -> Option<String> {
    let look = async || {
        let account = stage.account().await;
        let status = account.status.unwrap_or_default();
        match status.identities.first() {
            Some(identity)
                if identity.sealed == sealed && status.observed_generation == account.metadata.generation =>
            {
                Ok(identity.message.clone())
            }
            _ => Err(format!("{:?}", status.identities)),
        }
    };
    stage.wait(&format!("sealed is {sealed}"), look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_identity_has_a_default_set_that_cannot_send_until_it_is_unsealed() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "sealed").await;
    stage.apply(&sealed(true)).await;

    assert_eq!(identity_is(&stage, true).await, None);
    let (set, sends) = default_set(&stage).unwrap();
    assert!(!sends);

    // Somebody switches the sealed set on: it would seal nothing.
    let on = json!({"SendingEnabled": true});
    stage.behind(Operation::PutConfigurationSetSendingOptions, &[&set], &on);
    stage.set_is(false).await;

    stage.apply(&sealed(false)).await;
    identity_is(&stage, false).await;
    assert_eq!(default_set(&stage), None);

    // An identity that is no longer the account's is given back, too.
    stage.apply(&sealed(true)).await;
    identity_is(&stage, true).await;
    stage
        .ses()
        .with_account(|account| account.put_identity("example.org", true));
    stage.apply(&ACCOUNT.replace("example.com", "example.org")).await;
    let look = async || match default_set(&stage) {
        None => Ok(()),
        Some(set) => Err(format!("{set:?}")),
    };
    stage.wait("the identity is given back", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_set_that_somebody_chose_is_replaced_only_with_a_consent_that_names_it() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "chosen").await;
    let theirs = json!({"ConfigurationSetName": "theirs"});
    stage.behind(Operation::CreateConfigurationSet, &[], &theirs);
    let operation = Operation::PutEmailIdentityConfigurationSetAttributes;
    stage.behind(operation, &["example.com"], &theirs);
    stage.apply(&sealed(true)).await;

    let message = identity_is(&stage, false).await.unwrap();

    assert!(message.contains("take-over-from: theirs"), "{message}");
    assert_eq!(default_set(&stage), Some(("theirs".to_owned(), true)));

    let consent = |word: &str| json!({"metadata": {"annotations": {"mailpolicy.dev/take-over-from": word}}});
    stage.patch(&stage.accounts(), &stage.name, consent("theirs")).await;
    assert_eq!(identity_is(&stage, true).await, None);
    let (name, sends) = default_set(&stage).unwrap();
    assert!(name != "theirs" && !sends, "{name}");
}

/// The account with these identities.
fn with_identities(identities: &str) -> String {
    ACCOUNT.replace("{name: example.com}", identities)
}

/// The identities that have a default set.
fn with_defaults(stage: &Stage<'_>) -> Vec<String> {
    stage.ses().with_account(|account| {
        let sealed = account
            .identities
            .iter()
            .filter(|(_, it)| it.configuration_set.is_some());
        sealed.map(|(name, _)| name.clone()).collect()
    })
}

/// Waits until exactly these identities have a default set.
async fn defaults_are(stage: &Stage<'_>, wanted: &[&str]) {
    let look = async || {
        let found = with_defaults(stage);
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    };
    stage.wait(&format!("{wanted:?} have a default set"), look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_at_one_domain_are_sealed_and_given_back_each_for_itself_and_the_status_names_none() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "mailboxes").await;
    for name in ["one@example.net", "two@example.net"] {
        stage.ses().with_account(|account| account.put_identity(name, true));
    }
    let both = "{name: one@example.net, sealed: true}, {name: two@example.net, sealed: true}";
    stage.apply(&with_identities(both)).await;
    stage.account_says("IdentitiesSealed", "True Sealed").await;
    defaults_are(&stage, &["one@example.net", "two@example.net"]).await;

    let opened = "{name: one@example.net}, {name: two@example.net, sealed: true}";
    stage.apply(&with_identities(opened)).await;
    defaults_are(&stage, &["two@example.net"]).await;

    // An address that leaves the spec.
    stage
        .apply(&with_identities("{name: one@example.net, sealed: true}"))
        .await;
    defaults_are(&stage, &["one@example.net"]).await;

    let look = async || {
        let account = stage.account().await;
        let status = account.status.unwrap_or_default();
        match &status.seals[..] {
            [seal] if !seal.under_way => Ok(format!("{status:?}")),
            other => Err(format!("{other:?}")),
        }
    };
    let status = stage.wait("one seal is remembered", look).await;
    assert!(!status.contains("one@") && !status.contains("two@"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_that_ses_refuses_is_told_of_and_keeps_nothing_else_from_going_on() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "refused-seal").await;
    let put = Operation::PutEmailIdentityConfigurationSetAttributes;
    stage.ses().deny([put]);
    stage.apply(&[&sealed(true), GUARDRAIL, POLICY].concat()).await;

    let message = stage.account_says("IdentitiesSealed", "False AccessDenied").await;

    assert!(message.contains("control role"), "{message}");
    stage.policy_says("default", "Ready", "True InForce").await;
    let shown = identity_is(&stage, false).await.unwrap();
    assert!(shown.contains("control role"), "{shown}");
    let status = stage.accounts().get(&stage.name).await.unwrap().status.unwrap();
    assert!(is_true(&status.conditions, "Ready"), "{status:?}");
    assert!(status.quota.is_some() && status.identities[0].verified, "{status:?}");

    // What passes by itself is tried again by itself.
    let fails = Fault {
        operation: Some(put),
        ..Fault::next_calls(Effect::Error { status: 500 }, 2)
    };
    stage.ses().arm(fails).unwrap();
    stage.ses().deny([]);
    stage.account_says("IdentitiesSealed", "True Sealed").await;
    assert!(!default_set(&stage).unwrap().1);
    assert_eq!(stage.ses().faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_a_seal_no_call_and_the_sealed_set_is_read_before_another_identity_is_sealed() {
    let installation = Installation::exclusive().await;
    let arguments = ["--list-every", "10m", "--read-every", "1h"];
    let operator = installation.replica_with("replica-a", &arguments).unwrap();
    let stage = Stage::empty(&installation.control_plane, "seal-restart").await;
    stage
        .ses()
        .with_account(|account| account.put_identity("example.org", true));
    let two = "{name: example.com, sealed: true}, {name: example.org}";
    stage.apply(&with_identities(two)).await;
    stage.account_says("IdentitiesSealed", "True Sealed").await;
    drop(operator);
    stage.ses().reset_calls();

    let operator = installation.replica_with("replica-a", &arguments).unwrap();

    let lists = |call: &CallRecord| call.operation == Operation::ListEmailIdentities;
    let listed = async |times: usize| {
        let look = async || {
            let calls = stage.ses().calls_after(0, 100);
            let enough = calls.iter().filter(|call| lists(call)).count() >= times;
            enough.then_some(()).ok_or_else(|| format!("{calls:?}"))
        };
        stage.wait(&format!("SES is listed {times} times"), look).await;
    };
    listed(1).await;
    // The next look begins when the one after the start is over.
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&stage.accounts(), &stage.name, touched).await;
    listed(2).await;
    let calls = stage.ses().calls_after(0, 100);
    let again = calls.iter().rposition(lists).unwrap();
    let read = calls[..again]
        .iter()
        .filter(|call| call.operation.name().starts_with("GetE"));
    assert_eq!(read.count(), 0, "{calls:?}");
    assert_eq!(stage.write_names(), Vec::<&str>::new());
    drop(operator);

    // While the operator is away somebody switches the sealed set on, and the spec seals another identity.
    let (set, _) = default_set(&stage).unwrap();
    let on = json!({"SendingEnabled": true});
    stage.behind(Operation::PutConfigurationSetSendingOptions, &[&set], &on);
    stage
        .apply(&with_identities(
            &two.replace("example.org", "example.org, sealed: true"),
        ))
        .await;
    stage.ses().reset_calls();
    let _operator = installation.replica_with("replica-a", &arguments).unwrap();

    defaults_are(&stage, &["example.com", "example.org"]).await;
    assert_eq!(
        stage.write_names(),
        [
            "PutConfigurationSetSendingOptions",
            "PutEmailIdentityConfigurationSetAttributes"
        ]
    );
    assert!(!default_set(&stage).unwrap().1);
}
