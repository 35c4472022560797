//! The addresses that one MailSuppression put on SES's lists, kept in Secret `mail-suppression-record`, so that an entry
//! that is taken out of the spec is taken off the list again.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};

use super::{
    error::{Error, is_not_found},
    objects::SUPPRESSION_RECORD,
    world::Key,
};
use crate::{
    api::MANAGER,
    ses::{
        address::Address,
        desired::{Reason, SuppressionList},
        name::TenantName,
    },
};

/// Keeps the record while anything stands by it.
const FINALIZER: &str = "mailpolicy.dev/ses";

/// What may stand on SES's lists by the word of one MailSuppression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The SendingAccount whose lists they are; `None` where there is nothing on any.
    pub account: Option<String>,
    /// Whether calls may be under way: then it holds what may stand, and only reading tells what does.
    pub under_way: bool,
    /// What was listed, and why.
    pub listed: BTreeMap<(SuppressionList, Address), Reason>,
    /// What was released.
    pub released: BTreeSet<(SuppressionList, Address)>,
}

/// The first line of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    account: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    under_way: bool,
}

/// One line after it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    address: String,
    done: Done,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Done {
    Bounce,
    Complaint,
    Released,
}

impl Record {
    /// Whether nothing stands by it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.released.is_empty()
    }

    /// The union: what may stand while one is being turned into the other, of the same account.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.account = other.account.clone().or(all.account);
        all.under_way = true;
        all.listed.extend(other.listed.clone());
        all.released.extend(other.released.iter().cloned());
        all
    }

    fn to_text(&self) -> Result<String, serde_json::Error> {
        let Some(account) = self.account.clone().filter(|_| !self.is_empty()) else {
            return Ok(String::new());
        };
        let head = serde_json::to_string(&Head {
            account,
            under_way: self.under_way,
        })? + "\n";
        let listed = self.listed.iter().map(|(place, reason)| {
            let done = match reason {
                Reason::Bounce => Done::Bounce,
                Reason::Complaint => Done::Complaint,
            };
            line(place, done)
        });
        let released = self.released.iter().map(|place| line(place, Done::Released));
        let lines = listed.chain(released);
        let lines: String = lines
            .map(|line| serde_json::to_string(&line).map(|text| text + "\n"))
            .collect::<Result<_, _>>()?;
        Ok(head + &lines)
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut record = Self::default();
        let mut lines = text.lines();
        if let Some(head) = lines.next() {
            let Head { account, under_way } = serde_json::from_str(head)?;
            record.account = Some(account);
            record.under_way = under_way;
        }
        for text in lines {
            let Line { tenant, address, done } = serde_json::from_str(text)?;
            let list = match tenant.map(TenantName::parse) {
                Some(Ok(tenant)) => SuppressionList::Tenant(tenant),
                Some(Err(error)) => return Err(serde::de::Error::custom(error)),
                None => SuppressionList::Account,
            };
            let place = (list, Address::new(&address));
            match done {
                Done::Bounce => _ = record.listed.insert(place, Reason::Bounce),
                Done::Complaint => _ = record.listed.insert(place, Reason::Complaint),
                Done::Released => _ = record.released.insert(place),
            }
        }
        Ok(record)
    }
}

fn line((list, address): &(SuppressionList, Address), done: Done) -> Line {
    let tenant = match list {
        SuppressionList::Account => None,
        SuppressionList::Tenant(tenant) => Some(tenant.to_string()),
    };
    Line {
        tenant,
        address: address.expose().to_owned(),
        done,
    }
}

/// Reads the record of one MailSuppression; one that was never written is empty.
///
/// # Errors
/// When the API server refuses, or the record cannot be read: then nothing is known and nothing may be changed.
pub async fn read(client: &Client, key: &Key) -> Result<Record, Error> {
    let mut records = read_all(client, &key.namespace).await?;
    records.remove(&key.name).unwrap_or_else(|| Ok(Record::default()))
}

/// Reads the records of a namespace, by the name of their MailSuppression.
///
/// # Errors
/// When the API server refuses.
async fn read_all(client: &Client, namespace: &str) -> Result<BTreeMap<String, Result<Record, Error>>, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get_opt(SUPPRESSION_RECORD).await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let parse = |ByteString(bytes): ByteString| {
        // What the parser says would show the text, which is an address.
        Record::parse(&String::from_utf8_lossy(&bytes)).map_err(|_| Error::RecordUnreadable)
    };
    Ok(data.into_iter().map(|(name, bytes)| (name, parse(bytes))).collect())
}

/// What other MailSuppressions of these namespaces have put on the account's lists: it stays although `key` lets go of it.
///
/// # Errors
/// When the API server refuses, or a record cannot be read.
pub async fn claims(
    client: &Client,
    key: &Key,
    account: &str,
    namespaces: &BTreeSet<String>,
) -> Result<BTreeSet<(SuppressionList, Address)>, Error> {
    let mut claims = BTreeSet::new();
    for namespace in namespaces {
        for (name, record) in read_all(client, namespace).await? {
            let record = record?;
            if (*namespace != key.namespace || name != key.name) && record.account.as_deref() == Some(account) {
                claims.extend(record.listed.into_keys());
            }
        }
    }
    Ok(claims)
}

/// Writes the record of one MailSuppression; an empty one is taken out.
///
/// # Errors
/// When the API server refuses. A namespace that is gone needs no record.
pub async fn write(client: &Client, key: &Key, record: &Record) -> Result<(), Error> {
    let text = record.to_text().map_err(|_| Error::RecordUnreadable)?;
    let mut secret = Secret::default();
    secret.metadata.name = Some(SUPPRESSION_RECORD.to_owned());
    secret.metadata.namespace = Some(key.namespace.clone());
    if !text.is_empty() {
        secret.data = Some([(key.name.clone(), ByteString(text.into_bytes()))].into());
        // A namespace that is deleted takes its Secrets first; what stands on SES's lists must be known until it is off.
        secret.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    }
    // Each MailSuppression owns its own key: an apply by one leaves the others' alone, and their finalizer.
    let manager = format!("{MANAGER}.{}", key.name);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    match secrets
        .patch(
            SUPPRESSION_RECORD,
            &PatchParams::apply(&manager).force(),
            &Patch::Apply(&secret),
        )
        .await
    {
        Err(error) if is_not_found(&error) || super::error::is_terminating(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_written_alike() {
        let tenant = SuppressionList::Tenant(TenantName::of_namespace("prod", "shop"));
        let record = Record {
            account: Some("primary".to_owned()),
            under_way: false,
            listed: [(
                (SuppressionList::Account, Address::new("a@example.com")),
                Reason::Bounce,
            )]
            .into(),
            released: [(tenant, Address::new("B@example.com"))].into(),
        };
        assert_eq!(Record::parse(&record.to_text().unwrap()).unwrap(), record);
        let under_way = Record::default().or(&record);
        assert_ne!(under_way, record, "what may stand is not what stands");
        assert_eq!(Record::parse(&under_way.to_text().unwrap()).unwrap(), under_way);
        assert_eq!(Record::default().to_text().unwrap(), "");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_no_empty_one() {
        let head = "{\"account\":\"primary\"}\n";
        assert!(Record::parse(&format!("{head}{{\"address\":\"a@example.com\",\"done\":\"Perhaps\"}}")).is_err());
        assert!(
            Record::parse("{\"address\":\"a@example.com\",\"done\":\"Bounce\"}").is_err(),
            "whose lists?"
        );
    }
}
