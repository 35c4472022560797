//! Puts everything together: leadership, watches, reconciliations, servers.

use std::{fmt::Debug, net::SocketAddr, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, Client, Resource,
    api::PostParams,
    runtime::{reflector, watcher},
};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinSet},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{
    account, allotment, ceilings,
    context::Context,
    drift, engine,
    feed::{self, Feed},
    gauges, guardrail,
    lease::Candidate,
    namespace,
    objects::{self, Contents, Kept},
    policy,
    publish::Publisher,
    server::{Readiness, router},
    sidecars::{self, SidecarPod},
    skew, suppression, window,
    world::{Index, Key, Shelf, World},
};
use crate::{api::MANAGER, metrics::Metrics};

/// The Secret with this installation's key, in the operator's namespace.
pub const KEY_SECRET: &str = "mail-policy-operator-key";
/// The Lease by which one replica leads.
pub const LEASE_NAME: &str = "mail-policy-operator";
/// How long tasks that were told to end may take, each to its next wait.
const TASKS_END: Duration = Duration::from_secs(2);
/// Octets of the key.
const KEY_BYTES: usize = 32;

/// How the operator is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The namespace of the operator: its lease and its key are there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "mail-policy-system")]
    pub namespace: String,
    /// The name of this replica; no two may have the same.
    #[arg(long, env = "POD_NAME", default_value = MANAGER)]
    pub instance: String,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How often one policy of each account is compared with SES, option by option.
    #[arg(long, env = "READ_EVERY", default_value = "30s", value_parser = interval)]
    pub read_every: Duration,
    /// Between two listings of an account, such as 5m: what vanished from SES is found within this time. A listing costs
    /// a call for each thousand configuration sets, another for each thousand identities, and one `GetAccount`.
    #[arg(long, env = "LIST_EVERY", default_value = "5m", value_parser = interval)]
    pub list_every: Duration,
}

/// A duration of at least a second, in Go's notation.
fn interval(text: &str) -> Result<Duration, String> {
    let said: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    match Duration::try_from(said) {
        Ok(interval) if interval >= Duration::from_secs(1) => Ok(interval),
        _ => Err("the interval must be at least 1s".to_owned()),
    }
}

/// Why the operator ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The API server cannot be reached or used.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    /// The listener cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The key's Secret is there and holds no key.
    #[error("Secret `{KEY_SECRET}` has no key `key` of {KEY_BYTES} bytes: delete it, and hashes are made anew")]
    KeyUnusable,
    /// The lease was lost: another replica may lead.
    #[error("the lease was lost; this replica stops and begins again")]
    LeaseLost,
    /// A task ended that never should.
    #[error("a part of the operator ended: {0}")]
    Ended(String),
}

/// Runs until `shutdown`; everything that writes stops with it, or with the lease.
///
/// # Errors
/// [`RunError`] says why; whoever started the process starts it again.
pub async fn run(args: Args, client: Client, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::waiting_for("the API server");
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| RunError::Listen(args.listen, error))?;
    let address = listener
        .local_addr()
        .map_err(|error| RunError::Listen(args.listen, error))?;
    info!(%address, "serving /livez, /readyz and /metrics");
    let serve = axum::serve(listener, router(Arc::clone(&metrics), readiness.clone()));
    tokio::select! {
        ended = serve => Err(RunError::Ended(format!("the server: {ended:?}"))),
        ended = lead(&args, client, metrics, readiness, shutdown) => ended,
    }
}

/// Stands by, leads, and ends with `shutdown` or when the lease is lost: all tasks are dropped before this returns.
async fn lead(
    args: &Args,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    tokio::pin!(shutdown);
    readiness.set(None);
    let candidate = Candidate::new(client.clone(), &args.namespace, LEASE_NAME, &args.instance);
    let mut leadership = tokio::select! {
        () = &mut shutdown => return Ok(()),
        leadership = candidate.win() => leadership,
    };
    metrics.leader.set(1);
    let tasks = TaskTracker::new();
    let ended = tokio::select! {
        () = &mut shutdown => Ok(()),
        () = leadership.lost() => Err(RunError::LeaseLost),
        ended = work(args, client, Arc::clone(&metrics), readiness, &tasks) => ended,
    };
    metrics.leader.set(0);
    // What was at work was told to end; once it has, nobody of ours writes, and another replica need not wait until the
    // lease runs out.
    tasks.close();
    if tokio::time::timeout(TASKS_END, tasks.wait()).await.is_ok() {
        leadership.resign().await;
    }
    ended
}

async fn work(
    args: &Args,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    tracker: &TaskTracker,
) -> Result<(), RunError> {
    let key = master_key(&client, &args.namespace).await?;
    let mut feeds = Feeds::default();
    let world = feeds.world();
    let context = Arc::new(Context::new(
        client,
        world,
        Publisher::new(key),
        metrics,
        (&args.namespace, &args.instance),
        args.list_every,
        tracker.clone(),
    ));
    let mut tasks = JoinSet::new();
    for feed in feeds.start(&context) {
        tasks.spawn(tracker.track_future(feed));
    }
    tasks.spawn(tracker.track_future(named("the clocks", skew::watch(Arc::clone(&context)))));
    tasks.spawn(named("the gauges", gauges::watch(Arc::clone(&context))));
    tasks.spawn(named("the ceilings", ceilings::watch(Arc::clone(&context))));
    tasks.spawn(named(
        "the rotating reader",
        drift::rotate_reads(Arc::clone(&context), args.read_every),
    ));
    // Nothing is reconciled before everything is known: a guardrail not seen yet would look like none.
    for (what, listed) in listed(&context.world) {
        readiness.set(Some(format!("the first list of {what}")));
        tokio::select! {
            () = listed => {}
            ended = tasks.join_next() => return why(ended),
        }
    }
    readiness.set(None);
    info!("every kind is listed; reconciling");
    for task in controllers(&context) {
        tasks.spawn(tracker.track_future(task));
    }
    why(tasks.join_next().await)
}

/// Why the work ended, by the task that did.
fn why(ended: Option<Result<&'static str, JoinError>>) -> Result<(), RunError> {
    match ended {
        Some(Ok(name)) => Err(RunError::Ended(name.to_owned())),
        Some(Err(error)) => Err(RunError::Ended(error.to_string())),
        None => Ok(()),
    }
}

/// This installation's key, made where there is none.
async fn master_key(client: &Client, namespace: &str) -> Result<Vec<u8>, RunError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    loop {
        if let Some(secret) = secrets.get_opt(KEY_SECRET).await? {
            let key = secret.data.and_then(|mut data| data.remove("key")).map(|key| key.0);
            return key.filter(|key| key.len() == KEY_BYTES).ok_or(RunError::KeyUnusable);
        }
        let key: [u8; KEY_BYTES] = rand::random();
        let mut secret = Secret {
            data: Some([("key".to_owned(), ByteString(key.to_vec()))].into()),
            ..Secret::default()
        };
        secret.metadata.name = Some(KEY_SECRET.to_owned());
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => return Ok(key.to_vec()),
            // Another replica made it meanwhile: that one is read.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                warn!("the key was made by another replica meanwhile");
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

type Task = BoxFuture<'static, &'static str>;

fn task(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(named(name, task))
}

/// Starts a watch.
type Start = Box<dyn FnOnce(&Arc<Context>) -> Task + Send>;

/// The watches that fill the world, until they are started.
#[derive(Default)]
struct Feeds {
    tasks: Vec<Start>,
}

impl Feeds {
    /// A shelf and its watch.
    #[allow(clippy::too_many_arguments)] // A table: each row is one watch, each column one argument.
    fn shelf<K>(
        &mut self,
        kind: &'static str,
        index: fn(&World) -> &Index<u64>,
        trim: fn(&mut K),
        mark: fn(&K) -> u64,
        shown: fn(&Context, &K),
        concerns: fn(&Context, &Key),
    ) -> Shelf<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        self.tasks.push(Box::new(move |context: &Arc<Context>| {
            let feed = Feed {
                kind,
                api: Api::all(context.client.clone()),
                config: watcher::Config::default().page_size(feed::PAGE),
                trim,
                writer: Some(writer),
                index,
                known: mark,
                shown,
                concerns,
            };
            task(kind, feed.run(Arc::clone(context)))
        }));
        Shelf::new(store)
    }

    /// An index of the pods with a sidecar, and its watch.
    fn pods(&mut self) -> Index<SidecarPod> {
        self.tasks.push(Box::new(|context: &Arc<Context>| {
            let feed = Feed::<Pod, SidecarPod> {
                kind: "Pod",
                api: Api::all(context.client.clone()),
                config: watcher::Config::default().page_size(feed::PAGE).labels(sidecars::LABEL),
                trim: feed::trim_to_sidecar,
                writer: None,
                index: |world| &world.pods,
                known: SidecarPod::of,
                shown: |context, pod| {
                    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                    context.farewells.note(namespace, SidecarPod::of(pod));
                },
                concerns: feed::pod_concerns,
            };
            task("Pod", feed.run(Arc::clone(context)))
        }));
        Index::default()
    }

    /// An index of the objects of one name, of which little is kept, and its watch.
    fn index<K>(
        &mut self,
        kind: &'static str,
        name: &'static str,
        index: fn(&World) -> &Index<Kept>,
        concerns: fn(&Context, &Key),
    ) -> Index<Kept>
    where
        K: Resource<DynamicType = ()> + Contents + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        self.tasks.push(Box::new(move |context: &Arc<Context>| {
            let feed = Feed::<K, Kept> {
                kind,
                api: Api::all(context.client.clone()),
                // By name, so that RBAC can allow these names alone.
                config: watcher::Config::default()
                    .page_size(feed::PAGE)
                    .fields(&format!("metadata.name={name}")),
                trim: feed::trim,
                writer: None,
                index,
                known: Kept::of,
                shown: |_, _| {},
                concerns,
            };
            task(kind, feed.run(Arc::clone(context)))
        }));
        Index::default()
    }

    fn world(&mut self) -> World {
        World {
            namespaces: self.shelf(
                "Namespace",
                |w| w.namespaces.index(),
                feed::trim_to_labels,
                feed::namespace_mark,
                |_, _| {},
                feed::namespace_concerns,
            ),
            accounts: self.shelf(
                "SendingAccount",
                |w| w.accounts.index(),
                feed::trim,
                feed::account_mark,
                |context, account| context.written_accounts.seen(account),
                feed::account_concerns,
            ),
            guardrails: self.shelf(
                "MailGuardrail",
                |w| w.guardrails.index(),
                feed::trim,
                feed::guardrail_mark,
                |_, _| {},
                feed::guardrail_concerns,
            ),
            policies: self.shelf(
                "MailPolicy",
                |w| w.policies.index(),
                feed::trim,
                feed::policy_mark,
                |context, policy| context.written.seen(policy),
                feed::policy_concerns,
            ),
            windows: self.shelf(
                "MailWindow",
                |w| w.windows.index(),
                feed::trim,
                feed::window_mark,
                |_, _| {},
                feed::window_concerns,
            ),
            suppressions: self.shelf(
                "MailSuppression",
                |w| w.suppressions.index(),
                feed::trim,
                feed::suppression_mark,
                |context, suppression| context.written_suppressions.seen(suppression),
                feed::suppression_concerns,
            ),
            sidecar_configs: self.index::<ConfigMap>(
                "ConfigMap mail-sidecar",
                objects::SIDECAR_CONFIG,
                |w| &w.sidecar_configs,
                feed::managed_concerns,
            ),
            env_configs: self.index::<ConfigMap>(
                "ConfigMap mail-env",
                objects::ENV_CONFIG,
                |w| &w.env_configs,
                feed::managed_concerns,
            ),
            suppression_hashes: self.index::<Secret>(
                "Secret mail-suppressions",
                objects::SUPPRESSION_HASHES,
                |w| &w.suppression_hashes,
                feed::managed_concerns,
            ),
            suppression_lists: self.index::<Secret>(
                "Secret mail-suppression-list",
                objects::SUPPRESSION_LIST,
                |w| &w.suppression_lists,
                feed::list_concerns,
            ),
            pods: self.pods(),
        }
    }

    fn start(self, context: &Arc<Context>) -> Vec<Task> {
        self.tasks.into_iter().map(|start| start(context)).collect()
    }
}

/// When each kind is listed whole.
fn listed(world: &World) -> [(&'static str, BoxFuture<'_, ()>); 11] {
    [
        ("Namespaces", world.namespaces.index().listed().boxed()),
        ("SendingAccounts", world.accounts.index().listed().boxed()),
        ("MailGuardrails", world.guardrails.index().listed().boxed()),
        ("MailPolicies", world.policies.index().listed().boxed()),
        ("MailWindows", world.windows.index().listed().boxed()),
        ("MailSuppressions", world.suppressions.index().listed().boxed()),
        ("ConfigMaps mail-sidecar", world.sidecar_configs.listed().boxed()),
        ("ConfigMaps mail-env", world.env_configs.listed().boxed()),
        ("Secrets mail-suppressions", world.suppression_hashes.listed().boxed()),
        ("Pods with a sidecar", world.pods.listed().boxed()),
        (
            "Secrets mail-suppression-list",
            world.suppression_lists.listed().boxed(),
        ),
    ]
}

fn controllers(context: &Arc<Context>) -> Vec<Task> {
    fn controller<K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static>(
        kind: &'static str,
        context: &Arc<Context>,
        shelf: &Shelf<K>,
        queue: fn(&Context) -> super::queue::KeyQueue<Key>,
        reconcile: engine::Reconcile<K>,
    ) -> Task {
        let (store, queue, context) = (shelf.store().clone(), queue(context), Arc::clone(context));
        task(kind, async move {
            engine::run(kind, store, &queue, reconcile, context).await;
        })
    }
    let world = &context.world;
    vec![
        controller(
            "SendingAccount",
            context,
            &world.accounts,
            |c| c.queues.accounts.clone(),
            account::reconcile,
        ),
        controller(
            "MailGuardrail",
            context,
            &world.guardrails,
            |c| c.queues.guardrails.clone(),
            guardrail::reconcile,
        ),
        controller(
            "Namespace",
            context,
            &world.namespaces,
            |c| c.queues.namespaces.clone(),
            namespace::reconcile,
        ),
        controller(
            "Allotment",
            context,
            &world.namespaces,
            |c| c.queues.allotments.clone(),
            allotment::reconcile,
        ),
        controller(
            "MailPolicy",
            context,
            &world.policies,
            |c| c.queues.policies.clone(),
            policy::reconcile,
        ),
        controller(
            "MailSuppression",
            context,
            &world.suppressions,
            |c| c.queues.suppressions.clone(),
            suppression::reconcile,
        ),
        controller(
            "MailWindow",
            context,
            &world.windows,
            |c| c.queues.windows.clone(),
            window::reconcile,
        ),
    ]
}
