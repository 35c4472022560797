//! What was written last, until the watch has caught up with it.
//!
//! A reconciliation that follows a write within milliseconds would otherwise read the status from before it, take the
//! operator's own half-done work for somebody else's, and write the past back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{Resource, ResourceExt};

use super::world::Key;
use crate::api::Parsed;

/// Objects as the API server returned them from a write that the watch has not shown yet.
pub struct Latest<K>(Mutex<HashMap<Key, Arc<Parsed<K>>>>);

impl<K> Default for Latest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource> Latest<K> {
    /// Keeps what a write returned.
    pub fn put(&self, written: K) {
        let key = Key::of(&written);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::new(Parsed::Readable(written)));
    }

    /// The newer of what the watch shows and what was written.
    #[must_use]
    pub fn or(&self, seen: Arc<Parsed<K>>) -> Arc<Parsed<K>> {
        let key = Key::of(&*seen);
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&key) {
            None => seen,
            Some(newer) if version(&**newer) > version(&*seen) => Arc::clone(newer),
            Some(_) => {
                written.remove(&key);
                seen
            }
        }
    }

    /// The object is gone.
    pub fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Versions of one kind are numbers that grow; one that is none is older than all.
fn version(object: &impl Resource) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::MailPolicy;

    fn policy(version: &str, mode: &str) -> MailPolicy {
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailPolicy",
            "metadata": {"name": "default", "namespace": "shop", "resourceVersion": version}, "spec": {"mode": mode},
        }))
        .unwrap()
    }

    fn seen(version: &str) -> Arc<Parsed<MailPolicy>> {
        Arc::new(Parsed::Readable(policy(version, "Capture")))
    }

    #[test]
    fn what_was_written_stands_until_the_watch_shows_it_or_something_newer() {
        let latest = Latest::default();
        assert_eq!(latest.or(seen("9")).resource_version().as_deref(), Some("9"));
        latest.put(policy("10", "Live"));
        assert_eq!(
            latest.or(seen("9")).resource_version().as_deref(),
            Some("10"),
            "versions are numbers, not texts"
        );
        assert_eq!(
            latest.or(seen("10")).readable().unwrap().spec.mode.to_string(),
            "Capture"
        );
        assert_eq!(
            latest.or(seen("9")).resource_version().as_deref(),
            Some("9"),
            "it was caught up with"
        );
    }
}
