//! The capture store: what did not go out as it came, in memory, bounded by count and octets.

mod mailpit;
mod view;

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;

pub use self::{
    mailpit::{Mailpit, MailpitError},
    view::{Listed, Part, Shown},
};
use crate::api::{Address, Mode};

/// What became of a recipient of a captured message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Outcome {
    /// Mailed as it is.
    Sent,
    /// Another address was mailed in its place.
    Replaced,
    /// Nobody was mailed.
    Captured,
}

/// A captured message.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When.
    pub at: Timestamp,
    /// Under which policies.
    pub policies: Vec<String>,
    /// In which mode.
    pub mode: Mode,
    /// Who it is from.
    pub from: Address,
    /// Whom it was for, and what became of each.
    pub recipients: Vec<(Address, Outcome)>,
    /// SES's ids of what was sent of it.
    pub sent_as: Vec<String>,
    /// The message as it came.
    pub raw: Bytes,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub messages: usize,
    /// Octets of all of them.
    pub octets: usize,
}

/// A message larger than the whole store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has {size} octets, the capture store holds {most}")]
pub struct TooLarge {
    /// Its octets.
    pub size: usize,
    /// The store's.
    pub most: usize,
}

/// The store. The oldest make room for new ones.
#[derive(Debug)]
pub struct Store {
    bounds: Bounds,
    messages: VecDeque<(u64, Captured)>,
    octets: usize,
    last_id: u64,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            messages: VecDeque::new(),
            octets: 0,
            last_id: 0,
        }
    }

    /// Whether a message of this size fits, were the store empty.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn check(&self, size: usize) -> Result<(), TooLarge> {
        let most = self.bounds.octets;
        if size > most || self.bounds.messages == 0 {
            Err(TooLarge { size, most })
        } else {
            Ok(())
        }
    }

    /// Keeps a message; its number.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn keep(&mut self, captured: Captured) -> Result<u64, TooLarge> {
        self.check(captured.raw.len())?;
        self.octets += captured.raw.len();
        self.last_id += 1;
        self.messages.push_back((self.last_id, captured));
        while self.octets > self.bounds.octets || self.messages.len() > self.bounds.messages {
            let Some((_, oldest)) = self.messages.pop_front() else {
                break;
            };
            self.octets -= oldest.raw.len();
        }
        Ok(self.last_id)
    }

    /// The messages, oldest first, with their numbers.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Captured)> {
        self.messages.iter().map(|(id, captured)| (*id, captured))
    }

    /// The message of this number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Captured> {
        let at = self.messages.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.messages.get(at).map(|(_, captured)| captured)
    }

    /// Forgets one; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Ok(at) = self.messages.binary_search_by_key(&id, |(id, _)| *id) else {
            return false;
        };
        if let Some((_, removed)) = self.messages.remove(at) {
            self.octets -= removed.raw.len();
        }
        true
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.octets = 0;
    }

    /// How many messages are kept, and their octets.
    #[must_use]
    pub fn level(&self) -> (usize, usize) {
        (self.messages.len(), self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn captured(raw: &str) -> Captured {
        let address = |text| Address::parse(text).unwrap();
        Captured {
            at: Timestamp::UNIX_EPOCH,
            policies: vec!["mail".to_owned()],
            mode: Mode::Capture,
            from: address("a@example.com"),
            recipients: vec![(address("b@example.net"), Outcome::Captured)],
            sent_as: vec![],
            raw: Bytes::from(raw.replace('\n', "\r\n")),
        }
    }

    fn store(messages: usize, octets: usize) -> Store {
        Store::new(Bounds { messages, octets })
    }

    #[test]
    fn the_oldest_make_room_by_count_and_by_octets() {
        let mut few = store(2, 1_000);
        let ids: Vec<u64> = (0..3).map(|_| few.keep(captured("12345")).unwrap()).collect();
        assert_eq!((ids, few.level()), (vec![1, 2, 3], (2, 10)));
        assert!(few.get(1).is_none() && few.get(3).is_some());
        let mut small = store(100, 12);
        for _ in 0..3 {
            small.keep(captured("12345")).unwrap();
        }
        assert_eq!(small.level(), (2, 10));
    }

    #[test]
    fn what_is_larger_than_the_store_is_refused() {
        assert_eq!(store(9, 4).keep(captured("12345")), Err(TooLarge { size: 5, most: 4 }));
    }

    #[test]
    fn one_or_all_are_forgotten() {
        let mut store = store(9, 100);
        let id = store.keep(captured("12345")).unwrap();
        store.keep(captured("123")).unwrap();
        assert!(store.remove(id) && !store.remove(id));
        assert_eq!(store.level(), (1, 3));
        store.clear();
        assert_eq!(store.level(), (0, 0));
    }
}
