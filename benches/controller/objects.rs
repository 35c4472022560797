//! The objects of a run: one account, one guardrail, and policies with every option in namespaces of their own.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, api::PostParams};
use mail_policy_operator::api::MailPolicy;
use serde_json::json;

use crate::Result;

/// Creations at once: the API server is busy and the bench does not wait for single answers.
const AT_ONCE: usize = 32;

/// The account and its guardrail.
pub(crate) fn platform(endpoint: &str, calls_per_second: u32) -> String {
    // A burst of one second's calls: the bench does not begin with a gift.
    format!(
        r#"
apiVersion: mailpolicy.dev/v1alpha1
kind: SendingAccount
metadata: {{name: primary}}
spec:
  region: us-east-1
  clusterId: bench
  endpointUrl: {endpoint}
  identities: [{{name: example.com}}]
  apiBudget: {{perSecond: {calls_per_second}, burst: {calls_per_second}}}
  feedback: {{destination: {{sns: {{topicArn: "arn:aws:sns:us-east-1:111122223333:feedback"}}}}}}
---
apiVersion: mailpolicy.dev/v1alpha1
kind: MailGuardrail
metadata: {{name: production}}
spec:
  namespaceSelector: {{matchLabels: {{env: production}}}}
  accountRef: {{name: primary}}
  maxMode: Live
  ceilings: {{recipients: ["50/s", "100000/d"]}}
  ses: {{pools: [dedicated]}}
"#
    )
}

/// The namespace of a policy by its number.
pub(crate) fn namespace(number: u32) -> String {
    format!("team-{number:05}")
}

/// Creates these policies, each in a namespace of its own.
pub(crate) async fn create(client: &Client, numbers: std::ops::Range<u32>) -> Result<()> {
    let (first, count) = (numbers.start, numbers.len());
    stream::iter(numbers)
        .map(|number| create_one(client.clone(), number))
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |number| {
            if (number - first + 1).is_multiple_of(1000) {
                eprintln!("  {} of {count} namespaces with a policy", number - first + 1);
            }
            Ok(())
        })
        .await
}

async fn create_one(client: Client, number: u32) -> Result<u32> {
    let name = namespace(number);
    let object: Namespace =
        serde_json::from_value(json!({"metadata": {"name": name, "labels": {"env": "production"}}}))?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &object).await?;
    let policies: Api<MailPolicy> = Api::namespaced(client, &name);
    policies.create(&PostParams::default(), &policy()?).await?;
    Ok(number)
}

/// Every group of options that a configuration set has.
fn policy() -> Result<MailPolicy> {
    let policy = json!({
        "apiVersion": "mailpolicy.dev/v1alpha1",
        "kind": "MailPolicy",
        "metadata": {"name": "default"},
        "spec": {
            "mode": "Live",
            "senders": ["*@example.com"],
            "ceilings": {"recipients": ["20/s", "50000/d"], "newRecipients": ["5/s"], "perRecipient": ["10/h"]},
            "suppression": {"type": "Only", "only": ["Bounce", "Complaint"], "scope": "Account", "validation": "High"},
            "ses": {
                "tls": "Require",
                "maxDelivery": "1h",
                "pool": "dedicated",
                "reputationMetrics": true,
                "tracking": {"redirectDomain": "click.example.com", "https": "Require"},
                "vdm": {"engagementMetrics": true, "optimizedSharedDelivery": true},
                "archive": {"arn": "arn:aws:ses:us-east-1:111122223333:mailmanager-archive/a-bench0000000000000000000"},
                "smime": "Detached",
            },
            "deletionPolicy": "Delete",
        },
    });
    Ok(serde_json::from_value(policy)?)
}
