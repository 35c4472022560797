//! Reading objects one of which may be unreadable.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::address::redact;

/// An object of kind `K`, or what could be read of one that is not (written under another version of its definition,
/// say), so that one unreadable object does not end the watch of all others.
///
/// Unlike `kube::core::DeserializeGuard` it keeps the unreadable `spec`: a guardrail whose selector can still be read
/// closes the namespaces which it selects, and no others.
#[derive(Clone, Debug)]
pub enum Parsed<K> {
    /// The object.
    Readable(K),
    /// What is known of an object that cannot be read.
    Unreadable(Box<Unreadable>),
}

/// An object that its own kind cannot read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its `spec` as it is stored.
    pub spec: Value,
    /// Its `status` as it is stored.
    pub status: Value,
    /// What could not be read, and where; without the local part of any address.
    pub error: String,
}

impl<K> Parsed<K> {
    /// The object, where it can be read.
    pub fn readable(&self) -> Option<&K> {
        match self {
            Self::Readable(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Parsed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Envelope {
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        // As text, of which only what is read becomes values; the API server's answers are lists and events whose parts
        // serde hands on as they are.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let lean = without_managed_fields(text.get());
        let text = lean.as_deref().unwrap_or_else(|| text.get());
        if let Ok(object) = serde_json::from_str(text) {
            return Ok(Self::Readable(object));
        }
        // Few objects are looked at twice; what is wrong is then told without a place in a text that nobody has seen.
        let value: Value = serde_json::from_str(text).map_err(serde::de::Error::custom)?;
        match K::deserialize(&value) {
            Ok(object) => Ok(Self::Readable(object)),
            Err(error) => {
                let Envelope { metadata, spec, status } =
                    Envelope::deserialize(value).map_err(serde::de::Error::custom)?;
                Ok(Self::Unreadable(Box::new(Unreadable {
                    metadata,
                    spec,
                    status,
                    error: redact(&error.to_string()),
                })))
            }
        }
    }
}

/// The object without `metadata.managedFields`, which nobody here reads and which is often its largest and always its
/// most nested part; `None` where it has none.
fn without_managed_fields(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
    }
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow, rename = "managedFields")]
        managed_fields: &'a RawValue,
    }
    let object: Object<'_> = serde_json::from_str(text).ok()?;
    let fields = object.metadata.managed_fields.get();
    // What was read is a part of the text.
    let begin = fields.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let (before, after) = (text.get(..begin)?, text.get(begin + fields.len()..)?);
    Some([before, "null", after].concat())
}

impl<K: Resource> Resource for Parsed<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{MailGuardrail, Mode};

    #[test]
    fn a_readable_object_is_the_object() {
        let parsed: Parsed<MailGuardrail> = serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailGuardrail", "metadata": {"name": "a"},
            "spec": {"maxMode": "Capture"},
        }))
        .unwrap();
        assert_eq!(parsed.readable().unwrap().spec.max_mode, Some(Mode::Capture));
    }

    #[test]
    fn who_wrote_which_field_is_not_kept() {
        let parsed: Parsed<MailGuardrail> = serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailGuardrail",
            "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}], "labels": {"team": "shop"}},
            "spec": {"maxMode": "Capture"},
        }))
        .unwrap();
        let meta = parsed.readable().unwrap().meta();
        assert_eq!((meta.name.as_deref(), &meta.managed_fields), (Some("a"), &None));
        assert_eq!(meta.labels.as_ref().unwrap()["team"], "shop");
    }

    #[test]
    fn an_event_of_a_watch_is_read() {
        let text = r#"{"type":"ADDED","object":{"apiVersion":"mailpolicy.dev/v1alpha1","kind":"MailGuardrail",
            "metadata":{"name":"a"},"spec":{"maxMode":"Capture"}}}"#;
        let event: kube::core::WatchEvent<Parsed<MailGuardrail>> = serde_json::from_str(text).unwrap();
        assert!(matches!(event, kube::core::WatchEvent::Added(Parsed::Readable(_))));
    }

    #[test]
    fn an_unreadable_object_keeps_its_name_and_spec_and_says_what_is_wrong() {
        let parsed: Parsed<MailGuardrail> = serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailGuardrail", "metadata": {"name": "a"},
            "spec": {"namespaceSelector": {}, "maxMode": "Everything"},
        }))
        .unwrap();
        let Parsed::Unreadable(unreadable) = &parsed else {
            panic!("read {parsed:?}")
        };
        assert_eq!(parsed.meta().name.as_deref(), Some("a"));
        assert_eq!(unreadable.spec["namespaceSelector"], json!({}));
        assert!(unreadable.error.contains("Everything"), "{}", unreadable.error);
    }

    #[test]
    fn what_is_wrong_is_told_without_addresses() {
        let parsed: Parsed<MailGuardrail> = serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailGuardrail", "metadata": {"name": "a"},
            "spec": {"senders": "jo.doe@example.com"},
        }))
        .unwrap();
        let Parsed::Unreadable(unreadable) = &parsed else {
            panic!("read {parsed:?}")
        };
        assert!(unreadable.error.contains("@example.com"), "{}", unreadable.error);
        assert!(!unreadable.error.contains("jo.doe"), "{}", unreadable.error);
    }
}
