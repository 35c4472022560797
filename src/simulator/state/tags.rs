//! Tags of configuration sets, tenants, identities and templates.

use std::collections::{BTreeMap, BTreeSet};

use super::Account;
use super::names::Resource;
use super::shapes::Tag;
use crate::simulator::wire::ApiError;

/// Tags a resource may have at most (model text of `TagResource`).
const MAX_TAGS: usize = 50;

/// A resource's tags by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Tags as a list in order of their keys.
    #[must_use]
    pub fn list(&self) -> Vec<Tag> {
        self.0
            .iter()
            .map(|(key, value)| Tag {
                key: key.clone(),
                value: value.clone(),
            })
            .collect()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The tags of a creation.
    pub fn new(tags: Vec<Tag>) -> Result<Self, ApiError> {
        Self::default().with(tags)
    }

    fn with(&self, added: Vec<Tag>) -> Result<Self, ApiError> {
        let mut tags = self.clone();
        let mut keys = BTreeSet::new();
        for Tag { key, value } in added {
            check(&key, &value)?;
            if !keys.insert(key.clone()) {
                return Err(ApiError::bad_request(format!("Tag key {key} is given twice.")));
            }
            tags.0.insert(key, value);
        }
        if tags.0.len() > MAX_TAGS {
            return Err(ApiError::bad_request(format!(
                "A resource has at most {MAX_TAGS} tags, this would make {}.",
                tags.0.len()
            )));
        }
        Ok(tags)
    }
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if !(1..=128).contains(&key.chars().count()) {
        return Err(ApiError::bad_request("A tag's key must have 1 to 128 characters."));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(ApiError::bad_request(format!(
            "Tag key {key} begins with aws:, which is reserved."
        )));
    }
    if value.chars().count() > 256 {
        return Err(ApiError::bad_request(format!(
            "The value of tag {key} has more than 256 characters."
        )));
    }
    Ok(())
}

impl Account {
    /// `TagResource`.
    pub fn tag(&mut self, arn: &str, added: Vec<Tag>) -> Result<(), ApiError> {
        let tags = self.tags_mut(arn)?;
        *tags = tags.with(added)?;
        Ok(())
    }

    /// `UntagResource`; a key that is not there is no error.
    pub fn untag<'a>(&mut self, arn: &str, keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
        let tags = self.tags_mut(arn)?;
        for key in keys {
            tags.0.remove(key);
        }
        Ok(())
    }

    /// `ListTagsForResource`.
    pub fn tags(&mut self, arn: &str) -> Result<Vec<Tag>, ApiError> {
        Ok(self.tags_mut(arn)?.list())
    }

    fn tags_mut(&mut self, arn: &str) -> Result<&mut Tags, ApiError> {
        let missing = || ApiError::not_found(format!("Resource {arn} does not exist."));
        match self.owner.parse(arn)? {
            Resource::ConfigurationSet(name) => self.sets.get_mut(name).map(|set| &mut set.tags),
            Resource::Identity(name) => self.identities.get_mut(name).map(|identity| &mut identity.tags),
            Resource::Tenant { name, id } => self
                .tenants
                .get_mut(name)
                .filter(|tenant| tenant.id == id)
                .map(|tenant| &mut tenant.tags),
            Resource::Template(name) => self.templates.get_mut(name).map(|template| &mut template.tags),
        }
        .ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::SetOptions;
    use super::super::fixture::account;
    use super::*;
    use crate::simulator::wire::Code;

    const SET: &str = "arn:aws:ses:us-east-1:111122223333:configuration-set/team";

    fn tag(key: &str, value: &str) -> Tag {
        Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    fn with_set() -> Account {
        let mut account = account();
        account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap();
        account
    }

    #[test]
    fn tags_are_added_replaced_and_removed() {
        let mut account = with_set();
        account.tag(SET, vec![tag("a", "1"), tag("b", "1")]).unwrap();
        account.tag(SET, vec![tag("b", "2")]).unwrap();
        account.untag(SET, ["a", "none"].into_iter()).unwrap();
        assert_eq!(account.tags(SET).unwrap(), [tag("b", "2")]);
    }

    #[test]
    fn the_fifty_first_tag_is_refused_and_changes_nothing() {
        let mut account = with_set();
        account
            .tag(SET, (0..50).map(|number| tag(&number.to_string(), "")).collect())
            .unwrap();
        assert_eq!(
            account.tag(SET, vec![tag("more", "")]).unwrap_err().code,
            Code::BadRequest
        );
        assert_eq!(account.tags(SET).unwrap().len(), 50);
    }

    #[test]
    fn keys_and_values_have_their_limits() {
        for bad in [
            tag("", ""),
            tag(&"k".repeat(129), ""),
            tag("k", &"v".repeat(257)),
            tag("aws:k", ""),
        ] {
            assert_eq!(
                Tags::new(vec![bad.clone()]).unwrap_err().code,
                Code::BadRequest,
                "{bad:?}"
            );
        }
        assert_eq!(
            Tags::new(vec![tag("k", ""), tag("k", "")]).unwrap_err().code,
            Code::BadRequest,
            "given twice"
        );
    }

    #[test]
    fn a_resource_that_is_not_there_has_no_tags() {
        let missing = "arn:aws:ses:us-east-1:111122223333:configuration-set/none";
        assert_eq!(with_set().tags(missing).unwrap_err().code, Code::NotFound);
    }
}
