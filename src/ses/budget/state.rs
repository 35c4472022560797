//! The budget as a pure state machine: a token bucket, a queue by urgency, a circuit. Time and chance are arguments.
//!
//! Guarantees, whatever the callers do:
//! - in any window of length T at most `rate × T + burst` requests are granted;
//! - waiters are granted by (priority, arrival); where the burst is two or more, the last token is kept for stops, so
//!   that a stop never waits behind anything but another stop;
//! - while the circuit is open only stops are granted, at the pace of [`CircuitPolicy::probe_every`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::Priority;
use super::circuit::{Circuit, CircuitPolicy, CircuitState};

/// How many requests may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    period: Duration,
    burst: u32,
}

impl Rate {
    /// `per_second` requests a second, `burst` (at least one) at once. `None` where the rate is not a positive number
    /// that a period of up to an hour expresses.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        let period = Duration::try_from_secs_f64(per_second.recip()).ok()?;
        let sensible = Duration::from_nanos(1)..=Duration::from_hours(1);
        (sensible.contains(&period) && burst >= 1).then_some(Self { period, burst })
    }

    /// Between two requests.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// At once, at most.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

/// A place in the queue: the most urgent first, among equals the first to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    priority: Priority,
    arrival: u64,
}

impl Ticket {
    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }
}

/// Leave to make one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Whose it is.
    pub ticket: Ticket,
    /// When it joined the queue.
    pub since: Duration,
    /// Which opening of the circuit it came after: what was sent before an opening says nothing about it.
    pub generation: u64,
}

/// The state machine. Times are durations since any fixed start.
#[derive(Debug)]
pub struct BudgetState {
    rate: Option<Rate>,
    /// Unspent time: a request costs one period. Kept in time rather than tokens, so that nothing is rounded.
    credit: Duration,
    refilled_at: Duration,
    arrivals: u64,
    waiting: BTreeMap<Ticket, Duration>,
    circuit: Circuit,
}

impl BudgetState {
    /// Starts with a full bucket and a closed circuit. Without a rate nothing is limited but by the circuit.
    #[must_use]
    pub fn new(rate: Option<Rate>, policy: CircuitPolicy, now: Duration) -> Self {
        let credit = rate.map_or(Duration::ZERO, |rate| rate.period.saturating_mul(rate.burst));
        Self {
            rate,
            credit,
            refilled_at: now,
            arrivals: 0,
            waiting: BTreeMap::new(),
            circuit: Circuit::new(policy),
        }
    }

    /// Takes a place in the queue.
    pub fn enqueue(&mut self, priority: Priority, now: Duration) -> Ticket {
        let ticket = Ticket {
            priority,
            arrival: self.arrivals,
        };
        self.arrivals += 1;
        self.waiting.insert(ticket, now);
        ticket
    }

    /// Gives a place back. Returns whether it was still waiting; if not, its grant is on the way.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(&ticket).is_some()
    }

    /// Gives a grant back that was not used.
    pub fn refund(&mut self, now: Duration) {
        self.refill(now);
        if let Some(rate) = self.rate {
            self.credit = self
                .credit
                .saturating_add(rate.period)
                .min(rate.period.saturating_mul(rate.burst));
        }
    }

    /// Grants the most urgent request that may go now.
    pub fn grant(&mut self, now: Duration) -> Option<Grant> {
        self.refill(now);
        let (&ticket, &since) = self.waiting.first_key_value()?;
        if self.credit < self.price(ticket.priority) || !self.circuit.lets_pass(ticket.priority, now) {
            return None;
        }
        self.waiting.remove(&ticket);
        self.credit = self
            .credit
            .saturating_sub(self.rate.map_or(Duration::ZERO, |rate| rate.period));
        Some(Grant {
            ticket,
            since,
            generation: self.circuit.begin(ticket.priority, now),
        })
    }

    /// When [`grant`](Self::grant) may next succeed if nothing else happens; `None` where nothing waits, or where only
    /// the outcome of a request under way can change that.
    #[must_use]
    pub fn next_at(&self, now: Duration) -> Option<Duration> {
        let (ticket, _) = self.waiting.first_key_value()?;
        let passes_at = self.circuit.passes_at(ticket.priority, now)?;
        let credit_at = self.refilled_at + self.price(ticket.priority).saturating_sub(self.credit);
        Some(passes_at.max(credit_at).max(now))
    }

    /// A request was answered, with anything but throttling.
    pub fn answered(&mut self, generation: u64) {
        self.circuit.answered(generation);
    }

    /// A request was throttled. `chance` in 0..1 spreads the waiting of many operators.
    pub fn throttled(&mut self, generation: u64, now: Duration, chance: f64) {
        self.circuit.throttled(generation, now, chance);
    }

    /// A request ended without an answer: it says nothing about throttling.
    pub fn abandoned(&mut self, generation: u64) {
        self.circuit.abandoned(generation);
    }

    /// How many wait, by priority, in the order of [`Priority::ALL`].
    #[must_use]
    pub fn waiting(&self) -> [usize; Priority::ALL.len()] {
        Priority::ALL.map(|priority| self.waiting.keys().filter(|ticket| ticket.priority == priority).count())
    }

    /// The circuit as it stands.
    #[must_use]
    pub fn circuit(&self, now: Duration) -> CircuitState {
        self.circuit.state(now)
    }

    /// What a request must find in the bucket: its own period, and but for stops the one that is kept for them.
    fn price(&self, priority: Priority) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let kept = rate.burst >= 2 && priority != Priority::Stop;
        rate.period.saturating_mul(if kept { 2 } else { 1 })
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.refilled_at);
        self.refilled_at = self.refilled_at.max(now);
        if let Some(rate) = self.rate {
            self.credit = self
                .credit
                .saturating_add(passed)
                .min(rate.period.saturating_mul(rate.burst));
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
