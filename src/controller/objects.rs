//! The objects that the operator keeps in namespaces, and the digest by which it knows them again.

use std::{collections::BTreeMap, fmt};

use data_encoding::HEXLOWER;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};

use super::world::mark;
use crate::{
    api::MANAGER,
    policy::suppressions::{Entries, HashKey},
};

/// The ConfigMap with the sidecar's configuration.
pub const SIDECAR_CONFIG: &str = "mail-sidecar";
/// Its key.
pub const SIDECAR_KEY: &str = "sidecar.yaml";
/// The key with the specs of its policies that were accepted last, which no sidecar reads.
pub const LAST_ACCEPTED_KEY: &str = "last-accepted.yaml";
/// The ConfigMap with variables for workloads.
pub const ENV_CONFIG: &str = "mail-env";
/// The Secret with hashes of suppressed addresses and domains.
pub const SUPPRESSION_HASHES: &str = "mail-suppressions";
/// The user's Secret with addresses and domains to suppress.
pub const SUPPRESSION_LIST: &str = "mail-suppression-list";
/// The Secret with the addresses that the operator put on SES's lists, so that it can take them off again.
pub const SUPPRESSION_RECORD: &str = "mail-suppression-record";

/// Annotation: the guardrails that hold in the namespace, so that one which becomes unreadable still closes it.
pub const GUARDRAILS: &str = "mailpolicy.dev/guardrails";
/// Annotation: the revision of the hashes.
pub const REVISION: &str = "mailpolicy.dev/revision";

/// Where a workload finds the sidecar.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("AWS_ENDPOINT_URL_SES", "http://127.0.0.1:2773"),
    ("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:2773"),
    ("SMTP_HOST", "127.0.0.1"),
    ("SMTP_PORT", "2525"),
];

fn meta(namespace: &str, name: &str, annotations: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([(
            "app.kubernetes.io/managed-by".to_owned(),
            MANAGER.to_owned(),
        )])),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

/// The ConfigMap with the sidecar's configuration, and beside it what the operator must know of it later.
#[must_use]
pub fn sidecar_config<'a>(
    namespace: &str,
    text: String,
    last_accepted: Option<String>,
    guardrails: impl IntoIterator<Item = &'a String>,
) -> ConfigMap {
    let names: Vec<&str> = guardrails.into_iter().map(String::as_str).collect();
    let annotations = BTreeMap::from([(GUARDRAILS.to_owned(), names.join(","))]);
    ConfigMap {
        metadata: meta(namespace, SIDECAR_CONFIG, annotations),
        data: Some(
            [(SIDECAR_KEY, Some(text)), (LAST_ACCEPTED_KEY, last_accepted)]
                .into_iter()
                .filter_map(|(key, text)| Some((key.to_owned(), text?)))
                .collect(),
        ),
        ..ConfigMap::default()
    }
}

/// The ConfigMap with variables for workloads.
#[must_use]
pub fn env_config(namespace: &str, region: Option<&str>) -> ConfigMap {
    let region = region.map(|region| ("AWS_REGION", region));
    let data = ENVIRONMENT
        .into_iter()
        .chain(region)
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    ConfigMap {
        metadata: meta(namespace, ENV_CONFIG, BTreeMap::new()),
        data: Some(data.collect()),
        ..ConfigMap::default()
    }
}

/// The most octets of hashes: with its key and revision they fit a Secret.
const HASHES_MAX: usize = 1024 * 1024 - 4096;

/// The Secret with the hashes of these entries and of those that stand in `kept`, and its revision. `None` where they do not
/// fit together, or those that stand cannot be read with this key: then some would be lost.
#[must_use]
pub fn suppression_hashes(
    namespace: &str,
    entries: &Entries,
    key: &HashKey,
    kept: Option<&Secret>,
) -> Option<(Secret, String)> {
    let mut all = match kept {
        Some(kept) => hashes_in(kept, key)?,
        None => BTreeMap::new(),
    };
    let own = entries.iter();
    all.extend(own.map(|(subject, entry)| (key.hash(subject), format!("{:?}", entry.reason))));
    let lines: Vec<String> = all.iter().map(|(hash, reason)| format!("{hash} {reason}\n")).collect();
    let hashes = lines.concat();
    if hashes.len() > HASHES_MAX {
        return None;
    }
    let mut revision = HEXLOWER.encode(
        &Sha256::new()
            .chain_update(key.as_bytes())
            .chain_update(&hashes)
            .finalize(),
    );
    revision.truncate(16);
    let data = [
        ("hashes", hashes.into_bytes()),
        ("key", key.as_bytes().to_vec()),
        ("revision", revision.clone().into_bytes()),
    ];
    let secret = Secret {
        metadata: meta(
            namespace,
            SUPPRESSION_HASHES,
            BTreeMap::from([(REVISION.to_owned(), revision.clone())]),
        ),
        data: Some(
            data.into_iter()
                .map(|(name, value)| (name.to_owned(), ByteString(value)))
                .collect(),
        ),
        ..Secret::default()
    };
    Some((secret, revision))
}

/// The hashes that stand in a Secret, with their reasons; `None` where they were made with another key, or are no text.
fn hashes_in(secret: &Secret, key: &HashKey) -> Option<BTreeMap<String, String>> {
    let value = |name: &str| secret.data.as_ref()?.get(name).map(|value| value.0.as_slice());
    let text = value("hashes").filter(|_| value("key") == Some(key.as_bytes()))?;
    let lines = std::str::from_utf8(text).ok()?.lines();
    lines
        .map(|line| {
            line.split_once(' ')
                .map(|(hash, reason)| (hash.to_owned(), reason.to_owned()))
        })
        .collect()
}

/// An object whose contents can be digested.
pub trait Contents: Resource {
    /// Feeds names and values.
    fn feed(&self, hasher: &mut Sha256);
}

impl Contents for ConfigMap {
    fn feed(&self, hasher: &mut Sha256) {
        feed_immutable(hasher, self.immutable);
        let data = self.data.iter().flatten().map(|(name, value)| (name, value.as_bytes()));
        let binary = self
            .binary_data
            .iter()
            .flatten()
            .map(|(name, value)| (name, value.0.as_slice()));
        data.chain(binary).for_each(|(name, value)| feed(hasher, name, value));
    }
}

impl Contents for Secret {
    fn feed(&self, hasher: &mut Sha256) {
        feed_immutable(hasher, self.immutable);
        self.data
            .iter()
            .flatten()
            .for_each(|(name, value)| feed(hasher, name, &value.0));
    }
}

/// An object that somebody made immutable is another one: it must be made anew before it can change again.
fn feed_immutable(hasher: &mut Sha256, immutable: Option<bool>) {
    if immutable == Some(true) {
        feed(hasher, "immutable", b"true");
    }
}

fn feed(hasher: &mut Sha256, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), value] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
}

/// A digest of an object's contents and of our annotations. So long that nobody finds other contents with the same, and no
/// longer: thousands are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDigest([u8; 16]);

impl ContentDigest {
    /// The digest of the object.
    #[must_use]
    pub fn of(object: &impl Contents) -> Self {
        let mut hasher = Sha256::new();
        object.feed(&mut hasher);
        for name in [GUARDRAILS, REVISION] {
            feed(&mut hasher, name, annotation(object, name).as_bytes());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize()[..16]);
        Self(digest)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

fn annotation<'a>(object: &'a impl Resource, name: &str) -> &'a str {
    object.annotations().get(name).map(String::as_str).unwrap_or_default()
}

/// All that is kept of an object whose contents nobody reads from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The digest.
    pub digest: ContentDigest,
    /// The guardrails that it names, separated by commas.
    pub guardrails: Box<str>,
    /// The revision that it names.
    pub revision: Box<str>,
    /// A mark of its uid: one that was made anew is another.
    uid: u64,
}

impl Kept {
    /// What is kept of the object.
    #[must_use]
    pub fn of(object: &impl Contents) -> Self {
        Self {
            digest: ContentDigest::of(object),
            guardrails: annotation(object, GUARDRAILS).into(),
            revision: annotation(object, REVISION).into(),
            uid: mark(&object.meta().uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_known_again_by_its_digest_and_any_change_changes_it() {
        let config = || sidecar_config("shop", "version: 1\n".to_owned(), None, &["b".to_owned()]);
        let written = ContentDigest::of(&config());
        let kept = Kept::of(&config());
        assert_eq!((kept.digest, &*kept.guardrails), (written, "b"));

        let mut edited = config();
        edited
            .data
            .get_or_insert_default()
            .insert("more".to_owned(), "x".to_owned());
        let mut unlabelled = config();
        unlabelled.annotations_mut().remove(GUARDRAILS);
        for changed in [edited, unlabelled] {
            assert_ne!(ContentDigest::of(&changed), written);
        }
    }

    #[test]
    fn the_revision_of_hashes_changes_with_their_contents_only() {
        let key = HashKey::for_namespace(b"k", "shop");
        let entries = |address: &str| {
            let spec = serde_json::from_value(serde_json::json!({"entries": [{"address": address}]})).unwrap();
            Entries::read(&spec, None).unwrap()
        };
        let revision = |entries: &Entries| suppression_hashes("shop", entries, &key, None).unwrap().1;
        assert_eq!(revision(&entries("a@example.com")), revision(&entries("a@example.com")));
        assert_ne!(revision(&entries("a@example.com")), revision(&entries("b@example.com")));
        let (secret, _) = suppression_hashes("shop", &entries("a@example.com"), &key, None).unwrap();
        assert!(!format!("{:?}", secret.data.unwrap()["hashes"]).contains("example"));
    }

    #[test]
    fn hashes_that_stand_are_kept_beside_new_ones_and_none_is_made_that_would_lose_some() {
        let key = |master: &[u8]| HashKey::for_namespace(master, "shop");
        let entries = |address: &str| {
            let spec = serde_json::from_value(serde_json::json!({"entries": [{"address": address}]})).unwrap();
            Entries::read(&spec, None).unwrap()
        };
        let (kept, _) = suppression_hashes("shop", &entries("a@example.com"), &key(b"k"), None).unwrap();
        let lines = |entries: &Entries, kept: &Secret, master: &[u8]| {
            let (secret, _) = suppression_hashes("shop", entries, &key(master), Some(kept))?;
            let hashes = String::from_utf8(secret.data?["hashes"].0.clone()).unwrap();
            Some(hashes.lines().count())
        };
        assert_eq!(lines(&entries("b@example.com"), &kept, b"k"), Some(2));
        assert_eq!(lines(&entries("a@example.com"), &kept, b"k"), Some(1));
        assert_eq!(lines(&entries("b@example.com"), &kept, b"other"), None);
        let mut full = kept.clone();
        let many: Vec<String> = (0..HASHES_MAX / 40)
            .map(|number| format!("{number:032x} Bounce\n"))
            .collect();
        full.data
            .as_mut()
            .unwrap()
            .insert("hashes".to_owned(), ByteString(many.concat().into_bytes()));
        assert_eq!(lines(&entries("b@example.com"), &full, b"k"), None);
        let mut emptied = kept;
        emptied.data = None;
        assert_eq!(lines(&entries("b@example.com"), &emptied, b"k"), None);
    }
}
