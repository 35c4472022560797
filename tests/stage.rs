//! Stages for tests: each has a namespace, an account with a simulator, and a guardrail of its own, so that tests share
//! one operator and do not meet.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    time::Duration,
};

use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use mail_policy_operator::{
    api::{MailGuardrail, MailPolicy, MailSuppression, MailWindow, SendingAccount},
    policy::SidecarConfig,
    simulator::{Admin, CallRecord, Config, Limit, Operation, Running, Simulator, state::ConfigurationSet},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::{ControlPlane, eventually};

/// What people wait for at most in these tests.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// A namespace, an account with its simulator, and names for a guardrail: all of them are called [`Stage::name`].
pub struct Stage<'a> {
    /// The API server.
    pub control_plane: &'a ControlPlane,
    /// A client that belongs to the test's runtime.
    pub client: Client,
    /// SES.
    pub simulator: Running,
    /// The name of the namespace, the account and the guardrail.
    pub name: String,
}

/// An account. In all texts `STAGE` stands for the stage's name, `ENDPOINT` for SES.
pub const ACCOUNT: &str = r#"
apiVersion: mailpolicy.dev/v1alpha1
kind: SendingAccount
metadata: {name: STAGE}
spec:
  region: us-east-1
  clusterId: test
  endpointUrl: ENDPOINT
  identities: [{name: example.com}]
  apiBudget: {perSecond: 10000, burst: 10000}
  feedback: {destination: {sns: {topicArn: "arn:aws:sns:us-east-1:111122223333:feedback"}}}
---
"#;

/// A guardrail of the stage's namespace that bounds nothing but the recipients.
pub const GUARDRAIL: &str = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailGuardrail
metadata: {name: STAGE}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: STAGE}}
  accountRef: {name: STAGE}
  maxMode: Live
  window: {maxMode: Live, maxDuration: 4h}
  allowedDomains: [example.com]
---
";

/// A policy that sends and whose set goes with it.
pub const POLICY: &str = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailPolicy
metadata: {name: default, namespace: STAGE}
spec: {mode: Live, deletionPolicy: Delete}
---
";

impl<'a> Stage<'a> {
    /// A stage with nothing on it but an empty namespace.
    pub async fn empty(control_plane: &'a ControlPlane, prefix: &str) -> Self {
        let config = Config {
            listen: (control_plane.address(), 0).into(),
            identities: vec![("example.com".to_owned(), true)],
            limit: Limit::None,
            ..Config::default()
        };
        Self {
            name: control_plane.create_namespace(prefix, &[]).await.unwrap(),
            client: control_plane.client().await.unwrap(),
            simulator: Simulator::start(config).await.unwrap(),
            control_plane,
        }
    }

    /// A stage with an account, a guardrail that allows Live, and the policy `default` in Live, once it is in force.
    pub async fn set(control_plane: &'a ControlPlane, prefix: &str) -> Self {
        let stage = Self::empty(control_plane, prefix).await;
        stage.apply(&[ACCOUNT, GUARDRAIL, POLICY].concat()).await;
        stage.policy_says("default", "Ready", "True InForce").await;
        stage
    }

    /// Puts the stage's names into a text.
    pub fn fill(&self, text: &str) -> String {
        text.replace("STAGE", &self.name)
            .replace("ENDPOINT", &self.simulator.endpoint())
    }

    /// Applies documents, as a user would.
    pub async fn apply(&self, yaml: &str) {
        self.control_plane.apply_yaml(&self.fill(yaml)).await.unwrap();
    }

    /// The simulator from behind.
    pub fn ses(&self) -> &Admin {
        self.simulator.admin()
    }

    /// Objects of the stage's namespace.
    pub fn namespaced<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Accounts, of which the stage has one.
    pub fn accounts(&self) -> Api<SendingAccount> {
        Api::all(self.client.clone())
    }

    /// The stage's guardrail.
    pub fn guardrails(&self) -> Api<MailGuardrail> {
        Api::all(self.client.clone())
    }

    /// Merges a change into an object.
    pub async fn patch<K>(&self, api: &Api<K>, name: &str, change: Value)
    where
        K: Clone + DeserializeOwned + Debug,
    {
        api.patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    /// Deletes an object, without waiting until it is gone.
    pub async fn delete<K>(&self, api: &Api<K>, name: &str)
    where
        K: Clone + DeserializeOwned + Debug,
    {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until an object is gone.
    pub async fn gone<K>(&self, api: &Api<K>, name: &str)
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let look = async || match api.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(object)) => Err(format!("{object:?}")),
            Err(error) => Err(error.to_string()),
        };
        self.wait(&format!("{name} is gone"), look).await;
    }

    /// Waits until a look succeeds; in vain, it fails with what the operator said of the stage.
    pub async fn wait<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
        match eventually(DEADLINE, what, look).await {
            Ok(seen) => seen,
            Err(error) => panic!(
                "{error}\nthe operator said of it:\n{}\nSES was asked last:\n{}",
                self.told(),
                self.asked()
            ),
        }
    }

    /// The last lines of the operator's logs that name the stage.
    fn told(&self) -> String {
        let files = fs::read_dir(self.control_plane.folder()).unwrap();
        let logs = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("operator-"))
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let lines: Vec<String> = logs
            .flat_map(|log| {
                let text = fs::read_to_string(log).unwrap();
                text.lines().map(ToOwned::to_owned).collect::<Vec<_>>()
            })
            .filter(|line| line.contains(&self.name))
            .collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The last calls that the stage's SES was asked, with their outcomes.
    fn asked(&self) -> String {
        let calls = self.ses().calls_after(self.ses().last_call().saturating_sub(20), 20);
        let lines: Vec<String> = calls.iter().map(|call| format!("{call:?}")).collect();
        lines.join("\n")
    }

    /// Waits until a condition of a policy reads `status reason`, and returns its message.
    pub async fn policy_says(&self, name: &str, kind: &str, wanted: &str) -> String {
        let api: Api<MailPolicy> = self.namespaced();
        let conditions = |policy: MailPolicy| policy.status.map(|status| status.conditions);
        self.says(&api, name, conditions, kind, wanted).await
    }

    /// As [`Self::policy_says`], of a window.
    pub async fn window_says(&self, name: &str, kind: &str, wanted: &str) -> String {
        let api: Api<MailWindow> = self.namespaced();
        let conditions = |window: MailWindow| window.status.map(|status| status.conditions);
        self.says(&api, name, conditions, kind, wanted).await
    }

    /// As [`Self::policy_says`], of the stage's account.
    pub async fn account_says(&self, kind: &str, wanted: &str) -> String {
        let conditions = |account: SendingAccount| account.status.map(|status| status.conditions);
        self.says(&self.accounts(), &self.name, conditions, kind, wanted).await
    }

    /// As [`Self::policy_says`], of a suppression.
    pub async fn suppression_says(&self, name: &str, kind: &str, wanted: &str) -> String {
        let api: Api<MailSuppression> = self.namespaced();
        let conditions = |suppression: MailSuppression| suppression.status.map(|status| status.conditions);
        self.says(&api, name, conditions, kind, wanted).await
    }

    /// Waits for an Event of this reason that tells of an object of the stage of this kind, and returns its note.
    pub async fn event(&self, namespace: &str, kind: &str, reason: &str) -> String {
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let look = async || {
            let events = events
                .list(&ListParams::default())
                .await
                .map_err(|e| e.to_string())?
                .items;
            let about = |event: &&Event| {
                event.regarding.as_ref().is_some_and(|object| {
                    let near = object.namespace.as_ref().or(object.name.as_ref()) == Some(&self.name);
                    near && object.kind.as_deref() == Some(kind)
                })
            };
            let found = events
                .iter()
                .filter(about)
                .find(|event| event.reason.as_deref() == Some(reason));
            match found {
                Some(event) => Ok(event.note.clone().unwrap_or_default()),
                None => Err(format!(
                    "{:?}",
                    events.iter().map(|event| &event.reason).collect::<Vec<_>>()
                )),
            }
        };
        self.wait(&format!("an Event {reason} of a {kind}"), look).await
    }

    /// Does an operation of SES as somebody else would.
    pub fn behind(&self, operation: Operation, labels: &[&str], body: &Value) {
        let labels = labels.iter().map(ToString::to_string).collect();
        self.ses()
            .perform(operation, labels, "", body.to_string().as_bytes())
            .unwrap();
    }

    async fn says<K>(
        &self,
        api: &Api<K>,
        name: &str,
        conditions: impl Fn(K) -> Option<Vec<Condition>>,
        kind: &str,
        wanted: &str,
    ) -> String
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let look = async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let conditions = conditions(object).unwrap_or_default();
            let condition = conditions.iter().find(|condition| condition.type_ == kind);
            match condition {
                Some(found) if format!("{} {}", found.status, found.reason) == wanted => Ok(found.message.clone()),
                _ => Err(format!("{conditions:#?}")),
            }
        };
        self.wait(&format!("{name} says {kind} {wanted}"), look).await
    }

    /// The stage's account.
    pub async fn account(&self) -> SendingAccount {
        self.accounts().get(&self.name).await.unwrap()
    }

    /// The policy.
    pub async fn policy(&self, name: &str) -> MailPolicy {
        self.namespaced().get(name).await.unwrap()
    }

    /// Waits until the policy's effective mode is this one.
    pub async fn mode_is(&self, name: &str, wanted: &str) {
        let look = async || {
            let status = self.policy(name).await.status.unwrap_or_default();
            let mode = status.mode.map(|mode| mode.to_string());
            if mode.as_deref() == Some(wanted) {
                Ok(())
            } else {
                Err(format!("{mode:?}, {:#?}", status.conditions))
            }
        };
        self.wait(&format!("the mode of {name} is {wanted}"), look).await;
    }

    /// The text of a namespace's sidecar configuration, as it is published now.
    pub async fn config_of(&self, namespace: &str) -> Option<String> {
        let configs: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let config = configs.get_opt("mail-sidecar").await.unwrap()?;
        config.data.unwrap_or_default().remove("sidecar.yaml")
    }

    /// Waits until the sidecar configuration of the stage's namespace holds this text.
    pub async fn config_holds(&self, wanted: &str) -> String {
        let look = async || match self.config_of(&self.name).await {
            Some(config) if config.contains(wanted) => Ok(config),
            other => Err(format!("{other:?}")),
        };
        self.wait(&format!("the configuration holds {wanted:?}"), look).await
    }

    /// Waits until the sidecar configuration gives a policy this mode, and returns its text.
    pub async fn published_mode_is(&self, policy: &str, wanted: &str) -> String {
        let look = async || {
            let text = self.config_of(&self.name).await.ok_or("there is none")?;
            let config = SidecarConfig::parse(&text).map_err(|error| error.to_string())?;
            let of_policy = config.policies.iter().find(|published| published.name == policy);
            match of_policy {
                Some(published) if published.mode.to_string() == wanted => Ok(text),
                _ => Err(text),
            }
        };
        let what = format!("{policy} is {wanted} in the configuration");
        self.wait(&what, look).await
    }

    /// The names of configuration sets at SES.
    pub fn sets(&self) -> BTreeSet<String> {
        self.ses()
            .with_account(|account| account.sets.keys().cloned().collect())
    }

    /// The only configuration set at SES, and whether it may send.
    pub fn only_set(&self) -> (String, bool) {
        self.ses().with_account(|account| {
            let sets: Vec<_> = account.sets.iter().collect();
            let [(name, set)] = sets[..] else {
                panic!("{} sets", sets.len())
            };
            (name.clone(), set.sending_enabled())
        })
    }

    /// Waits until SES holds this many configuration sets.
    pub async fn sets_are(&self, wanted: usize) {
        let look = async || {
            let sets = self.sets();
            if sets.len() == wanted {
                Ok(())
            } else {
                Err(format!("{sets:?}"))
            }
        };
        self.wait(&format!("SES holds {wanted} sets"), look).await;
    }

    /// Waits until the only configuration set is switched so.
    pub async fn set_is(&self, sending: bool) {
        let look = async || {
            let switched = self.ses().with_account(|account| {
                let mut sets = account.sets.values();
                sets.next().map(ConfigurationSet::sending_enabled)
            });
            if switched == Some(sending) {
                Ok(())
            } else {
                Err(format!("{switched:?}"))
            }
        };
        self.wait(&format!("sending of the set is {sending}"), look).await;
    }

    /// Calls that ask SES for a change, oldest first.
    pub fn writes(&self) -> Vec<CallRecord> {
        let mut calls = self.ses().calls_after(0, 10_000);
        calls.retain(|call| is_write(call.operation));
        calls
    }

    /// The names of [`Self::writes`].
    pub fn write_names(&self) -> Vec<&'static str> {
        self.writes().iter().map(|call| call.operation.name()).collect()
    }

    /// How often each operation took effect on each target: a creation that took effect twice is one too many.
    pub fn effects(&self) -> BTreeMap<(&'static str, String), usize> {
        let mut effects = BTreeMap::new();
        for call in self.writes().into_iter().filter(|call| call.applied) {
            *effects.entry((call.operation.name(), call.target)).or_default() += 1;
        }
        effects
    }
}

/// Whether the operation changes something at SES.
pub fn is_write(operation: Operation) -> bool {
    let name = operation.name();
    !["Get", "List", "Assume"].iter().any(|reads| name.starts_with(reads))
}
