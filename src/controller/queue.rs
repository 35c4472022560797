//! Keys to reconcile, each at most once: as large as there are objects and no larger.

use std::{
    collections::{HashSet, VecDeque},
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
        if waiting.keys.insert(key.clone()) {
            waiting.order.push_back(key);
            drop(waiting);
            self.shared.pushed.notify_one();
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
    async fn a_push_wakes_who_waits() {
        let queue = KeyQueue::default();
        let mut keys = Box::pin(queue.stream());
        let (next, ()) = tokio::join!(keys.next(), async { queue.push(1) });
        assert_eq!(next, Some(1));
    }
}
