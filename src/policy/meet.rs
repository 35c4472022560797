//! The order of permissiveness.

use std::time::Duration;

use crate::api::{
    AddressSet, Mode,
    guardrail::{Enforcement, Release},
    policy::DeletionPolicy,
};

/// A value with an order from most restrictive to most permissive.
///
/// # Guarantees
/// `meet` is commutative, associative and idempotent, and its result is within both.
pub trait Meet: Sized {
    /// The most permissive value that is within both.
    #[must_use]
    fn meet(&self, other: &Self) -> Self;

    /// Whether `self` permits nothing that `other` forbids.
    fn is_within(&self, other: &Self) -> bool;
}

/// Types whose `Ord` is the order of permissiveness.
macro_rules! meet_is_min {
    ($($type:ty),*) => {$(
        impl Meet for $type {
            fn meet(&self, other: &Self) -> Self {
                (*self).min(*other)
            }

            fn is_within(&self, other: &Self) -> bool {
                self <= other
            }
        }
    )*};
}

meet_is_min!(Mode, Enforcement, Release, DeletionPolicy, Duration);

impl Meet for AddressSet {
    fn meet(&self, other: &Self) -> Self {
        self.intersection(other)
    }

    fn is_within(&self, other: &Self) -> bool {
        self.is_subset(other)
    }
}

impl<T: Ord + Clone> Meet for std::collections::BTreeSet<T> {
    fn meet(&self, other: &Self) -> Self {
        self.intersection(other).cloned().collect()
    }

    fn is_within(&self, other: &Self) -> bool {
        self.is_subset(other)
    }
}
