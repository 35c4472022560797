//! What a namespace's MailSuppressions say together: whom its sidecars refuse.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Resource, ResourceExt};

use super::{context::Context, error::Error, objects::SUPPRESSION_LIST};
use crate::{
    api::{MailSuppression, MailSuppressionSpec, Parsed},
    clock,
    policy::{
        suppressions::{ENTRIES_MAX, Entries},
        terms::SpecError,
    },
};

/// The data of a namespace's Secret `mail-suppression-list`.
pub(super) type List = BTreeMap<String, ByteString>;

/// Reads the Secret `mail-suppression-list`; one that is not there is empty.
///
/// # Errors
/// What the API server refused.
pub(super) async fn list(context: &Context, namespace: &str) -> Result<List, Error> {
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let secret = secrets.get_opt(SUPPRESSION_LIST).await?;
    Ok(secret.and_then(|secret| secret.data).unwrap_or_default())
}

/// The entries of a spec and of the Secret's key that it names.
///
/// # Errors
/// Every entry that cannot be read, by its place, and a key that is not there.
pub(super) fn read(spec: &MailSuppressionSpec, list: &List) -> Result<Entries, Vec<SpecError>> {
    let Some(from) = &spec.from_secret else {
        return Entries::read(spec, None);
    };
    let error = |message: String| {
        let field = "spec.fromSecret.key".to_owned();
        Err(vec![SpecError { field, message }])
    };
    match list.get(&from.key).map(|bytes| std::str::from_utf8(&bytes.0)) {
        Some(Ok(lines)) => Entries::read(spec, Some(lines)),
        Some(Err(_)) => error(format!("key `{}` of Secret {SUPPRESSION_LIST} is not text", from.key)),
        None => error(format!(
            "there is no Secret {SUPPRESSION_LIST} with key `{}` in this namespace",
            from.key
        )),
    }
}

/// What a namespace's MailSuppressions say together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suppressed {
    /// Every entry in force of those that can be read and fit.
    pub entries: Entries,
    /// Those of them.
    gathered: BTreeSet<String>,
    /// Whether one cannot be read: what was published of it stays.
    some_unread: bool,
    /// Those whose entries do not fit beside the others': what was published of them stays, too.
    pub left_out: BTreeSet<String>,
    /// Whether something was published of those that cannot be read or do not fit.
    pub lacks_published: bool,
}

impl Suppressed {
    /// Whether these are all entries that are meant.
    pub fn is_whole(&self) -> bool {
        !self.some_unread && self.left_out.is_empty()
    }

    /// None of them could be published.
    pub fn leave_out_all(&mut self) {
        self.left_out.append(&mut self.gathered);
    }

    /// Gathers the entries of MailSuppressions, oldest first, as far as `most` of them fit.
    fn gather(suppressions: &[Arc<Parsed<MailSuppression>>], list: &List, most: usize, now: Timestamp) -> Self {
        let mut oldest_first: Vec<_> = suppressions.iter().collect();
        oldest_first.sort_by_key(|one| (one.meta().creation_timestamp.clone(), one.name_any()));
        let mut all = Self::default();
        for suppression in oldest_first {
            let Some(Ok(entries)) = suppression.readable().map(|object| read(&object.spec, list)) else {
                all.some_unread = true;
                all.lacks_published |= was_published(suppression);
                continue;
            };
            let entries = entries.at(now);
            if all.entries.len() + entries.lacking_in(&all.entries) > most {
                all.left_out.insert(suppression.name_any());
                all.lacks_published |= was_published(suppression);
            } else {
                all.gathered.insert(suppression.name_any());
                all.entries.extend(entries);
            }
        }
        all
    }
}

/// Whether entries of it were in force when its status was written last.
fn was_published(suppression: &Parsed<MailSuppression>) -> bool {
    let entries = match suppression {
        Parsed::Readable(object) => object.status.as_ref().and_then(|status| status.entries).map(u64::from),
        Parsed::Unreadable(unreadable) => unreadable.status.get("entries").and_then(serde_json::Value::as_u64),
    };
    entries.is_some_and(|entries| entries > 0)
}

/// What the namespace's MailSuppressions say at this moment.
///
/// # Errors
/// When the API server does not show the Secret that one of them names.
pub(super) async fn of_namespace(context: &Context, namespace: &str) -> Result<Suppressed, Error> {
    let suppressions = context.world.suppressions.within(namespace);
    let names_a_key = |suppression: &Arc<Parsed<MailSuppression>>| {
        suppression
            .readable()
            .is_some_and(|object| object.spec.from_secret.is_some())
    };
    let list = if suppressions.iter().any(names_a_key) {
        list(context, namespace).await?
    } else {
        List::default()
    };
    Ok(Suppressed::gather(&suppressions, &list, ENTRIES_MAX, clock::now()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn suppression(name: &str, second: u32, spec: &Value) -> Arc<Parsed<MailSuppression>> {
        let created = format!("2027-01-01T00:00:{second:02}Z");
        let object = json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailSuppression",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": created}, "spec": spec,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn addresses(names: &[&str]) -> Value {
        let entries: Vec<Value> = names
            .iter()
            .map(|name| json!({"address": format!("{name}@example.com")}))
            .collect();
        json!({ "entries": entries })
    }

    fn gather(suppressions: &[Arc<Parsed<MailSuppression>>], most: usize) -> (usize, bool, Vec<String>) {
        let all = Suppressed::gather(suppressions, &List::default(), most, Timestamp::UNIX_EPOCH);
        let whole = all.is_whole();
        (all.entries.len(), whole, all.left_out.into_iter().collect())
    }

    #[test]
    fn the_youngest_whose_entries_do_not_fit_is_left_out_and_named() {
        let all = [
            suppression("a", 2, &addresses(&["one", "two"])),
            suppression("b", 1, &addresses(&["one", "three"])),
            suppression("c", 3, &addresses(&["three"])),
        ];
        assert_eq!(gather(&all, 3), (3, true, vec![]));
        assert_eq!(gather(&all, 2), (2, false, vec!["a".to_owned()]));
    }

    #[test]
    fn one_that_cannot_be_read_keeps_no_other_from_being_read() {
        let without_secret = suppression("a", 1, &json!({"fromSecret": {"key": "list"}}));
        let unreadable = suppression("b", 2, &json!({"entries": 3}));
        for broken in [without_secret, unreadable] {
            let all = [broken, suppression("c", 3, &addresses(&["one"]))];
            assert_eq!(gather(&all, 3), (1, false, vec![]));
        }
    }

    #[test]
    fn what_was_published_of_one_that_cannot_be_read_now_is_known_to_lack() {
        let unread = |status: Value| {
            let object = json!({
                "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailSuppression",
                "metadata": {"name": "a", "namespace": "shop"}, "spec": {"entries": 3}, "status": status,
            });
            let all = [Arc::new(serde_json::from_value(object).unwrap())];
            Suppressed::gather(&all, &List::default(), 3, Timestamp::UNIX_EPOCH).lacks_published
        };
        assert!(unread(json!({"entries": 2})));
        assert!(!unread(json!({"entries": 0})) && !unread(Value::Null));
    }

    #[test]
    fn lines_are_read_from_the_key_that_the_spec_names() {
        let spec: MailSuppressionSpec = serde_json::from_value(json!({"fromSecret": {"key": "list"}})).unwrap();
        let list = |bytes: &[u8]| List::from([("list".to_owned(), ByteString(bytes.to_vec()))]);
        assert_eq!(read(&spec, &list(b"one@example.com\n")).unwrap().len(), 1);
        for (list, said) in [(list(b"\xff"), "is not text"), (List::default(), "there is no Secret")] {
            let errors = read(&spec, &list).unwrap_err();
            assert!(errors[0].to_string().contains(said), "{errors:?}");
        }
    }
}
