//! The namespace controller: every namespace that is selected has its configuration, with or without a policy.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Resource, core::PartialObjectMeta, runtime::controller::Action};

use super::{context::Context, error::Error, publish::compiled, world::Key};
use crate::{clock, metrics::Drift};

/// Reconciles one namespace.
pub fn reconcile(
    namespace: Arc<PartialObjectMeta<Namespace>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let name = Key::of(&*namespace).name;
        if namespace.meta().deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        if context.publisher.was_edited(&context, &name) {
            context
                .metrics
                .drift
                .get_or_create(&Drift { what: "managed-object" })
                .inc();
            let note = "an object that the operator keeps was edited by hand and is put back";
            context
                .events
                .warning(&*namespace, "ManagedObjectEdited", note.to_owned())
                .await;
        }
        if !is_left_to_its_policies(&context, &name) {
            context.publisher.publish(&context, &name).await?;
        }
        let compiled = compiled(&context, &name, None).await?;
        let now = clock::now();
        Ok(compiled
            .next_change
            .map_or_else(Action::await_change, |at| Action::requeue(clock::until(at, now))))
    }
    .boxed()
}

/// A namespace without a configuration gets its first one from its policies, each of which publishes whatever comes of it:
/// else it would be written twice within moments. Until then nothing leaves.
fn is_left_to_its_policies(context: &Context, namespace: &str) -> bool {
    let world = &context.world;
    world.sidecar_configs.names(namespace).is_empty()
        && !world.policies.names(namespace).is_empty()
        && !context.publisher.has_written(namespace)
}
