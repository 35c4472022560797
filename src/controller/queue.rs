//! Keys to reconcile, each at most once: as large as there are objects and no larger.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use tokio::sync::Notify;

/// A queue in which a key that waits is not queued again. Clones share it.
pub struct KeyQueue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    waiting: Mutex<Waiting<K>>,
    pushed: Notify,
}

struct Waiting<K> {
    order: VecDeque<K>,
    keys: HashSet<K>,
    /// Who hears of pushes of a key that is at work.
    listeners: HashMap<K, Arc<Notify>>,
}

/// Hears of pushes of one key, until it is dropped.
pub struct Listener<K: Eq + Hash> {
    shared: Arc<Shared<K>>,
    key: K,
    pushed: Arc<Notify>,
}

impl<K: Eq + Hash> Listener<K> {
    /// Waits for a push; one since the last wait, or since the listening began, is heard at once.
    pub async fn pushed(&self) {
        self.pushed.notified().await;
    }
}

impl<K: Eq + Hash> Drop for Listener<K> {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may listen by now.
        if waiting
            .listeners
            .get(&self.key)
            .is_some_and(|pushed| Arc::ptr_eq(pushed, &self.pushed))
        {
            waiting.listeners.remove(&self.key);
        }
    }
}

impl<K> Clone for KeyQueue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> Default for KeyQueue<K> {
    fn default() -> Self {
        let waiting = Mutex::new(Waiting {
            order: VecDeque::new(),
            keys: HashSet::new(),
            listeners: HashMap::new(),
        });
        Self {
            shared: Arc::new(Shared {
                waiting,
                pushed: Notify::new(),
            }),
        }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> KeyQueue<K> {
    /// Queues the key unless it waits already.
    pub fn push(&self, key: K) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = waiting.listeners.get(&key) {
            listener.notify_one();
        }
        if waiting.keys.insert(key.clone()) {
            waiting.order.push_back(key);
            drop(waiting);
            self.shared.pushed.notify_one();
        }
    }

    /// Listens for pushes of a key, as whoever has it at work does. One listener a key: the last one hears.
    pub fn listen(&self, key: K) -> Listener<K> {
        let pushed = Arc::new(Notify::new());
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.listeners.insert(key.clone(), Arc::clone(&pushed));
        drop(waiting);
        Listener {
            shared: Arc::clone(&self.shared),
            key,
            pushed,
        }
    }

    fn pop(&self) -> Option<K> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = waiting.order.pop_front()?;
        waiting.keys.remove(&key);
        Some(key)
    }

    /// The keys in the order of their arrival, for ever. One consumer.
    pub fn stream(&self) -> impl Stream<Item = K> + Send + use<K> {
        stream::unfold(self.clone(), |queue| async move {
            loop {
                if let Some(key) = queue.pop() {
                    return Some((key, queue));
                }
                // A push between the look and this wait leaves its permit here.
                queue.shared.pushed.notified().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test]
    async fn a_key_that_waits_is_not_queued_again_and_one_that_was_taken_is() {
        let queue = KeyQueue::default();
        let mut keys = Box::pin(queue.stream());
        queue.push("a");
        queue.push("b");
        queue.push("a");
        assert_eq!(keys.next().await, Some("a"));
        queue.push("a");
        assert_eq!((keys.next().await, keys.next().await), (Some("b"), Some("a")));
        assert_eq!(keys.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn who_listens_hears_of_pushes_of_its_key_alone_and_leaves_nothing_behind() {
        let queue = KeyQueue::default();
        queue.push("a");
        let listener = queue.listen("a");
        assert_eq!(listener.pushed().now_or_never(), None, "that was before");
        queue.push("b");
        assert_eq!(listener.pushed().now_or_never(), None);
        // Also where it waits already.
        queue.push("a");
        assert_eq!(listener.pushed().now_or_never(), Some(()));
        let second = queue.listen("a");
        drop(listener);
        queue.push("a");
        assert_eq!(second.pushed().now_or_never(), Some(()));
        drop(second);
        assert!(queue.shared.waiting.lock().unwrap().listeners.is_empty());
    }

    #[tokio::test]
    async fn a_push_wakes_who_waits() {
        let queue = KeyQueue::default();
        let mut keys = Box::pin(queue.stream());
        let (next, ()) = tokio::join!(keys.next(), async { queue.push(1) });
        assert_eq!(next, Some(1));
    }
}
