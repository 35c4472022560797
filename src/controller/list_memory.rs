//! What a run of the operator knows of entries on SES's lists besides what is recorded.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    record::{Place, Record},
    world::Key,
};

/// Entries compared with SES in one turn of the rotating reader, one call each: behind policies' turns they take a small
/// part of SES's one call a second.
const COMPARED: usize = 5;

/// By MailSuppression, and whose turn it is on each account's lists.
#[derive(Default)]
pub struct ListMemory {
    known: Mutex<HashMap<Key, Known>>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Default)]
struct Known {
    /// Nothing recorded may be trusted to stand.
    doubted: bool,
    /// A batch was done and others wait.
    in_bulk: bool,
    /// A comparison is due.
    compare: bool,
    /// The last entry compared.
    cursor: Option<Place>,
}

impl ListMemory {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn on an account's lists: what one MailSuppression takes off while another finds it there would be wanted and
    /// not stand.
    pub fn turn(&self, account: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(account.to_owned()).or_default())
    }

    /// All that is recorded must be read.
    pub fn doubt(&self, key: Key) {
        self.known().entry(key).or_default().doubted = true;
    }

    /// Whether all that is recorded must be read; whoever asks does it, or doubts it again.
    #[must_use]
    pub fn take_doubt(&self, key: &Key) -> bool {
        let mut known = self.known();
        known
            .get_mut(key)
            .is_some_and(|known| std::mem::take(&mut known.doubted))
    }

    /// The next entries are to be compared.
    pub fn compare(&self, key: Key) {
        self.known().entry(key).or_default().compare = true;
    }

    /// The entries whose turn it is, where a comparison is due. It waits until a bulk is over, which reads enough.
    #[must_use]
    pub fn take_comparison(&self, key: &Key, record: &Record) -> BTreeSet<Place> {
        let mut known = self.known();
        let Some(known) = known.get_mut(key).filter(|known| known.compare && !known.in_bulk) else {
            return BTreeSet::new();
        };
        known.compare = false;
        let after = match &known.cursor {
            Some(cursor) => (Bound::Excluded(cursor), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let rest = record.listed.range(after).map(|(place, _)| place.clone());
        let next: BTreeSet<Place> = rest.take(COMPARED).collect();
        // Fewer: that was the last of them, and the next turn begins again.
        known.cursor = next.last().filter(|_| next.len() == COMPARED).cloned();
        next
    }

    /// Whether the last batch left others waiting.
    #[must_use]
    pub fn is_in_bulk(&self, key: &Key) -> bool {
        self.known().get(key).is_some_and(|known| known.in_bulk)
    }

    /// Notes whether batches wait.
    pub fn note_bulk(&self, key: &Key, in_bulk: bool) {
        self.known().entry(key.clone()).or_default().in_bulk = in_bulk;
    }

    /// The MailSuppression is gone.
    pub fn forget(&self, key: &Key) {
        self.known().remove(key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::record::Standing;
    use super::*;
    use crate::ses::{
        address::Address,
        desired::{Reason, SuppressionList},
    };

    fn key() -> Key {
        Key {
            namespace: "shop".to_owned(),
            name: "bounced".to_owned(),
        }
    }

    fn record(entries: usize) -> Record {
        let standing = Standing {
            reason: Reason::Bounce,
            ours: true,
            under_way: false,
        };
        let place = |index| {
            let address = Address::new(&format!("{index}@example.com"));
            ((SuppressionList::Account, address), standing)
        };
        Record {
            account: Some("primary".to_owned()),
            listed: (0..entries).map(place).collect(),
            ..Record::default()
        }
    }

    #[test]
    fn comparisons_go_round_all_entries_and_only_when_due() {
        let (memory, key, record) = (ListMemory::default(), key(), record(COMPARED + 2));
        assert!(memory.take_comparison(&key, &record).is_empty());
        let turn = || {
            memory.compare(key.clone());
            memory.take_comparison(&key, &record)
        };
        let (first, second, third) = (turn(), turn(), turn());
        assert_eq!((first.len(), second.len()), (COMPARED, 2));
        assert!(first.is_disjoint(&second));
        assert_eq!(third, first);
        assert!(memory.take_comparison(&key, &record).is_empty());
    }

    #[test]
    fn a_comparison_waits_until_a_bulk_is_over() {
        let (memory, key, record) = (ListMemory::default(), key(), record(1));
        memory.note_bulk(&key, true);
        memory.compare(key.clone());
        assert!(memory.take_comparison(&key, &record).is_empty());
        memory.note_bulk(&key, false);
        assert_eq!(memory.take_comparison(&key, &record).len(), 1);
    }

    #[test]
    fn a_doubt_is_taken_once() {
        let (memory, key) = (ListMemory::default(), key());
        memory.doubt(key.clone());
        assert_eq!([memory.take_doubt(&key), memory.take_doubt(&key)], [true, false]);
    }
}
