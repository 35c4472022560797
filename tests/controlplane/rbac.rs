//! The rights of `deploy/operator/`: what the operator does it may do, and nothing near it.

use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use mail_policy_operator::api::{MailGuardrail, MailPolicy, MailSuppression, MailWindow, SendingAccount};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::specs::{KINDS, complete};
use crate::support::{ControlPlane, Options, Result};

const SYSTEM: &str = "mail-policy-system";
const OPERATOR: &str = "mail-policy-operator";

/// A cluster in which the operator is installed, with a namespace that has one object of each kind.
///
/// One for the tests of this file, because the names in `deploy/operator/` are fixed.
async fn cluster() -> &'static ControlPlane {
    static CLUSTER: OnceCell<ControlPlane> = OnceCell::const_new();
    CLUSTER.get_or_try_init(installed).await.unwrap()
}

async fn installed() -> Result<ControlPlane> {
    let cluster = ControlPlane::start(Options {
        controllers: Vec::new(),
        ..Options::default()
    })
    .await?;
    cluster.apply_crds().await?;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/operator");
    cluster
        .kubectl(&["apply", "-k", &manifests.display().to_string()])
        .await?;
    cluster.kubectl(&["create", "namespace", "shop"]).await?;
    for kind in KINDS {
        let mut object = json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": kind, "metadata": {"name": "one"}, "spec": complete(kind),
        });
        if !matches!(kind, "SendingAccount" | "MailGuardrail") {
            object["metadata"]["namespace"] = json!("shop");
        }
        cluster.apply_yaml(&object.to_string()).await?;
    }
    Ok(cluster)
}

/// As a pod of the operator.
async fn operator(cluster: &ControlPlane) -> Client {
    cluster.client_of_service_account(SYSTEM, OPERATOR).await.unwrap()
}

#[tokio::test]
async fn the_operator_may_do_what_it_does() {
    let client = operator(cluster().await).await;

    watched(Api::<SendingAccount>::all(client.clone())).await;
    watched(Api::<MailGuardrail>::all(client.clone())).await;
    watched(Api::<MailPolicy>::all(client.clone())).await;
    watched(Api::<MailWindow>::all(client.clone())).await;
    watched(Api::<MailSuppression>::all(client.clone())).await;
    watched(Api::<Namespace>::all(client.clone())).await;

    writes_status(Api::<SendingAccount>::all(client.clone())).await;
    writes_status(Api::<MailGuardrail>::all(client.clone())).await;
    writes_status(Api::<MailPolicy>::namespaced(client.clone(), "shop")).await;
    writes_status(Api::<MailWindow>::namespaced(client.clone(), "shop")).await;
    writes_status(Api::<MailSuppression>::namespaced(client.clone(), "shop")).await;

    sets_a_finalizer(Api::<SendingAccount>::all(client.clone())).await;
    sets_a_finalizer(Api::<MailPolicy>::namespaced(client.clone(), "shop")).await;
    sets_a_finalizer(Api::<MailSuppression>::namespaced(client.clone(), "shop")).await;

    for name in ["mail-sidecar", "mail-env"] {
        keeps::<ConfigMap>(&client, name).await;
    }
    for name in ["mail-suppressions", "mail-suppression-record"] {
        keeps::<Secret>(&client, name).await;
    }
    reads_by_name(Api::<Secret>::all(client.clone()), "mail-suppression-list").await;

    leads(&client).await;
    makes_its_key(&client).await;
    tells(&client).await;
}

#[tokio::test]
async fn the_operator_may_touch_no_other_secret_or_config_map() {
    let cluster = cluster().await;
    let client = operator(cluster).await;
    let admin = cluster.client().await.unwrap();
    for name in ["database", "mail-suppression-list"] {
        let secrets: Api<Secret> = Api::namespaced(admin.clone(), "shop");
        secrets.create(&PostParams::default(), &named(name)).await.unwrap();
    }
    let maps: Api<ConfigMap> = Api::namespaced(admin, "shop");
    maps.create(&PostParams::default(), &named("settings")).await.unwrap();

    let (secrets, maps): (Api<Secret>, Api<ConfigMap>) = (
        Api::namespaced(client.clone(), "shop"),
        Api::namespaced(client.clone(), "shop"),
    );
    refused("to read another Secret", secrets.get("database").await);
    refused(
        "to list a namespace's Secrets",
        secrets.list(&ListParams::default()).await,
    );
    refused(
        "to list all Secrets",
        Api::<Secret>::all(client.clone()).list(&ListParams::default()).await,
    );
    refused("to list another Secret", secrets.list(&only("database")).await);
    refused("to make another Secret", apply(&secrets, "other").await);
    refused(
        "to make a Secret by POST, which no name bounds",
        secrets.create(&PostParams::default(), &named("other")).await,
    );
    refused(
        "to change the users' list",
        apply(&secrets, "mail-suppression-list").await,
    );
    refused(
        "to delete the users' list",
        secrets.delete("mail-suppression-list", &DeleteParams::default()).await,
    );
    refused("to read another ConfigMap", maps.get("settings").await);
    refused("to list ConfigMaps", maps.list(&ListParams::default()).await);
    refused("to change another ConfigMap", apply(&maps, "settings").await);
    refused(
        "to delete another ConfigMap",
        maps.delete("settings", &DeleteParams::default()).await,
    );
}

#[tokio::test]
async fn the_operator_may_change_nothing_of_others() {
    let client = operator(cluster().await).await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
    refused("to read another lease", leases.get("other").await);
    let elsewhere: Api<Lease> = Api::namespaced(client.clone(), "shop");
    refused(
        "to make a lease elsewhere",
        elsewhere.create(&PostParams::default(), &named(OPERATOR)).await,
    );

    let (guardrails, windows): (Api<MailGuardrail>, Api<MailWindow>) =
        (Api::all(client.clone()), Api::namespaced(client.clone(), "shop"));
    let wider = Patch::Merge(json!({"spec": {"maxMode": "Live"}}));
    refused(
        "to change a guardrail",
        guardrails.patch("one", &PatchParams::default(), &wider).await,
    );
    refused(
        "to delete a guardrail",
        guardrails.delete("one", &DeleteParams::default()).await,
    );
    let sooner = Patch::Merge(json!({"spec": {"until": "2026-12-01T09:30:00Z"}}));
    refused(
        "to change a window",
        windows.patch("one", &PatchParams::default(), &sooner).await,
    );
    let policies: Api<MailPolicy> = Api::namespaced(client.clone(), "shop");
    let other: MailPolicy = MailPolicy::new("other", policies.get("one").await.unwrap().spec);
    refused(
        "to make a policy",
        policies.create(&PostParams::default(), &other).await,
    );
    refused(
        "to delete a policy",
        policies.delete("one", &DeleteParams::default()).await,
    );
    // By the status it cannot reach the spec, though by the finalizers' grant it could (deploy/operator/30-rbac.yaml).
    let live = Patch::Merge(json!({"spec": {"mode": "Live"}}));
    let by_status = policies
        .patch_status("one", &PatchParams::default(), &live)
        .await
        .unwrap();
    assert_eq!(
        serde_json::to_value(by_status.spec.mode).unwrap(),
        complete("MailPolicy")["mode"]
    );

    let pods: Api<Pod> = Api::namespaced(client.clone(), "shop");
    refused("to delete pods", pods.delete("x", &DeleteParams::default()).await);
    let pod = json!({"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    refused("to make pods", pods.create(&PostParams::default(), &pod).await);
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"env": "production"}}}));
    let namespaces: Api<Namespace> = Api::all(client);
    refused(
        "to label a namespace",
        namespaces.patch("shop", &PatchParams::default(), &labelled).await,
    );
}

fn refused<T>(what: &str, answered: Result<T, kube::Error>) {
    match answered {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        Err(error) => panic!("{what} failed for another reason: {error}"),
        Ok(_) => panic!("the operator is allowed {what}"),
    }
}

/// Lists and watches, as for a cache of all objects.
async fn watched<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug>(objects: Api<K>) {
    let kind = K::kind(&());
    let listed = objects
        .list(&ListParams::default())
        .await
        .unwrap_or_else(|error| panic!("list {kind}: {error}"));
    let version = listed.metadata.resource_version.unwrap();
    let watch = objects
        .watch(&kube::api::WatchParams::default().timeout(1), &version)
        .await;
    drop(watch.unwrap_or_else(|error| panic!("watch {kind}: {error}")));
    let first = listed.items.first().unwrap();
    assert!(!first.name_any().is_empty());
}

/// Lists and watches the objects of one name.
async fn reads_by_name<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug>(
    objects: Api<K>,
    name: &str,
) {
    let listed = objects
        .list(&only(name))
        .await
        .unwrap_or_else(|error| panic!("list {name}: {error}"));
    let watching = kube::api::WatchParams::default()
        .timeout(1)
        .fields(&format!("metadata.name={name}"));
    let watch = objects
        .watch(&watching, &listed.metadata.resource_version.unwrap())
        .await;
    drop(watch.unwrap_or_else(|error| panic!("watch {name}: {error}")));
}

fn only(name: &str) -> ListParams {
    ListParams::default().fields(&format!("metadata.name={name}"))
}

async fn writes_status<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug>(objects: Api<K>) {
    let kind = K::kind(&());
    let status = json!({
        "apiVersion": K::api_version(&()), "kind": kind, "metadata": {"name": "one"}, "status": {"observedGeneration": 1},
    });
    let written = objects
        .patch_status("one", &PatchParams::apply(OPERATOR).force(), &Patch::Apply(&status))
        .await;
    written.unwrap_or_else(|error| panic!("status of {kind}: {error}"));
}

async fn sets_a_finalizer<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug>(objects: Api<K>) {
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": ["mailpolicy.dev/cleanup"]}}));
    let written = objects.patch("one", &PatchParams::default(), &finalizers).await;
    let written = written.unwrap_or_else(|error| panic!("finalizer of {}: {error}", K::kind(&())));
    assert_eq!(written.finalizers(), ["mailpolicy.dev/cleanup"]);
}

/// Makes the object by server-side apply where it is absent, changes it, reads it by name in every namespace, deletes it.
async fn keeps<K>(client: &Client, name: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let objects: Api<K> = Api::namespaced(client.clone(), "shop");
    for what in ["make", "apply again"] {
        apply(&objects, name)
            .await
            .unwrap_or_else(|error| panic!("{what} {name}: {error}"));
    }
    objects
        .get(name)
        .await
        .unwrap_or_else(|error| panic!("get {name}: {error}"));
    reads_by_name(Api::<K>::all(client.clone()), name).await;
    let deleted = objects.delete(name, &DeleteParams::default()).await;
    deleted.map_or_else(|error| panic!("delete {name}: {error}"), drop);
}

async fn apply<K>(objects: &Api<K>, name: &str) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let object = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}});
    objects
        .patch(name, &PatchParams::apply(OPERATOR).force(), &Patch::Apply(&object))
        .await
}

async fn leads(client: &Client) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
    leases.create(&PostParams::default(), &named(OPERATOR)).await.unwrap();
    let lease = leases.get(OPERATOR).await.unwrap();
    leases.replace(OPERATOR, &PostParams::default(), &lease).await.unwrap();
}

async fn makes_its_key(client: &Client) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    secrets
        .create(&PostParams::default(), &named("mail-policy-operator-key"))
        .await
        .unwrap();
    secrets.get("mail-policy-operator-key").await.unwrap();
    refused("to change its key", apply(&secrets, "mail-policy-operator-key").await);
    let deleted = secrets
        .delete("mail-policy-operator-key", &DeleteParams::default())
        .await;
    refused("to delete its key", deleted);
}

async fn tells(client: &Client) {
    let events: Api<Event> = Api::namespaced(client.clone(), "shop");
    let event = json!({
        "metadata": {"name": "one.1"}, "eventTime": "2026-12-01T09:00:00.000000Z", "type": "Normal",
        "reason": "Programmed", "action": "Reconcile", "note": "a note",
        "reportingController": "mailpolicy.dev/operator", "reportingInstance": "one",
        "regarding": {"apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailPolicy", "name": "one", "namespace": "shop"},
    });
    events
        .create(&PostParams::default(), &serde_json::from_value(event).unwrap())
        .await
        .unwrap();
    let again = json!({"series": {"count": 2, "lastObservedTime": "2026-12-01T09:01:00.000000Z"}});
    events
        .patch("one.1", &PatchParams::default(), &Patch::Merge(again))
        .await
        .unwrap();
}

fn named<K: DeserializeOwned>(name: &str) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}
