//! Reputation entities (the tenants) and the advisor's findings.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::Resource;
use super::paging::Paging;
use super::shapes::{FindingStatus, Impact, SendingStatus};
use super::{Account, Page, PageRequest, Tenant};
use crate::simulator::wire::{ApiError, Code};

/// Findings the simulator keeps; it drops the oldest.
const MAX_RECOMMENDATIONS: usize = 1000;

/// When SES pauses a tenant by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReputationPolicy {
    /// On findings of high impact. What a new tenant gets.
    Standard,
    /// On any finding.
    Strict,
    /// Never.
    None,
}

impl ReputationPolicy {
    const ALL: [Self; 3] = [Self::Standard, Self::Strict, Self::None];

    /// The policy's ARN.
    #[must_use]
    pub fn arn(self, region: &str) -> String {
        let name = match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
            Self::None => "none",
        };
        format!("arn:aws:ses:{region}:aws:reputation-policy/{name}")
    }
}

/// `StatusRecord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRecord {
    /// The status.
    pub status: SendingStatus,
    /// Why.
    pub cause: String,
    /// Since when.
    pub updated: Timestamp,
}

impl StatusRecord {
    pub(super) fn initial(now: Timestamp) -> Self {
        Self {
            status: SendingStatus::Enabled,
            cause: "Initial status.".to_owned(),
            updated: now,
        }
    }
}

/// A tenant, seen as a reputation entity.
#[derive(Clone, Copy, Debug)]
pub struct ReputationEntity<'a>(pub &'a Tenant);

/// Filters of `ListReputationEntities`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityFilter {
    /// `ENTITY_REFERENCE_PREFIX`.
    pub reference_prefix: String,
    /// `SENDING_STATUS`.
    pub status: Option<SendingStatus>,
    /// `REPUTATION_IMPACT`.
    pub impact: Option<Impact>,
}

/// `Recommendation`: a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Recommendation {
    /// What it is about.
    pub resource_arn: String,
    /// For instance `BOUNCE`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The text AWS writes.
    pub description: String,
    /// Whether it still stands.
    pub status: FindingStatus,
    /// Its weight.
    pub impact: Impact,
    /// Since when, in epoch seconds.
    pub created_timestamp: i64,
    /// Last change, in epoch seconds.
    pub last_updated_timestamp: i64,
}

/// Filters of `ListRecommendations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecommendationFilter {
    /// `RESOURCE_ARN`.
    pub resource_arn: Option<String>,
    /// `TYPE`.
    pub kind: Option<String>,
    /// `IMPACT`.
    pub impact: Option<Impact>,
    /// `STATUS`.
    pub status: Option<FindingStatus>,
}

impl RecommendationFilter {
    fn keeps(&self, finding: &Recommendation) -> bool {
        let Self {
            resource_arn,
            kind,
            impact,
            status,
        } = self;
        resource_arn.as_ref().is_none_or(|arn| *arn == finding.resource_arn)
            && kind.as_ref().is_none_or(|kind| *kind == finding.kind)
            && impact.is_none_or(|impact| impact == finding.impact)
            && status.is_none_or(|status| status == finding.status)
    }
}

impl Account {
    /// `GetReputationEntity`.
    pub fn reputation_entity(&self, reference: &str) -> Result<ReputationEntity<'_>, ApiError> {
        self.entity_tenant(reference)
            .map(ReputationEntity)
            .ok_or_else(|| ApiError::not_found(format!("Reputation entity {reference} does not exist.")))
    }

    /// `ListReputationEntities`.
    pub fn list_reputation_entities(
        &self,
        filter: &EntityFilter,
        request: &PageRequest,
    ) -> Result<Page<ReputationEntity<'_>>, ApiError> {
        let EntityFilter {
            reference_prefix,
            status,
            impact,
        } = filter;
        let kept = self.tenants.values().filter(|tenant| {
            tenant.arn.starts_with(reference_prefix)
                && status.is_none_or(|status| status == tenant.sending_status())
                && impact.is_none_or(|impact| Some(impact) == tenant.impact)
        });
        Paging {
            default_size: 100,
            max_size: 100,
            token_error: Code::BadRequest,
            bound_to: &["ListReputationEntities", &self.owner.region, &format!("{filter:?}")],
        }
        .page(
            request,
            kept.map(|tenant| (tenant.name.clone(), ReputationEntity(tenant))),
        )
    }

    /// `UpdateReputationEntityCustomerManagedStatus`. AWS's own status stays as it is, and wins where it is a pause.
    ///
    /// `ENABLED` after a pause becomes `REINSTATED` while a finding is open: SES ignores active findings until all of
    /// them are resolved, and only then returns the entity to `ENABLED`.
    pub fn put_customer_status(
        &mut self,
        reference: &str,
        wanted: SendingStatus,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let open = self.has_open_finding(reference);
        let tenant = self.entity_tenant_mut(reference)?;
        let after_a_pause = tenant.customer_status.status != SendingStatus::Enabled;
        let status = match wanted {
            SendingStatus::Enabled if open && after_a_pause => SendingStatus::Reinstated,
            wanted => wanted,
        };
        tenant.customer_status = StatusRecord {
            status,
            cause: "Status manually updated.".to_owned(),
            updated: now,
        };
        Ok(())
    }

    /// `UpdateReputationEntityPolicy`.
    pub fn put_reputation_policy(&mut self, reference: &str, policy_arn: &str) -> Result<(), ApiError> {
        let region = &self.owner.region;
        let policy = ReputationPolicy::ALL
            .into_iter()
            .find(|policy| policy.arn(region) == policy_arn);
        let policy = policy.ok_or_else(|| {
            let known = ReputationPolicy::ALL.map(|policy| policy.arn(region)).join(", ");
            ApiError::bad_request(format!(
                "Reputation policy {policy_arn} is invalid, must be one of [{known}]."
            ))
        })?;
        self.entity_tenant_mut(reference)?.policy = policy;
        Ok(())
    }

    /// Behind the API's back: what SES's own side says about a tenant.
    pub fn put_aws_status(
        &mut self,
        tenant: &str,
        status: SendingStatus,
        cause: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.tenant_mut(tenant)?.aws_status = StatusRecord {
            status,
            cause: cause.to_owned(),
            updated: now,
        };
        Ok(())
    }

    /// Behind the API's back: a finding opens, or replaces an earlier one of the same resource and type. When a
    /// tenant's last one is resolved, a `REINSTATED` of the customer becomes `ENABLED`, as in SES.
    pub fn put_recommendation(&mut self, finding: Recommendation, now: Timestamp) {
        let resource = finding.resource_arn.clone();
        self.recommendations
            .retain(|old| old.resource_arn != resource || old.kind != finding.kind);
        self.recommendations.push(finding);
        if self.recommendations.len() > MAX_RECOMMENDATIONS {
            self.recommendations.remove(0);
        }
        let open =
            |finding: &&Recommendation| finding.status == FindingStatus::Open && finding.resource_arn == resource;
        let impact = self
            .recommendations
            .iter()
            .filter(open)
            .map(|finding| finding.impact)
            .max();
        if let Ok(tenant) = self.entity_tenant_mut(&resource) {
            tenant.impact = impact;
            if impact.is_none() && tenant.customer_status.status == SendingStatus::Reinstated {
                tenant.customer_status = StatusRecord {
                    status: SendingStatus::Enabled,
                    cause: "All findings are resolved.".to_owned(),
                    updated: now,
                };
            }
        }
    }

    /// `ListRecommendations`.
    pub fn list_recommendations(
        &self,
        filter: &RecommendationFilter,
        request: &PageRequest,
    ) -> Result<Page<&Recommendation>, ApiError> {
        let kept = self
            .recommendations
            .iter()
            .enumerate()
            .filter(|(_, finding)| filter.keeps(finding));
        Paging {
            default_size: 100,
            max_size: 100,
            token_error: Code::BadRequest,
            bound_to: &["ListRecommendations", &self.owner.region, &format!("{filter:?}")],
        }
        .page(
            request,
            kept.map(|(position, finding)| (format!("{position:06}"), finding)),
        )
    }

    fn has_open_finding(&self, arn: &str) -> bool {
        self.recommendations
            .iter()
            .any(|finding| finding.status == FindingStatus::Open && finding.resource_arn == arn)
    }

    fn entity_tenant(&self, reference: &str) -> Option<&Tenant> {
        match self.owner.resource(reference)? {
            Resource::Tenant { name, id } => self.tenants.get(name).filter(|tenant| tenant.id == id),
            _ => None,
        }
    }

    /// The two updates do not declare `NotFoundException`, so a missing entity is a bad request.
    fn entity_tenant_mut(&mut self, reference: &str) -> Result<&mut Tenant, ApiError> {
        let name = self.entity_tenant(reference).map(|tenant| tenant.name.clone());
        name.and_then(|name| self.tenants.get_mut(&name))
            .ok_or_else(|| ApiError::bad_request(format!("Reputation entity {reference} does not exist.")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Tags;
    use super::super::fixture::{account, at};
    use super::*;

    fn with_tenant() -> (Account, String) {
        let mut account = account();
        let arn = account
            .create_tenant("shop", Tags::default(), None, at(1))
            .unwrap()
            .arn
            .clone();
        (account, arn)
    }

    fn finding(arn: &str, status: FindingStatus) -> Recommendation {
        Recommendation {
            resource_arn: arn.to_owned(),
            kind: "BOUNCE".to_owned(),
            description: "The bounce rate exceeded 15.0%".to_owned(),
            status,
            impact: Impact::High,
            created_timestamp: 1,
            last_updated_timestamp: 1,
        }
    }

    fn status(account: &Account) -> SendingStatus {
        account.tenant("shop").unwrap().sending_status()
    }

    #[test]
    fn a_new_tenant_has_the_standard_policy_and_may_send() {
        let (account, arn) = with_tenant();
        let ReputationEntity(tenant) = account.reputation_entity(&arn).unwrap();
        assert_eq!(
            tenant.policy.arn("us-east-1"),
            "arn:aws:ses:us-east-1:aws:reputation-policy/standard"
        );
        assert_eq!(tenant.sending_status(), SendingStatus::Enabled);
    }

    #[test]
    fn the_customer_cannot_lift_a_pause_by_aws() {
        let (mut account, arn) = with_tenant();
        account
            .put_aws_status("shop", SendingStatus::Disabled, "Bounce rate.", at(2))
            .unwrap();
        account
            .put_customer_status(&arn, SendingStatus::Enabled, at(3))
            .unwrap();
        assert_eq!(status(&account), SendingStatus::Disabled);
        account
            .put_aws_status("shop", SendingStatus::Enabled, "Reviewed.", at(4))
            .unwrap();
        assert_eq!(status(&account), SendingStatus::Enabled);
    }

    #[test]
    fn enabled_after_a_pause_is_reinstated_until_the_findings_are_resolved() {
        let (mut account, arn) = with_tenant();
        account
            .put_customer_status(&arn, SendingStatus::Disabled, at(2))
            .unwrap();
        account.put_recommendation(finding(&arn, FindingStatus::Open), at(2));
        account
            .put_customer_status(&arn, SendingStatus::Enabled, at(3))
            .unwrap();
        assert_eq!(status(&account), SendingStatus::Reinstated);
        account.put_recommendation(finding(&arn, FindingStatus::Fixed), at(4));
        assert_eq!(status(&account), SendingStatus::Enabled);
    }

    #[test]
    fn enabled_after_a_pause_without_findings_is_enabled() {
        let (mut account, arn) = with_tenant();
        account
            .put_customer_status(&arn, SendingStatus::Disabled, at(2))
            .unwrap();
        account
            .put_customer_status(&arn, SendingStatus::Enabled, at(3))
            .unwrap();
        assert_eq!(status(&account), SendingStatus::Enabled);
    }

    #[test]
    fn a_missing_entity_is_not_found_to_a_reader_and_a_bad_request_to_a_writer() {
        let (mut account, arn) = with_tenant();
        account.delete_tenant("shop").unwrap();
        account.create_tenant("shop", Tags::default(), None, at(2)).unwrap();
        assert_eq!(
            account.reputation_entity(&arn).unwrap_err().code,
            Code::NotFound,
            "the old id is gone"
        );
        assert_eq!(
            account
                .put_customer_status(&arn, SendingStatus::Disabled, at(3))
                .unwrap_err()
                .code,
            Code::BadRequest
        );
    }

    #[test]
    fn a_policy_is_one_of_three_of_this_region() {
        let (mut account, arn) = with_tenant();
        for policy in ["standard", "strict", "none"] {
            let policy = format!("arn:aws:ses:us-east-1:aws:reputation-policy/{policy}");
            assert_eq!(account.put_reputation_policy(&arn, &policy), Ok(()));
        }
        for policy in ["strict", "arn:aws:ses:eu-west-1:aws:reputation-policy/strict"] {
            assert_eq!(
                account.put_reputation_policy(&arn, policy).unwrap_err().code,
                Code::BadRequest
            );
        }
    }

    #[test]
    fn findings_are_filtered_by_resource_and_status() {
        let (mut account, arn) = with_tenant();
        account.put_recommendation(finding(&arn, FindingStatus::Open), at(2));
        account.put_recommendation(
            finding(
                "arn:aws:ses:us-east-1:111122223333:identity/example.com",
                FindingStatus::Open,
            ),
            at(2),
        );
        let filter = RecommendationFilter {
            resource_arn: Some(arn.clone()),
            ..RecommendationFilter::default()
        };
        let page = account.list_recommendations(&filter, &PageRequest::default()).unwrap();
        assert_eq!(page.entries, [&finding(&arn, FindingStatus::Open)]);
        let fixed = RecommendationFilter {
            status: Some(FindingStatus::Fixed),
            ..filter
        };
        assert!(
            account
                .list_recommendations(&fixed, &PageRequest::default())
                .unwrap()
                .entries
                .is_empty()
        );
    }
}
