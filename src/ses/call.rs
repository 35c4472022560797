//! Every writing request to SES as data: what a plan consists of, what a dry run prints, what the client sends.

use std::fmt;

use super::address::{Address, Identity};
use super::arn::Arn;
use super::desired::{
    Delivery, Destination, Reason, ReputationPolicy, SetOptions, SmimeSignature, SuppressionList, SuppressionOverride,
    TenantSuppression, Tracking, Vdm,
};
use super::name::{DestinationName, SetName, TenantName};
use super::tags::Tags;

/// One writing request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are the operation's own, in our types.
pub enum SesCall {
    /// `CreateConfigurationSet`, with everything that the request has room for.
    CreateSet {
        set: SetName,
        sending: bool,
        options: Box<SetOptions>,
        tags: Tags,
    },
    /// `DeleteConfigurationSet`.
    DeleteSet { set: SetName },
    /// `PutConfigurationSetSendingOptions`; the field is always written, since SES reads an absent one as off.
    PutSending { set: SetName, enabled: bool },
    /// `PutConfigurationSetDeliveryOptions`.
    PutDelivery { set: SetName, delivery: Delivery },
    /// `PutConfigurationSetReputationOptions`.
    PutReputation { set: SetName, metrics: bool },
    /// `PutConfigurationSetTrackingOptions`; `None` goes back to SES's own domain.
    PutTracking { set: SetName, tracking: Option<Tracking> },
    /// `PutConfigurationSetSuppressionOptions`; scope and reasons are always both written. It cannot say "inherit".
    PutSuppression {
        set: SetName,
        suppression: SuppressionOverride,
    },
    /// `PutConfigurationSetVdmOptions`; `None` takes the account's.
    PutVdm { set: SetName, vdm: Option<Vdm> },
    /// `PutConfigurationSetArchivingOptions`; `None` archives nothing.
    PutArchiving { set: SetName, archive: Option<Arn> },
    /// `UpdateConfigurationSet`, which knows nothing but S/MIME; `None` does not sign.
    PutSigning {
        set: SetName,
        signing: Option<SmimeSignature>,
    },
    /// `CreateConfigurationSetEventDestination`.
    CreateDestination {
        set: SetName,
        name: DestinationName,
        destination: Destination,
    },
    /// `UpdateConfigurationSetEventDestination`, which replaces the whole definition.
    UpdateDestination {
        set: SetName,
        name: DestinationName,
        destination: Destination,
    },
    /// `DeleteConfigurationSetEventDestination`.
    DeleteDestination { set: SetName, name: DestinationName },
    /// `TagResource`: these are added or replaced, others stay.
    Tag { resource: Arn, tags: Tags },
    /// `CreateTenant`.
    CreateTenant {
        tenant: TenantName,
        tags: Tags,
        suppression: Option<TenantSuppression>,
    },
    /// `DeleteTenant`.
    DeleteTenant { tenant: TenantName },
    /// `CreateTenantResourceAssociation`.
    Associate { tenant: TenantName, resource: Arn },
    /// `DeleteTenantResourceAssociation`.
    Dissociate { tenant: TenantName, resource: Arn },
    /// `PutTenantSuppressionAttributes`: scope and reasons, or neither, which clears.
    PutTenantSuppression {
        tenant: TenantName,
        suppression: Option<TenantSuppression>,
    },
    /// `UpdateReputationEntityPolicy`.
    PutReputationPolicy {
        tenant: TenantRef,
        policy: ReputationPolicy,
    },
    /// `UpdateReputationEntityCustomerManagedStatus`.
    PutTenantSending { tenant: TenantRef, enabled: bool },
    /// `PutSuppressedDestination`.
    ListAddress {
        list: SuppressionList,
        address: Address,
        reason: Reason,
    },
    /// `DeleteSuppressedDestination`.
    UnlistAddress { list: SuppressionList, address: Address },
    /// `PutEmailIdentityConfigurationSetAttributes`; `None` takes the default away.
    PutIdentityDefault { identity: Identity, set: Option<SetName> },
    /// `PutAccountSendingAttributes`: the switch of the whole account.
    PutAccountSending { enabled: bool },
}

/// A tenant in a call that wants its ARN. A tenant's ARN holds an id that only its creation tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantRef {
    /// One that stands.
    Known(Arn),
    /// The one that an earlier step of the same plan creates.
    Created(TenantName),
}

/// What SES answered to a writing request, where the answer says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// A tenant was created, with this ARN.
    TenantCreated(Arn),
}

impl SesCall {
    /// The name of SES's operation: one of a fixed list, for metrics and errors.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateSet { .. } => "CreateConfigurationSet",
            Self::DeleteSet { .. } => "DeleteConfigurationSet",
            Self::PutSending { .. } => "PutConfigurationSetSendingOptions",
            Self::PutDelivery { .. } => "PutConfigurationSetDeliveryOptions",
            Self::PutReputation { .. } => "PutConfigurationSetReputationOptions",
            Self::PutTracking { .. } => "PutConfigurationSetTrackingOptions",
            Self::PutSuppression { .. } => "PutConfigurationSetSuppressionOptions",
            Self::PutVdm { .. } => "PutConfigurationSetVdmOptions",
            Self::PutArchiving { .. } => "PutConfigurationSetArchivingOptions",
            Self::PutSigning { .. } => "UpdateConfigurationSet",
            Self::CreateDestination { .. } => "CreateConfigurationSetEventDestination",
            Self::UpdateDestination { .. } => "UpdateConfigurationSetEventDestination",
            Self::DeleteDestination { .. } => "DeleteConfigurationSetEventDestination",
            Self::Tag { .. } => "TagResource",
            Self::CreateTenant { .. } => "CreateTenant",
            Self::DeleteTenant { .. } => "DeleteTenant",
            Self::Associate { .. } => "CreateTenantResourceAssociation",
            Self::Dissociate { .. } => "DeleteTenantResourceAssociation",
            Self::PutTenantSuppression { .. } => "PutTenantSuppressionAttributes",
            Self::PutReputationPolicy { .. } => "UpdateReputationEntityPolicy",
            Self::PutTenantSending { .. } => "UpdateReputationEntityCustomerManagedStatus",
            Self::ListAddress { .. } => "PutSuppressedDestination",
            Self::UnlistAddress { .. } => "DeleteSuppressedDestination",
            Self::PutIdentityDefault { .. } => "PutEmailIdentityConfigurationSetAttributes",
            Self::PutAccountSending { .. } => "PutAccountSendingAttributes",
        }
    }

    /// Whether it stops mail that may be flowing.
    #[must_use]
    pub fn stops_mail(&self) -> bool {
        matches!(
            self,
            Self::PutSending { enabled: false, .. }
                | Self::PutTenantSending { enabled: false, .. }
                | Self::PutAccountSending { enabled: false }
        )
    }

    /// Whether it makes what may send, or lets mail flow: then its outcome must be known before a stop or a removal.
    #[must_use]
    pub fn makes_or_opens(&self) -> bool {
        matches!(
            self,
            Self::CreateSet { .. }
                | Self::CreateTenant { .. }
                | Self::PutSending { enabled: true, .. }
                | Self::PutTenantSending { enabled: true, .. }
                | Self::PutAccountSending { enabled: true }
        )
    }

    /// Whether it takes something away, so that its absence is as good as success.
    #[must_use]
    pub fn removes(&self) -> bool {
        matches!(
            self,
            Self::DeleteSet { .. }
                | Self::DeleteDestination { .. }
                | Self::DeleteTenant { .. }
                | Self::Dissociate { .. }
                | Self::UnlistAddress { .. }
        )
    }
}

/// One line for people: a plan's golden form. No address.
impl fmt::Display for SesCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |enabled: &bool| if *enabled { "on" } else { "off" };
        match self {
            Self::CreateSet {
                set,
                sending,
                options: _,
                tags: _,
            } => {
                write!(f, "create configuration set {set}, sending {}", switch(sending))
            }
            Self::DeleteSet { set } => write!(f, "delete configuration set {set}"),
            Self::PutSending { set, enabled } => write!(f, "switch sending {} of {set}", switch(enabled)),
            Self::PutDelivery { set, delivery: _ } => write!(f, "set delivery options of {set}"),
            Self::PutReputation { set, metrics } => write!(f, "switch reputation metrics {} of {set}", switch(metrics)),
            Self::PutTracking {
                set,
                tracking: Some(tracking),
            } => {
                write!(f, "track {set} through {}", tracking.redirect_domain)
            }
            Self::PutTracking { set, tracking: None } => write!(f, "take the tracking domain from {set}"),
            Self::PutSuppression { set, suppression } => {
                let SuppressionOverride {
                    reasons,
                    scope,
                    validation,
                } = suppression;
                write!(f, "suppress in {set} only {reasons:?} of {scope:?}")?;
                validation.map_or(Ok(()), |validation| write!(f, ", validation {validation:?}"))
            }
            Self::PutVdm { set, vdm: _ } => write!(f, "set VDM options of {set}"),
            Self::PutArchiving {
                set,
                archive: Some(archive),
            } => write!(f, "archive {set} in {archive}"),
            Self::PutArchiving { set, archive: None } => write!(f, "end the archiving of {set}"),
            Self::PutSigning { set, signing: Some(_) } => write!(f, "sign {set} with S/MIME"),
            Self::PutSigning { set, signing: None } => write!(f, "end the S/MIME signing of {set}"),
            Self::CreateDestination {
                set,
                name,
                destination: _,
            } => {
                write!(f, "create event destination {name} of {set}")
            }
            Self::UpdateDestination {
                set,
                name,
                destination: _,
            } => {
                write!(f, "replace event destination {name} of {set}")
            }
            Self::DeleteDestination { set, name } => write!(f, "delete event destination {name} of {set}"),
            Self::Tag { resource, tags: _ } => write!(f, "tag {resource} as ours"),
            Self::CreateTenant {
                tenant,
                tags: _,
                suppression: _,
            } => write!(f, "create tenant {tenant}"),
            Self::DeleteTenant { tenant } => write!(f, "delete tenant {tenant}"),
            Self::Associate { tenant, resource } => write!(f, "give {resource} to tenant {tenant}"),
            Self::Dissociate { tenant, resource } => write!(f, "take {resource} from tenant {tenant}"),
            Self::PutTenantSuppression {
                tenant,
                suppression: Some(TenantSuppression { reasons, scope }),
            } => {
                write!(f, "suppress in tenant {tenant} only {reasons:?} of {scope:?}")
            }
            Self::PutTenantSuppression {
                tenant,
                suppression: None,
            } => {
                write!(f, "suppress in tenant {tenant} as the account does")
            }
            Self::PutReputationPolicy { tenant, policy } => write!(f, "judge {tenant} by the policy {policy:?}"),
            Self::PutTenantSending { tenant, enabled } => write!(f, "switch sending {} of {tenant}", switch(enabled)),
            Self::ListAddress { list, address, reason } => write!(f, "list {address} for {reason:?} on {list}"),
            Self::UnlistAddress { list, address } => write!(f, "take {address} off {list}"),
            Self::PutIdentityDefault {
                identity,
                set: Some(set),
            } => write!(f, "make {set} the default of {identity}"),
            Self::PutIdentityDefault { identity, set: None } => write!(f, "take the default set from {identity}"),
            Self::PutAccountSending { enabled } => write!(f, "switch sending {} of the account", switch(enabled)),
        }
    }
}

impl fmt::Display for TenantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(arn) => write!(f, "{arn}"),
            Self::Created(name) => write!(f, "the new tenant {name}"),
        }
    }
}

impl fmt::Display for SuppressionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("the account's suppression list"),
            Self::Tenant(tenant) => write!(f, "the suppression list of tenant {tenant}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_call_about_an_address_shows_none() {
        let address = Address::new("jo@example.com");
        let list = SuppressionList::Account;
        let calls = [
            SesCall::ListAddress {
                list: list.clone(),
                address: address.clone(),
                reason: Reason::Bounce,
            },
            SesCall::UnlistAddress { list, address },
            SesCall::PutIdentityDefault {
                identity: Identity::new("jo@example.com"),
                set: None,
            },
        ];
        for call in calls {
            assert!(!format!("{call} {call:?}").contains("jo"), "{call}");
        }
    }

    #[test]
    fn only_what_takes_sending_away_stops_mail() {
        let set = SetName::parse("s").unwrap();
        assert!(
            SesCall::PutSending {
                set: set.clone(),
                enabled: false
            }
            .stops_mail()
        );
        assert!(SesCall::PutAccountSending { enabled: false }.stops_mail());
        assert!(
            !SesCall::PutSending {
                set: set.clone(),
                enabled: true
            }
            .stops_mail()
        );
        assert!(!SesCall::DeleteSet { set }.stops_mail());
    }
}
