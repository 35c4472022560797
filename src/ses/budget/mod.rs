//! One budget an account and region: about one control request a second is all that SES gives, shared by everything.
//!
//! [`state`] decides, without clock or task; [`Budget`] waits. [`Admission`] keeps the number of plans at work small
//! and parks the others as keys, so that a backlog costs memory for keys alone and each plan is made from the state
//! of the moment in which it can run.

mod admission;
mod circuit;
mod parking;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

pub use self::admission::{Admission, Admitted, Freed, Slot};
pub use self::circuit::{CircuitPolicy, CircuitState};
pub use self::parking::{Parking, Verdict};
pub use self::state::{BudgetState, Grant, Rate, Ticket};
use super::error::{ErrorKind, SesError};
use crate::clock;

/// How urgent a request is; the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Mail that flows must stop.
    Stop,
    /// Something becomes more restrictive.
    Tighten,
    /// A person changed a spec, or waits for an answer.
    SpecChange,
    /// Something new.
    Creation,
    /// Listings and comparisons.
    Drift,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Tighten, Self::SpecChange, Self::Creation, Self::Drift];

    /// A fixed word for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Tighten => "tighten",
            Self::SpecChange => "spec-change",
            Self::Creation => "creation",
            Self::Drift => "drift",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What a budget tells about itself. Every label it gives is one of a fixed list.
pub trait Meter: Send + Sync {
    /// A request waited this long for its turn.
    fn waited(&self, priority: Priority, time: Duration);
    /// A request ended: its operation, and `ok` or [`ErrorKind::reason`].
    fn called(&self, operation: &'static str, outcome: &'static str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn waited(&self, _priority: Priority, _time: Duration) {}
    fn called(&self, _operation: &'static str, _outcome: &'static str) {}
}

/// The budget at one moment, for gauges and conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// How many requests wait, in the order of [`Priority::ALL`].
    pub waiting: [usize; Priority::ALL.len()],
    /// The circuit.
    pub circuit: CircuitState,
}

/// Gives leave to make requests. Clones share one budget.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    meter: Arc<dyn Meter>,
    /// Spreads the waiting after throttling; 0..1.
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
    queue: Mutex<Queue>,
    /// An outcome may have changed when the next request can go.
    changed: Notify,
}

struct Queue {
    state: BudgetState,
    /// Who hears of a grant; keyed as the state's own queue.
    wakers: BTreeMap<Ticket, oneshot::Sender<Grant>>,
}

impl Shared {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A poisoned lock means a panic between two assignments of plain numbers; the numbers are usable.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants what may go now, and says when to look again.
    fn pump(&self, queue: &mut Queue) -> Option<Duration> {
        let now = self.now();
        while let Some(grant) = queue.state.grant(now) {
            let heard = queue
                .wakers
                .remove(&grant.ticket)
                .is_some_and(|waker| waker.send(grant).is_ok());
            if !heard {
                queue.state.refund(now);
                queue.state.abandoned(grant.generation);
            }
        }
        queue.state.next_at(now)
    }

    /// Changes the queue and lets others go.
    fn change(&self, change: impl FnOnce(&mut Queue, Duration)) {
        let now = self.now();
        let mut queue = self.lock();
        change(&mut queue, now);
        self.pump(&mut queue);
        drop(queue);
        self.changed.notify_waiters();
    }
}

impl Budget {
    /// A budget of this rate (`None` is unlimited); `chance` gives numbers in 0..1.
    #[must_use]
    pub fn new(
        rate: Option<Rate>,
        policy: CircuitPolicy,
        meter: Arc<dyn Meter>,
        chance: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        let queue = Queue {
            state: BudgetState::new(rate, policy, Duration::ZERO),
            wakers: BTreeMap::new(),
        };
        let shared = Shared {
            start: clock::runtime(),
            meter,
            chance: Box::new(chance),
            queue: Mutex::new(queue),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The queue and the circuit now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let queue = self.shared.lock();
        Snapshot {
            waiting: queue.state.waiting(),
            circuit: queue.state.circuit(self.shared.now()),
        }
    }

    /// Waits for leave to make one request. Dropped while waiting, its place and its token are free again.
    pub async fn take(&self, priority: Priority) -> Permit {
        let mut place = Place::join(&self.shared, priority);
        let grant = loop {
            // Listens from before the look at the queue, so that no change between the two is missed.
            let changed = self.shared.changed.notified();
            let next_at = {
                let mut queue = self.shared.lock();
                self.shared.pump(&mut queue)
            };
            // Without a moment to wait for, the outcome of a request under way is what changes it.
            let alarm = async {
                match next_at {
                    Some(at) => tokio::time::sleep_until(self.shared.start + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Ok(grant) = &mut place.heard => break grant,
                () = alarm => {}
                () = changed => {}
            }
        };
        place.ticket = None;
        let now = self.shared.now();
        self.shared.meter.waited(priority, now.saturating_sub(grant.since));
        Permit {
            shared: Arc::clone(&self.shared),
            generation: Some(grant.generation),
        }
    }

    /// Waits for leave, makes the request and notes its outcome: the one way in which requests to SES are made.
    pub async fn spend<T>(
        &self,
        priority: Priority,
        operation: &'static str,
        request: impl Future<Output = Result<T, SesError>>,
    ) -> Result<T, SesError> {
        let permit = self.take(priority).await;
        let result = request.await;
        let outcome = result.as_ref().err().map(|error| error.kind);
        permit.end(outcome);
        self.shared
            .meter
            .called(operation, outcome.map_or("ok", ErrorKind::reason));
        result
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.snapshot()).finish()
    }
}

/// A place in the queue that is given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
    heard: oneshot::Receiver<Grant>,
}

impl Place {
    fn join(shared: &Arc<Shared>, priority: Priority) -> Self {
        let (waker, heard) = oneshot::channel();
        let mut queue = shared.lock();
        let ticket = queue.state.enqueue(priority, shared.now());
        queue.wakers.insert(ticket, waker);
        drop(queue);
        Self {
            shared: Arc::clone(shared),
            ticket: Some(ticket),
            heard,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        self.shared.change(|queue, now| {
            queue.state.cancel(ticket);
            queue.wakers.remove(&ticket);
            // Granted in the very moment of being dropped.
            if let Ok(grant) = self.heard.try_recv() {
                queue.state.refund(now);
                queue.state.abandoned(grant.generation);
            }
        });
    }
}

/// Leave to make one request. Its outcome tells the circuit whether SES throttles.
#[must_use]
pub struct Permit {
    shared: Arc<Shared>,
    /// Taken when the outcome is told.
    generation: Option<u64>,
}

impl Permit {
    /// Tells the outcome: `None` is success.
    pub fn end(mut self, outcome: Option<ErrorKind>) {
        let Some(generation) = self.generation.take() else {
            return;
        };
        match outcome {
            Some(ErrorKind::Throttled) => {
                let chance = (self.shared.chance)();
                self.shared
                    .change(|queue, now| queue.state.throttled(generation, now, chance));
            }
            // SES was not heard, so that nothing is known about throttling.
            Some(ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::AnswerLost | ErrorKind::Credentials) => {
                self.shared.change(|queue, _| queue.state.abandoned(generation));
            }
            _ => self.shared.change(|queue, _| queue.state.answered(generation)),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(generation) = self.generation.take() {
            self.shared.change(|queue, _| queue.state.abandoned(generation));
        }
    }
}

#[cfg(test)]
mod tests;
