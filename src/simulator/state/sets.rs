//! Configuration sets and their options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{Resource, check_name};
use super::paging::Paging;
use super::shapes::{
    ArchivingOptions, DeliveryOptions, MessageSecurityOptions, ReputationOptions, SendingOptions, SuppressionOptions,
    TrackingOptions, VdmOptions,
};
use super::{Account, EventDestination, Page, PageRequest, Tags};
use crate::simulator::wire::{ApiError, Code};

/// Configuration sets of an account and region (quotas page).
const MAX_SETS: usize = 10_000;

/// A configuration set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationSet {
    /// Its options.
    pub options: SetOptions,
    /// Its tags.
    pub tags: Tags,
    /// Event destinations by name.
    pub destinations: BTreeMap<String, EventDestination>,
}

/// The option blocks of a configuration set. A block that is `None` says nothing: for suppression, inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetOptions {
    /// Tracking links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_options: Option<TrackingOptions>,
    /// TLS, pool, time limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_options: Option<DeliveryOptions>,
    /// Metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reputation_options: Option<ReputationOptions>,
    /// The switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_options: Option<SendingOptions>,
    /// Suppression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppression_options: Option<SuppressionOptions>,
    /// Virtual Deliverability Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vdm_options: Option<VdmOptions>,
    /// Archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archiving_options: Option<ArchivingOptions>,
    /// S/MIME.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_security_options: Option<MessageSecurityOptions>,
}

/// One block to be put in place of what the set has, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionBlock {
    /// `PutConfigurationSetTrackingOptions`; without a domain, none.
    Tracking(Option<TrackingOptions>),
    /// `PutConfigurationSetDeliveryOptions`.
    Delivery(DeliveryOptions),
    /// `PutConfigurationSetReputationOptions`: whether metrics are on.
    Reputation(bool),
    /// `PutConfigurationSetSendingOptions`.
    Sending(SendingOptions),
    /// `PutConfigurationSetSuppressionOptions`.
    Suppression(SuppressionOptions),
    /// `PutConfigurationSetVdmOptions`; without a block, none.
    Vdm(Option<VdmOptions>),
    /// `PutConfigurationSetArchivingOptions`; without an archive, none.
    Archiving(ArchivingOptions),
    /// `UpdateConfigurationSet`; without a block, none.
    MessageSecurity(Option<MessageSecurityOptions>),
}

impl SetOptions {
    fn only(block: OptionBlock) -> Self {
        let mut options = Self::default();
        options.put(block);
        options
    }

    fn put(&mut self, block: OptionBlock) {
        match block {
            OptionBlock::Tracking(tracking) => self.tracking_options = tracking,
            OptionBlock::Delivery(delivery) => self.delivery_options = Some(delivery),
            OptionBlock::Reputation(enabled) => {
                self.reputation_options
                    .get_or_insert_default()
                    .reputation_metrics_enabled = enabled;
            }
            OptionBlock::Sending(sending) => self.sending_options = Some(sending),
            OptionBlock::Suppression(suppression) => self.suppression_options = Some(suppression),
            OptionBlock::Vdm(vdm) => self.vdm_options = vdm,
            OptionBlock::Archiving(archiving) => {
                self.archiving_options = archiving.archive_arn.is_some().then_some(archiving);
            }
            OptionBlock::MessageSecurity(security) => self.message_security_options = security,
        }
    }
}

impl ConfigurationSet {
    /// Whether the set itself may send.
    #[must_use]
    pub fn sending_enabled(&self) -> bool {
        self.options
            .sending_options
            .is_none_or(|options| options.sending_enabled)
    }
}

impl Account {
    /// `CreateConfigurationSet`. Blocks left out get SES's defaults; a `SuppressionOptions` left out stays out.
    pub fn create_set(&mut self, name: &str, mut options: SetOptions, tags: Tags) -> Result<(), ApiError> {
        check_name("ConfigurationSetName", name)?;
        if self.sets.contains_key(name) {
            return Err(ApiError::already_exists(format!(
                "Configuration set <{name}> already exists."
            )));
        }
        self.check_options(&options)?;
        if self.sets.len() >= MAX_SETS {
            return Err(ApiError::limit_exceeded(format!(
                "The account has {MAX_SETS} configuration sets, which is the most it may have."
            )));
        }
        options.delivery_options.get_or_insert_default();
        options.reputation_options.get_or_insert_default();
        options
            .sending_options
            .get_or_insert(SendingOptions { sending_enabled: true });
        self.sets.insert(
            name.to_owned(),
            ConfigurationSet {
                options,
                tags,
                destinations: BTreeMap::new(),
            },
        );
        Ok(())
    }

    /// `GetConfigurationSet`.
    pub fn set(&self, name: &str) -> Result<&ConfigurationSet, ApiError> {
        self.sets.get(name).ok_or_else(|| no_set(name))
    }

    pub(super) fn set_mut(&mut self, name: &str) -> Result<&mut ConfigurationSet, ApiError> {
        self.sets.get_mut(name).ok_or_else(|| no_set(name))
    }

    /// `ListConfigurationSets`, with `CONFIGURATION_SET_NAME_CONTAINS`.
    pub fn list_sets(&self, contains: Option<&str>, request: &PageRequest) -> Result<Page<String>, ApiError> {
        let contains = contains.unwrap_or_default();
        Paging {
            // Probed against SES.
            default_size: 50,
            max_size: 1000,
            token_error: Code::BadRequest,
            bound_to: &["ListConfigurationSets", &self.owner.region, contains],
        }
        .page(
            request,
            self.sets
                .keys()
                .filter(|name| name.contains(contains))
                .map(|name| (name.clone(), name.clone())),
        )
    }

    /// Any of the seven `Put…Options`, or `UpdateConfigurationSet`.
    pub fn put_options(&mut self, name: &str, block: OptionBlock) -> Result<(), ApiError> {
        self.set(name)?;
        // Checked as if the block were the only one, then put in place: a refused block changes nothing.
        self.check_options(&SetOptions::only(block.clone()))?;
        self.set_mut(name)?.options.put(block);
        Ok(())
    }

    /// `DeleteConfigurationSet`, refused while a tenant has it.
    pub fn delete_set(&mut self, name: &str) -> Result<(), ApiError> {
        self.set(name)?;
        self.check_not_associated(&self.owner.arn(Resource::ConfigurationSet(name)))?;
        self.sets.remove(name);
        Ok(())
    }

    /// Behind the API's back: the set vanishes, with its associations. `false` where there was none.
    pub fn remove_set(&mut self, name: &str) -> bool {
        self.associations
            .remove_resource(&self.owner.arn(Resource::ConfigurationSet(name)));
        self.sets.remove(name).is_some()
    }

    fn check_options(&self, options: &SetOptions) -> Result<(), ApiError> {
        let SetOptions {
            tracking_options,
            delivery_options,
            reputation_options: _,
            sending_options: _,
            suppression_options: _,
            vdm_options: _,
            archiving_options,
            message_security_options,
        } = options;
        if let Some(TrackingOptions {
            custom_redirect_domain, ..
        }) = tracking_options
            && !self.covers_verified_domain(custom_redirect_domain)
        {
            return Err(ApiError::bad_request(format!(
                "CustomRedirectDomain <{custom_redirect_domain}> is not a verified identity."
            )));
        }
        delivery_options.as_ref().map_or(Ok(()), DeliveryOptions::check)?;
        archiving_options.as_ref().map_or(Ok(()), ArchivingOptions::check)?;
        message_security_options
            .as_ref()
            .map_or(Ok(()), MessageSecurityOptions::check)
    }
}

fn no_set(name: &str) -> ApiError {
    ApiError::not_found(format!("Configuration set <{name}> does not exist."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::fixture::{account, at};
    use super::super::shapes::{Reason, TlsPolicy};
    use super::*;

    fn with_set(options: SetOptions) -> Account {
        let mut account = account();
        account.create_set("team", options, Tags::default()).unwrap();
        account
    }

    fn options(account: &Account) -> &SetOptions {
        &account.set("team").unwrap().options
    }

    fn tracking(domain: &str) -> OptionBlock {
        OptionBlock::Tracking(Some(TrackingOptions {
            custom_redirect_domain: domain.to_owned(),
            https_policy: None,
        }))
    }

    fn delivery(seconds: u32) -> OptionBlock {
        OptionBlock::Delivery(DeliveryOptions {
            max_delivery_seconds: Some(seconds),
            ..DeliveryOptions::default()
        })
    }

    #[test]
    fn a_new_set_may_send_and_inherits_suppression() {
        let account = with_set(SetOptions::default());
        assert!(account.set("team").unwrap().sending_enabled());
        assert_eq!(options(&account).suppression_options, None);
        assert_eq!(
            options(&account).delivery_options.as_ref().unwrap().tls_policy,
            TlsPolicy::Optional
        );
    }

    #[test]
    fn sending_options_without_the_field_turn_sending_off() {
        let mut account = with_set(SetOptions::default());
        let absent: SendingOptions = serde_json::from_str("{}").unwrap();
        account.put_options("team", OptionBlock::Sending(absent)).unwrap();
        assert!(!account.set("team").unwrap().sending_enabled());
    }

    #[test]
    fn suppression_options_without_reasons_override_with_none_and_nothing_inherits_again() {
        let mut account = with_set(SetOptions::default());
        let absent: SuppressionOptions = serde_json::from_str("{}").unwrap();
        account.put_options("team", OptionBlock::Suppression(absent)).unwrap();
        assert_eq!(
            options(&account)
                .suppression_options
                .as_ref()
                .unwrap()
                .suppressed_reasons,
            Vec::<Reason>::new()
        );
    }

    #[test]
    fn a_name_taken_is_refused_with_the_observed_text() {
        let mut account = with_set(SetOptions::default());
        let error = account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap_err();
        assert_eq!(
            error,
            ApiError::already_exists("Configuration set <team> already exists.")
        );
    }

    #[test]
    fn the_ten_thousand_and_first_set_is_refused() {
        let mut account = account();
        for number in 0..MAX_SETS {
            account
                .create_set(&format!("s{number}"), SetOptions::default(), Tags::default())
                .unwrap();
        }
        let error = account
            .create_set("more", SetOptions::default(), Tags::default())
            .unwrap_err();
        assert_eq!(error.code, Code::LimitExceeded);
    }

    #[test]
    fn a_redirect_domain_must_be_verified_or_below_a_verified_one() {
        let mut account = with_set(SetOptions::default());
        account.put_identity("pending.example.net", false);
        assert_eq!(account.put_options("team", tracking("links.example.com")), Ok(()));
        for domain in ["pending.example.net", "example.org", "notexample.com"] {
            assert_eq!(
                account.put_options("team", tracking(domain)).unwrap_err().code,
                Code::BadRequest,
                "{domain}"
            );
        }
        assert_eq!(
            options(&account)
                .tracking_options
                .as_ref()
                .unwrap()
                .custom_redirect_domain,
            "links.example.com",
            "a refused block changes nothing"
        );
    }

    #[test]
    fn delivery_takes_between_five_minutes_and_fourteen_hours() {
        let mut account = with_set(SetOptions::default());
        for seconds in [300, 50_400] {
            assert_eq!(account.put_options("team", delivery(seconds)), Ok(()));
        }
        for seconds in [0, 299, 50_401] {
            assert_eq!(
                account.put_options("team", delivery(seconds)).unwrap_err().code,
                Code::BadRequest
            );
        }
    }

    #[test]
    fn an_archive_must_be_an_archives_arn_and_goes_when_left_out() {
        let mut account = with_set(SetOptions::default());
        let arn = |id: &str| format!("arn:aws:ses:us-east-1:111122223333:mailmanager-archive/a-{id}");
        let mut put = |archive_arn| {
            account.put_options("team", OptionBlock::Archiving(ArchivingOptions { archive_arn }))?;
            Ok::<_, ApiError>(account.set("team")?.options.archiving_options.is_some())
        };
        assert_eq!(put(Some(arn(&"a1".repeat(12)))), Ok(true));
        assert_eq!(put(Some(arn("short"))).unwrap_err().code, Code::BadRequest);
        assert_eq!(put(None), Ok(false));
    }

    #[test]
    fn a_signing_scheme_is_exactly_one_of_two() {
        let mut account = with_set(SetOptions::default());
        let mut put = |json: &str| {
            account.put_options(
                "team",
                OptionBlock::MessageSecurity(Some(serde_json::from_str(json).unwrap())),
            )
        };
        assert_eq!(
            put(r#"{"SigningScheme":{"SmimeScheme":{"SignatureFormat":"DETACHED"}}}"#),
            Ok(())
        );
        assert_eq!(put(r#"{"SigningScheme":{}}"#).unwrap_err().code, Code::BadRequest);
        assert_eq!(
            put(r#"{"SigningScheme":{"DefaultScheme":{},"SmimeScheme":{}}}"#)
                .unwrap_err()
                .code,
            Code::BadRequest
        );
    }

    #[test]
    fn an_associated_set_cannot_be_deleted_until_the_association_is() {
        let mut account = with_set(SetOptions::default());
        let arn = account.owner.arn(Resource::ConfigurationSet("team"));
        account.create_tenant("tenant", Tags::default(), None, at(0)).unwrap();
        account.associate("tenant", &arn, at(0)).unwrap();
        let expected = format!(
            "Cannot delete {arn} because it has tenant associations. Remove all tenant associations and try again."
        );
        assert_eq!(account.delete_set("team"), Err(ApiError::bad_request(expected)));
        account.disassociate("tenant", &arn).unwrap();
        assert_eq!(account.delete_set("team"), Ok(()));
        assert_eq!(account.delete_set("team").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn a_set_removed_behind_our_back_leaves_no_association() {
        let mut account = with_set(SetOptions::default());
        let arn = account.owner.arn(Resource::ConfigurationSet("team"));
        account.create_tenant("tenant", Tags::default(), None, at(0)).unwrap();
        account.associate("tenant", &arn, at(0)).unwrap();
        assert!(account.remove_set("team"));
        assert!(!account.associations.holds(&arn));
        assert!(!account.remove_set("team"));
    }

    #[test]
    fn sets_are_listed_fifty_at_a_time_by_default() {
        let mut account = account();
        for number in 0..51 {
            account
                .create_set(&format!("s{number:02}"), SetOptions::default(), Tags::default())
                .unwrap();
        }
        let first = account.list_sets(None, &PageRequest::default()).unwrap();
        assert_eq!(first.entries.len(), 50);
        let token = PageRequest {
            next_token: first.next_token,
            page_size: None,
        };
        assert_eq!(account.list_sets(None, &token).unwrap().entries, ["s50"]);
        assert_eq!(
            account.list_sets(Some("s5"), &token).unwrap_err().code,
            Code::BadRequest,
            "bound to the filter"
        );
        assert_eq!(
            account.list_sets(Some("s5"), &PageRequest::default()).unwrap().entries,
            ["s50"]
        );
    }
}
