//! The memory that all sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many octets sessions may hold together. Clones share the same octets.
#[derive(Clone, Debug)]
pub struct Memory {
    free: Arc<AtomicUsize>,
}

/// Octets that one session holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    octets: usize,
}

impl Memory {
    /// So many octets, all of them free.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self {
            free: Arc::new(AtomicUsize::new(octets)),
        }
    }

    /// How many octets are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Nothing held yet.
    pub(super) fn hold(&self) -> Held {
        Held {
            memory: self.clone(),
            octets: 0,
        }
    }
}

impl Held {
    /// Holds so many octets more; false, and nothing more is held, where they are not free.
    #[must_use]
    pub(super) fn grow(&mut self, octets: usize) -> bool {
        // No other memory is published by this number.
        let taken = self
            .memory
            .free
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(octets));
        if taken.is_ok() {
            self.octets += octets;
        }
        taken.is_ok()
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.memory.free.fetch_add(self.octets, Ordering::Relaxed);
        self.octets = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_free_and_comes_back() {
        let memory = Memory::new(10);
        let mut held = memory.hold();
        assert!(held.grow(4));
        assert!(held.grow(6));
        assert_eq!(memory.free(), 0);
        drop(held);
        assert_eq!(memory.free(), 10);
    }

    #[test]
    fn what_is_not_free_is_not_held_in_part() {
        let memory = Memory::new(10);
        let (mut one, mut other) = (memory.hold(), memory.hold());
        assert!(one.grow(8));
        assert!(!other.grow(3));
        assert_eq!(memory.free(), 2);
        one.release();
        assert!(other.grow(3));
        assert_eq!(memory.free(), 7);
    }
}
