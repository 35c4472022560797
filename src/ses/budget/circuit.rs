//! The circuit that opens when SES throttles: everybody waits, a jittered and growing time, and one request tries.

use std::time::Duration;

use super::Priority;

/// How long the circuit opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// After the first throttling; doubled by each further one.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// Between two stops that probe an open circuit.
    pub probe_every: Duration,
}

impl Default for CircuitPolicy {
    /// SES gives no `Retry-After`. Its guide asks to wait "up to 10 minutes" for sending; for control calls, limited to
    /// one a second, a minute is 60 times the period. A stop every two seconds is half of that rate.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            longest: Duration::from_mins(1),
            probe_every: Duration::from_secs(2),
        }
    }
}

/// The circuit, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Requests flow.
    Closed,
    /// SES throttles; only stops probe.
    Open,
    /// One request tries whether SES answers again.
    HalfOpen,
}

#[derive(Debug)]
pub(super) struct Circuit {
    policy: CircuitPolicy,
    /// Counts openings. The outcome of a request that was sent before the last one is old news.
    generation: u64,
    /// Openings since the circuit was last closed; zero is closed.
    openings: u32,
    open_until: Duration,
    probing: bool,
    next_stop_at: Duration,
}

impl Circuit {
    pub(super) fn new(policy: CircuitPolicy) -> Self {
        Self {
            policy,
            generation: 0,
            openings: 0,
            open_until: Duration::ZERO,
            probing: false,
            next_stop_at: Duration::ZERO,
        }
    }

    pub(super) fn state(&self, now: Duration) -> CircuitState {
        match self.openings {
            0 => CircuitState::Closed,
            _ if now < self.open_until => CircuitState::Open,
            _ => CircuitState::HalfOpen,
        }
    }

    pub(super) fn lets_pass(&self, priority: Priority, now: Duration) -> bool {
        self.passes_at(priority, now).is_some_and(|at| at <= now)
    }

    /// When a request of this priority passes; `None` where a probe under way must end first.
    pub(super) fn passes_at(&self, priority: Priority, now: Duration) -> Option<Duration> {
        if self.openings == 0 {
            return Some(now);
        }
        let as_probe = (!self.probing).then_some(self.open_until);
        let as_stop = (priority == Priority::Stop).then_some(self.next_stop_at);
        as_probe.into_iter().chain(as_stop).min()
    }

    /// A request goes out. Returns the generation that its outcome is reported with.
    pub(super) fn begin(&mut self, priority: Priority, now: Duration) -> u64 {
        if self.openings > 0 {
            if priority == Priority::Stop {
                self.next_stop_at = now + self.policy.probe_every;
            }
            self.probing |= now >= self.open_until;
        }
        self.generation
    }

    pub(super) fn answered(&mut self, generation: u64) {
        if generation == self.generation {
            self.openings = 0;
            self.probing = false;
        }
    }

    pub(super) fn throttled(&mut self, generation: u64, now: Duration, chance: f64) {
        // Several requests may be under way when SES begins to throttle: one opening for all of them.
        if generation != self.generation {
            return;
        }
        let doubled = self.policy.first.saturating_mul(2_u32.saturating_pow(self.openings));
        let wait = doubled
            .min(self.policy.longest)
            .mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        self.generation += 1;
        self.openings = self.openings.saturating_add(1);
        self.open_until = now + wait;
        self.next_stop_at = now + self.policy.probe_every;
        self.probing = false;
    }

    pub(super) fn abandoned(&mut self, generation: u64) {
        if generation == self.generation {
            self.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open() -> Circuit {
        let mut circuit = Circuit::new(CircuitPolicy::default());
        let generation = circuit.begin(Priority::Drift, seconds(0));
        circuit.throttled(generation, seconds(0), 1.0);
        circuit
    }

    #[test]
    fn a_closed_circuit_lets_everything_pass() {
        let circuit = Circuit::new(CircuitPolicy::default());
        assert!(
            Priority::ALL
                .into_iter()
                .all(|priority| circuit.lets_pass(priority, seconds(0)))
        );
    }

    #[test]
    fn an_open_circuit_lets_only_stops_pass_and_those_slowly() {
        let mut circuit = open();
        circuit.throttled(1, seconds(0), 1.0); // Four seconds now.
        assert!(!circuit.lets_pass(Priority::Tighten, seconds(3)));
        assert!(!circuit.lets_pass(Priority::Stop, seconds(1)));
        assert!(circuit.lets_pass(Priority::Stop, seconds(2)));
        circuit.begin(Priority::Stop, seconds(2));
        assert!(!circuit.lets_pass(Priority::Stop, seconds(3)));
    }

    #[test]
    fn after_its_time_one_request_probes_and_an_answer_closes_it() {
        let mut circuit = open();
        assert!(circuit.lets_pass(Priority::Drift, seconds(2)));
        let generation = circuit.begin(Priority::Drift, seconds(2));
        assert_eq!(circuit.passes_at(Priority::Tighten, seconds(2)), None);
        circuit.answered(generation);
        assert_eq!(circuit.state(seconds(2)), CircuitState::Closed);
    }

    #[test]
    fn a_probe_without_answer_lets_another_try() {
        let mut circuit = open();
        let generation = circuit.begin(Priority::Drift, seconds(2));
        circuit.abandoned(generation);
        assert!(circuit.lets_pass(Priority::Tighten, seconds(2)));
    }

    #[test]
    fn an_answer_that_was_asked_for_before_the_opening_does_not_close_it() {
        let mut circuit = open();
        circuit.answered(0);
        assert_eq!(circuit.state(seconds(1)), CircuitState::Open);
    }

    #[test]
    fn many_throttled_answers_of_one_moment_open_it_once() {
        let mut circuit = open();
        circuit.throttled(0, seconds(1), 1.0);
        assert!(circuit.lets_pass(Priority::Drift, seconds(2)));
    }

    #[test]
    fn its_time_grows_to_a_bound_and_is_spread_by_chance() {
        let mut circuit = Circuit::new(CircuitPolicy::default());
        let mut waits = Vec::new();
        for generation in 0..8 {
            circuit.throttled(generation, seconds(0), 1.0);
            waits.push(circuit.open_until.as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        circuit.throttled(8, seconds(0), 0.0);
        assert_eq!(circuit.open_until, seconds(30));
    }
}
