//! Identities: domains and addresses the account may send from.

use super::names::Resource;
use super::paging::Paging;
use super::shapes::MxFailure;
use super::{Account, Page, PageRequest, Tags};
use crate::simulator::wire::{ApiError, Code};

/// Identities of an account and region (quotas page).
const MAX_IDENTITIES: usize = 10_000;

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name: a domain or an address.
    pub name: String,
    /// Whether the account may send from it.
    pub verified: bool,
    /// Its default configuration set; may name one that is gone.
    pub configuration_set: Option<String>,
    /// Whether messages are signed.
    pub dkim_signing: bool,
    /// Whether feedback is forwarded by mail.
    pub feedback_forwarding: bool,
    /// A custom MAIL FROM domain.
    pub mail_from: Option<MailFrom>,
    /// Its tags.
    pub tags: Tags,
}

/// A custom MAIL FROM domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// The domain, below the identity's.
    pub domain: String,
    /// Whether its MX and SPF records are there.
    pub verified: bool,
    /// What happens without an MX record.
    pub on_mx_failure: MxFailure,
}

impl Identity {
    fn new(name: &str, verified: bool) -> Self {
        Self {
            name: name.to_owned(),
            verified,
            configuration_set: None,
            dkim_signing: true,
            feedback_forwarding: true,
            mail_from: None,
            tags: Tags::default(),
        }
    }

    /// Whether it is a domain, not an address.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        !self.name.contains('@')
    }

    /// The word for its type.
    #[must_use]
    pub fn wire_type(&self) -> &'static str {
        if self.is_domain() { "DOMAIN" } else { "EMAIL_ADDRESS" }
    }

    /// The word for the state of its verification.
    #[must_use]
    pub const fn wire_status(&self) -> &'static str {
        if self.verified { "SUCCESS" } else { "PENDING" }
    }
}

/// Filters of `ListEmailIdentities`, in the words of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityFilter {
    /// `IDENTITY_NAME_CONTAINS`.
    pub name_contains: String,
    /// `IDENTITY_TYPE`.
    pub kind: Option<String>,
    /// `VERIFICATION_STATUS`.
    pub status: Option<String>,
}

impl Account {
    /// `CreateEmailIdentity`: pending until its owner proves it.
    pub fn create_identity(&mut self, name: &str, set: Option<String>, tags: Tags) -> Result<&Identity, ApiError> {
        let name = canonical(name);
        let domain = name.rsplit_once('@').map_or(name.as_str(), |(_, domain)| domain);
        if name.starts_with('@') || !domain.contains('.') || domain.split('.').any(str::is_empty) {
            return Err(ApiError::bad_request(format!(
                "Email identity {name} is neither a domain nor an address."
            )));
        }
        if self.identities.contains_key(&name) {
            return Err(ApiError::already_exists(format!(
                "Email identity {name} already exist."
            )));
        }
        set.as_deref().map_or(Ok(()), |set| self.set(set).map(|_| ()))?;
        if self.identities.len() >= MAX_IDENTITIES {
            return Err(ApiError::limit_exceeded(format!(
                "The account has {MAX_IDENTITIES} identities, which is the most it may have."
            )));
        }
        let identity = Identity {
            configuration_set: set,
            tags,
            ..Identity::new(&name, false)
        };
        Ok(self.identities.entry(name).or_insert(identity))
    }

    /// Behind the API's back: the identity exists and is verified, or pending again.
    pub fn put_identity(&mut self, name: &str, verified: bool) {
        let name = canonical(name);
        self.identities
            .entry(name.clone())
            .or_insert_with(|| Identity::new(&name, verified))
            .verified = verified;
    }

    /// `GetEmailIdentity`.
    pub fn identity(&self, name: &str) -> Result<&Identity, ApiError> {
        self.identities.get(&canonical(name)).ok_or_else(|| no_identity(name))
    }

    fn identity_mut(&mut self, name: &str) -> Result<&mut Identity, ApiError> {
        self.identities
            .get_mut(&canonical(name))
            .ok_or_else(|| no_identity(name))
    }

    /// `ListEmailIdentities`.
    pub fn list_identities(&self, filter: &IdentityFilter, request: &PageRequest) -> Result<Page<&Identity>, ApiError> {
        let kept = self.identities.values().filter(|identity| {
            identity.name.contains(&filter.name_contains)
                && filter.kind.as_ref().is_none_or(|kind| kind == identity.wire_type())
                && filter
                    .status
                    .as_ref()
                    .is_none_or(|status| status == identity.wire_status())
        });
        Paging {
            // Probed against SES.
            default_size: 25,
            max_size: 1000,
            token_error: Code::BadRequest,
            bound_to: &["ListEmailIdentities", &self.owner.region, &format!("{filter:?}")],
        }
        .page(request, kept.map(|identity| (identity.name.clone(), identity)))
    }

    /// `DeleteEmailIdentity`, refused while a tenant has it.
    pub fn delete_identity(&mut self, name: &str) -> Result<(), ApiError> {
        let name = self.identity(name)?.name.clone();
        self.check_not_associated(&self.owner.arn(Resource::Identity(&name)))?;
        self.identities.remove(&name);
        Ok(())
    }

    /// `PutEmailIdentityConfigurationSetAttributes`; without a set, none.
    pub fn put_identity_set(&mut self, name: &str, set: Option<String>) -> Result<(), ApiError> {
        self.identity(name)?;
        set.as_deref().map_or(Ok(()), |set| self.set(set).map(|_| ()))?;
        self.identity_mut(name)?.configuration_set = set;
        Ok(())
    }

    /// `PutEmailIdentityDkimAttributes`.
    pub fn put_identity_dkim(&mut self, name: &str, signing: bool) -> Result<(), ApiError> {
        self.identity_mut(name)?.dkim_signing = signing;
        Ok(())
    }

    /// `PutEmailIdentityFeedbackAttributes`.
    pub fn put_identity_feedback(&mut self, name: &str, forwarding: bool) -> Result<(), ApiError> {
        self.identity_mut(name)?.feedback_forwarding = forwarding;
        Ok(())
    }

    /// `PutEmailIdentityMailFromAttributes`; without a domain, none.
    pub fn put_identity_mail_from(
        &mut self,
        name: &str,
        domain: Option<String>,
        on_mx_failure: MxFailure,
    ) -> Result<(), ApiError> {
        let identity = self.identity_mut(name)?;
        let parent = identity
            .name
            .rsplit_once('@')
            .map_or(identity.name.as_str(), |(_, domain)| domain);
        if let Some(domain) = &domain
            && !is_below(domain, parent)
        {
            return Err(ApiError::bad_request(format!(
                "MAIL FROM domain {domain} is not a subdomain of {parent}."
            )));
        }
        identity.mail_from = domain.map(|domain| MailFrom {
            domain,
            verified: identity.verified,
            on_mx_failure,
        });
        Ok(())
    }

    /// The identities an address falls under: itself, its domain, and the domains above that.
    pub(super) fn identities_over<'a>(&'a self, address: &str) -> impl Iterator<Item = &'a Identity> + use<'a> {
        let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
        let parents = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
        let names = [address, domain].into_iter().chain(parents);
        // At most as many as the name has dots: collected, so that the address need not outlive them.
        let found: Vec<&Identity> = names.filter_map(|name| self.identities.get(name)).collect();
        found.into_iter()
    }

    /// Whether the domain, or one above it, is a verified identity.
    pub(super) fn covers_verified_domain(&self, domain: &str) -> bool {
        let domain = domain.to_ascii_lowercase();
        let mut rest = Some(domain.as_str());
        while let Some(candidate) = rest {
            if self.identities.get(candidate).is_some_and(|identity| identity.verified) {
                return true;
            }
            rest = candidate.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

fn is_below(domain: &str, parent: &str) -> bool {
    domain
        .strip_suffix(parent)
        .is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.'))
}

/// Domains, and the domains of addresses, know no case.
fn canonical(name: &str) -> String {
    match name.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => name.to_ascii_lowercase(),
    }
}

fn no_identity(name: &str) -> ApiError {
    ApiError::not_found(format!("Email identity {name} does not exist."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::SetOptions;
    use super::super::fixture::{account, at};
    use super::*;

    #[test]
    fn a_new_identity_is_pending_and_a_name_taken_is_refused() {
        let mut account = account();
        let identity = account.create_identity("Example.NET", None, Tags::default()).unwrap();
        assert_eq!(
            (identity.name.as_str(), identity.wire_status()),
            ("example.net", "PENDING")
        );
        let taken = account
            .create_identity("example.net", None, Tags::default())
            .unwrap_err();
        assert_eq!(taken.code, Code::AlreadyExists);
    }

    #[test]
    fn what_is_neither_a_domain_nor_an_address_is_refused() {
        for name in ["", "localhost", "@example.com", "a@", "a..b"] {
            let error = account().create_identity(name, None, Tags::default()).unwrap_err();
            assert_eq!(error.code, Code::BadRequest, "{name}");
        }
    }

    #[test]
    fn a_default_configuration_set_must_exist_when_it_is_named_and_may_vanish_later() {
        let mut account = account();
        let missing = account
            .put_identity_set("example.com", Some("team".to_owned()))
            .unwrap_err();
        assert_eq!(missing.code, Code::NotFound);
        account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap();
        account
            .put_identity_set("example.com", Some("team".to_owned()))
            .unwrap();
        account.delete_set("team").unwrap();
        assert_eq!(
            account.identity("example.com").unwrap().configuration_set.as_deref(),
            Some("team")
        );
        account.put_identity_set("example.com", None).unwrap();
        assert_eq!(account.identity("example.com").unwrap().configuration_set, None);
    }

    #[test]
    fn an_associated_identity_cannot_be_deleted() {
        let mut account = account();
        account.create_tenant("shop", Tags::default(), None, at(1)).unwrap();
        account
            .associate("shop", "arn:aws:ses:us-east-1:111122223333:identity/example.com", at(1))
            .unwrap();
        assert_eq!(
            account.delete_identity("example.com").unwrap_err().code,
            Code::BadRequest
        );
        account.delete_tenant("shop").unwrap();
        assert_eq!(account.delete_identity("example.com"), Ok(()));
        assert_eq!(account.delete_identity("example.com").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn a_mail_from_domain_lies_below_the_identitys() {
        let mut account = account();
        let mut put = |domain: &str| {
            account.put_identity_mail_from("example.com", Some(domain.to_owned()), MxFailure::UseDefaultValue)
        };
        assert_eq!(put("bounce.example.com"), Ok(()));
        for domain in ["example.com", "notexample.com", ".example.com"] {
            assert_eq!(put(domain).unwrap_err().code, Code::BadRequest, "{domain}");
        }
    }

    #[test]
    fn identities_are_listed_twenty_five_at_a_time_and_by_type() {
        let mut account = account();
        for number in 0..30 {
            account.put_identity(&format!("a{number}@example.com"), true);
        }
        let all = account
            .list_identities(&IdentityFilter::default(), &PageRequest::default())
            .unwrap();
        assert_eq!(all.entries.len(), 25);
        let domains = IdentityFilter {
            kind: Some("DOMAIN".to_owned()),
            ..IdentityFilter::default()
        };
        let page = account.list_identities(&domains, &PageRequest::default()).unwrap();
        assert_eq!(
            page.entries
                .iter()
                .map(|identity| identity.name.as_str())
                .collect::<Vec<_>>(),
            ["example.com"]
        );
    }
}
