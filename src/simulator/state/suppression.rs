//! Suppression lists: the account's and each tenant's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Account;
use super::paging::Paging;
use super::shapes::Reason;
use super::{Page, PageRequest};
use crate::simulator::wire::{ApiError, Code};

/// One suppressed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressedAddress {
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub updated: Timestamp,
    /// The message that caused the entry, where SES made it.
    pub message_id: Option<String>,
    /// The feedback that caused the entry, where SES made it.
    pub feedback_id: Option<String>,
}

/// Addresses, domain in lower case and local part as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuppressionList {
    entries: BTreeMap<String, SuppressedAddress>,
    /// Addresses as kept by what they are in lower case: sending knows no case.
    by_folded: BTreeMap<String, BTreeSet<String>>,
}

impl SuppressionList {
    /// The entries in order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SuppressedAddress)> {
        self.entries.iter().map(|(address, entry)| (address.as_str(), entry))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an entry in place of any other of this address.
    pub fn insert(&mut self, address: &str, entry: SuppressedAddress) {
        let address = canonical(address);
        self.by_folded
            .entry(address.to_ascii_lowercase())
            .or_default()
            .insert(address.clone());
        self.entries.insert(address, entry);
    }

    /// Why mail to the address is suppressed, of the reasons that count; case does not matter here.
    #[must_use]
    pub fn reason(&self, address: &str, counting: &[Reason]) -> Option<Reason> {
        self.by_folded
            .get(&address.to_ascii_lowercase())?
            .iter()
            .filter_map(|kept| self.entries.get(kept))
            .map(|entry| entry.reason)
            .find(|reason| counting.contains(reason))
    }

    fn remove(&mut self, address: &str) -> bool {
        let address = canonical(address);
        let folded = address.to_ascii_lowercase();
        if let Some(kept) = self.by_folded.get_mut(&folded) {
            kept.remove(&address);
            if kept.is_empty() {
                self.by_folded.remove(&folded);
            }
        }
        self.entries.remove(&address).is_some()
    }
}

/// Filters of `ListSuppressedDestinations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuppressionFilter {
    /// Only these reasons; empty means all.
    pub reasons: Vec<Reason>,
    /// Not before.
    pub start: Option<Timestamp>,
    /// Not after.
    pub end: Option<Timestamp>,
}

impl SuppressionFilter {
    fn keeps(&self, entry: &SuppressedAddress) -> bool {
        let Self { reasons, start, end } = self;
        (reasons.is_empty() || reasons.contains(&entry.reason))
            && start.is_none_or(|start| start <= entry.updated)
            && end.is_none_or(|end| entry.updated <= end)
    }
}

impl Account {
    /// `PutSuppressedDestination`, which does not work in the sandbox. An entry that is there is replaced.
    pub fn put_suppressed(
        &mut self,
        tenant: Option<&str>,
        address: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if !self.settings.production_access {
            return Err(ApiError::bad_request(
                "Suppression list management is not available in the sandbox.",
            ));
        }
        let reason = parse_reason(reason)?;
        check_address(address)?;
        let entry = SuppressedAddress {
            reason,
            updated: now,
            message_id: None,
            feedback_id: None,
        };
        self.list_mut(tenant)?.insert(address, entry);
        Ok(())
    }

    /// `GetSuppressedDestination`: the address as kept, and its entry.
    pub fn suppressed(&self, tenant: Option<&str>, address: &str) -> Result<(&str, &SuppressedAddress), ApiError> {
        self.list(tenant)?
            .entries
            .get_key_value(&canonical(address))
            .map(|(address, entry)| (address.as_str(), entry))
            .ok_or_else(|| no_entry(tenant, address))
    }

    /// `DeleteSuppressedDestination`; an address that is not there is an error.
    pub fn delete_suppressed(&mut self, tenant: Option<&str>, address: &str) -> Result<(), ApiError> {
        if self.list_mut(tenant)?.remove(address) {
            Ok(())
        } else {
            Err(no_entry(tenant, address))
        }
    }

    /// `ListSuppressedDestinations`.
    pub fn list_suppressed(
        &self,
        tenant: Option<&str>,
        filter: &SuppressionFilter,
        request: &PageRequest,
    ) -> Result<Page<(&str, &SuppressedAddress)>, ApiError> {
        let kept = self.list(tenant)?.iter().filter(|(_, entry)| filter.keeps(entry));
        Paging {
            // Limits are not written; a thousand is what AWS's own samples get.
            default_size: 1000,
            max_size: 1000,
            token_error: Code::InvalidNextToken,
            bound_to: &[
                "ListSuppressedDestinations",
                &self.owner.region,
                tenant.unwrap_or_default(),
                &format!("{filter:?}"),
            ],
        }
        .page(
            request,
            kept.map(|(address, entry)| (address.to_owned(), (address, entry))),
        )
    }

    fn list(&self, tenant: Option<&str>) -> Result<&SuppressionList, ApiError> {
        tenant.map_or(Ok(&self.suppressed), |name| Ok(&self.tenant(name)?.suppressed))
    }

    fn list_mut(&mut self, tenant: Option<&str>) -> Result<&mut SuppressionList, ApiError> {
        match tenant {
            None => Ok(&mut self.suppressed),
            Some(name) => Ok(&mut self.tenant_mut(name)?.suppressed),
        }
    }
}

/// A reason, or the refusal SES was seen to give.
pub(in crate::simulator) fn parse_reason(reason: &str) -> Result<Reason, ApiError> {
    match reason {
        "BOUNCE" => Ok(Reason::Bounce),
        "COMPLAINT" => Ok(Reason::Complaint),
        other => Err(ApiError::bad_request(format!(
            "Reason {other} is invalid, must be one of [BOUNCE, COMPLAINT]."
        ))),
    }
}

fn check_address(address: &str) -> Result<(), ApiError> {
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && address.len() <= 320 => Ok(()),
        _ => Err(ApiError::bad_request("EmailAddress is not an email address.")),
    }
}

/// SES lower-cases the domain and keeps the local part (probed).
fn canonical(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

fn no_entry(tenant: Option<&str>, address: &str) -> ApiError {
    let whose = if tenant.is_some() { "your tenant" } else { "your" };
    ApiError::not_found(format!(
        "Email address {address} does not exist on {whose} suppression list."
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::fixture::{account, at};
    use super::super::{AccountSettings, Tags};
    use super::*;

    fn put(account: &mut Account, tenant: Option<&str>, address: &str, second: i64) {
        account.put_suppressed(tenant, address, "BOUNCE", at(second)).unwrap();
    }

    fn addresses(account: &Account, filter: &SuppressionFilter) -> Vec<String> {
        let page = account.list_suppressed(None, filter, &PageRequest::default()).unwrap();
        page.entries
            .into_iter()
            .map(|(address, _)| address.to_owned())
            .collect()
    }

    #[test]
    fn the_domain_is_lower_cased_and_the_local_part_is_kept() {
        let mut account = account();
        put(&mut account, None, "Some.One@Example.COM", 1);
        assert_eq!(
            account.suppressed(None, "Some.One@example.com").unwrap().0,
            "Some.One@example.com"
        );
        assert_eq!(
            account.suppressed(None, "some.one@example.com").unwrap_err().code,
            Code::NotFound
        );
    }

    #[test]
    fn a_second_put_replaces_the_reason() {
        let mut account = account();
        put(&mut account, None, "a@example.com", 1);
        account
            .put_suppressed(None, "a@example.com", "COMPLAINT", at(2))
            .unwrap();
        let (_, entry) = account.suppressed(None, "a@example.com").unwrap();
        assert_eq!((entry.reason, entry.updated), (Reason::Complaint, at(2)));
    }

    #[test]
    fn deleting_what_is_not_there_is_refused_with_the_observed_texts() {
        let mut account = account();
        account.create_tenant("shop", Tags::default(), None, at(1)).unwrap();
        put(&mut account, None, "a@example.com", 1);
        let own = account.delete_suppressed(None, "b@example.com").unwrap_err();
        assert_eq!(
            own,
            ApiError::not_found("Email address b@example.com does not exist on your suppression list.")
        );
        let tenants = account.delete_suppressed(Some("shop"), "a@example.com").unwrap_err();
        let text = "Email address a@example.com does not exist on your tenant suppression list.";
        assert_eq!(tenants, ApiError::not_found(text));
    }

    #[test]
    fn a_reason_unknown_is_refused_with_the_observed_text() {
        let error = account()
            .put_suppressed(None, "a@example.com", "OTHER", at(1))
            .unwrap_err();
        assert_eq!(
            error,
            ApiError::bad_request("Reason OTHER is invalid, must be one of [BOUNCE, COMPLAINT].")
        );
    }

    #[test]
    fn an_address_without_a_domain_is_refused() {
        for address in ["someone", "@example.com", "someone@"] {
            let error = account().put_suppressed(None, address, "BOUNCE", at(1)).unwrap_err();
            assert_eq!(error.code, Code::BadRequest, "{address}");
        }
    }

    #[test]
    fn nothing_can_be_put_in_the_sandbox() {
        let mut account = account();
        account.settings = AccountSettings::sandbox();
        let error = account
            .put_suppressed(None, "a@example.com", "BOUNCE", at(1))
            .unwrap_err();
        assert_eq!(error.code, Code::BadRequest);
        assert!(account.suppressed.is_empty());
    }

    #[test]
    fn entries_are_filtered_by_reason_and_time() {
        let mut account = account();
        put(&mut account, None, "early@example.com", 10);
        put(&mut account, None, "late@example.com", 20);
        account
            .put_suppressed(None, "complained@example.com", "COMPLAINT", at(20))
            .unwrap();
        let bounces = SuppressionFilter {
            reasons: vec![Reason::Bounce],
            ..SuppressionFilter::default()
        };
        assert_eq!(addresses(&account, &bounces), ["early@example.com", "late@example.com"]);
        let late = SuppressionFilter {
            start: Some(at(15)),
            ..bounces.clone()
        };
        assert_eq!(addresses(&account, &late), ["late@example.com"]);
        let early = SuppressionFilter {
            end: Some(at(15)),
            ..bounces
        };
        assert_eq!(addresses(&account, &early), ["early@example.com"]);
    }

    #[test]
    fn a_token_is_bound_to_the_filters() {
        let mut account = account();
        put(&mut account, None, "a@example.com", 1);
        put(&mut account, None, "b@example.com", 1);
        let one = |token| PageRequest {
            next_token: token,
            page_size: Some(1),
        };
        let all = SuppressionFilter::default();
        let token = account.list_suppressed(None, &all, &one(None)).unwrap().next_token;
        assert_eq!(
            account
                .list_suppressed(None, &all, &one(token.clone()))
                .unwrap()
                .entries[0]
                .0,
            "b@example.com"
        );
        let other = SuppressionFilter {
            reasons: vec![Reason::Bounce],
            ..all
        };
        assert_eq!(
            account.list_suppressed(None, &other, &one(token)).unwrap_err().code,
            Code::InvalidNextToken
        );
    }
}
