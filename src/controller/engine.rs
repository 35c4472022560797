//! Runs one kind's reconciliations: from its queue, a bounded number at once, each object's failures counted for itself.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use kube::{
    Resource,
    runtime::{applier, controller::Action, reflector::Store},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::{context::Context, error::Error, queue::KeyQueue, world::Key};
use crate::clock;

/// Reconciliations of one kind at once. Those that wait for SES's turn do not count: they are parked.
pub const AT_ONCE: u16 = 64;

/// One kind's reconciliation.
pub type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Error>>;

/// Reconciles what the queue says until it is dropped.
pub async fn run<K>(
    kind: &'static str,
    store: Store<K>,
    queue: &KeyQueue<Key>,
    reconcile: Reconcile<K>,
    context: Arc<Context>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let failures = Arc::new(Failures::default());
    let counted = Arc::clone(&failures);
    let reconcile = move |object: Arc<K>, context: Arc<Context>| {
        let failures = Arc::clone(&counted);
        // A task of its own: kube's applier looks at all that is at work whenever any of it gets on. It ends with this
        // future, as it must where the lease is lost.
        let tasks = context.tasks.clone();
        let task = tasks.spawn(async move {
            let (key, began) = (Key::of(&*object), clock::monotonic());
            let result = reconcile(object, Arc::clone(&context)).await;
            let outcome = result.as_ref().map_or_else(Error::reason, |_| "ok");
            let took = clock::monotonic().duration_since(began);
            context.metrics.reconciled(kind, outcome, took);
            debug!(kind, %key, outcome, ?took, action = ?result.as_ref().ok(), "reconciled");
            if result.is_ok() {
                failures.forget(&key);
            }
            result
        });
        AbortOnDropHandle::new(task).map(|ended| ended.unwrap_or_else(|error| Err(Error::Ended(error))))
    };
    let on_error = move |object: Arc<K>, error: &Error, _: Arc<Context>| {
        let key = Key::of(&*object);
        let count = failures.count(&key);
        let wait = error.wait(count, rand::random());
        warn!(kind, %key, count, ?wait, %error, "the reconciliation failed");
        Action::requeue(wait)
    };
    let requests = queue
        .stream()
        .map(|key| Ok::<_, std::convert::Infallible>(key.reference::<K>()));
    let config = kube::runtime::Config::default().concurrency(AT_ONCE);
    applier(reconcile, on_error, context, store, requests, config)
        .for_each(|result| async move {
            // An object that is gone needs nothing; a failed reconciliation was told already.
            if let Err(error) = result {
                debug!(kind, %error, "a request was not carried out");
            }
        })
        .await;
}

/// Failures in a row, by object.
#[derive(Default)]
struct Failures(Mutex<HashMap<Key, u32>>);

impl Failures {
    fn count(&self, key: &Key) -> u32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
