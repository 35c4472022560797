//! The identities' default configuration sets, asked for before a set is deleted: mail of an identity whose default set is
//! gone is refused by SES, although nobody changed the identity.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::accounts::Account;
use crate::{
    clock,
    ses::{address::Identity, budget::Priority, error::SesError, inventory::defaults_by_set, name::SetName},
};

/// So long an answer holds: a namespace's sets that go together cost one call an identity, not one each.
const KEPT: Duration = Duration::from_mins(1);

/// The default sets of an account's identities, as they were read last.
#[derive(Default)]
pub struct Defaults(tokio::sync::Mutex<Option<Read>>);

struct Read {
    at: Instant,
    by_set: BTreeMap<String, BTreeSet<Identity>>,
}

impl Defaults {
    /// The identities of the account's spec whose default this set is. A listing does not tell: it costs a call an
    /// identity.
    ///
    /// # Errors
    /// What SES refused.
    pub async fn of(
        &self,
        account: &Account,
        set: &SetName,
        priority: Priority,
    ) -> Result<BTreeSet<Identity>, SesError> {
        let mut read = self.0.lock().await;
        let fresh = |read: &Read| clock::monotonic().duration_since(read.at) < KEPT;
        let by_set = match read.take().filter(fresh) {
            Some(Read { at, by_set }) => &read.insert(Read { at, by_set }).by_set,
            None => {
                let at = clock::monotonic();
                let by_set = list(account, priority).await?;
                &read.insert(Read { at, by_set }).by_set
            }
        };
        Ok(by_set.get(set.as_str()).cloned().unwrap_or_default())
    }
}

async fn list(account: &Account, priority: Priority) -> Result<BTreeMap<String, BTreeSet<Identity>>, SesError> {
    let reader = account.reader(priority);
    let mut records = BTreeMap::new();
    for identity in &account.spec.identities {
        let identity = Identity::new(&identity.name);
        if let Some(record) = reader.identity(&identity).await? {
            records.insert(identity, record);
        }
    }
    Ok(defaults_by_set(&records))
}
