//! ARNs of what lives in SES, and what they are made from.

use std::fmt;

use super::name::SetName;
use crate::api::address::redact;

/// The ARN of a resource in SES. Shown without the address that the ARN of an e-mail identity holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn(String);

/// What kind of resource an ARN names, taken from the ARN itself: the types that `ListTenantResources` answers with
/// are not those of its own model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A domain or an address that mail may come from.
    Identity,
    /// A configuration set.
    ConfigurationSet,
    /// A template.
    Template,
    /// Anything else.
    Other,
}

impl Arn {
    /// Takes an ARN as SES or a person wrote it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole ARN, for requests to SES; it may hold an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What kind of resource it names.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        // arn:partition:ses:region:account:kind/name
        let resource = self.0.splitn(6, ':').nth(5).unwrap_or_default();
        match resource.split_once('/').map_or(resource, |(kind, _)| kind) {
            "identity" => ResourceKind::Identity,
            "configuration-set" => ResourceKind::ConfigurationSet,
            "template" => ResourceKind::Template,
            _ => ResourceKind::Other,
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", redact(&self.0))
    }
}

/// What the ARNs of one account and region begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnBase {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region, such as `ap-northeast-1`.
    pub region: String,
    /// The twelve digits of the AWS account.
    pub account_id: String,
}

impl ArnBase {
    /// Takes the partition from the ARN of any caller (a user, a role, a session); `None` where it is no ARN.
    #[must_use]
    pub fn from_caller(caller_arn: &str, account_id: &str, region: &str) -> Option<Self> {
        let partition = caller_arn.strip_prefix("arn:")?.split(':').next()?;
        let (partition, region, account_id) = (partition.to_owned(), region.to_owned(), account_id.to_owned());
        Some(Self {
            partition,
            region,
            account_id,
        })
    }

    /// The ARN of the default event bus, the only one that SES takes.
    #[must_use]
    pub fn default_bus(&self) -> Arn {
        let Self {
            partition,
            region,
            account_id,
        } = self;
        Arn(format!(
            "arn:{partition}:events:{region}:{account_id}:event-bus/default"
        ))
    }

    fn resource(&self, kind: &str, name: &str) -> Arn {
        let Self {
            partition,
            region,
            account_id,
        } = self;
        Arn(format!("arn:{partition}:ses:{region}:{account_id}:{kind}/{name}"))
    }

    /// The ARN of a configuration set.
    #[must_use]
    pub fn set(&self, set: &SetName) -> Arn {
        self.resource("configuration-set", set.as_str())
    }

    /// The ARN of an identity: a domain or an address.
    #[must_use]
    pub fn identity(&self, identity: &str) -> Arn {
        self.resource("identity", identity)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn base() -> ArnBase {
        ArnBase::from_caller(
            "arn:aws:iam::123456789012:role/mail/control",
            "123456789012",
            "eu-west-1",
        )
        .unwrap()
    }

    #[test]
    fn the_arn_of_a_set_names_its_account_and_region() {
        let set = SetName::parse("prod-shop-default").unwrap();
        assert_eq!(
            base().set(&set).as_str(),
            "arn:aws:ses:eu-west-1:123456789012:configuration-set/prod-shop-default"
        );
    }

    #[test]
    fn the_type_of_a_tenants_resource_is_read_off_its_arn() {
        assert_eq!(base().identity("example.com").kind(), ResourceKind::Identity);
        assert_eq!(
            base().set(&SetName::parse("a").unwrap()).kind(),
            ResourceKind::ConfigurationSet
        );
        assert_eq!(
            Arn::new("arn:aws:ses:eu-west-1:123456789012:template/t").kind(),
            ResourceKind::Template
        );
        assert_eq!(Arn::new("nonsense").kind(), ResourceKind::Other);
    }

    #[test]
    fn the_address_of_an_identity_is_not_shown() {
        let arn = base().identity("jo@example.com");
        assert_eq!(
            arn.to_string(),
            "arn:aws:ses:eu-west-1:123456789012:identity/***@example.com"
        );
        assert!(!format!("{arn:?}").contains("jo@"));
    }
}
