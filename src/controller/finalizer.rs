//! Finalizers: an object stays until what it stands for is settled.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    context::Context,
    error::{Error, is_not_found},
};
use crate::metrics::OfKind;

/// An object's metadata as the API server has it after a write.
type Written<K> = PartialObjectMeta<PartialObjectMeta<K>>;

/// A finalizer of ours on objects of one kind. Works on metadata alone, so that no object is too broken to be let go.
pub(super) struct Finalizer {
    /// Its name.
    pub name: &'static str,
    /// The kind, for metrics.
    pub kind: &'static str,
}

impl Finalizer {
    /// Whether the object has it.
    pub fn is_on(&self, object: &impl Resource) -> bool {
        object.finalizers().iter().any(|name| name == self.name)
    }

    /// Puts it on the object; what stands then, where it was not on it.
    pub async fn add<K: Resource + Clone + Debug + DeserializeOwned>(
        &self,
        context: &Context,
        api: &Api<PartialObjectMeta<K>>,
        object: &impl Resource,
    ) -> Result<Option<Written<K>>, Error> {
        if self.is_on(object) {
            return Ok(None);
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.push(self.name.to_owned());
        self.write(context, api, object, &finalizers).await
    }

    /// Takes it off: the object may go.
    pub async fn remove<K: Resource + Clone + Debug + DeserializeOwned>(
        &self,
        context: &Context,
        api: &Api<PartialObjectMeta<K>>,
        object: &impl Resource,
    ) -> Result<(), Error> {
        if !self.is_on(object) {
            return Ok(());
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|name| name != self.name);
        self.write(context, api, object, &finalizers).await.map(drop)
    }

    async fn write<K: Resource + Clone + Debug + DeserializeOwned>(
        &self,
        context: &Context,
        api: &Api<PartialObjectMeta<K>>,
        object: &impl Resource,
        finalizers: &[String],
    ) -> Result<Option<Written<K>>, Error> {
        // The version makes a change by another controller meanwhile a conflict.
        let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
        let written = api
            .patch_metadata(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        match written {
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(written) => {
                context
                    .metrics
                    .api_writes
                    .get_or_create(&OfKind { kind: self.kind.into() })
                    .inc();
                Ok(Some(written))
            }
        }
    }
}
