//! Admission of plans: [`Parking`] with a clock, slots that free themselves, and a stream of the keys whose turn it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::Stream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Priority;
use super::parking::{Parking, Verdict};
use crate::clock;

/// Lets a bounded number of plans be at work. Clones share the slots.
pub struct Admission<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Admission<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Whether a plan may start.
#[must_use]
pub enum Admitted<K: Ord + Clone> {
    /// It may, as long as it holds the slot.
    Now(Slot<K>),
    /// Its key comes out of [`Admission::freed`] when it is its turn; whoever holds it should stop here and reconcile
    /// anew then.
    Parked,
}

struct Shared<K> {
    start: Instant,
    parking: Mutex<Parking<K>>,
    /// A slot may have become free.
    freed: Notify,
}

impl<K> Shared<K> {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A poisoned lock means a panic of a key's own comparison; the queue is rebuilt by the next reconciliations.
    fn lock(&self) -> MutexGuard<'_, Parking<K>> {
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Admission<K> {
    /// At most `slots` plans at work; a slot is kept for `keep` for a key that was handed out.
    #[must_use]
    pub fn new(slots: usize, keep: Duration) -> Self {
        let parking = Mutex::new(Parking::new(slots, keep));
        Self {
            shared: Arc::new(Shared {
                start: clock::runtime(),
                parking,
                freed: Notify::new(),
            }),
        }
    }

    /// Asks for a slot. Never waits.
    pub fn admit(&self, key: &K, priority: Priority) -> Admitted<K> {
        let verdict = self.shared.lock().admit(key, priority, self.shared.now());
        match verdict {
            Verdict::Admitted => Admitted::Now(Slot {
                shared: Arc::clone(&self.shared),
            }),
            Verdict::Parked => {
                // A slot that was kept for another key may have expired on the way.
                self.shared.freed.notify_one();
                Admitted::Parked
            }
        }
    }

    /// The key's object is gone.
    pub fn forget(&self, key: &K) {
        self.shared.lock().forget(key);
        self.shared.freed.notify_one();
    }

    /// How many keys are parked, by priority, in the order of [`Priority::ALL`].
    #[must_use]
    pub fn parked(&self) -> [usize; Priority::ALL.len()] {
        self.shared.lock().parked()
    }

    /// The keys whose turn it is, for one controller to reconcile. Must be polled for slots to be handed on.
    #[must_use]
    pub fn freed(&self) -> Freed<K>
    where
        K: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        Box::pin(futures::stream::unfold(shared, |shared| async {
            loop {
                let (ready, expiry) = {
                    let mut parking = shared.lock();
                    (parking.next_ready(shared.now()), parking.next_expiry())
                };
                if let Some(key) = ready {
                    return Some((key, shared));
                }
                let alarm = async {
                    match expiry {
                        Some(at) => tokio::time::sleep_until(shared.start + at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = shared.freed.notified() => {}
                    () = alarm => {}
                }
            }
        }))
    }
}

/// The keys whose turn it is.
pub type Freed<K> = std::pin::Pin<Box<dyn Stream<Item = K> + Send>>;

/// A plan at work; dropped, it makes room for the next.
#[must_use]
pub struct Slot<K: Ord + Clone> {
    shared: Arc<Shared<K>>,
}

impl<K: Ord + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let now = self.shared.now();
        self.shared.lock().release(now);
        self.shared.freed.notify_one();
    }
}
