//! Every writing request.

use aws_sdk_sesv2::config::http::HttpRequest;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types as sdk;
use futures::FutureExt;

use super::super::arn::Arn;
use super::super::call::{Answer, SesCall, TenantRef};
use super::super::client::{Reply, WriteSes};
use super::super::desired::{SetOptions, SuppressionList};
use super::super::error::{ErrorKind, SesError};
use super::super::name::{SetName, TenantName};
use super::super::tags::Tags;
use super::{AwsWriter, convert, failure};

/// Sends a built request and drops its empty answer.
macro_rules! send {
    ($operation:expr, $request:expr) => {
        $request
            .send()
            .await
            .map(|_| Answer::Done)
            .map_err(|error| failure($operation, &error))
    };
}

impl WriteSes for AwsWriter {
    fn call<'a>(&'a self, call: &'a SesCall) -> Reply<'a, Answer> {
        self.dispatch(call).boxed()
    }
}

impl AwsWriter {
    #[allow(clippy::too_many_lines)] // One arm an operation, each a builder's chain: a table.
    async fn dispatch(&self, call: &SesCall) -> Result<Answer, SesError> {
        let client = &self.reader.client;
        let operation = call.operation();
        let unbuilt = |error: BuildError| SesError::new(operation, ErrorKind::BadRequest, &error.to_string());
        match call {
            SesCall::CreateSet {
                set,
                sending,
                options,
                tags,
            } => self.create_set(operation, set, *sending, options, tags).await,
            SesCall::DeleteSet { set } => {
                send!(
                    operation,
                    client.delete_configuration_set().configuration_set_name(set.as_str())
                )
            }
            SesCall::PutSending { set, enabled } => send!(
                operation,
                client
                    .put_configuration_set_sending_options()
                    .configuration_set_name(set.as_str())
                    .sending_enabled(*enabled)
            ),
            SesCall::PutDelivery { set, delivery } => send!(
                operation,
                client
                    .put_configuration_set_delivery_options()
                    .configuration_set_name(set.as_str())
                    .tls_policy(convert::tls(delivery.tls))
                    .set_sending_pool_name(delivery.pool.clone())
                    .set_max_delivery_seconds(delivery.max_seconds.map(i64::from))
            ),
            SesCall::PutReputation { set, metrics } => send!(
                operation,
                client
                    .put_configuration_set_reputation_options()
                    .configuration_set_name(set.as_str())
                    .reputation_metrics_enabled(*metrics)
            ),
            SesCall::PutTracking { set, tracking } => send!(
                operation,
                client
                    .put_configuration_set_tracking_options()
                    .configuration_set_name(set.as_str())
                    .set_custom_redirect_domain(tracking.as_ref().map(|tracking| tracking.redirect_domain.clone()))
                    .set_https_policy(tracking.as_ref().map(|tracking| convert::https(tracking.https)))
            ),
            SesCall::PutSuppression { set, suppression } => send!(
                operation,
                client
                    .put_configuration_set_suppression_options()
                    .configuration_set_name(set.as_str())
                    .suppression_scope(convert::scope(suppression.scope))
                    .set_suppressed_reasons(Some(convert::reasons(&suppression.reasons)))
                    .set_validation_options(
                        suppression
                            .validation
                            .map(convert::validation)
                            .transpose()
                            .map_err(unbuilt)?
                    )
            ),
            SesCall::PutVdm { set, vdm } => send!(
                operation,
                client
                    .put_configuration_set_vdm_options()
                    .configuration_set_name(set.as_str())
                    .set_vdm_options(vdm.map(convert::vdm))
            ),
            SesCall::PutArchiving { set, archive } => send!(
                operation,
                client
                    .put_configuration_set_archiving_options()
                    .configuration_set_name(set.as_str())
                    .set_archive_arn(archive.as_ref().map(|archive| archive.as_str().to_owned()))
            ),
            SesCall::PutSigning { set, signing } => send!(
                operation,
                client
                    .update_configuration_set()
                    .configuration_set_name(set.as_str())
                    .message_security_options(convert::signing(*signing))
            ),
            SesCall::CreateDestination { set, name, destination } => send!(
                operation,
                client
                    .create_configuration_set_event_destination()
                    .configuration_set_name(set.as_str())
                    .event_destination_name(name.as_str())
                    .event_destination(convert::destination(destination).map_err(unbuilt)?)
            ),
            SesCall::UpdateDestination { set, name, destination } => send!(
                operation,
                client
                    .update_configuration_set_event_destination()
                    .configuration_set_name(set.as_str())
                    .event_destination_name(name.as_str())
                    .event_destination(convert::destination(destination).map_err(unbuilt)?)
            ),
            SesCall::DeleteDestination { set, name } => send!(
                operation,
                client
                    .delete_configuration_set_event_destination()
                    .configuration_set_name(set.as_str())
                    .event_destination_name(name.as_str())
            ),
            SesCall::Tag { resource, tags } => send!(
                operation,
                client
                    .tag_resource()
                    .resource_arn(resource.as_str())
                    .set_tags(Some(convert::tags(tags).map_err(unbuilt)?))
            ),
            SesCall::PutIdentityDefault { identity, set } => send!(
                operation,
                client
                    .put_email_identity_configuration_set_attributes()
                    .email_identity(identity.as_str())
                    .set_configuration_set_name(set.as_ref().map(|set| set.as_str().to_owned()))
            ),
            SesCall::PutAccountSending { enabled } => {
                send!(
                    operation,
                    client.put_account_sending_attributes().sending_enabled(*enabled)
                )
            }
            SesCall::ListAddress { list, address, reason } => send!(
                operation,
                client
                    .put_suppressed_destination()
                    .email_address(address.expose())
                    .reason(convert::reason(*reason))
                    .set_tenant_name(tenant_name(list))
            ),
            SesCall::UnlistAddress { list, address } => send!(
                operation,
                client
                    .delete_suppressed_destination()
                    .email_address(address.expose())
                    .set_tenant_name(tenant_name(list))
            ),
            SesCall::CreateTenant {
                tenant,
                tags,
                suppression,
            } => {
                let created = client
                    .create_tenant()
                    .tenant_name(tenant.as_str())
                    .set_tags(Some(convert::tags(tags).map_err(unbuilt)?))
                    .set_suppression_attributes(suppression.as_ref().map(convert::tenant_suppression))
                    .send()
                    .await
                    .map_err(|error| failure(operation, &error))?;
                let arn = created.tenant_arn.filter(|arn| !arn.is_empty());
                let missing = || SesError::new(operation, ErrorKind::Unintelligible, "the new tenant has no ARN");
                arn.map(|arn| Answer::TenantCreated(Arn::new(arn))).ok_or_else(missing)
            }
            SesCall::DeleteTenant { tenant } => send!(operation, client.delete_tenant().tenant_name(tenant.as_str())),
            SesCall::Associate { tenant, resource } => send!(
                operation,
                client
                    .create_tenant_resource_association()
                    .tenant_name(tenant.as_str())
                    .resource_arn(resource.as_str())
            ),
            SesCall::Dissociate { tenant, resource } => send!(
                operation,
                client
                    .delete_tenant_resource_association()
                    .tenant_name(tenant.as_str())
                    .resource_arn(resource.as_str())
            ),
            SesCall::PutTenantSuppression { tenant, suppression } => {
                let reasons = suppression
                    .as_ref()
                    .map(|suppression| convert::reasons(&suppression.reasons));
                send!(
                    operation,
                    client
                        .put_tenant_suppression_attributes()
                        .tenant_name(tenant.as_str())
                        .set_suppressed_reasons(reasons)
                        .set_suppression_scope(suppression.as_ref().map(|it| convert::scope(it.scope)))
                )
            }
            SesCall::PutReputationPolicy { tenant, policy } => {
                let arn = known(operation, tenant)?;
                send!(
                    operation,
                    client
                        .update_reputation_entity_policy()
                        .reputation_entity_type(sdk::ReputationEntityType::Resource)
                        .reputation_entity_reference(arn.as_str())
                        .reputation_entity_policy(convert::policy_arn(arn, *policy))
                )
            }
            SesCall::PutTenantSending { tenant, enabled } => {
                let arn = known(operation, tenant)?;
                let status = if *enabled {
                    sdk::SendingStatus::Enabled
                } else {
                    sdk::SendingStatus::Disabled
                };
                send!(
                    operation,
                    client
                        .update_reputation_entity_customer_managed_status()
                        .reputation_entity_type(sdk::ReputationEntityType::Resource)
                        .reputation_entity_reference(arn.as_str())
                        .sending_status(status)
                )
            }
        }
    }

    async fn create_set(
        &self,
        operation: &'static str,
        set: &SetName,
        sending: bool,
        options: &SetOptions,
        tags: &Tags,
    ) -> Result<Answer, SesError> {
        use super::super::desired::Suppression;
        let unbuilt = |error: BuildError| SesError::new(operation, ErrorKind::BadRequest, &error.to_string());
        let SetOptions {
            delivery,
            reputation_metrics,
            tracking,
            suppression,
            vdm,
            archive,
            signing,
        } = options;
        let suppression = match suppression {
            Suppression::Inherit => None,
            Suppression::Only(wanted) => Some(convert::suppression(wanted).map_err(unbuilt)?),
        };
        let archiving = archive
            .as_ref()
            .map(|arn| sdk::ArchivingOptions::builder().archive_arn(arn.as_str()).build());
        self.reader
            .client
            .create_configuration_set()
            .configuration_set_name(set.as_str())
            .sending_options(sdk::SendingOptions::builder().sending_enabled(sending).build())
            .delivery_options(convert::delivery(delivery))
            .reputation_options(
                sdk::ReputationOptions::builder()
                    .reputation_metrics_enabled(*reputation_metrics)
                    .build(),
            )
            .set_tracking_options(tracking.as_ref().map(convert::tracking).transpose().map_err(unbuilt)?)
            .set_suppression_options(suppression)
            .set_vdm_options(vdm.map(convert::vdm))
            .set_archiving_options(archiving)
            .set_message_security_options(signing.map(|signing| convert::signing(Some(signing))))
            .set_tags(Some(convert::tags(tags).map_err(unbuilt)?))
            .customize()
            .map_request(write_switches)
            .send()
            .await
            .map(|_| Answer::Done)
            .map_err(|error| failure(operation, &error))
    }
}

/// Why the body of a request cannot be completed.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    /// The SDK streams it.
    #[error("the body of the request is not in memory")]
    NotInMemory,
    /// The SDK wrote something else than JSON.
    #[error("the body of the request is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// Inside structures the SDK leaves out a boolean that is false: `SendingOptions` of a set that must not send would be
/// `{}`, and whether SES reads that as off is written nowhere. The switches are therefore written into the body.
fn write_switches(mut request: HttpRequest) -> Result<HttpRequest, BodyError> {
    let bytes = request.body().bytes().ok_or(BodyError::NotInMemory)?;
    let mut body: serde_json::Value = serde_json::from_slice(bytes)?;
    for (block, switch) in [
        ("SendingOptions", "SendingEnabled"),
        ("ReputationOptions", "ReputationMetricsEnabled"),
    ] {
        if let Some(block) = body.get_mut(block).and_then(serde_json::Value::as_object_mut) {
            block.entry(switch).or_insert(serde_json::Value::Bool(false));
        }
    }
    let body = serde_json::to_vec(&body)?;
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = body.into();
    Ok(request)
}

pub(super) fn tenant_name(list: &SuppressionList) -> Option<String> {
    match list {
        SuppressionList::Account => None,
        SuppressionList::Tenant(tenant) => Some(TenantName::as_str(tenant).to_owned()),
    }
}

/// Applying a plan replaces a tenant that the plan creates by its ARN.
fn known<'a>(operation: &'static str, tenant: &'a TenantRef) -> Result<&'a Arn, SesError> {
    match tenant {
        TenantRef::Known(arn) => Ok(arn),
        TenantRef::Created(_) => Err(SesError::new(
            operation,
            ErrorKind::BadRequest,
            "the tenant's ARN is not known yet",
        )),
    }
}
