//! An account that is being deleted stays while somebody uses it: what was made through it can be removed through it
//! alone.

use kube::ResourceExt;

use super::world::{Key, World};
use crate::api::{MailGuardrail, MailPolicy, Parsed};

/// How many users a message names.
const NAMED: usize = 5;

/// Who uses an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Users(Vec<String>);

impl Users {
    /// Guardrails that name the account, and policies that are under it or have left something in it.
    pub fn of(world: &World, account: &str) -> Self {
        let guardrails = world.guardrails.within("").into_iter();
        let guardrails = guardrails
            .filter(|guardrail| names(guardrail, account))
            .map(|guardrail| format!("MailGuardrail {}", guardrail.name_any()));
        let policies = world.policies.keys().into_iter().filter(|key| {
            let policy = world.policies.get(key);
            policy
                .as_ref()
                .and_then(|policy| policy.readable())
                .is_some_and(|policy| is_under(policy, account))
        });
        let policies = policies.map(|key: Key| format!("MailPolicy {key}"));
        Self(guardrails.chain(policies).collect())
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who they are, and what is to be done.
    pub fn message(&self) -> String {
        let named = self.0.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = match self.0.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("it goes once nobody uses it: let go of it in {named}{more}")
    }
}

/// An unreadable guardrail that may name the account does.
fn names(guardrail: &Parsed<MailGuardrail>, account: &str) -> bool {
    match guardrail {
        Parsed::Readable(guardrail) => guardrail
            .spec
            .account_ref
            .as_ref()
            .is_some_and(|named| named.name == account),
        Parsed::Unreadable(unreadable) => unreadable
            .spec
            .pointer("/accountRef/name")
            .is_some_and(|named| named == account),
    }
}

fn is_under(policy: &MailPolicy, account: &str) -> bool {
    policy.status.as_ref().is_some_and(|status| {
        let left = status
            .ses
            .as_ref()
            .is_some_and(|ses| ses.account == account && !ses.applied.is_empty());
        left || status.account.as_deref() == Some(account)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn policy(status: &serde_json::Value) -> MailPolicy {
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailPolicy",
            "metadata": {"name": "default", "namespace": "shop"}, "spec": {"mode": "Live"}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_policy_uses_the_account_it_is_under_and_the_one_in_which_it_left_something() {
        let left = |applied: &serde_json::Value| json!({"ses": {"account": "old", "configurationSet": "s", "region": "r", "applied": applied}});
        assert!(is_under(&policy(&json!({"account": "new"})), "new"));
        assert!(!is_under(&policy(&json!({"account": "new"})), "old"));
        assert!(is_under(&policy(&left(&json!({"sending": "off"}))), "old"));
        assert!(!is_under(&policy(&left(&json!({}))), "old"));
    }

    #[test]
    fn an_unreadable_guardrail_uses_the_account_that_it_names() {
        let guardrail = |account: &str| {
            serde_json::from_value(json!({
                "metadata": {"name": "g"}, "spec": {"maxMode": "Everything", "accountRef": {"name": account}},
            }))
            .unwrap()
        };
        assert!(names(&guardrail("a"), "a") && !names(&guardrail("b"), "a"));
    }

    #[test]
    fn a_message_names_few_and_counts_the_others() {
        let users = Users((1..=7).map(|number| format!("MailPolicy n/{number}")).collect());
        let message = users.message();
        assert!(message.ends_with("MailPolicy n/5 and 2 more"), "{message}");
    }
}
