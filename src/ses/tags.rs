//! The tags that say whose a thing in SES is. What does not carry them is never changed.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::NOBODY;

/// The tags of a resource in SES, by key.
pub type Tags = BTreeMap<String, String>;

/// Says that this operator manages the resource.
pub const MANAGED_BY: &str = "managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGER: &str = "mail-policy-operator";
/// The cluster id of the `SendingAccount`.
pub const CLUSTER: &str = "mailpolicy.dev/cluster";
/// The namespace of the object that the resource was made for; empty for an object of the cluster.
pub const NAMESPACE: &str = "mailpolicy.dev/namespace";
/// The name of the object that the resource was made for.
pub const NAME: &str = "mailpolicy.dev/name";
/// The UID of the object that the resource was made for.
pub const UID: &str = "mailpolicy.dev/uid";

/// The Kubernetes object that a resource in SES belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The cluster id of the `SendingAccount`: which cluster's object it is.
    pub cluster_id: String,
    /// The object's namespace; empty for an object of the cluster.
    pub namespace: String,
    /// The object's name; of a tenant the namespace's own.
    pub name: String,
    /// The object's UID, which a rebuilt cluster gives anew.
    pub uid: String,
}

impl Owner {
    /// The tags that a resource of this owner carries.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let Self {
            cluster_id,
            namespace,
            name,
            uid,
        } = self;
        [
            (MANAGED_BY, MANAGER),
            (CLUSTER, cluster_id),
            (NAMESPACE, namespace),
            (NAME, name),
            (UID, uid),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

/// Whose a resource in SES is, seen from one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It carries this owner's tags.
    Ours,
    /// Same cluster, namespace and name, another UID: made before the object was made anew, for instance before the
    /// cluster was rebuilt. It is taken back without help.
    Readopted,
    /// Another cluster's, by its id.
    OtherCluster(String),
    /// This cluster's, but of another object: a name made by hand, or two that met.
    OtherObject,
    /// It lacks our tags: somebody else made it.
    Unmarked,
}

impl Ownership {
    /// Reads the owner off a resource's tags.
    #[must_use]
    pub fn of(tags: &Tags, owner: &Owner) -> Self {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let Some(cluster) = tag(CLUSTER).filter(|_| tag(MANAGED_BY) == Some(MANAGER)) else {
            return Self::Unmarked;
        };
        if cluster != owner.cluster_id {
            Self::OtherCluster(cluster.to_owned())
        } else if tag(NAMESPACE) != Some(&owner.namespace) || tag(NAME) != Some(&owner.name) {
            Self::OtherObject
        } else if tag(UID) == Some(&owner.uid) {
            Self::Ours
        } else {
            Self::Readopted
        }
    }

    /// The word that consents to taking the resource over: the cluster id in its tags, or "nobody"; `None` where none is
    /// needed.
    #[must_use]
    pub fn consent_word<'a>(&'a self, owner: &'a Owner) -> Option<&'a str> {
        match self {
            Self::Ours | Self::Readopted => None,
            Self::OtherCluster(id) => Some(id),
            Self::OtherObject => Some(&owner.cluster_id),
            Self::Unmarked => Some(NOBODY),
        }
    }

    /// Whether the resource may be changed without anybody's consent.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self {
            Self::Ours | Self::Readopted => true,
            Self::OtherCluster(_) | Self::OtherObject | Self::Unmarked => false,
        }
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.write_str("it is ours"),
            Self::Readopted => f.write_str("it was made for an earlier object of this name"),
            Self::OtherCluster(id) => write!(f, "it belongs to the cluster {id:?}"),
            Self::OtherObject => f.write_str("it belongs to another object of this cluster"),
            Self::Unmarked => f.write_str("it does not carry this operator's tags"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let [cluster_id, namespace, name, uid] = ["prod", "shop", "default", "u-1"].map(str::to_owned);
        Owner {
            cluster_id,
            namespace,
            name,
            uid,
        }
    }

    #[test]
    fn what_carries_the_owners_tags_is_ours_whatever_else_it_carries() {
        let mut tags = owner().tags();
        tags.insert("cost-centre".to_owned(), "42".to_owned());
        assert_eq!(Ownership::of(&tags, &owner()), Ownership::Ours);
    }

    #[test]
    fn the_same_object_with_another_uid_is_readopted() {
        let rebuilt = Owner {
            uid: "u-2".to_owned(),
            ..owner()
        };
        assert_eq!(Ownership::of(&owner().tags(), &rebuilt), Ownership::Readopted);
    }

    #[test]
    fn another_clusters_is_told_by_its_id_even_where_namespace_and_name_agree() {
        let theirs = Owner {
            cluster_id: "staging".to_owned(),
            ..owner()
        };
        assert_eq!(
            Ownership::of(&theirs.tags(), &owner()),
            Ownership::OtherCluster("staging".to_owned())
        );
    }

    #[test]
    fn another_object_of_the_same_cluster_is_not_ours() {
        let theirs = Owner {
            name: "bulk".to_owned(),
            ..owner()
        };
        assert_eq!(Ownership::of(&theirs.tags(), &owner()), Ownership::OtherObject);
    }

    #[test]
    fn without_the_managers_tag_it_is_unmarked() {
        let mut tags = owner().tags();
        tags.remove(MANAGED_BY);
        assert_eq!(Ownership::of(&tags, &owner()), Ownership::Unmarked);
        assert_eq!(Ownership::of(&Tags::new(), &owner()), Ownership::Unmarked);
    }

    #[test]
    fn only_what_is_ours_or_was_may_change() {
        assert!(Ownership::Ours.may_change() && Ownership::Readopted.may_change());
        for theirs in [
            Ownership::OtherCluster("x".to_owned()),
            Ownership::OtherObject,
            Ownership::Unmarked,
        ] {
            assert!(!theirs.may_change());
        }
    }
}
