//! What stands at an account, as far as is known: what was listed last, and what was made since.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use crate::ses::inventory::Inventory;

/// What stands at an account. Shared by all versions of its spec that reach SES alike.
#[derive(Default)]
pub struct Listed {
    /// What was listed last; `None` before the first listing.
    inventory: RwLock<Option<Arc<Inventory>>>,
    fresh: Mutex<Fresh>,
}

/// Names of what was made, or read, and a listing may not show yet.
#[derive(Default)]
struct Fresh {
    /// Since the last listing began.
    since: Names,
    /// Before the listing began that is under way: it must show them.
    before: Names,
}

#[derive(Default)]
struct Names {
    sets: BTreeSet<String>,
    tenants: BTreeSet<String>,
}

impl Listed {
    /// What was listed last.
    #[must_use]
    pub fn inventory(&self) -> Option<Arc<Inventory>> {
        self.inventory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the set stands, as far as is known.
    #[must_use]
    pub fn has_set(&self, name: &str) -> bool {
        let is_fresh = |fresh: &Fresh| fresh.since.sets.contains(name) || fresh.before.sets.contains(name);
        is_fresh(&self.fresh()) || self.inventory().is_some_and(|inventory| inventory.sets.contains(name))
    }

    /// Notes that the set was made, or read.
    pub fn note_set(&self, name: &str) {
        self.fresh().since.sets.insert(name.to_owned());
    }

    /// Whether the tenant stands, as far as is known.
    #[must_use]
    pub fn has_tenant(&self, name: &str) -> bool {
        let is_fresh = |fresh: &Fresh| fresh.since.tenants.contains(name) || fresh.before.tenants.contains(name);
        is_fresh(&self.fresh())
            || self
                .inventory()
                .is_some_and(|inventory| inventory.tenants.contains_key(name))
    }

    /// Notes that the tenant was made, or read.
    pub fn note_tenant(&self, name: &str) {
        self.fresh().since.tenants.insert(name.to_owned());
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the set is gone.
    pub fn note_gone(&self, name: &str) {
        let mut fresh = self.fresh();
        fresh.since.sets.remove(name);
        fresh.before.sets.remove(name);
        drop(fresh);
        let mut inventory = self.inventory.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(inventory) = inventory.as_mut().filter(|inventory| inventory.sets.contains(name)) {
            Arc::make_mut(inventory).sets.remove(name);
        }
    }

    /// Notes that the tenant is gone.
    pub fn note_tenant_gone(&self, name: &str) {
        let mut fresh = self.fresh();
        fresh.since.tenants.remove(name);
        fresh.before.tenants.remove(name);
        drop(fresh);
        let mut inventory = self.inventory.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(inventory) = inventory
            .as_mut()
            .filter(|inventory| inventory.tenants.contains_key(name))
        {
            Arc::make_mut(inventory).tenants.remove(name);
        }
    }

    /// A listing begins: what is made from now on it may miss.
    pub fn begin_listing(&self) {
        let mut fresh = self.fresh();
        let Names { sets, tenants } = std::mem::take(&mut fresh.since);
        fresh.before.sets.extend(sets);
        fresh.before.tenants.extend(tenants);
    }

    /// A listing ended. What was made before it began it shows; what it does not show has vanished.
    pub fn end_listing(&self, inventory: Inventory) -> Arc<Inventory> {
        let inventory = Arc::new(inventory);
        *self.inventory.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&inventory));
        self.fresh().before = Names::default();
        inventory
    }
}
