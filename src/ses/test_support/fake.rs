//! An account in memory that behaves as SES does, and can be cut off: the request at the cut is carried out and its
//! answer lost, or not carried out at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures::FutureExt;

use super::super::address::{Address, Identity};
use super::super::arn::{Arn, ArnBase, ResourceKind};
use super::super::call::{Answer, SesCall, TenantRef};
use super::super::client::{Page, ReadSes, Reply, WriteSes};
use super::super::desired::{Reason, Suppression, SuppressionList};
use super::super::error::{ErrorKind, SesError};
use super::super::name::{DestinationName, SetName, TenantName};
use super::super::observed::{
    AccountRecord, IdentityListing, IdentityRecord, ObservedDestination, ObservedEntry, Reputation, SendingStatus,
    SetRecord, TenantListing, TenantRecord,
};
use super::arns;

/// What the account holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Account {
    pub(crate) sets: BTreeMap<SetName, (SetRecord, BTreeMap<DestinationName, ObservedDestination>)>,
    pub(crate) tenants: BTreeMap<TenantName, (TenantRecord, Reputation, BTreeSet<Arn>)>,
}

/// What happens to the request at the cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// It never arrives.
    Before(usize),
    /// It is carried out, its answer is lost.
    After(usize),
}

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) account: Mutex<Account>,
    /// Every write that was carried out.
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) cut: Mutex<Option<Cut>>,
}

impl Fake {
    pub(crate) fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = Some(cut);
    }

    fn write(&self, call: &SesCall) -> Result<Answer, ErrorKind> {
        let at = self.cut.lock().unwrap().take();
        match at {
            Some(Cut::Before(0)) => return Err(ErrorKind::Unreachable),
            Some(Cut::Before(left)) => self.cut(Cut::Before(left - 1)),
            Some(Cut::After(left)) if left > 0 => self.cut(Cut::After(left - 1)),
            Some(Cut::After(_)) | None => {}
        }
        let answer = self.account.lock().unwrap().write(call)?;
        self.log.lock().unwrap().push(call.to_string());
        if let Some(Cut::After(0)) = at {
            Err(ErrorKind::AnswerLost)
        } else {
            Ok(answer)
        }
    }
}

impl Account {
    fn set(&mut self, set: &SetName) -> Result<&mut SetRecord, ErrorKind> {
        self.sets
            .get_mut(set)
            .map(|(record, _)| record)
            .ok_or(ErrorKind::NotFound)
    }

    fn destinations(
        &mut self,
        set: &SetName,
    ) -> Result<&mut BTreeMap<DestinationName, ObservedDestination>, ErrorKind> {
        self.sets
            .get_mut(set)
            .map(|(_, destinations)| destinations)
            .ok_or(ErrorKind::NotFound)
    }

    fn tenant(&mut self, tenant: &TenantName) -> Result<&mut (TenantRecord, Reputation, BTreeSet<Arn>), ErrorKind> {
        self.tenants.get_mut(tenant).ok_or(ErrorKind::NotFound)
    }

    fn by_arn(&mut self, tenant: &TenantRef) -> Result<&mut Reputation, ErrorKind> {
        let TenantRef::Known(arn) = tenant else {
            panic!("applying fills in the ARN")
        };
        let found = self.tenants.values_mut().find(|(record, ..)| record.arn == *arn);
        found.map(|(_, reputation, _)| reputation).ok_or(ErrorKind::BadRequest)
    }

    #[allow(clippy::too_many_lines)] // One arm a request.
    fn write(&mut self, call: &SesCall) -> Result<Answer, ErrorKind> {
        match call.clone() {
            SesCall::CreateSet {
                set,
                sending,
                options,
                tags,
            } => {
                if self.sets.contains_key(&set) {
                    return Err(ErrorKind::AlreadyExists);
                }
                self.sets.insert(
                    set,
                    (
                        SetRecord {
                            tags,
                            sending,
                            options: *options,
                        },
                        BTreeMap::new(),
                    ),
                );
            }
            SesCall::DeleteSet { set } => {
                let arn = arns().set(&set);
                if self.tenants.values().any(|(_, _, resources)| resources.contains(&arn)) {
                    return Err(ErrorKind::HasTenantAssociations);
                }
                self.sets.remove(&set).ok_or(ErrorKind::NotFound)?;
            }
            SesCall::PutSending { set, enabled } => self.set(&set)?.sending = enabled,
            SesCall::PutDelivery { set, delivery } => self.set(&set)?.options.delivery = delivery,
            SesCall::PutReputation { set, metrics } => self.set(&set)?.options.reputation_metrics = metrics,
            SesCall::PutTracking { set, tracking } => self.set(&set)?.options.tracking = tracking,
            SesCall::PutSuppression { set, suppression } => {
                self.set(&set)?.options.suppression = Suppression::Only(suppression);
            }
            SesCall::PutVdm { set, vdm } => self.set(&set)?.options.vdm = vdm,
            SesCall::PutArchiving { set, archive } => self.set(&set)?.options.archive = archive,
            SesCall::PutSigning { set, signing } => self.set(&set)?.options.signing = signing,
            SesCall::CreateDestination { set, name, destination } => {
                let standing = self.destinations(&set)?;
                if standing.contains_key(&name) {
                    return Err(ErrorKind::AlreadyExists);
                }
                if standing.len() == super::super::plan::MAX_DESTINATIONS {
                    return Err(ErrorKind::LimitExceeded);
                }
                standing.insert(name, ObservedDestination::Known(destination));
            }
            SesCall::UpdateDestination { set, name, destination } => {
                let standing = self.destinations(&set)?.get_mut(&name).ok_or(ErrorKind::NotFound)?;
                *standing = ObservedDestination::Known(destination);
            }
            SesCall::DeleteDestination { set, name } => {
                self.destinations(&set)?.remove(&name).ok_or(ErrorKind::NotFound)?;
            }
            SesCall::Tag { resource, tags } => {
                let is_it = |set: &&SetName| arns().set(set) == resource;
                if let Some(set) = self.sets.keys().find(is_it).cloned() {
                    self.set(&set)?.tags.extend(tags);
                } else {
                    let tenant = self.tenants.values_mut().find(|(record, ..)| record.arn == resource);
                    tenant.ok_or(ErrorKind::NotFound)?.0.tags.extend(tags);
                }
            }
            SesCall::CreateTenant {
                tenant,
                tags,
                suppression,
            } => {
                if self.tenants.contains_key(&tenant) {
                    return Err(ErrorKind::AlreadyExists);
                }
                let arn = Arn::new(format!(
                    "arn:aws:ses:eu-west-1:123456789012:tenant/{tenant}/tn-{}",
                    "0".repeat(30)
                ));
                let record = TenantRecord {
                    arn: arn.clone(),
                    tags,
                    suppression,
                    sending: SendingStatus::Enabled,
                };
                self.tenants
                    .insert(tenant, (record, Reputation::of_new_tenant(), BTreeSet::new()));
                return Ok(Answer::TenantCreated(arn));
            }
            SesCall::DeleteTenant { tenant } => {
                self.tenants.remove(&tenant).ok_or(ErrorKind::NotFound)?;
            }
            SesCall::Associate { tenant, resource } => {
                let set_exists = self.sets.keys().any(|set| arns().set(set) == resource);
                if resource.kind() == ResourceKind::ConfigurationSet && !set_exists {
                    return Err(ErrorKind::NotFound);
                }
                if !self.tenant(&tenant)?.2.insert(resource) {
                    return Err(ErrorKind::AlreadyExists);
                }
            }
            SesCall::Dissociate { tenant, resource } => {
                self.tenant(&tenant)?.2.remove(&resource);
            }
            SesCall::PutTenantSuppression { tenant, suppression } => {
                self.tenant(&tenant)?.0.suppression = suppression;
            }
            SesCall::PutReputationPolicy { tenant, policy } => self.by_arn(&tenant)?.policy = Some(policy),
            SesCall::PutTenantSending { tenant, enabled } => {
                self.by_arn(&tenant)?.by_customer = if enabled {
                    SendingStatus::Enabled
                } else {
                    SendingStatus::Disabled
                };
            }
            SesCall::ListAddress { .. }
            | SesCall::UnlistAddress { .. }
            | SesCall::PutIdentityDefault { .. }
            | SesCall::PutAccountSending { .. } => panic!("the fake account has no {}", call.operation()),
        }
        Ok(Answer::Done)
    }
}

fn reply<'a, T: Send + 'a>(operation: &'static str, result: Result<T, ErrorKind>) -> Reply<'a, T> {
    async move { result.map_err(|kind| SesError::new(operation, kind, "")) }.boxed()
}

fn whole<T>(items: impl IntoIterator<Item = T>) -> Page<T> {
    Page {
        items: items.into_iter().collect(),
        next: None,
    }
}

macro_rules! absent {
    ($($method:ident($($type:ty),*) -> $answer:ty;)*) => {
        $(fn $method<'a>(&'a self, $(_: $type),*) -> Reply<'a, $answer> {
            panic!("the fake account has no {}", stringify!($method))
        })*
    };
}

#[allow(clippy::elidable_lifetime_names)] // Arguments of some methods need it.
impl ReadSes for Fake {
    absent! {
        whose() -> ArnBase;
        account() -> AccountRecord;
        identity(&'a Identity) -> IdentityRecord;
        list_identities(Option<String>) -> Page<IdentityListing>;
        list_tenants(Option<String>) -> Page<TenantListing>;
        entry(&'a SuppressionList, &'a Address) -> ObservedEntry;
        list_entries(&'a SuppressionList, Option<String>) -> Page<(Address, Reason)>;
    }

    fn set<'a>(&'a self, set: &'a SetName) -> Reply<'a, SetRecord> {
        reply(
            "GetConfigurationSet",
            self.account.lock().unwrap().set(set).map(|record| record.clone()),
        )
    }

    fn destinations<'a>(&'a self, set: &'a SetName) -> Reply<'a, BTreeMap<DestinationName, ObservedDestination>> {
        let standing = self
            .account
            .lock()
            .unwrap()
            .destinations(set)
            .map(|standing| standing.clone());
        reply("GetConfigurationSetEventDestinations", standing)
    }

    fn list_sets(&self, _token: Option<String>) -> Reply<'_, Page<String>> {
        let names = self
            .account
            .lock()
            .unwrap()
            .sets
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        reply("ListConfigurationSets", Ok(whole(names)))
    }

    fn tenant<'a>(&'a self, tenant: &'a TenantName) -> Reply<'a, TenantRecord> {
        reply(
            "GetTenant",
            self.account
                .lock()
                .unwrap()
                .tenant(tenant)
                .map(|(record, ..)| record.clone()),
        )
    }

    fn reputation<'a>(&'a self, tenant: &'a Arn) -> Reply<'a, Reputation> {
        let reference = TenantRef::Known(tenant.clone());
        reply(
            "GetReputationEntity",
            self.account.lock().unwrap().by_arn(&reference).map(|it| it.clone()),
        )
    }

    fn list_tenant_resources<'a>(&'a self, tenant: &'a TenantName, _token: Option<String>) -> Reply<'a, Page<Arn>> {
        let resources = self
            .account
            .lock()
            .unwrap()
            .tenant(tenant)
            .map(|(.., resources)| whole(resources.clone()));
        reply("ListTenantResources", resources)
    }

    fn list_resource_tenants<'a>(&'a self, resource: &'a Arn, _token: Option<String>) -> Reply<'a, Page<String>> {
        let account = self.account.lock().unwrap();
        let holders = account
            .tenants
            .iter()
            .filter(|(_, (.., resources))| resources.contains(resource));
        reply(
            "ListResourceTenants",
            Ok(whole(holders.map(|(name, _)| name.to_string()))),
        )
    }
}

impl WriteSes for Fake {
    fn call<'a>(&'a self, call: &'a SesCall) -> Reply<'a, Answer> {
        reply(call.operation(), self.write(call))
    }
}
