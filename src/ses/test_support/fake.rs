//! An account in memory: configuration sets with their destinations and tenants. Requests can be cut, before or after
//! they take effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures::FutureExt;

use super::super::address::{Address, Identity};
use super::super::arn::{Arn, ArnBase};
use super::super::call::{Answer, SesCall};
use super::super::client::{Page, ReadSes, Reply, WriteSes};
use super::super::desired::{Reason, Suppression, SuppressionList};
use super::super::error::{ErrorKind, SesError};
use super::super::name::{DestinationName, SetName, TenantName};
use super::super::observed::{
    AccountRecord, IdentityListing, IdentityRecord, ObservedDestination, ObservedEntry, ObservedSet, Reputation,
    SetRecord, TenantListing, TenantRecord,
};
use super::arns;

/// Where a request is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It never arrives.
    Before,
    /// It takes effect, and its answer is lost.
    After,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) sets: BTreeMap<SetName, ObservedSet>,
    /// Creations by what they made, so that nothing made twice goes unseen.
    pub(crate) created: BTreeMap<String, usize>,
}

/// The account. Knows what sets need; everything else is refused.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) state: Mutex<State>,
    /// How many more writes arrive, and what then happens to one.
    pub(crate) cut: Mutex<Option<(usize, Cut)>>,
}

impl Fake {
    fn error(operation: &'static str, kind: ErrorKind) -> SesError {
        SesError::new(operation, kind, "")
    }

    fn cut(&self) -> Option<Cut> {
        let mut cut = self.cut.lock().unwrap();
        let (left, how) = (*cut)?;
        *cut = left.checked_sub(1).map(|left| (left, how));
        (left == 0).then_some(how)
    }

    fn carry_out(&self, call: &SesCall) -> Result<Answer, SesError> {
        let mut state = self.state.lock().unwrap();
        let State { sets, created } = &mut *state;
        let refuse = |kind| Err(Self::error(call.operation(), kind));
        let missing = Self::error(call.operation(), ErrorKind::NotFound);
        match call {
            SesCall::CreateSet {
                set,
                sending,
                options,
                tags,
            } => {
                if sets.contains_key(set) {
                    return refuse(ErrorKind::AlreadyExists);
                }
                *created.entry(set.to_string()).or_default() += 1;
                let record = SetRecord {
                    tags: tags.clone(),
                    sending: *sending,
                    options: (**options).clone(),
                };
                let (destinations, tenants) = (BTreeMap::new(), Some(BTreeSet::new()));
                sets.insert(
                    set.clone(),
                    ObservedSet {
                        name: set.clone(),
                        record,
                        destinations,
                        tenants,
                    },
                );
            }
            SesCall::DeleteSet { set } => {
                if sets
                    .get_mut(set)
                    .ok_or(missing)?
                    .tenants
                    .iter()
                    .flatten()
                    .next()
                    .is_some()
                {
                    return refuse(ErrorKind::HasTenantAssociations);
                }
                sets.remove(set);
            }
            SesCall::PutSending { set, enabled } => sets.get_mut(set).ok_or(missing)?.record.sending = *enabled,
            SesCall::PutDelivery { set, delivery } => {
                sets.get_mut(set).ok_or(missing)?.record.options.delivery = delivery.clone();
            }
            SesCall::PutSuppression { set, suppression } => {
                sets.get_mut(set).ok_or(missing)?.record.options.suppression = Suppression::Only(suppression.clone());
            }
            SesCall::CreateDestination { set, name, destination } => {
                let standing = sets.get_mut(set).ok_or(missing)?;
                if standing.destinations.contains_key(name) {
                    return refuse(ErrorKind::AlreadyExists);
                }
                standing
                    .destinations
                    .insert(name.clone(), ObservedDestination::Known(destination.clone()));
                *created.entry(format!("{set}/{name}")).or_default() += 1;
            }
            SesCall::UpdateDestination { set, name, destination } => {
                sets.get_mut(set)
                    .ok_or(missing)?
                    .destinations
                    .insert(name.clone(), ObservedDestination::Known(destination.clone()));
            }
            SesCall::DeleteDestination { set, name } => {
                if sets.get_mut(set).ok_or(missing)?.destinations.remove(name).is_none() {
                    return refuse(ErrorKind::NotFound);
                }
            }
            SesCall::Associate { tenant, resource } => {
                let set = sets.values_mut().find(|set| arns().set(&set.name) == *resource);
                let Some(set) = set else {
                    return refuse(ErrorKind::NotFound);
                };
                if !set.tenants.get_or_insert_default().insert(tenant.clone()) {
                    return refuse(ErrorKind::AlreadyExists);
                }
            }
            SesCall::Dissociate { tenant, resource } => {
                let set = sets.values_mut().find(|set| arns().set(&set.name) == *resource);
                let Some(set) = set else {
                    return refuse(ErrorKind::NotFound);
                };
                set.tenants.get_or_insert_default().remove(tenant);
            }
            _ => return refuse(ErrorKind::Unknown),
        }
        Ok(Answer::Done)
    }
}

fn unasked<'a, T: Send + 'a>(operation: &'static str) -> Reply<'a, T> {
    async move { Err(Fake::error(operation, ErrorKind::Unknown)) }.boxed()
}

impl ReadSes for Fake {
    fn whose(&self) -> Reply<'_, ArnBase> {
        async { Ok(arns()) }.boxed()
    }

    fn account(&self) -> Reply<'_, AccountRecord> {
        unasked("GetAccount")
    }

    fn set<'a>(&'a self, set: &'a SetName) -> Reply<'a, SetRecord> {
        let found = self.state.lock().unwrap().sets.get(set).map(|set| set.record.clone());
        async move { found.ok_or_else(|| Self::error("GetConfigurationSet", ErrorKind::NotFound)) }.boxed()
    }

    fn destinations<'a>(&'a self, set: &'a SetName) -> Reply<'a, BTreeMap<DestinationName, ObservedDestination>> {
        let found = self
            .state
            .lock()
            .unwrap()
            .sets
            .get(set)
            .map(|set| set.destinations.clone());
        let operation = "GetConfigurationSetEventDestinations";
        async move { found.ok_or_else(|| Self::error(operation, ErrorKind::NotFound)) }.boxed()
    }

    fn list_sets(&self, _: Option<String>) -> Reply<'_, Page<String>> {
        let items = self
            .state
            .lock()
            .unwrap()
            .sets
            .keys()
            .map(ToString::to_string)
            .collect();
        async move { Ok(Page { items, next: None }) }.boxed()
    }

    fn tenant<'a>(&'a self, _: &'a TenantName) -> Reply<'a, TenantRecord> {
        unasked("GetTenant")
    }

    fn reputation<'a>(&'a self, _: &'a Arn) -> Reply<'a, Reputation> {
        unasked("GetReputationEntity")
    }

    fn list_tenants(&self, _: Option<String>) -> Reply<'_, Page<TenantListing>> {
        unasked("ListTenants")
    }

    fn list_tenant_resources<'a>(&'a self, _: &'a TenantName, _: Option<String>) -> Reply<'a, Page<Arn>> {
        unasked("ListTenantResources")
    }

    fn list_resource_tenants<'a>(&'a self, resource: &'a Arn, _: Option<String>) -> Reply<'a, Page<String>> {
        let state = self.state.lock().unwrap();
        let set = state.sets.values().find(|set| arns().set(&set.name) == *resource);
        let items = set
            .map(|set| set.tenants.iter().flatten().map(ToString::to_string).collect())
            .unwrap_or_default();
        async move { Ok(Page { items, next: None }) }.boxed()
    }

    fn identity<'a>(&'a self, _: &'a Identity) -> Reply<'a, IdentityRecord> {
        unasked("GetEmailIdentity")
    }

    fn list_identities(&self, _: Option<String>) -> Reply<'_, Page<IdentityListing>> {
        unasked("ListEmailIdentities")
    }

    fn entry<'a>(&'a self, _: &'a SuppressionList, _: &'a Address) -> Reply<'a, ObservedEntry> {
        unasked("GetSuppressedDestination")
    }

    fn list_entries<'a>(&'a self, _: &'a SuppressionList, _: Option<String>) -> Reply<'a, Page<(Address, Reason)>> {
        unasked("ListSuppressedDestinations")
    }
}

impl WriteSes for Fake {
    fn call<'a>(&'a self, call: &'a SesCall) -> Reply<'a, Answer> {
        let answer = match self.cut() {
            None => self.carry_out(call),
            Some(Cut::Before) => Err(Self::error(call.operation(), ErrorKind::Unreachable)),
            Some(Cut::After) => self
                .carry_out(call)
                .and(Err(Self::error(call.operation(), ErrorKind::AnswerLost))),
        };
        async move { answer }.boxed()
    }
}
