//! Statuses that were written last, until the watch has caught up with them.
//!
//! A reconciliation that follows a write within milliseconds would otherwise read the status from before it, take the
//! operator's own half-done work for somebody else's, and write the past back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, ResourceExt, core::object::HasStatus};

use super::world::{Key, Shelf};
use crate::api::Parsed;

/// Statuses of one kind as they were written and not seen again yet, by the version of the writing.
pub struct Latest<K: HasStatus>(Mutex<HashMap<Key, Writing<K::Status>>>);

/// The version of a writing, and the status that it left.
type Writing<S> = (Option<u64>, Option<S>);

impl<K: HasStatus> Default for Latest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> Latest<K>
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Clone> + Clone,
{
    /// Keeps what a write returned, unless the shelf shows it already.
    pub fn put(&self, written: &K, shelf: &Shelf<Parsed<K>>) {
        let (key, version) = (Key::of(written), version(written));
        if version > shelf.get(&key).and_then(|seen| self::version(&*seen)) {
            self.lock().insert(key, (version, written.status().cloned()));
        }
    }

    /// The watch shows this object, as the shelf does: what was written of it before is kept no longer.
    pub fn seen(&self, object: &Parsed<K>) {
        let key = Key::of(object);
        let mut latest = self.lock();
        if latest.get(&key).is_some_and(|(written, _)| *written <= version(object)) {
            latest.remove(&key);
        }
    }

    /// The object as the shelf shows it now, with the newer of the two statuses; one that was taken off meanwhile as it
    /// was seen.
    #[must_use]
    pub fn of(&self, seen: Arc<Parsed<K>>, shelf: &Shelf<Parsed<K>>) -> Arc<Parsed<K>> {
        let key = Key::of(&*seen);
        let latest = self.lock().get(&key).cloned();
        // After the look at what was written: what is kept no longer is on the shelf by now.
        let seen = shelf.get(&key).unwrap_or(seen);
        match (latest, &*seen) {
            (Some((written, status)), Parsed::Readable(object)) if written > version(object) => {
                let mut object = object.clone();
                *object.status_mut() = status;
                Arc::new(Parsed::Readable(object))
            }
            _ => seen,
        }
    }

    /// The object is gone.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Writing<K::Status>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Versions of one kind are numbers that grow; one that is none is older than all.
fn version(object: &impl Resource) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use kube::runtime::{
        reflector::{self, store::Writer},
        watcher::Event,
    };
    use serde_json::json;

    use super::*;
    use crate::api::MailPolicy;

    /// What was written, and what the watch has shown.
    struct Bench {
        latest: Latest<MailPolicy>,
        shelf: Shelf<Parsed<MailPolicy>>,
        writer: Writer<Parsed<MailPolicy>>,
    }

    impl Bench {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self {
                latest: Latest::default(),
                shelf: Shelf::new(store),
                writer,
            }
        }

        fn shows(&mut self, version: &str) {
            let seen = Parsed::Readable(policy(version, "Capture"));
            self.writer.apply_watcher_event(&Event::Apply(seen.clone()));
            self.latest.seen(&seen);
        }

        fn writes(&self, version: &str) {
            self.latest.put(&policy(version, "Live"), &self.shelf);
        }

        /// The mode in the status, for one who saw version 9.
        fn mode(&self) -> String {
            let seen = Arc::new(Parsed::Readable(policy("9", "Capture")));
            let now = self.latest.of(seen, &self.shelf);
            now.readable()
                .unwrap()
                .status
                .as_ref()
                .unwrap()
                .mode
                .unwrap()
                .to_string()
        }

        fn is_empty(&self) -> bool {
            self.latest.lock().is_empty()
        }
    }

    fn policy(version: &str, mode: &str) -> MailPolicy {
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailPolicy",
            "metadata": {"name": "default", "namespace": "shop", "resourceVersion": version},
            "spec": {"mode": "Capture"}, "status": {"mode": mode},
        }))
        .unwrap()
    }

    #[test]
    fn a_status_stands_until_the_watch_shows_it_or_something_newer() {
        let mut bench = Bench::new();
        bench.shows("9");
        assert_eq!(bench.mode(), "Capture");
        bench.writes("10");
        assert_eq!(bench.mode(), "Live", "versions are numbers, not texts");
        bench.shows("9");
        assert_eq!(bench.mode(), "Live", "the watch is behind");
        bench.shows("10");
        assert_eq!(bench.mode(), "Capture", "it was caught up with");
    }

    #[test]
    fn nothing_is_kept_that_the_watch_has_shown_whichever_came_first() {
        let mut bench = Bench::new();
        bench.shows("9");
        bench.writes("10");
        assert!(!bench.is_empty());
        bench.shows("10");
        assert!(bench.is_empty());
        bench.shows("12");
        bench.writes("11");
        assert!(bench.is_empty());
    }

    #[test]
    fn the_spec_is_always_the_one_that_is_seen() {
        let bench = Bench::new();
        let mut written = policy("10", "Live");
        written.spec.mode = crate::api::Mode::Live;
        bench.latest.put(&written, &bench.shelf);
        let seen = bench
            .latest
            .of(Arc::new(Parsed::Readable(policy("9", "Capture"))), &bench.shelf);
        assert_eq!(seen.readable().unwrap().spec.mode.to_string(), "Capture");
    }
}
