//! The life of one policy.

use std::collections::BTreeSet;

use kube::Api;
use mail_policy_operator::api::MailPolicy;
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_becomes_a_configuration_set_and_a_sidecar_configuration_and_goes_again() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "life").await;
    let guardrail = GUARDRAIL.replace("maxMode: Live\n  window", "maxMode: Restricted\n  window");
    stage.apply(&[ACCOUNT, &guardrail, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.mode_is("default", "Restricted").await;
    let message = stage.policy_says("default", "Clamped", "True BoundedByGuardrail").await;
    assert_eq!(
        message,
        format!("mode: asked Live, in force Restricted (MailGuardrail/{})", stage.name)
    );
    assert_eq!(
        stage.write_names(),
        ["CreateConfigurationSet", "CreateConfigurationSetEventDestination"]
    );
    let config = stage.published_mode_is("default", "Restricted").await;
    assert!(config.contains("- example.com"), "{config}");

    // One option that differs costs one call.
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.ses().reset_calls();
    let tls = json!({"spec": {"ses": {"tls": "Require"}}});
    stage.patch(&policies, "default", tls).await;
    let look = async || match stage.policy("default").await.status.unwrap().observed_generation {
        Some(2) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage.wait("the change is observed", look).await;
    assert_eq!(stage.write_names(), ["PutConfigurationSetDeliveryOptions"]);

    stage.ses().reset_calls();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;
    let wanted = [
        "PutConfigurationSetSendingOptions",
        "DeleteConfigurationSetEventDestination",
        "DeleteConfigurationSet",
    ];
    assert_eq!(stage.write_names(), wanted);
    assert_eq!(stage.sets(), BTreeSet::new());
}
