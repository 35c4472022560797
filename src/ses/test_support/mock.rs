//! A scripted SES: fails on a call that the scenario does not expect, and on one that it misses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::FutureExt;

use super::super::address::{Address, Identity};
use super::super::arn::{Arn, ArnBase};
use super::super::call::{Answer, SesCall};
use super::super::client::{Page, ReadSes, Reply, WriteSes};
use super::super::desired::{Reason, SuppressionList};
use super::super::error::{ErrorKind, SesError};
use super::super::name::{DestinationName, SetName, TenantName};
use super::super::observed::{
    AccountRecord, IdentityListing, IdentityRecord, ObservedDestination, ObservedEntry, Reputation, SetRecord,
    TenantListing, TenantRecord,
};

/// What SES answers to the next request.
pub(crate) enum Step {
    /// This write, answered so.
    Write(SesCall, Result<Answer, ErrorKind>),
    /// A page of configuration sets, asked for with this token.
    Sets(Option<&'static str>, Result<Page<String>, ErrorKind>),
    /// A page of identities.
    Identities(Page<IdentityListing>),
    /// A page of tenants.
    Tenants(Page<TenantListing>),
}

/// Plays a scenario, which must be played to its end.
pub(crate) struct Mock {
    steps: Mutex<VecDeque<Step>>,
}

impl Mock {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: Mutex::new(steps.into_iter().collect()),
        }
    }

    fn next(&self, what: &str) -> Step {
        self.steps
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_else(|| panic!("{what} is one request too many"))
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(
                self.steps.lock().unwrap().len(),
                0,
                "requests of the scenario were not made"
            );
        }
    }
}

fn reply<'a, T: Send + 'a>(operation: &'static str, result: Result<T, ErrorKind>) -> Reply<'a, T> {
    async move { result.map_err(|kind| SesError::new(operation, kind, "")) }.boxed()
}

macro_rules! unscripted {
    ($($method:ident($($type:ty),*) -> $answer:ty;)*) => {
        $(fn $method<'a>(&'a self, $(_: $type),*) -> Reply<'a, $answer> {
            panic!("{} is not part of any scenario", stringify!($method))
        })*
    };
}

#[allow(clippy::elidable_lifetime_names)] // Arguments of some methods need it.
impl ReadSes for Mock {
    unscripted! {
        whose() -> ArnBase;
        account() -> AccountRecord;
        set(&'a SetName) -> SetRecord;
        destinations(&'a SetName) -> BTreeMap<DestinationName, ObservedDestination>;
        tenant(&'a TenantName) -> TenantRecord;
        reputation(&'a Arn) -> Reputation;
        list_tenant_resources(&'a TenantName, Option<String>) -> Page<Arn>;
        list_resource_tenants(&'a Arn, Option<String>) -> Page<String>;
        identity(&'a Identity) -> IdentityRecord;
        entry(&'a SuppressionList, &'a Address) -> ObservedEntry;
        list_entries(&'a SuppressionList, Option<String>) -> Page<(Address, Reason)>;
    }

    fn list_sets(&self, token: Option<String>) -> Reply<'_, Page<String>> {
        let Step::Sets(expected, answer) = self.next("ListConfigurationSets") else {
            panic!("a listing of sets")
        };
        assert_eq!(token.as_deref(), expected);
        reply("ListConfigurationSets", answer)
    }

    fn list_identities(&self, _token: Option<String>) -> Reply<'_, Page<IdentityListing>> {
        let Step::Identities(page) = self.next("ListEmailIdentities") else {
            panic!("a listing of identities")
        };
        reply("ListEmailIdentities", Ok(page))
    }

    fn list_tenants(&self, _token: Option<String>) -> Reply<'_, Page<TenantListing>> {
        let Step::Tenants(page) = self.next("ListTenants") else {
            panic!("a listing of tenants")
        };
        reply("ListTenants", Ok(page))
    }
}

impl WriteSes for Mock {
    fn call<'a>(&'a self, call: &'a SesCall) -> Reply<'a, Answer> {
        let Step::Write(expected, answer) = self.next(&call.to_string()) else {
            panic!("unexpected: {call}")
        };
        assert_eq!(*call, expected);
        reply(call.operation(), answer)
    }
}
