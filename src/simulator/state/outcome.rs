//! What becomes of a message at each recipient: the mailbox simulator and the suppression lists decide.

use serde::Serialize;

use super::address::Mailbox;
use super::shapes::{EventType, Reason, Scope};
use super::{Account, ConfigurationSet, SuppressionList, Tenant};

/// What becomes of a message at one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Delivered.
    Delivery,
    /// The recipient's server does not know it: `Permanent`/`General`.
    Bounce,
    /// Delivered, then complained about.
    Complaint,
    /// Delivered, then answered by an out-of-office reply: `Transient`/`General`.
    AutoReply,
    /// Not attempted, as though on SES's global suppression list: a bounce.
    SuppressedGlobally,
    /// Not attempted: on the account's list for a bounce; `OnAccountSuppressionList`.
    AccountSuppressedBounce,
    /// Not attempted: on the account's list for a complaint.
    AccountSuppressedComplaint,
    /// Not attempted: on the tenant's list for a bounce; `OnTenantSuppressionList`.
    TenantSuppressedBounce,
    /// Not attempted: on the tenant's list for a complaint.
    TenantSuppressedComplaint,
    /// The template could not be filled in: nothing is sent.
    RenderingFailure,
}

impl Outcome {
    /// The events SES publishes for it, in order. A suppressed recipient of reason COMPLAINT has a complaint and never a
    /// delivery.
    #[must_use]
    pub const fn events(self) -> &'static [EventType] {
        match self {
            Self::Delivery => &[EventType::Send, EventType::Delivery],
            Self::Complaint => &[EventType::Send, EventType::Delivery, EventType::Complaint],
            Self::AutoReply => &[EventType::Send, EventType::Delivery, EventType::Bounce],
            Self::Bounce | Self::SuppressedGlobally | Self::AccountSuppressedBounce | Self::TenantSuppressedBounce => {
                &[EventType::Send, EventType::Bounce]
            }
            Self::AccountSuppressedComplaint | Self::TenantSuppressedComplaint => {
                &[EventType::Send, EventType::Complaint]
            }
            Self::RenderingFailure => &[EventType::RenderingFailure],
        }
    }

    /// What the mailbox simulator makes of a message; an address it does not know gets it.
    fn of_simulator(name: &str) -> Self {
        match name {
            "bounce" => Self::Bounce,
            "complaint" => Self::Complaint,
            "ooto" => Self::AutoReply,
            "suppressionlist" => Self::SuppressedGlobally,
            _ => Self::Delivery,
        }
    }

    const fn suppressed(scope: Scope, reason: Reason) -> Self {
        match (scope, reason) {
            (Scope::Account, Reason::Bounce) => Self::AccountSuppressedBounce,
            (Scope::Account, Reason::Complaint) => Self::AccountSuppressedComplaint,
            (Scope::Tenant, Reason::Bounce) => Self::TenantSuppressedBounce,
            (Scope::Tenant, Reason::Complaint) => Self::TenantSuppressedComplaint,
        }
    }
}

/// Which list a message's recipients are looked up in, and which of its entries count.
pub(super) struct Suppression<'a> {
    pub(super) scope: Scope,
    reasons: &'a [Reason],
    list: Option<&'a SuppressionList>,
}

impl Suppression<'_> {
    pub(super) fn outcome(&self, mailbox: &Mailbox) -> Outcome {
        let suppressed = self
            .list
            .filter(|list| !self.reasons.is_empty() && !list.is_empty())
            .and_then(|list| list.reason(&mailbox.address, self.reasons))
            .map(|reason| Outcome::suppressed(self.scope, reason));
        suppressed.unwrap_or_else(|| mailbox.simulator().map_or(Outcome::Delivery, Outcome::of_simulator))
    }
}

impl Account {
    /// The configuration set's options, or else the tenant's attributes, or else the account's. A set that names no scope
    /// leaves the scope to what comes after it.
    pub(super) fn suppression<'a>(
        &'a self,
        set: Option<&'a ConfigurationSet>,
        tenant: Option<&'a Tenant>,
    ) -> Suppression<'a> {
        let of_set = set.and_then(|set| set.options.suppression_options.as_ref());
        let of_tenant = tenant.and_then(|tenant| tenant.suppression.as_ref());
        let scope = of_set
            .and_then(|options| options.suppression_scope)
            .or_else(|| of_tenant.and_then(|attributes| attributes.suppression_scope))
            .unwrap_or(Scope::Account);
        let reasons = of_set
            .map(|options| &options.suppressed_reasons)
            .or_else(|| of_tenant.and_then(|attributes| attributes.suppressed_reasons.as_ref()))
            .unwrap_or(&self.settings.suppression.reasons);
        let list = match scope {
            Scope::Account => Some(&self.suppressed),
            Scope::Tenant => tenant.map(|tenant| &tenant.suppressed),
        };
        Suppression { scope, reasons, list }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::fixture::{account, at};
    use super::super::shapes::{SuppressionOptions, TenantSuppressionAttributes};
    use super::super::{OptionBlock, SetOptions, Tags};
    use super::*;

    /// The configuration set `team`, the tenant `shop`, and `a@example.org` on the account's list.
    fn prepared() -> Account {
        let mut account = account();
        account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap();
        account.create_tenant("shop", Tags::default(), None, at(0)).unwrap();
        account.put_suppressed(None, "a@example.org", "BOUNCE", at(0)).unwrap();
        account
    }

    fn set_options(account: &mut Account, suppressed_reasons: Vec<Reason>, suppression_scope: Option<Scope>) {
        let options = SuppressionOptions {
            suppressed_reasons,
            suppression_scope,
            validation_options: None,
        };
        account.put_options("team", OptionBlock::Suppression(options)).unwrap();
    }

    fn tenant_scope(account: &mut Account) {
        let attributes = TenantSuppressionAttributes {
            suppressed_reasons: Some(vec![Reason::Bounce, Reason::Complaint]),
            suppression_scope: Some(Scope::Tenant),
        };
        account.put_tenant_suppression("shop", attributes).unwrap();
    }

    fn outcome(account: &Account, address: &str) -> Outcome {
        let mailbox = Mailbox::parse(address.to_owned()).unwrap();
        let (set, tenant) = (account.set("team").unwrap(), account.tenant("shop").unwrap());
        account.suppression(Some(set), Some(tenant)).outcome(&mailbox)
    }

    #[test]
    fn the_mailbox_simulator_decides_by_its_names() {
        let account = prepared();
        for (name, expected) in [
            ("success", Outcome::Delivery),
            ("bounce", Outcome::Bounce),
            ("complaint+label", Outcome::Complaint),
            ("ooto", Outcome::AutoReply),
            ("suppressionlist", Outcome::SuppressedGlobally),
        ] {
            let address = format!("{name}@simulator.amazonses.com");
            assert_eq!(outcome(&account, &address), expected, "{name}");
        }
        assert_eq!(outcome(&account, "bounce@example.org"), Outcome::Delivery);
    }

    #[test]
    fn an_address_on_the_account_s_list_is_suppressed_whatever_its_case() {
        let account = prepared();
        assert_eq!(outcome(&account, "A@Example.org"), Outcome::AccountSuppressedBounce);
        assert_eq!(outcome(&account, "b@example.org"), Outcome::Delivery);
    }

    #[test]
    fn a_reason_that_does_not_count_suppresses_nothing() {
        let mut account = prepared();
        account
            .put_suppressed(None, "c@example.org", "COMPLAINT", at(0))
            .unwrap();
        assert_eq!(outcome(&account, "c@example.org"), Outcome::AccountSuppressedComplaint);
        account.settings.suppression.reasons = vec![Reason::Bounce];
        assert_eq!(outcome(&account, "c@example.org"), Outcome::Delivery);
    }

    #[test]
    fn a_set_s_options_override_the_account_s_also_where_they_name_no_reason() {
        let mut account = prepared();
        set_options(&mut account, vec![], None);
        assert_eq!(outcome(&account, "a@example.org"), Outcome::Delivery);
    }

    #[test]
    fn a_tenant_s_scope_skips_the_account_s_list() {
        let mut account = prepared();
        tenant_scope(&mut account);
        assert_eq!(outcome(&account, "a@example.org"), Outcome::Delivery);
        account
            .put_suppressed(Some("shop"), "a@example.org", "COMPLAINT", at(0))
            .unwrap();
        assert_eq!(outcome(&account, "a@example.org"), Outcome::TenantSuppressedComplaint);
    }

    #[test]
    fn a_set_that_names_no_scope_leaves_it_to_the_tenant() {
        let mut account = prepared();
        tenant_scope(&mut account);
        account
            .put_suppressed(Some("shop"), "t@example.org", "BOUNCE", at(0))
            .unwrap();
        set_options(&mut account, vec![Reason::Bounce], None);
        assert_eq!(outcome(&account, "t@example.org"), Outcome::TenantSuppressedBounce);
        set_options(&mut account, vec![Reason::Bounce], Some(Scope::Account));
        assert_eq!(outcome(&account, "t@example.org"), Outcome::Delivery);
        assert_eq!(outcome(&account, "a@example.org"), Outcome::AccountSuppressedBounce);
    }
}
