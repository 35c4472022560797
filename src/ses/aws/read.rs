//! Every reading request.

use std::collections::BTreeMap;

use aws_sdk_sesv2::types as sdk;
use futures::FutureExt;

use super::super::address::{Address, Identity};
use super::super::arn::{Arn, ArnBase};
use super::super::client::{Page, ReadSes, Reply};
use super::super::desired::{Reason, SuppressionList};
use super::super::error::{ErrorKind, SesError};
use super::super::name::{DestinationName, SetName, TenantName};
use super::super::observed::{
    AccountRecord, EntryOrigin, IdentityListing, IdentityRecord, ObservedDestination, ObservedEntry, Reputation,
    SetRecord, TenantListing, TenantRecord,
};
use super::convert::{self, Blocks};
use super::write::tenant_name;
use super::{AwsReader, AwsWriter, failure};

/// The largest page of configuration sets, identities and suppression entries.
const LARGE_PAGE: i32 = 1_000;
/// The largest page of everything about tenants.
const TENANT_PAGE: i32 = 100;

fn unreadable(operation: &'static str, what: impl std::fmt::Display) -> SesError {
    SesError::new(operation, ErrorKind::Unintelligible, &what.to_string())
}

fn present<T>(operation: &'static str, part: &str, value: Option<T>) -> Result<T, SesError> {
    value.ok_or_else(|| unreadable(operation, format_args!("{part} is missing")))
}

/// An empty token is the end, as an absent one.
fn page<T>(items: Vec<T>, next: Option<String>) -> Page<T> {
    Page {
        items,
        next: next.filter(|token| !token.is_empty()),
    }
}

impl ReadSes for AwsReader {
    fn whose(&self) -> Reply<'_, ArnBase> {
        async {
            let operation = "GetCallerIdentity";
            let caller = self
                .sts
                .get_caller_identity()
                .send()
                .await
                .map_err(|error| failure(operation, &error))?;
            let region = self.client.config().region().map(ToString::to_string);
            let (arn, account) = (
                present(operation, "Arn", caller.arn)?,
                present(operation, "Account", caller.account)?,
            );
            let base = ArnBase::from_caller(&arn, &account, &present(operation, "region", region)?);
            present(operation, "an ARN", base)
        }
        .boxed()
    }

    fn account(&self) -> Reply<'_, AccountRecord> {
        async {
            let operation = "GetAccount";
            let account = self
                .client
                .get_account()
                .send()
                .await
                .map_err(|error| failure(operation, &error))?;
            let quota = present(operation, "SendQuota", account.send_quota)?;
            let suppressed = account
                .suppression_attributes
                .and_then(|it| it.suppressed_reasons)
                .unwrap_or_default();
            Ok(AccountRecord {
                production: account.production_access_enabled,
                sending: account.sending_enabled,
                enforcement: account.enforcement_status.unwrap_or_default(),
                max_24_hours: quota.max24_hour_send,
                max_per_second: quota.max_send_rate,
                sent_24_hours: quota.sent_last24_hours,
                suppressed: convert::read_reasons(&suppressed).map_err(|error| unreadable(operation, error))?,
            })
        }
        .boxed()
    }

    fn set<'a>(&'a self, set: &'a SetName) -> Reply<'a, SetRecord> {
        async move {
            let operation = "GetConfigurationSet";
            let request = self.client.get_configuration_set().configuration_set_name(set.as_str());
            let record = request.send().await.map_err(|error| failure(operation, &error))?;
            let blocks = Blocks {
                delivery: record.delivery_options,
                reputation: record.reputation_options,
                tracking: record.tracking_options,
                suppression: record.suppression_options,
                vdm: record.vdm_options,
                archiving: record.archiving_options,
                security: record.message_security_options,
            };
            Ok(SetRecord {
                tags: convert::read_tags(record.tags),
                sending: record.sending_options.is_none_or(|options| options.sending_enabled),
                options: convert::read_options(blocks).map_err(|error| unreadable(operation, error))?,
            })
        }
        .boxed()
    }

    fn destinations<'a>(&'a self, set: &'a SetName) -> Reply<'a, BTreeMap<DestinationName, ObservedDestination>> {
        async move {
            let operation = "GetConfigurationSetEventDestinations";
            let request = self
                .client
                .get_configuration_set_event_destinations()
                .configuration_set_name(set.as_str());
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let named = |destination: sdk::EventDestination| {
                let name =
                    DestinationName::parse(destination.name.clone()).map_err(|error| unreadable(operation, error))?;
                Ok((name, convert::read_destination(destination)))
            };
            answer
                .event_destinations
                .unwrap_or_default()
                .into_iter()
                .map(named)
                .collect()
        }
        .boxed()
    }

    fn list_sets(&self, token: Option<String>) -> Reply<'_, Page<String>> {
        async {
            let request = self
                .client
                .list_configuration_sets()
                .page_size(LARGE_PAGE)
                .set_next_token(token);
            let answer = request
                .send()
                .await
                .map_err(|error| failure("ListConfigurationSets", &error))?;
            Ok(page(answer.configuration_sets.unwrap_or_default(), answer.next_token))
        }
        .boxed()
    }

    fn tenant<'a>(&'a self, tenant: &'a TenantName) -> Reply<'a, TenantRecord> {
        async move {
            let operation = "GetTenant";
            let request = self.client.get_tenant().tenant_name(tenant.as_str());
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let tenant = present(operation, "Tenant", answer.tenant)?;
            let foreign = |error| unreadable(operation, error);
            Ok(TenantRecord {
                arn: Arn::new(present(operation, "TenantArn", tenant.tenant_arn)?),
                tags: convert::read_tags(tenant.tags),
                suppression: convert::read_tenant_suppression(tenant.suppression_attributes).map_err(foreign)?,
                sending: convert::read_sending(tenant.sending_status.as_ref()).map_err(foreign)?,
            })
        }
        .boxed()
    }

    fn reputation<'a>(&'a self, tenant: &'a Arn) -> Reply<'a, Reputation> {
        async move {
            let operation = "GetReputationEntity";
            let answer = self
                .client
                .get_reputation_entity()
                .reputation_entity_type(sdk::ReputationEntityType::Resource)
                .reputation_entity_reference(tenant.as_str())
                .send()
                .await
                .map_err(|error| failure(operation, &error))?;
            let entity = present(operation, "ReputationEntity", answer.reputation_entity)?;
            let status = |record: Option<sdk::StatusRecord>| {
                let status = record.and_then(|record| record.status);
                convert::read_sending(status.as_ref()).map_err(|error| unreadable(operation, error))
            };
            Ok(Reputation {
                policy: convert::read_policy(entity.reputation_management_policy.as_deref()),
                by_customer: status(entity.customer_managed_status)?,
                by_aws: status(entity.aws_ses_managed_status)?,
            })
        }
        .boxed()
    }

    fn list_tenants(&self, token: Option<String>) -> Reply<'_, Page<TenantListing>> {
        async {
            let operation = "ListTenants";
            let request = self.client.list_tenants().page_size(TENANT_PAGE).set_next_token(token);
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let listing = |tenant: sdk::TenantInfo| {
                Ok(TenantListing {
                    name: present(operation, "TenantName", tenant.tenant_name)?,
                    id: tenant.tenant_id.unwrap_or_default(),
                    arn: Arn::new(present(operation, "TenantArn", tenant.tenant_arn)?),
                    sending: convert::read_sending(tenant.sending_status.as_ref())
                        .map_err(|error| unreadable(operation, error))?,
                })
            };
            let tenants: Result<_, SesError> = answer.tenants.unwrap_or_default().into_iter().map(listing).collect();
            Ok(page(tenants?, answer.next_token))
        }
        .boxed()
    }

    fn list_tenant_resources<'a>(&'a self, tenant: &'a TenantName, token: Option<String>) -> Reply<'a, Page<Arn>> {
        async move {
            let request = self.client.list_tenant_resources().tenant_name(tenant.as_str());
            let request = request.page_size(TENANT_PAGE).set_next_token(token);
            let answer = request
                .send()
                .await
                .map_err(|error| failure("ListTenantResources", &error))?;
            // The types of the answer are not those of SES's own model: only the ARNs are read.
            let arns = answer
                .tenant_resources
                .unwrap_or_default()
                .into_iter()
                .filter_map(|it| it.resource_arn);
            Ok(page(arns.map(Arn::new).collect(), answer.next_token))
        }
        .boxed()
    }

    fn list_resource_tenants<'a>(&'a self, resource: &'a Arn, token: Option<String>) -> Reply<'a, Page<String>> {
        async move {
            let request = self.client.list_resource_tenants().resource_arn(resource.as_str());
            let request = request.page_size(TENANT_PAGE).set_next_token(token);
            let answer = request
                .send()
                .await
                .map_err(|error| failure("ListResourceTenants", &error))?;
            let names = answer
                .resource_tenants
                .unwrap_or_default()
                .into_iter()
                .filter_map(|it| it.tenant_name);
            Ok(page(names.collect(), answer.next_token))
        }
        .boxed()
    }

    fn identity<'a>(&'a self, identity: &'a Identity) -> Reply<'a, IdentityRecord> {
        async move {
            let request = self.client.get_email_identity().email_identity(identity.as_str());
            let record = request
                .send()
                .await
                .map_err(|error| failure("GetEmailIdentity", &error))?;
            let mail_from = |it: sdk::MailFromAttributes| {
                (
                    it.mail_from_domain,
                    it.mail_from_domain_status == sdk::MailFromDomainStatus::Success,
                )
            };
            let dkim = record.dkim_attributes.and_then(|dkim| dkim.status);
            Ok(IdentityRecord {
                verified: record.verified_for_sending_status,
                dkim_verified: dkim == Some(sdk::DkimStatus::Success),
                mail_from: record.mail_from_attributes.map(mail_from),
                default_set: record.configuration_set_name.filter(|set| !set.is_empty()),
            })
        }
        .boxed()
    }

    fn list_identities(&self, token: Option<String>) -> Reply<'_, Page<IdentityListing>> {
        async {
            let operation = "ListEmailIdentities";
            let request = self
                .client
                .list_email_identities()
                .page_size(LARGE_PAGE)
                .set_next_token(token);
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let listing = |it: sdk::IdentityInfo| {
                Ok(IdentityListing {
                    identity: Identity::new(present(operation, "IdentityName", it.identity_name)?),
                    verified: it.verification_status == Some(sdk::VerificationStatus::Success),
                    sending: it.sending_enabled,
                })
            };
            let identities: Result<_, SesError> = answer
                .email_identities
                .unwrap_or_default()
                .into_iter()
                .map(listing)
                .collect();
            Ok(page(identities?, answer.next_token))
        }
        .boxed()
    }

    fn entry<'a>(&'a self, list: &'a SuppressionList, address: &'a Address) -> Reply<'a, ObservedEntry> {
        async move {
            let operation = "GetSuppressedDestination";
            let request = self.client.get_suppressed_destination().email_address(address.expose());
            let request = request.set_tenant_name(tenant_name(list));
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let entry = present(operation, "SuppressedDestination", answer.suppressed_destination)?;
            // SES names the message that made an entry; an entry made by a call has none.
            let automatic = entry
                .attributes
                .is_some_and(|attributes| attributes.message_id.is_some());
            Ok(ObservedEntry {
                reason: convert::read_reason(&entry.reason).map_err(|error| unreadable(operation, error))?,
                origin: if automatic {
                    EntryOrigin::Automatic
                } else {
                    EntryOrigin::Manual
                },
            })
        }
        .boxed()
    }

    fn list_entries<'a>(
        &'a self,
        list: &'a SuppressionList,
        token: Option<String>,
    ) -> Reply<'a, Page<(Address, Reason)>> {
        async move {
            let operation = "ListSuppressedDestinations";
            let request = self
                .client
                .list_suppressed_destinations()
                .page_size(LARGE_PAGE)
                .set_next_token(token);
            let request = request.set_tenant_name(tenant_name(list));
            let answer = request.send().await.map_err(|error| failure(operation, &error))?;
            let listing = |entry: sdk::SuppressedDestinationSummary| {
                let reason = convert::read_reason(&entry.reason).map_err(|error| unreadable(operation, error))?;
                Ok((Address::new(&entry.email_address), reason))
            };
            let summaries = answer.suppressed_destination_summaries.unwrap_or_default();
            let entries: Result<_, SesError> = summaries.into_iter().map(listing).collect();
            Ok(page(entries?, answer.next_token))
        }
        .boxed()
    }
}

/// What writes also reads, by the same requests.
macro_rules! read_through {
    ($($method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl ReadSes for AwsWriter {
            $(#[allow(clippy::elidable_lifetime_names)] // Some methods' arguments name the lifetime.
            fn $method<'a>(&'a self, $($argument: $type),*) -> Reply<'a, $answer> {
                self.reader.$method($($argument),*)
            })*
        }
    };
}

read_through! {
    whose() -> ArnBase;
    account() -> AccountRecord;
    set(set: &'a SetName) -> SetRecord;
    destinations(set: &'a SetName) -> BTreeMap<DestinationName, ObservedDestination>;
    list_sets(token: Option<String>) -> Page<String>;
    tenant(tenant: &'a TenantName) -> TenantRecord;
    reputation(tenant: &'a Arn) -> Reputation;
    list_tenants(token: Option<String>) -> Page<TenantListing>;
    list_tenant_resources(tenant: &'a TenantName, token: Option<String>) -> Page<Arn>;
    list_resource_tenants(resource: &'a Arn, token: Option<String>) -> Page<String>;
    identity(identity: &'a Identity) -> IdentityRecord;
    list_identities(token: Option<String>) -> Page<IdentityListing>;
    entry(list: &'a SuppressionList, address: &'a Address) -> ObservedEntry;
    list_entries(list: &'a SuppressionList, token: Option<String>) -> Page<(Address, Reason)>;
}
