//! The records of a namespace's MailSuppressions: one key each in Secret `mail-suppression-record`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use super::{
    context::Context,
    error::{Error, is_not_found, is_terminating},
    objects::SUPPRESSION_RECORD,
    record::{Place, Record},
    world::Key,
};
use crate::api::MANAGER;

/// Keeps the Secret while anything stands by it.
const FINALIZER: &str = "mailpolicy.dev/ses";
/// Octets that a Secret's values may have together.
const SECRET_MAX: usize = 1024 * 1024;

/// Reads the record of one MailSuppression; one that was never written is empty.
///
/// # Errors
/// When the API server refuses, or the record cannot be read: then nothing is known and nothing may be changed.
pub async fn read(context: &Context, key: &Key) -> Result<Record, Error> {
    let mut texts = read_all(context, &key.namespace).await?;
    texts
        .remove(&key.name)
        .map_or_else(|| Ok(Record::default()), |text| parse(context, key, &text))
}

async fn read_all(context: &Context, namespace: &str) -> Result<BTreeMap<String, ByteString>, Error> {
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let secret = secrets.get_opt(SUPPRESSION_RECORD).await?;
    Ok(secret.and_then(|secret| secret.data).unwrap_or_default())
}

fn parse(context: &Context, key: &Key, ByteString(bytes): &ByteString) -> Result<Record, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::RecordUnreadable)?;
    Record::parse(text, &context.publisher.record_key(key)).map_err(|_| Error::RecordUnreadable)
}

/// What other MailSuppressions have put on an account's lists.
#[derive(Default)]
pub struct Claims {
    /// The entries that they want, and whether a call of ours made each.
    pub listed: BTreeMap<Place, bool>,
    /// One whose record cannot be read, so that it may want more.
    pub unreadable: Option<Key>,
}

/// What the other MailSuppressions of these namespaces have put on the account's lists: it stays although `key` lets go
/// of it.
///
/// # Errors
/// When the API server refuses.
pub async fn claims(
    context: &Context,
    key: &Key,
    account: &str,
    namespaces: &BTreeSet<String>,
) -> Result<Claims, Error> {
    let mut claims = Claims::default();
    for namespace in namespaces {
        for (name, text) in read_all(context, namespace).await? {
            let namespace = namespace.clone();
            let other = Key { namespace, name };
            // What no MailSuppression stands for any more, nobody will let go of.
            if other == *key || context.world.suppressions.get(&other).is_none() {
                continue;
            }
            match parse(context, &other, &text) {
                Ok(record) if record.account.as_deref() == Some(account) => {
                    for (place, standing) in record.listed {
                        *claims.listed.entry(place).or_default() |= standing.ours;
                    }
                }
                Ok(_) => {}
                Err(_) => claims.unreadable = Some(other),
            }
        }
    }
    Ok(claims)
}

/// Writes the record of one MailSuppression; an empty one is taken out.
///
/// # Errors
/// When the API server refuses, or the namespace's records would not fit one Secret. A namespace that is gone needs no
/// empty record.
pub async fn write(context: &Context, key: &Key, record: &Record) -> Result<(), Error> {
    let text = record
        .to_text(&context.publisher.record_key(key))
        .map_err(|_| Error::RecordUnreadable)?;
    let is_empty = text.is_empty();
    let mut secret = Secret::default();
    secret.metadata.name = Some(SUPPRESSION_RECORD.to_owned());
    secret.metadata.namespace = Some(key.namespace.clone());
    if !is_empty {
        let others = read_all(context, &key.namespace).await?;
        let others = others.into_iter().filter(|(name, _)| *name != key.name);
        let taken: usize = others.map(|(_, text)| text.0.len()).sum();
        if taken.saturating_add(text.len()) > SECRET_MAX {
            return Err(Error::RecordFull);
        }
        secret.data = Some([(key.name.clone(), ByteString(text.into_bytes()))].into());
        // A namespace that is deleted takes its Secrets first; what stands on SES's lists must be known until it is off.
        secret.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    }
    // Each MailSuppression owns its own key: an apply by one leaves the others' alone, and their finalizer.
    let manager = format!("{MANAGER}.{}", key.name);
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let params = PatchParams::apply(&manager).force();
    match secrets.patch(SUPPRESSION_RECORD, &params, &Patch::Apply(&secret)).await {
        // What is not recorded must not be put on a list either: only where nothing stands is it no matter.
        Err(error) if is_empty && (is_not_found(&error) || is_terminating(&error)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
