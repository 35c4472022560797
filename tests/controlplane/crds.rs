//! The kinds as the API server reads them: what is accepted and kept, what is refused, and how a person learns why.

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Resource};
use mail_policy_operator::api::{MailGuardrail, MailPolicy, MailSuppression, MailWindow, SendingAccount, crd};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use tokio::sync::OnceCell;

use crate::specs::{KINDS, Refusal, Tried, complete, refused};
use crate::support::{ControlPlane, Options};

/// One for the tests of this file, because half of the kinds have no namespace: an operator that another test runs would
/// take them for its own.
async fn cluster() -> &'static ControlPlane {
    static CLUSTER: OnceCell<ControlPlane> = OnceCell::const_new();
    let started = CLUSTER.get_or_try_init(|| async {
        let cluster = ControlPlane::start(Options {
            controllers: Vec::new(),
            ..Options::default()
        })
        .await?;
        cluster.apply_crds().await?;
        Ok::<_, crate::support::Error>(cluster)
    });
    started.await.unwrap()
}

#[tokio::test]
async fn every_kind_with_every_field_is_accepted_and_read_back_as_it_was_written() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("round-trip", &[]).await.unwrap();

    round_trip::<SendingAccount>(cluster, &namespace).await;
    round_trip::<MailGuardrail>(cluster, &namespace).await;
    round_trip::<MailPolicy>(cluster, &namespace).await;
    round_trip::<MailWindow>(cluster, &namespace).await;
    round_trip::<MailSuppression>(cluster, &namespace).await;
}

/// Writes a complete object with kubectl and reads it by our own type: nothing is lost on either side, and to write it
/// again changes nothing.
async fn round_trip<K>(cluster: &ControlPlane, namespace: &str)
where
    K: Resource<DynamicType = ()> + DeserializeOwned + serde::Serialize,
{
    let kind = K::kind(&());
    // Some kinds have no namespace: the name keeps tests apart.
    let written = object(&kind, namespace, namespace, &complete(&kind));
    cluster.apply_yaml(&written.to_string()).await.unwrap();

    let objects = api(cluster, &kind, namespace).await;
    let stored = objects.get(namespace).await.unwrap();
    let read: K = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again["spec"], written["spec"], "{kind}");

    let replacement: DynamicObject = serde_json::from_value(again).unwrap();
    let replaced = objects
        .replace(namespace, &PostParams::default(), &replacement)
        .await
        .unwrap();
    assert_eq!(
        replaced.metadata.resource_version, stored.metadata.resource_version,
        "{kind}"
    );
}

#[test]
fn a_complete_object_has_every_field_of_its_kind() {
    fn walk(path: &str, schema: &Value, value: &Value, missing: &mut Vec<String>) {
        for (name, child) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match value.get(name) {
                Some(value) => walk(&path, child, value, missing),
                None => missing.push(path),
            }
        }
        // Of a list, any of the items may have the field.
        let items: Vec<&Value> = value
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| item.is_object())
            .collect();
        if !items.is_empty() {
            let mut merged = json!({});
            for (name, value) in items.iter().filter_map(|item| item.as_object()).flatten() {
                merged[name] = value.clone();
            }
            walk(path, &schema["items"], &merged, missing);
        }
    }
    let mut missing = Vec::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema["properties"]["spec"], &complete(&kind), &mut missing);
    }
    assert_eq!(
        missing,
        ["SendingAccount.feedback.destination.eventBridge"],
        "it excludes `sns`"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_message_that_names_the_field_and_the_mend() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("refused", &[]).await.unwrap();
    for kind in KINDS {
        let written = object(kind, &namespace, "complete", &complete(kind));
        cluster.apply_yaml(&written.to_string()).await.unwrap();
    }

    let mut answers = Vec::new();
    for case in refused() {
        let answered = match &case.tried {
            Tried::Spec(spec) => create(cluster, &object(case.kind, &namespace, &case.name, spec)).await,
            Tried::Change(change) => {
                let objects = api(cluster, case.kind, &namespace).await;
                let dry = PatchParams {
                    dry_run: true,
                    ..PatchParams::default()
                };
                objects
                    .patch("complete", &dry, &Patch::Merge(json!({"spec": change})))
                    .await
                    .map(drop)
            }
        };
        answers.push(answer(&case, answered));
    }

    let unseen: Vec<String> = rules()
        .into_iter()
        .filter(|rule| !answers.iter().any(|answer| answer.contains(rule)))
        .collect();
    assert_eq!(unseen, Vec::<String>::new(), "rules whose message no case has seen");
}

#[tokio::test]
async fn a_window_may_end_earlier() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("earlier", &[]).await.unwrap();
    let written = object("MailWindow", &namespace, "rehearsal", &complete("MailWindow"));
    cluster.apply_yaml(&written.to_string()).await.unwrap();

    let earlier = Patch::Merge(json!({"spec": {"until": "2026-12-01T09:30:00Z"}}));
    let windows = api(cluster, "MailWindow", &namespace).await;
    let changed = windows
        .patch("rehearsal", &PatchParams::default(), &earlier)
        .await
        .unwrap();

    assert_eq!(changed.data["spec"]["until"], "2026-12-01T09:30:00Z");
}

/// What the API server said to a case that it refused.
fn answer(case: &Refusal, answered: Result<(), kube::Error>) -> String {
    let Err(refused) = answered else {
        panic!("{} with {} was accepted", case.kind, case.what)
    };
    let kube::Error::Api(status) = refused else {
        panic!("{} with {}: {refused}", case.kind, case.what)
    };
    let (
        Refusal {
            kind,
            what,
            field,
            mend,
            ..
        },
        said,
    ) = (case, &status.message);
    assert!(
        matches!(status.code, 400 | 422),
        "{kind} with {what} was answered with {}: {said}",
        status.code
    );
    assert!(
        said.contains(field),
        "{kind} with {what}: the answer does not name {field}: {said}"
    );
    assert!(
        said.contains(mend),
        "{kind} with {what}: the answer does not say `{mend}`: {said}"
    );
    status.message
}

/// Creates as kubectl does, unknown fields refused, but without keeping anything.
async fn create(cluster: &ControlPlane, written: &Value) -> Result<(), kube::Error> {
    let client = cluster.client().await.unwrap();
    let namespace = written["metadata"]["namespace"]
        .as_str()
        .map(|name| format!("/namespaces/{name}"));
    let ApiResource {
        api_version, plural, ..
    } = resource(written["kind"].as_str().unwrap());
    let path = format!("/apis/{api_version}{}/{plural}", namespace.unwrap_or_default());
    let request = http::Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(written.to_string().into_bytes())
        .unwrap();
    client.request_text(request).await.map(drop)
}

fn object(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut metadata = json!({"name": name});
    if !matches!(kind, "SendingAccount" | "MailGuardrail") {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": "mailpolicy.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

async fn api(cluster: &ControlPlane, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let client = cluster.client().await.unwrap();
    match kind {
        "SendingAccount" | "MailGuardrail" => Api::all_with(client, &resource(kind)),
        _ => Api::namespaced_with(client, namespace, &resource(kind)),
    }
}

fn resource(kind: &str) -> ApiResource {
    let plurals = crd::all().into_iter().map(|definition| definition.spec.names);
    let plural = plurals.into_iter().find(|names| names.kind == kind).unwrap().plural;
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("mailpolicy.dev", "v1alpha1", kind), &plural)
}

/// Each kind with its schema.
fn schemas() -> impl Iterator<Item = (String, Value)> {
    crd::all().into_iter().map(|definition| {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        (definition.spec.names.kind, schema["openAPIV3Schema"].clone())
    })
}

/// The message of every CEL rule.
fn rules() -> Vec<String> {
    fn walk(value: &Value, messages: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
                messages.extend(
                    rules
                        .into_iter()
                        .flatten()
                        .filter_map(|rule| rule["message"].as_str().map(str::to_owned)),
                );
                fields.values().for_each(|value| walk(value, messages));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, messages)),
            _ => {}
        }
    }
    let mut messages = Vec::new();
    schemas().for_each(|(_, schema)| walk(&schema, &mut messages));
    assert!(!messages.is_empty());
    messages
}
