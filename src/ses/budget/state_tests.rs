#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn state(per_second: f64, burst: u32) -> BudgetState {
    BudgetState::new(
        Some(Rate::new(per_second, burst).unwrap()),
        CircuitPolicy::default(),
        Duration::ZERO,
    )
}

/// Grants everything that may go at `now`.
fn drain(state: &mut BudgetState, now: Duration) -> Vec<Ticket> {
    std::iter::from_fn(|| state.grant(now))
        .map(|grant| grant.ticket)
        .collect()
}

#[test]
fn a_rate_that_is_no_positive_number_is_refused() {
    for (per_second, burst) in [
        (0.0, 2),
        (-1.0, 2),
        (f64::NAN, 2),
        (f64::INFINITY, 2),
        (1e-9, 2),
        (1.0, 0),
    ] {
        assert_eq!(Rate::new(per_second, burst), None, "{per_second} {burst}");
    }
    assert_eq!(Rate::new(0.5, 1).unwrap().period(), Duration::from_secs(2));
}

#[test]
fn one_token_of_the_burst_is_kept_for_stops() {
    let mut state = state(1.0, 2);
    let first = state.enqueue(Priority::SpecChange, Duration::ZERO);
    state.enqueue(Priority::SpecChange, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO), [first]);
    let stop = state.enqueue(Priority::Stop, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO), [stop]);
}

#[test]
fn with_a_burst_of_one_a_stop_simply_goes_first() {
    let mut state = state(1.0, 1);
    let first = state.enqueue(Priority::Drift, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO), [first]);
    state.enqueue(Priority::Drift, Duration::ZERO);
    let stop = state.enqueue(Priority::Stop, Duration::ZERO);
    assert_eq!(state.next_at(Duration::ZERO), Some(millis(1000)));
    assert_eq!(drain(&mut state, millis(1000)), [stop]);
}

#[test]
fn the_most_urgent_goes_first_and_among_equals_the_first_to_come() {
    let mut state = BudgetState::new(None, CircuitPolicy::default(), Duration::ZERO);
    let drift = state.enqueue(Priority::Drift, Duration::ZERO);
    let creations = [0, 1].map(|_| state.enqueue(Priority::Creation, Duration::ZERO));
    let tighten = state.enqueue(Priority::Tighten, Duration::ZERO);
    assert_eq!(
        drain(&mut state, Duration::ZERO),
        [tighten, creations[0], creations[1], drift]
    );
}

#[test]
fn a_cancelled_place_is_not_granted() {
    let mut state = state(1.0, 2);
    let first = state.enqueue(Priority::Drift, Duration::ZERO);
    let second = state.enqueue(Priority::Drift, Duration::ZERO);
    assert!(state.cancel(first));
    assert_eq!(drain(&mut state, Duration::ZERO), [second]);
    assert!(!state.cancel(second));
}

#[test]
fn a_grant_that_was_not_used_is_given_back() {
    let mut state = state(1.0, 1);
    state.enqueue(Priority::Drift, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO).len(), 1);
    state.refund(Duration::ZERO);
    state.enqueue(Priority::Drift, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO).len(), 1);
}

#[test]
fn throttling_makes_the_others_wait_and_lets_a_stop_through() {
    let mut state = state(1.0, 2);
    state.enqueue(Priority::Drift, Duration::ZERO);
    let grant = state.grant(Duration::ZERO).unwrap();
    state.throttled(grant.generation, Duration::ZERO, 1.0);
    state.throttled(grant.generation + 1, Duration::ZERO, 1.0);
    let drift = state.enqueue(Priority::Drift, Duration::ZERO);
    assert_eq!(state.next_at(Duration::ZERO), Some(millis(4000)));
    let stop = state.enqueue(Priority::Stop, Duration::ZERO);
    assert_eq!(state.next_at(Duration::ZERO), Some(millis(2000)));
    assert_eq!(drain(&mut state, millis(2000)), [stop]);
    assert_eq!(drain(&mut state, millis(4000)), [drift]);
}

#[test]
fn a_clock_that_steps_back_gives_nothing() {
    let mut state = state(1.0, 1);
    state.enqueue(Priority::Drift, millis(500));
    assert_eq!(drain(&mut state, millis(500)).len(), 1);
    state.enqueue(Priority::Drift, Duration::ZERO);
    assert_eq!(drain(&mut state, Duration::ZERO).len(), 0);
    assert_eq!(drain(&mut state, millis(999)).len(), 0);
    assert_eq!(drain(&mut state, millis(1500)).len(), 1);
}

fn priorities() -> impl Strategy<Value = Priority> {
    (0..Priority::ALL.len()).prop_map(|index| Priority::ALL[index])
}

proptest! {
    #[test]
    fn no_window_holds_more_than_rate_times_its_length_and_the_burst(
        per_second in 1_u32..20,
        burst in 1_u32..6,
        arrivals in prop::collection::vec((0_u64..400, priorities()), 1..80),
    ) {
        let mut state = state(f64::from(per_second), burst);
        let period = Rate::new(f64::from(per_second), burst).unwrap().period();
        let (mut now, mut granted) = (Duration::ZERO, Vec::new());
        for (gap, priority) in arrivals {
            now += millis(gap);
            state.enqueue(priority, now);
            granted.extend(drain(&mut state, now).into_iter().map(|_| now));
        }
        for (index, start) in granted.iter().enumerate() {
            for (count, end) in granted[index..].iter().enumerate() {
                // `count + 1` grants in this window: all but the burst were earned by waiting.
                let earned = u32::try_from(count + 1).unwrap().saturating_sub(burst);
                prop_assert!(period * earned <= end.saturating_sub(*start), "{count} after {start:?} until {end:?}");
            }
        }
    }

    #[test]
    fn nothing_less_urgent_is_granted_before_what_waited_and_everything_is_granted_in_the_end(
        burst in 1_u32..4,
        arrivals in prop::collection::vec((0_u64..3000, priorities()), 1..40),
    ) {
        let mut state = state(1.0, burst);
        let mut now = Duration::ZERO;
        let mut waiting = std::collections::BTreeSet::new();
        for (gap, priority) in &arrivals {
            now += millis(*gap);
            waiting.insert(state.enqueue(*priority, now));
            while let Some(grant) = state.grant(now) {
                prop_assert_eq!(Some(&grant.ticket), waiting.first());
                waiting.remove(&grant.ticket);
            }
        }
        while let Some(at) = state.next_at(now) {
            now = at;
            let grant = state.grant(now);
            prop_assert!(grant.is_some(), "next_at named a moment at which nothing is granted");
            waiting.remove(&grant.unwrap().ticket);
        }
        prop_assert!(waiting.is_empty());
    }

    #[test]
    fn with_a_burst_of_two_a_stop_goes_at_once_whatever_else_was_asked(
        arrivals in prop::collection::vec((0_u64..3000, 1_usize..Priority::ALL.len()), 0..40),
    ) {
        let mut state = state(1.0, 2);
        let mut now = Duration::ZERO;
        for (gap, index) in arrivals {
            now += millis(gap);
            state.enqueue(Priority::ALL[index], now);
            drain(&mut state, now);
        }
        let stop = state.enqueue(Priority::Stop, now);
        prop_assert_eq!(state.grant(now).map(|grant| grant.ticket), Some(stop));
    }
}
