//! Statuses that were written last, until the watch has caught up with them.
//!
//! A reconciliation that follows a write within milliseconds would otherwise read the status from before it, take the
//! operator's own half-done work for somebody else's, and write the past back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{Resource, ResourceExt};

use super::world::Key;
use crate::api::{MailPolicy, MailPolicyStatus, Parsed};

/// Statuses of policies as they were written and not seen again yet, by the version of the writing.
#[derive(Default)]
pub struct Latest(Mutex<HashMap<Key, (u64, Option<MailPolicyStatus>)>>);

impl Latest {
    /// Keeps what a write returned.
    pub fn put(&self, written: &MailPolicy) {
        if let Some(version) = version(written) {
            let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            latest.insert(Key::of(written), (version, written.status.clone()));
        }
    }

    /// The object as the watch shows it, with the newer of the two statuses.
    #[must_use]
    pub fn of(&self, seen: Arc<Parsed<MailPolicy>>) -> Arc<Parsed<MailPolicy>> {
        let key = Key::of(&*seen);
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (latest.get(&key), &*seen) {
            (Some((written, status)), Parsed::Readable(object)) if Some(*written) > version(object) => {
                Arc::new(Parsed::Readable(MailPolicy {
                    status: status.clone(),
                    ..object.clone()
                }))
            }
            (Some(_), _) => {
                latest.remove(&key);
                seen
            }
            (None, _) => seen,
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

    fn policy(version: &str, mode: &str) -> MailPolicy {
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailPolicy",
            "metadata": {"name": "default", "namespace": "shop", "resourceVersion": version},
            "spec": {"mode": "Capture"}, "status": {"mode": mode},
        }))
        .unwrap()
    }

    fn mode(latest: &Latest, version: &str) -> Option<String> {
        let seen = latest.of(Arc::new(Parsed::Readable(policy(version, "Capture"))));
        seen.readable()?.status.as_ref()?.mode.map(|mode| mode.to_string())
    }

    #[test]
    fn a_status_stands_until_the_watch_shows_it_or_something_newer() {
        let latest = Latest::default();
        assert_eq!(mode(&latest, "9").as_deref(), Some("Capture"));
        latest.put(&policy("10", "Live"));
        assert_eq!(
            mode(&latest, "9").as_deref(),
            Some("Live"),
            "versions are numbers, not texts"
        );
        assert_eq!(mode(&latest, "10").as_deref(), Some("Capture"));
        assert_eq!(mode(&latest, "9").as_deref(), Some("Capture"), "it was caught up with");
    }

    #[test]
    fn the_spec_is_always_the_one_that_is_seen() {
        let latest = Latest::default();
        let mut written = policy("10", "Live");
        written.spec.mode = crate::api::Mode::Live;
        latest.put(&written);
        let seen = latest.of(Arc::new(Parsed::Readable(policy("9", "Capture"))));
        assert_eq!(seen.readable().unwrap().spec.mode.to_string(), "Capture");
    }
}
