//! Writes statuses: by server-side apply, and only what differs.

use std::{borrow::Cow, fmt::Debug};

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    context::Context,
    error::{Error, is_not_found},
};
use crate::{api::MANAGER, metrics::OfKind};

/// What is applied of an object: its status and nothing else.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOf<'a, S> {
    api_version: Cow<'static, str>,
    kind: Cow<'static, str>,
    metadata: Name<'a>,
    status: &'a S,
}

#[derive(Debug, Serialize)]
struct Name<'a> {
    name: &'a str,
}

/// Writes the status of the object of this name, unless it stood so `before`. The object as it was written; `None` where
/// nothing was, or where it is gone meanwhile.
///
/// # Errors
/// What the API server refused.
pub(super) async fn write_status<K, S>(
    context: &Context,
    api: &Api<K>,
    name: &str,
    before: Option<&S>,
    status: &S,
) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: PartialEq + Debug + Serialize,
{
    if before == Some(status) {
        return Ok(None);
    }
    let patch = Patch::Apply(StatusOf {
        api_version: K::api_version(&()),
        kind: K::kind(&()),
        metadata: Name { name },
        status,
    });
    match api
        .patch_status(name, &PatchParams::apply(MANAGER).force(), &patch)
        .await
    {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(written) => {
            let kind = K::kind(&());
            context.metrics.api_writes.get_or_create(&OfKind { kind }).inc();
            Ok(Some(written))
        }
    }
}
