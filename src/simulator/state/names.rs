//! Names and ARNs of the account's resources.

use std::fmt;

use crate::simulator::wire::ApiError;

/// The longest name of a configuration set, an event destination or a tenant (quotas page, and the model's text).
const MAX_NAME: usize = 64;

/// Checks a name that must be 1 to 64 of `[A-Za-z0-9_-]`.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Err(ApiError::bad_request(format!(
            "{what} must be 1 to {MAX_NAME} letters, digits, hyphens or underscores, it is <{name}>."
        )));
    }
    Ok(())
}

/// Region and account, from which every ARN is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// For instance `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
}

/// A resource the account knows by its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A configuration set's name.
    ConfigurationSet(&'a str),
    /// An identity's name.
    Identity(&'a str),
    /// A tenant's name and id.
    Tenant {
        /// The name.
        name: &'a str,
        /// The id.
        id: &'a str,
    },
    /// A template's name.
    Template(&'a str),
}

impl Resource<'_> {
    /// The word for the resource's type on the wire, which is not the word of the model's enumeration.
    #[must_use]
    pub const fn wire_type(&self) -> &'static str {
        match self {
            Self::ConfigurationSet(_) => "configuration-set",
            Self::Identity(_) => "identity",
            Self::Tenant { .. } => "tenant",
            Self::Template(_) => "template",
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.wire_type();
        match self {
            Self::ConfigurationSet(name) | Self::Identity(name) | Self::Template(name) => write!(f, "{kind}/{name}"),
            Self::Tenant { name, id } => write!(f, "{kind}/{name}/{id}"),
        }
    }
}

impl Owner {
    /// The ARN of a resource.
    #[must_use]
    pub fn arn(&self, resource: Resource<'_>) -> String {
        format!("arn:aws:ses:{}:{}:{resource}", self.region, self.account_id)
    }

    /// The resource an ARN of this account and region names.
    #[must_use]
    pub fn resource<'a>(&self, arn: &'a str) -> Option<Resource<'a>> {
        let rest = arn
            .strip_prefix("arn:aws:ses:")?
            .strip_prefix(self.region.as_str())?
            .strip_prefix(':')?;
        let (kind, name) = rest
            .strip_prefix(self.account_id.as_str())?
            .strip_prefix(':')?
            .split_once('/')?;
        match kind {
            _ if name.is_empty() => None,
            "configuration-set" => Some(Resource::ConfigurationSet(name)),
            "identity" => Some(Resource::Identity(name)),
            "template" => Some(Resource::Template(name)),
            "tenant" => name.split_once('/').map(|(name, id)| Resource::Tenant { name, id }),
            _ => None,
        }
    }

    /// The resource, or the refusal a client sees.
    pub(super) fn parse<'a>(&self, arn: &'a str) -> Result<Resource<'a>, ApiError> {
        self.resource(arn).ok_or_else(|| {
            ApiError::bad_request(format!(
                "{arn} is not the ARN of a resource of account {} in {}.",
                self.account_id, self.region
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::simulator::wire::Code;

    fn owner() -> Owner {
        Owner {
            region: "us-east-1".to_owned(),
            account_id: "111122223333".to_owned(),
        }
    }

    #[test]
    fn every_resource_is_found_again_by_its_arn() {
        for resource in [
            Resource::ConfigurationSet("a"),
            Resource::Identity("someone@example.com"),
            Resource::Template("t"),
            Resource::Tenant {
                name: "team",
                id: "tn-1",
            },
        ] {
            assert_eq!(owner().resource(&owner().arn(resource)), Some(resource));
        }
    }

    #[test]
    fn an_arn_of_another_region_or_account_or_kind_is_refused() {
        for arn in [
            "arn:aws:ses:eu-west-1:111122223333:identity/example.com",
            "arn:aws:ses:us-east-1:999999999999:identity/example.com",
            "arn:aws:ses:us-east-1:111122223333:contact-list/x",
            "arn:aws:ses:us-east-1:111122223333:tenant/no-id",
            "arn:aws:ses:us-east-1:111122223333:identity/",
        ] {
            assert_eq!(owner().parse(arn).unwrap_err().code, Code::BadRequest, "{arn}");
        }
    }

    #[test]
    fn names_are_at_most_64_of_the_allowed_characters() {
        assert_eq!(check_name("ConfigurationSetName", &"a".repeat(64)), Ok(()));
        for name in ["", "a b", "a.b", "ä", &"a".repeat(65)] {
            assert_eq!(
                check_name("ConfigurationSetName", name).unwrap_err().code,
                Code::BadRequest,
                "{name}"
            );
        }
    }
}
