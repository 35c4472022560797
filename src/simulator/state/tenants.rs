//! Tenants and what belongs to them.

use jiff::Timestamp;

use super::names::{Resource, check_name};
use super::paging::Paging;
use super::reputation::{ReputationPolicy, StatusRecord};
use super::shapes::{Impact, SendingStatus, TenantSuppressionAttributes};
use super::{Account, Page, PageRequest, SuppressionList, Tags};
use crate::simulator::wire::{ApiError, Code, digest};

/// Tenants of an account and region without a request for more (quotas page).
const MAX_TENANTS: usize = 10_000;
/// Page size of the tenant listings (probed against SES).
const MAX_PAGE: usize = 100;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// `tn-` and 30 hexadecimal digits; another one each time a tenant of this name is made.
    pub id: String,
    /// Its ARN, which carries the id.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// Scope and reasons, or nothing: the account's.
    pub suppression: Option<TenantSuppressionAttributes>,
    /// Its own suppression list.
    pub suppressed: SuppressionList,
    /// When SES may pause it.
    pub policy: ReputationPolicy,
    /// Set by the customer.
    pub customer_status: StatusRecord,
    /// Set by SES.
    pub aws_status: StatusRecord,
    /// The worst open finding.
    pub impact: Option<Impact>,
}

impl Tenant {
    /// The status that counts: a pause by either side wins.
    #[must_use]
    pub fn sending_status(&self) -> SendingStatus {
        // The variants are in this order: Enabled, Reinstated, Disabled.
        self.customer_status.status.max(self.aws_status.status)
    }
}

/// Filters of `ListTenants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantFilter {
    /// `TENANT_NAME_CONTAINS`.
    pub name_contains: String,
    /// `SENDING_STATUS`.
    pub status: Option<SendingStatus>,
}

impl Account {
    /// `CreateTenant`.
    pub fn create_tenant(
        &mut self,
        name: &str,
        tags: Tags,
        suppression: Option<TenantSuppressionAttributes>,
        now: Timestamp,
    ) -> Result<&Tenant, ApiError> {
        check_name("TenantName", name)?;
        if self.tenants.contains_key(name) {
            return Err(ApiError::already_exists(format!(
                "Tenant with name {name} already exists in account {}",
                self.owner.account_id
            )));
        }
        let suppression = suppression
            .map(TenantSuppressionAttributes::checked)
            .transpose()?
            .flatten();
        if self.tenants.len() >= MAX_TENANTS {
            return Err(ApiError::limit_exceeded(format!(
                "The account has {MAX_TENANTS} tenants, which is the most it may have."
            )));
        }
        self.tenants_made += 1;
        let id = tenant_id(name, self.tenants_made);
        let tenant = Tenant {
            arn: self.owner.arn(Resource::Tenant { name, id: &id }),
            name: name.to_owned(),
            id,
            created: now,
            tags,
            suppression,
            suppressed: SuppressionList::default(),
            policy: ReputationPolicy::Standard,
            customer_status: StatusRecord::initial(now),
            aws_status: StatusRecord::initial(now),
            impact: None,
        };
        Ok(self.tenants.entry(name.to_owned()).or_insert(tenant))
    }

    /// `GetTenant`.
    pub fn tenant(&self, name: &str) -> Result<&Tenant, ApiError> {
        self.tenants.get(name).ok_or_else(|| no_tenant(name))
    }

    pub(super) fn tenant_mut(&mut self, name: &str) -> Result<&mut Tenant, ApiError> {
        self.tenants.get_mut(name).ok_or_else(|| no_tenant(name))
    }

    /// `ListTenants`.
    pub fn list_tenants(&self, filter: &TenantFilter, request: &PageRequest) -> Result<Page<&Tenant>, ApiError> {
        let status = format!("{:?}", filter.status);
        let kept = self.tenants.values().filter(|tenant| {
            tenant.name.contains(&filter.name_contains)
                && filter.status.is_none_or(|status| status == tenant.sending_status())
        });
        paging(&["ListTenants", &self.owner.region, &filter.name_contains, &status])
            .page(request, kept.map(|tenant| (tenant.name.clone(), tenant)))
    }

    /// `DeleteTenant`, with its associations and its suppression entries.
    pub fn delete_tenant(&mut self, name: &str) -> Result<(), ApiError> {
        self.tenants.remove(name).ok_or_else(|| no_tenant(name))?;
        self.associations.remove_tenant(name);
        Ok(())
    }

    /// `PutTenantSuppressionAttributes`: both members, or neither to clear them.
    pub fn put_tenant_suppression(
        &mut self,
        name: &str,
        attributes: TenantSuppressionAttributes,
    ) -> Result<(), ApiError> {
        let attributes = attributes.checked()?;
        self.tenant_mut(name)?.suppression = attributes;
        Ok(())
    }

    /// `CreateTenantResourceAssociation`.
    pub fn associate(&mut self, tenant: &str, arn: &str, now: Timestamp) -> Result<(), ApiError> {
        self.tenant(tenant)?;
        self.check_associable(arn)?;
        if self.associations.contains(tenant, arn) {
            if self.settings.associate_twice_succeeds {
                return Ok(());
            }
            return Err(ApiError::already_exists(format!(
                "Resource {arn} is already associated with tenant {tenant}."
            )));
        }
        self.associations.insert(tenant, arn, now);
        Ok(())
    }

    /// `DeleteTenantResourceAssociation`; an association that is not there is no error.
    pub fn disassociate(&mut self, tenant: &str, arn: &str) -> Result<(), ApiError> {
        self.tenant(tenant)?;
        self.owner.parse(arn)?;
        self.associations.remove(tenant, arn);
        Ok(())
    }

    /// `ListTenantResources`. The filter takes the words of the wire, not those of the model's enumeration.
    pub fn list_tenant_resources(
        &self,
        tenant: &str,
        resource_type: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page<(&'static str, String)>, ApiError> {
        self.tenant(tenant)?;
        if let Some(wanted) = resource_type
            && !["identity", "configuration-set", "template"].contains(&wanted)
        {
            return Err(ApiError::bad_request(format!(
                "RESOURCE_TYPE {wanted} is invalid, must be one of [identity, configuration-set, template]."
            )));
        }
        let resources = self.associations.resources_of(tenant).filter_map(|arn| {
            let kind = self.owner.resource(arn)?.wire_type();
            resource_type
                .is_none_or(|wanted| wanted == kind)
                .then(|| (arn.to_owned(), (kind, arn.to_owned())))
        });
        paging(&[
            "ListTenantResources",
            &self.owner.region,
            tenant,
            resource_type.unwrap_or_default(),
        ])
        .page(request, resources)
    }

    /// `ListResourceTenants`: the tenants, with the time they were joined.
    pub fn list_resource_tenants(
        &self,
        arn: &str,
        request: &PageRequest,
    ) -> Result<Page<(&Tenant, Timestamp)>, ApiError> {
        self.check_associable(arn)?;
        let tenants = self.associations.tenants_of(arn).filter_map(|(name, since)| {
            let tenant = self.tenants.get(name)?;
            Some((name.to_owned(), (tenant, since)))
        });
        paging(&["ListResourceTenants", &self.owner.region, arn]).page(request, tenants)
    }

    /// Refuses to delete what a tenant still has.
    pub(super) fn check_not_associated(&self, arn: &str) -> Result<(), ApiError> {
        if self.associations.holds(arn) {
            return Err(ApiError::bad_request(format!(
                "Cannot delete {arn} because it has tenant associations. Remove all tenant associations and try again."
            )));
        }
        Ok(())
    }

    fn check_associable(&self, arn: &str) -> Result<(), ApiError> {
        let exists = match self.owner.parse(arn)? {
            Resource::ConfigurationSet(name) => self.sets.contains_key(name),
            Resource::Identity(name) => self.identities.contains_key(name),
            Resource::Template(name) => self.templates.contains_key(name),
            Resource::Tenant { .. } => {
                return Err(ApiError::bad_request(format!(
                    "{arn} is a tenant, which no tenant can have."
                )));
            }
        };
        if exists {
            Ok(())
        } else {
            Err(ApiError::not_found(format!("Resource {arn} does not exist.")))
        }
    }
}

const fn paging<'a>(bound_to: &'a [&'a str]) -> Paging<'a> {
    Paging {
        default_size: MAX_PAGE,
        max_size: MAX_PAGE,
        token_error: Code::BadRequest,
        bound_to,
    }
}

fn tenant_id(name: &str, number: u64) -> String {
    let digest = digest(&[name, &number.to_string()]);
    format!("tn-{}", data_encoding::HEXLOWER.encode(&digest[..15]))
}

fn no_tenant(name: &str) -> ApiError {
    ApiError::not_found(format!("The requested tenant {name} does not exist."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::fixture::{account, at};
    use super::super::shapes::{Reason, Scope};
    use super::super::{SetOptions, SuppressionFilter};
    use super::*;

    const SET: &str = "arn:aws:ses:us-east-1:111122223333:configuration-set/team";
    const IDENTITY: &str = "arn:aws:ses:us-east-1:111122223333:identity/example.com";

    fn with_tenant() -> Account {
        let mut account = account();
        account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap();
        account.create_tenant("shop", Tags::default(), None, at(1)).unwrap();
        account
    }

    fn attributes(reasons: Option<Vec<Reason>>, scope: Option<Scope>) -> TenantSuppressionAttributes {
        TenantSuppressionAttributes {
            suppressed_reasons: reasons,
            suppression_scope: scope,
        }
    }

    #[test]
    fn an_id_is_tn_and_thirty_hexadecimal_digits_and_the_arn_carries_it() {
        let account = with_tenant();
        let tenant = account.tenant("shop").unwrap();
        let digits = tenant.id.strip_prefix("tn-").unwrap();
        assert!(
            digits.len() == 30 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{digits}"
        );
        assert_eq!(
            tenant.arn,
            format!("arn:aws:ses:us-east-1:111122223333:tenant/shop/{}", tenant.id)
        );
    }

    #[test]
    fn a_tenant_made_anew_gets_another_arn_and_none_of_the_old_ones_belongings() {
        let mut account = with_tenant();
        let before = account.tenant("shop").unwrap().arn.clone();
        account.associate("shop", SET, at(1)).unwrap();
        account
            .put_suppressed(Some("shop"), "a@example.com", "BOUNCE", at(1))
            .unwrap();
        account.delete_tenant("shop").unwrap();
        account.create_tenant("shop", Tags::default(), None, at(2)).unwrap();
        assert_ne!(account.tenant("shop").unwrap().arn, before);
        assert!(
            account
                .list_tenant_resources("shop", None, &PageRequest::default())
                .unwrap()
                .entries
                .is_empty()
        );
        let entries = account.list_suppressed(Some("shop"), &SuppressionFilter::default(), &PageRequest::default());
        assert!(entries.unwrap().entries.is_empty());
    }

    #[test]
    fn a_name_taken_and_a_name_unknown_are_refused_with_the_observed_texts() {
        let mut account = with_tenant();
        let taken = account.create_tenant("shop", Tags::default(), None, at(2)).unwrap_err();
        assert_eq!(
            taken,
            ApiError::already_exists("Tenant with name shop already exists in account 111122223333")
        );
        let unknown = account.tenant("none").unwrap_err();
        assert_eq!(
            unknown,
            ApiError::not_found("The requested tenant none does not exist.")
        );
    }

    #[test]
    fn suppression_attributes_are_both_or_neither_and_an_empty_list_with_a_scope_is_valid() {
        let mut account = with_tenant();
        for half in [attributes(Some(vec![]), None), attributes(None, Some(Scope::Tenant))] {
            assert_eq!(
                account.put_tenant_suppression("shop", half.clone()).unwrap_err().code,
                Code::BadRequest
            );
            let created = account
                .create_tenant("other", Tags::default(), Some(half), at(1))
                .map(|_| ());
            assert_eq!(created.unwrap_err().code, Code::BadRequest);
        }
        let empty = attributes(Some(vec![]), Some(Scope::Tenant));
        account.put_tenant_suppression("shop", empty.clone()).unwrap();
        assert_eq!(account.tenant("shop").unwrap().suppression, Some(empty));
        account.put_tenant_suppression("shop", attributes(None, None)).unwrap();
        assert_eq!(account.tenant("shop").unwrap().suppression, None);
    }

    #[test]
    fn resource_types_are_the_words_of_the_wire_and_the_models_are_refused() {
        let mut account = with_tenant();
        account.associate("shop", SET, at(1)).unwrap();
        account.associate("shop", IDENTITY, at(1)).unwrap();
        let list = |kind| account.list_tenant_resources("shop", kind, &PageRequest::default());
        let kinds: Vec<&str> = list(None).unwrap().entries.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["configuration-set", "identity"]);
        assert_eq!(
            list(Some("identity")).unwrap().entries,
            [("identity", IDENTITY.to_owned())]
        );
        assert_eq!(list(Some("EMAIL_IDENTITY")).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn associating_twice_is_refused_or_a_success_as_the_setting_says() {
        let mut account = with_tenant();
        account.associate("shop", SET, at(1)).unwrap();
        assert_eq!(
            account.associate("shop", SET, at(1)).unwrap_err().code,
            Code::AlreadyExists
        );
        account.settings.associate_twice_succeeds = true;
        assert_eq!(account.associate("shop", SET, at(1)), Ok(()));
    }

    #[test]
    fn removing_an_association_that_is_not_there_succeeds() {
        assert_eq!(with_tenant().disassociate("shop", SET), Ok(()));
    }

    #[test]
    fn only_what_exists_in_this_account_can_be_associated() {
        let mut account = with_tenant();
        let tenant_arn = account.tenant("shop").unwrap().arn.clone();
        let mut code = |arn: &str| account.associate("shop", arn, at(1)).unwrap_err().code;
        assert_eq!(
            code("arn:aws:ses:us-east-1:111122223333:configuration-set/none"),
            Code::NotFound
        );
        assert_eq!(
            code("arn:aws:ses:eu-west-1:111122223333:configuration-set/team"),
            Code::BadRequest
        );
        assert_eq!(code(&tenant_arn), Code::BadRequest);
    }

    #[test]
    fn a_resources_tenants_are_listed_with_the_time_of_joining() {
        let mut account = with_tenant();
        account.associate("shop", SET, at(7)).unwrap();
        let page = account.list_resource_tenants(SET, &PageRequest::default()).unwrap();
        let found: Vec<_> = page
            .entries
            .iter()
            .map(|(tenant, since)| (tenant.name.as_str(), *since))
            .collect();
        assert_eq!(found, [("shop", at(7))]);
    }

    #[test]
    fn tenants_are_listed_at_most_a_hundred_at_a_time() {
        let mut account = account();
        for number in 0..101 {
            account
                .create_tenant(&format!("t{number:03}"), Tags::default(), None, at(1))
                .unwrap();
        }
        let first = account
            .list_tenants(&TenantFilter::default(), &PageRequest::default())
            .unwrap();
        assert_eq!(first.entries.len(), 100);
        assert!(first.next_token.is_some());
        let larger = PageRequest {
            next_token: None,
            page_size: Some(101),
        };
        assert_eq!(
            account
                .list_tenants(&TenantFilter::default(), &larger)
                .unwrap_err()
                .code,
            Code::BadRequest
        );
    }
}
