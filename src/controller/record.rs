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

/// What may stand on SES's lists by the word of one MailSuppression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What was listed, and why.
    pub listed: BTreeMap<(SuppressionList, Address), Reason>,
    /// What was released.
    pub released: BTreeSet<(SuppressionList, Address)>,
}

/// One line of the record.
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
    /// The union: what may stand while one is being turned into the other.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.listed.extend(other.listed.clone());
        all.released.extend(other.released.iter().cloned());
        all
    }

    fn to_text(&self) -> Result<String, serde_json::Error> {
        let listed = self.listed.iter().map(|(place, reason)| {
            let done = match reason {
                Reason::Bounce => Done::Bounce,
                Reason::Complaint => Done::Complaint,
            };
            line(place, done)
        });
        let released = self.released.iter().map(|place| line(place, Done::Released));
        listed
            .chain(released)
            .map(|line| serde_json::to_string(&line).map(|text| text + "\n"))
            .collect()
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut record = Self::default();
        for text in text.lines() {
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
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let data = secrets
        .get_opt(SUPPRESSION_RECORD)
        .await?
        .and_then(|secret| secret.data)
        .unwrap_or_default();
    let Some(ByteString(bytes)) = data.get(&key.name) else {
        return Ok(Record::default());
    };
    Record::parse(&String::from_utf8_lossy(bytes)).map_err(|error| Error::Record(error.to_string()))
}

/// Writes the record of one MailSuppression; an empty one is taken out.
///
/// # Errors
/// When the API server refuses. A namespace that is gone needs no record.
pub async fn write(client: &Client, key: &Key, record: &Record) -> Result<(), Error> {
    let text = record.to_text().map_err(|error| Error::Record(error.to_string()))?;
    let data = (!text.is_empty()).then(|| BTreeMap::from([(key.name.clone(), ByteString(text.into_bytes()))]));
    let mut secret = Secret {
        data,
        ..Secret::default()
    };
    secret.metadata.name = Some(SUPPRESSION_RECORD.to_owned());
    secret.metadata.namespace = Some(key.namespace.clone());
    // Each MailSuppression owns its own key: an apply by one leaves the others' alone.
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
            listed: [(
                (SuppressionList::Account, Address::new("a@example.com")),
                Reason::Bounce,
            )]
            .into(),
            released: [(tenant, Address::new("B@example.com"))].into(),
        };
        assert_eq!(Record::parse(&record.to_text().unwrap()).unwrap(), record);
        assert_eq!(Record::default().to_text().unwrap(), "");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_no_empty_one() {
        assert!(Record::parse("{\"address\":\"a@example.com\",\"done\":\"Perhaps\"}").is_err());
    }
}
