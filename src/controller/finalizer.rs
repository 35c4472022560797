//! The finalizer that keeps an object until what it made in SES is settled.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::json;

use super::{
    context::Context,
    error::{Error, is_not_found},
};
use crate::metrics::OfKind;

/// The finalizer.
const NAME: &str = "mailpolicy.dev/ses";

/// Whether the object is kept.
pub fn is_on(object: &impl Resource) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == NAME)
}

/// Keeps the object.
///
/// # Errors
/// When the API server refuses; a conflict where the object changed meanwhile.
pub async fn ensure<K>(context: &Context, object: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + 'static,
{
    if is_on(object) {
        return Ok(());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(NAME.to_owned());
    write(context, object, &finalizers).await
}

/// Lets the object go.
///
/// # Errors
/// When the API server refuses; a conflict where the object changed meanwhile.
pub async fn remove<K>(context: &Context, object: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + 'static,
{
    if !is_on(object) {
        return Ok(());
    }
    let others: Vec<String> = object
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != NAME)
        .cloned()
        .collect();
    write(context, object, &others).await
}

async fn write<K>(context: &Context, object: &K, finalizers: &[String]) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + 'static,
{
    // The version makes a change by another controller meanwhile a conflict.
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(context.client.clone(), &namespace);
    match api
        .patch_metadata(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            context
                .metrics
                .api_writes
                .get_or_create(&OfKind { kind: "finalizer" })
                .inc();
            Ok(())
        }
    }
}
