//! Operations on the wire: requests are read, the account does them, answers are written. One file a group.

mod account;
mod bulk;
mod destinations;
mod identities;
mod outbound;
mod reputation;
mod sets;
mod suppression;
mod tags;
mod templates;
mod tenants;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::delivery::Outgoing;
use super::operation::Operation;
use super::state::{Account, PageRequest};
use super::wire::{ApiError, Code, Pairs, UnknownMembers, read_json, write_json};

/// One REST request, routed and read whole.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) labels: Vec<String>,
    pub(super) query: Pairs,
    pub(super) body: &'a [u8],
    pub(super) unknown_members: UnknownMembers,
}

/// A written answer, or what SES refuses with.
type Answer = Result<Vec<u8>, ApiError>;

/// The empty object that operations without members answer.
#[derive(Serialize)]
struct Empty {}

fn done(result: Result<(), ApiError>) -> Answer {
    result.and_then(|()| write_json(&Empty {}))
}

impl Call<'_> {
    fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        read_json(self.body, self.unknown_members)
    }

    /// The path label at this position; the router made as many as the pattern has.
    fn label(&self, position: usize) -> &str {
        self.labels.get(position).map_or("", String::as_str)
    }

    /// The query, of which the operation knows these keys.
    fn query(&self, known: &[&str]) -> Result<&Pairs, ApiError> {
        match (self.unknown_members, self.query.first_unknown(known)) {
            (UnknownMembers::Refused, Some(key)) => Err(ApiError::bad_request(format!(
                "The operation has no query parameter {key}."
            ))),
            _ => Ok(&self.query),
        }
    }

    /// What the call is about, for the call log: the name of a set, tenant, identity or template, or an ARN. Never an address
    /// of a suppression list.
    pub(super) fn target(&self) -> String {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Names {
            configuration_set_name: Option<String>,
            event_destination_name: Option<String>,
            tenant_name: Option<String>,
            email_identity: Option<String>,
            template_name: Option<String>,
            resource_arn: Option<String>,
        }
        // A body that cannot be read is refused by the operation; here it only has no names.
        let names: Names = serde_json::from_slice(self.body).unwrap_or_default();
        let label = |position: usize| self.labels.get(position).cloned();
        match self.operation {
            Operation::GetSuppressedDestination | Operation::DeleteSuppressedDestination => {
                self.query.first("TenantName").map(str::to_owned).unwrap_or_default()
            }
            Operation::GetReputationEntity
            | Operation::UpdateReputationEntityCustomerManagedStatus
            | Operation::UpdateReputationEntityPolicy => label(1).unwrap_or_default(),
            Operation::CreateConfigurationSetEventDestination
            | Operation::UpdateConfigurationSetEventDestination
            | Operation::DeleteConfigurationSetEventDestination => {
                let destination = label(1).or(names.event_destination_name).unwrap_or_default();
                format!("{}/{destination}", self.label(0))
            }
            _ => label(0)
                .or(names.configuration_set_name)
                .or(names.tenant_name)
                .or(names.email_identity)
                .or(names.template_name)
                .or(names.resource_arn)
                .or_else(|| {
                    self.query
                        .first("ResourceArn")
                        .or(self.query.first("TenantName"))
                        .map(str::to_owned)
                })
                .unwrap_or_default(),
        }
    }
}

pub(super) use outbound::base64;

/// Reads a REST operation that sends.
pub(super) fn outgoing(operation: Operation, body: &[u8], unknown_members: UnknownMembers) -> Outgoing {
    if operation == Operation::SendBulkEmail {
        bulk::many(body, unknown_members)
    } else {
        outbound::one(body, unknown_members)
    }
}

/// Does the call. Everything it changes is changed when this returns.
pub(super) fn answer(account: &mut Account, call: &Call<'_>, now: Timestamp) -> Answer {
    use Operation as Op;
    match call.operation {
        Op::GetAccount => account::get(account, call, now),
        Op::PutAccountSendingAttributes => account::put_sending(account, call),
        Op::PutAccountSuppressionAttributes => account::put_suppression(account, call),

        Op::CreateConfigurationSet => sets::create(account, call),
        Op::GetConfigurationSet => sets::get(account, call),
        Op::DeleteConfigurationSet => sets::delete(account, call),
        Op::ListConfigurationSets => sets::list(account, call),
        Op::UpdateConfigurationSet => sets::update(account, call),
        Op::PutConfigurationSetArchivingOptions => sets::put_archiving(account, call),
        Op::PutConfigurationSetDeliveryOptions => sets::put_delivery(account, call),
        Op::PutConfigurationSetReputationOptions => sets::put_reputation(account, call),
        Op::PutConfigurationSetSendingOptions => sets::put_sending(account, call),
        Op::PutConfigurationSetSuppressionOptions => sets::put_suppression(account, call),
        Op::PutConfigurationSetTrackingOptions => sets::put_tracking(account, call),
        Op::PutConfigurationSetVdmOptions => sets::put_vdm(account, call),

        Op::CreateConfigurationSetEventDestination => destinations::create(account, call),
        Op::GetConfigurationSetEventDestinations => destinations::get(account, call),
        Op::UpdateConfigurationSetEventDestination => destinations::update(account, call),
        Op::DeleteConfigurationSetEventDestination => destinations::delete(account, call),

        Op::CreateTenant => tenants::create(account, call, now),
        Op::GetTenant => tenants::get(account, call),
        Op::ListTenants => tenants::list(account, call),
        Op::DeleteTenant => tenants::delete(account, call),
        Op::CreateTenantResourceAssociation => tenants::associate(account, call, now),
        Op::DeleteTenantResourceAssociation => tenants::disassociate(account, call),
        Op::ListTenantResources => tenants::list_resources(account, call),
        Op::ListResourceTenants => tenants::list_tenants_of(account, call),
        Op::PutTenantSuppressionAttributes => tenants::put_suppression(account, call),

        Op::PutSuppressedDestination => suppression::put(account, call, now),
        Op::GetSuppressedDestination => suppression::get(account, call),
        Op::DeleteSuppressedDestination => suppression::delete(account, call),
        Op::ListSuppressedDestinations => suppression::list(account, call),

        Op::GetReputationEntity => reputation::get(account, call),
        Op::ListReputationEntities => reputation::list(account, call),
        Op::UpdateReputationEntityCustomerManagedStatus => reputation::put_customer_status(account, call, now),
        Op::UpdateReputationEntityPolicy => reputation::put_policy(account, call),
        Op::ListRecommendations => reputation::list_recommendations(account, call),

        Op::CreateEmailIdentity => identities::create(account, call),
        Op::GetEmailIdentity => identities::get(account, call),
        Op::ListEmailIdentities => identities::list(account, call),
        Op::DeleteEmailIdentity => identities::delete(account, call),
        Op::PutEmailIdentityConfigurationSetAttributes => identities::put_set(account, call),
        Op::PutEmailIdentityDkimAttributes => identities::put_dkim(account, call),
        Op::PutEmailIdentityFeedbackAttributes => identities::put_feedback(account, call),
        Op::PutEmailIdentityMailFromAttributes => identities::put_mail_from(account, call),

        Op::CreateEmailTemplate => templates::create(account, call),
        Op::GetEmailTemplate => templates::get(account, call),
        Op::DeleteEmailTemplate => templates::delete(account, call),

        Op::TagResource => tags::tag(account, call),
        Op::UntagResource => tags::untag(account, call),
        Op::ListTagsForResource => tags::list(account, call),

        // Answered beside this: STS and version 1 speak another protocol, and what sends is read once, before. The router
        // yields no unknown operation.
        Op::SendEmail | Op::SendBulkEmail | Op::SendRawEmail | Op::AssumeRole | Op::GetCallerIdentity | Op::Unknown => {
            Err(ApiError::new(
                Code::UnknownOperation,
                format!("{} is not answered here.", call.operation.name()),
            ))
        }
    }
}

/// The members every listing by POST has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRequest {
    #[serde(default)]
    filter: BTreeMap<String, String>,
    next_token: Option<String>,
    page_size: Option<i64>,
}

impl ListRequest {
    /// The page asked for, and the filters, of which the listing knows these.
    fn split(self, known: &[&str]) -> Result<(PageRequest, Filters), ApiError> {
        if let Some(unknown) = self.filter.keys().find(|key| !known.contains(&key.as_str())) {
            let known = known.join(", ");
            return Err(ApiError::bad_request(format!(
                "Filter {unknown} is invalid, must be one of [{known}]."
            )));
        }
        Ok((
            PageRequest {
                next_token: self.next_token,
                page_size: self.page_size,
            },
            Filters(self.filter),
        ))
    }
}

struct Filters(BTreeMap<String, String>);

impl Filters {
    fn text(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// A filter whose value is a word of the model.
    fn word<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, ApiError> {
        self.0
            .remove(key)
            .map(|value| {
                serde_json::from_value(serde_json::Value::String(value))
                    .map_err(|error| ApiError::bad_request(format!("The value of filter {key} is invalid: {error}.")))
            })
            .transpose()
    }
}
