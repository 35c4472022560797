//! Seals: identities whose default set cannot send.

use mail_policy_operator::simulator::Operation;
use serde_json::json;

use crate::installation::{ACCOUNT, Installation, Stage};

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
        let account = stage
            .accounts()
            .get(&stage.name)
            .await
            .map_err(|error| error.to_string())?;
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
