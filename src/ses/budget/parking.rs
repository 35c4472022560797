//! Which plans may be at work, as a pure state machine: slots, and a queue of parked keys.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Priority;

/// Whether a plan may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may; [`Parking::release`] ends it.
    Admitted,
    /// Its key waits; it is handed out when a slot is free.
    Parked,
}

/// Slots and parked keys. Times are durations since any fixed start.
///
/// Guarantees: at most `slots` plans are at work or about to be, but for stops, which always are; a key is parked once,
/// with the more urgent of its priorities; a slot that is kept for a key which never comes is free again after `keep`.
#[derive(Debug)]
pub struct Parking<K> {
    slots: usize,
    keep: Duration,
    at_work: usize,
    arrivals: u64,
    places: BTreeMap<(Priority, u64), K>,
    parked: BTreeMap<K, (Priority, u64)>,
    /// Keys with a slot, in the order in which they are to be handed out.
    ready: VecDeque<K>,
    /// Keys that were handed out, with the moment until which their slot is kept.
    kept: BTreeMap<K, Duration>,
}

impl<K: Ord + Clone> Parking<K> {
    /// With `slots` plans at work at most (at least one).
    #[must_use]
    pub fn new(slots: usize, keep: Duration) -> Self {
        Self {
            slots: slots.max(1),
            keep,
            at_work: 0,
            arrivals: 0,
            places: BTreeMap::new(),
            parked: BTreeMap::new(),
            ready: VecDeque::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Asks whether the plan of this key may start.
    pub fn admit(&mut self, key: &K, priority: Priority, now: Duration) -> Verdict {
        self.expire(now);
        let reserved = self.take_reservation(key);
        // Nobody is parked while a slot is free, so that a free slot never overtakes.
        if reserved || priority == Priority::Stop || self.taken() < self.slots {
            self.unpark(key);
            self.at_work += 1;
            self.promote();
            return Verdict::Admitted;
        }
        let place = if let Some((earlier, arrival)) = self.unpark(key) {
            (earlier.min(priority), arrival)
        } else {
            self.arrivals += 1;
            (priority, self.arrivals)
        };
        self.places.insert(place, key.clone());
        self.parked.insert(key.clone(), place);
        Verdict::Parked
    }

    /// A plan ended.
    pub fn release(&mut self, now: Duration) {
        self.at_work = self.at_work.saturating_sub(1);
        self.expire(now);
        self.promote();
    }

    /// The key is gone: it neither waits nor keeps a slot.
    pub fn forget(&mut self, key: &K) {
        self.unpark(key);
        self.take_reservation(key);
        self.promote();
    }

    /// Hands out the most urgent key that has a slot now; its owner should ask again before `keep` has passed.
    pub fn next_ready(&mut self, now: Duration) -> Option<K> {
        self.expire(now);
        let key = self.ready.pop_front()?;
        self.kept.insert(key.clone(), now + self.keep);
        Some(key)
    }

    /// When the next kept slot is free again.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.kept.values().min().copied()
    }

    /// How many keys are parked, by priority, in the order of [`Priority::ALL`].
    #[must_use]
    pub fn parked(&self) -> [usize; Priority::ALL.len()] {
        Priority::ALL.map(|priority| self.places.range((priority, 0)..=(priority, u64::MAX)).count())
    }

    /// How many plans are at work.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    fn taken(&self) -> usize {
        self.at_work + self.ready.len() + self.kept.len()
    }

    fn unpark(&mut self, key: &K) -> Option<(Priority, u64)> {
        let place = self.parked.remove(key)?;
        self.places.remove(&place);
        Some(place)
    }

    fn take_reservation(&mut self, key: &K) -> bool {
        let before = self.ready.len();
        self.ready.retain(|ready| ready != key);
        self.kept.remove(key).is_some() || self.ready.len() < before
    }

    fn expire(&mut self, now: Duration) {
        self.kept.retain(|_, until| *until > now);
        self.promote();
    }

    fn promote(&mut self) {
        while self.taken() < self.slots
            && let Some((_, key)) = self.places.pop_first()
        {
            self.parked.remove(&key);
            self.ready.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KEEP: Duration = Duration::from_secs(30);
    const NOW: Duration = Duration::ZERO;

    fn full() -> Parking<&'static str> {
        let mut parking = Parking::new(1, KEEP);
        assert_eq!(parking.admit(&"first", Priority::Creation, NOW), Verdict::Admitted);
        parking
    }

    #[test]
    fn beyond_the_slots_a_key_waits_until_one_is_free() {
        let mut parking = full();
        assert_eq!(parking.admit(&"second", Priority::Creation, NOW), Verdict::Parked);
        assert_eq!(parking.next_ready(NOW), None);
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), Some("second"));
        assert_eq!(parking.admit(&"third", Priority::Creation, NOW), Verdict::Parked);
        assert_eq!(parking.admit(&"second", Priority::Creation, NOW), Verdict::Admitted);
    }

    #[test]
    fn a_stop_is_always_admitted() {
        let mut parking = full();
        assert_eq!(parking.admit(&"stop", Priority::Stop, NOW), Verdict::Admitted);
        parking.admit(&"waits", Priority::Drift, NOW);
        parking.release(NOW);
        assert_eq!(
            parking.next_ready(NOW),
            None,
            "two were at work, one slot is still taken"
        );
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), Some("waits"));
    }

    #[test]
    fn the_most_urgent_key_is_handed_out_first() {
        let mut parking = full();
        parking.admit(&"drift", Priority::Drift, NOW);
        parking.admit(&"tighten", Priority::Tighten, NOW);
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), Some("tighten"));
    }

    #[test]
    fn a_key_that_is_parked_twice_keeps_its_place_and_the_more_urgent_priority() {
        let mut parking = full();
        parking.admit(&"other", Priority::Tighten, NOW);
        parking.admit(&"twice", Priority::Tighten, NOW);
        parking.admit(&"twice", Priority::Drift, NOW);
        assert_eq!(parking.parked(), [0, 2, 0, 0, 0]);
        parking.admit(&"late", Priority::Drift, NOW);
        parking.admit(&"late", Priority::Tighten, NOW);
        assert_eq!(parking.parked(), [0, 3, 0, 0, 0]);
    }

    #[test]
    fn a_slot_that_is_kept_for_a_key_which_never_comes_is_free_again() {
        let mut parking = full();
        parking.admit(&"lost", Priority::Creation, NOW);
        parking.admit(&"next", Priority::Creation, NOW);
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), Some("lost"));
        assert_eq!(parking.next_expiry(), Some(KEEP));
        assert_eq!(parking.next_ready(KEEP), Some("next"));
    }

    #[test]
    fn a_forgotten_key_neither_waits_nor_keeps_a_slot() {
        let mut parking = full();
        parking.admit(&"parked", Priority::Creation, NOW);
        parking.forget(&"parked");
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), None);
        let mut parking = full();
        parking.admit(&"ready", Priority::Creation, NOW);
        parking.admit(&"next", Priority::Creation, NOW);
        parking.release(NOW);
        assert_eq!(parking.next_ready(NOW), Some("ready"));
        parking.forget(&"ready");
        assert_eq!(parking.next_ready(NOW), Some("next"));
    }

    proptest! {
        #[test]
        fn never_more_at_work_than_slots_and_no_key_is_lost(
            slots in 1_usize..4,
            steps in prop::collection::vec((0_u8..4, 0_u8..12, 1_usize..Priority::ALL.len()), 1..120),
        ) {
            let mut parking = Parking::new(slots, KEEP);
            let mut asked = BTreeSet::new();
            let mut handed = Vec::new();
            let mut working = 0_usize;
            for (step, key, priority) in steps {
                match step {
                    0 | 1 if asked.insert(key) => match parking.admit(&key, Priority::ALL[priority], NOW) {
                        Verdict::Admitted => working += 1,
                        Verdict::Parked => {}
                    },
                    2 if working > 0 => {
                        working -= 1;
                        parking.release(NOW);
                    }
                    _ => {}
                }
                while let Some(ready) = parking.next_ready(NOW) {
                    prop_assert_eq!(parking.admit(&ready, Priority::Drift, NOW), Verdict::Admitted);
                    handed.push(ready);
                    working += 1;
                }
                prop_assert!(working <= slots);
                prop_assert_eq!(working, parking.at_work());
            }
            while parking.at_work() > 0 {
                parking.release(NOW);
                while let Some(ready) = parking.next_ready(NOW) {
                    parking.admit(&ready, Priority::Drift, NOW);
                    handed.push(ready);
                }
            }
            prop_assert_eq!(parking.parked().iter().sum::<usize>(), 0);
            prop_assert_eq!(handed.iter().collect::<BTreeSet<_>>().len(), handed.len());
        }
    }
}
